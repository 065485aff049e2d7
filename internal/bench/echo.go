package main

import (
	"fmt"
)

var (
	everybody = []string{"coder", "coder-timeouts", "gws", "gorilla", "coder-by-hand", "gorilla-by-hand", "wire", "full"}
	some      = []string{"coder", "gws", "full"}
)

// echoes are what is measured of messages: everybody with small messages on
// ordinary connections, and some where size or number might change the order.
var echoes = []struct {
	sample, conns, inFlight int
	names                   []string
	judged                  bool // against the targets
}{
	{0, 50, 1, everybody, true},
	{0, 20, 16, everybody, true},
	{1, 20, 1, some, false},
	{2, 20, 1, some, false},
	{0, 1, 1, some, false},
	{0, 1000, 1, some, false},
}

// measureEcho is the CPU time that a server spends on a message and its echo.
func measureEcho(p *plan) []Row {
	var figures []*figure
	for _, e := range echoes {
		f := newFigure(fmt.Sprintf("echo of %s, %d connections, %d in flight", samples[e.sample].name, e.conns, e.inFlight),
			"µs of server CPU", title("coder"))
		if e.judged {
			f.beside(title("wire"), title("coder"), 1)
			f.beside(title("full"), title("coder"), 1)
			f.beside(title("full"), title("coder-by-hand"), 0.30)
			f.beside(title("full"), title("gws"), 1.25)
		}
		figures = append(figures, f)
	}
	for round := range p.rounds {
		for i, e := range echoes {
			for _, name := range e.names {
				if figures[i].problems[title(name)] != nil {
					continue
				}
				p.progress("round %d of %d: %s: %s", round+1, p.rounds, figures[i].name, title(name))
				micros, err := echoCPU(p, name, e.sample, e.conns, e.inFlight)
				figures[i].add(title(name), micros, err)
			}
		}
	}
	var rows []Row
	for _, f := range figures {
		rows = append(rows, f.rows()...)
	}
	return rows
}

// echoCPU is one contender in one round.
func echoCPU(p *plan, name string, of, conns, inFlight int) (micros float64, err error) {
	s, err := startServer(name, of, p)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	all, err := dialAll(s, samples[of].message, conns, inFlight)
	if err != nil {
		return 0, err
	}
	defer all.close()
	each := max(1, p.messages/conns)
	if err := all.exchange(each/10 + 1); err != nil { // warm
		return 0, err
	}
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	if err := all.exchange(each); err != nil {
		return 0, err
	}
	after, err := s.usage()
	if err != nil {
		return 0, err
	}
	return float64(after.cpu-before.cpu) / 1e3 / float64(each*conns), nil
}
