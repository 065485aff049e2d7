package wsguard

import (
	"context"
	"net/netip"
	"time"

	"github.com/coder/websocket"
)

// Hooks are functions that are told what happens at an endpoint. They observe
// and decide nothing. A nil field is off, the zero Hooks are silent.
//
// They are called on the connection's own path, many at the same time: they must
// be safe for concurrent use and return soon. A hook that panics is reported,
// counted in [Stats] and closes the connection that it was told about with 1011;
// the process lives (R59). Fields may be added: name those that you set.
//
// Text in an event that comes from the peer is as the peer sent it, and not fit
// for a log or a page before it is escaped.
type Hooks struct {
	// HandshakeDone is called once for every handshake, accepted or refused.
	HandshakeDone func(context.Context, HandshakeEvent)

	// ConnClosed is called once for every accepted handshake, when its
	// connection is gone.
	ConnClosed func(context.Context, CloseEvent)

	// Message is called for every message in either direction. It is the hot
	// path: what it costs, every message pays.
	Message func(context.Context, MessageEvent)

	// Violation is called when an open connection did what a safeguard forbids.
	Violation func(context.Context, ViolationEvent)

	// Anomaly is called when a spike begins and when it is over, at most every
	// 10 seconds, with a context that is tied to no connection.
	Anomaly func(context.Context, AnomalyEvent)
}

// JoinHooks returns Hooks that call each of hooks in order. One that panics does
// not keep the event from those after it.
func JoinHooks(hooks ...Hooks) Hooks {
	return Hooks{
		HandshakeDone: joinHook(hooks, func(h Hooks) func(context.Context, HandshakeEvent) { return h.HandshakeDone }),
		ConnClosed:    joinHook(hooks, func(h Hooks) func(context.Context, CloseEvent) { return h.ConnClosed }),
		Message:       joinHook(hooks, func(h Hooks) func(context.Context, MessageEvent) { return h.Message }),
		Violation:     joinHook(hooks, func(h Hooks) func(context.Context, ViolationEvent) { return h.Violation }),
		Anomaly:       joinHook(hooks, func(h Hooks) func(context.Context, AnomalyEvent) { return h.Anomaly }),
	}
}

func joinHook[E any](hooks []Hooks, field func(Hooks) func(context.Context, E)) func(context.Context, E) {
	var set []func(context.Context, E)
	for _, h := range hooks {
		if f := field(h); f != nil {
			set = append(set, f)
		}
	}
	switch len(set) {
	case 0:
		return nil
	case 1:
		return set[0]
	}
	return func(ctx context.Context, e E) { runHooks(ctx, set, e) }
}

// runHooks defers the rest so that it runs, in order, even when the first
// panics, and the panic still reaches the caller.
func runHooks[E any](ctx context.Context, set []func(context.Context, E), e E) {
	if len(set) > 1 {
		defer runHooks(ctx, set[1:], e)
	}
	set[0](ctx, e)
}

// ConnInfo says whose connection an event is about. It never holds a token, a
// cookie, a query string or the Sec-WebSocket-Protocol header (R55). What a
// handshake has not established yet is zero.
type ConnInfo struct {
	ID       string // random, names this connection in logs; not a secret
	Endpoint string // the name given to NewObserver

	ClientIP       netip.Addr // the client, as far as proxies are trusted (R52)
	ClientIPSource string     // where ClientIP comes from: the peer or a header's name
	PeerAddr       string     // the other end of the socket, a proxy's where there is one

	Origin      string // as sent, untrusted
	UserAgent   string // as sent, untrusted
	Subprotocol string // negotiated with the client, empty if none

	Subject          string // who authenticated; a user is Issuer and Subject together
	Issuer           string // who vouches for Subject
	TokenID          string // the token's jti, empty if it has none
	TokenFingerprint string // first 8 hex digits of the token's SHA-256

	Since time.Time // when the handshake began
}

// HandshakeEvent tells how a handshake ended.
type HandshakeEvent struct {
	Conn    ConnInfo
	Refusal *Refusal // nil when it was accepted
	Took    time.Duration
}

// Initiator is the side that ended a connection.
type Initiator string

const (
	InitiatorPeer    Initiator = "peer"    // the peer sent a close frame first
	InitiatorServer  Initiator = "server"  // the application or a safeguard closed
	InitiatorNetwork Initiator = "network" // the socket ended without a close frame
)

// CloseEvent tells how a connection ended.
type CloseEvent struct {
	Conn ConnInfo
	// Code is of the first close frame (RFC 6455, section 7.4); what this side
	// ended the connection with, where the peer did not even take that; and 1006
	// where nobody closed.
	Code      websocket.StatusCode
	Initiator Initiator
	Reason    string   // the Refusal's, or what the application closed with; empty for a peer's
	Refusal   *Refusal // what a safeguard closed for, nil otherwise
	Duration  time.Duration

	// Data messages and all bytes of the socket after the handshake.
	MessagesIn, MessagesOut, BytesIn, BytesOut int64
}

// Direction is the way that a message goes, seen from the server.
type Direction string

const (
	DirectionIn  Direction = "in"  // from the peer to the application
	DirectionOut Direction = "out" // from the application to the peer
)

// MessageEvent tells of one message, never what is in it.
type MessageEvent struct {
	Conn      *ConnInfo // shared by all events of the connection: read only
	Direction Direction
	Type      websocket.MessageType
	Size      int           // payload bytes
	Refusal   *Refusal      // nil when it was accepted
	Took      time.Duration // spent on checking it
}

// ViolationEvent tells what an open connection did that a safeguard forbids.
type ViolationEvent struct {
	Conn    ConnInfo
	Refusal *Refusal // never nil
	Action  string   // what followed: "close", "drop", "reply" or "report"
}

// AnomalyEvent tells that one of an endpoint's signals left the range that is
// usual for it, or came back. A process knows only its own traffic and its own
// past: comparing replicas, or today with last week, is for a monitoring system.
type AnomalyEvent struct {
	Endpoint string
	Signal   string  // "handshakes", "refusals", "messages" or "closes"
	Active   bool    // true when the anomaly begins, false when it is over
	Observed float64 // events in the last 10 seconds
	Expected float64 // events that are usual in 10 seconds
}
