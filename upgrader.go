package wsguard

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/coder/websocket"
)

// Handler upgrades each request that the safeguards around it let pass, and
// calls serve with the connection, in a goroutine of its own. It is
// Upgrader{}.Handler(serve).
func Handler(serve func(ctx context.Context, c *Conn) error) http.Handler {
	return Upgrader{}.Handler(serve)
}

// Accept upgrades one request in the goroutine of the caller. It is
// Upgrader{}.Accept(w, r).
func Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	return Upgrader{}.Accept(w, r)
}

// An Upgrader upgrades requests to connections whose messages are guarded by
// the chain around it. Its zero value is ready, and it may be used by several
// goroutines as long as nobody changes it.
type Upgrader struct {
	// Subprotocols are what the application speaks, in its order of preference
	// (RFC 6455, section 4.2.2). The first that the client offers too is
	// chosen; a connection without one has Conn.Subprotocol "".
	Subprotocols []string

	// Context makes the context of Handler's connections, before the upgrade.
	// It is the way to hand over what the request has (a route parameter, a
	// tenant): routers reuse their requests once the handler has returned, so
	// nothing else of the request's context survives it. It must not be
	// derived from r.Context(), which ends at the upgrade; a context that ends
	// ends its connections, which http.Server's Shutdown and Close do not: they
	// know nothing of what was upgraded. The default is context.Background().
	Context func(r *http.Request) context.Context

	// QueueMessages and QueueBytes bound what Conn.TrySend may have queued for
	// a peer that reads slowly. The defaults are 64 messages and 1 MiB.
	QueueMessages int
	QueueBytes    int
}

// Handler is the upgrade handler at the end of a chain. It calls serve in a
// goroutine of its own and returns, so that the HTTP server can let go of the
// request: deferred calls of middleware outside run at the upgrade, not when
// the connection ends.
//
// The context ends, with the *Refusal as its cause, when the connection does.
// When serve returns, the connection is closed: with 1000 for nil, with the
// code of a *Refusal, else with 1011; the error goes to observers. A panic in
// serve ends its connection with 1011, and nothing else. (R59)
//
// A request that is no upgrade gets 426, a method other than GET 405.
func (u Upgrader) Handler(serve func(ctx context.Context, c *Conn) error) http.Handler {
	if serve == nil {
		panic("wsguard: Handler: serve is nil: write func(ctx context.Context, c *wsguard.Conn) error")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := context.Background()
		if u.Context != nil {
			if ctx = u.Context(r); ctx == nil {
				panic("wsguard: Upgrader.Context returned nil: return context.Background() where there is nothing to hand over")
			}
		}
		c, err := u.Accept(w, r)
		if err != nil {
			return // the client has its answer, the observers the reason
		}
		go c.serve(ctx, serve)
	})
}

// Accept upgrades a request. The caller owns the connection and must close it
// on every path; [Upgrader.Handler] does that by itself. On an error the
// response is written, and the error is a *Refusal. With [FromFirstMessage],
// Accept waits for that message.
func (u Upgrader) Accept(w http.ResponseWriter, r *http.Request) (*Conn, error) {
	s := sessionOf(r)
	if s == nil {
		s, w, r = newSession(w, r)
	}
	if s.left.Load() {
		return nil, handlerReturned()
	}
	if s.answered {
		return nil, refuse("Handler", "upgrade_failed", errors.New("the request has its answer already"))
	}
	refusal := s.checkUpgrade(r)
	if refusal == nil {
		refusal = s.rules.lacks(s.limits.MessageSize)
	}
	if refusal == nil && hijacker(w) == nil {
		refusal = notHijackable(w)
	}
	if refusal != nil {
		s.refuse(w, refusal)
		return nil, refusal
	}
	s.claimed = true
	s.info.Subprotocol = chooseSubprotocol(r, u.Subprotocols)
	options := &websocket.AcceptOptions{
		InsecureSkipVerify: true, // its check trusts the Host header; checkUpgrade and CheckOrigins do not
		CompressionMode:    websocket.CompressionDisabled,
	}
	if s.info.Subprotocol != "" {
		options.Subprotocols = []string{s.info.Subprotocol}
	}
	ws, err := websocket.Accept(w, r, options)
	if err != nil {
		if !errors.As(err, &refusal) {
			refusal = refuse("Handler", "upgrade_failed", err)
			s.refuse(w, refusal)
		}
		return nil, refusal
	}
	_ = ws.CloseNow() // closes nothing: its part ends with the handshake
	s.writer.letGo()
	if refusal := s.identify(); refusal != nil {
		return nil, refusal
	}
	return newConn(s, u), nil
}

// checkUpgrade judges the request as RFC 6455, section 4.2.1, asks. (R51, R53)
func (s *session) checkUpgrade(r *http.Request) *Refusal {
	const name = "Handler"
	switch {
	case r.Method != http.MethodGet:
		return refuse(name, "method_not_allowed", nil)
	case !r.ProtoAtLeast(1, 1) || r.ProtoMajor > 1:
		return refuse(name, "not_an_upgrade", fmt.Errorf("%s cannot be upgraded", r.Proto))
	case !hasToken(r.Header["Connection"], "upgrade"), !hasToken(r.Header["Upgrade"], "websocket"):
		return refuse(name, "not_an_upgrade", nil)
	case len(r.Header["Sec-Websocket-Version"]) != 1 || r.Header.Get("Sec-WebSocket-Version") != "13":
		return refuse(name, "version_not_13", nil)
	}
	keys := r.Header["Sec-Websocket-Key"]
	if len(keys) != 1 {
		return refuse(name, "bad_handshake", fmt.Errorf("%d Sec-WebSocket-Key headers", len(keys)))
	}
	if key, err := base64.StdEncoding.DecodeString(keys[0]); err != nil || len(key) != 16 {
		return refuse(name, "bad_handshake", errors.New("Sec-WebSocket-Key is not 16 bytes in base64"))
	}
	if _, sent := r.Header["Origin"]; sent && s.facts&factOrigin == 0 {
		return refuse(name, "origin_unchecked",
			errors.New("a browser sent an Origin that no safeguard has judged: put AllowOrigins into the chain"))
	}
	return nil
}

// hasToken reports whether a list header (RFC 9110, section 5.6.1) has the
// token, which is given in lower case.
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// chooseSubprotocol returns the first of ours that the client offers. Names
// are compared exactly (RFC 6455, section 11.3.4).
func chooseSubprotocol(r *http.Request, ours []string) string {
	for _, name := range ours {
		for _, line := range r.Header["Sec-Websocket-Protocol"] {
			for part := range strings.SplitSeq(line, ",") {
				if strings.Trim(part, " \t") == name {
					return name
				}
			}
		}
	}
	return ""
}

// IsUpgrade reports whether a request asks for a WebSocket upgrade. It is for
// middleware that must not treat a connection as a request, such as a filter
// of latency metrics; no safeguard depends on it.
func IsUpgrade(r *http.Request) bool {
	return hasToken(r.Header["Connection"], "upgrade") && hasToken(r.Header["Upgrade"], "websocket")
}
