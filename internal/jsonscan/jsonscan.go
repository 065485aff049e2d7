// Package jsonscan decides whether a JSON text from a stranger may be decoded.
//
// A text that passes means the same to every reader: RFC 8259 to the letter,
// well-formed Unicode, no member name twice in one object. And it is small in
// each direction in which decoders and validators are slow. The scan is a
// single pass in linear time that allocates nothing for an ordinary message.
//
// It answers R35 (structure of each message), R36 (nothing is trusted) and
// R43 (UTF-8).
package jsonscan

import (
	"bytes"
	"cmp"
	"strconv"
	"sync"
	"unicode/utf8"
)

// The values of Error.Reason.
const (
	ReasonSyntax       = "syntax"           // not RFC 8259, also an empty text and a byte order mark
	ReasonTrailingData = "trailing_data"    // a second text after the first
	ReasonUTF8         = "utf8"             // a string that is not UTF-8, or a lone surrogate escape
	ReasonDuplicate    = "duplicate_member" // two member names that a decoder may take for one
	ReasonCase         = "member_case"      // a name that a decoder may take for another one of the schema; [Scan] knows none
	ReasonDepth        = "depth"
	ReasonNumber       = "number" // too long, or beyond a float64
	ReasonStringLength = "string_length"
	ReasonItems        = "items"
	ReasonMembers      = "members"
	ReasonNodes        = "nodes"
)

// Limits bounds what a text may hold. A field that is zero stands for its
// value in [Default]; a negative one refuses whatever it counts.
type Limits struct {
	// Depth is the greatest nesting of arrays and objects. 10,000 is the most
	// that has an effect, as encoding/json refuses what is deeper.
	Depth int
	// NumberLength is the greatest length of a number in bytes.
	NumberLength int
	// NumberExponent is the greatest absolute value of a number's exponent.
	NumberExponent int
	// StringLength is the greatest length in bytes of a string or member name
	// as it is written, between its quotation marks.
	StringLength int
	// Items is the greatest number of items in one array.
	Items int
	// Members is the greatest number of members in one object.
	Members int
	// Nodes is the greatest number of values in all: objects, arrays, strings,
	// numbers and literals. Member names are not counted.
	Nodes int
}

// maxDepth is the nesting that encoding/json accepts.
const maxDepth = 10_000

// Default returns the limits that hold where none are set.
func Default() Limits {
	return Limits{
		// Validation errors on recursive schemas cost the cube of the depth:
		// 32 levels 0.4 ms, 1,000 levels 3 s. Messages rarely have ten.
		Depth: 32,
		// A float64 needs 24 bytes, an identifier of 128 bits 39, one of 200
		// bits 61. Exact arithmetic on longer ones is work for a stranger.
		NumberLength: 64,
		// The range of a float64. Validators turn 1e1000000 into a megabyte,
		// and some panic on the next power of ten.
		NumberExponent: 308,
		// A long chat message or a small picture in base64, and the most that
		// a pattern is ever matched against.
		StringLength: 16 << 10,
		// Comparing the items of an array with each other can be made to cost
		// the square of their number: 20 ms at a thousand.
		Items: 1024,
		// More than any type in a program has fields.
		Members: 256,
		// Each value costs a validator 1 µs to 10 µs and up to 4 KB where it is
		// wrong: 4,096 of them stay below 50 ms with an ordinary schema.
		Nodes: 4096,
	}
}

// OrDefault returns the limits with those of [Default] where l has zero.
func (l Limits) OrDefault() Limits {
	d := Default()
	return Limits{
		Depth:          min(cmp.Or(l.Depth, d.Depth), maxDepth),
		NumberLength:   cmp.Or(l.NumberLength, d.NumberLength),
		NumberExponent: cmp.Or(l.NumberExponent, d.NumberExponent),
		StringLength:   cmp.Or(l.StringLength, d.StringLength),
		Items:          cmp.Or(l.Items, d.Items),
		Members:        cmp.Or(l.Members, d.Members),
		Nodes:          cmp.Or(l.Nodes, d.Nodes),
	}
}

// An Error says why a text was refused. It holds nothing of the text: a path
// to the place would be made of names that the peer chose.
type Error struct {
	Reason string // one of the Reason constants
	Offset int    // in bytes, where the scan stopped
}

// Error returns the reason and the offset.
func (e *Error) Error() string { return e.Reason + " at byte " + strconv.Itoa(e.Offset) }

// Scan returns nil if data is one JSON text within the limits, otherwise an
// [*Error]. It may be called concurrently and keeps nothing of data.
func Scan(data []byte, l Limits) error {
	s := scanners.Get().(*scanner)
	s.data, s.limits = data, l.OrDefault()
	reason, offset := s.text(), s.pos
	s.names.reset()
	s.data, s.pos, s.nodes, s.objects = nil, 0, 0, 0
	scanners.Put(s)
	if reason != "" {
		return &Error{Reason: reason, Offset: offset}
	}
	return nil
}

var scanners = sync.Pool{New: func() any {
	s := new(scanner)
	s.names.init()
	return s
}}

// A scanner is one pass over one text. Its methods return the reason for
// which the text is refused, or "", and leave pos where they stopped.
type scanner struct {
	data    []byte
	pos     int
	limits  Limits
	nodes   int
	objects uint32
	names   nameSet
}

func (s *scanner) text() string {
	s.space()
	if reason := s.value(0); reason != "" {
		return reason
	}
	s.space()
	if s.pos < len(s.data) {
		return ReasonTrailingData
	}
	return ""
}

// peek returns the next byte, and at the end 0, which no JSON text holds.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) {
		return s.data[s.pos]
	}
	return 0
}

func (s *scanner) eat(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.pos++
	return true
}

func (s *scanner) space() {
	for {
		switch s.peek() {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// value scans a value inside of depth arrays and objects. It recurses only
// as far as Limits.Depth allows.
func (s *scanner) value(depth int) string {
	if s.nodes++; s.nodes > s.limits.Nodes {
		return ReasonNodes
	}
	switch c := s.peek(); c {
	case '{':
		return s.object(depth + 1)
	case '[':
		return s.array(depth + 1)
	case '"':
		_, reason := s.str()
		return reason
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) object(depth int) string {
	if depth > s.limits.Depth {
		return ReasonDepth
	}
	s.pos++
	s.space()
	if s.eat('}') {
		return ""
	}
	s.objects++
	object := s.objects
	for n := 1; ; n++ {
		if n > s.limits.Members {
			return ReasonMembers
		}
		s.space()
		if s.peek() != '"' {
			return ReasonSyntax
		}
		name, reason := s.str()
		if reason != "" {
			return reason
		}
		if !s.names.add(object, name) {
			return ReasonDuplicate
		}
		s.space()
		if !s.eat(':') {
			return ReasonSyntax
		}
		s.space()
		if reason := s.value(depth); reason != "" {
			return reason
		}
		s.space()
		if s.eat('}') {
			return ""
		}
		if !s.eat(',') {
			return ReasonSyntax
		}
	}
}

func (s *scanner) array(depth int) string {
	if depth > s.limits.Depth {
		return ReasonDepth
	}
	s.pos++
	s.space()
	if s.eat(']') {
		return ""
	}
	for n := 1; ; n++ {
		if n > s.limits.Items {
			return ReasonItems
		}
		s.space()
		if reason := s.value(depth); reason != "" {
			return reason
		}
		s.space()
		if s.eat(']') {
			return ""
		}
		if !s.eat(',') {
			return ReasonSyntax
		}
	}
}

func (s *scanner) literal(want string) string {
	if rest := s.data[s.pos:]; len(rest) < len(want) || string(rest[:len(want)]) != want {
		return ReasonSyntax
	}
	s.pos += len(want)
	return ""
}

func (s *scanner) number() string {
	start := s.pos
	s.eat('-')
	if !s.eat('0') && !s.digits() {
		return ReasonSyntax
	}
	if s.eat('.') && !s.digits() {
		return ReasonSyntax
	}
	exponent := 0
	if s.eat('e') || s.eat('E') {
		if !s.eat('+') {
			s.eat('-')
		}
		first := s.pos
		if !s.digits() {
			return ReasonSyntax
		}
		for _, c := range s.data[first:s.pos] {
			exponent = min(exponent*10+int(c-'0'), 1<<24) // saturates
		}
	}
	if s.limits.RefusesNumber(s.data[start:s.pos], exponent) {
		return ReasonNumber
	}
	return ""
}

// RefusesNumber reports whether a number with an exponent of that absolute value
// is too long or too large for the limits, or for a float64: decoders make
// infinity of what is above its range, or fail, and 0 of what is below, which
// may be the very value that a schema excludes.
func (l *Limits) RefusesNumber(number []byte, exponent int) bool {
	if len(number) > l.NumberLength || exponent > l.NumberExponent {
		return true
	}
	if len(number)+exponent < 300 { // in the usual case
		return false
	}
	f, err := strconv.ParseFloat(string(number), 64)
	mantissa, _, _ := bytes.Cut(bytes.ToLower(number), []byte("e"))
	return err != nil || f == 0 && bytes.ContainsAny(mantissa, "123456789")
}

// digits scans one digit or more.
func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

// str scans a string and returns what stands between its quotation marks.
func (s *scanner) str() (raw []byte, reason string) {
	s.pos++
	start := s.pos
	for {
		switch c := s.peek(); {
		case c == '"':
			raw = s.data[start:s.pos]
			if len(raw) > s.limits.StringLength {
				return nil, ReasonStringLength
			}
			s.pos++
			return raw, ""
		case c == '\\':
			size, reason := Escape(s.data[s.pos:])
			if reason != "" {
				return nil, reason
			}
			s.pos += size
		case c < ' ': // a control character, or the end
			return nil, ReasonSyntax
		case c < utf8.RuneSelf:
			s.pos++
		default:
			r, n := utf8.DecodeRune(s.data[s.pos:])
			if r == utf8.RuneError && n == 1 {
				return nil, ReasonUTF8
			}
			s.pos += n
		}
	}
}
