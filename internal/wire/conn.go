// Package wire is the net.Conn that a guarded WebSocket connection runs on,
// whatever library speaks the protocol above it.
//
// It follows the frame headers of both directions as bytes pass, so that it
// knows where a message begins and ends without looking into it. From that it
// bounds time (silence, idleness, lifetime, slow messages, stalled writes),
// refuses broken framing, and ends a connection in bounded time with the
// right close frame, between two frames or not at all.
package wire

import (
	"errors"
	"io"
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

// A Config is what a connection enforces, and whom it tells.
type Config struct {
	Head       []byte // bytes of the peer that came with the handshake
	MaxMessage int64  // bytes that a message may declare; 0 is any number
	Fragments  int    // of a message; 0 is any number
	Times      Times

	// Controls is how many control frames may come at once; one more may come
	// each ControlEvery. 0 is any number.
	Controls     int
	ControlEvery time.Duration

	// CountMessages makes each incoming data message reset the idle limit.
	// Without it, Touch does.
	CountMessages bool

	Refuse func(error) Cause // translates a Violation; called at most once
	Ending func(Cause)       // called at most once, when End has decided
	Closed func(Report)      // called exactly once, when the socket is closed
}

// A Conn is a guarded stream. Its methods may be called concurrently.
type Conn struct {
	under net.Conn
	cfg   Config
	clock clock
	done  chan struct{}

	readMu   chanlock.Lock // one reader at a time: the library, prefetch or the drain
	head     []byte        // bytes received and not yet handed out
	in       parser
	inBroken bool  // in has found a violation and cannot go on
	waited   int64 // time that the unfinished message has been waited for
	controls int64 // when the control frames so far are paid for

	writeMu    chanlock.Lock
	out        outgoing
	pingOwed   bool          // a ping waits for the frame in progress to end
	closeOwed  []byte        // so does a close frame
	closeTried chan struct{} // closed when the close frame was written or cannot be

	mu       sync.Mutex // guards ending, and the deadlines against it
	cause    *Cause
	ending   atomic.Bool
	killed   atomic.Bool
	pongDue  atomic.Bool   // a ping of ours has no pong yet
	broken   atomic.Bool   // the stream ended without a close frame
	peerCode atomic.Uint32 // code of the peer's close frame
	sentCode atomic.Uint32 // code of the close frame that the library sent
	first    atomic.Uint32 // the Initiator of the first of these two

	messagesIn, messagesOut, bytesIn, bytesOut atomic.Int64
}

// New takes over a hijacked connection, on which the response to the handshake
// is still to be written. Its timer runs from now on.
func New(under net.Conn, cfg Config) *Conn {
	c := &Conn{
		under:   under,
		cfg:     cfg,
		readMu:  chanlock.New(),
		writeMu: chanlock.New(),
		done:    make(chan struct{}),
		head:    cfg.Head,
		in:      parser{masked: true, max: cfg.MaxMessage, most: cfg.Fragments},
		out:     outgoing{inResponse: true},
	}
	c.cfg.Head = nil
	c.bytesIn.Store(int64(len(c.head)))
	c.clock.start(c)
	c.clock.endBy(closeTimeout) // unless the library responds
	return c
}

// Done is closed when the socket is, after Config.Closed has returned.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Counts returns what has passed so far.
func (c *Conn) Counts() Counts {
	return Counts{
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
	}
}

// Read hands out bytes whose frame headers have been judged. Bytes that came
// with the handshake come first.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.ending.Load() || c.killed.Load() {
		return 0, c.endError()
	}
	var n int
	if len(c.head) > 0 {
		n = copy(p, c.head)
		if c.head = c.head[n:]; len(c.head) == 0 {
			c.head = nil
		}
	} else {
		var err error
		if n, err = c.receive(p); n == 0 {
			return 0, c.readError(err)
		}
	}
	good, err := c.judge(p[:n])
	if err != nil {
		c.End(c.cfg.Refuse(err))
		if good == 0 {
			return 0, c.endError()
		}
	}
	return good, nil
}

// receive reads from the socket and keeps the time of it. It needs readMu.
func (c *Conn) receive(p []byte) (int, error) {
	began, unfinished := c.clock.now(), c.in.unfinished()
	c.clock.waiting(began, unfinished, c.in.total, c.waited)
	n, err := c.under.Read(p)
	now := c.clock.now()
	c.clock.received(now, n)
	if unfinished {
		c.waited += now - began
	}
	c.bytesIn.Add(int64(n))
	if err != nil && !isTimeout(err) && c.peerCode.Load() == 0 {
		// Without a close frame nothing is left to be said. After one, the
		// library still answers it, and the clock bounds that.
		if !c.killed.Load() {
			c.broken.Store(true)
		}
		if n == 0 && !c.ending.Load() {
			c.kill()
		}
	}
	return n, err
}

// prefetch reads on behalf of an application that is not reading, so that
// the peer's silence can be told from the application's.
func (c *Conn) prefetch() {
	if !c.readMu.TryLock() {
		return
	}
	defer c.readMu.Unlock()
	if len(c.head) > 0 || c.ending.Load() || c.killed.Load() {
		return
	}
	buf := make([]byte, 512)
	if n, _ := c.receive(buf); n > 0 {
		c.head = buf[:n]
	}
}

// Touch says that a message was accepted: it resets the idle limit.
func (c *Conn) Touch() { c.clock.lastMessage.Store(c.clock.now()) }

// Write passes the library's bytes on, and follows their frames. Once the
// connection is ending, only the frame in progress is let through.
func (c *Conn) Write(p []byte) (int, error) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.killed.Load() {
		return 0, c.endError()
	}
	if c.ending.Load() {
		n := c.out.rest(p)
		if n > 0 {
			if _, err := c.send(p[:n]); err != nil {
				return 0, c.endError()
			}
		}
		c.sendOwed()
		if n == len(p) {
			return n, nil
		}
		return n, c.endError()
	}
	n, err := c.send(p)
	responding := c.out.inResponse
	for _, code := range c.out.follow(p[:n], &c.messagesOut) {
		c.closing(Server, code)
	}
	switch {
	case !responding || c.out.inResponse:
	case c.out.lost:
		c.clock.endBy(linger) // the library has refused, and may leave the socket open
	default:
		c.clock.upgraded()
	}
	if err != nil {
		c.out.lost = true
		return n, err
	}
	c.sendOwed()
	return n, nil
}

// send writes to the socket under the stall limit. It needs writeMu.
func (c *Conn) send(p []byte) (int, error) {
	c.clock.sending()
	n, err := c.under.Write(p)
	c.clock.sent()
	c.bytesOut.Add(int64(n))
	return n, err
}

// sendOwed writes the control frames that waited for a frame to end. It
// needs writeMu.
func (c *Conn) sendOwed() {
	if !c.out.between() {
		return
	}
	if c.pingOwed && !c.ending.Load() {
		c.pingOwed = false
		c.pongDue.Store(true)
		_, _ = c.send(control(nil, opPing, nil))
	}
	if c.closeOwed != nil {
		_, _ = c.send(control(nil, opClose, c.closeOwed))
		c.closeOwed = nil
		close(c.closeTried)
	}
}

// ping writes a ping between two frames. It is called on a goroutine of its
// own, because a write may block.
func (c *Conn) ping() {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.ending.Load() || c.killed.Load() || c.sentCode.Load() != 0 {
		return
	}
	c.pingOwed = true
	c.sendOwed()
}

// LocalAddr returns the socket's address here.
func (c *Conn) LocalAddr() net.Addr { return c.under.LocalAddr() }

// RemoteAddr returns the socket's address there.
func (c *Conn) RemoteAddr() net.Addr { return c.under.RemoteAddr() }

// SetDeadline sets the library's deadlines. They come on top of the limits
// here, which no library can move.
func (c *Conn) SetDeadline(t time.Time) error { return c.deadline(c.under.SetDeadline, t) }

// SetReadDeadline is SetDeadline for reads.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.deadline(c.under.SetReadDeadline, t) }

// SetWriteDeadline is SetDeadline for writes.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.deadline(c.under.SetWriteDeadline, t) }

func (c *Conn) deadline(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending.Load() {
		return nil // the drain owns them now
	}
	return set(t)
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

func (c *Conn) readError(err error) error {
	if c.ending.Load() {
		return c.endError()
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
