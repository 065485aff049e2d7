package discriminator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/discriminator"
	"github.com/wsguard/wsguard/internal/jsonscan"
)

const none = "\x00none"

// rows are messages and the type that they say they are of.
var rows = []struct{ name, message, want string }{
	{"first member", `{"type":"say","text":"hi"}`, "say"},
	{"last member", `{"text":"hi","n":[1,{"a":"]}"}],"o":{"x":{}},"t":true,"type":"say"}`, "say"},
	{"with white space", " {\r\n\t\"type\" : \"say\" , \"a\" : 1 } ", "say"},
	{"behind numbers and literals", `{"a":-1.5e+3 ,"b":null,"c":false , "type":"say"}`, "say"},
	{"behind quotation marks and brackets in strings", `{"a":"\"},{\\","b":"[[","type":"say"}`, "say"},
	{"empty", `{"type":""}`, ""},
	{"escaped value", `{"type":"s\u0061y"}`, "say"},
	{"escaped value, short escapes", `{"type":"\"\\\/\b\f\n\r\t"}`, "\"\\/\b\f\n\r\t"},
	{"escaped value, pair of surrogates", `{"type":"\ud83d\ude00"}`, "😀"},
	{"escaped value beyond the buffer", `{"type":"\u0061` + strings.Repeat("a", discriminator.MaxLength) + `"}`, none},
	{"escaped value that fills the buffer", `{"type":"\u0061` + strings.Repeat("a", discriminator.MaxLength-1) + `"}`, strings.Repeat("a", discriminator.MaxLength)},
	{"escaped value, lone surrogate", `{"type":"s\ud800y"}`, none},
	{"escaped name", `{"\u0074yp\u0065":"say"}`, "say"},
	{"escaped name, long", `{"\u0074ype` + strings.Repeat("x", 1000) + `":"no","type":"say"}`, "say"},
	{"name in another case", `{"Type":"say"}`, none},
	{"name in another case, escaped", `{"\u0054YPE":"say"}`, none},
	{"name in another case first", `{"TYPE":"admin","type":"say"}`, none},
	{"twice: the first, and the check refuses it", `{"type":"say","type":"admin"}`, "say"},
	{"nested", `{"a":{"type":"say"}}`, none},
	{"nested first", `{"a":{"type":"admin"},"b":[{"type":"admin"}],"type":"say"}`, "say"},
	{"in a string", `{"a":"\"type\":\"say\""}`, none},
	{"as a value", `{"a":"type","b":"say"}`, none},
	{"a longer name", `{"types":"say"}`, none},
	{"a shorter name", `{"typ":"say"}`, none},
	{"a number", `{"type":1}`, none},
	{"null", `{"type":null}`, none},
	{"an array", `{"type":["say"]}`, none},
	{"an object", `{"type":{"type":"say"}}`, none},
	{"missing", `{"text":"hi"}`, none},
	{"no members", `{}`, none},
	{"an array around", `[{"type":"say"}]`, none},
	{"a string alone", `"type"`, none},
	{"nothing", ``, none},
	{"half of a name", `{"ty`, none},
	{"half of a value", `{"type":"sa`, none},
	{"half of an escape", `{"type":"\u00`, none},
	{"ends in an escape", `{"type":"say\`, none},
	{"ends behind the name", `{"type"`, none},
	{"ends behind the colon", `{"type":`, none},
	{"no colon", `{"type","say"}`, none},
	{"a malformed escape in a name", `{"\u00zz":1,"type":"say"}`, "say"}, // and the check refuses it
	{"too many brackets", `{"a":]],"type":"say"}`, none},
	{"deep", `{"a":` + strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000) + `,"type":"say"}`, "say"},
	{"deep and open", `{"a":` + strings.Repeat("[", 10_000), none},
}

func find(message []byte, name string) string {
	var buf discriminator.Buffer
	value, ok := discriminator.Find(message, []byte(name), &buf)
	if !ok {
		return none
	}
	return string(value)
}

// R36, R40
func TestFind(t *testing.T) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			if got := find([]byte(row.message), "type"); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}

// A name that has characters with more than two cases.
func TestFindFolds(t *testing.T) {
	for message, want := range map[string]string{
		`{"kinds":"a"}`:                          "a",
		"{\"\u212ainds\":1}":                     none, // KELVIN SIGN
		`{"\u212aINDS":"a"}`:                     none,
		"{\"kind\u017f\":\"b\",\"kinds\":\"a\"}": none, // LATIN SMALL LETTER LONG S
	} {
		if got := find([]byte(message), "kinds"); got != want {
			t.Errorf("%s: got %q, want %q", message, got, want)
		}
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	name := []byte("type")
	for _, row := range rows {
		message := []byte(row.message)
		if n := testing.AllocsPerRun(10, func() {
			var buf discriminator.Buffer
			discriminator.Find(message, name, &buf)
		}); n != 0 {
			t.Errorf("%s: %v allocations, want none", row.name, n)
		}
	}
}

// Whatever passes the scan is of the same type for every decoder: for one that
// minds the case of names, for one that does not, and for this package.
// R36, R40
func FuzzFind(f *testing.F) {
	for _, row := range rows {
		f.Add([]byte(row.message), "type")
	}
	f.Add([]byte("{\"\u212aind\":\"a\"}"), "kind")
	f.Fuzz(func(t *testing.T, message []byte, name string) {
		got := find(message, "type") // of anything: no panic
		if jsonscan.Scan(message, jsonscan.Limits{}) != nil {
			return
		}
		want := none
		var members map[string]json.RawMessage
		var s string
		if json.Unmarshal(message, &members) == nil && json.Unmarshal(members["type"], &s) == nil && members["type"][0] == '"' {
			want = s
		}
		if want != got && !(got == none && len(want) > discriminator.MaxLength) {
			t.Fatalf("%q is of type %q to a decoder, and %q here", message, want, got)
		}
		if got == none {
			return
		}
		var folded struct {
			Type string `json:"type"`
		}
		if err := json.Unmarshal(message, &folded); err != nil || folded.Type != got {
			t.Fatalf("%q is of type %q to a decoder that folds, %v, and %q here", message, folded.Type, err, got)
		}
		_ = find(message, name)
	})
}

func BenchmarkFind(b *testing.B) {
	name := []byte("type")
	for _, bm := range []struct{ name, message string }{
		{"first member", `{"type":"say","text":"hi"}`},
		{"escaped", `{"\u0074ype":"s\u0061y","text":"hi"}`},
		{"behind 32 KB of text", fmt.Sprintf(`{"text":"%s","type":"say"}`, strings.Repeat("x", 32<<10))},
		{"behind 32 KB of arrays", fmt.Sprintf(`{"a":%s,"type":"say"}`, strings.Repeat("[", 16<<10)+strings.Repeat("]", 16<<10))},
		{"behind 3,000 names", fmt.Sprintf(`{%s"type":"say"}`, strings.Repeat(`"\u0074yp":1,`, 3000))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			message := []byte(bm.message)
			b.SetBytes(int64(len(message)))
			b.ReportAllocs()
			for b.Loop() {
				var buf discriminator.Buffer
				discriminator.Find(message, name, &buf)
			}
		})
	}
}
