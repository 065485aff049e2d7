package onepass

import (
	"regexp"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// Allocs returns how often a machine takes memory for a message, if it has
// seen it before. The pool, which gives and takes machines as it likes, has no
// part in it.
func (p *Program) Allocs(message []byte) float64 {
	var m machine
	return testing.AllocsPerRun(100, func() { m.check(p, message, jsonscan.Limits{}) })
}

// A Course is how a machine went through a message.
type Course struct {
	Refusal           *Refusal
	Pos, Nodes, Steps int
}

// Course checks a message, if general without a way of their own for plain
// values and short names.
func (p *Program) Course(message []byte, limits jsonscan.Limits, general bool) Course {
	m := machine{data: message, limits: limits.OrDefault(), general: general}
	var c Course
	if !m.run(&p.root) {
		c.Refusal = m.refusal()
	}
	c.Pos, c.Nodes, c.Steps = m.pos, m.nodes, m.steps
	return c
}

// ShortHash is shortHash.
func ShortHash(name string) uint64 { return shortHash(name) }

// Same is same.
func Same(a, b string) bool { return same([]byte(a), []byte(b)) }

// Match matches a text in the way of the machine, and tells whether by a table.
func Match(expr *regexp.Regexp, text string) (matches, table bool) {
	p := newPattern(expr)
	return p.match([]byte(text)), p.parts != nil
}
