package sanitize_test

import (
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/sanitize"
)

// What is rewritten is spotted, and what ordinary people write is not taken
// for it. R36
func TestSpot(t *testing.T) {
	for _, row := range []struct {
		name, text    string
		strip, escape bool
	}{
		{"ordinary", chat, false, false},
		{"nothing", ``, false, false},
		{"other scripts", `"Ünïcödé 漢字 😀 שלום – “quoted” … ’"`, false, false},
		{"short escapes", `"\\ \/ \n \r \t"`, false, false},
		{"escaped letters", `"caf\u00e9 \uD83D\uDE00 \u2029\u202f\u2065\u206a"`, false, false},
		{"escaped quotation mark", `"\""`, false, true},
		{"markup", `"a<b"`, false, true},
		{"ampersand", `"&"`, false, true},
		{"apostrophe", `"it's"`, false, true},
		{"markup in escapes", `"\u003c"`, false, true},
		{"quotation mark in an escape", `"\u0022"`, false, true},
		{"control characters in escapes", `"\u001B"`, true, false},
		{"backspace", `"\b"`, true, false},
		{"form feed", `"\f"`, true, false},
		{"behind an escaped solidus", `"\\\u0000"`, true, false},
		{"no escape behind an escaped solidus", `"\\u0000"`, false, false},
		{"DEL", "\"\x7f\"", true, false},
		{"C1, first and last", "\"\u0080\"", true, false},
		{"C1, last", "\"\u009f\"", true, false},
		{"no-break space", "\"\u00a0\"", false, false},
		{"byte order mark", "\"\ufeff\"", true, false},
		{"byte order mark in an escape", `"\uFeFf"`, true, false},
		{"override", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u202e\"", true, false},
		{"isolate", "\"\u2069\"", true, false},
		{"joiners and direction marks", "\"\u200d\u200c\u200e\u200f\"", false, false},
		{"ends in an escape", `"\u00`, false, false},
		{"ends in a solidus", `"\`, false, false},
		{"ends in a character", "\"\xe2\x80", false, false},
	} {
		for shift := range 9 { // wherever it falls among eight bytes
			text := []byte(strings.Repeat(" ", shift) + row.text)
			if got := sanitize.MayStrip(text); got != row.strip {
				t.Errorf("%s behind %d: MayStrip says %v", row.name, shift, got)
			}
			if got := sanitize.MayEscape(text); got != row.escape {
				t.Errorf("%s behind %d: MayEscape says %v", row.name, shift, got)
			}
			if sanitize.Plain(text) && (row.strip || row.escape) {
				t.Errorf("%s behind %d is taken for plain", row.name, shift)
			}
		}
	}
}

// Plain is every text of those bytes alone that nothing looks at twice.
func TestPlain(t *testing.T) {
	special := "&'<>\\\x7f"
	for length := range 50 {
		for at := range length {
			for c := range 256 {
				text := []byte(strings.Repeat("a", length))
				text[at] = byte(c)
				want := c < 0x80 && strings.IndexByte(special, byte(c)) < 0
				if got := sanitize.Plain(text); got != want {
					t.Fatalf("%#x at %d of %d: Plain says %v", c, at, length, got)
				}
			}
		}
	}
	if !sanitize.Plain(nil) {
		t.Error("nothing is not plain")
	}
}

var spots = map[string]func([]byte) bool{"strip": sanitize.MayStrip, "escape": sanitize.MayEscape, "plain": sanitize.Plain}

func TestSpotAllocates(t *testing.T) {
	for name, spot := range spots {
		data := []byte(chat)
		if n := testing.AllocsPerRun(100, func() { spot(data) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkSpot(b *testing.B) {
	for name, spot := range spots {
		b.Run(name, func(b *testing.B) {
			data := []byte(chat)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				spot(data)
			}
		})
	}
}
