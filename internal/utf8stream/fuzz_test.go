package utf8stream_test

import (
	"encoding/binary"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/utf8stream"
)

// completions of what could be the beginning of a character: after F0 only the
// last, after E0 only the one before will do.
var completions = []string{"", "\x80", "\x80\x80", "\x80\x80\x80", "\xa0\x80", "\x90\x80\x80"}

// hopeful reports whether a text that begins with p can be valid.
func hopeful(p []byte) bool {
	p = append(make([]byte, 0, 64), p...)
	for _, s := range completions {
		if utf8.Valid(append(p, s...)) {
			return true
		}
	}
	return false
}

// firstBad is the index of the byte that leaves a text without hope.
func firstBad(text []byte) int {
	for at := 0; at < len(text); {
		r, size := utf8.DecodeRune(text[at:])
		if r != utf8.RuneError || size != 1 {
			at += size
			continue
		}
		for end := at + 1; end <= len(text); end++ {
			if !hopeful(text[at:end]) {
				return end - 1
			}
		}
		return never
	}
	return never
}

// FuzzChecker sends arbitrary bytes in arbitrary pieces and frames. They must
// be refused at the first byte that leaves no hope, and end well only if they
// are UTF-8. Each byte of cuts is a piece: its length, and whether it begins a
// frame.
func FuzzChecker(f *testing.F) {
	for i, row := range rows {
		f.Add([]byte(row.text), []byte{0x81, 1}, uint32(0x3d21fa37), uint8(i))
		f.Add([]byte("0123456789"+row.text+"0123456789 0123456789 0123456789"), []byte{11, 0xa8, 3}, uint32(0xff7f0080), uint8(i))
	}
	f.Fuzz(func(t *testing.T, text, cuts []byte, keys uint32, at uint8) {
		if len(text) > 128 {
			return
		}
		var pieces []piece
		next := piece{at: int64(at)}
		binary.LittleEndian.PutUint32(next.key[:], keys)
		rest := len(text)
		for _, cut := range cuts {
			next.n = min(int(cut&0x7f), rest)
			if cut&0x80 != 0 {
				keys = keys*1664525 + 1013904223
				binary.LittleEndian.PutUint32(next.key[:], keys)
				next.at = 0
			}
			pieces = append(pieces, next)
			next.at += int64(next.n)
			rest -= next.n
		}
		next.n = rest
		pieces = append(pieces, next)

		bad, valid := firstBad(text), utf8.Valid(text)
		var c utf8stream.Checker
		receive(t, &c, text, bad, pieces...)
		if got := c.Complete(); got != valid {
			t.Fatalf("% x: complete is %v, want %v", text, got, valid)
		}
		if got, want := c.Plain(text), bad == never; got != want {
			t.Fatalf("% x: plain, good is %v, want %v", text, got, want)
		}
		if got := c.Complete(); got != valid {
			t.Fatalf("% x: plain, complete is %v, want %v", text, got, valid)
		}
	})
}
