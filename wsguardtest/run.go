package wsguardtest

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// Run runs every attack against a target and returns what was seen. An error is
// a mistake in the target or the profile. Progress, if it is not nil, is called
// with each result as it comes, by one goroutine at a time. When ctx ends, what
// has not been judged stays so.
func Run(ctx context.Context, target Target, p Profile, progress func(Result)) (Report, error) {
	p, err := p.check()
	if err != nil {
		return Report{}, err
	}
	h, stop, err := target.start()
	if err != nil {
		return Report{}, err
	}
	defer stop()
	r := &runner{ctx: ctx, p: &p, h: h, progress: progress}
	report := Report{Target: h.name + h.path, Started: time.Now().UTC()}
	for _, v := range vectors {
		if len(p.Only) == 0 || slices.ContainsFunc(p.Only, v.is) {
			report.Results = append(report.Results, Result{Vector: v})
		}
	}
	if seen := r.baseline(); seen != "" {
		report.Baseline = seen
	}
	r.all(report.Results, report.Baseline)
	report.Took = time.Since(report.Started)
	return report, nil
}

type runner struct {
	ctx      context.Context
	p        *Profile
	h        host
	mu       sync.Mutex
	progress func(Result)
	controls sync.Mutex
}

// A try is one attack at work.
type try struct {
	ctx context.Context
	p   *Profile
	h   host

	controls *sync.Mutex

	mu   sync.Mutex
	open []net.Conn
}

func (r *runner) try() *try { return &try{ctx: r.ctx, p: r.p, h: r.h, controls: &r.controls} }

func (a *try) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, nc := range a.open {
		_ = nc.Close()
	}
}

// baseline says why the good client is not served, or nothing.
func (r *runner) baseline() string {
	const tries = 3 // of a machine that is busy
	var why *outcome
	for range tries {
		a := r.try()
		if why = a.served(); why == nil || !why.slow {
			a.finish()
			break
		}
		a.finish()
	}
	if why != nil {
		return why.seen
	}
	return ""
}

// served says why the good client is not served, or nothing.
func (a *try) served() *outcome {
	p, why := a.connect()
	if why != nil {
		return why
	}
	return a.exchange(p)
}

// all runs the attacks, those that do not mind each other at once, and of them
// those that wait first: the others do their work meanwhile.
func (r *runner) all(results []Result, baseline string) {
	slots := make(chan struct{}, r.p.Parallel)
	var wg sync.WaitGroup
	var waiting, rest, alone, last []*Result
	for i := range results {
		one := &results[i]
		if why := r.skipped(one.Vector); why != "" {
			r.done(one, outcome{verdict: Skipped, seen: why}, 0)
			continue
		}
		switch {
		case baseline != "":
			r.done(one, unjudged("the good client is not served: %s", baseline), 0)
		case one.alone:
			alone = append(alone, one)
		case one.last:
			last = append(last, one)
		case one.waits:
			waiting = append(waiting, one)
		default:
			rest = append(rest, one)
		}
	}
	for _, one := range append(waiting, rest...) {
		slots <- struct{}{}
		wg.Go(func() {
			r.one(one)
			<-slots
		})
	}
	wg.Wait()
	for _, one := range append(alone, last...) {
		r.one(one)
	}
}

func (r *runner) skipped(v Vector) string {
	if why := r.p.Skip[v.Name]; why != "" {
		return why
	}
	return r.p.Skip[v.Group()]
}

func (r *runner) one(one *Result) {
	started := time.Now()
	a := r.try()
	o := unjudged("the run was ended before")
	if r.ctx.Err() == nil {
		o = one.run(a)
		if r.ctx.Err() != nil {
			o = unjudged("the run was ended meanwhile")
		}
	}
	a.finish()
	r.done(one, o, time.Since(started))
}

func (r *runner) done(one *Result, o outcome, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	one.Verdict, one.Seen, one.Took = o.verdict, o.seen, took
	if r.progress != nil {
		r.progress(*one)
	}
}

// connect opens a connection as the good client. Where limits are in the way it
// tries again for a while: an earlier attack may not have been forgotten yet.
func (a *try) connect() (*peer, *outcome) {
	p, why := a.deaf()
	if why != nil {
		return nil, why
	}
	return p.listen(), nil
}

// deaf is connect for a peer that reads nothing.
func (a *try) deaf() (*peer, *outcome) {
	giveUp := time.Now().Add(2 * a.p.Patience)
	for {
		token, err := a.token()
		if err != nil {
			return nil, &outcome{verdict: NotJudged, seen: err.Error()}
		}
		r := a.good(token)
		if token == "" && a.p.Ticket != nil {
			if r, err = a.ticketed(); err != nil {
				return nil, &outcome{verdict: NotJudged, seen: err.Error()}
			}
		}
		p, err := a.knock(r)
		switch {
		case err != nil && time.Now().Before(giveUp) && a.pause(50*time.Millisecond):
			continue // a machine that is busy, maybe with another attack
		case err != nil:
			return nil, &outcome{verdict: NotJudged, seen: "the good client got no response to its handshake", slow: silent(err)}
		case p.resp.StatusCode == http.StatusSwitchingProtocols:
			return p, nil
		case !busy(p.resp.StatusCode) || time.Now().After(giveUp) || !a.pause(50*time.Millisecond):
			return nil, &outcome{verdict: NotJudged, seen: fmt.Sprintf("the good client was answered with %d", p.resp.StatusCode)}
		}
	}
}

// pause waits, and reports whether the run goes on.
func (a *try) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-a.ctx.Done():
		return false
	}
}

// exchange sends the good message and wants it accepted.
func (a *try) exchange(p *peer) *outcome {
	if a.p.Message == "" {
		return nil
	}
	_ = p.send(frame(fin|opText, a.p.Message))
	for {
		answer, ok := p.answer(a.ctx, a.p.Patience)
		if !ok {
			return &outcome{verdict: NotJudged, seen: "the good message was not answered as accepted", slow: !p.gone()}
		}
		if a.p.accepts(answer) {
			return nil
		}
	}
}
