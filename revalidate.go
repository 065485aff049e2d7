package wsguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// longestAsking is how long the application may take to answer Revalidate.
const longestAsking = 10 * time.Second

// errNoAnswer is what an asking ends with that takes too long.
var errNoAnswer = errors.New("ask did not return in time: it has as long as every, and at most 10 seconds")

// Revalidate asks the application again and again whether a connection's
// principal may stay: whether the session still exists, the account is not
// blocked, the role not withdrawn. A connection asks for the first time when it
// is as old as every, and then again each time; as much as a tenth is taken off
// at random, so that connections that were opened together do not ask together.
// Typical are 30 minutes. What is known at once is better told at once, by
// [Registry.Revoke]. (R26, R34)
//
// An error of ask ends the connection: a *Refusal as it is, any other with 3000
// (revalidation_failed). So does a panic, and an asking that takes longer than
// every or 10 seconds, at the end of which its ctx ends. So nobody stays because
// a store does not answer. To let them stay, return nil where only the store
// failed; what is lost is what this safeguard is there for.
//
// ask gets the principal of that moment, which must not be changed: after
// [Conn.Reauthenticate] the new one. What is answered about one that has been
// replaced meanwhile does not count against the new one, who is asked about at
// once instead; but the second such answer in a row ends the connection too, or
// a client would escape by changing its token all the time. Its ctx also ends
// with the connection, and has no values. It is called on a goroutine of its
// own, several at once for different connections and never for one.
//
// It works under every library, behind [Authenticate].
func Revalidate(every time.Duration, ask func(ctx context.Context, p Principal) error) func(http.Handler) http.Handler {
	const name = "Revalidate"
	if every < time.Millisecond { // also a number without its unit
		panic(fmt.Sprintf("wsguard: Revalidate: every is %v and would ask all the time: write a time with its unit such as 30*time.Minute", every))
	}
	if ask == nil {
		panic("wsguard: Revalidate: ask is nil: write func(ctx context.Context, p wsguard.Principal) error")
	}
	return safeguard(rule{name: name, provides: factRevalidated, needs: factPrincipal}, func(s *session, _ *http.Request) *Refusal {
		v := s.withVigil()
		v.every, v.ask = every, ask
		return nil
	})
}

// revalidate asks about the principal, once.
func (s *session) revalidate() {
	v, p := s.vigil, s.principal.Load()
	if p == nil { // nobody yet
		s.askAfter(v.pause())
		return
	}
	ctx, cancel := context.WithTimeoutCause(v.context(), min(v.every, longestAsking), errNoAnswer)
	defer cancel()
	// Whoever it was about: as long as ask does not return, nobody can be asked
	// about.
	inTime := context.AfterFunc(ctx, func() { s.end(notRevalidated(context.Cause(ctx))) })
	verdict := errors.New("ask did not return: runtime.Goexit was called")
	defer func() {
		if text := recover(); text != nil {
			verdict = fmt.Errorf("panic in ask: %v", text)
		}
		if !inTime() {
			return
		}
		// An answer that came because the time was over may be faster than the end.
		if late := context.Cause(ctx); late != nil {
			s.end(notRevalidated(late))
			return
		}
		s.judged(p, verdict)
	}()
	verdict = v.ask(ctx, *p)
}

// judged acts on what the application says about a principal, and sets the time
// of the next asking.
func (s *session) judged(p *Principal, verdict error) {
	v := s.vigil
	if verdict == nil {
		v.dropped = false
		s.askAfter(v.pause())
		return
	}
	s.swap.Lock() // or p might be replaced between the question and the end
	defer s.swap.Unlock()
	if s.principal.Load() == p || v.dropped {
		s.end(notRevalidated(verdict))
		return
	}
	v.dropped = true
	s.askAfter(0)
}

// notRevalidated is the refusal for what ask has answered.
func notRevalidated(err error) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) || r == nil {
		return refuse("Revalidate", "revalidation_failed", err)
	}
	if r.CloseCode == 0 {
		c := *r
		c.CloseCode, r = StatusUnauthorized, &c
	}
	return r
}
