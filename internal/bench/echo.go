package main

import "fmt"

// measureEcho is the CPU time that a server spends on a message of 130 bytes
// and its echo.
func measureEcho(p *plan) []Row {
	windows := []struct{ conns, inFlight int }{{50, 1}, {20, 16}}
	names := []string{"coder", "gws", "gorilla", "wire", "full"}
	var figures []*figure
	for _, w := range windows {
		f := newFigure(fmt.Sprintf("echo of 130 bytes, %d connections, %d in flight", w.conns, w.inFlight),
			"µs of server CPU", title("coder"))
		f.target[title("wire")] = &target{Limit: 1, Ratio: true}
		f.target[title("full")] = &target{Limit: 1, Ratio: true}
		figures = append(figures, f)
	}
	for round := range p.rounds {
		for i, w := range windows {
			for _, name := range names {
				if figures[i].problems[title(name)] != nil {
					continue
				}
				p.progress("round %d of %d: %s: %s", round+1, p.rounds, figures[i].name, title(name))
				micros, err := echoCPU(p, name, w.conns, w.inFlight)
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
func echoCPU(p *plan, name string, conns, inFlight int) (micros float64, err error) {
	s, err := startServer(name, p.log)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	all, err := dialAll(s.addr, chatter, conns, inFlight)
	if err != nil {
		return 0, err
	}
	defer all.close()
	each := p.messages / conns
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
