package sanitize_test

import (
	"bytes"
	"encoding/json"
	"html"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/sanitize"
)

// chat is an ordinary message of 130 bytes.
const chat = `{"type":"chat","id":"7f9c2ba4e88f827d","room":"general","text":"Hello, how are you today?","at":1767225600123,"tags":["a","b"]}`

// R36
func TestStrip(t *testing.T) {
	for _, row := range []struct{ name, text, want string }{
		{"empty", "", ""},
		{"plain", "Hello, world", "Hello, world"},
		{"tab and line ends stay", "a\tb\nc\r\n", "a\tb\nc\r\n"},
		{"other scripts stay", "Ünïcödé 漢字 😀 שלום", "Ünïcödé 漢字 😀 שלום"},
		{"NUL", "a\x00b", "ab"},
		{"all of C0", "\x00\x01\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f", ""},
		{"terminal escape", "\x1b[31mred\x1b[0m", "[31mred[0m"},
		{"DEL", "a\x7fb", "ab"},
		{"tilde stays", "~", "~"},
		{"C1, first and last", "a\u0080\u009fb", "ab"},
		{"no-break space stays", "a\u00a0b", "a\u00a0b"},
		{"byte order mark, first and within", "\ufeffa\ufeffb", "ab"},
		{"overrides", "\u202aa\u202bb\u202cc\u202dd\u202ee", "abcde"},
		{"isolates", "\u2066a\u2067b\u2068c\u2069d", "abcd"},
		{"neighbours of overrides stay", "\u2029\u202f", "\u2029\u202f"},
		{"neighbours of isolates stay", "\u2065\u206a", "\u2065\u206a"},
		{"zero-width joiners and direction marks stay", "👩\u200d👧 می\u200cخواهم \u200e\u200f\u200b", "👩\u200d👧 می\u200cخواهم \u200e\u200f\u200b"},
	} {
		t.Run(row.name, func(t *testing.T) {
			got := sanitize.Strip([]byte(row.text))
			if string(got) != row.want {
				t.Errorf("Strip(%q) = %q, want %q", row.text, got, row.want)
			}
			if again := sanitize.Strip(got); !bytes.Equal(again, got) {
				t.Errorf("a second time %q", again)
			}
		})
	}
}

// R36
func TestEscapeHTML(t *testing.T) {
	for text, want := range map[string]string{
		"":                          "",
		"it's":                      "it&#39;s",
		`<script>alert(1)</script>`: "&lt;script&gt;alert(1)&lt;/script&gt;",
		`" onload="x`:               "&#34; onload=&#34;x",
		"&amp;":                     "&amp;amp;",
		"a & b":                     "a &amp; b",
		"漢字 `backtick` =":           "漢字 `backtick` =",
	} {
		got := string(sanitize.EscapeHTML([]byte(text)))
		if got != want {
			t.Errorf("EscapeHTML(%q) = %q, want %q", text, got, want)
		}
		if back := html.UnescapeString(got); back != text {
			t.Errorf("unescaped %q, want %q", back, text)
		}
	}
}

func TestText(t *testing.T) {
	invalid := sanitize.String(func(s string) string { return s + "\xff" })
	for _, row := range []struct {
		name, text, want string
		f                sanitize.Func
	}{
		{"strip", "\ufeffa\x00\nb", "a\nb", sanitize.Strip},
		{"escape", "<b>", "&lt;b&gt;", sanitize.EscapeHTML},
		{"a function of one's own", "abc", "ABC", sanitize.String(strings.ToUpper)},
		{"a function that breaks UTF-8", "a", "a\uFFFD", invalid},
	} {
		if got := string(sanitize.Text([]byte(row.text), row.f)); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// rows is what the test and the fuzz target of Strings start from.
var rows = []struct{ name, text, strip, escape string }{
	{"nothing to do", chat, chat, chat},
	{"no string", ` [1,true,null,{}] `, ` [1,true,null,{}] `, ` [1,true,null,{}] `},
	{"a string alone", `"a\u0000<"`, `"a<"`, `"a\u0000&lt;"`},
	{"empty strings", `["",{"":""}]`, `["",{"":""}]`, `["",{"":""}]`},
	{"becomes empty", `{"a":"\u202e"}`, `{"a":""}`, `{"a":"\u202e"}`},
	{"names stay", `{"<\u0000\u202e>":{"&":"&"}}`, `{"<\u0000\u202e>":{"&":"&"}}`, `{"<\u0000\u202e>":{"&":"&amp;"}}`},
	{"names before white space stay", "{\"<\" \n\t\r : \"<\" , \"'\" :\"'\"}", "{\"<\" \n\t\r : \"<\" , \"'\" :\"'\"}", "{\"<\" \n\t\r : \"&lt;\" , \"'\" :\"&#39;\"}"},
	{"white space stays", "[ \"\x7f\" ,\n\"b\" ]", "[ \"\" ,\n\"b\" ]", "[ \"\x7f\" ,\n\"b\" ]"},
	{"quotation marks within", `["a\"b","\\","\\\""]`, `["a\"b","\\","\\\""]`, `["a&#34;b","\\","\\&#34;"]`},
	{"escapes that need not be", `["\u0041\/\u00e9\ud83d\ude00\u0000"]`, `["A/é😀"]`, `["\u0041\/\u00e9\ud83d\ude00\u0000"]`},
	{"unchanged strings keep their escapes", `["\u0041","\u0000"]`, `["\u0041",""]`, `["\u0041","\u0000"]`},
	{"all short escapes", `["<\"\\\/\b\f\n\r\t\u0001"]`, `["<\"\\/\n\r\t"]`, `["&lt;&#34;\\/\b\f\n\r\t\u0001"]`},
	{"colon within", `["a:<",":"]`, `["a:<",":"]`, `["a:&lt;",":"]`},
	{"escaped markup", `{"a":"\u003cscript\u003E"}`, `{"a":"\u003cscript\u003E"}`, `{"a":"&lt;script&gt;"}`},
	{"hostile size", `["` + strings.Repeat(`<\u0000`, 2000) + `"]`, `["` + strings.Repeat(`<`, 2000) + `"]`, `["` + strings.Repeat(`&lt;\u0000`, 2000) + `"]`},
	{"larger than what is kept", `["` + strings.Repeat(`\"x\u0000`, 10_000) + `"]`, `["` + strings.Repeat(`\"x`, 10_000) + `"]`, `["` + strings.Repeat(`&#34;x\u0000`, 10_000) + `"]`},
}

// R36, R40: member names are never rewritten, so that no two become one
func TestStrings(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			original := []byte(row.text)
			for _, c := range []struct {
				f    sanitize.Func
				want string
			}{{sanitize.Strip, row.strip}, {sanitize.EscapeHTML, row.escape}} {
				got := sanitize.Strings(original, c.f)
				if string(got) != c.want {
					t.Errorf("got %.200s, want %.200s", got, c.want)
				}
				if c.want == row.text && &got[0] != &original[0] {
					t.Error("an unchanged text was copied")
				}
				if string(original) != row.text {
					t.Fatal("the text given was changed")
				}
			}
		})
	}
}

func TestStringsOfOnesOwn(t *testing.T) {
	for _, row := range []struct {
		name string
		f    func(string) string
		want string
	}{
		{"longer", func(s string) string { return s + s }, `{"a":"bb","c":[1,"dd"]}`},
		{"control characters", func(s string) string { return s + "\x00\x1f\"\\" }, `{"a":"b\u0000\u001f\"\\","c":[1,"d\u0000\u001f\"\\"]}`},
		{"not UTF-8", func(s string) string { return s + "\xc3\xed\xa0\x80" }, `{"a":"b` + "\uFFFD\uFFFD\uFFFD\uFFFD" + `","c":[1,"d` + "\uFFFD\uFFFD\uFFFD\uFFFD" + `"]}`},
		{"empty", func(string) string { return "" }, `{"a":"","c":[1,""]}`},
	} {
		got := sanitize.Strings([]byte(`{"a":"b","c":[1,"d"]}`), sanitize.String(row.f))
		if string(got) != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
		if err := jsonscan.Scan(got, jsonscan.Limits{}); err != nil {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

func TestUnchangedDoesNotAllocate(t *testing.T) {
	for _, text := range []string{
		chat, `{"text":"two\nlines, \"quoted\", caf\u00e9 \ud83d\ude00"}`,
		`{"a":"漢字","b":["` + strings.Repeat(`\n`, 8<<10) + `"]}`, // as long as a string may be
	} {
		data := []byte(text)
		for name, f := range map[string]sanitize.Func{"Strip": sanitize.Strip, "EscapeHTML": onlyMarkup} {
			sanitize.Strings(data, f) // the first one with escapes needs memory
			if n := testing.AllocsPerRun(100, func() { sanitize.Strings(data, f) }); n != 0 {
				t.Errorf("%s of %.40s: %v allocations, want none", name, text, n)
			}
			if n := testing.AllocsPerRun(100, func() { sanitize.Text(data[2:6], f) }); n != 0 {
				t.Errorf("%s of a plain text: %v allocations, want none", name, n)
			}
		}
	}
}

// onlyMarkup is EscapeHTML for texts with quotation marks.
func onlyMarkup(text []byte) []byte {
	if bytes.IndexByte(text, '"') >= 0 {
		return text
	}
	return sanitize.EscapeHTML(text)
}

// decode returns the value of a JSON text, with all string values rewritten.
func decode(t *testing.T, text []byte, f func(string) string) any {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatalf("%.100q: %v", text, err)
	}
	var rewrite func(v any) any
	rewrite = func(v any) any {
		switch v := v.(type) {
		case string:
			return f(v)
		case []any:
			for i := range v {
				v[i] = rewrite(v[i])
			}
		case map[string]any:
			for name := range v {
				v[name] = rewrite(v[name])
			}
		}
		return v
	}
	return rewrite(v)
}

// R36, R43
func FuzzStrings(f *testing.F) {
	for _, row := range rows {
		f.Add([]byte(row.text))
	}
	same := func(s string) string { return s }
	wide := jsonscan.Limits{StringLength: 1 << 30}
	f.Fuzz(func(t *testing.T, text []byte) {
		if jsonscan.Scan(text, jsonscan.Limits{}) != nil {
			return
		}
		want := decode(t, text, func(s string) string { return string(sanitize.Strip([]byte(s))) })
		stripped := sanitize.Strings(text, sanitize.Strip)
		if !sanitize.MayStrip(text) && !bytes.Equal(stripped, text) {
			t.Fatalf("%q is changed to %q, and was not spotted", text, stripped)
		}
		if err := jsonscan.Scan(stripped, jsonscan.Limits{}); err != nil {
			t.Fatalf("%q stripped is %q: %v", text, stripped, err)
		}
		if got := decode(t, stripped, same); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q stripped is %#v, want %#v", text, got, want)
		}
		if len(stripped) > len(text) {
			t.Fatalf("%q grew to %q", text, stripped)
		}
		escaped := sanitize.Strings(text, sanitize.EscapeHTML)
		if !sanitize.MayEscape(text) && !bytes.Equal(escaped, text) {
			t.Fatalf("%q is changed to %q, and was not spotted", text, escaped)
		}
		if err := jsonscan.Scan(escaped, wide); err != nil {
			t.Fatalf("%q escaped is %q: %v", text, escaped, err)
		}
		if got, want := decode(t, escaped, html.UnescapeString), decode(t, text, same); !reflect.DeepEqual(got, want) {
			t.Fatalf("%q unescaped is %#v, want %#v", text, got, want)
		}
		if len(escaped) > 5*len(text) {
			t.Fatalf("%q grew to %q", text, escaped)
		}
	})
}

// R36
func FuzzText(f *testing.F) {
	for _, row := range rows {
		f.Add(row.strip)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			return
		}
		escaped := string(sanitize.Text([]byte(text), sanitize.EscapeHTML))
		if html.UnescapeString(escaped) != text || strings.ContainsAny(escaped, `<>"'`) || len(escaped) > 5*len(text) {
			t.Fatalf("%q escaped is %q", text, escaped)
		}
		stripped := sanitize.Text([]byte(text), sanitize.Strip)
		if again := sanitize.Strip(stripped); !bytes.Equal(again, stripped) {
			t.Fatalf("%q stripped is %q, and again %q", text, stripped, again)
		}
	})
}

func BenchmarkStrings(b *testing.B) {
	for _, row := range []struct {
		name, text string
		f          sanitize.Func
	}{
		{"strip nothing", chat, sanitize.Strip},
		{"escape nothing", chat, sanitize.EscapeHTML},
		{"strip one", strings.Replace(chat, "Hello", `\u0000`, 1), sanitize.Strip},
		{"escape one", strings.Replace(chat, "Hello", "<i>", 1), sanitize.EscapeHTML},
		{"16 KB of markup", `"` + strings.Repeat("<", 16<<10) + `"`, sanitize.EscapeHTML},
		{"16 KB of escapes", `"` + strings.Repeat(`\u0000`, 16<<10/6) + `"`, sanitize.Strip},
		{"a thousand strings", `["` + strings.Repeat(`\u0000","`, 1000) + `"]`, sanitize.Strip},
	} {
		b.Run(row.name, func(b *testing.B) {
			data := []byte(row.text)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				sanitize.Strings(data, row.f)
			}
		})
	}
}
