package main

import "fmt"

// measureIdle is what a connection costs that has echoed one message and then
// says nothing.
func measureIdle(p *plan) (rows []Row) {
	for _, conns := range p.conns {
		rows = append(rows, measureIdleOf(p, conns)...)
	}
	return rows
}

// measureIdleOf is that of so many connections.
func measureIdleOf(p *plan, wanted int) []Row {
	names := []string{"coder", "gws", "gorilla", "full"}
	conns, note := wanted, ""
	const spare = 100 // descriptors for everything else
	switch most, err := descriptors(uint64(conns + spare)); {
	case err != nil:
		note = fmt.Sprintf(" (the limit of open files is unknown: %v)", err)
	case most < uint64(conns+spare):
		conns = max(1, int(most)-spare)
		note = fmt.Sprintf(" (%d are wanted, but only %d files may be open)", wanted, most)
	}
	name := fmt.Sprintf("%d idle connections%s", conns, note)
	memory := newFigure(name, "KiB resident", title("coder"))
	memory.beside(title("full"), title("coder"), 0.55)
	goroutines := newFigure(name, "goroutines")
	goroutines.target[title("full")] = &target{Limit: 1, Exactly: true}
	for round := range p.idleRounds {
		for _, contender := range names {
			if memory.problems[title(contender)] != nil {
				continue
			}
			p.progress("round %d of %d: %s: %s", round+1, p.idleRounds, name, title(contender))
			kib, routines, err := idleCost(p, contender, conns)
			memory.add(title(contender), kib, err)
			goroutines.add(title(contender), routines, err)
		}
	}
	return append(memory.rows(), goroutines.rows()...)
}

// idleCost is one contender in one round: what each of n connections adds to
// the server.
func idleCost(p *plan, name string, n int) (kib, goroutines float64, err error) {
	s, err := startServer(name, 0, p)
	if err != nil {
		return 0, 0, err
	}
	defer s.stop()
	kibBefore, before, err := s.settled()
	if err != nil {
		return 0, 0, err
	}
	all, err := dialAll(s, chatMessage, n, 1)
	if err != nil {
		return 0, 0, err
	}
	defer all.close()
	once := func(i int) error { return all[i].exchange(1) }
	if err := all.each(once, 8); err != nil {
		return 0, 0, err
	}
	kibAfter, after, err := s.settled()
	if err != nil {
		return 0, 0, err
	}
	// They were all there while it was measured.
	if err := all.each(once, 8); err != nil {
		return 0, 0, fmt.Errorf("an idle connection was lost: %w", err)
	}
	return (kibAfter - kibBefore) / float64(n), float64(after.goroutines-before.goroutines) / float64(n), nil
}

// settled is what the server holds once it has freed what it can.
func (s *server) settled() (kib float64, u usage, err error) {
	if err = s.freeMemory(); err != nil {
		return 0, u, err
	}
	if u, err = s.usage(); err != nil {
		return 0, u, err
	}
	kib, err = resident(s.cmd.Process.Pid)
	return kib, u, err
}
