package wsguard

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"github.com/wsguard/wsguard/internal/sample"
	"github.com/wsguard/wsguard/internal/surge"
	"github.com/wsguard/wsguard/internal/tally"
)

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
	in, out                  traffic
	refusals                 *tally.Table[refusalTally] // by reason
	codes                    *tally.Table[closeTally]   // closes by label of the code
	spikes                   *surge.Watch
}

// traffic is what is kept for each direction.
type traffic struct {
	text, binary verdicts
	bytes        atomic.Int64 // of accepted messages
}

type verdicts struct{ accepted, refused atomic.Int64 }

// closeTally is what is kept for each close code.
type closeTally struct{ peer, server, network atomic.Int64 }

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
		codes:    tally.New(maxCloses, func() *closeTally { return new(closeTally) }),
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
	o.codes.Get(closeLabel(e.Code, e.Initiator)).by(e.Initiator).Add(1)
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
	t := &o.in
	if e.Direction == DirectionOut {
		t = &o.out
	}
	of := &t.text
	if e.Type == websocket.MessageBinary {
		of = &t.binary
	}
	if e.Refusal == nil {
		of.accepted.Add(1)
		t.bytes.Add(int64(e.Size))
	} else {
		of.refused.Add(1)
		o.refusals.Get(e.Refusal.Reason).messages.Add(1)
	}
	o.spikes.Wake()
	return tell(ctx, o, "hook Message", o.hooks.Message, e)
}

func (t *closeTally) by(i Initiator) *atomic.Int64 {
	switch i {
	case InitiatorPeer:
		return &t.peer
	case InitiatorServer:
		return &t.server
	}
	return &t.network
}

// totals returns the running total of each of spikeSignals.
func (o *Observer) totals() []int64 {
	handshakes, refusals := o.accepted.Load(), int64(0)
	for _, n := range o.refusals.All() {
		refused := n.handshakes.Load()
		handshakes += refused
		refusals += refused + n.violations.Load()
	}
	return []int64{handshakes, refusals, o.in.text.accepted.Load() + o.in.binary.accepted.Load(), o.closes.Load()}
}

func (o *Observer) busy() bool { return o.accepted.Load() != o.closes.Load() }

// anomaly tells of a change in one of spikeSignals. There is no connection to
// close if a hook panics.
func (o *Observer) anomaly(signal int, active bool, observed, expected float64) {
	e := AnomalyEvent{o.endpoint, spikeSignals[signal], active, observed, expected}
	_ = report(context.Background(), o, "hook Anomaly", o.log.Anomaly, o.hooks.Anomaly, e)
}
