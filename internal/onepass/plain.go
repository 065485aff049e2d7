package onepass

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// Most values of a message are scalars that no branch asks about: short
// numbers, strings without escapes, literals, for which a schema wants a kind
// and a range. They are passed over here, without a token or a verdict. This
// way decides nothing else: it passes over a whole value that is allowed, or
// leaves the machine where it was, so that whatever is out of the ordinary, and
// each refusal, is for the general way.

// A reach is which values of a kind are allowed without another question:
// numbers or lengths between low and high, and none if low is above high.
type reach struct {
	low, high int64
	integers  bool // but no other numbers
	steps     int  // what the general way counts for such a value
}

// anything is the reach of children of whom nothing is asked.
var anything = func() (all [kinds]reach) {
	for k := range kArray {
		all[k] = reach{low: math.MinInt64, high: math.MaxInt64}
	}
	all[kArray], all[kObject] = nothing, nothing
	return all
}()

var nothing = reach{low: math.MaxInt64, high: math.MinInt64}

// reach returns what the group allows at once.
func (g *group) reach() (all [kinds]reach) {
	for k, p := range g.plans {
		switch {
		case p == nil:
			all[k] = anything[k]
		case p.reject == "" && p.joins == nil && p.failed == 0 && (kind(k) == kNumber || kind(k) == kString):
			all[k] = reach{low: p.low, high: p.high, integers: p.plain, steps: p.steps}
		default:
			all[k] = nothing
		}
	}
	return all
}

// children begins the children of a frame from the one at pos on, and passes
// over those that are plain. It returns the entry of the first that is not; or
// none, behind the last.
func (m *machine) children(f *frame) (e *entry, ok bool) {
	for {
		if f.kind == kObject {
			e = m.member(f)
		} else {
			e = m.item(f)
		}
		if e == nil {
			return nil, false
		}
		if e.reach == nil || f.general || !m.plain(e.reach) {
			return e, true
		}
		if m.pos >= len(m.data) || m.data[m.pos] != ',' {
			return nil, true
		}
		m.pos++
		m.space()
	}
}

// plain passes over the value at pos, if it is within reach.
func (m *machine) plain(within *[kinds]reach) bool {
	if m.pos >= len(m.data) || m.nodes >= m.limits.Nodes {
		return false
	}
	size, r := 0, &within[kNumber]
	switch c := m.data[m.pos]; {
	case c <= '9' && c != '"':
		size = m.plainNumber(r)
	case c == '"':
		r = &within[kString]
		if r.low <= r.high {
			size = m.plainString(r)
		}
	case c == 't':
		r = &within[kTrue]
		size = m.plainLiteral("true", r)
	case c == 'f':
		r = &within[kFalse]
		size = m.plainLiteral("false", r)
	case c == 'n':
		r = &within[kNull]
		size = m.plainLiteral("null", r)
	}
	if size == 0 {
		return false
	}
	m.pos += size
	m.nodes++
	m.steps += 1 + r.steps
	return true
}

// plainNumber returns the length of the number at pos, and 0 if it is not
// plain: short, without exponent and within reach.
func (m *machine) plainNumber(r *reach) int {
	data := m.data[m.pos:min(m.pos+short+1, len(m.data))]
	first := 0
	if data[0] == '-' {
		first = 1
	}
	i, n := first, int64(0)
	for ; i < len(data) && data[i]-'0' <= 9; i++ {
		n = n*10 + int64(data[i]-'0')
	}
	if i == first || data[first] == '0' && i > first+1 {
		return 0
	}
	if first > 0 {
		n = -n
	}
	low, high := n, n
	if i < len(data) && data[i] == '.' {
		point := i
		if i = pastDigits(data, point+1); i == point+1 || r.integers {
			return 0
		}
		low, high = n-1, n+1
	}
	if i < len(data) && data[i]|0x20 == 'e' || i > min(short, m.limits.NumberLength) || low < r.low || high > r.high {
		return 0
	}
	return i
}

// plainString returns the length of the string at pos with its quotation marks,
// and 0 if it is not plain: of printable ASCII without escapes and within reach.
func (m *machine) plainString(r *reach) int {
	data := m.data
	start := m.pos + 1
	i := start
	for ; i+8 <= len(data); i += 8 {
		t := odd(binary.LittleEndian.Uint64(data[i:]))
		if t == 0 {
			continue
		}
		i += bits.TrailingZeros64(t) / 8
		n := i - start
		if data[i] == '"' && n <= m.limits.StringLength && r.low <= int64(n) && int64(n) <= r.high {
			return n + 2
		}
		break
	}
	m.steps += i - start // are read again
	return 0
}

func (m *machine) plainLiteral(want string, r *reach) int {
	if rest := m.data[m.pos:]; r.low > r.high || len(rest) < len(want) || string(rest[:len(want)]) != want {
		return 0
	}
	return len(want)
}

// shortName returns the entry of the member whose name begins at pos, and its
// length with quotation marks, if the name has a shortHash and an entry.
func (m *machine) shortName(p *plan) (e *entry, size int) {
	data := m.data
	i := m.pos + 1
	if p.shorts == nil || m.general || i+8 > len(data) {
		return nil, 0
	}
	word := binary.LittleEndian.Uint64(data[i:])
	quote := word ^ '"'*ones
	end := (quote - ones) &^ quote & high
	if end == 0 {
		return nil, 0
	}
	end &= -end // the highest bit of the first quotation mark
	if size = bits.TrailingZeros64(end)/8 + 2; size-2 > m.limits.StringLength {
		return nil, 0
	}
	return p.shorts.short(word & (end<<1 - 1)), size
}
