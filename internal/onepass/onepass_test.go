package onepass_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
)

const d7 = `"$schema":"http://json-schema.org/draft-07/schema#"`

// A refusal names keyword and place, in words of the schema alone. R35, R36
func TestRefusal(t *testing.T) {
	long := strings.Repeat("é", 60) // 120 bytes
	for _, row := range []struct{ name, schema, message, want string }{
		{"allowed", chatSchema, chat, ""},
		{"white space around", chatSchema, "\n " + strings.ReplaceAll(chat, `,"`, " ,\t\"") + "\r\n", ""},
		{"escaped name and value", chatSchema, `{"t\u0079pe":"ch\u0061t","text":"\ud83d\ude00"}`, ""},
		{"type", chatSchema, `[]`, "schema type "},
		{"type of a member", chatSchema, `{"type":"chat","text":1}`, "schema type /text"},
		{"const", chatSchema, `{"type":"join","text":"x"}`, "schema const /type"},
		{"pattern", chatSchema, `{"id":"7F9C2BA4E88F827D"}`, "schema pattern /id"},
		{"too long", chatSchema, `{"text":"` + strings.Repeat("x", 65) + `"}`, "schema maxLength /text"},
		{"longest in characters", chatSchema, `{"type":"chat","text":"` + strings.Repeat(`\ud83d\ude00é`, 32) + `"}`, ""},
		{"one character more", chatSchema, `{"type":"chat","text":"` + strings.Repeat(`\ud83d\ude00é`, 32) + `x"}`, "schema maxLength /text"},
		{"not an integer", chatSchema, `{"at":1.5}`, "schema type /at"},
		{"integer in another form", chatSchema, `{"type":"chat","text":"x","at":17e2,"tags":[30e-1]}`, ""},
		{"minimum", chatSchema, `{"at":-1}`, "schema minimum /at"},
		{"enum", chatSchema, `{"tags":["a","d"]}`, "schema enum /tags/1"},
		{"too many items", chatSchema, `{"tags":["a","b","c",3]}`, "schema maxItems /tags"},
		{"items alike", chatSchema, `{"tags":[3,3.0]}`, "schema uniqueItems /tags"},
		{"required", chatSchema, `{"type":"chat"}`, "schema required "},
		{"member that is not declared", chatSchema, `{"secret":{"a":1}}`, "schema additionalProperties "},
		{"below a member that is not declared", `{"additionalProperties":{"properties":{"a":{"type":"string"}}}}`, `{"secret":{"a":1}}`, "schema type "},
		{"member that is required but not declared", `{"required":["a"],"additionalProperties":{"type":"string"}}`, `{"a":1}`, "schema type "},
		{"member that a pattern allows", `{"patternProperties":{"^x":{"items":{"type":"string"}}}}`, `{"x-secret":[1]}`, "schema type "},
		{"false under a name", `{"properties":{"a":false}}`, `{"a":1}`, "schema false /a"},
		{"false for items", `{"prefixItems":[{}],"items":false}`, `[1,2]`, "schema items /1"},
		{"false for more items", `{` + d7 + `,"items":[{}],"additionalItems":false}`, `[1,2]`, "schema additionalItems /1"},
		{"name", `{"properties":{"abcd":{}},"propertyNames":{"maxLength":3}}`, `{"abcd":1}`, "schema maxLength /abcd"},
		{"names false", `{"propertyNames":false}`, `{"abcd":1}`, "schema propertyNames "},
		{"escaped path", `{"properties":{"a/b~c":{"type":"string"}}}`, `{"a/b~c":1}`, "schema type /a~1b~0c"},
		{"long path ends at an ancestor", `{"properties":{"` + long + `":{"$ref":"#"}},"type":"object"}`, `{"` + long + `":{"` + long + `":{"` + long + `":1}}}`, `schema type /` + long + `/` + long},
		{"anyOf, told apart by type", `{"anyOf":[{"type":"string"},{"type":"object","required":["a"]}]}`, `{}`, "schema required "},
		{"anyOf", `{"anyOf":[{"required":["a"]},{"required":["b"]}],"type":"object"}`, `{}`, "schema anyOf "},
		{"anyOf before the end", `{"anyOf":[{"items":{"maximum":1}},{"items":{"minimum":9}}]}`, `[1,5,]`, "schema anyOf "},
		{"oneOf, two", `{"oneOf":[{"minimum":1},{"maximum":3}]}`, `2`, "schema oneOf "},
		{"not", `{"not":{"minimum":1}}`, `2`, "schema not "},
		{"if", `{"if":{"minLength":1},"then":{"minLength":2}}`, `"x"`, "schema if "},
		{"dependency", `{"dependentRequired":{"a":["b","c"]}}`, `{"a":1,"b":2}`, "schema dependentRequired "},
		{"dependency that is a schema", `{"dependentSchemas":{"a":{"maxProperties":1}}}`, `{"a":1,"b":2}`, "schema dependentSchemas "},
		{"contains", `{"contains":{"type":"string"}}`, `[1]`, "schema minContains "},
		{"contains too many", `{"contains":{"type":"string"},"maxContains":1}`, `["a",1,"b",}`, "schema maxContains "},
		{"unevaluated", `{"properties":{"a":{}},"unevaluatedProperties":false}`, `{"a":1,"secret":2}`, "schema unevaluatedProperties "},
		{"composite enum", `{"enum":[[1,{"a":2,"b":3}]]}`, `[1.0,{"b":3,"a":2}]`, ""},
		{"composite enum, other", `{"enum":[[1,{"a":2,"b":3}]]}`, `[1.0,{"b":3,"a":3}]`, "schema enum "},
		{"type before the syntax behind", chatSchema, `{"at":"`, "syntax"},

		{"nothing", chatSchema, ``, "syntax"},
		{"cut off", chatSchema, chat[:50], "syntax"},
		{"second message", chatSchema, chat + chat, "trailing_data"},
		{"NUL behind", `{}`, "1\x00", "trailing_data"},
		{"not UTF-8", chatSchema, "{\"text\":\"\xff\"}", "utf8"},
		{"lone surrogate", chatSchema, `{"text":"\ud83d"}`, "utf8"},
		{"twice", chatSchema, `{"text":"x","text":"y"}`, "duplicate_member"},
		{"twice in other case", chatSchema, `{"text":"x","TEXT":"y"}`, "duplicate_member"},
		{"other case first", `{"properties":{"text":{}}}`, `{"TEXT":"x","text":"y"}`, "member_case"},
		{"other case alone", `{"properties":{"role":{"enum":["user"]}},"patternProperties":{"^[A-Za-z]+$":{}}}`, `{"ROLE":"admin"}`, "member_case"},
		{"other case where somebody else knows it", `{"anyOf":[{"properties":{"role":{}}},{"properties":{"ROLE":{}}}]}`, `{"Role":1}`, "member_case"},
		{"other case and escapes", `{"properties":{"skip":{}}}`, `{"\u017fkip":1}`, "member_case"},
		{"twice with a Kelvin sign", `{"properties":{"k":{}}}`, `{"K":1,"k":2}`, "member_case"},
		{"unknown twice", `{}`, `{"a":1,"b":{"a":2},"A":3}`, "duplicate_member"},
		{"unknown twice, far apart", `{}`, strings.Replace(wide(40), `"m39"`, `"M3"`, 1), "duplicate_member"},
		{"same names in two objects", `{}`, `[` + wide(40) + `,` + wide(40) + `]`, ""},
		{"depth bomb", `{}`, strings.Repeat("[", 100_000), "depth"},
		{"number that overflows to zero", `{}`, "184467440737095516161", ""},
		{"zero before a digit", `{}`, "01", "trailing_data"},
		{"deepest", `{}`, strings.Repeat("[", 32) + strings.Repeat("]", 32), ""},
		{"one level more", `{}`, strings.Repeat("[", 33) + strings.Repeat("]", 33), "depth"},
		{"most nodes", `{}`, `[` + strings.Repeat(`[0`+strings.Repeat(",0", 1022)+`],`, 3) + `[0` + strings.Repeat(",0", 1021) + `]]`, ""},
		{"one node more", `{}`, `[` + strings.Repeat(`[0`+strings.Repeat(",0", 1022)+`],`, 3) + `[0` + strings.Repeat(",0", 1022) + `]]`, "nodes"},
		{"number too long", `{}`, strings.Repeat("9", 65), "number"},
		{"exponent", `{}`, "1e309", "number"},
		{"string too long", `{}`, `"` + strings.Repeat("x", 16<<10+1) + `"`, "string_length"},
		{"items", `{}`, `[0` + strings.Repeat(",0", 1024) + `]`, "items"},
		{"members", `{}`, wide(257), "members"},
		{"nodes", `{}`, `[` + strings.Repeat(`[0`+strings.Repeat(",0", 1000)+`],`, 5) + `0]`, "nodes"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := program(t, row.schema)
			for range 3 {
				got := ""
				if r := p.Check([]byte(row.message), jsonscan.Limits{}); r != nil {
					got = r.Reason
					if r.Reason == onepass.ReasonSchema {
						got += " " + r.Keyword + " " + r.Path
					}
				}
				if got != row.want {
					t.Errorf("%.100s: %q, want %q", row.message, got, row.want)
				}
			}
		})
	}
}

// A schema that is asked for in two ways is fatal if it is in one of them,
// whichever comes first.
func TestSharedNode(t *testing.T) {
	shared, above := onepass.NewNode(), onepass.NewNode()
	shared.MinLength = 2
	above.AllOf = []*onepass.Node{shared}
	for _, child := range []*onepass.Node{shared, above} {
		one, other, root := onepass.NewNode(), onepass.NewNode(), onepass.NewNode()
		one.Properties = map[string]*onepass.Node{"a": shared}
		other.Required = []string{"b"}
		root.AnyOf = []*onepass.Node{one, other}
		root.Properties = map[string]*onepass.Node{"a": child}
		p, err := onepass.Compile(root)
		if err != nil {
			t.Fatal(err)
		}
		for message, want := range map[string]bool{`{"a":"xy"}`: true, `{"a":"x"}`: false, `{"a":"x","b":2}`: false, `{"b":2}`: true} {
			if r := p.Check([]byte(message), jsonscan.Limits{}); (r == nil) != want {
				t.Errorf("%s: %+v, want allowed %v", message, r, want)
			}
		}
	}
}

// What is refused for good, in a branch that does not end the pass, is only
// scanned from there on; and items that differ in their order alone do not have
// one hash.
func TestStepsSpared(t *testing.T) {
	steps := func(text, message string) int {
		p := program(t, text)
		return p.Steps([]byte(message), jsonscan.Limits{})
	}
	member := `{"properties":{"a":{"anyOf":[{"type":"null"},{"type":"array","items":{"type":"integer","minimum":1,"maximum":9}}]}},"required":["b"]}`
	text := `{"anyOf":[` + member + `,{"required":["c"]}]}`
	few, many := steps(text, `{"a":[0`+strings.Repeat(",1", 500)+`]}`), steps(text, `{"a":[1`+strings.Repeat(",1", 500)+`]}`)
	if few > many/2 {
		t.Errorf("%d steps for an array that is refused at once, %d for one that is not", few, many)
	}
	alike, unlike := `[1,2,3,4,5,6]`, `[6,5,4,3,2,1]`
	if a, b := steps(`{"uniqueItems":true}`, `[`+alike+`,`+unlike+`]`), steps(`{"uniqueItems":true}`, `[`+alike+`,[6,5,4,3,2,7]]`); a != b {
		t.Errorf("%d steps for items in another order, %d for other items", a, b)
	}
}

// What a single pass cannot express does not compile.
func TestLeftToV5(t *testing.T) {
	for _, row := range []struct{ name, schema, want string }{
		{"many contains", `{"allOf":[{"contains":{"const":1}},{"contains":{"const":2}},{"contains":{"const":3}},{"contains":{"const":4}},{"contains":{"const":5}}],"unevaluatedItems":false}`, "contains"},
		{"many patterns", `{"patternProperties":{"1":{},"2":{},"3":{},"4":{},"5":{},"6":{},"7":{}}}`, "patternProperties"},
		{"long divisor", `{"multipleOf":1234567890123456789}`, "multipleOf"},
	} {
		s, err := compileSchema(row.schema)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Apart(); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// A message that passes takes no memory.
func TestNoAllocations(t *testing.T) {
	for _, row := range []struct{ name, schema, message string }{
		{"chat", chatSchema, chat},
		{"escapes", chatSchema, `{"t\u0079pe":"ch\u0061t","text":"\ud83d\ude00"}`},
		{"document", documentSchema, documentText},
		{"wide object", `{}`, wide(256)},
		{"unique items", `{"uniqueItems":true}`, nests()},
		{"composite enum", `{"items":{"enum":[[1,{"a":2,"b":3}]]}}`, `[[1.0,{"b":3,"a":2}]]`},
		{"long number", `{"multipleOf":0.01,"minimum":1}`, strings.Repeat("9", 64)},
		{"recursion", branches, strings.Repeat("[", 32) + "null" + strings.Repeat("]", 32)},
		{"formats", `{"properties":{"a":{"format":"email"},"b":{"format":"date-time"},"c":{"pattern":"^([a-z]+-)*$"}}}`, `{"a":"a@b.c","b":"2026-01-01T12:00:00Z","c":"a-b-"}`},
		{"unevaluated", `{"anyOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{}}}],"unevaluatedProperties":false}`, `{"a":"x","b":1}`},
	} {
		p := program(t, row.schema)
		if r := p.Check([]byte(row.message), jsonscan.Limits{}); r != nil {
			t.Errorf("%s: %+v", row.name, r)
		}
		if n := p.Allocs([]byte(row.message)); n != 0 {
			t.Errorf("%s: %v allocations", row.name, n)
		}
	}
}

// Messages made to cost much stay within the bound on steps. R35
func TestSteps(t *testing.T) {
	for _, row := range rows {
		p := program(t, row.schema)
		steps := p.Steps([]byte(row.message), jsonscan.Limits{})
		t.Logf("%s: %d bytes, size %d, %d steps", row.name, len(row.message), p.Size(), steps)
		if most := onepass.StepsPerByte * (len(row.message) + 1) * p.Size(); steps > most {
			t.Errorf("%s: %d steps, more than %d", row.name, steps, most)
		}
	}
}

// Two schemas that refer to each other from several branches are followed as a
// set, so that twice the depth takes twice the steps.
func TestRecursionIsLinear(t *testing.T) {
	for _, text := range []string{
		branches,
		`{"anyOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}],"type":"array"}`,
		`{"oneOf":[{"items":{"$ref":"#/$defs/b"}},{"items":{"$ref":"#"}}],"$defs":{"b":{"not":{"items":{"$ref":"#"}},"if":{"items":{"$ref":"#"}},"then":{"items":{"$ref":"#/$defs/b"}}}}}`,
	} {
		p := program(t, text)
		steps := func(depth int) int {
			return p.Steps([]byte(strings.Repeat("[", depth)+"1"+strings.Repeat("]", depth)), jsonscan.Limits{Depth: 1000})
		}
		if a, b := steps(100), steps(200); b > 2*a+100 {
			t.Errorf("%s: %d steps for 100 levels, %d for 200", text, a, b)
		}
	}
}

func TestCheckConcurrently(t *testing.T) {
	p := program(t, chatSchema)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if r := p.Check([]byte(chat), jsonscan.Limits{}); r != nil {
					t.Error(r)
				}
				if r := p.Check([]byte(chat[:100]), jsonscan.Limits{}); r == nil || r.Reason != jsonscan.ReasonSyntax {
					t.Error(r)
				}
			}
		})
	}
	wg.Wait()
}

// A number is compared exactly on both sides of a bound, whether or not it is
// one that the range of its plan can tell.
func TestBoundsAreExact(t *testing.T) {
	for _, row := range []struct {
		schema  string
		allowed []string
		refused []string
	}{
		{`{"minimum":0}`, []string{"0", "-0", "-0.0", "0.5", "1e-9", "1" + strings.Repeat("0", 40)}, []string{"-1", "-0.5", "-1e-9", "-1" + strings.Repeat("0", 40)}},
		{`{"maximum":9}`, []string{"9", "9.0", "0.9e1", "8.99", "-1" + strings.Repeat("0", 40)}, []string{"9.5", "10", "1e1", "9.000000000000000000001", "1" + strings.Repeat("0", 40)}},
		{`{"type":"integer","minimum":1,"maximum":3}`, []string{"1", "2.0", "0.3e1"}, []string{"1.5", "2.5", "0", "4", "3.1", "25e-1"}},
		{`{"minimum":-9223372036854775808}`, []string{"-9223372036854775808", "-1e18", "9"}, []string{"-9223372036854775809", "-1e19", "-9223372036854775808.5"}},
		{`{"maximum":9223372036854775807}`, []string{"9223372036854775807", "1e18", "-9"}, []string{"9223372036854775808", "1e19", "9223372036854775807.5"}},
		{`{"minLength":2,"maxLength":3}`, []string{`"ab"`, `"äöü"`, `"\u00e4\n"`}, []string{`"a"`, `"\n"`, `"abcd"`}},
	} {
		p := program(t, row.schema)
		for _, message := range row.allowed {
			if r := p.Check([]byte(message), jsonscan.Limits{}); r != nil {
				t.Errorf("%s: %s is refused: %v", row.schema, message, r)
			}
		}
		for _, message := range row.refused {
			if p.Check([]byte(message), jsonscan.Limits{}) == nil {
				t.Errorf("%s: %s passes", row.schema, message)
			}
		}
	}
}
