package onepass

import (
	"errors"
	"slices"
)

// unevaluatedProperties and unevaluatedItems ask of a child what nobody else has
// evaluated. Who may have is known beforehand, by the name or index of the
// child; who has, only when the value ends, as branches may fail. So a child
// that is refused notes who would have had to evaluate it, and the join at the
// end looks whether one of them stands.

// maxMatching is how many schemas with contains may evaluate items of one array.
const maxMatching = 4

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
