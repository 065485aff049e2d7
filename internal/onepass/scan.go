package onepass

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// A token is a scalar or a member name that has been read.
type token struct {
	kind    kind
	raw     []byte // of a string what stands between its quotation marks
	escaped bool
	runes   int    // of a string
	text    []byte // the string without escapes, once decoded has been asked
	plain   bool   // an integer of at most 18 digits
	n       int64  // that integer
	parsed  bool
	number  decimal // once decimal has been asked
}

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

// str scans the string that begins at pos.
func (m *machine) str() bool {
	data, i := m.data, m.pos+1
	start, more := i, 0 // more bytes than characters
	escaped := false
	for {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			quote, solidus := w^'"'*ones, w^'\\'*ones
			// The lowest bit set tells the first byte that is not plain.
			if t := (w | (w - ' '*ones) | (quote - ones) | (solidus - ones)) & high; t != 0 {
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
			t.kind, t.raw, t.escaped, t.runes, t.text = kString, data[start:i], escaped, i-start-more, nil
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
		return t.raw
	}
	if t.text == nil {
		text := m.text[:0]
		for raw := t.raw; len(raw) > 0; {
			if raw[0] != '\\' {
				text = append(text, raw[0])
				raw = raw[1:]
				continue
			}
			r, n := jsonscan.DecodeRune(raw)
			text = utf8.AppendRune(text, r)
			raw = raw[n:]
		}
		m.text, t.text = text, text
		m.steps += len(t.raw)
	}
	return t.text
}

// number scans the number that begins at pos.
func (m *machine) number() bool {
	start := m.pos
	neg := m.peek() == '-'
	if neg {
		m.pos++
	}
	first := m.pos
	n := int64(0)
	for m.pos < len(m.data) {
		c := m.data[m.pos] - '0'
		if c > 9 {
			break
		}
		n = n*10 + int64(c) // overflows where it is not plain
		if m.pos++; c == 0 && m.pos == first+1 {
			break // nothing follows a zero
		}
	}
	digits := m.pos - first
	if digits == 0 {
		return m.stop(jsonscan.ReasonSyntax)
	}
	plain := digits <= maxMant
	exponent := 0
	if m.peek() == '.' {
		m.pos++
		if plain = false; !m.digits() {
			return m.stop(jsonscan.ReasonSyntax)
		}
	}
	if m.peek()|0x20 == 'e' {
		m.pos++
		if c := m.peek(); c == '+' || c == '-' {
			m.pos++
		}
		from := m.pos
		if plain = false; !m.digits() {
			return m.stop(jsonscan.ReasonSyntax)
		}
		exponent = parseExponent(m.data[from:m.pos])
	}
	if m.pos-start > m.limits.NumberLength || exponent > m.limits.NumberExponent {
		return m.stop(jsonscan.ReasonNumber)
	}
	if neg {
		n = -n
	}
	t := &m.token
	t.kind, t.raw, t.plain, t.n, t.parsed = kNumber, m.data[start:m.pos], plain, n, false
	return true
}

// digits scans one digit or more.
func (m *machine) digits() bool {
	start := m.pos
	for c := m.peek(); '0' <= c && c <= '9'; c = m.peek() {
		m.pos++
	}
	return m.pos > start
}

// decimal returns the number of the token.
func (m *machine) decimal() *decimal {
	t := &m.token
	if !t.parsed {
		t.number, m.digit = parseDecimal(t.raw, m.digit)
		t.parsed = true
		m.steps += len(t.raw)
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
