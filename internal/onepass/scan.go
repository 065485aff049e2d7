package onepass

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// A token is a scalar or a member name that has been read.
type token struct {
	kind    kind
	part    span // of a string what stands between its quotation marks
	escaped bool
	plain   bool  // a string, or an integer of at most 18 digits
	low     int64 // a number is not below low and not above high, which are
	high    int64 // the same for a plain one; of a string both are its characters
	read    bool  // text or number is there, as decoded or decimal has been asked
	text    []byte
	number  decimal
}

// raw returns the token as it stands in the message.
func (m *machine) raw() []byte { return m.data[m.token.part.start:m.token.part.end] }

// peek returns the next byte, and at the end 0, which no JSON text holds.
func (m *machine) peek() byte {
	if m.pos < len(m.data) {
		return m.data[m.pos]
	}
	return 0
}

// space passes white space and returns the byte behind it.
func (m *machine) space() byte {
	for m.pos < len(m.data) {
		c := m.data[m.pos]
		if c > ' ' || c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
		m.pos++
	}
	return 0
}

// Bytes that repeat one.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// odd tells by its lowest bit which is the first of eight bytes that does not
// stand for itself in a string, or is not ASCII. It is 0 if all are plain.
func odd(w uint64) uint64 {
	quote, solidus := w^'"'*ones, w^'\\'*ones
	return (w | (w - ' '*ones) | (quote - ones) | (solidus - ones)) & high
}

// str scans the string that begins at pos.
func (m *machine) str() bool {
	data, i := m.data, m.pos+1
	start, more := i, 0 // more bytes than characters
	escaped := false
	for {
		for i+8 <= len(data) {
			if t := odd(binary.LittleEndian.Uint64(data[i:])); t != 0 {
				i += bits.TrailingZeros64(t) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			return m.stop(jsonscan.ReasonSyntax)
		}
		switch c := data[i]; {
		case c == '"':
			if i-start > m.limits.StringLength {
				return m.stop(jsonscan.ReasonStringLength)
			}
			m.pos = i + 1
			t := &m.token
			t.kind, t.part, t.escaped, t.plain, t.read = kString, span{start, i}, escaped, true, false
			t.low = int64(i - start - more)
			t.high = t.low
			return true
		case c == '\\':
			n, reason := jsonscan.Escape(data[i:])
			if reason != "" {
				return m.stop(reason)
			}
			escaped = true
			i += n
			more += n - 1
		case c < ' ':
			return m.stop(jsonscan.ReasonSyntax)
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && n == 1 {
				return m.stop(jsonscan.ReasonUTF8)
			}
			i += n
			more += n - 1
		}
	}
}

// decoded returns the string of the token without escapes.
func (m *machine) decoded() []byte {
	t := &m.token
	if !t.escaped {
		return m.raw()
	}
	if !t.read {
		text := m.text[:0]
		for raw := m.raw(); len(raw) > 0; {
			if raw[0] != '\\' {
				text = append(text, raw[0])
				raw = raw[1:]
				continue
			}
			r, n := jsonscan.DecodeRune(raw)
			text = utf8.AppendRune(text, r)
			raw = raw[n:]
		}
		m.text, t.text, t.read = text, text, true
		m.steps += t.part.end - t.part.start
	}
	return t.text
}

// short is a length up to which a float64 holds every number without exponent.
const short = 18

// number scans the number that begins at pos.
func (m *machine) number() bool {
	data, start := m.data, m.pos
	first := start
	if first < len(data) && data[first] == '-' {
		first++
	}
	i, n := first, int64(0)
	for ; i < len(data) && data[i]-'0' <= 9; i++ {
		n = n*10 + int64(data[i]-'0') // overflows where there are more than 18
	}
	if i == first {
		return m.stop(jsonscan.ReasonSyntax)
	}
	if data[first] == '0' {
		i, n = first+1, 0 // nothing follows a zero
	}
	if first > start {
		n = -n
	}
	t := &m.token
	t.kind, t.plain, t.read, t.low, t.high = kNumber, true, false, n, n
	if i-first > maxMant {
		t.plain, t.low, t.high = false, math.MinInt64, math.MaxInt64
	}
	exponent := 0
	if i < len(data) && (data[i] == '.' || data[i]|0x20 == 'e') {
		if i, exponent = m.fraction(i); i < 0 {
			return m.stop(jsonscan.ReasonSyntax)
		}
	}
	if (exponent != 0 || i-start > min(short, m.limits.NumberLength)) && m.limits.RefusesNumber(data[start:i], exponent) {
		return m.stop(jsonscan.ReasonNumber)
	}
	t.part, m.pos = span{start, i}, i
	return true
}

// fraction scans what follows the integer digits of a number and returns its
// end, or -1, and the exponent.
func (m *machine) fraction(i int) (end, exponent int) {
	data, t := m.data, &m.token
	if data[i] == '.' {
		from := i + 1
		if i = pastDigits(data, from); i == from {
			return -1, 0
		}
		if t.plain {
			t.low, t.high = t.low-1, t.high+1
		}
	}
	t.plain = false
	if i < len(data) && data[i]|0x20 == 'e' {
		if i++; i < len(data) && (data[i] == '+' || data[i] == '-') {
			i++
		}
		from := i
		if i = pastDigits(data, from); i == from {
			return -1, 0
		}
		exponent = parseExponent(data[from:i])
		t.low, t.high = math.MinInt64, math.MaxInt64
	}
	return i, exponent
}

// pastDigits returns where the digits that begin at i end.
func pastDigits(data []byte, i int) int {
	for i < len(data) && data[i]-'0' <= 9 {
		i++
	}
	return i
}

// decimal returns the number of the token.
func (m *machine) decimal() *decimal {
	t := &m.token
	if !t.read {
		t.number, m.digit = parseDecimal(m.raw(), m.digit)
		t.read = true
		m.steps += t.part.end - t.part.start
	}
	return &t.number
}

func (m *machine) literal(want string, k kind) bool {
	if rest := m.data[m.pos:]; len(rest) < len(want) || string(rest[:len(want)]) != want {
		return m.stop(jsonscan.ReasonSyntax)
	}
	m.pos += len(want)
	m.token.kind = k
	return true
}
