package onepass

import (
	"errors"
	"slices"
)

// A node is a Node with what the compiler has learned of it.
type node struct {
	*Node
	id       int
	values   []*values
	pattern  *pattern
	verdicts [kinds]verdict
	children children
}

// children are the nodes of a Node's schemas.
type children struct {
	ref, not, cond, then, els     *node
	all, any, one                 []*node
	props                         map[string]*node
	patterns                      []patternChild
	additional, propertyNames     *node
	dependencies                  []*node
	unevaluatedProps, unevalItems *node
	prefix                        []*node
	rest, contains                *node
}

type patternChild struct {
	pattern *pattern
	node    *node
}

// A verdict is what is known of a schema when only the kind of the value is.
type verdict uint8

const (
	unknown verdict = iota
	working         // being worked out
	isMaybe
	isAlways
	isNever
)

var errLoop = errors.New("a schema applies itself to the same value")

// reduce tells what a schema says of all values of a kind. Of arrays and
// objects it never says that all are allowed if the program annotates, as what
// a schema evaluates is of interest then, too.
func (c *compiler) reduce(n *node, k kind) verdict {
	switch n.verdicts[k] {
	case unknown:
	case working:
		c.fail(errLoop)
		return isMaybe
	default:
		return n.verdicts[k]
	}
	n.verdicts[k] = working
	v := c.work(n, k)
	if v == isAlways && c.annotates && k >= kArray && n.Always == nil {
		v = isMaybe
	}
	n.verdicts[k] = v
	return v
}

func (c *compiler) work(n *node, k kind) verdict {
	if n.Always != nil {
		if *n.Always {
			return isAlways
		}
		return isNever
	}
	if !n.allows(k) {
		return isNever
	}
	result := isAlways
	if n.asks(k) {
		result = isMaybe
	}
	also := func(v verdict) {
		if v == isNever || result == isNever {
			result = isNever
		} else if v == isMaybe {
			result = isMaybe
		}
	}
	ch := &n.children
	if ch.ref != nil {
		also(c.reduce(ch.ref, k))
	}
	for _, sub := range ch.all {
		also(c.reduce(sub, k))
	}
	if len(ch.any) > 0 {
		also(c.best(ch.any, k))
	}
	if len(ch.one) > 0 {
		switch maybe, always := c.split(ch.one, k); {
		case always > 1 || always+len(maybe) == 0:
			also(isNever)
		case len(maybe) > 0:
			also(isMaybe)
		}
	}
	if k == kObject {
		for _, sub := range ch.dependencies {
			if sub != nil {
				c.reduce(sub, k) // asks has told that it depends
			}
		}
	}
	if ch.not != nil {
		also([...]verdict{isMaybe: isMaybe, isAlways: isNever, isNever: isAlways}[c.reduce(ch.not, k)])
	}
	if ch.cond != nil {
		then, els := isAlways, isAlways
		if ch.then != nil {
			then = c.reduce(ch.then, k)
		}
		if ch.els != nil {
			els = c.reduce(ch.els, k)
		}
		switch cond := c.reduce(ch.cond, k); {
		case cond == isAlways:
			also(then)
		case cond == isNever:
			also(els)
		case then == els:
			also(then)
		default:
			also(isMaybe)
		}
	}
	return result
}

// best returns what is known of a choice.
func (c *compiler) best(nodes []*node, k kind) verdict {
	best := isNever
	for _, sub := range nodes {
		switch c.reduce(sub, k) {
		case isAlways:
			best = isAlways
		case isMaybe:
			if best == isNever {
				best = isMaybe
			}
		}
	}
	return best
}

// split returns the schemas whose verdict depends on the value, and how many
// allow every value of the kind.
func (c *compiler) split(nodes []*node, k kind) (maybe []*node, always int) {
	for _, sub := range nodes {
		switch c.reduce(sub, k) {
		case isAlways:
			always++
		case isMaybe:
			maybe = append(maybe, sub)
		}
	}
	return maybe, always
}

// allows reports whether type, const and enum leave values of a kind.
func (n *node) allows(k kind) bool {
	return n.refuses(k) == ""
}

// refuses returns which of type, const and enum leaves no value of a kind.
func (n *node) refuses(k kind) string {
	if len(n.Types) > 0 && !slices.Contains(n.Types, typeOf[k]) &&
		(k != kNumber || !slices.Contains(n.Types, "integer")) {
		return "type"
	}
	for _, v := range n.values {
		if !v.has(k) {
			return v.keyword
		}
	}
	return ""
}

// integers reports whether type leaves only the integers of the numbers.
func (n *node) integers() bool {
	return slices.Contains(n.Types, "integer") && !slices.Contains(n.Types, "number")
}

// asks reports whether a node asks for more than the kind by itself.
func (n *node) asks(k kind) bool {
	if len(n.values) > 0 && k >= kNumber {
		return true
	}
	switch k {
	case kNumber:
		return n.integers() || n.Minimum != nil || n.Maximum != nil || n.MultipleOf != nil ||
			n.ExclusiveMinimum != nil || n.ExclusiveMaximum != nil
	case kString:
		return n.MinLength > 0 || n.MaxLength >= 0 || n.pattern != nil || len(n.Strings) > 0
	case kArray:
		return n.MinItems > 0 || n.MaxItems >= 0 || n.UniqueItems || len(n.Prefix) > 0 || n.Rest != nil ||
			n.Contains != nil || n.UnevaluatedItems != nil
	case kObject:
		return n.MinProperties > 0 || n.MaxProperties >= 0 || len(n.Required) > 0 || len(n.Properties) > 0 ||
			len(n.Patterns) > 0 || n.Additional != nil || n.PropertyNames != nil || len(n.Dependencies) > 0 ||
			n.UnevaluatedProperties != nil
	}
	return false
}

// why returns the keyword by which a schema allows no value of a kind.
func (c *compiler) why(n *node, k kind) string {
	if n.Always != nil {
		return "false"
	}
	if keyword := n.refuses(k); keyword != "" {
		return keyword
	}
	ch := &n.children
	for _, sub := range append([]*node{ch.ref}, ch.all...) {
		if sub != nil && c.reduce(sub, k) == isNever {
			return c.why(sub, k)
		}
	}
	switch {
	case len(ch.any) > 0 && c.best(ch.any, k) == isNever:
		return "anyOf"
	case ch.not != nil && c.reduce(ch.not, k) == isAlways:
		return "not"
	case len(ch.one) > 0:
		if maybe, always := c.split(ch.one, k); always > 1 || always+len(maybe) == 0 {
			return "oneOf"
		}
	}
	return "if"
}
