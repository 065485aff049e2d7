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
			p.question(n, "minContains", op{code: opMinContains, n: int64(n.MinContains), bit: p.containers})
			p.containers++
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
			p.question(n, "required", op{code: opRequired, need: p.set(n.Required)})
		}
		for _, d := range n.Dependencies {
			if len(d.Required) > 0 {
				p.question(n, d.Keyword, op{code: opDependency, bit: p.bit(d.Name), need: p.set(d.Required)})
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
	if p.keys.group == nil && p.keys.fails == nil {
		p.shorts = p.names
	}
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
		p.question(n, least, op{code: opMinCount, n: int64(low)})
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
		p.question(n, v.keyword, op{code: opComposites, values: v})
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
