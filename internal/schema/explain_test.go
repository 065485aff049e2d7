package schema_test

import (
	"slices"
	"strings"
	"testing"
)

// What makes a schema weak or costly is told, with its place. R35
func TestExplain(t *testing.T) {
	const closed = `"additionalProperties":false`
	open, array := "an object is open to any member: write additionalProperties false", "an array is unbounded: write maxItems"
	text, anything := "a string is unbounded: write maxLength", "anything is allowed: give it a type"
	for _, row := range []struct {
		name, schema string
		want         []string
	}{
		{"nothing to say", `{"type":"object","properties":{"a":{"type":"string","maxLength":3},"b":{"type":["integer","null"]},"c":{"const":"x"},"d":{"enum":["x"]},"e":{"type":"array","maxItems":2,"items":{"type":"boolean"}}},` + closed + `}`, nil},
		{"open object", `{"type":"object"}`, []string{"#: " + open}},
		{"open object, told to be", `{"type":"object","additionalProperties":true}`, []string{"#: " + open}},
		{"map", `{"type":"object","additionalProperties":{"type":"number"}}`, nil},
		{"map of anything", `{"type":"object","additionalProperties":{}}`, []string{"#/additionalProperties: " + anything}},
		{"closed from outside", `{"type":"object","allOf":[{"$ref":"#/$defs/a"}],"unevaluatedProperties":false,"$defs":{"a":{"type":"object","properties":{"x":{"type":"null"}}}}}`, nil},
		{"open behind a reference", `{"$ref":"#/$defs/a","$defs":{"a":{"type":"object"}}}`, []string{"#/$defs/a: " + open}},
		{"not used", `{"type":"null","$defs":{"a":{"type":"object"}}}`, nil},
		{"string", `{"type":"string"}`, []string{"#: " + text}},
		{"string or number", `{"type":["string","number"]}`, []string{"#: " + text}},
		{"string of a form", `{"type":"string","pattern":"^[a-z]{1,9}$"}`, nil},
		{"string of a form without end", `{"type":"string","pattern":"^[a-z]+$"}`, []string{"#: " + text}},
		{"string of a format", `{"type":"string","format":"uuid"}`, nil},
		{"string, bounded elsewhere", `{"type":"object","properties":{"a":{"maxLength":3}},"allOf":[{"properties":{"a":{"type":"string"}}}],` + closed + `}`, nil},
		{"array", `{"type":"array","items":{"type":"null"}}`, []string{"#: " + array}},
		{"tuple", `{"type":"array","prefixItems":[{"type":"string"}],"items":false}`, []string{"#/prefixItems/0: " + text}},
		{"tuple, draft 7", `{` + draft7 + `,"type":"array","items":[{"type":"null"}],"additionalItems":false}`, nil},
		{"anything", `{"type":"object","properties":{"a":{},"b":true},` + closed + `}`, []string{"#/properties/a: " + anything, "#/properties/b: " + anything}},
		{"one branch", `{"anyOf":[{"type":"null"},{"type":"string"}]}`, []string{"#/anyOf/1: " + text}},
		{"branches of a closed object", `{"type":"object","properties":{"a":{"type":"null"}},` + closed + `,"anyOf":[{"required":["a"]},{"maxProperties":0}]}`, nil},
		{"bounded if", `{"type":"string","if":{"pattern":"^a$"},"then":{"maxLength":3},"else":{"maxLength":9}}`, nil},
		{"unbounded else", `{"type":"string","if":{"pattern":"^a$"},"then":{"maxLength":3}}`, []string{"#: " + text}},
		{"closed in one case", `{"type":"object","if":{"required":["a"]},"then":{"additionalProperties":false}}`, []string{"#: " + open}},
		{"pattern", `{"type":"string","maxLength":9,"pattern":"^a|b$"}`, []string{"#: the pattern is not anchored and may match anywhere: begin it with ^ and end it with $"}},
		{"pattern of names", `{"type":"object","patternProperties":{"x-":{"type":"null"}},` + closed + `}`, []string{"#: an expression of patternProperties may match anywhere in a name: begin it with ^"}},
		{"recursive anyOf", `{"anyOf":[{"type":"null"},{"type":"array","maxItems":2,"items":{"$ref":"#"}}]}`, []string{"#: a recursive anyOf is followed in all branches on every level"}},
		{"recursive, without branches", `{"type":"array","maxItems":2,"items":{"$ref":"#"}}`, nil},
	} {
		if got := compile(t, row.schema).Explain().Warnings; !slices.Equal(got, row.want) {
			t.Errorf("%s:\n%s\nwant\n%s", row.name, strings.Join(got, "\n"), strings.Join(row.want, "\n"))
		}
	}
}

// A schema with more branches than can be walked over is explained in part.
func TestExplainEnds(t *testing.T) {
	choice := `{"anyOf":[{"required":["a"]},{"required":["b"]},{"required":["c"]}]}`
	x := compile(t, `{"allOf":[`+strings.Repeat(choice+",", 30)+choice+`]}`).Explain()
	if len(x.Warnings) == 0 || !slices.ContainsFunc(x.Warnings, func(w string) bool { return strings.Contains(w, "too many combinations") }) {
		t.Errorf("nothing is said of what was not looked at: %s", x.Warnings)
	}
	compile(t, tenBranches+`}`).Explain()
}
