package schema

import (
	"maps"
	"regexp/syntax"
	"slices"
)

// weak warns of what a set of schemas, which all apply to a value, leaves open.
func (x *explainer) weak(set []node) {
	types := []string{"object", "array", "string", "number"} // number for what is small by itself
	told := set[0]
	for _, s := range set {
		switch {
		case s.Always != nil && !*s.Always, len(s.Constant) > 0, len(s.Enum) > 0, s.Extensions != nil:
			return // few values are left, or none
		case len(s.Types) > 0:
			types = slices.DeleteFunc(types, func(t string) bool { return t != "number" && !slices.Contains(s.Types, t) })
			told = s
		}
	}
	has := func(is func(node) bool) bool { return slices.ContainsFunc(set, is) }
	if len(types) == 4 && !has(func(s node) bool { return s.Properties != nil || s.Items != nil || s.Items2020 != nil }) {
		x.warn(told, "anything is allowed: give it a type")
		return
	}
	if slices.Contains(types, "object") && !has(isClosed) {
		x.warn(told, "an object is open to any member: write additionalProperties false")
	}
	if slices.Contains(types, "array") && !has(isCounted) {
		x.warn(told, "an array is unbounded: write maxItems")
	}
	if slices.Contains(types, "string") && !has(isShort) {
		x.warn(told, "a string is unbounded: write maxLength")
	}
}

// isClosed reports whether a schema says something of each member of an object.
func isClosed(s node) bool {
	return s.AdditionalProperties == false || asNode(s.AdditionalProperties) != nil ||
		s.UnevaluatedProperties != nil || s.MaxProperties == 0
}

// isCounted reports whether a schema bounds the items of an array.
func isCounted(s node) bool {
	_, rest := itemsOf(s)
	return s.MaxItems >= 0 || isFalse(rest) || isFalse(s.UnevaluatedItems)
}

func isFalse(s node) bool { return s != nil && s.Always != nil && !*s.Always }

// isShort reports whether a schema bounds strings, by a length or by a form.
func isShort(s node) bool {
	switch s.Format {
	case "date", "time", "date-time", "uuid", "ipv4", "ipv6", "hostname", "email":
		return true
	}
	if s.MaxLength >= 0 {
		return true
	}
	if s.Pattern == nil || !isAnchored(s.Pattern, true) {
		return false
	}
	re, err := syntax.Parse(s.Pattern.String(), syntax.Perl)
	return err == nil && isFinite(re)
}

// isFinite reports whether an expression repeats nothing without end.
func isFinite(re *syntax.Regexp) bool {
	if re.Op == syntax.OpStar || re.Op == syntax.OpPlus || re.Op == syntax.OpRepeat && re.Max < 0 {
		return false
	}
	return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !isFinite(sub) })
}

// below explains the members and items of the values that a set allows.
func (x *explainer) below(set []node) {
	names := map[string]bool{}
	longest := 0
	for _, s := range set {
		for name := range s.Properties {
			names[name] = true
		}
		prefix, _ := itemsOf(s)
		longest = max(longest, len(prefix))
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		x.child(set, func(s node) []node { return membersOf(s, name) })
	}
	x.child(set, func(s node) []node { return []node{asNode(s.AdditionalProperties), s.UnevaluatedProperties} })
	for i := range longest + 1 {
		x.child(set, func(s node) []node {
			prefix, rest := itemsOf(s)
			if i < len(prefix) {
				return prefix[i : i+1]
			}
			return []node{rest, s.UnevaluatedItems}
		})
	}
	for _, s := range set {
		for _, child := range s.PatternProperties {
			x.value([]node{child})
		}
	}
}

// child explains a child, of which each schema of a set asks something.
func (x *explainer) child(set []node, of func(node) []node) {
	var child []node
	for _, s := range set {
		child = append(child, of(s)...)
	}
	child = slices.DeleteFunc(child, func(s node) bool { return s == nil })
	if len(child) > 0 {
		x.value(child)
	}
}

// membersOf lists what a schema asks of a member.
func membersOf(s node, name string) []node {
	var asked []node
	if child := s.Properties[name]; child != nil {
		asked = append(asked, child)
	}
	for p, child := range s.PatternProperties {
		if p.MatchString(name) {
			asked = append(asked, child)
		}
	}
	if len(asked) == 0 {
		asked = append(asked, asNode(s.AdditionalProperties))
	}
	return asked
}

// itemsOf returns what a schema asks of the first items and of the others.
func itemsOf(s node) (prefix []node, rest node) {
	switch items := s.Items.(type) {
	case node:
		return nil, items
	case []node:
		if s.AdditionalItems == false {
			return items, never
		}
		return items, asNode(s.AdditionalItems)
	}
	return s.PrefixItems, s.Items2020
}
