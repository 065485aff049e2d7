// Package logsafe makes values that a peer chose fit for a log line.
//
// The handlers of log/slog escape line feeds, but JSONHandler writes bidi
// controls, DEL and C1 raw, and TextHandler writes DEL raw: a terminal or an
// editor that shows the log would obey them.
package logsafe

import (
	"strconv"
	"unicode/utf8"
)

// MaxBytes bounds what String returns, in bytes.
const MaxBytes = 256

// String returns s with everything that is not printable, in the sense of
// [strconv.IsPrint], escaped as in a Go string literal: controls, C1, DEL, bidi
// and zero-width marks, line separators, and bytes that are not UTF-8. The
// backslash is escaped too, so that no peer can write what looks like an escape
// of ours. The result is valid UTF-8 of at most [MaxBytes], and is cut neither
// inside a rune nor inside an escape. It does not allocate when there is nothing
// to escape. R56.
func String(s string) string {
	clean := 0
	for clean < len(s) {
		n, ok := printable(s[clean:])
		if clean+n > MaxBytes {
			return s[:clean]
		}
		if !ok {
			return escape(s, clean)
		}
		clean += n
	}
	return s
}

// escape does the work of String once its first clean bytes are known to stay
// as they are.
func escape(s string, clean int) string {
	out := make([]byte, 0, MaxBytes)
	out = append(out, s[:clean]...)
	var quoted [16]byte
	for rest := s[clean:]; rest != ""; {
		n, ok := printable(rest)
		piece := []byte(rest[:n])
		if !ok {
			piece = strconv.AppendQuote(quoted[:0], rest[:n])
			piece = piece[1 : len(piece)-1]
		}
		if len(out)+len(piece) > MaxBytes {
			break
		}
		out = append(out, piece...)
		rest = rest[n:]
	}
	return string(out)
}

// printable returns the length of the first rune of s, which is not empty, and
// whether that rune may stay as it is.
func printable(s string) (n int, ok bool) {
	if c := s[0]; c < utf8.RuneSelf {
		return 1, ' ' <= c && c <= '~' && c != '\\'
	}
	r, n := utf8.DecodeRuneInString(s)
	return n, n > 1 && strconv.IsPrint(r)
}
