package wsguard

import (
	"context"
	"log/slog"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/wsguard/wsguard/internal/sample"
	"github.com/wsguard/wsguard/internal/surge"
	"github.com/wsguard/wsguard/internal/tally"
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

const (
	maxReasons = 128 // ours, and what a custom verifier makes up
	maxCloses  = 64  // RFC 6455's codes, and what the application makes up

	// A reason's first refusals are logged, then one in an interval, so that a
	// flood of them is not a flood of the log.
	logBurst    = 10
	logInterval = 3 * time.Second
)

// spikeSignals are watched for spikes, in the order of Observer.totals.
var spikeSignals = [...]string{"handshakes", "refusals", "messages", "closes"}

// Observer counts what happens at one endpoint, tells hooks, writes the audit
// log and looks for spikes. It is made by [NewObserver] and safe for concurrent
// use. It needs no closing: it has no goroutine, and a timer only while there is
// traffic or a connection. R54.
type Observer struct {
	endpoint string
	hooks    Hooks
	audit    *auditLog // nil for none
	log      Hooks     // what audit writes

	accepted, closes, panics atomic.Int64
	in, out                  traffic                    // accepted
	refusals                 *tally.Table[refusalTally] // by reason
	codes                    *tally.Table[atomic.Int64] // closes by label of the code
	spikes                   *surge.Watch
}

type traffic struct{ messages, bytes atomic.Int64 }

// refusalTally is what is kept for each reason.
type refusalTally struct {
	handshakes, messages, violations, closes atomic.Int64
	refusedLog, violationLog                 *sample.Sampler
}

// NewObserver returns an Observer for [Observe]. endpoint is the name that
// counters and log lines carry: a fixed word such as "chat", never a path or
// anything that a peer chooses. It panics if endpoint is empty.
//
// logger gets the audit log; nil is no log. Accepted handshakes and normal
// closes are at Info, refusals, violations, anomalies and abnormal closes at
// Warn, internal errors at Error. Messages are constant, times are UTC, and
// what a peer chose is escaped and clipped to 256 bytes (R56). Tokens, cookies,
// query strings and messages are never logged (R55). Of each reason the first
// 10 refusals are logged and then one in 3 seconds, with the number of those
// left out as "suppressed"; the counters of [Observer.Stats] count them all.
func NewObserver(endpoint string, logger *slog.Logger, hooks ...Hooks) *Observer {
	if endpoint == "" {
		panic(`wsguard: NewObserver: endpoint is empty, so nobody could tell its counters and log lines from others: write NewObserver("chat", …)`)
	}
	o := &Observer{
		endpoint: endpoint,
		hooks:    JoinHooks(hooks...),
		codes:    tally.New(maxCloses, func() *atomic.Int64 { return new(atomic.Int64) }),
		refusals: tally.New(maxReasons, func() *refusalTally {
			return &refusalTally{
				refusedLog:   sample.New(logBurst, logInterval),
				violationLog: sample.New(logBurst, logInterval),
			}
		}),
	}
	for reason := range reasons {
		o.refusals.Get(reason) // so that made-up ones cannot take its place
	}
	if logger != nil {
		o.audit = &auditLog{logger, o.refusals, sample.New(logBurst, logInterval)}
		o.log = o.audit.hooks()
	}
	o.spikes = surge.New(len(spikeSignals), o.totals, o.busy, o.anomaly)
	return o
}

// handshake reports the end of a handshake, once. Like those below it returns
// an error if a hook or the log panicked, so that the connection can be closed;
// the error says which, and not what the panic said.
func (o *Observer) handshake(ctx context.Context, e HandshakeEvent) error {
	if e.Refusal == nil {
		o.accepted.Add(1)
	} else {
		o.refusals.Get(e.Refusal.Reason).handshakes.Add(1)
	}
	o.spikes.Wake()
	e.Conn.Endpoint = o.endpoint
	return report(ctx, o, "hook HandshakeDone", o.log.HandshakeDone, o.hooks.HandshakeDone, e)
}

// closed reports the end of a connection whose handshake was accepted, once.
func (o *Observer) closed(ctx context.Context, e CloseEvent) error {
	o.codes.Get(closeLabel(e.Code, e.Initiator)).Add(1)
	if e.Refusal != nil {
		o.refusals.Get(e.Refusal.Reason).closes.Add(1)
	}
	o.closes.Add(1)
	o.spikes.Wake()
	e.Conn.Endpoint = o.endpoint
	return report(ctx, o, "hook ConnClosed", o.log.ConnClosed, o.hooks.ConnClosed, e)
}

// violation reports what an open connection was refused, once, besides message
// where it was a message. e.Refusal is not nil.
func (o *Observer) violation(ctx context.Context, e ViolationEvent) error {
	o.refusals.Get(e.Refusal.Reason).violations.Add(1)
	o.spikes.Wake()
	e.Conn.Endpoint = o.endpoint
	return report(ctx, o, "hook Violation", o.log.Violation, o.hooks.Violation, e)
}

// message reports one message, which is not logged. It is the hot path: two
// atomic additions and no allocation.
func (o *Observer) message(ctx context.Context, e MessageEvent) error {
	switch {
	case e.Refusal != nil:
		o.refusals.Get(e.Refusal.Reason).messages.Add(1)
	case e.Direction == DirectionOut:
		o.out.add(e.Size)
	default:
		o.in.add(e.Size)
	}
	o.spikes.Wake()
	return tell(ctx, o, "hook Message", o.hooks.Message, e)
}

func (t *traffic) add(size int) {
	t.messages.Add(1)
	t.bytes.Add(int64(size))
}

// Stats is what an [Observer] has counted since it was made. Every counter only
// grows, except Connections. Names and labels are bounded whatever peers do.
type Stats struct {
	Endpoint    string `json:"endpoint"`
	Connections int64  `json:"connections"` // open now

	// HandshakesAccepted counts the handshakes that became connections; those
	// that did not are in Refusals.
	HandshakesAccepted int64 `json:"handshakes_accepted"`

	// Refusals counts by [Refusal] Reason. A reason that is not wsguard's own
	// counts as "other" when there are too many of them, or when it is not 1 to
	// 64 visible ASCII characters.
	Refusals map[string]RefusalStats `json:"refusals"`

	// Closes counts by close code: "1000" to "1015", "3000", "3003", "3008" and
	// what the server itself closed with; "app" is a code from 3000 to 4999 that
	// a peer chose, "other" is any other.
	Closes map[string]int64 `json:"closes"`

	// Accepted messages and their payload bytes.
	MessagesIn  int64 `json:"messages_in"`
	MessagesOut int64 `json:"messages_out"`
	BytesIn     int64 `json:"bytes_in"`
	BytesOut    int64 `json:"bytes_out"`

	// Anomalies says of each signal of [AnomalyEvent] whether it spikes now.
	Anomalies map[string]bool `json:"anomalies"`

	HookPanics int64 `json:"hook_panics"` // of hooks and of the log's handler
}

// RefusalStats is what one reason was given for. They overlap, do not add them:
// a message that is refused may be a violation, and close the connection.
type RefusalStats struct {
	Handshakes int64 `json:"handshakes"`
	Messages   int64 `json:"messages"`
	Violations int64 `json:"violations"`
	Closes     int64 `json:"closes"`
}

// Stats returns a snapshot that belongs to the caller. It takes no lock that
// traffic waits for; counters that change meanwhile may be of slightly different
// moments.
func (o *Observer) Stats() Stats {
	closes := o.closes.Load() // before accepted, or Connections might be negative
	accepted := o.accepted.Load()
	s := Stats{
		Endpoint:           o.endpoint,
		Connections:        accepted - closes,
		HandshakesAccepted: accepted,
		Refusals:           make(map[string]RefusalStats),
		Closes:             make(map[string]int64),
		MessagesIn:         o.in.messages.Load(),
		MessagesOut:        o.out.messages.Load(),
		BytesIn:            o.in.bytes.Load(),
		BytesOut:           o.out.bytes.Load(),
		Anomalies:          make(map[string]bool, len(spikeSignals)),
		HookPanics:         o.panics.Load(),
	}
	for reason, n := range o.refusals.All() {
		r := RefusalStats{n.handshakes.Load(), n.messages.Load(), n.violations.Load(), n.closes.Load()}
		if r != (RefusalStats{}) {
			s.Refusals[reason] = r
		}
	}
	for code, n := range o.codes.All() {
		if n := n.Load(); n != 0 {
			s.Closes[code] = n
		}
	}
	for i, name := range spikeSignals {
		s.Anomalies[name] = o.spikes.Active(i)
	}
	return s
}

// totals returns the running total of each of spikeSignals.
func (o *Observer) totals() []int64 {
	handshakes, refusals := o.accepted.Load(), int64(0)
	for _, n := range o.refusals.All() {
		refused := n.handshakes.Load()
		handshakes += refused
		refusals += refused + n.violations.Load()
	}
	return []int64{handshakes, refusals, o.in.messages.Load(), o.closes.Load()}
}

func (o *Observer) busy() bool { return o.accepted.Load() != o.closes.Load() }

// anomaly tells of a change in one of spikeSignals. There is no connection to
// close if a hook panics.
func (o *Observer) anomaly(signal int, active bool, observed, expected float64) {
	e := AnomalyEvent{o.endpoint, spikeSignals[signal], active, observed, expected}
	_ = report(context.Background(), o, "hook Anomaly", o.log.Anomaly, o.hooks.Anomaly, e)
}
