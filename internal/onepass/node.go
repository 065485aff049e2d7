package onepass

import (
	"math/big"
	"regexp"
)

// A Node describes one schema to [Compile]. Its fields are those of JSON
// Schema, resolved: a reference is a pointer to the schema that it leads to,
// and nodes may refer to each other in circles. The zero value does not do
// for the counts, which are -1 where the schema sets none: see [NewNode].
type Node struct {
	Always *bool // the schemas true and false; the other fields are not read

	Types       []string
	Const, Enum []any // as encoding/json decodes them with UseNumber; Const has one or none
	Strings     []StringTest

	Ref                 *Node
	AllOf, AnyOf, OneOf []*Node
	Not                 *Node
	If, Then, Else      *Node // Then and Else only beside If

	MinProperties, MaxProperties int
	Required                     []string
	Properties                   map[string]*Node
	Patterns                     []PatternNode
	Additional                   *Node // additionalProperties
	PropertyNames                *Node
	Dependencies                 []Dependency
	UnevaluatedProperties        *Node

	MinItems, MaxItems       int
	UniqueItems              bool
	Prefix                   []*Node // the schemas of the first items, each for one
	Rest                     *Node   // the schema of the items after them
	RestKeyword              string  // items or additionalItems
	Contains                 *Node
	MinContains, MaxContains int
	ContainsEvaluates        bool // what contains matches is evaluated
	UnevaluatedItems         *Node

	MinLength, MaxLength int
	Pattern              *regexp.Regexp

	Minimum, ExclusiveMinimum, Maximum, ExclusiveMaximum, MultipleOf *big.Rat
}

// A PatternNode is one of patternProperties.
type PatternNode struct {
	Pattern *regexp.Regexp
	Node    *Node
}

// A Dependency is what the presence of a member asks of its object: other
// members, or a schema.
type Dependency struct {
	Keyword  string
	Name     string
	Required []string
	Node     *Node
}

// A StringTest judges strings, as format does. Where there is a function Sure,
// it is asked first, and Test only if it says no.
type StringTest struct {
	Keyword string
	Test    func(string) bool
	Sure    func([]byte) bool
}

// NewNode returns a node that allows everything.
func NewNode() *Node {
	return &Node{
		MinProperties: -1, MaxProperties: -1, MinItems: -1, MaxItems: -1,
		MinContains: 1, MaxContains: -1, MinLength: -1, MaxLength: -1,
	}
}

// A kind is what the first bytes of a value tell of it. The literals are
// kinds of their own, so that what a schema says of them is known when it is
// compiled.
type kind int

const (
	kNull kind = iota
	kFalse
	kTrue
	kNumber
	kString
	kArray
	kObject
	kinds
)

// typeOf has the name that JSON Schema gives to the type of a kind.
var typeOf = [kinds]string{"null", "boolean", "boolean", "number", "string", "array", "object"}
