package wsguardtest

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
)

var ticketVectors = []Vector{
	ticketRow("guessed", "R13", 330, "A ticket is made up.", func(a *try) outcome {
		return a.refused(a.with(a.p.TicketIn, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	}),
	ticketRow("empty", "R13", 287, "The ticket is empty.", func(a *try) outcome {
		return a.refused(a.with(a.p.TicketIn, ""))
	}),
	ticketRow("replayed", "R38", 294, "A ticket is used again.", func(a *try) outcome {
		r, err := a.ticketed()
		if err != nil {
			return unjudged("%v", err)
		}
		if p, err := a.ask(r); err != nil || p.resp.StatusCode != http.StatusSwitchingProtocols {
			return unjudged("the ticket is not accepted the first time")
		}
		return a.refused(r)
	}),
	ticketRow("raced", "R60", 367, "A ticket is used by ten at once.", func(a *try) outcome {
		r, err := a.ticketed()
		if err != nil {
			return unjudged("%v", err)
		}
		var in, unanswered atomic.Int32
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				switch p, err := a.knock(r); {
				case silent(err):
					unanswered.Add(1)
				case err == nil && p.resp.StatusCode == http.StatusSwitchingProtocols:
					in.Add(1)
				}
			})
		}
		wg.Wait()
		switch n := in.Load(); {
		case n > 1:
			return failed("%d of ten got in", n)
		case n == 0 || unanswered.Load() > 0:
			return unjudged("%d of ten got in, and %d got no response in time", n, unanswered.Load())
		}
		return passed("one of ten got in")
	}),
	ticketRow("late", "R13", 613, "A ticket is used after its time.", func(a *try) outcome {
		if why := claimed("TicketLife", a.p.Claims.TicketLife); why != nil {
			return *why
		}
		r, err := a.ticketed()
		if err != nil {
			return unjudged("%v", err)
		}
		if !a.pause(a.p.Claims.TicketLife + a.p.Patience/4) {
			return unjudged("the run was ended meanwhile")
		}
		return a.refused(r)
	}),
}

func ticketRow(name, requirement string, cwe int, what string, run func(*try) outcome) Vector {
	return Vector{Name: "tickets/" + name, Requirements: []string{"R11", requirement}, CWE: cwe, What: what, waits: name == "late", alone: name == "raced", run: func(a *try) outcome {
		if a.p.Ticket == nil {
			return unjudged("the profile says no ticket")
		}
		return run(a)
	}}
}

// ticketed is the good handshake with a ticket in the place of the token.
func (a *try) ticketed() (*request, error) {
	ctx, cancel := context.WithTimeout(a.ctx, a.p.Patience)
	defer cancel()
	ticket, err := a.p.Ticket(ctx)
	if err != nil {
		return nil, errors.New("the profile's Ticket returned an error")
	}
	return a.with(a.p.TicketIn, ticket), nil
}
