package onepass

import "hash/maphash"

// fail notes that a slot does not allow the value. If that is fatal, the pass
// ends; depth is the number of frames that lead to what is at fault.
func (m *machine) fail(p *place, base, depth int) bool {
	if p.fatal {
		return m.refuse(p.keyword, depth)
	}
	m.bits[base+p.slot/64] |= 1 << (p.slot % 64)
	m.changed = true
	return true
}

func (m *machine) refuse(keyword string, depth int) bool {
	m.reason, m.keyword, m.depth = ReasonSchema, keyword, depth
	return false
}

// allowed reports whether a slot has not failed.
func (m *machine) allowed(base, slot int) bool {
	if slot < 0 {
		return slot == always
	}
	return m.bits[base+slot/64]>>(slot%64)&1 == 0
}

// scalar reads a scalar and judges it.
func (m *machine) scalar(c byte, e *entry) bool {
	ok := false
	start := m.pos
	switch c {
	case '"':
		ok = m.str()
	case 't':
		ok = m.literal("true", kTrue)
	case 'f':
		ok = m.literal("false", kFalse)
	case 'n':
		ok = m.literal("null", kNull)
	default:
		ok = m.number()
	}
	if !ok {
		return false
	}
	var f *frame
	wanted := m.hashing
	if depth := len(m.frames); depth > 0 {
		f = &m.frames[depth-1]
		wanted = f.children
	}
	if e.group != nil && !m.judge(e, f) {
		return false
	}
	if wanted {
		m.hash = m.tokenHash()
		if f != nil {
			return m.hashed(f, span{start, m.pos})
		}
	}
	return true
}

// judge asks the group of an entry about the token, for the frame around it.
func (m *machine) judge(e *entry, f *frame) bool {
	if e.group == nil {
		return true
	}
	p := e.group.plans[m.token.kind]
	if p == nil {
		return e.links == nil || m.report(e, nil, 0, f)
	}
	depth := len(m.frames)
	if p.reject != "" {
		return m.refuse(p.reject, depth)
	}
	m.steps += p.steps
	base := len(m.bits)
	for range p.failed {
		m.bits = append(m.bits, 0)
	}
	if t := &m.token; t.low < p.low || t.high > p.high || p.plain && !t.plain {
		for i := range p.ops {
			if o := &p.ops[i]; !m.holds(o) && !m.fail(&o.place, base, depth) {
				return false
			}
		}
	}
	if p.joins != nil && !m.join(p, base, depth) {
		return false
	}
	m.changed = false
	if e.links != nil && !m.report(e, p, base, f) {
		return false
	}
	if p.failed > 0 {
		m.bits = m.bits[:base]
	}
	return true
}

// holds answers a question about the token.
func (m *machine) holds(o *op) bool {
	t := &m.token
	switch o.code {
	case opMinLength:
		return t.low >= o.n
	case opMaxLength:
		return t.low <= o.n
	case opPattern:
		m.steps += t.part.end - t.part.start
		return o.pattern.match(m.decoded())
	case opTest:
		m.steps += t.part.end - t.part.start
		text := m.decoded()
		return o.test.Sure != nil && o.test.Sure(text) || o.test.Test(string(text))
	case opStrings:
		return o.values.hasString(m.decoded())
	case opInteger:
		return t.plain || m.decimal().isInteger()
	case opNumbers:
		return o.values.hasNumber(m.decimal())
	case opMultipleOf:
		if t.plain && o.isInt {
			return t.low%o.n == 0
		}
		return m.decimal().isMultipleOf(o.number)
	}
	c := 0
	switch {
	case !t.plain || !o.isInt:
		c = m.decimal().cmp(o.number)
	case t.low < o.n:
		c = -1
	case t.low > o.n:
		c = 1
	}
	switch o.code {
	case opMinimum:
		return c >= 0
	case opExclusiveMinimum:
		return c > 0
	case opMaximum:
		return c <= 0
	case opExclusiveMaximum:
		return c < 0
	}
	return false
}

// close ends the innermost array or object.
func (m *machine) close() bool {
	depth := len(m.frames) - 1
	f := &m.frames[depth]
	p := f.plan
	m.steps += p.steps
	if f.hashes {
		m.hash = mix(f.hash+uint64(f.n), uint64(f.kind))
	}
	for i := range p.ops {
		if o := &p.ops[i]; !m.stands(o, f) && !m.fail(&o.place, f.base, depth) {
			return false
		}
	}
	if p.joins != nil && !m.join(p, f.base, depth) {
		return false
	}
	m.changed = false
	m.frames = m.frames[:depth]
	if f.kind == kArray {
		m.items.list = m.items.list[:f.marks]
	} else {
		m.members.list = m.members.list[:f.marks]
	}
	if depth > 0 {
		around := &m.frames[depth-1]
		if f.entry.links != nil {
			if p == &unasked {
				p = nil
			}
			if !m.report(f.entry, p, f.base, around) {
				return false
			}
		}
		if around.children && !m.hashed(around, span{f.start, m.pos}) {
			return false
		}
	}
	m.bits = m.bits[:f.base]
	return true
}

// stands answers a question about an array or object that ends.
func (m *machine) stands(o *op, f *frame) bool {
	switch o.code {
	case opMinCount:
		return int64(f.n) >= o.n
	case opRequired:
		return m.includes(f, o.need)
	case opDependency:
		return !m.came(f.plan, f.base, o.bit) || m.includes(f, o.need)
	case opMinContains:
		return m.bits[f.base+f.plan.counters+o.bit] >= uint64(o.n)
	case opComposites:
		return o.values.hasComposite(f.kind, m.hash, m.data[f.start:m.pos])
	}
	return false
}

// includes reports whether all members of a set have come.
func (m *machine) includes(f *frame, need []uint64) bool {
	seen := m.bits[f.base+f.plan.seen:]
	for i, word := range need {
		if seen[i]&word != word {
			return false
		}
	}
	return true
}

// report carries the verdicts of a child, judged by a plan or allowed by all
// roots if there is none, to the slots around it.
func (m *machine) report(e *entry, p *plan, base int, f *frame) bool {
	depth := len(m.frames)
	m.steps += len(e.links)
	for i := range e.links {
		l := &e.links[i]
		allowed := p == nil || m.allowed(base, p.roots[l.root])
		switch l.code {
		case linkMust:
			if !allowed && !m.fail(&l.to, f.base, depth) {
				return false
			}
		case linkPending:
			if bit := m.choice(l, p, base); !allowed && bit >= 0 {
				m.bits[f.base+f.plan.pending+bit/64] |= 1 << (bit % 64)
			}
		case linkCount:
			if allowed {
				count := &m.bits[f.base+f.plan.counters+l.n]
				if *count++; l.max >= 0 && *count > uint64(l.max) && !m.fail(&l.to, f.base, depth-1) {
					return false
				}
			}
		}
	}
	return !m.changed || m.settle(f, depth-1)
}

// choice returns which evaluators a child needs if it is refused, or -1.
func (m *machine) choice(l *link, p *plan, base int) int {
	if l.choices == nil {
		return l.n
	}
	matched := 0
	for i, root := range l.contains {
		if p == nil || m.allowed(base, p.roots[root]) {
			matched |= 1 << i
		}
	}
	return l.choices[matched]
}

// hashed takes the hash of a child into that of its array or object, and finds
// out whether the array has had the same item before.
func (m *machine) hashed(f *frame, part span) bool {
	if f.hashes {
		if f.kind == kArray {
			f.hash = mix(f.hash, m.hash)
		} else {
			f.hash += mix(f.name, m.hash) // in any order
		}
	}
	p := f.plan
	if f.dead || len(p.unique) == 0 {
		return true
	}
	done := true
	for i := range p.unique {
		done = done && !p.unique[i].fatal && !m.allowed(f.base, p.unique[i].slot)
	}
	if done || m.items.add(f.marks, f.id, mark{m.hash, part}, func(other span) bool {
		m.steps += part.end - part.start
		return same(m.data[other.start:other.end], m.data[part.start:part.end])
	}) {
		return true
	}
	for i := range p.unique {
		if !m.fail(&p.unique[i], f.base, len(m.frames)-1) {
			return false
		}
	}
	return m.settle(f, len(m.frames)-1)
}

// tokenHash returns the hash of a scalar, which is the same for two that JSON
// Schema takes for the same.
func (m *machine) tokenHash() uint64 {
	switch m.token.kind {
	case kString:
		return stringHash(m.decoded())
	case kNumber:
		d := m.decimal()
		h := mix(d.mant, uint64(d.exp)+1)
		if d.long != nil {
			h = mix(h, maphash.Bytes(seed, d.long))
		}
		if d.neg {
			h = ^h
		}
		return mix(h, uint64(kNumber))
	}
	return mix(uint64(m.token.kind), 0x1e)
}
