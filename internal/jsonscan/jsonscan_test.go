package jsonscan_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// chat is an ordinary message of 130 bytes.
const chat = `{"type":"chat","id":"7f9c2ba4e88f827d","room":"general","text":"Hello, how are you today?","at":1767225600123,"tags":["a","b","c"]}`

func wide(members int) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := range members {
		fmt.Fprintf(&b, `"member%d":1,`, i)
	}
	return strings.TrimSuffix(b.String(), ",") + "}"
}

func nested(depth int) string {
	return strings.Repeat("[", depth) + strings.Repeat("]", depth)
}

func items(n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat("0,", n), ",") + "]"
}

// rows is what the tests and the fuzz target start from.
var rows = []struct {
	name, text, reason string
}{
	// Allowed.
	{"chat message", chat, ""},
	{"null", "null", ""},
	{"true", "true", ""},
	{"false", " false ", ""},
	{"string", `"x"`, ""},
	{"empty string and name", `{"":""}`, ""},
	{"all escapes", `"\"\\\/\b\f\n\r\t\u00e9\uFFFF"`, ""},
	{"escaped NUL", `"\u0000"`, ""},
	{"surrogate pair", `"\ud83d\ude00\uD83D\uDE00"`, ""},
	{"DEL and C1 as they are", "\"\x7f\u0085\u2028\"", ""},
	{"white space of four kinds", "\t\r\n [ 1 , { \"a\" : 2 } ] \n", ""},
	{"numbers", "[0,-0,1,-1.5,1e3,1E+3,1e-3,12.50e+00,0e0]", ""},
	{"greatest exponent", "[1e308,1e-308,1e+0308]", ""},
	{"greatest float64", "[1.7976931348623157e308,-17976931348623157E292]", ""},
	{"least float64", "[0.0000000000000005e-308]", ""},
	{"zeros with an exponent", "[0e308,0.000E-308,-0e+300]", ""},
	{"longest number", strings.Repeat("9", 64), ""},
	{"deepest", nested(32), ""},
	{"most items", items(1024), ""},
	{"most members", wide(256), ""},
	{"most nodes", "[" + strings.Repeat(items(1023)+",", 3) + items(1022) + "]", ""},
	{"longest string", `"` + strings.Repeat("x", 16<<10) + `"`, ""},
	{"same name in two objects", `[{"a":1},{"a":{"a":2}},{"b":{"a":1},"a":1}]`, ""},
	{"names alike but for a mark", `{"e":1,"é":2,"ě":3,"A":1}`, ""},

	// Malformed or absent.
	{"empty", "", "syntax"},
	{"white space only", " \n", "syntax"},
	{"byte order mark", "\ufeff{}", "syntax"},
	{"byte order mark behind", "{}\ufeff", "trailing_data"},
	{"form feed is no white space", "\f1", "syntax"},
	{"vertical tab", "[1,\v2]", "syntax"},
	{"no-break space", "\u00a01", "syntax"},
	{"NUL", "\x00", "syntax"},
	{"NUL behind", "1\x00", "trailing_data"},
	{"open array", "[", "syntax"},
	{"open array after item", "[1", "syntax"},
	{"open object", "{", "syntax"},
	{"open object after name", `{"a"`, "syntax"},
	{"open object after colon", `{"a":`, "syntax"},
	{"open object after value", `{"a":1`, "syntax"},
	{"wrong bracket", "[1}", "syntax"},
	{"wrong brace", `{"a":1]`, "syntax"},
	{"comma before end of array", "[1,]", "syntax"},
	{"comma before end of object", `{"a":1,}`, "syntax"},
	{"comma at start", "[,1]", "syntax"},
	{"two commas", "[1,,2]", "syntax"},
	{"no comma", "[1 2]", "syntax"},
	{"no colon", `{"a" 1}`, "syntax"},
	{"two colons", `{"a"::1}`, "syntax"},
	{"name without quotes", `{a:1}`, "syntax"},
	{"name is a number", `{1:1}`, "syntax"},
	{"single quotes", `'a'`, "syntax"},
	{"comment", "/**/1", "syntax"},
	{"short literal", "tru", "syntax"},
	{"literal in capitals", "True", "syntax"},
	{"literal too long", "nulll", "trailing_data"},
	{"NaN", "NaN", "syntax"},
	{"Infinity", "-Infinity", "syntax"},
	{"plus", "+1", "syntax"},
	{"minus alone", "-", "syntax"},
	{"leading zero", "01", "trailing_data"},
	{"hexadecimal", "0x10", "trailing_data"},
	{"point alone", ".5", "syntax"},
	{"point without digits", "1.", "syntax"},
	{"exponent without digits", "[1e]", "syntax"},
	{"exponent with sign alone", "1e-", "syntax"},
	{"exponent with two signs", "1e+-1", "syntax"},
	{"open string", `"abc`, "syntax"},
	{"string ends in an escape", `"abc\`, "syntax"},
	{"unknown escape", `"\x41"`, "syntax"},
	{"short unicode escape", `"\u12"`, "syntax"},
	{"unicode escape cut off", `"\u12`, "syntax"},
	{"unicode escape with a sign", `"\u+123"`, "syntax"},
	{"raw control character", "\"a\nb\"", "syntax"},
	{"trailing text", `{} {}`, "trailing_data"},
	{"trailing comma", `1,`, "trailing_data"},

	// Not Unicode. encoding/json makes U+FFFD of each.
	{"lone byte", "\"\xff\"", "utf8"},
	{"overlong solidus", "\"\xc0\xaf\"", "utf8"},
	{"encoded surrogate", "\"\xed\xa0\x80\"", "utf8"},
	{"beyond U+10FFFF", "\"\xf4\x90\x80\x80\"", "utf8"},
	{"cut off sequence", "\"\xe2\x82\"", "utf8"},
	{"in a name", "{\"\x80\":1}", "utf8"},
	{"lone high surrogate", `"\ud83d"`, "utf8"},
	{"lone high surrogate before text", `"\ud83dabcdef"`, "utf8"},
	{"lone low surrogate", `"\ude00"`, "utf8"},
	{"two high surrogates", `"\ud83d\ud83d"`, "utf8"},
	{"surrogates in the wrong order", `"\ude00\ud83d"`, "utf8"},
	{"surrogate in a name", `{"\ud800":1}`, "utf8"},

	// Duplicated.
	{"same name twice", `{"a":1,"a":2}`, "duplicate_member"},
	{"empty name twice", `{"":1,"":2}`, "duplicate_member"},
	{"with an object between", `{"a":{"b":1},"c":[{"a":1}],"a":{"x":1}}`, "duplicate_member"},
	{"nested", `[{"x":{"a":1,"a":1}}]`, "duplicate_member"},
	{"same after unescaping", `{"role":1,"\u0072ole":2}`, "duplicate_member"},
	{"same after two ways to escape", `{"a\/b":1,"a/b":2}`, "duplicate_member"},
	{"escaped beyond the BMP", `{"\ud83d\ude00":1,"😀":2}`, "duplicate_member"},
	{"every short escape", `{"\"\\\b\f\n\r\t":1,"\u0022\u005C\u0008\u000c\u000a\u000D\u0009":2}`, "duplicate_member"},
	{"other case", `{"role":"user","ROLE":"admin"}`, "duplicate_member"},
	{"long s", `{"secret":1,"ſecret":2}`, "duplicate_member"},
	{"Kelvin sign", `{"kind":1,"\u212Aind":2}`, "duplicate_member"},
	{"Greek sigma, final and not", `{"ΟΔΟΣ":1,"οδος":2}`, "duplicate_member"},
	{"last of many", strings.TrimSuffix(wide(255), "}") + `,"MEMBER0":1}`, "duplicate_member"},

	// Hostile size.
	{"too deep", nested(33), "depth"},
	{"too deep in objects", strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "depth"},
	{"depth bomb", strings.Repeat("[", 1<<20), "depth"},
	{"exponent that panics validators", `{"n":1e1000001}`, "number"},
	{"small exponent that panics validators", `{"n":1e-1000001}`, "number"},
	{"exponent beyond int64", "1e99999999999999999999999999", "number"},
	{"one beyond the greatest exponent", "1e309", "number"},
	{"one below the least exponent", "1E-309", "number"},
	{"infinite to a float64", "[1.8e308]", "number"},
	{"infinite with a small exponent", "[" + strings.Repeat("9", 12) + "e300]", "number"},
	{"minus infinite", "[-2e308]", "number"},
	{"zero to a float64", "[0." + strings.Repeat("0", 24) + "1e-308]", "number"},
	{"ten big numbers", "[" + strings.Repeat("1e1000000,", 9) + "1e1000000]", "number"},
	{"number too long", strings.Repeat("9", 65), "number"},
	{"long fraction", "0." + strings.Repeat("3", 30_000), "number"},
	{"string too long", `"` + strings.Repeat("x", 16<<10+1) + `"`, "string_length"},
	{"string too long by an escape", `"` + strings.Repeat("x", 16<<10-5) + `\u0041"`, "string_length"},
	{"name too long", `{"` + strings.Repeat("x", 16<<10+1) + `":1}`, "string_length"},
	{"too many items", items(1025), "items"},
	{"too many members", wide(257), "members"},
	{"too many nodes", "[" + strings.Repeat(items(1023)+",", 3) + items(1023) + "]", "nodes"},
}

// R35, R36, R43
func TestScan(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			err := jsonscan.Scan([]byte(row.text), jsonscan.Limits{})
			if got := reason(err); got != row.reason {
				t.Fatalf("refused as %q (%v), want %q", got, err, row.reason)
			}
			if err != nil && err.(*jsonscan.Error).Offset > len(row.text) {
				t.Errorf("offset lies behind the text: %v", err)
			}
			agree(t, []byte(row.text), err)
		})
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.(*jsonscan.Error).Reason
}

// agree compares a verdict with that of encoding/json: what passes is valid
// there, and what is valid there fails for a reason that is not syntax.
func agree(t *testing.T, text []byte, err error) {
	t.Helper()
	if !json.Valid(text) {
		if err == nil {
			t.Fatalf("accepted what encoding/json refuses: %.100q", text)
		}
		return
	}
	hardening := []string{"", "utf8", "duplicate_member", "depth", "number", "string_length", "items", "members", "nodes"}
	if !slices.Contains(hardening, reason(err)) {
		t.Fatalf("refused as %q what encoding/json accepts: %.100q", reason(err), text)
	}
}

// Each limit holds on its own, to the unit. R35, R41
func TestLimits(t *testing.T) {
	for _, row := range []struct {
		name, text, reason string
		limits             jsonscan.Limits
	}{
		{"depth", `[{"a":[]}]`, "", jsonscan.Limits{Depth: 3}},
		{"depth", `[{"a":[[]]}]`, "depth", jsonscan.Limits{Depth: 3}},
		{"depth of encoding/json", nested(10_000), "", jsonscan.Limits{Depth: 1 << 30, Nodes: 1 << 30}},
		{"depth of encoding/json", nested(10_001), "depth", jsonscan.Limits{Depth: 1 << 30, Nodes: 1 << 30}},
		{"number length", "-1.5", "", jsonscan.Limits{NumberLength: 4}},
		{"number length", "-1.50", "number", jsonscan.Limits{NumberLength: 4}},
		{"number exponent", "1e-10", "", jsonscan.Limits{NumberExponent: 10}},
		{"number exponent", "1e-11", "number", jsonscan.Limits{NumberExponent: 10}},
		{"string length", `"é"`, "", jsonscan.Limits{StringLength: 2}},
		{"string length", `"é."`, "string_length", jsonscan.Limits{StringLength: 2}},
		{"items", `[[1,2],[1,2]]`, "", jsonscan.Limits{Items: 2}},
		{"items", `[[1,2,3]]`, "items", jsonscan.Limits{Items: 2}},
		{"members", `{"a":{"b":1,"c":2},"d":1}`, "", jsonscan.Limits{Members: 2}},
		{"members", `{"a":{"b":1,"c":2,"d":1}}`, "members", jsonscan.Limits{Members: 2}},
		{"nodes", `{"a":[1,"x"]}`, "", jsonscan.Limits{Nodes: 4}},
		{"nodes", `{"a":[1,"x",null]}`, "nodes", jsonscan.Limits{Nodes: 4}},
		{"negative", `1`, "nodes", jsonscan.Limits{Nodes: -1}},
		{"negative", `[]`, "depth", jsonscan.Limits{Depth: -1}},
	} {
		if got := reason(jsonscan.Scan([]byte(row.text), row.limits)); got != row.reason {
			t.Errorf("%s: %.40s is refused as %q, want %q", row.name, row.text, got, row.reason)
		}
	}
}

// What is the same name is what encoding/json stores in the same field. R36, R40
func TestDuplicateIsWhatDecodersMerge(t *testing.T) {
	names := []string{"key", "KEY", "Key", "\u212Aey", "kéy", "KÉY", "keyſ", "keys", "KEYS", "ßkey", "ẞkey", "sskey", "key ", "ǆ", "ǅ", "Ǆ", "ı", "I", "i", "İ", "µ", "μ", "Μ"}
	for _, a := range names {
		for _, b := range names {
			text, _ := json.Marshal(a)
			other, _ := json.Marshal(b)
			err := jsonscan.Scan(fmt.Appendf(nil, `{%s:1,%s:2}`, text, other), jsonscan.Limits{})
			if got, want := err != nil, strings.EqualFold(a, b); got != want {
				t.Errorf("%q and %q: duplicate is %v, want %v", a, b, got, want)
			}
		}
	}
}

// A wide object finds its duplicate after the set of names has grown, and the
// next text starts with an empty one.
func TestWideObjects(t *testing.T) {
	limits := jsonscan.Limits{Members: 50_000, Nodes: 50_000}
	text := wide(40_000)
	for range 2 {
		if err := jsonscan.Scan([]byte(text), limits); err != nil {
			t.Fatal(err)
		}
	}
	for _, again := range []string{"member0", "MEMBER39999"} {
		twice := strings.TrimSuffix(text, "}") + `,"` + again + `":1}`
		if got := reason(jsonscan.Scan([]byte(twice), limits)); got != "duplicate_member" {
			t.Errorf("%s: refused as %q", again, got)
		}
	}
}

func TestErrorHoldsNothingOfTheText(t *testing.T) {
	err := jsonscan.Scan([]byte(`{"hunter2":1,"hunter2":2}`), jsonscan.Limits{})
	if want := "duplicate_member at byte 22"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
	if scanned := new(jsonscan.Error); !errors.As(err, &scanned) || scanned.Offset != 22 {
		t.Errorf("error is %#v", err)
	}
}

func TestScanConcurrently(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, row := range rows {
				if len(row.text) > 1<<10 {
					continue
				}
				for range 10 {
					if got := reason(jsonscan.Scan([]byte(row.text), jsonscan.Limits{})); got != row.reason {
						t.Errorf("%s: refused as %q, want %q", row.name, got, row.reason)
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestScanDoesNotAllocate(t *testing.T) {
	for _, text := range []string{chat, `{"\u0061\n":"\ud83d\ude00é"}`, wide(128), items(1024), nested(32)} {
		data := []byte(text)
		if n := testing.AllocsPerRun(100, func() {
			if err := jsonscan.Scan(data, jsonscan.Limits{}); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%.40s: %v allocations, want none", text, n)
		}
	}
}

// DecodeRune reads strings as encoding/json does.
func TestDecodeRune(t *testing.T) {
	for _, raw := range []string{`a`, `é`, `€`, `😀`, `\"`, `\\`, `\/`, `\b`, `\f`, `\n`, `\r`, `\t`, `\u0041`, `\u00e9`, `\u20AC`, `\ud83d\uDE00`, `\uFFFD`} {
		var want string
		if err := json.Unmarshal([]byte(`"`+raw+`"`), &want); err != nil {
			t.Fatal(err)
		}
		if r, size := jsonscan.DecodeRune([]byte(raw + "x")); string(r) != want || size != len(raw) {
			t.Errorf("%s: %q in %d bytes, want %q in %d", raw, r, size, want, len(raw))
		}
	}
}

func BenchmarkScan(b *testing.B) {
	for _, row := range []struct{ name, text string }{
		{"chat message", chat},
		{"most members", wide(256)},
		{"most items", items(1024)},
		{"escapes", `"` + strings.Repeat(`\u00e9`, 2000) + `"`},
		{"depth bomb", strings.Repeat("[", 64<<10)},
		{"wide object", wide(4000)},
		{"long number", strings.Repeat("9", 64<<10)},
		{"1e1000001", `{"n":1e1000001}`},
		{"names of one object", `{"` + strings.Repeat("k", 16<<10) + `":1,"` + strings.Repeat("K", 16<<10) + `":1}`},
	} {
		b.Run(row.name, func(b *testing.B) {
			data := []byte(row.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				_ = jsonscan.Scan(data, jsonscan.Limits{})
			}
		})
	}
}

func BenchmarkValidOfEncodingJSON(b *testing.B) {
	data := []byte(chat)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		_ = json.Valid(data)
	}
}
