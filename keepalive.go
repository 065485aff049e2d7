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
// A ping may go out up to a 256th of interval later, so that those of many
// connections go out together.
//
// Typical are 30 seconds, below the idle timeouts of proxies, and 10 seconds.
func KeepAlive(interval, timeout time.Duration) func(http.Handler) http.Handler {
	mustBePositive("KeepAlive", "interval", interval)
	mustBePositive("KeepAlive", "timeout", timeout)
	return timeLimit("KeepAlive", factKeepAlive, func(l *wire.Limits) { l.Ping, l.Pong = interval, timeout })
}

// IdleTimeout ends a connection with 3008 (idle) on which no message was
// accepted for d. Pings and pongs do not count, so that a client that only
// answers them does not stay; nor do messages that a rule refuses. In front of
// another library, every data message counts. (R27, R48)
func IdleTimeout(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("IdleTimeout", "duration", d)
	return timeLimit("IdleTimeout", factIdle, func(l *wire.Limits) { l.Idle = d })
}

// MaxLifetime ends a connection with 3008 (lifetime_over) that is older than
// d, whatever happens on it. The client may connect again, through all
// safeguards. (R27)
func MaxLifetime(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("MaxLifetime", "duration", d)
	return timeLimit("MaxLifetime", factLifetime, func(l *wire.Limits) { l.Lifetime = d })
}

// FirstMessageTimeout ends a connection with 3008 (slow_start) whose first
// message is not there d after the upgrade. Without it, a client may connect
// and say nothing for as long as IdleTimeout lets it. (R27, R49)
func FirstMessageTimeout(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("FirstMessageTimeout", "duration", d)
	return timeLimit("FirstMessageTimeout", factFirstMessage, func(l *wire.Limits) { l.First = d })
}

// MessageTimeout ends a connection with 3008 (slow_message) on which a message
// has begun and does not get on: d is how long the peer may stall in one, from
// its first byte to its last, and what arrives of it earns time back at
// bytesPerSecond, up to d again. So a message takes at most d, plus its length
// at that rate, and no pause in it is longer than d. Only the time counts that
// somebody waits for the peer. Without it, the limits are 10 seconds and 4096
// bytes a second. (R42, R49)
func MessageTimeout(d time.Duration, bytesPerSecond int) func(http.Handler) http.Handler {
	mustBePositive("MessageTimeout", "duration", d)
	if bytesPerSecond < 1 {
		panic(fmt.Sprintf("wsguard: MessageTimeout: a rate of %d bytes a second lets a message take for ever: write at least 1, such as 4096", bytesPerSecond))
	}
	return timeLimit("MessageTimeout", factMessageTime, func(l *wire.Limits) { l.MessageTime, l.MinRate = d, bytesPerSecond })
}

// WriteTimeout ends a connection with 1008 (slow_reader) whose peer does not
// take what is written: d is how long one write may stall, and what the peer
// takes earns time back at 4096 bytes a second, or what MessageTimeout says, up
// to d again: a peer that has just taken much is waited for once more. The
// close frame is then tried for a second. Without it, the limit is 10 seconds.
// (R49)
func WriteTimeout(d time.Duration) func(http.Handler) http.Handler {
	mustBePositive("WriteTimeout", "duration", d)
	return timeLimit("WriteTimeout", factWriteTime, func(l *wire.Limits) { l.WriteTime = d })
}

// timeLimit makes a safeguard that holds below every library.
func timeLimit(name string, provides fact, set func(*wire.Limits)) func(http.Handler) http.Handler {
	return safeguard(rule{name: name, provides: provides, passive: true}, func(s *session, _ *http.Request) *Refusal {
		set(&s.limits)
		return nil
	})
}

func mustBePositive(name, field string, d time.Duration) {
	if d < time.Millisecond { // also a number without its unit
		panic(fmt.Sprintf("wsguard: %s: %s is %v and would end every connection: write a time with its unit such as 30*time.Second, or leave %s out", name, field, d, name))
	}
}
