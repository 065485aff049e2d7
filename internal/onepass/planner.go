package onepass

import "math"

// A planner builds one plan.
type planner struct {
	*compiler
	*plan
	kind  kind
	slots map[*node]int
	nodes []*node // by slot
	fatal map[*node]bool

	members     []string // those with a name of their own, by bit
	bits        map[string]int
	expressions map[string]int // of patternProperties, by their text
	evaluations []*evaluation
}

// plan returns how a group judges the values of a kind, and nil if it allows
// all of them.
func (c *compiler) plan(g *group, k kind) *plan {
	p := &planner{compiler: c, plan: &plan{}, kind: k, slots: map[*node]int{}, fatal: map[*node]bool{},
		bits: map[string]int{}, expressions: map[string]int{}}
	for _, r := range g.roots {
		if !r.fatal {
			continue
		}
		if c.reduce(r.node, k) == isNever {
			p.reject = c.why(r.node, k)
			return p.plan
		}
		p.mark(r.node)
	}
	trivial := true
	for _, r := range g.roots {
		slot := p.slot(r.node)
		trivial = trivial && slot == always
		if r.fatal {
			slot = always // or nobody is told
		}
		p.roots = append(p.roots, slot)
	}
	if c.err != nil || trivial {
		return nil
	}
	heard := len(p.joins) > 0 // somebody asks which slots failed
	for _, r := range g.roots {
		heard = heard || !r.fatal
	}
	for _, n := range p.nodes {
		heard = heard || !p.fatal[n]
	}
	if heard {
		p.failed = words(len(p.nodes))
		p.words = p.failed
	}
	p.build()
	p.plan.steps = 1 + len(p.ops) + len(p.excess) + 2*len(p.nodes) + p.words
	for _, j := range p.joins {
		p.plan.steps += 1 + len(j.subs)
	}
	return p.plan
}

// build adds what the slots ask, once all of them are known.
func (p *planner) build() {
	switch p.kind {
	case kNumber:
		for _, n := range p.nodes {
			p.numeric(n)
		}
		p.narrow()
	case kString:
		for _, n := range p.nodes {
			p.text(n)
		}
		p.narrow()
	case kArray:
		p.array()
	case kObject:
		p.object()
	}
}

// musts returns what a schema applies to the value and must allow it.
func (p *planner) musts(n *node) []*node {
	var musts []*node
	ch := &n.children
	add := func(sub *node) {
		if sub != nil && p.reduce(sub, p.kind) == isMaybe {
			musts = append(musts, sub)
		}
	}
	add(ch.ref)
	for _, sub := range ch.all {
		add(sub)
	}
	if sub := p.soleAny(n); sub != nil {
		add(sub)
	}
	if maybe, always := p.split(ch.one, p.kind); len(maybe) == 1 && always == 0 {
		add(maybe[0])
	}
	if ch.cond != nil {
		switch p.reduce(ch.cond, p.kind) {
		case isAlways:
			add(ch.then)
		case isNever:
			add(ch.els)
		}
	}
	return musts
}

// soleAny returns the only schema of an anyOf that may allow the value.
func (p *planner) soleAny(n *node) *node {
	if maybe, always := p.split(n.children.any, p.kind); len(maybe) == 1 && always == 0 {
		return maybe[0]
	}
	return nil
}

// mark says that a value that the schema refuses ends the pass.
func (p *planner) mark(n *node) {
	if p.fatal[n] || p.reduce(n, p.kind) != isMaybe {
		return
	}
	p.fatal[n] = true
	for _, sub := range p.musts(n) {
		p.mark(sub)
	}
}

func (p *planner) place(n *node, keyword string) place {
	return place{p.slots[n], p.fatal[n], keyword}
}

// slot returns the slot of a schema. Those that it depends on come before.
func (p *planner) slot(n *node) int {
	if slot, ok := p.slots[n]; ok {
		return slot
	}
	switch p.reduce(n, p.kind) {
	case isAlways:
		return always
	case isNever:
		return never
	}
	if p.err != nil {
		return always
	}
	var joins []join
	var applies []apply
	need := func(code joincode, keyword string, n int, subs ...*node) {
		j := join{place: place{keyword: keyword}, code: code, n: n}
		for _, sub := range subs {
			slot := p.slot(sub)
			j.subs = append(j.subs, slot)
			if code != joinNot {
				applies = append(applies, apply{slot: slot})
			}
		}
		joins = append(joins, j)
	}
	ch := &n.children
	if musts := p.musts(n); len(musts) > 0 {
		need(joinAll, "allOf", 0, musts...)
		if p.fatal[n] {
			joins = nil // the subs end the pass themselves
		}
	}
	switch maybe, always := p.split(ch.any, p.kind); {
	case always > 0 && p.annotates:
		for _, sub := range maybe {
			applies = append(applies, apply{slot: p.slot(sub)}) // for what it evaluates
		}
	case always == 0 && len(maybe) > 1:
		need(joinAny, "anyOf", 0, maybe...)
	}
	if maybe, always := p.split(ch.one, p.kind); len(maybe) > 1 || len(maybe) == 1 && always == 1 {
		need(joinOne, "oneOf", always, maybe...)
	}
	if ch.not != nil && p.reduce(ch.not, p.kind) == isMaybe {
		need(joinNot, "not", 0, ch.not)
	}
	if ch.cond != nil && p.reduce(ch.cond, p.kind) == isMaybe {
		cond := p.slot(ch.cond)
		j := join{place: place{keyword: "if"}, code: joinIf, subs: []int{cond, always, always}}
		applies = append(applies, apply{slot: cond})
		if ch.then != nil {
			j.subs[1] = p.slot(ch.then)
			applies = append(applies, apply{j.subs[1], ifAllowed, cond})
		}
		if ch.els != nil {
			j.subs[2] = p.slot(ch.els)
			applies = append(applies, apply{j.subs[2], ifRefused, cond})
		}
		joins = append(joins, j)
	}
	if p.kind == kObject {
		for i, d := range n.Dependencies {
			if d.Node != nil {
				slot := p.slot(ch.dependencies[i])
				bit := p.bit(d.Name)
				joins = append(joins, join{place: place{keyword: d.Keyword}, code: joinIfSeen, subs: []int{slot}, n: bit})
				applies = append(applies, apply{slot, ifSeen, bit})
			}
		}
	}
	slot := len(p.nodes)
	p.slots[n] = slot
	p.nodes = append(p.nodes, n)
	p.applies = append(p.applies, applies)
	for _, j := range joins {
		j.place = p.place(n, j.keyword)
		p.joins = append(p.joins, j)
	}
	p.evaluation(n)
	return slot
}

// question adds what a slot asks under a keyword.
func (p *planner) question(n *node, keyword string, o op) {
	o.place = p.place(n, keyword)
	p.ops = append(p.ops, o)
}

// text adds what a slot asks of a string.
func (p *planner) text(n *node) {
	for _, v := range n.values {
		p.question(n, v.keyword, op{code: opStrings, values: v})
	}
	if n.MinLength > 0 {
		p.question(n, "minLength", op{code: opMinLength, n: int64(n.MinLength)})
	}
	if n.MaxLength >= 0 {
		p.question(n, "maxLength", op{code: opMaxLength, n: int64(n.MaxLength)})
	}
	if n.pattern != nil {
		p.question(n, "pattern", op{code: opPattern, pattern: n.pattern})
	}
	for _, t := range n.Strings {
		p.question(n, t.Keyword, op{code: opTest, test: t})
	}
}

// narrow finds the range for which no question of a number or a string need be
// asked one by one. It is empty where one asks for more than a
// range, and without end only where nothing is asked: long numbers have that range.
func (p *planner) narrow() {
	p.low, p.high = math.MinInt64, math.MaxInt64
	for i := range p.ops {
		switch o := &p.ops[i]; {
		case o.code == opInteger:
			p.plain = true
		case (o.code == opMinimum && o.isInt && o.n > math.MinInt64) || o.code == opMinLength:
			p.low = max(p.low, o.n)
		case (o.code == opMaximum && o.isInt && o.n < math.MaxInt64) || o.code == opMaxLength:
			p.high = min(p.high, o.n)
		default:
			p.low, p.high = math.MaxInt64, math.MinInt64
			return
		}
	}
}
