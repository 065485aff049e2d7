// Package wire is the net.Conn that a guarded WebSocket connection runs on,
// whatever library speaks the protocol above it.
//
// It follows the frames of both directions as bytes pass, without copying
// their payload, so that it knows where a message begins and ends. Where no
// library has to speak, it hands out the messages themselves, and writes them:
// to follow every frame twice would be the dearest part of it.
//
// It refuses broken framing and floods, bounds time (silence, idleness, lifetime,
// slow messages, stalled writes), and ends a connection in bounded time with
// the right close frame, between two frames or not at all.
package wire

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsguard/wsguard/internal/chanlock"
)

// A Cause says why this side ends a connection.
type Cause struct {
	Code   uint16 // close code for the peer; 0 sends no close frame
	Reason string // close reason for the peer
	Err    error  // what reads and writes return from then on
}

// An Initiator is who ended a connection.
type Initiator uint8

// The initiators.
const (
	Network Initiator = iota // the stream broke without a close frame
	Peer
	Server
)

// A Report is what is known of a connection when its socket is closed.
type Report struct {
	Code      uint16 // close code; 1006 where there was none
	Initiator Initiator
	Cause     *Cause // nil unless End was called
	Counts
}

// Counts are totals of a connection. Messages are data messages; bytes are
// counted as they pass, headers and control frames included.
type Counts struct {
	MessagesIn, MessagesOut, BytesIn, BytesOut int64
}

// An Owner decides about a connection, and is told of its end.
type Owner interface {
	// Refuse translates a Violation or what is Overdue.
	Refuse(error) Cause
	// Ending is called at most once, when End has decided. Closed may come
	// first, if the socket breaks at that moment.
	Ending(Cause)
	// Alarm is called when SetAlarm's time is over. It must not block: no other
	// deadline is looked at meanwhile.
	Alarm()
	// Closed is called exactly once, when the socket is closed.
	Closed(Report)
}

// A Config is what a connection begins with.
type Config struct {
	Head   []byte  // bytes of the peer that came with the handshake
	Limits *Limits // nil is none
	Owner  Owner

	// CountMessages makes each incoming data message reset the idle limit.
	// Without it, Touch does.
	CountMessages bool

	// Messages says that ReadMessage will be called, and Read never.
	Messages bool
}

// A Conn is a guarded stream. Its methods may be called concurrently.
type Conn struct {
	under  net.Conn
	raw    *raw // nil where under is none of the kernel's sockets
	limits *Limits
	owner  Owner
	clock  clock
	pacer  *pacer // nil without a limit on bytes
	done   chan struct{}

	readMu   chanlock.Lock // one reader at a time: the library, prefetch or the drain
	rest     []byte        // bytes received and not yet handed out
	chunk    *chunk        // what rest is part of, if it is lent
	in       parser
	fault    error    // the violation that in has found, and behind which it cannot go on
	patience patience // left for the message that has begun
	earned   int64    // bytes of payload that have been turned into patience
	controls int64    // when the control frames so far are paid for
	readAt   int64    // when the last read ended, or unknown
	inClosed bool     // in has found a close frame: nothing follows

	// Of ReadMessage, under readMu.
	lent    bool            // the last message lies in chunk
	head    *[headSize]byte // what is received at once where there are no chunks
	whole   *[]byte         // what has come of a message in several pieces
	control []byte          // and of a control frame

	came int64 // when the last message of ReadMessage came, or unknown; its caller's

	writeMu    chanlock.Lock
	out        outgoing
	pingOwed   bool          // a ping waits for the frame in progress to end
	closeOwed  []byte        // so does a close frame
	closeTried chan struct{} // closed when the close frame was written or cannot be

	mu            sync.Mutex // guards ending, and the deadlines against it
	cause         *Cause
	readBy        *time.Time // the library's deadlines, where it has set any
	writeBy       *time.Time
	ours          bool // what is being written is not the library's
	countMessages bool
	ending        atomic.Bool
	killed        atomic.Bool
	pongDue       atomic.Bool   // a ping of ours has no pong yet
	broken        atomic.Bool   // the stream ended without a close frame
	peerCode      atomic.Uint32 // code of the peer's close frame
	sentCode      atomic.Uint32 // code of the close frame that the library sent
	first         atomic.Uint32 // the Initiator of the first of these two

	messagesIn, messagesOut, bytesIn, bytesOut atomic.Int64
}

// New takes over a hijacked connection, on which the response to the handshake
// is still to be written. Its timer runs from now on.
func New(under net.Conn, cfg Config) *Conn {
	if cfg.Limits == nil {
		cfg.Limits = new(Limits)
	}
	c := &Conn{
		under:         under,
		limits:        cfg.Limits,
		owner:         cfg.Owner,
		countMessages: cfg.CountMessages,
		done:          make(chan struct{}),
		rest:          cfg.Head,
		in:            parser{limits: cfg.Limits, unmask: cfg.Messages},
		out:           outgoing{inResponse: true},
		patience:      whole(cfg.Limits.MessageTime),
	}
	c.raw = rawOf(c)
	if c.pacer = newPacer(cfg.Limits); c.pacer != nil {
		c.pacer.pay(0, len(c.rest))
	}
	c.bytesIn.Store(int64(len(c.rest)))
	c.clock.start(c)
	c.clock.respond(closeTimeout)
	return c
}

// Done is closed when the socket is, after Owner.Closed has returned.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Counts returns what has passed so far.
func (c *Conn) Counts() Counts {
	return Counts{
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
	}
}

// Touch says that the last message of ReadMessage was accepted, now or at the
// time that is not zero: it resets the idle limit.
func (c *Conn) Touch(at time.Time) {
	if c.limits.Idle > 0 || c.limits.Activity {
		if at.IsZero() {
			at = c.Came()
		}
		c.clock.lastMessage.Store(int64(at.Sub(c.clock.born)))
	}
}

// LocalAddr returns the socket's address here.
func (c *Conn) LocalAddr() net.Addr { return c.under.LocalAddr() }

// RemoteAddr returns the socket's address there.
func (c *Conn) RemoteAddr() net.Addr { return c.under.RemoteAddr() }

// SetDeadline sets the library's deadlines. They come on top of the limits
// here, which no library can move, and are nothing to what is sent from here.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline is SetDeadline for reads.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending.Load() {
		return nil // the drain owns it now
	}
	keep(&c.readBy, t)
	return c.under.SetReadDeadline(t)
}

// SetWriteDeadline is SetDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending.Load() {
		return nil // so is this
	}
	keep(&c.writeBy, t)
	if c.ours {
		return nil
	}
	return c.under.SetWriteDeadline(t)
}

// readDeadline is what the library has set, or zero.
func (c *Conn) readDeadline() (t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readBy != nil {
		t = *c.readBy
	}
	return t
}

// keep stores a time where most connections have none.
func keep(at **time.Time, t time.Time) {
	if *at == nil {
		*at = new(time.Time)
	}
	**at = t
}

// endError is what reads and writes return once the connection is over.
func (c *Conn) endError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause != nil && c.cause.Err != nil {
		return c.cause.Err
	}
	return net.ErrClosed
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
