// Package onepass checks JSON messages against a schema in a single pass over
// their bytes: UTF-8, syntax, the limits of jsonscan and the schema together,
// without building a value and, for a message that passes, without taking
// memory.
//
// A compiler makes a [Program] of a schema, which [Node] describes; a machine
// runs it. All schemas that judge the same value are followed together as a
// group: those that somebody outside of the value asks about, and what they
// apply to the same value, each once, whatever number of branches leads there.
// What judges a child follows from the group and the name or index of the
// child alone, so the compiler finds all groups beforehand, and a schema that
// refers to itself from ten branches costs ten links, not a power of the depth.
// A frame of the machine's stack is an open array or object with its group and
// a few words of bits: which slots have failed, which members have come. A
// verdict is given where the value ends, or as soon as it is false. Where no
// branch stands between a schema and the root, its failure is fatal and ends
// the pass; the compiler knows where.
//
// Read node.go (what a schema is), plan.go (what becomes of it) and machine.go
// (who runs that), then how the one is made of the other: compile.go, reduce.go,
// planner.go, containers.go, evaluation.go; and what the machine does: plain.go
// passes over what is simple, scan.go reads tokens, judge.go asks about values,
// join.go puts branches together, marks.go finds what came before.
//
// Chosen: groups by kind of value, so that what type, const and enum tell apart
// needs no bits; verdicts of children as links, so that contains and
// unevaluatedProperties are read like any other; exact comparison behind each
// equal hash; refusing to compile what would make the program out of proportion
// ([Compile]). Rejected: sets built while the message comes, which take memory
// and time from every message; backtracking, which is exponential; groups
// narrowed to the branches that are still alive, as their number is; code
// generation, and a tree of closures.
//
// It answers R35 (structure of each message), R36 (nothing is trusted) and
// R43 (UTF-8).
package onepass

import (
	"strconv"
	"strings"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// ReasonSchema is the value of Refusal.Reason, besides those of jsonscan, for a
// message that does not have the form that is asked for.
const ReasonSchema = "schema"

// maxPath is the greatest length of a Refusal's path in bytes.
const maxPath = 256

// A Refusal says why a message does not pass, in words of the schema alone: it
// holds no value of the message, no member name that the schema does not
// declare, and no constant of the schema.
type Refusal struct {
	Reason  string // ReasonSchema or one of jsonscan
	Keyword string // of the schema; empty for a reason of jsonscan
	Path    string // a JSON Pointer (RFC 6901) to the value, or to one around it
}

// Check returns nil if the message is a JSON text within the limits that the
// schema allows. It may be called concurrently and keeps nothing of message.
func (p *Program) Check(message []byte, limits jsonscan.Limits) *Refusal {
	r, _ := p.check(message, limits)
	return r
}

// Steps returns how many steps [Program.Check] takes for a message: see
// [StepsPerByte].
func (p *Program) Steps(message []byte, limits jsonscan.Limits) int {
	_, steps := p.check(message, limits)
	return steps
}

// check also returns the steps that were taken.
func (p *Program) check(message []byte, limits jsonscan.Limits) (r *Refusal, steps int) {
	m := machines.Get().(*machine)
	r, steps = m.check(p, message, limits)
	machines.Put(m)
	return r, steps
}

func (m *machine) check(p *Program, message []byte, limits jsonscan.Limits) (r *Refusal, steps int) {
	m.data, m.limits = message, limits.OrDefault()
	if !m.run(&p.root) {
		r = m.refusal()
	}
	steps = m.steps
	m.reset()
	return r, steps
}

func (m *machine) refusal() *Refusal {
	r := &Refusal{Reason: m.reason, Keyword: m.keyword}
	if m.reason == ReasonSchema {
		r.Path = m.path()
	}
	return r
}

// path returns the pointer to the value at fault. It ends at an ancestor,
// before a member that the schema does not declare, and before it would get
// too long.
func (m *machine) path() string {
	path := ""
	for i := range m.frames[:m.depth] {
		f := &m.frames[i]
		token := strconv.Itoa(f.n - 1)
		if f.kind == kObject {
			if !f.at.declared {
				return path
			}
			token = tokens.Replace(f.at.name)
		}
		if len(path)+1+len(token) > maxPath {
			return path
		}
		path += "/" + token
	}
	return path
}

var tokens = strings.NewReplacer("~", "~0", "/", "~1")

// hashOf returns the hash of a JSON text from an author.
func hashOf(text []byte) uint64 {
	var m machine
	const all = 1 << 30
	m.data, m.limits = text, jsonscan.Limits{Depth: 10_000, NumberLength: all, NumberExponent: all, StringLength: all, Items: all, Members: all, Nodes: all}
	m.hashing = true
	m.run(&everyone)
	return m.hash
}
