package onepass

import (
	"errors"
	"maps"
	"math"
	"slices"
)

// array adds what the slots ask of an array.
func (p *planner) array() {
	longest := 0
	for _, n := range p.nodes {
		longest = max(longest, len(n.Prefix))
		p.common(n, "minItems", n.MinItems, "maxItems", n.MaxItems)
		if n.UniqueItems {
			p.unique = append(p.unique, p.place(n, "uniqueItems"))
		}
		if n.Contains != nil {
			o := op{place: p.place(n, "minContains"), code: opMinContains, n: int64(n.MinContains), bit: p.containers}
			p.containers++
			p.ops = append(p.ops, o)
		}
	}
	if longest > maxPrefix {
		p.fail(errors.New("more than 1024 items with schemas of their own"))
		return
	}
	for i := range longest {
		p.prefix = append(p.prefix, p.entry(p.item(i)))
	}
	p.rest = p.entry(p.item(longest))
	p.layout()
}

// item lists what the slots ask of an item.
func (p *planner) item(i int) []ask {
	var asks []ask
	counter := 0
	for _, n := range p.nodes {
		ch := &n.children
		if i < len(ch.prefix) {
			asks = append(asks, ask{node: ch.prefix[i], to: p.place(n, "false")})
		} else if ch.rest != nil {
			asks = append(asks, ask{node: ch.rest, to: p.place(n, n.RestKeyword)})
		}
		if ch.contains != nil {
			asks = append(asks, ask{node: ch.contains, code: linkCount, to: p.place(n, "maxContains"), n: counter, max: n.MaxContains})
			counter++
		}
	}
	return append(asks, p.unevaluated(func(n *node) bool {
		return i < len(n.Prefix) || n.Rest != nil || n.UnevaluatedItems != nil
	})...)
}

// object adds what the slots ask of an object.
func (p *planner) object() {
	for _, n := range p.nodes {
		for _, name := range slices.Sorted(maps.Keys(n.Properties)) {
			p.bit(name)
		}
		for _, name := range n.Required {
			p.bit(name)
		}
		for _, d := range n.Dependencies {
			p.bit(d.Name)
			for _, name := range d.Required {
				p.bit(name)
			}
		}
		for _, child := range n.children.patterns {
			text := child.pattern.expr.String()
			if _, ok := p.expressions[text]; !ok {
				p.expressions[text] = len(p.patterns)
				p.patterns = append(p.patterns, child.pattern)
			}
		}
	}
	if len(p.patterns) > maxPatterns {
		p.fail(errors.New("more than 6 different patternProperties for one object"))
		return
	}
	var keys []ask
	for _, n := range p.nodes {
		p.common(n, "minProperties", n.MinProperties, "maxProperties", n.MaxProperties)
		if len(n.Required) > 0 {
			p.ops = append(p.ops, op{place: p.place(n, "required"), code: opRequired, need: p.set(n.Required)})
		}
		for _, d := range n.Dependencies {
			if len(d.Required) > 0 {
				p.ops = append(p.ops, op{place: p.place(n, d.Keyword), code: opDependency, bit: p.bit(d.Name), need: p.set(d.Required)})
			}
		}
		if n.PropertyNames != nil {
			keys = append(keys, ask{node: n.children.propertyNames, to: p.place(n, "propertyNames")})
		}
	}
	p.keys = p.entry(keys)
	entries := make([]entry, 0, len(p.members))
	for bit, name := range p.members {
		mask := 0
		for i, pattern := range p.patterns {
			if pattern.match([]byte(name)) {
				mask |= 1 << i
			}
		}
		e := p.entry(p.member(name, true, mask))
		e.bit, e.name = bit, name
		for _, n := range p.nodes {
			e.declared = e.declared || n.Properties[name] != nil
		}
		entries = append(entries, e)
	}
	for mask := range 1 << len(p.patterns) {
		p.others = append(p.others, p.entry(p.member("", false, mask)))
	}
	p.names = newNames(entries)
	p.layout()
}

// member lists what the slots ask of a member, which has a name of its own or
// not.
func (p *planner) member(name string, own bool, mask int) []ask {
	matches := func(child patternChild) bool { return mask>>p.expressions[child.pattern.expr.String()]&1 == 1 }
	var asks []ask
	for _, n := range p.nodes {
		ch := &n.children
		found := false
		if child := ch.props[name]; own && child != nil {
			asks = append(asks, ask{node: child, to: p.place(n, "false")})
			found = true
		}
		for _, child := range ch.patterns {
			if matches(child) {
				asks = append(asks, ask{node: child.node, to: p.place(n, "false")})
				found = true
			}
		}
		if !found && ch.additional != nil {
			asks = append(asks, ask{node: ch.additional, to: p.place(n, "additionalProperties")})
		}
	}
	return append(asks, p.unevaluated(func(n *node) bool {
		return own && n.Properties[name] != nil || slices.ContainsFunc(n.children.patterns, matches) ||
			n.Additional != nil || n.UnevaluatedProperties != nil
	})...)
}

// maxMatching is how many schemas with contains may evaluate items of one array.
const maxMatching = 4

// bit returns the bit of a name.
func (p *planner) bit(name string) int {
	bit, ok := p.bits[name]
	if !ok {
		bit = len(p.members)
		p.bits[name] = bit
		p.members = append(p.members, name)
	}
	return bit
}

// set returns names as a set of bits. All names must be known by now.
func (p *planner) set(names []string) []uint64 {
	set := make([]uint64, words(len(p.members)))
	for _, name := range names {
		bit := p.bit(name)
		set[bit/64] |= 1 << (bit % 64)
	}
	return set
}

// words is how many words a set of n bits takes.
func words(n int) int { return (n + 63) / 64 }

// common adds what arrays and objects have in common.
func (p *planner) common(n *node, least string, low int, greatest string, high int) {
	if low > 0 {
		p.ops = append(p.ops, op{place: p.place(n, least), code: opMinCount, n: int64(low)})
	}
	if high >= 0 {
		if len(p.excess) == 0 {
			p.most = high
		}
		p.most = min(p.most, high)
		p.excess = append(p.excess, op{place: p.place(n, greatest), code: opMaxCount, n: int64(high)})
	}
	for _, v := range n.values {
		p.hashes = true
		p.ops = append(p.ops, op{place: p.place(n, v.keyword), code: opComposites, values: v})
	}
}

// layout gives each set of a frame its words.
func (p *planner) layout() {
	take := func(n int) int {
		start := p.words
		p.words += n
		return start
	}
	if p.names != nil {
		p.seen = take(words(len(p.members)))
		p.taken = take(words(p.names.folds))
	}
	if len(p.excess) == 0 {
		p.most = math.MaxInt
	}
	p.pending = take(words(p.pendings))
	p.counters = take(p.containers)
}

// evaluation notes that a slot has unevaluatedProperties or unevaluatedItems.
func (p *planner) evaluation(n *node) {
	ch := &n.children
	child, keyword := ch.unevaluatedProps, "unevaluatedProperties"
	if p.kind == kArray {
		child, keyword = ch.unevalItems, "unevaluatedItems"
	}
	if child == nil || p.kind < kArray {
		return
	}
	e := &evaluation{slot: p.slots[n], ask: ask{node: child, to: p.place(n, keyword)}}
	p.evaluations = append(p.evaluations, e)
	p.joins = append(p.joins, join{place: p.place(n, keyword), code: joinEvaluated, evaluate: e})
}

// unevaluated lists what unevaluatedProperties or unevaluatedItems asks of a
// child that some schemas evaluate.
func (p *planner) unevaluated(evaluates func(*node) bool) []ask {
	if len(p.evaluations) > maxEvaluations {
		p.fail(errors.New("more than 8 schemas for one value ask what others have evaluated"))
		return nil
	}
	var asks []ask
	for _, e := range p.evaluations {
		below := p.below(e.slot)
		var slots, matching []int
		for slot, n := range p.nodes {
			if slot != e.slot && !below[slot] {
				continue
			}
			own := evaluates(n)
			if slot == e.slot {
				own = evaluates(n.withoutUnevaluated())
			}
			switch {
			case own:
				slots = append(slots, slot)
			case n.Contains != nil && n.ContainsEvaluates && p.kind == kArray:
				matching = append(matching, slot)
			}
		}
		must := map[int]bool{}
		p.must(e.slot, must)
		isSure := func(slot int) bool { return must[slot] }
		a := e.ask
		switch {
		case slices.ContainsFunc(slots, isSure):
			continue
		case len(matching) > maxMatching:
			p.fail(errors.New("unevaluatedItems depends on more than 4 schemas with contains"))
		case len(matching) > 0:
			a.code = linkPending
			for _, slot := range matching {
				a.contains = append(a.contains, p.nodes[slot].children.contains)
			}
			for matched := range 1 << len(matching) {
				all := slices.Clone(slots)
				for i, slot := range matching {
					if matched>>i&1 == 1 {
						all = append(all, slot)
					}
				}
				choice := -1
				if !slices.ContainsFunc(all, isSure) {
					choice = p.evaluators(e, all)
				}
				a.choices = append(a.choices, choice)
			}
		case len(slots) > 0:
			a.code, a.n = linkPending, p.evaluators(e, slots)
		}
		asks = append(asks, a)
	}
	return asks
}

func (n *node) withoutUnevaluated() *node {
	plain, from := *n, *n.Node
	from.UnevaluatedItems, from.UnevaluatedProperties = nil, nil
	plain.Node = &from
	return &plain
}

// below returns the slots that a slot applies to its value, directly or not.
func (p *planner) below(slot int) map[int]bool {
	below := map[int]bool{}
	var visit func(int)
	visit = func(slot int) {
		for _, a := range p.applies[slot] {
			if a.slot >= 0 && !below[a.slot] {
				below[a.slot] = true
				visit(a.slot)
			}
		}
	}
	visit(slot)
	return below
}

// must collects a slot and those that allow the value whenever it does.
func (p *planner) must(slot int, found map[int]bool) {
	if found[slot] {
		return
	}
	found[slot] = true
	for _, n := range p.musts(p.nodes[slot]) {
		p.must(p.slots[n], found)
	}
}

// evaluators returns the bit of a set of slots.
func (p *planner) evaluators(e *evaluation, slots []int) int {
	for _, s := range e.sets {
		if slices.Equal(s.slots, slots) {
			return s.bit
		}
	}
	bit := p.pendings
	p.pendings++
	e.sets = append(e.sets, evaluators{bit, slots})
	return bit
}
