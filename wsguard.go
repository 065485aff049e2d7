// Package wsguard puts safeguards around a WebSocket endpoint.
//
// A safeguard is a func(http.Handler) http.Handler. [Chain] the ones that you
// want around an upgrade handler: [Handler] of this package, whose [Conn]
// applies the rules to each message, or the handler of any other library, which
// gets everything that concerns the handshake, framing and time. Nothing that a
// safeguard forbids reaches the application.
//
//	guard := wsguard.Chain(
//		wsguard.RequireTLS(),
//		wsguard.AllowOrigins("https://app.example.com"),
//		wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer")),
//		wsguard.LimitMessages(10, 20, wsguard.PerConn),
//		wsguard.ValidateMessages(schema),
//		wsguard.KeepAlive(30*time.Second, 10*time.Second),
//	)
//	http.Handle("GET /ws", guard(wsguard.Handler(serve)))
//
// # Order
//
// The first safeguard sees a request first. Put what is cheap and anonymous
// outside: [Observe], [TrustProxies], [RequireTLS], [AllowHosts],
// [AllowOrigins], [LimitConns] by address, [LimitHandshakes], [Authenticate],
// limits by user, then the rules for messages and time. An order that cannot
// work panics when the chain is built, with a sentence that says what to write.
//
// # Errors
//
// Everything that is refused, in any layer, is a [*Refusal]. The peer sees a
// status text or a fixed close reason and nothing else; observers get the rest.
// Constructors of safeguards panic on impossible arguments, which are a
// programmer's mistake. What is read from files, flags or the network is
// parsed by functions that return an error: [NewJWT], [CompileSchema],
// [ParseOrigins].
//
// # Defaults that need no safeguard
//
// Every connection that is upgraded inside a chain, or by [Handler] alone, has
// no compression and no other extension, messages of at most 32 KiB in at most
// 1,024 fragments, of which at most 8 in a row are empty, 10 control frames a
// second (20 at once), framing to the letter of RFC 6455, text in valid UTF-8,
// no stall of more than 10 seconds within a message or a write, and an end in
// bounded time. [MaxMessageSize], [LimitFrames], [MessageTimeout] and
// [WriteTimeout] change the numbers. [Handler] and [Accept] refuse a request
// with an Origin header that no safeguard has judged.
package wsguard

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"
)

// Chain composes safeguards: the first is the outermost. The result wraps an
// upgrade handler, and may itself be part of another chain.
//
// It panics, at the time it is applied to a handler, if the order of the
// safeguards cannot work. It is the same as applying them by hand, last to
// first, as chi's or echo's routers do.
func Chain(safeguards ...func(http.Handler) http.Handler) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if next == nil {
			panic("wsguard: Chain: the handler is nil: write guard(wsguard.Handler(serve))")
		}
		for i := len(safeguards) - 1; i >= 0; i-- {
			if safeguards[i] == nil {
				panic(fmt.Sprintf("wsguard: Chain: safeguard %d is nil: leave it out", i+1))
			}
			next = safeguards[i](next)
		}
		return next
	}
}

// A Refusal is anything that wsguard refuses, in any layer. The handshake
// renders it as an HTTP response, messages and time as a close frame, observers
// as an event. Compare Reason with the strings that the documentation of the
// safeguards names; get at a Refusal with errors.As. It must not be changed
// once it was returned.
type Refusal struct {
	Safeguard  string               // the constructor's name: "AllowOrigins"
	Reason     string               // a fixed string: "origin_not_allowed"
	Status     int                  // HTTP status of a refused handshake, 0 after it
	CloseCode  websocket.StatusCode // close code after the handshake
	RetryAfter time.Duration        // when it is worth trying again; 0 is not known
	Err        error                // detail for observers; never sent to the peer

	farewell string // what the application closes with, in place of Reason
}

// Error returns the safeguard, the reason and the detail. It is meant for logs:
// what the peer may know is sent by wsguard itself.
func (r *Refusal) Error() string {
	if r == nil {
		return "wsguard: a *Refusal that is nil"
	}
	if r.Err == nil {
		return "wsguard: " + r.Safeguard + ": " + r.Reason
	}
	return "wsguard: " + r.Safeguard + ": " + r.Reason + ": " + strings.TrimPrefix(r.Err.Error(), "wsguard: ")
}

// Unwrap returns the detail.
func (r *Refusal) Unwrap() error { return r.Err }

// closeReason is what the peer reads in a close frame.
func (r *Refusal) closeReason() string {
	if r.farewell != "" {
		return r.farewell
	}
	return strings.ReplaceAll(r.Reason, "_", " ")
}

// refuse makes the refusal for a reason of the table.
func refuse(safeguard, reason string, err error) *Refusal {
	as, ok := reasons[reason]
	if !ok {
		as = reasons["internal_error"]
	}
	return &Refusal{Safeguard: safeguard, Reason: reason, Status: as.status, CloseCode: as.code, Err: err}
}
