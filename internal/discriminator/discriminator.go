// Package discriminator finds in a JSON message the member that says which
// type the message is of, before anything else is known about it.
//
// It builds no value, takes no memory, and usually stops at the first member.
// It does not check the message: whoever asks has the whole of it checked
// afterwards, duplicates and names that differ in case included. What is
// promised is about messages that pass that check: no decoder, whether it
// minds the case of names or not, sees another type than the one found here.
//
// It answers R36 and R40.
package discriminator

import (
	"bytes"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// MaxLength is the greatest length in bytes of a name and of a type.
const MaxLength = 128

// A Buffer holds a type that the message writes with escapes.
type Buffer [MaxLength]byte

// Find returns the string that the top-level member name has, without its
// escapes: a part of message, or of buf. It reports false if the message is no
// object, has no such member or one that is no string, or one that a decoder
// may take for it because only its case differs, and for a type with escapes
// that is longer than MaxLength. What it makes of a text that is not JSON means
// nothing, but takes time in proportion to its length.
func Find(message, name []byte, buf *Buffer) (value []byte, ok bool) {
	at := space(message, 0)
	if peek(message, at) != '{' {
		return nil, false
	}
	for {
		at = space(message, at+1)
		if peek(message, at) != '"' {
			return nil, false
		}
		end := closing(message, at+1)
		raw := message[min(at+1, end):end]
		at = space(message, end+1)
		if peek(message, at) != ':' {
			return nil, false
		}
		at = space(message, at+1)
		same, exact := compare(raw, name)
		if same {
			return text(message, at, exact, buf)
		}
		if at = space(message, skip(message, at)); peek(message, at) != ',' {
			return nil, false
		}
	}
}

// text returns the string at a place, unless the name before it was not exact.
func text(message []byte, at int, exact bool, buf *Buffer) (value []byte, ok bool) {
	if !exact || peek(message, at) != '"' {
		return nil, false
	}
	end := closing(message, at+1)
	raw := message[min(at+1, end):end]
	if bytes.IndexByte(raw, '\\') < 0 {
		return raw, end < len(message)
	}
	return unescape(buf[:0], raw)
}

// compare says whether a decoder may take a name for the one wanted, and
// whether all do.
func compare(raw, name []byte) (same, exact bool) {
	if bytes.Equal(raw, name) {
		return true, true
	}
	if bytes.IndexByte(raw, '\\') >= 0 {
		// K (U+212A) is K: what is one but for case is at most three times as long.
		var buf [3 * MaxLength]byte
		var ok bool
		if raw, ok = unescape(buf[:0], raw); !ok {
			return false, false
		}
	}
	return bytes.EqualFold(raw, name), bytes.Equal(raw, name)
}

// unescape appends what a string says to b, which must not grow. It reports
// false if there is no room, or if an escape is malformed or a lone surrogate.
func unescape(b, raw []byte) (out []byte, ok bool) {
	for len(raw) > 0 {
		if raw[0] == '\\' {
			if _, wrong := jsonscan.Escape(raw); wrong != "" {
				return nil, false
			}
		}
		r, n := jsonscan.DecodeRune(raw)
		if len(b)+utf8.RuneLen(r) > cap(b) {
			return nil, false
		}
		b = utf8.AppendRune(b, r)
		raw = raw[n:]
	}
	return b, true
}

// skip returns the index behind the value at a place.
func skip(b []byte, at int) int {
	for depth := 0; at < len(b); {
		switch b[at] {
		case '"':
			at = closing(b, at+1)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth < 0 {
				return at // of the object around the value
			}
		case ',':
			if depth == 0 {
				return at
			}
		}
		at++
	}
	return len(b)
}

// closing returns the index of the quotation mark that ends the string whose
// content begins at a place, or the length of b if none does.
func closing(b []byte, at int) int {
	for at < len(b) {
		switch b[at] {
		case '"':
			return at
		case '\\':
			at++
		}
		at++
	}
	return len(b)
}

// peek returns a byte, and at the end 0, which no JSON text holds.
func peek(b []byte, at int) byte {
	if at < len(b) {
		return b[at]
	}
	return 0
}

func space(b []byte, at int) int {
	for {
		switch peek(b, at) {
		case ' ', '\t', '\n', '\r':
			at++
		default:
			return at
		}
	}
}
