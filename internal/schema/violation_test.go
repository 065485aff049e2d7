package schema_test

import (
	"cmp"
	"strings"
	"testing"
)

// A violation says where and why in words of the schema alone. R35, R55, R57
func TestViolation(t *testing.T) {
	long := strings.Repeat("é", 60) // 120 bytes
	v5 := map[string]string{        // where it says more, as it looks at all that is wrong
		"empty name":                               `schema: type at ""`,
		"dependency that is a schema":              `schema: maxProperties at ""`,
		"the branch that came closest":             `schema: type at "/a/b"`,
		"the branch that was meant":                `schema: maxLength at "/text"`,
		"the branch that was meant, absent member": `schema: required at ""`,
		"no branch":                                `schema: const at "/type"`,
	}
	for _, row := range []struct{ name, schema, message, want string }{
		{"member that the schema does not name", `{"additionalProperties":{"type":"string"}}`, `{"4111-1111":1}`, `schema: type at ""`},
		{"member that a pattern allows", `{"patternProperties":{"^x":{"items":{"type":"string"}}}}`, `{"x-secret":[1]}`, `schema: type at ""`},
		{"member that looks like an index", `{"additionalProperties":{"type":"string"}}`, `{"123":1}`, `schema: type at ""`},
		{"below a member that the schema does not name", `{"additionalProperties":{"properties":{"a":{"type":"string"}}}}`, `{"secret":{"a":1}}`, `schema: type at ""`},
		{"name", `{"propertyNames":{"maxLength":3}}`, `{"secret":1}`, `schema: maxLength at ""`},
		{"name that the schema declares", `{"properties":{"abcd":{}},"propertyNames":{"maxLength":3}}`, `{"abcd":1}`, `schema: maxLength at "/abcd"`},
		{"index", `{"items":{"properties":{"a":{"items":{"type":"string"}}}}}`, `[{},{"a":["x",1]}]`, `schema: type at "/1/a/1"`},
		{"escaped name", `{"properties":{"a/b~c% ü\"":{"type":"string"}}}`, `{"a/b~c% ü\"":1}`, `schema: type at "/a~1b~0c% ü\""`},
		{"empty name", `{"properties":{"":{"properties":{"a":{"type":"string"}}}}}`, `{"":{"a":1}}`, `schema: type at "//a"`},
		{"long path ends at an ancestor", `{"properties":{"` + long + `":{"$ref":"#"}},"type":"object"}`, `{"` + long + `":{"` + long + `":{"` + long + `":1}}}`, `schema: type at "/` + long + `/` + long + `"`},
		{"false", `false`, `1`, `schema: false at ""`},
		{"false under a name", `{"properties":{"a":false}}`, `{"a":1}`, `schema: false at "/a"`},
		{"false under a keyword", `{"properties":{"a":{}},"unevaluatedProperties":false}`, `{"a":1,"secret":2}`, `schema: unevaluatedProperties at ""`},
		{"false for items", `{"prefixItems":[{}],"items":false}`, `[1,2]`, `schema: items at "/1"`},
		{"dependency", `{"dependentRequired":{"a":["b","c"]}}`, `{"a":1,"b":2}`, `schema: dependentRequired at ""`},
		{"dependency of old", `{` + draft7 + `,"dependencies":{"a":["b"]}}`, `{"a":1}`, `schema: dependencies at ""`},
		{"dependency that is a schema", `{"dependentSchemas":{"a":{"maxProperties":1}}}`, `{"a":1,"b":2}`, `schema: dependentSchemas at ""`},
		{"not", `{"not":{"type":"string"}}`, `"x"`, `schema: not at ""`},
		{"two of oneOf", `{"oneOf":[true,true]}`, `1`, `schema: oneOf at ""`},
		{"contains", `{"contains":{"type":"string"}}`, `[]`, `schema: minContains at ""`},
		{"if and then", `{"if":{"type":"string"},"then":{"minLength":2}}`, `"x"`, `schema: minLength at ""`},
		{"reference", `{"$ref":"#/$defs/a","$defs":{"a":{"minLength":2}}}`, `"x"`, `schema: minLength at ""`},
		{"two keywords", `{"pattern":"^a","enum":["ab"]}`, `"x"`, `schema: enum at ""`},
		{"enum with an array", `{"enum":[1,[2]]}`, `[3]`, `schema: enum at ""`},
		{"enum with an array, allowed", `{"enum":[1,[2]]}`, `[2.0]`, ``},
		{"enum with an object", `{"enum":[{"a":1}]}`, `{"a":2}`, `schema: enum at ""`},
		{"format, draft 2020-12", `{` + d2020 + `,"format":"email"}`, `"x"`, `schema: format at ""`},
		{"format, draft 2019-09", `{` + d2019 + `,"format":"uuid"}`, `"x"`, `schema: format at ""`},
		{"format", `{"format":"email"}`, `"x"`, `schema: format at ""`},
		{"format, draft 7", `{` + draft7 + `,"format":"date-time"}`, `"x"`, `schema: format at ""`},
		{"content, draft 7", `{` + draft7 + `,"contentMediaType":"application/json"}`, `"{"`, `schema: contentMediaType at ""`},
		{"the branch that came closest", `{"oneOf":[{"type":"string"},{"properties":{"a":{"properties":{"b":{"type":"integer"}}}}}]}`, `{"a":{"b":"x"}}`, `schema: type at "/a/b"`},
		{"the branch that was meant", messages, `{"type":"chat","text":"` + strings.Repeat("x", 9) + `"}`, `schema: oneOf at ""`},
		{"the branch that was meant, absent member", messages, `{"type":"join"}`, `schema: oneOf at ""`},
		{"no branch", messages, `{"type":"x","text":"x","room":1}`, `schema: oneOf at ""`},
	} {
		t.Run(row.name, func(t *testing.T) {
			check(t, compile(t, row.schema), row.message, row.want)
			check(t, onV5(t, row.schema), row.message, cmp.Or(v5[row.name], row.want))
		})
	}
}

// messages is a protocol of two kinds of message.
const messages = `{"oneOf":[
	{"properties":{"type":{"const":"chat"},"text":{"maxLength":8}},"required":["type","text"]},
	{"properties":{"type":{"const":"join"},"room":{"type":"integer"}},"required":["type","room"]}]}`
