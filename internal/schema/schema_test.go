package schema_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/schema"
)

// chatSchema and chat are an ordinary schema and a message of 130 bytes.
const (
	chatSchema = `{
		"type": "object",
		"properties": {
			"type": {"const": "chat"},
			"id": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
			"room": {"type": "string", "maxLength": 32},
			"text": {"type": "string", "minLength": 1, "maxLength": 64},
			"at": {"type": "integer", "minimum": 0},
			"tags": {"type": "array", "items": {"enum": ["a", "b", 3]}, "uniqueItems": true, "maxItems": 3},
			"user": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": false}
		},
		"required": ["type", "text"],
		"additionalProperties": false
	}`
	chat = `{"type":"chat","id":"7f9c2ba4e88f827d","room":"general","text":"Hello, how are you today?","at":1767225600123,"tags":["a","b"]}`
)

func compile(t testing.TB, src string) *schema.Schema {
	t.Helper()
	s, err := schema.Compile([]byte(src), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// onV5 compiles a schema as if no program could be made of it.
func onV5(t testing.TB, src string) *schema.Schema {
	t.Helper()
	s, err := compile(t, src).OnV5()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// check asks for a verdict ten times, as what depends on the order of a map
// would not be the same each time.
func check(t *testing.T, s *schema.Schema, message, want string) {
	t.Helper()
	for range 10 {
		got := ""
		if err := s.Check([]byte(message)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.100s: %q, want %q", message, got, want)
			return
		}
	}
}

var checkRows = []struct{ name, message, want string }{
	// Allowed.
	{"chat", chat, ""},
	{"least", `{"type":"chat","text":"x"}`, ""},
	{"an integer in another form", `{"type":"chat","text":"x","at":17e2,"tags":[30e-1]}`, ""},
	{"length in characters", `{"type":"chat","text":"` + strings.Repeat("😀", 64) + `"}`, ""},

	// Denied.
	{"wrong type", `[]`, `schema: type at ""`},
	{"wrong type of a member", `{"type":"chat","text":1}`, `schema: type at "/text"`},
	{"too long", `{"type":"chat","text":"` + strings.Repeat("x", 65) + `"}`, `schema: maxLength at "/text"`},
	{"too short", `{"type":"chat","text":""}`, `schema: minLength at "/text"`},
	{"pattern", `{"type":"chat","text":"x","id":"7F9C2BA4E88F827D"}`, `schema: pattern at "/id"`},
	{"constant", `{"type":"join","text":"x"}`, `schema: const at "/type"`},
	{"not an integer", `{"type":"chat","text":"x","at":1.5}`, `schema: type at "/at"`},
	{"too small", `{"type":"chat","text":"x","at":-1}`, `schema: minimum at "/at"`},
	{"number beyond float64's precision", `{"type":"chat","text":"x","at":-0.00000000000000000000000000000001}`, `schema: type at "/at"`},
	{"enum", `{"type":"chat","text":"x","tags":["a","c"]}`, `schema: enum at "/tags/1"`},
	{"enum, array", `{"type":"chat","text":"x","tags":[["a"]]}`, `schema: enum at "/tags/0"`},
	{"enum, number as a string", `{"type":"chat","text":"x","tags":["3"]}`, `schema: enum at "/tags/0"`},
	{"not unique", `{"type":"chat","text":"x","tags":["a","a"]}`, `schema: uniqueItems at "/tags"`},
	{"mass assignment", `{"type":"chat","text":"x","admin":true}`, `schema: additionalProperties at ""`},
	{"nested mass assignment", `{"type":"chat","text":"x","user":{"name":"x","isAdmin":true}}`, `schema: additionalProperties at "/user"`},
	{"several, the first is named", `{"type":"chat","text":1,"tags":["c"],"at":-1,"x":1}`, `schema: type at "/text"`},
	{"several, in another order", `{"x":1,"type":"chat","text":1}`, `schema: additionalProperties at ""`},
	{"what is absent is known at the end", `{"text":1}`, `schema: type at "/text"`},

	// Absent, malformed, duplicated.
	{"absent", `{"type":"chat"}`, `schema: required at ""`},
	{"empty", ``, "syntax"},
	{"cut off", chat[:50], "syntax"},
	{"a second message", chat + chat, "trailing_data"},
	{"not UTF-8", "{\"text\":\"\xff\"}", "utf8"},
	{"twice", `{"type":"chat","text":"x","text":"y"}`, "duplicate_member"},
	{"merged by a decoder", `{"type":"chat","text":"x","user":{"admin":true},"user":{"name":"x"}}`, `schema: additionalProperties at "/user"`},
	{"merged by a decoder, as both are allowed", `{"type":"chat","text":"x","user":{"name":"x"},"user":{"name":"y"}}`, "duplicate_member"},
	{"twice in other case", `{"type":"chat","text":"x","TEXT":"y"}`, "duplicate_member"},

	// Hostile size.
	{"panics the validator", `{"type":"chat","text":"x","at":1e1000001}`, "number"},
	{"depth bomb", strings.Repeat("[", 100_000), `schema: type at ""`},
	{"string of a megabyte", `{"type":"chat","text":"` + strings.Repeat("x", 1<<20) + `"}`, "string_length"},
}

// R35, R36, R40, R43
func TestCheck(t *testing.T) {
	s := compile(t, chatSchema)
	for _, row := range checkRows {
		t.Run(row.name, func(t *testing.T) { check(t, s, row.message, row.want) })
	}
}

// What makes the validator panic is refused by the scan, and if it were not,
// would not be accepted. R35, R59
func TestPanicIsAViolation(t *testing.T) {
	for _, src := range []string{`{"minimum":1}`, `{"multipleOf":2}`, `{"type":"integer"}`, `{"const":1}`, `{"enum":[1,2]}`, `{"enum":[1,[2]]}`, `{"exclusiveMaximum":9}`} {
		s := onV5(t, src)
		for _, number := range []string{"1e1000001", "1e-1000001", "1e999999999", "-1e1000001"} {
			check(t, s, number, "number")
			err := s.AskV5([]byte(number))
			if violation, ok := err.(*schema.Violation); !ok || *violation != (schema.Violation{Reason: "internal", Keyword: "internal"}) {
				t.Errorf("%s with %s: %v", number, src, err)
			}
		}
	}
	check(t, compile(t, `{"uniqueItems":true}`), "[1e1000001,1e1000001]", "number")
}

// Limits hold before the validator is asked. R35, R41
// A name that a decoder takes for a declared one does not pass, whoever checks
// it. R36, R40
func TestNameInAnotherCase(t *testing.T) {
	const src = `{"properties": {"role": {"enum": ["user"]}, "n": {"multipleOf": 1234567890123456789}},
		"patternProperties": {"^[A-Za-z]+$": true}, "additionalProperties": false}`
	s := compile(t, src)
	if s.Program() != nil {
		t.Fatal("this schema was to be left to v5")
	}
	onePass := compile(t, strings.Replace(src, "1234567890123456789", "2", 1))
	if onePass.Program() == nil {
		t.Fatal(onePass.Apart())
	}
	for message, want := range map[string]string{
		`{"role": "user"}`:  "",
		`{"ROLE": "admin"}`: jsonscan.ReasonCase,
		`{"rol\u0045": 1}`:  jsonscan.ReasonCase,
		`{"other": 1}`:      "",
	} {
		for _, s := range []*schema.Schema{s, onePass} {
			got := ""
			if err := s.Check([]byte(message)); err != nil {
				got = err.(*schema.Violation).Reason
			}
			if got != want {
				t.Errorf("%s: %q, want %q", message, got, want)
			}
		}
	}
}

func TestWithLimits(t *testing.T) {
	s := compile(t, `{"type":"array"}`)
	if got, want := s.Limits(), jsonscan.Default(); got != want {
		t.Errorf("limits are %+v, want %+v", got, want)
	}
	narrow := s.WithLimits(jsonscan.Limits{Items: 2})
	check(t, narrow, "[1,2]", "")
	check(t, narrow, "[1,2,3]", "items")
	check(t, s, "[1,2,3]", "")
	deep := s.WithLimits(jsonscan.Limits{Depth: 1000})
	check(t, deep, strings.Repeat("[", 1000)+strings.Repeat("]", 1000), "")
}

// The hostile shapes that cost the validator most are refused at their first
// violation, and where v5 is asked, are out of the limits or cost little. R35
func TestHostileShapes(t *testing.T) {
	repeat := func(item string, n int) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	for _, row := range []struct{ name, schema, message, want, v5 string }{
		{"depth bomb", `{}`, strings.Repeat("[", 100_000), "depth", "depth"},
		{"ten big numbers", `{"items":{"minimum":0}}`, repeat("1e1000000", 10), "number", "number"},
		{"long integer", `{"minimum":0}`, strings.Repeat("9", 30_000), "number", "number"},
		{"items with one hash", `{"uniqueItems":true}`, repeat("[]", 1025), `schema: uniqueItems at ""`, "items"},
		{"items with one hash, fewer", `{"uniqueItems":true}`, repeat("[[],[[[[]]]]]", 1000), `schema: uniqueItems at ""`, "nodes"},
		{"nested failure", `{"properties":{"a":{"$ref":"#"}},"type":"object"}`, strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "depth", "depth"},
		{"wide errors", `{"items":{"type":"string"}}`, repeat("1", 16_000), `schema: type at "/0"`, "items"},
		{"wide errors of many branches", `{"items":{"oneOf":[{"type":"string"},{"type":"object"},{"type":"array"}]}}`, repeat("1", 1000), `schema: oneOf at "/0"`, `schema: type at "/0"`},
		{"wide object", `{"additionalProperties":{"type":"string"}}`, wide(300), `schema: type at ""`, "members"},
		{"wide object that is allowed", `{}`, wide(300), "members", "members"},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, compile(t, row.schema), row.message, row.want)
			check(t, onV5(t, row.schema), row.message, row.v5)
		})
	}
}

func wide(members int) string {
	var b strings.Builder
	for i := range members {
		fmt.Fprintf(&b, `,"m%d":1`, i)
	}
	return "{" + b.String()[1:] + "}"
}

func TestCheckConcurrently(t *testing.T) {
	s := compile(t, chatSchema)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for _, row := range checkRows {
				check(t, s, row.message, row.want)
			}
		})
	}
	wg.Wait()
}

// R35, R36
func FuzzCheck(f *testing.F) {
	for _, row := range checkRows {
		if len(row.message) < 1<<10 {
			f.Add([]byte(row.message))
		}
	}
	s := compile(f, chatSchema)
	f.Fuzz(func(t *testing.T, message []byte) {
		err := s.Check(message)
		if err == nil {
			return
		}
		violation := err.(*schema.Violation)
		if violation.Reason == schema.ReasonInternal {
			t.Fatalf("the validator failed at %q", message)
		}
		if again := s.Check(message).(*schema.Violation); *again != *violation {
			t.Fatalf("%q: %v, then %v", message, violation, again)
		}
		if len(violation.Path) > 256 || !utf8.ValidString(violation.Path) {
			t.Fatalf("%q: path %q", message, violation.Path)
		}
		for token := range strings.SplitSeq(strings.TrimPrefix(violation.Path, "/"), "/") {
			if token != "" && strings.Trim(token, "0123456789") != "" && !strings.Contains(chatSchema, `"`+token+`":`) {
				t.Fatalf("%q: path %q is not of the schema", message, violation.Path)
			}
		}
	})
}
