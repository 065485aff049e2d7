package sanitize

import (
	"encoding/binary"
	"math/bits"
)

// What our own functions would rewrite can be seen in the bytes of a text, and
// most messages hold none of it. To look for it costs a tenth of what it costs
// to visit each string.

// Bytes that repeat one.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// Plain reports whether a text is ASCII in which neither [MayStrip] nor
// [MayEscape] could find anything. It is one look where they are two.
func Plain(data []byte) bool {
	var odd uint64
	for ; len(data) >= 16 && odd&high == 0; data = data[16:] {
		odd = special(binary.LittleEndian.Uint64(data)) | special(binary.LittleEndian.Uint64(data[8:]))
	}
	var last [16]byte
	copy(last[:], data)
	odd |= special(binary.LittleEndian.Uint64(last[:])) | special(binary.LittleEndian.Uint64(last[8:]))
	return odd&high == 0
}

// special sets the highest bit of a byte of w, at the least, if w has a byte
// that is not plain.
func special(w uint64) uint64 {
	// & and ' differ in one bit, and so do < and >.
	amp, angle, solidus, delete := (w|ones)^'\''*ones, (w|2*ones)^'>'*ones, w^'\\'*ones, w^0x7F*ones
	return w | (amp - ones) | (angle - ones) | (solidus - ones) | (delete - ones)
}

// MayStrip reports whether [Strip] may change a string value of a JSON text. The
// text need not have been scanned; if it is false, [Strings] would return it as
// it is, should it turn out to be JSON.
func MayStrip(data []byte) bool {
	for i := 0; i < len(data); {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			solidus, delete := w^'\\'*ones, w^0x7F*ones
			// The lowest bit set tells the first byte that is not plain.
			if t := (w | (solidus - ones) | (delete - ones)) & high; t != 0 {
				i += bits.TrailingZeros64(t) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			return false
		}
		n := 1
		switch rest := data[i:]; rest[0] {
		case '\\':
			var r rune
			if r, n = escaped(rest); unwanted(r) {
				return true
			}
		case 0x7F:
			return true
		case 0xC2: // U+0080 to U+00BF
			if len(rest) > 1 && rest[1] <= 0x9F {
				return true
			}
		case 0xE2: // U+2000 to U+2FFF
			if len(rest) > 2 && unwanted(0x2000|rune(rest[1]&0x3F)<<6|rune(rest[2]&0x3F)) {
				return true
			}
		case 0xEF: // U+F000 to U+FFFF
			if len(rest) > 2 && rest[1] == 0xBB && rest[2] == 0xBF {
				return true
			}
		}
		i += n
	}
	return false
}

// MayEscape is [MayStrip] for [EscapeHTML].
func MayEscape(data []byte) bool {
	for i := 0; i < len(data); {
		for i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			// & and ' differ in one bit, and so do < and >.
			amp, angle, solidus := (w|ones)^'\''*ones, (w|2*ones)^'>'*ones, w^'\\'*ones
			if t := ((amp - ones) | (angle - ones) | (solidus - ones)) &^ w & high; t != 0 {
				i += bits.TrailingZeros64(t) / 8
				break
			}
			i += 8
		}
		if i >= len(data) {
			return false
		}
		n := 1
		switch c := data[i]; {
		case c == '\\':
			var r rune
			if r, n = escaped(data[i:]); r < rune(len(markup)) && markup[r] > 0 {
				return true
			}
		case c != '"' && markup[c] > 0: // every string has quotation marks around it
			return true
		}
		i += n
	}
	return false
}

// escaped returns the character of the escape sequence that b begins with, and
// its length. Of what is none, or half of a surrogate pair, it returns a
// character that nobody would rewrite.
func escaped(b []byte) (rune, int) {
	if len(b) < 2 {
		return ' ', len(b)
	}
	switch b[1] {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case '"':
		return '"', 2
	case 'u':
		if len(b) < 6 {
			return ' ', 2
		}
		var r rune
		for _, c := range b[2:6] {
			switch {
			case '0' <= c && c <= '9':
				r = r<<4 | rune(c-'0')
			case 'a' <= c|0x20 && c|0x20 <= 'f':
				r = r<<4 | rune(c|0x20-'a'+10)
			default:
				return ' ', 2
			}
		}
		return r, 6
	}
	return ' ', 2
}
