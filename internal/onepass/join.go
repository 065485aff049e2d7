package onepass

// join decides, when a value has ended, the slots that depend on others.
func (m *machine) join(p *plan, base, depth int) bool {
	for i := range p.joins {
		j := &p.joins[i]
		if !m.joined(p, j, base) && !m.fail(&j.place, base, depth) {
			return false
		}
	}
	return true
}

func (m *machine) joined(p *plan, j *join, base int) bool {
	switch j.code {
	case joinAll, joinAny, joinOne:
		n := 0
		for _, sub := range j.subs {
			if m.allowed(base, sub) {
				n++
			}
		}
		switch j.code {
		case joinAll:
			return n == len(j.subs)
		case joinAny:
			return n > 0
		}
		return n+j.n == 1
	case joinNot:
		return !m.allowed(base, j.subs[0])
	case joinIf:
		if m.allowed(base, j.subs[0]) {
			return m.allowed(base, j.subs[1])
		}
		return m.allowed(base, j.subs[2])
	case joinIfSeen:
		return !m.came(p, base, j.n) || m.allowed(base, j.subs[0])
	}
	return m.evaluated(p, j.evaluate, base)
}

// came reports whether a member that has a bit has come.
func (m *machine) came(p *plan, base, bit int) bool {
	return m.bits[base+p.seen+bit/64]>>(bit%64)&1 == 1
}

// settle decides, before an array or object has ended, what its children have
// made false for good. If that is all that was asked of it, its other children
// are only scanned.
func (m *machine) settle(f *frame, depth int) bool {
	m.changed = false
	p := f.plan
	m.steps += p.steps
	for i := range p.joins {
		j := &p.joins[i]
		if j.code == joinAll || j.code == joinAny || j.code == joinOne && j.n == 0 {
			n := 0
			for _, sub := range j.subs {
				if m.allowed(f.base, sub) {
					n++
				}
			}
			if (n == 0 || j.code == joinAll && n < len(j.subs)) && !m.fail(&j.place, f.base, depth) {
				return false
			}
		}
	}
	m.changed = false
	for _, slot := range p.roots {
		if m.allowed(f.base, slot) {
			return true
		}
	}
	f.dead, f.free = true, 0
	return true
}

// evaluated reports whether each child that unevaluatedProperties or
// unevaluatedItems refuses was evaluated by a schema that allows the value, and
// that was applied to it by schemas that do. Slots come after those that they
// apply, so one way from the last to the first finds them.
func (m *machine) evaluated(p *plan, e *evaluation, base int) bool {
	if !m.allowed(base, e.slot) {
		return true // is refused anyway
	}
	reached := len(m.bits)
	for range words(e.slot + 1) {
		m.bits = append(m.bits, 0)
	}
	m.steps += e.slot + len(e.sets)
	set := m.bits[reached:]
	set[e.slot/64] |= 1 << (e.slot % 64)
	for slot := e.slot; slot >= 0; slot-- {
		if set[slot/64]>>(slot%64)&1 == 0 {
			continue
		}
		if p.failed > 0 && !m.allowed(base, slot) {
			set[slot/64] &^= 1 << (slot % 64)
			continue
		}
		m.steps += len(p.applies[slot])
		for _, a := range p.applies[slot] {
			if a.slot >= 0 && (a.when == anyway ||
				a.when == ifAllowed && m.allowed(base, a.n) ||
				a.when == ifRefused && !m.allowed(base, a.n) ||
				a.when == ifSeen && m.came(p, base, a.n)) {
				set[a.slot/64] |= 1 << (a.slot % 64)
			}
		}
	}
	all := true
	for i := range e.sets {
		s := &e.sets[i]
		if m.bits[base+p.pending+s.bit/64]>>(s.bit%64)&1 == 0 {
			continue
		}
		found := false
		for _, slot := range s.slots {
			found = found || set[slot/64]>>(slot%64)&1 == 1
		}
		m.steps += len(s.slots)
		all = all && found
	}
	m.bits = m.bits[:reached]
	return all
}
