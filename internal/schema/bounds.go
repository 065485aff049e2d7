package schema

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

const (
	maxRecursion = 32      // levels of a message for a schema that refers to itself
	maxPerValue  = 1 << 8  // times that such a schema may check one value
	maxChecks    = 1 << 14 // times that it may check the values of one message
)

// bounds holds, by level of a message, how often v5 checks a value there or
// above at most. It is empty for a schema that does not refer to itself, as
// its own size bounds it, and for one that runs in one pass.
type bounds []int

// apply lowers the limits to what can be checked in bounded time.
func (b bounds) apply(l jsonscan.Limits) jsonscan.Limits {
	if len(b) > 0 {
		l.Depth = min(l.Depth, len(b)-1)
		l.Nodes = min(l.Nodes, maxChecks/b[max(l.Depth, 0)])
	}
	return l
}

type node = *jsonschema.Schema

// guardV5 makes a compiled schema fit to be asked by strangers, where v5 is the
// one to answer. It returns the bounds of a message.
func guardV5(root node) (bounds, error) {
	w := walk{names: map[string]bool{}, open: map[node]bool{}}
	w.visit(root)
	for s := range w.open {
		indexEnum(s)
	}
	if !w.recursive {
		return nil, nil
	}
	c := counter{known: map[state]int{}}
	var b bounds
	most := 0
	for level := range maxRecursion + 1 {
		for _, kind := range kinds {
			most = max(most, c.count(root, level, kind))
		}
		if c.loop {
			return nil, errors.New("the schema refers to itself for the same value, without end")
		}
		if most > maxPerValue {
			break
		}
		b = append(b, most)
	}
	if len(b) < 3 {
		return nil, errors.New("the schema refers to itself in so many places for the same value that no message of two levels can be checked in bounded time; let the branches share one reference")
	}
	return b, nil
}

// namesOf returns the member names that a compiled schema declares, or an
// error if it asks what nobody may answer.
func namesOf(root node) (map[string]bool, error) {
	w := walk{names: map[string]bool{}, open: map[node]bool{}}
	w.visit(root)
	return w.names, w.err
}

// metaschemas begins the locations of the schemas that v5 brings with it. They
// have been reviewed by nobody.
const metaschemas = "https://json-schema.org/"

// A walk visits all that a schema may apply.
type walk struct {
	names     map[string]bool
	open      map[node]bool // visited; true until all below is, too
	recursive bool
	err       error
}

func (w *walk) visit(s node) {
	if s == nil {
		return
	}
	if open, visited := w.open[s]; visited {
		w.recursive = w.recursive || open
		return
	}
	switch {
	case s.RecursiveRef != nil, s.DynamicRef != nil && strings.HasPrefix(s.Location, metaschemas):
		w.err = fmt.Errorf("%s: $recursiveRef, and the $dynamicRef of metaschemas, are not supported, as what they lead to is known only when a message comes", s.Location)
	case s.Format == "regex":
		w.err = fmt.Errorf("%s: the format regex is not supported, as compiling expressions of strangers takes unbounded memory", s.Location)
	}
	w.open[s] = true
	for name := range s.Properties {
		w.names[name] = true
	}
	groups := append(below(s, "object"), below(s, "array")...)
	for _, group := range append(groups, here(s)) {
		for _, t := range group {
			w.visit(t)
		}
	}
	w.open[s] = false
}

// here lists what s applies to the same value. v5 applies all of them: a
// branch that fails does not spare it the others.
func here(s node) []node {
	all := slices.Concat(s.AllOf, s.AnyOf, s.OneOf, slices.Collect(maps.Values(s.DependentSchemas)))
	for _, d := range s.Dependencies {
		all = append(all, asNode(d))
	}
	return append(all, s.Ref, s.DynamicRef, s.Not, s.If, s.Then, s.Else)
}

// below lists what s applies to the items or members of a value of a kind: to
// the same one at most one schema of each group.
func below(s node, kind string) [][]node {
	if kind == "array" {
		items, _ := s.Items.([]node)
		items = slices.Concat(items, s.PrefixItems, []node{asNode(s.Items), asNode(s.AdditionalItems), s.Items2020})
		return [][]node{items, {s.Contains}, {s.UnevaluatedItems}}
	}
	members := append(slices.Collect(maps.Values(s.Properties)), asNode(s.AdditionalProperties))
	groups := [][]node{members, {s.PropertyNames}, {s.UnevaluatedProperties}}
	for _, t := range s.PatternProperties {
		groups = append(groups, []node{t})
	}
	return groups
}

func asNode(v any) node {
	s, _ := v.(node)
	return s
}

// kinds are the types of values that have others below them.
var kinds = []string{"object", "array"}

// A counter counts how often v5 applies a schema, and those that it leads to,
// to one value some levels below, at most. Whoever writes the message chooses
// the value; what the count assumes of it can be too much, never too little.
type counter struct {
	known map[state]int
	loop  bool
}

type state struct {
	schema node
	level  int
	kind   string
}

const (
	counting = -1      // the count of a state that is not complete
	plenty   = 1 << 20 // more is not counted, so that sums do not overflow
)

func (c *counter) count(s node, level int, kind string) int {
	if s == nil || level > 0 && len(s.Types) > 0 && !slices.Contains(s.Types, kind) {
		return 0 // v5 asks no more of a value of the wrong type
	}
	key := state{s, level, kind}
	if n, ok := c.known[key]; ok {
		c.loop = c.loop || n == counting
		return n
	}
	c.known[key] = counting
	n := 0
	for _, t := range here(s) {
		n += c.count(t, level, kind)
	}
	if level == 0 {
		n++
	} else {
		for _, group := range below(s, kind) {
			most := 0
			for _, t := range group {
				for _, kind := range kinds {
					most = max(most, c.count(t, level-1, kind))
				}
			}
			n += most
		}
	}
	c.known[key] = min(n, plenty)
	return c.known[key]
}
