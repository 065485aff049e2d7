package onepass

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// A Program checks messages against one schema. It never changes and may be
// used concurrently.
type Program struct {
	root entry
	size int
}

// StepsPerByte bounds the machine: within the default limits, a message takes
// at most this many steps for each of its bytes and of what [Program.Size]
// counts. A step is a question answered, a word of a set looked at, or a byte
// read once more than the pass itself does.
const StepsPerByte = 4

// Size returns the number of schemas and constraints that the program was made
// of.
func (p *Program) Size() int { return p.size }

// What a program may need at most. A schema whose branches meet in more sets
// than that is refused, as its program would be out of proportion to it.
const (
	maxGroups   = 4096
	maxEntries  = 1 << 16
	maxPatterns = 6 // different ones that may match a name of one object
	maxPrefix   = 1024

	maxEvaluations = 8 // as each looks at all schemas of the value
)

// Compile returns the program of a schema, or an error that says what a single
// pass cannot express.
func Compile(schema *Node) (*Program, error) {
	c := &compiler{nodes: map[*Node]*node{}, groups: map[string]*group{}}
	top := c.node(schema)
	p := &Program{}
	p.root = entry{bit: -1, fold: -1, group: c.group([]root{{top, true}})}
	for len(c.queue) > 0 && c.err == nil {
		g := c.queue[0]
		c.queue = c.queue[1:]
		for k := range kinds {
			g.plans[k] = c.plan(g, k)
		}
		g.plain = g.reach()
	}
	if c.err != nil {
		return nil, c.err
	}
	p.size = c.size
	return p, nil
}

type compiler struct {
	nodes     map[*Node]*node
	groups    map[string]*group
	queue     []*group // without plans
	entries   int
	annotates bool // the schema has unevaluatedProperties or unevaluatedItems
	size      int
	err       error
}

func (c *compiler) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// node imports a Node and those below it.
func (c *compiler) node(from *Node) *node {
	if from == nil {
		return nil
	}
	if n, ok := c.nodes[from]; ok {
		return n
	}
	n := &node{Node: from, id: len(c.nodes)}
	c.nodes[from] = n
	for keyword, constants := range map[string][]any{"const": from.Const, "enum": from.Enum} {
		if len(constants) > 0 {
			v, err := newValues(keyword, constants)
			if err != nil {
				c.fail(err)
				return n
			}
			n.values = append(n.values, v)
		}
	}
	slices.SortFunc(n.values, func(a, b *values) int { return cmp.Compare(a.keyword, b.keyword) })
	if from.Pattern != nil {
		n.pattern = newPattern(from.Pattern)
	}
	c.annotates = c.annotates || from.UnevaluatedProperties != nil || from.UnevaluatedItems != nil
	c.size += 8 + len(from.Types) + len(from.Const) + len(from.Enum) + len(from.Required) + len(from.Strings)

	ch := &n.children
	ch.ref, ch.not = c.node(from.Ref), c.node(from.Not)
	ch.cond, ch.then, ch.els = c.node(from.If), c.node(from.Then), c.node(from.Else)
	ch.all, ch.any, ch.one = c.list(from.AllOf), c.list(from.AnyOf), c.list(from.OneOf)
	ch.props = map[string]*node{}
	for _, name := range slices.Sorted(maps.Keys(from.Properties)) {
		ch.props[name] = c.node(from.Properties[name])
	}
	for _, p := range from.Patterns {
		ch.patterns = append(ch.patterns, patternChild{newPattern(p.Pattern), c.node(p.Node)})
	}
	ch.additional, ch.propertyNames = c.node(from.Additional), c.node(from.PropertyNames)
	for _, d := range from.Dependencies {
		ch.dependencies = append(ch.dependencies, c.node(d.Node))
		c.size += 1 + len(d.Required)
	}
	ch.unevaluatedProps, ch.unevalItems = c.node(from.UnevaluatedProperties), c.node(from.UnevaluatedItems)
	ch.prefix, ch.rest, ch.contains = c.list(from.Prefix), c.node(from.Rest), c.node(from.Contains)
	c.size += len(from.AllOf) + len(from.AnyOf) + len(from.OneOf) + len(from.Properties) + len(from.Patterns) + len(from.Prefix)
	return n
}

func (c *compiler) list(from []*Node) []*node {
	var list []*node
	for _, f := range from {
		list = append(list, c.node(f))
	}
	return list
}

// An ask is a schema that a slot around a value wants a verdict of.
type ask struct {
	node *node
	code linkcode
	to   place
	n    int
	max  int

	// For linkPending, if what contains matches is evaluated: the schemas of
	// contains, and n by which of them allow the child, or -1.
	contains []*node
	choices  []int
}

// entry merges what several slots ask of one child.
func (c *compiler) entry(asks []ask) entry {
	if c.entries++; c.entries > maxEntries {
		c.fail(errors.New("its branches ask for too many combinations of members"))
	}
	e := entry{bit: -1, fold: -1}
	var roots []root
	var links []ask
	for _, a := range asks {
		if a.code == linkMust || a.code == linkPending {
			if c.isAlways(a.node) {
				continue
			}
			if a.node.Always != nil && a.contains == nil {
				if a.code == linkMust {
					e.fails = append(e.fails, a.to)
				} else {
					e.pends = append(e.pends, a.n)
				}
				continue
			}
		}
		fatal := a.code == linkMust && a.to.fatal
		if !fatal {
			links = append(links, a)
		}
		i := slices.IndexFunc(roots, func(r root) bool { return r.node == a.node })
		if i < 0 {
			roots = append(roots, root{a.node, fatal})
		} else {
			roots[i].fatal = roots[i].fatal || fatal
		}
	}
	e.asks = e.fails != nil || e.pends != nil
	if len(roots) == 0 {
		e.reach = &anything
		return e
	}
	slices.SortFunc(roots, func(a, b root) int { return cmp.Compare(a.node.id, b.node.id) })
	for _, a := range links {
		i := slices.IndexFunc(roots, func(r root) bool { return r.node == a.node })
		l := link{root: i, code: a.code, to: a.to, n: a.n, max: a.max, choices: a.choices}
		for _, n := range a.contains {
			l.contains = append(l.contains, slices.IndexFunc(roots, func(r root) bool { return r.node == n }))
		}
		e.links = append(e.links, l)
	}
	e.group = c.group(roots)
	if e.links == nil {
		e.reach = &e.group.plain
	}
	return e
}

// isAlways reports whether a schema allows everything, and evaluates nothing
// that anybody could ask about.
func (c *compiler) isAlways(n *node) bool {
	for k := range kinds {
		if c.reduce(n, k) != isAlways {
			return false
		}
	}
	return true
}

func (c *compiler) group(roots []root) *group {
	key := fmt.Sprint(len(roots))
	for _, r := range roots {
		key += fmt.Sprintf(" %d %t", r.node.id, r.fatal)
	}
	g, ok := c.groups[key]
	if !ok {
		if len(c.groups) == maxGroups {
			c.fail(errors.New("its branches meet in too many combinations over one value"))
		}
		g = &group{roots: roots}
		c.groups[key] = g
		if c.err == nil {
			c.queue = append(c.queue, g)
		}
	}
	return g
}
