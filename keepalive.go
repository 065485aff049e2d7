package wsguard

import (
	"fmt"
	"net/http"
	"time"

	"github.com/wsguard/wsguard/internal/wire"
)

// KeepAlive finds peers that are gone: when nothing at all has arrived for
// interval, a ping goes out (RFC 6455, section 5.5.2), and when nothing has
// arrived for timeout after that, the connection ends with 3008 (no_pong). Any
// byte proves life, a pong's payload proves nothing. It works under every
// library. Time during which the application is not reading does not count
// against the peer. (R48)
//
// Typical are 30 seconds, below the idle timeouts of proxies, and 10 seconds.
func KeepAlive(interval, timeout time.Duration) func(http.Handler) http.Handler {
	mustBePositive("KeepAlive", "interval", interval)
	mustBePositive("KeepAlive", "timeout", timeout)
	return timeLimit("KeepAlive", factKeepAlive, func(s *session, t *wire.Times) {
		t.Ping, t.Pong = interval, s.limit(timeout, "KeepAlive", "no_pong")
	})
}

// IdleTimeout ends a connection with 3008 (idle) on which no message was
// accepted for d. Pings and pongs do not count, so that a client that only
// answers them does not stay; nor do messages that a rule refuses. In front of
// another library, every data message counts. (R27, R48)
func IdleTimeout(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("IdleTimeout", "duration", d)
	return timeLimit("IdleTimeout", factIdle, func(s *session, t *wire.Times) {
		t.Idle = s.limit(d, "IdleTimeout", "idle")
	})
}

// MaxLifetime ends a connection with 3008 (lifetime_over) that is older than
// d, whatever happens on it. The client may connect again, through all
// safeguards. (R27)
func MaxLifetime(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("MaxLifetime", "duration", d)
	return timeLimit("MaxLifetime", factLifetime, func(s *session, t *wire.Times) {
		t.Lifetime = s.limit(d, "MaxLifetime", "lifetime_over")
	})
}

// timeLimit makes a safeguard that holds below every library.
func timeLimit(name string, provides fact, set func(*session, *wire.Times)) func(http.Handler) http.Handler {
	return safeguard(rule{name: name, provides: provides, passive: true}, func(s *session, _ *http.Request) *Refusal {
		set(s, &s.times)
		return nil
	})
}

func mustBePositive(name, field string, d time.Duration) {
	if d < time.Millisecond { // also a number without its unit
		panic(fmt.Sprintf("wsguard: %s: %s is %v and would end every connection: write a time with its unit such as 30*time.Second, or leave %s out", name, field, d, name))
	}
}
