package wsguard

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// WarnExpiry calls warn when there is no more than before left until the
// connection's principal expires ([Principal].Expires), so that the application
// can ask its client for a new token, and give it to [Conn.Reauthenticate]. It
// is called once for each principal: again after a Reauthenticate, at once if
// less than before is left, and not at all for one without an expiry. Typical is
// a minute; what NewJWT's Leeway adds to a token is part of it. (R25, R32)
//
// warn runs on a goroutine of its own, which it may block; until it returns, the
// connection has no second one. Its ctx ends when the connection does, with the
// *Refusal as its cause where there is one, and has no values. A panic in it
// ends the connection with 1011 (internal_error).
//
// It needs a Conn: in front of another library, the handshake ends with 500
// (rules_unclaimed). Put it behind [Authenticate].
func WarnExpiry(before time.Duration, warn func(ctx context.Context, c *Conn)) func(http.Handler) http.Handler {
	const name = "WarnExpiry"
	if before < time.Millisecond { // also a number without its unit
		panic(fmt.Sprintf("wsguard: WarnExpiry: before is %v, which is too late: write a time with its unit such as time.Minute", before))
	}
	if warn == nil {
		panic("wsguard: WarnExpiry: warn is nil: write func(ctx context.Context, c *wsguard.Conn)")
	}
	return safeguard(rule{name: name, provides: factWarned, needs: factPrincipal}, func(s *session, _ *http.Request) *Refusal {
		v := s.withVigil()
		v.before, v.warn = before, warn
		return nil
	})
}

// warns reports whether there is somebody to be told, which takes a Conn.
func (v *vigil) warns() bool { return v != nil && v.warn != nil }

// warnOfExpiry tells the application, once.
func (s *session) warnOfExpiry() {
	v, returned := s.vigil, false
	defer func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.warning.busy = false
		s.setAlarm()
	}()
	defer s.survive("warn of WarnExpiry", &returned)
	v.warn(v.context(), s.app.Load())
	returned = true
}
