package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/schema"
)

const (
	draft4 = `"$schema":"http://json-schema.org/draft-04/schema#"`
	draft6 = `"$schema":"http://json-schema.org/draft-06/schema"`
	draft7 = `"$schema":"http://json-schema.org/draft-07/schema#"`
	d2019  = `"$schema":"https://json-schema.org/draft/2019-09/schema"`
	d2020  = `"$schema":"https://json-schema.org/draft/2020-12/schema"`
)

// compileRows are schemas, and a part of the error for those that do not compile.
var compileRows = []struct{ name, schema, problem string }{
	// Allowed.
	{"true", `true`, ""},
	{"false", `false`, ""},
	{"empty object", `{}`, ""},
	{"own annotations", `{"x-":1,"properties":{"a":{"x-unit":{"minimun":3}}}}`, ""},
	{"annotations", `{"title":"a","description":"b","default":1,"examples":[{"minimun":3}],"$comment":"c","readOnly":true,"writeOnly":false,"deprecated":true}`, ""},
	{"keywords as member names", `{"properties":{"$ref":{"type":"string"},"minimun":true,"enum":false}}`, ""},
	{"keywords in constants", `{"enum":[{"minimun":3}],"const":{"minimun":3}}`, ""},
	{"draft 4", `{` + draft4 + `,"id":"http://example.com/a","exclusiveMinimum":true,"minimum":1}`, ""},
	{"draft 6", `{` + draft6 + `,"const":1,"contains":{},"propertyNames":{}}`, ""},
	{"draft 7", `{` + draft7 + `,"if":{},"then":{},"else":{},"dependencies":{"a":["b"],"b":{"minimum":1}},"items":[{}],"additionalItems":false}`, ""},
	{"draft 2019-09", `{` + d2019 + `,"dependentRequired":{"a":["b"]},"dependentSchemas":{"a":{}},"unevaluatedItems":false,"items":[{}],"additionalItems":{}}`, ""},
	{"draft 2020-12", `{` + d2020 + `,"prefixItems":[{}],"unevaluatedProperties":false,"contains":{},"minContains":0,"maxContains":1}`, ""},
	{"references in all forms", `{"$id":"https://example.com/a.json","$defs":{"s":{"$anchor":"s","type":"string"},"a/b~%":{}},"items":{"$ref":"#/$defs/s"},"properties":{"a":{"$ref":"#s"},"b":{"$ref":"#/properties/a"},"c":{"$ref":"a.json#/items"},"d":{"$ref":"#/%24defs/a~1b~0%25"}},"anyOf":[{"$ref":"#/$defs/s"},{"$ref":"#/anyOf/0"}]}`, ""},
	{"definitions and title beside $ref", `{` + draft7 + `,"$ref":"#/definitions/a","title":"t","definitions":{"a":{}}}`, ""},
	{"keywords beside $ref", `{"$ref":"#/$defs/a","maxLength":3,"$defs":{"a":{}}}`, ""},
	{"all formats", `{"anyOf":[{"format":"date-time"},{"format":"email"},{"format":"uuid"},{"format":"ipv6"},{"format":"uri"}]}`, ""},

	// Malformed or absent.
	{"empty text", ``, "syntax"},
	{"not JSON", `{"type":string}`, "syntax"},
	{"two texts", `{} {}`, "trailing_data"},
	{"a number", `1`, "got number"},
	{"null", `null`, "got null"},
	{"an array", `[]`, "got array"},
	{"unknown type", `{"type":"strin"}`, "/type"},
	{"limit is a string", `{"minimum":"3"}`, "/minimum"},
	{"negative length", `{"minLength":-1}`, "/minLength"},
	{"bad expression", `{"pattern":"("}`, "/pattern"},
	{"lookahead", `{"pattern":"(?=a)"}`, "/pattern"},
	{"bad expression of a name", `{"patternProperties":{"(":{}}}`, "patternProperties"},
	{"reference is a number", `{"$ref":5}`, "$ref"},
	{"bad $id", `{"$id":"http://[::1"}`, "$id"},
	{"$schema is a number", `{"$schema":5}`, "#/$schema"},

	// What would silently not be enforced.
	{"misspelt", `{"minimun":3}`, "#/minimun: no keyword"},
	{"misspelt deep inside", `{"properties":{"a/b":{"items":{"allOf":[{"not":{"maxlength":3}}]}}}}`, "#/properties/a~1b/items/allOf/0/not/maxlength"},
	{"misspelt in a definition", `{"$defs":{"a":{"requierd":["a"]}}}`, "#/$defs/a/requierd"},
	{"misspelt in a dependency", `{"dependencies":{"a":["b"],"b":{"minimun":1}}}`, "#/dependencies/b/minimun"},
	{"other case", `{"MinLength":3}`, "#/MinLength"},
	{"of a later draft", `{` + draft7 + `,"dependentRequired":{"a":["b"]}}`, "#/dependentRequired"},
	{"of a later draft", `{` + draft4 + `,"const":1}`, "#/const"},
	{"of an earlier draft", `{"items":{},"additionalItems":false}`, "#/additionalItems: no keyword"},
	{"of another dialect", `{"nullable":true}`, "#/nullable"},
	{"$id of draft 4", `{` + draft4 + `,"$id":"http://example.com/a"}`, "#/$id"},
	{"beside $ref", `{` + draft7 + `,"$ref":"#/definitions/a","maxLength":3,"definitions":{"a":{}}}`, "#/maxLength: ignored beside $ref"},
	{"then alone", `{"then":{"type":"string"}}`, "no effect without if"},
	{"maxContains alone", `{"maxContains":1}`, "no effect without contains"},
	{"unknown format", `{"format":"emial"}`, "#/format"},
	{"empty enum", `{"enum":[]}`, "#/enum"},
	{"great number", `{"minimum":1e1000001}`, "number"},
	{"great number in a constant", `{"const":[1e309]}`, "number"},
	{"great length", `{"minLength":4294967296}`, "#/minLength: too great"},
	{"great length as a power", `{"maxItems":1e300}`, "#/maxItems: too great"},
	{"duplicate keyword", `{"type":"string","type":"number"}`, "duplicate_member"},
	{"duplicate member", `{"properties":{"a":true,"A":false}}`, "duplicate_member"},
	{"metaschema of one's own", `{"$schema":"https://example.com/meta"}`, "#/$schema: not one of"},
	{"draft 3", `{"$schema":"http://json-schema.org/draft-03/schema#"}`, "#/$schema: not one of"},
	{"another draft inside", `{"items":{` + draft7 + `}}`, "#/items/$schema"},
	{"content schema in draft 7", `{` + draft7 + `,"contentMediaType":"application/json","contentSchema":{"minimum":1}}`, "#/contentSchema"},
	{"content of unchecked form in draft 7", `{` + draft7 + `,"contentMediaType":"application/json","contentSchema":true}`, "#/contentSchema"},

	// References.
	{"to a file", `{"$ref":"file:///secret.json"}`, "not among the documents"},
	{"to a relative file", `{"$ref":"compile_test.go"}`, "not among the documents"},
	{"to the network", `{"$ref":"https://example.com/schema.json"}`, "not among the documents"},
	{"to nothing", `{"$ref":"#/$defs/a"}`, "not found"},
	{"to an unknown anchor", `{"$ref":"#a"}`, "not found"},
	{"into a constant", `{"const":{"minimun":3},"items":{"$ref":"#/const"}}`, "#/items/$ref"},
	{"into an annotation", `{"x-a":{"minimun":3},"items":{"$ref":"#/x-a"}}`, "#/items/$ref"},
	{"into a map of schemas", `{"properties":{"type":true},"items":{"$ref":"#/properties"}}`, "#/items/$ref"},
	{"into a list of schemas", `{"allOf":[true],"items":{"$ref":"#/allOf"}}`, "got array"},
	{"to itself", `{"$ref":"#"}`, "infinite loop"},
	{"to itself through allOf", `{"allOf":[{"$ref":"#"}]}`, "infinite loop"},
	{"to itself behind the validator's back", `{"properties":{"a":{"$ref":"#/$defs/c"}},"if":{"$ref":"#/$defs/c"},"$defs":{"c":{"$ref":"#"}}}`, "without end"},
	{"dynamic, to one place", `{"$dynamicAnchor":"a","items":{"$dynamicRef":"#a"}}`, ""},
	{"dynamic, to an anchor that is not", `{"$anchor":"a","items":{"$dynamicRef":"#a"}}`, ""},
	{"dynamic, to two places", `{"$dynamicAnchor":"a","items":{"$dynamicRef":"#a"},"$defs":{"b":{"$id":"b","$dynamicAnchor":"a"}}}`, "#/items/$dynamicRef"},
	{"dynamic, through what holds no schemas", `{"items":{"$dynamicRef":"#/enum/0"},"enum":[{}]}`, "#/items/$dynamicRef"},
	{"dynamic, without end", `{"$dynamicAnchor":"a","$dynamicRef":"#a"}`, "infinite loop"},
	{"recursive of 2019-09", `{` + d2019 + `,"items":{"$recursiveRef":"#"}}`, "#/items/$recursiveRef"},
	{"to a metaschema", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "$dynamicRef"},
	{"to a metaschema with expressions", `{"$ref":"http://json-schema.org/draft-07/schema#"}`, "the format regex"},

	// What cannot be checked in bounded time.
	{"expressions of strangers", `{"properties":{"filter":{"format":"regex"}}}`, "the format regex"},
	{"ten branches", tenBranches + `}`, ""},
	{"ten branches, which v5 follows one by one", tenBranches + `,"multipleOf":1234567890123456789}`, "bounded time"},
}

var tenBranches = `{"anyOf":[` + strings.Repeat(`{"items":{"$ref":"#"}},`, 9) + `{"items":{"$ref":"#"}}]`

// R35
func TestCompile(t *testing.T) {
	for _, row := range compileRows {
		t.Run(row.name, func(t *testing.T) {
			compiled, err := schema.Compile([]byte(row.schema), nil)
			switch {
			case row.problem == "":
				if err != nil {
					t.Errorf("does not compile: %v", err)
				}
			case err == nil:
				t.Errorf("compiles, want an error with %q", row.problem)
			case !strings.Contains(err.Error(), row.problem):
				t.Errorf("error is %q, want %q in it", err, row.problem)
			case compiled != nil:
				t.Error("a schema comes with the error")
			}
		})
	}
}

func TestCompileReportsAllProblems(t *testing.T) {
	_, err := schema.Compile([]byte(`{"minimun":1,"properties":{"a":{"formatt":"x"}}}`), map[string][]byte{
		"a.json": []byte(`{"maximun":1}`), "b.json": []byte(`{`), "c.json#d": []byte(`{}`), "schema": []byte(`{}`), "%": []byte(`{}`),
	})
	want := `document "%": parse "%": invalid URL escape "%"`
	for _, problem := range []string{"#/minimun: ", "#/properties/a/formatt: ", "mem:///a.json#/maximun: ", `document "b.json": syntax`, `document "c.json#d": a name has no fragment`, "mem:///schema: more than one", want} {
		if err == nil || !strings.Contains(err.Error(), problem) {
			t.Errorf("error is %v, want %q in it", err, problem)
		}
	}
}

// References lead to the documents given, and to nothing else. R35
func TestDocuments(t *testing.T) {
	docs := map[string][]byte{
		"https://example.com/types.json": []byte(`{"$defs":{"name":{"type":"string","maxLength":3},"user":{"$ref":"user.json"}}}`),
		"user.json":                      []byte(`{"properties":{"name":{"$ref":"types.json#/$defs/name"}}}`),
		"old.json":                       []byte(`{` + draft7 + `,"items":[{"type":"string"}],"additionalItems":false}`),
		"unused.json":                    []byte(`{}`),
	}
	src := `{"$id":"https://example.com/chat.json","properties":{"to":{"$ref":"types.json#/$defs/user"},"old":{"$ref":"/old.json"}}}`
	s, err := schema.Compile([]byte(src), docs)
	if err != nil {
		t.Fatal(err)
	}
	for message, want := range map[string]string{
		`{"to":{"name":"Ann"},"old":["x"]}`: "",
		`{"to":{"name":"Anna"}}`:            `schema: maxLength at "/to/name"`,
		`{"old":["x","y"]}`:                 `schema: additionalItems at "/old/1"`,
	} {
		check(t, s, message, want)
	}

	file := filepath.Join(t.TempDir(), "schema.json")
	if err := os.WriteFile(file, []byte(`{}`), 0o600); err != nil {
		t.Fatal(err)
	}
	uri := "file://" + filepath.ToSlash(file)
	for _, src := range []string{`{"$ref":"` + uri + `"}`, `{"$schema":"` + uri + `"}`} {
		if _, err := schema.Compile([]byte(src), nil); err == nil {
			t.Errorf("%s: a file was loaded", src)
		}
	}
	if _, err := schema.Compile([]byte(`{"$ref":"a.json"}`), map[string][]byte{"a.json": []byte(`{"$ref":"` + uri + `"}`)}); err == nil {
		t.Error("a file was loaded for a document")
	}
}

// A document without $schema is of the draft of the schema.
func TestDraftOfDocuments(t *testing.T) {
	docs := map[string][]byte{"a": []byte(`{"items":[{"type":"string"}],"additionalItems":false}`)}
	s, err := schema.Compile([]byte(`{`+draft7+`,"$ref":"a"}`), docs)
	if err != nil {
		t.Fatal(err)
	}
	check(t, s, `["a"]`, "")
	check(t, s, `["a","b"]`, `schema: additionalItems at "/1"`)
}

// R35
func FuzzCompile(f *testing.F) {
	for _, row := range compileRows {
		f.Add(row.schema, `{"a":[1,"x",null]}`)
	}
	f.Fuzz(func(t *testing.T, src, message string) {
		if len(src) > 1<<12 {
			return
		}
		s, err := schema.Compile([]byte(src), map[string][]byte{"a": []byte(`{"type":"string"}`)})
		if err != nil {
			return
		}
		if violation, ok := s.Check([]byte(message)).(*schema.Violation); ok && violation.Reason == schema.ReasonInternal {
			t.Fatalf("the validator failed at %q with %q", message, src)
		}
	})
}

// A $id that v5 cannot find again would end the process, by its stack. R58
func TestIdentifiersInNormalForm(t *testing.T) {
	for id, ok := range map[string]bool{
		"https://example.com/room.json": true, "https://example.com/a?b=c": true, "room.json": true,
		"urn:example:room": true, "": true, "#anchor": true,
		"?": false, "https://example.com/a?": false, "https://example.com/a/../b": false,
		"https://example.com/./a": false,
	} {
		_, err := schema.Compile([]byte(`{"$schema":"http://json-schema.org/draft-07/schema#","$id":"`+id+`","type":"string"}`), nil)
		if refused := err != nil && strings.Contains(err.Error(), "normal form"); refused == ok {
			t.Errorf("%q: %v", id, err)
		}
	}
}
