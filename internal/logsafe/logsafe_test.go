package logsafe_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/logsafe"
)

var table = []struct{ name, in, want string }{
	{"nothing", "", ""},
	{"plain words", "Mozilla/5.0 (X11; Linux)", "Mozilla/5.0 (X11; Linux)"},
	{"quotes stay for the handler", `"a" 'b'`, `"a" 'b'`},
	{"letters of other scripts", "Zoë 東京 עברית", "Zoë 東京 עברית"},
	{"replacement character that was sent as such", "\uFFFD", "\uFFFD"},
	{"line feed", "a\nb", `a\nb`},
	{"carriage return", "a\rb", `a\rb`},
	{"NUL", "a\x00b", `a\x00b`},
	{"escape sequence of a terminal", "\x1b[31mred", `\x1b[31mred`},
	{"DEL", "a\x7fb", `a\x7fb`},
	{"C1 control sequence introducer", "a\u009bb", `a\u009bb`},
	{"right-to-left override", "a\u202eb", `a\u202eb`},
	{"bidi isolate", "a\u2066b", `a\u2066b`},
	{"right-to-left mark", "a\u200fb", `a\u200fb`},
	{"zero-width space", "a\u200bb", `a\u200bb`},
	{"line separator", "a\u2028b", `a\u2028b`},
	{"byte order mark", "\ufeffa", `\ufeffa`},
	{"tag character outside the basic plane", "a\U000e0041", `a\U000e0041`},
	{"lone C1 byte", "a\x9bb", `a\x9bb`},
	{"rune cut short", "a\xe6\x9d", `a\xe6\x9d`},
	{"surrogate half", "\xed\xa0\x80", `\xed\xa0\x80`},
	{"forged escape", `a\nb`, `a\\nb`},
	{"exactly as long as allowed", strings.Repeat("a", 256), strings.Repeat("a", 256)},
	{"one byte too long", strings.Repeat("a", 257), strings.Repeat("a", 256)},
	{"cut before a rune that does not fit", strings.Repeat("a", 255) + "東", strings.Repeat("a", 255)},
	{"cut before an escape that does not fit", strings.Repeat("a", 254) + "\n\x00b", strings.Repeat("a", 254) + `\n`},
	{"cut after an escape", "\n" + strings.Repeat("a", 300), `\n` + strings.Repeat("a", 254)},
	{"hostile size", strings.Repeat("\x00", 1<<20), strings.Repeat(`\x00`, 64)},
}

// R56
func TestString(t *testing.T) {
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			if got := logsafe.String(row.in); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// R56
func TestStringDoesNotAllocateWhenClean(t *testing.T) {
	in := strings.Repeat("Zoë 東京 ", 100)
	if n := testing.AllocsPerRun(100, func() { logsafe.String(in) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// R56
func FuzzString(f *testing.F) {
	for _, row := range table {
		f.Add(row.in)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := logsafe.String(in)
		if len(out) > logsafe.MaxBytes || !utf8.ValidString(out) {
			t.Fatalf("%d bytes: %q", len(out), out)
		}
		for _, r := range out {
			if !strconv.IsPrint(r) {
				t.Fatalf("%U stayed in %q", r, out)
			}
		}
		// What came out reads back as a beginning of what went in.
		back, err := strconv.Unquote(`"` + strings.ReplaceAll(out, `"`, `\"`) + `"`)
		if err != nil || !strings.HasPrefix(in, back) {
			t.Fatalf("%q reads back as %q, %v", out, back, err)
		}
		if len(out) < logsafe.MaxBytes-len(`\U00000000`) && back != in {
			t.Fatalf("%q was cut to %q without need", in, out)
		}
	})
}

func BenchmarkString(b *testing.B) {
	for _, row := range []struct{ name, in string }{
		{"clean", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"},
		{"hostile", strings.Repeat("\u202e\x1b", 1<<16)},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				logsafe.String(row.in)
			}
		})
	}
}
