package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	google "github.com/google/jsonschema-go/jsonschema"
	v5 "github.com/santhosh-tekuri/jsonschema/v5"
	v6 "github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/wsguard/wsguard"
)

const (
	ours, ajv      = "wsguard", "AJV on Node"
	schemaV5       = "jsonschema/v5"
	validScan      = "json.Valid, the bare scan"
	memoryScan     = "bytes.IndexByte, memory alone"
	refused, taken = "refused", "passing, of the same size"
)

// A checker compiles a schema into what parses a message and checks it.
type checker struct {
	name    string
	compile func(schema string) (func(message []byte) error, error)
}

var checkers = []checker{
	{ours, func(src string) (func([]byte) error, error) { return wsguard.MustCompileSchema(src).Check, nil }},
	{schemaV5, compileV5},
	{"jsonschema/v6", compileV6},
	{"google/jsonschema-go", compileGoogle},
}

func compileV5(src string) (func([]byte) error, error) {
	c := v5.NewCompiler()
	c.AssertFormat = true
	if err := c.AddResource("schema.json", strings.NewReader(src)); err != nil {
		return nil, err
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		return nil, err
	}
	return func(message []byte) error {
		d := json.NewDecoder(bytes.NewReader(message))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			return err
		}
		return s.Validate(v)
	}, nil
}

func compileV6(src string) (func([]byte) error, error) {
	doc, err := v6.UnmarshalJSON(strings.NewReader(src))
	if err != nil {
		return nil, err
	}
	c := v6.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("schema.json", doc); err != nil {
		return nil, err
	}
	s, err := c.Compile("schema.json")
	if err != nil {
		return nil, err
	}
	return func(message []byte) error {
		v, err := v6.UnmarshalJSON(bytes.NewReader(message))
		if err != nil {
			return err
		}
		return s.Validate(v)
	}, nil
}

// compileGoogle does not assert formats, which that library leaves out.
func compileGoogle(src string) (func([]byte) error, error) {
	var s google.Schema
	if err := json.Unmarshal([]byte(src), &s); err != nil {
		return nil, err
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return nil, err
	}
	return func(message []byte) error {
		var v any
		if err := json.Unmarshal(message, &v); err != nil {
			return err
		}
		return r.Validate(v)
	}, nil
}

// measureSchema is what it costs to parse a message and check it.
func measureSchema(p *plan) []Row {
	testing.Init()
	if err := flag.Set("test.benchtime", p.benchtime); err != nil {
		panic(err) // a plan that is wrong
	}
	return inPart("schema", measurePassing(p), measureHostile(p), measureThroughput(p))
}

// measurePassing is what ordinary messages cost.
func measurePassing(p *plan) (rows []Row) {
	node, absent := startAJV(p.log)
	if absent == nil {
		defer node.stop()
	}
	wait, err := time.ParseDuration(p.benchtime)
	if err != nil {
		panic(err) // a plan that is wrong
	}
	for _, s := range samples {
		cost := newFigure(s.name, "ns of CPU a check")
		cost.beside(ours, ajv, 0.5)
		cost.beside(ours, schemaV5, 1./15)
		allocs := newFigure(s.name, "allocations a check")
		allocs.target[ours] = &target{Limit: 0}
		for round := range p.rounds {
			p.progress("round %d of %d: %s", round+1, p.rounds, s.name)
			for _, c := range checkers {
				ns, n, err := passing(c, s)
				cost.add(c.name, ns, err)
				allocs.add(c.name, n, err)
			}
			ns, err := 0., absent
			if absent == nil && cost.problems[ajv] == nil {
				ns, err = ajvCheck(node, s, int(wait.Milliseconds()))
			}
			cost.add(ajv, ns, err)
		}
		rows = append(append(rows, cost.rows()...), allocs.rows()...)
	}
	return rows
}

func passing(c checker, s sample) (ns, allocs float64, err error) {
	check, err := c.compile(s.schema)
	if err != nil {
		return 0, 0, err
	}
	message := []byte(s.message)
	return perCall(func() error { return check(message) })
}

// measureHostile asks wsguard alone: some of the others crash on these messages
// or take minutes.
func measureHostile(p *plan) (rows []Row) {
	for _, a := range attacks {
		f := newFigure(fmt.Sprintf("%s, %d bytes (wsguard alone: others may crash, or take minutes)", a.name, len(a.hostile)),
			"ns of CPU a check")
		f.beside(refused, taken, 2)
		check := wsguard.MustCompileSchema(a.schema).Check
		good, bad := []byte(a.passing), []byte(a.hostile)
		for round := range p.rounds {
			p.progress("round %d of %d: %s", round+1, p.rounds, a.name)
			ns, _, err := perCall(func() error { return check(good) })
			f.add(taken, ns, err)
			ns, _, err = perCall(func() error {
				if check(bad) == nil {
					return errors.New("the hostile message passes")
				}
				return nil
			})
			f.add(refused, ns, err)
		}
		rows = append(rows, f.rows()...)
	}
	return rows
}

// measureThroughput counts time for a byte, so that less is better here too:
// 400 MB/s are 2.5 ns. The target is beside json.Valid; what reads memory alone
// shows how far both are from the machine.
func measureThroughput(p *plan) []Row {
	const mostNanos, share = 2.5, 0.6
	s := samples[2]
	message := []byte(s.message)
	check := wsguard.MustCompileSchema(s.schema).Check
	f := newFigure(s.name+", speed (at least 400 MB/s or 0.6 of json.Valid, whichever is lower)", "ns of CPU a byte", validScan)
	for round := range p.rounds {
		p.progress("round %d of %d: %s", round+1, p.rounds, f.name)
		for _, c := range []struct {
			name string
			call func() error
		}{
			{validScan, func() error { return isTrue(json.Valid(message)) }},
			{memoryScan, func() error { return isTrue(bytes.IndexByte(message, 0) < 0) }},
			{ours, func() error { return check(message) }},
		} {
			ns, _, err := perCall(c.call)
			f.add(c.name, ns/float64(len(message)), err)
		}
	}
	f.target[ours] = &target{Limit: max(mostNanos, median(f.values[validScan])/share)}
	return f.rows()
}

func isTrue(ok bool) error {
	if !ok {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// perCall is what a call needs of the processor.
func perCall(call func() error) (ns, allocs float64, err error) {
	var took time.Duration
	result := testing.Benchmark(func(b *testing.B) {
		began := ownCPU()
		for b.Loop() {
			if err = call(); err != nil {
				b.SkipNow()
			}
		}
		took = ownCPU() - began
	})
	if err != nil {
		return 0, 0, err
	}
	return float64(took) / float64(result.N), float64(result.AllocsPerOp()), nil
}
