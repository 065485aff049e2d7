package wsguard

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/wsguard/wsguard/internal/wire"
)

// writer is the http.ResponseWriter inside a chain. Libraries write 101 before
// they hijack; it holds that back until the hijack has succeeded, so that one
// that is refused ends in a real error response.
type writer struct {
	http.ResponseWriter
	s         *session
	status    int
	switching bool // 101 is held back
}

// errUnclaimed is what a library gets for a hijack that would bypass rules.
var errUnclaimed = errors.New("rules that need a Conn are in the chain, but the handler reads the socket itself: " +
	"use wsguard.Handler or wsguard.Accept, or leave LimitMessages, LimitBytes, ValidateMessages, SanitizeMessages, CheckMessages, OutgoingMessages and WarnExpiry out")

// errUnread is what a handler gets that answers somebody without a token.
var errUnread = errors.New("the token is to come as the first message, but the handler would not wait for it: " +
	"use wsguard.Handler or wsguard.Accept, or leave FromFirstMessage out")

func (w *writer) WriteHeader(status int) {
	switch {
	case w.s.swallow:
	case w.switching && status != http.StatusSwitchingProtocols:
		w.s.notUpgraded()
		w.s.swallow = true
	case status == http.StatusSwitchingProtocols:
		w.switching = true
	case w.early(status):
	default:
		w.status = status
		w.ResponseWriter.WriteHeader(status)
	}
}

func (w *writer) Write(p []byte) (int, error) {
	if w.switching && !w.s.answered {
		w.s.notUpgraded()
		w.s.swallow = true
	}
	if w.s.swallow {
		return len(p), nil
	}
	if w.status == 0 {
		if w.early(http.StatusOK) {
			return len(p), nil
		}
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// early refuses what a handler would answer a stranger, whose token nobody has
// read, and reports whether it has. A handler may refuse by itself.
func (w *writer) early(status int) bool {
	if w.s.stranger == nil || w.s.claimed || w.s.answered || status >= 400 {
		return false
	}
	clear(w.Header()) // which was for somebody
	w.s.refuse(w.ResponseWriter, refuse("FromFirstMessage", "rules_unclaimed", errUnread))
	w.s.swallow = true
	return true
}

// WriteHeaderNow is gin's way to send the header.
func (w *writer) WriteHeaderNow() {
	if w.s.swallow || w.switching || w.status == 0 && w.early(http.StatusOK) {
		return
	}
	if gin, ok := w.ResponseWriter.(interface{ WriteHeaderNow() }); ok {
		gin.WriteHeaderNow()
	}
}

// CloseNotify is what gin's streams ask for.
func (w *writer) CloseNotify() <-chan bool {
	if n, ok := w.ResponseWriter.(interface{ CloseNotify() <-chan bool }); ok {
		return n.CloseNotify()
	}
	return nil
}

// letGo frees the server's response, which a connection would otherwise keep
// for its life. Middleware inside the chain may still ask for its header.
func (w *writer) letGo() { w.ResponseWriter = spent{} }

// spent is the response of a connection that was upgraded.
type spent struct{}

func (spent) Header() http.Header         { return make(http.Header) }
func (spent) Write(p []byte) (int, error) { return len(p), nil }
func (spent) WriteHeader(int)             {}

func (w *writer) Flush() { _ = w.FlushError() }

func (w *writer) FlushError() error {
	if w.s.swallow || w.switching || w.status == 0 && w.early(http.StatusOK) {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap serves http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack hands out the guarded connection, with what the session enforces on
// it, to whatever library asks.
func (w *writer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	s := w.s
	if s.left.Load() {
		return nil, nil, handlerReturned()
	}
	if s.answered {
		return nil, nil, http.ErrHijacked
	}
	if s.hasBody {
		// Its bytes would be read as frames, past a proxy that takes them for a body.
		return w.fail(refuse("Handler", "bad_handshake", errors.New("the upgrade request has a body")))
	}
	if (s.rules.any() || s.vigil.warns()) && !s.claimed {
		return w.fail(refuse("Chain", "rules_unclaimed", errUnclaimed))
	}
	if s.stranger != nil && !s.claimed {
		return w.fail(refuse("FromFirstMessage", "rules_unclaimed", errUnread))
	}
	if r := s.doomed(); r != nil {
		return w.fail(r)
	}
	under := hijacker(w.ResponseWriter)
	if under == nil {
		return w.fail(notHijackable(w.ResponseWriter))
	}
	nc, brw, err := hijack(under)
	if err != nil {
		return w.fail(refuse("Handler", "not_hijackable", err))
	}
	// Some clients send before they have read the response. The server's own
	// buffers are let go.
	head, _ := brw.Reader.Peek(brw.Reader.Buffered())
	s.hijacked, s.answered, s.swallow = true, true, true
	conn, rw := s.upgrade(nc, append([]byte(nil), head...))
	if w.switching {
		// What was held back goes out here, past writers that might not be able
		// to hijack after all.
		if _, err := conn.Write(w.response()); err != nil {
			s.conn.Kill()
			return nil, nil, err
		}
	}
	return conn, rw, nil
}

// response is the head of the response that a library has written to w.
func (w *writer) response() []byte {
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\n")
	_ = w.Header().WriteSubset(&b, map[string]bool{"Content-Length": true, "Content-Type": true, "Transfer-Encoding": true})
	b.WriteString("\r\n")
	return b.Bytes()
}

// hijack takes the connection from a writer that may promise what it cannot
// keep: gin's panics if the one that it wraps is no Hijacker.
func hijack(h http.Hijacker) (nc net.Conn, brw *bufio.ReadWriter, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in %T.Hijack: %v", h, p)
		}
	}()
	return h.Hijack()
}

// fail answers a hijack that is refused, past any writer of the library's.
func (w *writer) fail(r *Refusal) (net.Conn, *bufio.ReadWriter, error) {
	w.s.refuse(w.ResponseWriter, r)
	w.s.swallow = true
	return nil, nil, r
}

// handlerReturned is for a library that upgrades in a goroutine of its own.
func handlerReturned() *Refusal {
	return refuse("Handler", "upgrade_failed",
		errors.New("the handler has returned, and the request with it: call Accept before it does, or use Handler"))
}

func notHijackable(w http.ResponseWriter) *Refusal {
	return refuse("Handler", "not_hijackable",
		fmt.Errorf("%T is no http.Hijacker and has no Unwrap: a middleware hides the server's, or the request is HTTP/2", w))
}

// hijacker returns the outermost Hijacker of a writer, as libraries look for
// it, or nil if the innermost is none: routers' writers promise a Hijack that
// the one below cannot keep.
func hijacker(w http.ResponseWriter) (first http.Hijacker) {
	for {
		h, ok := w.(http.Hijacker)
		if ok && first == nil {
			first = h
		}
		u, wraps := w.(interface{ Unwrap() http.ResponseWriter })
		switch {
		case wraps:
			w = u.Unwrap()
		case ok:
			return first
		default:
			return nil
		}
	}
}

// upgrade puts the wire under the connection.
func (s *session) upgrade(nc net.Conn, head []byte) (net.Conn, *bufio.ReadWriter) {
	if p := s.principal.Load(); p != nil {
		s.limits.Expiry = left(p)
	}
	if s.stranger != nil {
		s.limits.Expiry = s.stranger.timeout
	}
	_, _ = s.locate()
	if len(s.observers) > 0 {
		s.info.Endpoint = s.observers[0].endpoint
	}
	s.passed, s.https, s.redacted = nil, nil, nil // the handshake's alone
	s.told.Add(1)
	defer s.told.Done() // even if a hook panics its way through
	strange := s.strange()
	s.conn = wire.New(nc, wire.Config{Head: head, Limits: &s.limits, Owner: owner{s}, CountMessages: !s.claimed, Messages: s.claimed})
	if !strange {
		// Before anything else that is told of this connection.
		if err := s.observeHandshake(nil); err != nil {
			// On a goroutine of its own: the end waits until it can be told.
			go s.end(refuse("Observe", "internal_error", err))
		}
	}
	if r := s.opened(); r != nil {
		go s.end(r)
	}
	if !strange {
		s.keepVigil()
	}
	if s.claimed {
		// Conn speaks for itself: the library's part ends with the handshake.
		return unclosed{s.conn}, bufio.NewReadWriter(bufio.NewReaderSize(nil, 16), bufio.NewWriterSize(nil, 16))
	}
	const buffer = 1 << 10
	return s.conn, bufio.NewReadWriter(bufio.NewReaderSize(s.conn, buffer), bufio.NewWriterSize(s.conn, buffer))
}

// left is how long a principal is good for; 0 is for ever.
func left(p *Principal) time.Duration {
	if p.Expires.IsZero() {
		return 0
	}
	return max(1, time.Until(p.Expires))
}

// unclosed is a connection that outlives the library that has shaken hands.
type unclosed struct{ net.Conn }

func (unclosed) Close() error { return nil }

// breaches says, for what the wire refuses, which safeguard changes it and
// what the reason is. What is not here is a protocol error.
var breaches = map[error]struct{ safeguard, reason string }{
	wire.MessageTooLong:   {"MaxMessageSize", "message_too_big"},
	wire.FrameTooLong:     {"LimitFrames", "message_too_big"},
	wire.TooManyFragments: {"LimitFrames", "frame_flood"},
	wire.TooManyEmpty:     {"LimitFrames", "frame_flood"},
	wire.TooManyControls:  {"LimitFrames", "frame_flood"},
	wire.InvalidText:      {"Handler", "invalid_utf8"},
	wire.InvalidReason:    {"Handler", "invalid_utf8"},

	wire.NoPong:       {"KeepAlive", "no_pong"},
	wire.Idle:         {"IdleTimeout", "idle"},
	wire.LifetimeOver: {"MaxLifetime", "lifetime_over"},
	wire.Expired:      {"Authenticate", "token_expired"},
	wire.SlowStart:    {"FirstMessageTimeout", "slow_start"},
	wire.SlowMessage:  {"MessageTimeout", "slow_message"},
	wire.SlowReader:   {"WriteTimeout", "slow_reader"},
}

// Refuse translates what the wire refuses. What a peer has sent is a
// violation; what it has not is told by the end of the connection.
func (s owner) Refuse(err error) wire.Cause {
	b, ok := breaches[err]
	if !ok {
		b.safeguard, b.reason = "Handler", "protocol_error"
	}
	strange := s.strange()
	if strange && err == wire.Expired {
		b.safeguard, b.reason = "FromFirstMessage", "token_late"
	}
	_, sent := err.(wire.Violation)
	if !sent {
		err = nil
	}
	cause := s.cause(refuse(b.safeguard, b.reason, err))
	if sent && !strange {
		_ = s.violation(cause.Err.(*Refusal), "close")
	}
	return cause
}
