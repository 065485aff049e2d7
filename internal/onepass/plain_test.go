package onepass_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
)

// plainRows are schemas whose values are plain, or nearly, with messages in
// which some are and some are not.
var plainRows = []struct{ schema, message string }{
	{`{}`, `[0,-0,1.5,-1.5,1e3,01,1.,.5,-,"","a","\n","\u00e4","ä",true,false,null,[],{}]`},
	{`{}`, `[123456789012345678,1234567890123456789,12345678901234567.8,1234567890123456789.5,-99999999999999999,184467440737095516161]`},
	{`{}`, `[tru,nul,falsehood,nulls,true]`},
	{`{"items":{"type":"integer"}}`, `[1,2,3.0,-4,50,6.5]`},
	{`{"items":{"type":"number","minimum":-2,"maximum":9.5}}`, `[1,-2,-1.5,9,9.4,8.9,0.0,-0.5]`},
	{`{"items":{"minimum":1,"maximum":3,"minLength":1,"maxLength":3}}`, `[1,3,"a","abc",2.5,"ä","abcdefgh",4]`},
	{`{"items":{"exclusiveMinimum":1,"multipleOf":0.5,"pattern":"^a","enum":["ab",1.5,2]}}`, `[1.5,2,"ab",1]`},
	{`{"items":{"enum":[true,null,"a",[1],{"a":1}]}}`, `[true,null,"a",[1],{"a":1},false]`},
	{`{"items":{"type":["string","null"]},"maxItems":3,"uniqueItems":true}`, `["a",null,"b","a"]`},
	{`{"prefixItems":[{"type":"string"},{},false],"items":{"type":"integer"}}`, `["a",1,2]`},
	{`{"contains":{"type":"string"},"maxContains":1,"items":{"maxLength":9}}`, `[1,"a",2,"b"]`},
	{`{"anyOf":[{"items":{"type":"integer"}},{"items":{"maxLength":2}}]}`, `[1,2,"a","b",[3,4]]`},
	{`{"properties":{"a":{"type":"integer"},"b":{"maxLength":3},"seven77":{},"eight888":{},"":{"const":1},"ä":{"type":"null"},"A b\"c":{}},"additionalProperties":{"type":"boolean"}}`,
		`{"a":1,"b":"x","seven77":"y","eight888":2,"":1,"ä":null,"A b\"c":3,"other":true,"c":false}`},
	{`{"properties":{"a":{},"a\u0000":{"type":"string"},"ab":{"type":"null"}}}`, `{"a":1,"a\u0000":"x","ab":null,"\u0061b":null}`},
	{`{"properties":{"a\\nb":{},"a\"b":{"type":"string"},"\u0001":{}}}`, `{"a\nb":1,"a\\nb":2,"a\"b":"x","\u0001":1}`},
	{`{"properties":{"a":{},"b":false},"propertyNames":{"maxLength":2,"pattern":"^[ab]"},"maxProperties":2}`, `{"a":1,"bb":2,"b":3}`},
	{`{"properties":{"a":{"type":"array","items":{"type":"integer"}},"b":{"$ref":"#"}},"required":["a"]}`, `{"a":[1,2],"b":{"a":[ 3 , 4 ],"b":{"a":[]}}}`},
	{`{"properties":{"a":{}},"patternProperties":{"^b":{"type":"integer"}},"unevaluatedProperties":{"type":"null"}}`, `{"a":"x","b1":1,"c":null}`},
	{`{"const":{"a":[1,"x"],"b":null}}`, `{"a":[1.0,"x"],"b":null}`},
	{`{"if":{"required":["a"]},"then":{"properties":{"b":{"minimum":1}}}}`, `{"a":1,"b":2,"c":"ccc"}`},
}

// A value that is plain, and a name that is short, is judged as others are: with
// the same verdict, at the same byte. R35, R36
func TestPlainIsGeneral(t *testing.T) {
	for _, row := range plainRows {
		p := program(t, row.schema)
		compare := func(message string) { samePlain(t, p, row.schema, message) }
		compare(row.message)
		for i := range row.message {
			compare(row.message[:i])
			for _, c := range []string{"", `"`, `\`, ",", ":", "[", "]", "{", "}", " ", "\n", "\x00", "\x1f", "\x7f", "\xff", "ä", "-", "0", "1", "9", ".", "e", "1e9", "a", "A", `"a":1,`, `"x",`, "true,", "null"} {
				compare(row.message[:i] + c + row.message[i:])
				compare(row.message[:i] + c + row.message[i+1:])
			}
		}
	}
	for _, row := range rows {
		samePlain(t, program(t, row.schema), row.schema, row.message)
	}
}

func FuzzPlain(f *testing.F) {
	var programs []*onepass.Program
	for i, row := range plainRows {
		programs = append(programs, program(f, row.schema))
		f.Add(uint8(i), row.message)
	}
	f.Fuzz(func(t *testing.T, i uint8, message string) {
		i %= uint8(len(programs))
		samePlain(t, programs[i], plainRows[i].schema, message)
	})
}

// samePlain compares both ways through a message, within ordinary limits and
// within narrow ones. Plain bytes may be read again, which is a step.
func samePlain(t *testing.T, p *onepass.Program, schema, message string) {
	t.Helper()
	for _, limits := range []jsonscan.Limits{
		{},
		{NumberLength: 2, StringLength: 2},
		{Items: 3, Members: 2},
		{Nodes: 4, Depth: 2},
	} {
		want, got := p.Course([]byte(message), limits, true), p.Course([]byte(message), limits, false)
		if again := got.Steps - want.Steps; again < 0 || again > len(message) {
			t.Fatalf("%s\n%.300s\n%d steps, %d in the general way", schema, message, got.Steps, want.Steps)
		}
		want.Steps = got.Steps
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n%.300s\n%s, in the general way %s", schema, message, show(got), show(want))
		}
	}
}

func show(c onepass.Course) string {
	return fmt.Sprintf("%+v at %d, node %d", c.Refusal, c.Pos, c.Nodes)
}

// The bytes of a string that turns out not to be plain are read twice, and are
// counted; those of one that is plain are read once.
func TestPlainIsReadAgainOnce(t *testing.T) {
	p := program(t, `{"items":{"maxLength":40}}`)
	plain, escaped := "["+strings.Repeat(`"abcdefghijklmnopqrstuvwxyz",`, 9)+`"a","b","c"]`, "["+strings.Repeat(`"abcdefghijklmnopqrstuvwxy\n",`, 9)+`"a","b","c"]`
	for message, again := range map[string]int{plain: 0, escaped: 9 * 25} {
		if n := p.Course([]byte(message), jsonscan.Limits{}, false).Steps - p.Course([]byte(message), jsonscan.Limits{}, true).Steps; n != again {
			t.Errorf("%d bytes of %s are read again, want %d", n, message, again)
		}
	}
}

// Wherever in a string a byte stands, it is allowed where encoding/json allows
// it in UTF-8. R36, R43
func TestEveryByteOfAString(t *testing.T) {
	p := program(t, `{"properties":{"name":{}}}`)
	for i := range 18 {
		for c := range 256 {
			text := []byte(`"aaaaaaaaaaaaaaaaaa"`)
			text[1+i] = byte(c)
			for _, message := range []string{`["",` + string(text) + `,1234567]`, `{"name":1,` + string(text) + `:1234567}`} {
				want := json.Valid([]byte(message)) && utf8.ValidString(message)
				for _, general := range []bool{false, true} {
					if got := p.Course([]byte(message), jsonscan.Limits{}, general); (got.Refusal == nil) != want {
						t.Errorf("%q: %s, want allowed %v", message, show(got), want)
					}
				}
			}
		}
	}
}

// The shortHash of a name is the name itself, as it stands in a message; a name
// that is long, or that stands there in another form, has none.
func TestShortHash(t *testing.T) {
	for name, want := range map[string]uint64{
		"":         '"',
		"a":        'a' | '"'<<8,
		"ä":        0xa4c3 | '"'<<16,
		"bbbbbbb":  0x62626262626262 | '"'<<56,
		"bbbbbbbb": 0,
		"a\\b":     0,
		`a"b`:      0,
		"a\x00":    0,
		"a\x1f":    0,
		"\xff":     0,
	} {
		if got := onepass.ShortHash(name); got != want {
			t.Errorf("%q: %#x, want %#x", name, got, want)
		}
	}
}
