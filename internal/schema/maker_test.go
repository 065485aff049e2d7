package schema_test

import (
	"fmt"
	"strings"
)

// A maker makes schemas and messages of the bytes of a fuzzer. They share
// their names and constants, so that messages are near what schemas ask for.
type maker struct {
	bytes []byte
	draft int
}

func (m *maker) n(n int) int {
	if len(m.bytes) == 0 {
		return 0
	}
	b := int(m.bytes[0])
	m.bytes = m.bytes[1:]
	return b % n
}

func (m *maker) of(list ...string) string { return list[m.n(len(list))] }

func (m *maker) list(open, sep, end string, most int, f func() string) string {
	var parts []string
	for range 1 + m.n(most) {
		parts = append(parts, f())
	}
	return open + strings.Join(parts, sep) + end
}

var numbers = []string{"0", "1", "-1", "2", "1.0", "10e-1", "1.5", "3", "-0.0", "0.1", "1e2", "100", "7", "12345678901234567890", "12345678901234567890.5", "0.30", "1E+1", "3e-1", "99999999999999999999e-20", "1000000000000000000", "184467440737095516161"}

var strs = []string{`"a"`, `"b"`, `"ab"`, `""`, `"\u0061"`, `"é"`, `"\u00e9\u00e9"`, `"😀"`, `"\ud83d\ude00"`, `"a\n"`, `"aaaa"`, `"A"`, `"1"`, `"2020-02-29T23:59:60Z"`, `"a@b.c"`, `"7f9c2ba4-e88f-827d-0000-000000000000"`, `"2020-02-29"`, `"12:00:00z"`}

var names = []string{`"a"`, `"b"`, `"c"`, `"ab"`, `"é"`, `""`, `"a/b"`}

var patterns = []string{`^a`, `^[ab]{1,2}$`, `b$`, `^a?b*$`, `[^a]`, `^(?i)a$`, `^a.$`, `^é`, `^[a-z]+[0-9]?$`}

func (m *maker) scalar() string {
	switch m.n(4) {
	case 0:
		return m.of(numbers...)
	case 1:
		return m.of("null", "true", "false")
	default:
		return m.of(strs...)
	}
}

func (m *maker) value(depth int) string {
	switch k := m.n(8); {
	case depth == 0 || k < 3:
		return m.scalar()
	case k < 5:
		return m.list("[", ",", "]", 4, func() string { return m.value(depth - 1) })
	case k == 5:
		return m.of("[]", "{}")
	}
	used := map[string]bool{}
	return m.list("{", ",", "}", 4, func() string {
		name := m.of(names...)
		for i := 0; used[name]; i++ {
			name = fmt.Sprintf(`"%s%d"`, m.of("a", "x", "z"), i)
		}
		used[name] = true
		if name == `"a"` && m.n(5) == 1 {
			name = `"\u0061"`
		}
		return name + m.of(":", " : ") + m.value(depth-1)
	})
}

func (m *maker) schemas(depth int) string {
	return m.list("[", ",", "]", 3, func() string { return m.schema(depth - 1) })
}

func (m *maker) named(depth int, names []string) string {
	used := map[string]bool{}
	return m.list("{", ",", "}", 3, func() string {
		i := m.n(len(names))
		for used[names[i]] {
			i = (i + 1) % len(names)
		}
		used[names[i]] = true
		return names[i] + ":" + m.schema(depth-1)
	})
}

var quoted = func() []string {
	var list []string
	for _, p := range patterns {
		list = append(list, `"`+p+`"`)
	}
	return list
}()

func (m *maker) schema(depth int) string {
	if depth <= 0 {
		return m.of(`true`, `{}`, `false`, `{"type":"string"}`, `{"type":"integer"}`, `{"const":1}`, `{"const":"a"}`, `{"type":["object","null"]}`, `{"type":"array"}`, `{"minLength":2}`, `{"minimum":1}`)
	}
	used := map[string]bool{}
	return m.list("{", ",", "}", 3, func() string {
		for {
			keyword, value := m.keyword(depth)
			if keyword == "" || !used[keyword] {
				used[keyword] = true
				if keyword == "" {
					return `"x-":0`
				}
				return `"` + keyword + `":` + value
			}
			if len(m.bytes) == 0 {
				used[""] = true
				return fmt.Sprintf(`"x-%d":0`, len(used))
			}
		}
	})
}

func (m *maker) keyword(depth int) (keyword, value string) {
	sub := func() string { return m.schema(depth - 1) }
	count := func() string { return m.of("0", "1", "2", "3") }
	number := func() string { return m.of(numbers...) }
	required := func() string {
		return m.of(`["a"]`, `["b"]`, `["a","b"]`, `["c"]`, `["a","ab","é"]`)
	}
	common := []string{"type", "type", "enum", "const", "properties", "properties", "properties", "required", "additionalProperties",
		"patternProperties", "propertyNames", "minProperties", "maxProperties", "items", "items", "minItems", "maxItems",
		"uniqueItems", "contains", "minLength", "maxLength", "pattern", "minimum", "exclusiveMinimum", "maximum",
		"exclusiveMaximum", "multipleOf", "format", "allOf", "anyOf", "anyOf", "oneOf", "not", "if", "$ref", "dependencies"}
	if m.draft == 2020 {
		common = append(common, "prefixItems", "dependentRequired", "dependentSchemas", "unevaluatedProperties", "unevaluatedProperties",
			"unevaluatedItems", "unevaluatedItems", "minContains", "maxContains", "containsBounds")
	}
	keyword = m.of(common...)
	switch keyword {
	case "type":
		if m.n(2) == 0 {
			return keyword, m.of(`"object"`, `"array"`, `"string"`, `"number"`, `"integer"`, `"boolean"`, `"null"`)
		}
		return keyword, m.of(`["object","array"]`, `["integer","string"]`, `["null","object"]`, `["number","integer"]`, `["array","boolean"]`)
	case "enum":
		return keyword, m.list("[", ",", "]", 10, func() string { return m.value(2) })
	case "const":
		return keyword, m.value(2)
	case "properties":
		return keyword, m.named(depth, names)
	case "patternProperties":
		return keyword, m.named(depth, quoted)
	case "dependentSchemas":
		return keyword, m.named(depth, names)
	case "required":
		return keyword, required()
	case "dependentRequired":
		return keyword, `{` + m.of(names...) + `:` + required() + `}`
	case "dependencies":
		if m.n(2) == 0 {
			return keyword, m.named(depth, names)
		}
		return keyword, `{` + m.of(names...) + `:` + required() + `}`
	case "minProperties", "maxProperties", "minItems", "maxItems", "minLength", "maxLength":
		return keyword, count()
	case "minContains", "maxContains", "containsBounds":
		return "contains", sub() + `,"minContains":` + count() + `,"maxContains":` + count()
	case "uniqueItems":
		return keyword, m.of("true", "false")
	case "pattern":
		return keyword, m.of(quoted...)
	case "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum":
		return keyword, number()
	case "multipleOf":
		return keyword, m.of("1", "2", "0.1", "0.01", "3", "1.5", "1e1", "7", "10", "0.3", "12345678901")
	case "format":
		return keyword, m.of(`"date-time"`, `"email"`, `"uuid"`, `"date"`, `"time"`, `"ipv4"`, `"hostname"`)
	case "allOf", "anyOf", "oneOf", "prefixItems":
		return keyword, m.schemas(depth)
	case "items":
		if m.draft < 2020 && m.n(2) == 0 {
			return keyword, m.schemas(depth) + m.of("", `,"additionalItems":`+sub())
		}
		return keyword, sub()
	case "if":
		return keyword, sub() + m.of("", `,"then":`+sub()) + m.of("", `,"else":`+sub())
	case "$ref":
		if m.draft < 2019 {
			return "allOf", `[{"$ref":"` + m.of("#", "#/definitions/a") + `"}]`
		}
		return keyword, `"` + m.of("#", "#/$defs/a") + `"`
	}
	return keyword, sub()
}

// root makes a whole schema.
func (m *maker) root() string {
	m.draft = []int{7, 2020, 2020}[m.n(3)]
	s := m.schema(1 + m.n(4))
	if m.draft == 7 {
		return `{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a":` + m.schema(2) + `},` + s[1:]
	}
	return `{"$defs":{"a":` + m.schema(2) + `},` + s[1:]
}
