package onepass

import (
	"math"
	"sync"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// A machine is one pass over one message. Its methods return false where the
// pass ends early.
type machine struct {
	data   []byte
	pos    int
	limits jsonscan.Limits
	token  token
	text   []byte // what escaped strings are decoded to
	digit  []byte // of long numbers

	frames  []frame
	bits    []uint64 // of all frames, and of a scalar while it is judged
	nodes   int
	ids     uint64 // of arrays and objects, so that the sets are one for all
	members marks  // names without an entry of their own
	items   marks  // of arrays that ask for different ones
	hashing bool   // the hash of the whole is wanted
	hash    uint64 // of the value that ended last, where it is wanted
	changed bool   // a slot has failed that is not fatal
	steps   int
	general bool // plain values are passed over like others, as tests want it

	reason, keyword string // why the pass ended early
	depth           int    // how many frames lead to the value that is at fault
}

// A frame is an array or object that is open.
type frame struct {
	plan     *plan
	entry    *entry // whom the verdict is for
	at       *entry // of the child that is next, open or the last
	base     int    // where its words begin in bits
	start    int    // its first byte
	n        int    // children so far
	free     int    // up to how many nothing is asked of their number
	marks    int    // where its marks begin in the list
	id       uint64
	kind     kind
	hashes   bool // its hash is wanted
	children bool // those of its children are
	general  bool // they are not passed over, even if they are plain
	dead     bool // it has been refused; its children are only scanned
	hash     uint64
	name     uint64 // hash of the name of the child
}

// everyone judges children of whom nothing is asked.
var (
	everyone = entry{bit: -1, fold: -1, reach: &anything}
	unasked  = plan{most: math.MaxInt, rest: everyone, others: []entry{everyone}, keys: everyone}
)

var machines = sync.Pool{New: func() any { return new(machine) }}

// keep is how much memory for strings and frames a machine keeps for the next
// message.
const keep = 64 << 10

// reset clears what belongs to the message.
func (m *machine) reset() {
	m.members.reset()
	m.items.reset()
	m.data, m.token.text = nil, nil
	m.frames, m.bits = m.frames[:0], m.bits[:0]
	if cap(m.text) > keep {
		m.text = nil
	}
	if cap(m.frames) > keep/128 {
		m.frames = nil
	}
	if cap(m.bits) > keep/8 {
		m.bits = nil
	}
	m.pos, m.nodes, m.ids, m.hashing, m.changed, m.steps = 0, 0, 0, false, false, 0
	m.reason, m.keyword, m.depth = "", "", 0
}

// stop ends the pass for a reason of jsonscan.
func (m *machine) stop(reason string) bool {
	m.reason = reason
	return false
}

// run passes over the message. Each turn of the outer loop begins a value, each
// turn of the inner one ends one.
func (m *machine) run(root *entry) bool {
	m.space()
	e := root
	for {
		if m.nodes++; m.nodes > m.limits.Nodes {
			return m.stop(jsonscan.ReasonNodes)
		}
		m.steps++
		c := m.peek()
		switch c {
		case '{', '[':
			if !m.open(e, c) {
				return false
			}
			if m.space() != c+2 {
				first, ok := m.children(&m.frames[len(m.frames)-1])
				if !ok {
					return false
				}
				if e = first; e != nil {
					continue
				}
			}
		default:
			if !m.scalar(c, e) {
				return false
			}
		}
		if e = m.next(); e == nil {
			return m.reason == "" && m.end()
		}
	}
}

// end checks that nothing follows.
func (m *machine) end() bool {
	if m.space(); m.pos < len(m.data) {
		return m.stop(jsonscan.ReasonTrailingData)
	}
	return true
}

// next closes what ends behind a value and returns the entry of the value that
// follows, or nil if none does.
func (m *machine) next() *entry {
	for len(m.frames) > 0 {
		f := &m.frames[len(m.frames)-1]
		c := m.space()
		switch {
		case c == ',':
			m.pos++
			m.space()
			if e, ok := m.children(f); e != nil || !ok {
				return e
			}
		case c == '}' && f.kind == kObject, c == ']' && f.kind == kArray:
			m.pos++
			if !m.close() {
				return nil
			}
		default:
			m.stop(jsonscan.ReasonSyntax)
			return nil
		}
	}
	return nil
}

// open begins an array or object.
func (m *machine) open(e *entry, c byte) bool {
	k := kObject
	if c == '[' {
		k = kArray
	}
	depth := len(m.frames)
	if depth >= m.limits.Depth {
		return m.stop(jsonscan.ReasonDepth)
	}
	p, wanted := &unasked, m.wanted()
	if e.group != nil {
		if found := e.group.plans[k]; found != nil {
			p = found
			if p.reject != "" {
				return m.refuse(p.reject, depth)
			}
		}
	}
	m.ids++
	f := m.push()
	f.plan, f.entry, f.at = p, e, nil
	f.base, f.start, f.n, f.id, f.kind = len(m.bits), m.pos, 0, m.ids, k
	f.hashes, f.dead, f.hash, f.name = p.hashes || wanted, false, 0, 0
	f.children = f.hashes || p.unique != nil
	f.general = f.children || m.general
	if k == kArray {
		f.free, f.marks = min(p.most, m.limits.Items), len(m.items.list)
	} else {
		f.free, f.marks = min(p.most, m.limits.Members), len(m.members.list)
	}
	m.steps += p.words
	for range p.words {
		m.bits = append(m.bits, 0)
	}
	m.pos++
	return true
}

// push returns the next frame, as it was left.
func (m *machine) push() *frame {
	depth := len(m.frames)
	if depth == cap(m.frames) {
		m.frames = append(m.frames, frame{})
	}
	m.frames = m.frames[:depth+1]
	return &m.frames[depth]
}

// wanted reports whether the hash of the value that is next is wanted.
func (m *machine) wanted() bool {
	if depth := len(m.frames); depth > 0 {
		return m.frames[depth-1].children
	}
	return m.hashing
}

// item begins an item and returns its entry.
func (m *machine) item(f *frame) *entry {
	p := f.plan
	if f.n++; f.n > f.free && f.n > m.limits.Items {
		m.stop(jsonscan.ReasonItems)
		return nil
	}
	e := &p.rest
	if f.n <= len(p.prefix) {
		e = &p.prefix[f.n-1]
	}
	if f.at = e; f.n > f.free || e.asks {
		return m.child(f, e)
	}
	return e
}

// member reads the name of a member and returns its entry.
func (m *machine) member(f *frame) *entry {
	p := f.plan
	if f.n++; f.n > f.free && f.n > m.limits.Members {
		m.stop(jsonscan.ReasonMembers)
		return nil
	}
	if m.peek() != '"' {
		m.stop(jsonscan.ReasonSyntax)
		return nil
	}
	e, size := m.shortName(p)
	if e != nil {
		m.pos += size
		if !m.known(f, e) {
			return nil
		}
	} else if e = m.name(f); e == nil {
		return nil
	}
	if m.peek() != ':' && m.space() != ':' {
		m.stop(jsonscan.ReasonSyntax)
		return nil
	}
	m.pos++
	m.space()
	if f.at = e; f.n > f.free || e.asks {
		return m.child(f, e)
	}
	return e
}

// name reads a name of any kind and returns the entry of its member.
func (m *machine) name(f *frame) *entry {
	p := f.plan
	if !m.str() {
		return nil
	}
	name := m.decoded()
	var e *entry
	if p.names != nil {
		e = p.names.find(name)
	}
	if e != nil {
		if !m.known(f, e) {
			return nil
		}
	} else if e = m.other(f, name); e == nil {
		return nil
	}
	if p.keys.group != nil || p.keys.fails != nil {
		f.at = e
		if !m.failAll(p.keys.fails, f) || !m.judge(&p.keys, f) {
			return nil
		}
	}
	return e
}

// known notes that a member with a name of its own has come, and ends the pass
// if it has come before.
func (m *machine) known(f *frame, e *entry) bool {
	p := f.plan
	if f.name = e.hash; !m.first(f.base+p.taken, uint(e.fold)) {
		return false
	}
	bit := uint(e.bit)
	m.bits[f.base+p.seen+int(bit/64)] |= 1 << (bit % 64)
	return true
}

// first notes that a member has come that has a name of its own, and ends the
// pass if it has come before.
func (m *machine) first(base int, fold uint) bool {
	word, bit := &m.bits[base+int(fold/64)], uint64(1)<<(fold%64)
	if *word&bit != 0 {
		return m.stop(jsonscan.ReasonDuplicate)
	}
	*word |= bit
	return true
}

// other returns the entry of a member without a name of its own.
func (m *machine) other(f *frame, name []byte) *entry {
	p := f.plan
	m.steps += 1 + len(p.patterns)*len(name)
	var buf [64]byte
	hash := foldHash(name, buf[:])
	if f.children {
		f.name = stringHash(name)
	}
	if p.names != nil {
		if fold, known := p.names.folded[hash]; known {
			if m.first(f.base+p.taken, uint(fold)) {
				m.stop(jsonscan.ReasonCase)
			}
			return nil
		}
	}
	if !m.members.add(f.marks, f.id, mark{hash: hash}, nil) {
		m.stop(jsonscan.ReasonDuplicate)
		return nil
	}
	mask := 0
	for i, pattern := range p.patterns {
		if pattern.match(name) {
			mask |= 1 << i
		}
	}
	return &p.others[mask]
}

// child asks what is asked of a child before it is seen.
func (m *machine) child(f *frame, e *entry) *entry {
	if f.n > f.plan.most && !m.exceeds(f) {
		return nil
	}
	if f.dead {
		return &everyone
	}
	if e.fails != nil && !m.failAll(e.fails, f) {
		return nil
	}
	for _, bit := range e.pends {
		m.bits[f.base+f.plan.pending+bit/64] |= 1 << (bit % 64)
	}
	return e
}

// exceeds asks maxItems or maxProperties.
func (m *machine) exceeds(f *frame) bool {
	for i := range f.plan.excess {
		if o := &f.plan.excess[i]; int64(f.n) > o.n && !m.fail(&o.place, f.base, len(m.frames)-1) {
			return false
		}
	}
	m.steps += len(f.plan.excess)
	return !m.changed || m.settle(f, len(m.frames)-1)
}

// failAll notes that schemas allow no child where one is.
func (m *machine) failAll(places []place, f *frame) bool {
	for i := range places {
		if !m.fail(&places[i], f.base, len(m.frames)) {
			return false
		}
	}
	m.steps += len(places)
	return !m.changed || m.settle(f, len(m.frames)-1)
}
