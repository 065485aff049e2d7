package wsguardtest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// happens waits for something that the server has to do, and says whether it
// has. That it has not says something of the server only if the machine was not
// too slow for it: then the outcome is why nothing can be judged.
func (a *try) happens(wait time.Duration, it func(context.Context, time.Duration) bool) (bool, *outcome) {
	if it(a.ctx, wait) {
		return true, nil
	}
	if why := a.control(); why != nil {
		return false, why
	}
	return it(a.ctx, a.p.Patience/20), nil
}

// control says why the server cannot be judged for what it has not done in
// time: it does not answer a handshake either, whatever the answer is.
func (a *try) control() *outcome {
	a.controls.Lock() // one at a time, as each may take a slot
	defer a.controls.Unlock()
	token, err := a.token()
	if err != nil {
		token = "" // any answer does
	}
	started := time.Now()
	p, err := a.knock(a.good(token))
	if p != nil {
		_ = p.conn.Close()
	}
	var o outcome
	switch took := time.Since(started); {
	case a.ctx.Err() != nil:
		o = unjudged("the run was ended meanwhile")
	case silent(err):
		o = unjudged("not in time, but nor does the server answer another handshake: it hangs, or is busy or gone")
	case took > a.p.Patience/4:
		o = unjudged("not in time, but the server takes %v to answer another handshake: give it more Patience", took.Round(time.Millisecond))
	default:
		return nil
	}
	return &o
}

// silent reports whether an error is that nothing came in time, or that nobody
// is there.
func silent(err error) bool {
	var network net.Error
	var op *net.OpError
	return errors.As(err, &network) && network.Timeout() || errors.Is(err, context.DeadlineExceeded) ||
		errors.As(err, &op) && op.Op == "dial"
}

// ask is knock for an attacker who comes again when there are too many.
func (a *try) ask(r *request) (*peer, error) {
	giveUp := time.Now().Add(a.p.Patience)
	for {
		p, err := a.knock(r)
		if err != nil || !busy(p.resp.StatusCode) || time.Now().After(giveUp) || !a.pause(50*time.Millisecond) {
			return p, err
		}
	}
}

func busy(status int) bool {
	return status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
}
