package schema_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/schema"
)

// branches returns a schema that refers to itself from n branches.
func branches(n int) string {
	return `{"type":"array","anyOf":[` + strings.TrimSuffix(strings.Repeat(`{"items":{"$ref":"#"}},`, n), ",") + `]}`
}

var recursive = []struct {
	name, schema string
	level        string // how a message goes deeper
	depth, nodes int    // the limits that hold
}{
	{"not recursive", `{"anyOf":[{"items":{}},{"items":{}}]}`, ``, 1000, 100_000},
	{"not recursive, shared", `{"$defs":{"s":{"type":"string"}},"properties":{"a":{"$ref":"#/$defs/s"},"b":{"$ref":"#/$defs/s"}}}`, ``, 1000, 100_000},
	{"list", `{"properties":{"next":{"$ref":"#"}}}`, `{"next":`, 32, 8192},
	{"binary tree", `{"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}},"additionalProperties":false}`, `{"left":`, 32, 8192},
	{"tree behind a reference", `{"$ref":"#/$defs/n","$defs":{"n":{"properties":{"in":{"type":"array","items":{"$ref":"#/$defs/n"}}}}}}`, `{"in":[`, 32, 8192},
	{"one branch of several", `{"anyOf":[{"type":"string"},{"type":"number"},{"items":{"$ref":"#"}}]}`, `[`, 32, 3276},
	{"branches of different types", `{"anyOf":[{"type":"object","additionalProperties":{"$ref":"#"}},{"type":"array","items":{"$ref":"#"}}]}`, `[{"a":`, 32, 4096},
	{"two branches", branches(2), `[`, 6, 64},
	{"two branches, draft 7", `{` + draft7 + `,"anyOf":[{"items":{"$ref":"#"}},{"items":{"$ref":"#"}}]}`, `[`, 6, 64},
	{"two branches, any member", `{"anyOf":[{"additionalProperties":{"$ref":"#"}},{"additionalProperties":{"$ref":"#"}}]}`, `{"a":`, 6, 64},
	{"three branches", branches(3), `[`, 3, 121},
	{"two of allOf", strings.Replace(branches(2), "anyOf", "allOf", 1), `[`, 6, 64},
	{"two of oneOf", strings.Replace(branches(2), "anyOf", "oneOf", 1), `[`, 6, 64},
	{"if and not", `{"if":{"items":{"$ref":"#"}},"not":{"items":{"$ref":"#"}}}`, `[`, 6, 64},
	{"then and else", `{"if":{"type":"array"},"then":{"items":{"$ref":"#"}},"else":{"items":{"$ref":"#"}}}`, `[`, 5, 102},
	{"two patterns", `{"patternProperties":{"a":{"$ref":"#"},"b":{"$ref":"#"}}}`, `{"ab":`, 7, 64},
	{"member and pattern", `{"properties":{"a":{"$ref":"#"}},"patternProperties":{"^a":{"$ref":"#"}}}`, `{"a":`, 7, 64},
	{"items and contains", `{"items":{"$ref":"#"},"contains":{"$ref":"#"}}`, `[`, 7, 64},
	{"dependent schemas", `{"dependentSchemas":{"a":{"properties":{"a":{"$ref":"#"}}},"b":{"properties":{"a":{"$ref":"#"}}}}}`, `{"b":1,"a":`, 6, 64},
	{"dependencies", `{"dependencies":{"a":{"properties":{"a":{"$ref":"#"}}},"b":{"properties":{"a":{"$ref":"#"}}}}}`, `{"b":1,"a":`, 6, 64},
	{"unevaluated members", `{"anyOf":[{"properties":{"a":{"$ref":"#"}}},true],"unevaluatedProperties":{"$ref":"#"}}`, `{"a":`, 6, 64},
	{"unevaluated items, 2019-09", `{` + d2019 + `,"anyOf":[{"items":[{"$ref":"#"}],"additionalItems":{"$ref":"#"}},true],"unevaluatedItems":{"$ref":"#"}}`, `[`, 6, 64},
	{"every second level", `{"anyOf":[{"properties":{"and":{"items":{"$ref":"#"}}}},{"properties":{"or":{"items":{"$ref":"#"}}}}]}`, `{"and":[`, 13, 64},
}

// A schema that refers to itself lowers the limits, whoever raises them, but
// only where v5 is asked. R35
func TestBoundsOfRecursion(t *testing.T) {
	for _, row := range recursive {
		t.Run(row.name, func(t *testing.T) {
			limits := jsonscan.Limits{Depth: 1000, Nodes: 100_000}
			got := onV5(t, row.schema).WithLimits(limits).Limits()
			if got.Depth != row.depth || got.Nodes != row.nodes {
				t.Errorf("depth %d and %d nodes, want %d and %d", got.Depth, got.Nodes, row.depth, row.nodes)
			}
			if got := compile(t, row.schema).WithLimits(limits).Limits(); got.Depth != 1000 || got.Nodes != 100_000 {
				t.Errorf("depth %d and %d nodes in one pass, which is linear", got.Depth, got.Nodes)
			}
		})
	}
}

// Less depth leaves room for more nodes, and limits below the bounds stand.
func TestBoundsFollowDepth(t *testing.T) {
	s := onV5(t, branches(2))
	for _, row := range []struct{ depth, nodes, wantNodes int }{
		{0, 0, 64}, {4, 0, 256}, {2, 0, 1024}, {4, 10, 10}, {-1, 0, 4096},
	} {
		got := s.WithLimits(jsonscan.Limits{Depth: row.depth, Nodes: row.nodes}).Limits()
		if got.Nodes != row.wantNodes {
			t.Errorf("depth %d: %d nodes, want %d", row.depth, got.Nodes, row.wantNodes)
		}
	}
}

// A counter is an extension of the validator that counts how often a schema is
// applied to a value.
type counter struct{ applied int }

func (c *counter) Compile(jsonschema.CompilerContext, map[string]any) (jsonschema.ExtSchema, error) {
	return c, nil
}

func (c *counter) Validate(jsonschema.ValidationContext, any) error {
	c.applied++
	return nil
}

// applied returns how often the bare validator applies schemas to a message.
func applied(t *testing.T, src, message string) int {
	t.Helper()
	count := new(counter)
	c := jsonschema.NewCompiler()
	c.RegisterExtension("counter", nil, count)
	if err := c.AddResource("mem:///schema", strings.NewReader(src)); err != nil {
		t.Fatal(err)
	}
	compiled, err := c.Compile("mem:///schema")
	if err != nil {
		t.Fatal(err)
	}
	var v any
	d := json.NewDecoder(bytes.NewReader([]byte(message)))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	_ = compiled.Validate(v)
	return count.applied
}

// nest returns a message of a depth with a number of values at the bottom.
func nest(level string, depth, leaves int) string {
	end := ""
	for _, c := range level {
		switch c {
		case '[':
			end = "]" + end
		case '{':
			end = "}" + end
		}
	}
	levels := depth / len(end)
	bottom := strings.TrimSuffix(strings.Repeat("1,", leaves), ",")
	if leaves > 1 && !strings.HasSuffix(level, "[") {
		bottom = "[" + bottom + "]"
	}
	return strings.Repeat(level, levels) + bottom + strings.Repeat(end, levels)
}

// Messages within the bounds make the validator do bounded work, and those
// beyond are refused before it is asked. R35
func TestWorkIsBounded(t *testing.T) {
	for _, row := range recursive {
		if row.level == "" {
			continue // bounded by its own size
		}
		s := onV5(t, row.schema)
		limits := s.Limits()
		deepest := nest(row.level, limits.Depth, 1)
		widest := nest(row.level, limits.Depth-1, min(1000, limits.Nodes-2*limits.Depth-1))
		for _, message := range []string{deepest, widest} {
			if err := s.Scan([]byte(message)); err != nil {
				t.Errorf("%s: %v for %.60s", row.name, err, message)
			}
			if n := applied(t, row.schema, message); n < limits.Depth || n > 1<<14 {
				t.Errorf("%s: %d applications for %.60s", row.name, n, message)
			}
		}
		beyond := nest(row.level, limits.Depth+2, 1)
		if err := s.Check([]byte(beyond)); err == nil || err.(*schema.Violation).Reason != jsonscan.ReasonDepth {
			t.Errorf("%s: %v for %.60s, want depth", row.name, err, beyond)
		}
	}
	// Without the bounds, a few brackets more take more than that.
	if n := applied(t, branches(2), nest("[", 15, 0)); n <= 1<<14 {
		t.Errorf("%d applications beyond the bounds: the schema is no threat", n)
	}
}
