package wsguard

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// vigil is what is done about a principal while its connection lives: it is
// asked about, and its expiry is announced. Both wait for the one alarm of the
// connection's timer, so that waiting takes neither a goroutine nor a timer of
// its own, and messages know nothing of it.
type vigil struct {
	// Fixed before the upgrade.
	every  time.Duration // of Revalidate
	ask    func(context.Context, Principal) error
	before time.Duration // of WarnExpiry
	warn   func(context.Context, *Conn)

	mu      sync.Mutex
	asking  chore
	warning chore
	life    context.Context // ends with the connection; nil until somebody asks for it
	cancel  context.CancelCauseFunc
	over    error // what the connection ended with

	dropped bool // the last verdict was no good, and about somebody else; of asking alone
}

// chore is something that is done from time to time, never twice at once.
type chore struct {
	at   time.Time // when it is due, or zero
	busy bool      // it is being done: what is due waits
}

// waiting returns when the chore is to be begun, or zero.
func (c *chore) waiting() time.Time {
	if c.busy {
		return time.Time{}
	}
	return c.at
}

// begin reports whether the chore is to be done now, by the caller.
func (c *chore) begin(now time.Time) bool {
	if at := c.waiting(); at.IsZero() || at.After(now) {
		return false
	}
	c.at, c.busy = time.Time{}, true
	return true
}

// withVigil returns the session's vigil, which safeguards fill in.
func (s *session) withVigil() *vigil {
	if s.vigil == nil {
		s.vigil = new(vigil)
	}
	return s.vigil
}

// Alarm is called when the earliest chore is due.
func (s owner) Alarm() {
	v, now := s.vigil, time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.asking.begin(now) {
		go s.revalidate()
	}
	if v.warning.begin(now) {
		go s.warnOfExpiry()
	}
	s.setAlarm()
}

// setAlarm wakes for the earliest chore. It needs mu.
func (s *session) setAlarm() {
	var left time.Duration // none is never
	for _, at := range []time.Time{s.vigil.asking.waiting(), s.vigil.warning.waiting()} {
		if d := max(1, time.Until(at)); !at.IsZero() && (left == 0 || d < left) {
			left = d
		}
	}
	s.conn.SetAlarm(left)
}

// keepVigil begins to ask about the principal. When it is somebody else, that
// goes on as it was: who becomes another one often is not asked about less.
func (s *session) keepVigil() {
	if v := s.vigil; v != nil && v.every > 0 {
		s.askAfter(v.pause())
	}
}

// askAfter sets when the principal is asked about next.
func (s *session) askAfter(d time.Duration) {
	s.vigil.mu.Lock()
	defer s.vigil.mu.Unlock()
	s.vigil.asking = chore{at: time.Now().Add(d)}
	s.setAlarm()
}

// pause is how long to wait until the next asking: up to a tenth less than
// every, so that connections that were opened together do not ask together.
func (v *vigil) pause() time.Duration { return v.every - rand.N(v.every/10+1) }

// expires notes when the principal does, zero being never, so that it is
// announced before.
func (s *session) expires(at time.Time) {
	v := s.vigil
	if v == nil || v.warn == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.warning.at = time.Time{}
	if !at.IsZero() {
		// By the clock that the expiry goes by: one that is set leaves both.
		v.warning.at = time.Now().Add(time.Until(at) - v.before)
	}
	s.setAlarm()
}

// context returns a context that ends when the connection does, for what is
// called in its life.
func (v *vigil) context() context.Context {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.life == nil {
		v.life, v.cancel = context.WithCancelCause(context.Background())
		if v.over != nil {
			v.cancel(v.over)
		}
	}
	return v.life
}

// stop ends the context, for the first reason that it is told.
func (v *vigil) stop(err error) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.over == nil {
		v.over = err
	}
	if v.cancel != nil {
		v.cancel(v.over)
	}
}
