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
}

// A try is one attack at work.
type try struct {
	ctx context.Context
	p   *Profile
	h   host

	mu   sync.Mutex
	open []net.Conn
}

func (r *runner) try() *try { return &try{ctx: r.ctx, p: r.p, h: r.h} }

func (a *try) finish() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, nc := range a.open {
		_ = nc.Close()
	}
}

// baseline says why the good client is not served, or nothing.
func (r *runner) baseline() string {
	a := r.try()
	defer a.finish()
	p, why := a.connect()
	if why != nil {
		return why.seen
	}
	if why := a.exchange(p); why != nil {
		return why.seen
	}
	return ""
}

// all runs the attacks, those that do not mind each other at once.
func (r *runner) all(results []Result, baseline string) {
	slots := make(chan struct{}, r.p.Parallel)
	var wg sync.WaitGroup
	var alone, last []*Result
	for i := range results {
		one := &results[i]
		if why := r.skipped(one.Vector); why != "" {
			r.done(one, outcome{Skipped, why}, 0)
			continue
		}
		switch {
		case baseline != "":
			r.done(one, unjudged("the good client is not served: %s", baseline), 0)
		case one.alone:
			alone = append(alone, one)
		case one.last:
			last = append(last, one)
		default:
			slots <- struct{}{}
			wg.Go(func() {
				r.one(one)
				<-slots
			})
		}
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
	o := outcome{NotJudged, "the run was ended before"}
	if r.ctx.Err() == nil {
		o = one.run(a)
		if r.ctx.Err() != nil {
			o = outcome{NotJudged, "the run was ended meanwhile"}
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
			return nil, &outcome{NotJudged, err.Error()}
		}
		r := a.good(token)
		if token == "" && a.p.Ticket != nil {
			if r, err = a.ticketed(); err != nil {
				return nil, &outcome{NotJudged, err.Error()}
			}
		}
		p, err := a.knock(r)
		switch {
		case err != nil && time.Now().Before(giveUp) && a.pause(50*time.Millisecond):
			continue // a machine that is busy, maybe with another attack
		case err != nil:
			return nil, &outcome{NotJudged, "the good client got no response to its handshake"}
		case p.resp.StatusCode == http.StatusSwitchingProtocols:
			return p, nil
		case !busy(p.resp.StatusCode) || time.Now().After(giveUp) || !a.pause(50*time.Millisecond):
			return nil, &outcome{NotJudged, fmt.Sprintf("the good client was answered with %d", p.resp.StatusCode)}
		}
	}
}

func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
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
			return &outcome{NotJudged, "the good message was not answered as accepted"}
		}
		if a.p.accepts(answer) {
			return nil
		}
	}
}
