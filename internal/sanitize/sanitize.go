// Package sanitize rewrites what a message says without touching its form:
// the string values of a JSON text, or all of a plain one. Member names,
// numbers and structure stay as they were checked. A message in which nothing
// is to be rewritten is returned as it is, and costs no memory.
//
// It answers R36, treating data as untrusted in both directions.
package sanitize

import (
	"bytes"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// A Func returns a text rewritten, or its argument if it is good already. It
// must not change or keep its argument. What it returns that is not UTF-8 is
// replaced by U+FFFD.
type Func func(text []byte) []byte

// String makes a Func of a function on strings. It allocates for every text.
func String(f func(string) string) Func {
	return func(text []byte) []byte { return []byte(f(string(text))) }
}

// Strip removes what a reader does not see and a program may obey: the control
// characters U+0000 to U+001F, except tab, line feed and carriage return, and
// U+007F to U+009F; the byte order mark U+FEFF; and the overrides, embeddings
// and isolates of writing direction, U+202A to U+202E and U+2066 to U+2069,
// which make text look other than it is.
//
// Zero-width joiners, non-joiners and spaces stay, as do direction marks:
// emoji, Persian, Hindi and Thai are not written without them.
func Strip(text []byte) []byte {
	if bytes.IndexFunc(text, unwanted) < 0 {
		return text
	}
	return bytes.Map(func(r rune) rune {
		if unwanted(r) {
			return -1
		}
		return r
	}, text)
}

func unwanted(r rune) bool {
	switch {
	case r < ' ':
		return r != '\t' && r != '\n' && r != '\r'
	case r < 0x7F:
		return false
	}
	return r <= 0x9F || r == 0xFEFF || 0x202A <= r && r <= 0x202E || 0x2066 <= r && r <= 0x2069
}

// EscapeHTML writes & < > " ' as character references, so that the text can
// stand in an element or a quoted attribute. html.UnescapeString gives the
// text back. Each byte becomes at most five.
func EscapeHTML(text []byte) []byte {
	longer := 0
	for _, c := range text {
		longer += int(markup[c])
	}
	if longer == 0 {
		return text
	}
	out := make([]byte, 0, len(text)+longer)
	for _, c := range text {
		switch c {
		case '&':
			out = append(out, "&amp;"...)
		case '<':
			out = append(out, "&lt;"...)
		case '>':
			out = append(out, "&gt;"...)
		case '"':
			out = append(out, "&#34;"...)
		case '\'':
			out = append(out, "&#39;"...)
		default:
			out = append(out, c)
		}
	}
	return out
}

// markup tells by how many bytes EscapeHTML makes a character longer.
var markup = [256]uint8{'&': 4, '<': 3, '>': 3, '"': 4, '\'': 4}

// Text rewrites a plain text.
func Text(data []byte, f Func) []byte {
	out := f(data)
	if utf8.Valid(out) {
		return out
	}
	return bytes.ToValidUTF8(out, []byte("\uFFFD"))
}

// Strings rewrites the string values of a JSON text that has passed
// jsonscan.Scan, and panics or returns nonsense for one that has not. It
// returns data itself if f changes nothing, otherwise a new text, in which
// strings that changed have the shortest escapes and all else is as it was.
func Strings(data []byte, f Func) []byte {
	scratch := scratches.Get().(*[]byte)
	defer scratches.Put(scratch)
	var out []byte
	done := 0 // bytes of data that out has
	for i := 0; i < len(data); i++ {
		if data[i] != '"' {
			continue
		}
		start := i + 1
		i = end(data, start)
		if isName(data[i+1:]) {
			continue
		}
		raw := data[start:i]
		text := raw
		if bytes.IndexByte(raw, '\\') >= 0 {
			text = unescape(slices.Grow((*scratch)[:0], len(raw)), raw)
			if cap(text) <= maxScratch {
				*scratch = text
			}
		}
		if clean := f(text); !bytes.Equal(clean, text) {
			if out == nil {
				out = make([]byte, 0, len(data)+len(data)/8+len(clean))
			}
			out = appendEscaped(append(out, data[done:start]...), clean)
			done = i
		}
	}
	if done == 0 {
		return data
	}
	return append(out, data[done:]...)
}

// scratches hold the strings that were written with escapes, one at a time.
var scratches = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the size above which a scratch is not kept. The longest string
// that jsonscan lets pass by default fits, with what append adds to it.
const maxScratch = 32 << 10

// end returns the index of the quotation mark that ends the string whose
// content starts at i.
func end(data []byte, i int) int {
	for data[i] != '"' {
		if data[i] == '\\' {
			i++
		}
		i++
	}
	return i
}

// isName reports whether the string before rest is a member name.
func isName(rest []byte) bool {
	for _, c := range rest {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == ':'
		}
	}
	return false
}

func unescape(b, raw []byte) []byte {
	for len(raw) > 0 {
		r, size := jsonscan.DecodeRune(raw)
		b = utf8.AppendRune(b, r)
		raw = raw[size:]
	}
	return b
}

// appendEscaped appends the content of a JSON string.
func appendEscaped(b, text []byte) []byte {
	const hex = "0123456789abcdef"
	for len(text) > 0 {
		r, size := utf8.DecodeRune(text)
		text = text[size:]
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r >= ' ':
			b = utf8.AppendRune(b, r) // U+FFFD for what is not UTF-8
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\f':
			b = append(b, '\\', 'f')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&0xF])
		}
	}
	return b
}
