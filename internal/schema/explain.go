package schema

import (
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/onepass"
)

// An Explanation tells an author what becomes of a schema.
type Explanation struct {
	Steps    int      // of the program for a byte of a message, at most
	Apart    error    // why there is none, or nil
	Slow     []string // what the program asks somebody else about, and whom
	Warnings []string // what makes the schema weak or costly
}

// Explain explains the schema. The strings begin with a place in it.
func (s *Schema) Explain() Explanation {
	x := explainer{seen: map[string]bool{}}
	x.Apart = s.apart
	if s.program != nil {
		x.Steps = onepass.StepsPerByte * s.program.Size()
	}
	x.value([]node{s.compiled})
	slices.Sort(x.Slow)
	slices.Sort(x.Warnings)
	return x.Explanation
}

// An explainer walks over the values that a schema allows. What allows a value
// is a set of schemas that all apply to it.
type explainer struct {
	Explanation
	seen map[string]bool // sets that were walked over
}

// maxExplained is how many sets of schemas are looked at; those of a schema
// with many branches are without number.
const maxExplained = 2000

func (x *explainer) warn(s node, text string) { x.say(&x.Warnings, s, text) }

func (x *explainer) say(list *[]string, s node, text string) {
	line := strings.TrimPrefix(s.Location, base) + ": " + text
	if !slices.Contains(*list, line) {
		*list = append(*list, line)
	}
}

// value explains the values that all schemas of a set allow, branch by branch.
func (x *explainer) value(set []node) {
	set = withMusts(set)
	key := ""
	for _, s := range set {
		key += s.Location + " "
	}
	if len(x.seen) == maxExplained {
		x.warn(set[0], "there are too many combinations of branches to look at all of them")
		x.seen[key] = true // says it once
	}
	if x.seen[key] || len(x.seen) > maxExplained {
		return
	}
	x.seen[key] = true
	for _, s := range set {
		x.schema(s)
	}
	for _, s := range set {
		for _, branches := range branchesOf(s) {
			if slices.ContainsFunc(branches, func(b []node) bool { return within(b, set) }) {
				continue // one of them is in the set
			}
			for _, branch := range branches {
				x.value(append(slices.Clone(set), branch...))
			}
			return // what other choices there are, those sets have before them
		}
	}
	x.weak(set)
	x.below(set)
}

// branchesOf lists the choices that a schema leaves: of each, one branch
// applies.
func branchesOf(s node) [][][]node {
	var choices [][][]node
	for _, list := range [][]node{s.AnyOf, s.OneOf} {
		var branches [][]node
		for _, b := range list {
			branches = append(branches, []node{b})
		}
		if len(branches) > 0 {
			choices = append(choices, branches)
		}
	}
	if s.Then != nil || s.Else != nil {
		then, els := []node{s.If}, []node{otherwise}
		if s.Then != nil {
			then = append(then, s.Then)
		}
		if s.Else != nil {
			els = append(els, s.Else)
		}
		choices = append(choices, [][]node{then, els})
	}
	return choices
}

// never is the schema false.
var never = &jsonschema.Schema{Location: "false", Always: new(bool)}

// otherwise stands in a set for the if that does not hold.
var otherwise = &jsonschema.Schema{Location: "else", MaxLength: -1, MaxItems: -1, MaxProperties: -1}

func within(part, set []node) bool {
	return !slices.ContainsFunc(part, func(s node) bool { return !slices.Contains(set, s) })
}

// withMusts returns a set with what its schemas apply to the same value and
// must allow it.
func withMusts(set []node) []node {
	var all []node
	var add func(node)
	add = func(s node) {
		if s == nil || slices.Contains(all, s) {
			return
		}
		all = append(all, s)
		for _, sub := range append(slices.Clone(s.AllOf), s.Ref, s.DynamicRef) {
			add(sub)
		}
	}
	for _, s := range set {
		add(s)
	}
	return all
}

// schema explains what one schema asks by itself.
func (x *explainer) schema(s node) {
	if s.Pattern != nil {
		x.pattern(s, s.Pattern)
		if !isAnchored(s.Pattern, true) {
			x.warn(s, "the pattern is not anchored and may match anywhere: begin it with ^ and end it with $")
		}
	}
	for p := range s.PatternProperties {
		x.pattern(s, p)
		if !isAnchored(p, false) {
			x.warn(s, "an expression of patternProperties may match anywhere in a name: begin it with ^")
		}
	}
	if s.Format != "" && x.Apart == nil {
		text := "v5's function checks format " + s.Format
		if onepass.Formats[s.Format] != nil {
			text += ", where the text is not an ordinary one"
		}
		x.say(&x.Slow, s, text)
	}
	for keyword, list := range map[string][]node{"anyOf": s.AnyOf, "oneOf": s.OneOf} {
		if slices.ContainsFunc(list, func(b node) bool { return leads(b, s, map[node]bool{}) }) {
			text := "a recursive " + keyword + " is followed in all branches on every level"
			if x.Apart != nil {
				text += ", so that v5 is asked about few levels only"
			}
			x.warn(s, text)
		}
	}
}

func (x *explainer) pattern(s node, p *regexp.Regexp) {
	if x.Apart == nil && !onepass.IsTable(p) {
		x.say(&x.Slow, s, "package regexp matches a pattern; classes of ASCII with a bound between ^ and $ would be a table")
	}
}

// isAnchored reports whether an expression matches from the beginning on, and
// to the end if both is asked.
func isAnchored(p *regexp.Regexp, both bool) bool {
	re, err := syntax.Parse(p.String(), syntax.Perl)
	return err == nil && edge(re, syntax.OpBeginText, 0) && (!both || edge(re, syntax.OpEndText, -1))
}

// edge reports whether the first or, if at is -1, the last of an expression is
// always an anchor.
func edge(re *syntax.Regexp, anchor syntax.Op, at int) bool {
	switch re.Op {
	case anchor:
		return true
	case syntax.OpCapture, syntax.OpPlus:
		return edge(re.Sub[0], anchor, at)
	case syntax.OpConcat:
		if at < 0 {
			at = len(re.Sub) - 1
		}
		return edge(re.Sub[at], anchor, min(at, 0))
	case syntax.OpAlternate:
		return !slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return !edge(sub, anchor, at) })
	}
	return false
}

// leads reports whether a schema leads to another one, here or below.
func leads(from, to node, seen map[node]bool) bool {
	if from == nil || seen[from] {
		return false
	}
	if from == to {
		return true
	}
	seen[from] = true
	for _, group := range append(append(below(from, "object"), below(from, "array")...), here(from)) {
		for _, s := range group {
			if leads(s, to, seen) {
				return true
			}
		}
	}
	return false
}
