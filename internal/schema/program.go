package schema

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/onepass"
)

// newProgram returns what checks messages against a schema in a single pass, or
// an error that says why there is none.
func newProgram(root node) (*onepass.Program, error) {
	a := adapter{}
	top := a.node(root)
	if a.err != nil {
		return nil, a.err
	}
	return onepass.Compile(top)
}

// An adapter describes v5's schemas to onepass.
type adapter struct {
	nodes map[node]*onepass.Node
	err   error
}

func (a *adapter) node(s node) *onepass.Node {
	if s == nil {
		return nil
	}
	if n, ok := a.nodes[s]; ok {
		return n
	}
	if a.nodes == nil {
		a.nodes = map[node]*onepass.Node{}
	}
	n := onepass.NewNode()
	a.nodes[s] = n
	if s.RecursiveRef != nil || s.RegexProperties {
		a.err = fmt.Errorf("%s: what it leads to is known only when a message comes", s.Location)
	}
	n.Always = s.Always
	n.Types, n.Const, n.Enum = s.Types, s.Constant, s.Enum
	a.strings(n, s)

	n.Ref, n.Not, n.If, n.Then, n.Else = a.node(s.Ref), a.node(s.Not), a.node(s.If), a.node(s.Then), a.node(s.Else)
	n.AllOf, n.AnyOf, n.OneOf = a.list(s.AllOf), a.list(s.AnyOf), a.list(s.OneOf)
	if s.DynamicRef != nil {
		n.AllOf = append(n.AllOf, a.node(s.DynamicRef)) // Compile has seen to it that there is one
	}

	n.MinProperties, n.MaxProperties, n.Required = s.MinProperties, s.MaxProperties, s.Required
	n.Properties = map[string]*onepass.Node{}
	for name, child := range s.Properties {
		n.Properties[name] = a.node(child)
	}
	for pattern, child := range s.PatternProperties {
		n.Patterns = append(n.Patterns, onepass.PatternNode{Pattern: pattern, Node: a.node(child)})
	}
	slices.SortFunc(n.Patterns, func(p, q onepass.PatternNode) int {
		return strings.Compare(p.Pattern.String(), q.Pattern.String())
	})
	n.Additional, n.PropertyNames = a.either(s.AdditionalProperties), a.node(s.PropertyNames)
	a.dependencies(n, s)
	n.UnevaluatedProperties = a.node(s.UnevaluatedProperties)

	n.MinItems, n.MaxItems, n.UniqueItems = s.MinItems, s.MaxItems, s.UniqueItems
	a.items(n, s)
	n.Contains, n.MinContains, n.MaxContains = a.node(s.Contains), s.MinContains, s.MaxContains
	n.ContainsEvaluates, n.UnevaluatedItems = s.ContainsEval, a.node(s.UnevaluatedItems)

	n.MinLength, n.MaxLength, n.Pattern = s.MinLength, s.MaxLength, s.Pattern
	n.Minimum, n.ExclusiveMinimum = s.Minimum, s.ExclusiveMinimum
	n.Maximum, n.ExclusiveMaximum, n.MultipleOf = s.Maximum, s.ExclusiveMaximum, s.MultipleOf
	return n
}

func (a *adapter) list(schemas []node) []*onepass.Node {
	var list []*onepass.Node
	for _, s := range schemas {
		list = append(list, a.node(s))
	}
	return list
}

// either reads what v5 keeps as a boolean or a schema.
func (a *adapter) either(v any) *onepass.Node {
	if b, ok := v.(bool); ok {
		n := onepass.NewNode()
		n.Always = &b
		return n
	}
	return a.node(asNode(v))
}

func (a *adapter) strings(n *onepass.Node, s node) {
	if f := jsonschema.Formats[s.Format]; f != nil {
		n.Strings = append(n.Strings, onepass.StringTest{
			Keyword: "format",
			Test:    func(text string) bool { return f(text) },
			Sure:    onepass.Formats[s.Format],
		})
	}
	if s.Draft != jsonschema.Draft7 {
		return // v5 asserts content in no other draft
	}
	decode, media := jsonschema.Decoders[s.ContentEncoding], jsonschema.MediaTypes[s.ContentMediaType]
	if decode != nil {
		n.Strings = append(n.Strings, onepass.StringTest{Keyword: "contentEncoding", Test: func(text string) bool {
			_, err := decode(text)
			return err == nil
		}})
	}
	if media == nil || decode == nil && s.ContentEncoding != "" {
		return
	}
	n.Strings = append(n.Strings, onepass.StringTest{Keyword: "contentMediaType", Test: func(text string) bool {
		content := []byte(text)
		if decode != nil {
			content, _ = decode(text)
		}
		return media(content) == nil
	}})
}

func (a *adapter) dependencies(n *onepass.Node, s node) {
	for _, name := range slices.Sorted(maps.Keys(s.Dependencies)) {
		d := onepass.Dependency{Keyword: "dependencies", Name: name, Node: a.node(asNode(s.Dependencies[name]))}
		d.Required, _ = s.Dependencies[name].([]string)
		n.Dependencies = append(n.Dependencies, d)
	}
	for _, name := range slices.Sorted(maps.Keys(s.DependentRequired)) {
		n.Dependencies = append(n.Dependencies, onepass.Dependency{Keyword: "dependentRequired", Name: name, Required: s.DependentRequired[name]})
	}
	for _, name := range slices.Sorted(maps.Keys(s.DependentSchemas)) {
		n.Dependencies = append(n.Dependencies, onepass.Dependency{Keyword: "dependentSchemas", Name: name, Node: a.node(s.DependentSchemas[name])})
	}
}

func (a *adapter) items(n *onepass.Node, s node) {
	n.RestKeyword = "items"
	n.Prefix, n.Rest = a.list(s.PrefixItems), a.node(s.Items2020)
	switch items := s.Items.(type) {
	case node:
		n.Rest = a.node(items)
	case []node:
		n.Prefix, n.Rest, n.RestKeyword = a.list(items), a.either(s.AdditionalItems), "additionalItems"
	}
}
