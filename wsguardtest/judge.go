package wsguardtest

import (
	"context"
	"net/http"
	"time"
)

// refused judges a handshake that must not be accepted.
func (a *try) refused(r *request) outcome {
	return judge(a.ask(r))
}

func judge(p *peer, err error) outcome {
	switch {
	case silent(err):
		return unjudged("there was no response in time: the server may hang, or be busy or gone")
	case err != nil:
		return passed("the server closed the socket without a response")
	case p.resp.StatusCode == http.StatusSwitchingProtocols:
		return failed("the handshake was accepted")
	case busy(p.resp.StatusCode):
		return unjudged("refused with %d for there being too many: raise the limits of handshakes for the kit", p.resp.StatusCode)
	case p.resp.StatusCode < 300:
		return failed("answered with %d, as if it were in order", p.resp.StatusCode)
	case p.resp.StatusCode < 400:
		return failed("redirected with %d, where it had to be refused", p.resp.StatusCode)
	case p.resp.StatusCode == http.StatusInternalServerError:
		return unjudged("answered with 500: something broke before it could be refused")
	}
	return passed("refused with %d", p.resp.StatusCode)
}

// changed is a row that changes the good handshake.
func changed(edit func(a *try, r *request)) func(*try) outcome {
	return func(a *try) outcome {
		token, err := a.token()
		if err != nil {
			return unjudged("%v", err)
		}
		r := a.good(token)
		if token == "" && a.p.Ticket != nil {
			if r, err = a.ticketed(); err != nil {
				return unjudged("%v", err)
			}
		}
		edit(a, r)
		return a.refused(r)
	}
}

// ends is a row that sends frames after which the connection must end.
func ends(frames func(*Profile) []byte) func(*try) outcome {
	return func(a *try) outcome {
		p, why := a.connect()
		if why != nil {
			return *why
		}
		_ = p.send(frames(a.p))
		return a.over(p, a.p.Patience)
	}
}

// over judges a connection that has to end.
func (a *try) over(p *peer, wait time.Duration) outcome {
	switch ended, why := a.happens(wait, p.ended); {
	case why != nil:
		return *why
	case ended:
		return passed("%s", p.how())
	}
	if len(p.answers) > 0 {
		return failed("it was answered, and the connection lives after %v", wait)
	}
	return failed("the connection lives after %v", wait)
}

func raw(b []byte) func(*Profile) []byte { return func(*Profile) []byte { return b } }

// floods is a row that repeats a frame after a prefix, until the server ends the
// connection or has let it go on for the time of a flood.
func floods(prefix, unit []byte) func(*try) outcome {
	return func(a *try) outcome {
		p, why := a.connect()
		if why != nil {
			return *why
		}
		return a.flood(p, prefix, unit)
	}
}

func (a *try) flood(p *peer, prefix, unit []byte) outcome {
	batch := prefix
	for range max(1, 16<<10/len(unit)) {
		batch = append(batch[:len(batch):len(batch)], unit...)
	}
	_ = p.send(batch)
	batch = batch[len(prefix):]
	sent := len(batch) / len(unit)
	ctx, cancel := context.WithTimeout(a.ctx, a.p.Flood)
	defer cancel()
	for ctx.Err() == nil {
		select {
		case <-p.told:
			return passed("%s", p.how())
		case <-p.over:
			return passed("%s", p.how())
		default:
		}
		if err := p.send(batch); err != nil {
			break
		}
		sent += len(batch) / len(unit)
	}
	wait := time.Duration(0) // the flood is over, and was borne
	if ctx.Err() == nil {
		wait = a.p.Patience // for the end that the server has begun
	}
	switch ended, why := a.happens(wait, p.ended); {
	case why != nil:
		return *why
	case ended:
		return passed("%s", p.how())
	}
	return failed("about %d were taken in %v, and the connection was not ended", sent, a.p.Flood)
}

// cut waits for a connection to be ended within what the endpoint claims.
func (a *try) cut(p *peer, claim time.Duration, started time.Time) outcome {
	switch ended, why := a.happens(max(0, time.Until(started.Add(claim+a.p.Patience))), p.ended); {
	case why != nil:
		return *why
	case !ended:
		return failed("the connection lives %v after the claimed %v", a.p.Patience, claim)
	}
	return passed("%s after %v", p.how(), time.Since(started).Round(100*time.Millisecond))
}

// claimed says why a claim cannot be judged, or nothing.
func claimed(name string, d time.Duration) *outcome {
	o := unjudged("the profile claims no %s", name)
	if d > longest {
		o = unjudged("the profile claims %v as %s, more than the %v that an attack waits: run the endpoint with less", d, name, longest)
	}
	if d > 0 && d <= longest {
		return nil
	}
	return &o
}
