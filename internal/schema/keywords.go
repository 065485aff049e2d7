package schema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// holds says what stands under a keyword.
type holds int

const (
	values  holds = iota // anything but schemas
	count                // a number of things
	schemas              // a schema or a list of them
	named                // schemas by name
)

// keywords are those that v5 understands, or may ignore as they assert
// nothing, each with the first draft and the last one to know it.
// $recursiveRef and $vocabulary are left out on purpose: what they mean is not
// known before a message comes. $dynamicRef may stand where it is known.
var keywords = tabulate([]row{
	{4, 2020, values, "$schema $ref " + annotations},
	{4, 2020, values, "type enum format pattern required uniqueItems"},
	{4, 2020, values, "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf"},
	{4, 2020, count, "minLength maxLength minItems maxItems minProperties maxProperties"},
	{4, 2020, schemas, "allOf anyOf oneOf not items additionalProperties"},
	{4, 2020, named, "definitions $defs properties patternProperties dependencies"},
	{4, 2019, schemas, "additionalItems"},
	{4, 4, values, "id"},
	{6, 2020, values, "$id const"},
	{6, 2020, schemas, "contains propertyNames"},
	{7, 2020, values, "contentEncoding contentMediaType"},
	{7, 2020, schemas, "if then else"},
	{2019, 2020, values, "$anchor dependentRequired contentSchema"},
	{2019, 2020, count, "minContains maxContains"},
	{2019, 2020, schemas, "unevaluatedItems unevaluatedProperties"},
	{2019, 2020, named, "dependentSchemas"},
	{2020, 2020, schemas, "prefixItems"},
	{2020, 2020, values, "$dynamicRef $dynamicAnchor"},
})

const annotations = "title description default examples $comment readOnly writeOnly deprecated"

// besideRef are the keywords that may stand beside $ref before draft 2019-09:
// v5 ignores the others there, as these drafts say.
var besideRef = strings.Fields("$ref $schema definitions $defs " + annotations)

// needs are the keywords without which others have no effect.
var needs = map[string]string{
	"then": "if", "else": "if", "additionalItems": "items",
	"minContains": "contains", "maxContains": "contains",
}

type row struct {
	from, to int
	holds    holds
	names    string
}

func tabulate(rows []row) map[string]row {
	table := map[string]row{}
	for _, r := range rows {
		for _, name := range strings.Fields(r.names) {
			table[name] = r
		}
	}
	return table
}

// drafts has v5's drafts by the number in the table.
var drafts = map[int]*jsonschema.Draft{
	4: jsonschema.Draft4, 6: jsonschema.Draft6, 7: jsonschema.Draft7,
	2019: jsonschema.Draft2019, 2020: jsonschema.Draft2020,
}

// draftOf returns the number of the draft that a schema declares in $schema,
// otherwise the one given, and 0 for a metaschema of somebody's own.
func draftOf(schema any, otherwise int) int {
	m, _ := schema.(map[string]any)
	declared, ok := m["$schema"]
	if !ok {
		return otherwise
	}
	uri, _ := declared.(string)
	uri = strings.Replace(strings.TrimSuffix(uri, "#"), "http://", "https://", 1)
	for number, draft := range drafts {
		if draft.URL() == uri {
			return number
		}
	}
	return 0
}

// A review looks for what v5 would silently not enforce.
type review struct {
	draft    int
	problems []error
	anchors  map[string]int    // how often each $dynamicAnchor stands
	dynamic  map[string]string // the fragment of each $dynamicRef, by place
}

func (r *review) note(at, format string, a ...any) {
	r.problems = append(r.problems, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, a...)))
}

// schema reviews a schema that stands at a place. What is neither an object
// nor a boolean is left to v5, which refuses it.
func (r *review) schema(at string, schema any) {
	m, _ := schema.(map[string]any)
	if draftOf(m, r.draft) != r.draft {
		r.note(at+"/$schema", "the draft cannot change inside of a schema")
	}
	_, ref := m["$ref"]
	for _, name := range slices.Sorted(maps.Keys(m)) {
		if strings.HasPrefix(name, "x-") {
			continue
		}
		at := at + "/" + escape.Replace(name)
		known, ok := keywords[name]
		if !ok || r.draft < known.from || r.draft > known.to {
			r.note(at, "no keyword that is supported in this draft; if it is an annotation of your own, let it begin with x-")
			continue
		}
		if ref && r.draft < 2019 && !slices.Contains(besideRef, name) {
			r.note(at, "ignored beside $ref in this draft; put both into an allOf")
		}
		if other := needs[name]; other != "" && m[other] == nil {
			r.note(at, "no effect without %s", other)
		}
		r.keyword(at, name, known.holds, m[name])
	}
}

func (r *review) keyword(at, name string, holds holds, value any) {
	switch value := value.(type) {
	case json.Number:
		if f, _ := value.Float64(); holds == count && f > math.MaxInt32 {
			r.note(at, "too great to have an effect")
		}
	case string:
		if (name == "$id" || name == "id") && !isNormal(value) {
			r.note(at, "no URI in normal form; write it without dot segments and without an empty query")
		}
		if name == "format" && jsonschema.Formats[value] == nil {
			r.note(at, "no format that is checked; if it is for readers only, name the keyword x-format")
		}
		_, fragment, _ := strings.Cut(value, "#")
		switch name {
		case "$dynamicAnchor":
			r.anchors[value]++
		case "$dynamicRef":
			r.dynamic[at] = fragment
			fallthrough
		case "$ref":
			if !pointsToSchema(fragment) {
				r.note(at, "does not lead to a place where a schema stands")
			}
		}
	case []any:
		if name == "enum" && len(value) == 0 {
			r.note(at, "allows nothing, but the validator takes it for anything; write false")
		}
		if holds == schemas {
			for i, schema := range value {
				r.schema(at+"/"+strconv.Itoa(i), schema)
			}
		}
	case map[string]any:
		switch holds {
		case schemas:
			r.schema(at, value)
		case named:
			for _, name := range slices.Sorted(maps.Keys(value)) {
				r.schema(at+"/"+escape.Replace(name), value[name])
			}
		}
	}
}

// isNormal reports whether a reference to the place that an identifier names
// comes back to that identifier. Where it does not, v5 looks for the schema
// among the documents, finds it there, and begins again until the stack ends.
func isNormal(id string) bool {
	id, _, _ = strings.Cut(id, "#")
	u, err := url.Parse(id)
	if err != nil {
		return false
	}
	if !u.IsAbs() {
		above, _ := url.Parse(base)
		u = above.ResolveReference(u)
		id = u.String()
	}
	again, err := url.Parse(id)
	return err == nil && again.ResolveReference(&url.URL{}).String() == id
}

// pointsToSchema reports whether the fragment of a $ref is an anchor or a
// pointer through keywords that hold schemas. v5 would make a schema of
// whatever it finds, in an enum or under a keyword that nobody has reviewed.
func pointsToSchema(fragment string) bool {
	if !strings.HasPrefix(fragment, "/") {
		return true
	}
	tokens := strings.Split(fragment, "/")[1:]
	for len(tokens) > 0 {
		name, _ := url.PathUnescape(tokens[0])
		tokens = tokens[1:]
		switch keywords[name].holds {
		case schemas:
			if len(tokens) > 0 && isNumber(tokens[0]) {
				tokens = tokens[1:]
			}
		case named:
			if len(tokens) == 0 {
				return false
			}
			tokens = tokens[1:]
		default:
			return false
		}
	}
	return true
}

func isNumber(token string) bool {
	_, err := strconv.ParseUint(token, 10, 32)
	return err == nil
}
