package schema_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/schema"
)

// What is left of a message after it was cleaned is what the schema judges, and
// nothing is cleaned that is not JSON within the limits, wherever the schema's
// first violation stands. R35, R36
func TestCheckCleaned(t *testing.T) {
	const text = `{"type":"object","properties":{"a":{"type":"string","maxLength":3},"b":{"type":"integer"}},"additionalProperties":false}`
	for _, row := range []struct{ name, message, old, new, want, result string }{
		{"nothing to clean", `{"a":"abc"}`, "~", "", "", `{"a":"abc"}`},
		{"cleaned", `{"a":"a~c"}`, "~", "", "", `{"a":"ac"}`},
		{"allowed once it is cleaned", `{"a":"a~~~bc"}`, "~", "", "", `{"a":"abc"}`},
		{"refused", `{"a":"abcd"}`, "~", "", `schema: maxLength at "/a"`, ""},
		{"refused although it is cleaned", `{"a":"abcd~"}`, "~", "", `schema: maxLength at "/a"`, ""},
		{"refused once it is cleaned", `{"a":"ab~"}`, "~", "cd", `schema: maxLength at "/a"`, ""},
		{"no JSON any more", `{"a":"ab~"}`, "~", `"`, "syntax", ""},
		{"a name twice by cleaning", `{"a":"~","b":1}`, "~", `","a":"`, "duplicate_member", ""},
		{"too long by cleaning", `{"a":"~"}`, "~", strings.Repeat("x", 17<<10), "string_length", ""},
		{"no JSON behind the first violation", `{"x":"~`, "~", "", "syntax", ""},
		{"a name twice behind the first violation", `{"x":"~","y":1,"y":2}`, "~", "", "duplicate_member", ""},
		{"too deep behind the first violation", `{"x":"~","b":` + strings.Repeat("[", 40), "~", "", "depth", ""},
		{"no JSON", `{"a":"~"`, "~", "", "syntax", ""},
	} {
		for on, s := range map[string]*schema.Schema{"one pass": compile(t, text), "v5": onV5(t, text)} {
			got, err := s.CheckCleaned([]byte(row.message), func(message []byte) []byte {
				if err := jsonscan.Scan(message, jsonscan.Limits{}); err != nil {
					t.Errorf("%s on %s: cleans what is not JSON: %v", row.name, on, err)
				}
				return bytes.ReplaceAll(message, []byte(row.old), []byte(row.new))
			})
			said := ""
			if err != nil {
				said = err.Error()
			}
			if said != row.want || said == "" && string(got) != row.result {
				t.Errorf("%s on %s: %q and %q, want %q and %q", row.name, on, got, said, row.result, row.want)
			}
		}
	}
}
