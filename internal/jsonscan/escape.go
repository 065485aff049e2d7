package jsonscan

import (
	"unicode/utf16"
	"unicode/utf8"
)

// Escape returns the length of the escape sequence that rest begins with, or
// the reason for which it is none. A surrogate must be the first of a pair:
// decoders make U+FFFD of a lone one, so that two strings become one.
func Escape(rest []byte) (size int, reason string) {
	if len(rest) < 2 {
		return 0, ReasonSyntax
	}
	switch rest[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2, ""
	case 'u':
		r := hex4(rest[2:])
		switch {
		case r < 0:
			return 0, ReasonSyntax
		case !utf16.IsSurrogate(r):
			return 6, ""
		case len(rest) < 8 || rest[6] != '\\' || rest[7] != 'u' || utf16.DecodeRune(r, hex4(rest[8:])) == utf8.RuneError:
			return 0, ReasonUTF8
		}
		return 12, ""
	}
	return 0, ReasonSyntax
}

// hex4 returns the value of the four hexadecimal digits that b begins with,
// and -1 if it does not.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var r rune
	for _, c := range b[:4] {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		r = r<<4 | rune(c)
	}
	return r
}

// DecodeRune returns the first character of raw, which is what stands between
// the quotation marks of a string that has passed [Scan], or the rest of it,
// and the number of bytes it is written with. It panics or returns nonsense if
// raw is empty or has not passed.
func DecodeRune(raw []byte) (r rune, size int) {
	if raw[0] != '\\' {
		return utf8.DecodeRune(raw)
	}
	switch c := raw[1]; c {
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		if r = hex4(raw[2:]); utf16.IsSurrogate(r) {
			return utf16.DecodeRune(r, hex4(raw[8:])), 12
		}
		return r, 6
	default: // quotation mark, reverse solidus, solidus
		return rune(c), 2
	}
}
