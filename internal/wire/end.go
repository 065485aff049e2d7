package wire

import (
	"crypto/tls"
	"time"
)

// drainLimit bounds what is read and thrown away while a peer is given the
// time to answer a close frame.
const drainLimit = 1 << 20

// End ends the connection for a reason of this side, in bounded time: a close
// frame where the outgoing direction stands between two frames, a short wait
// for the peer's answer, and the kill switch. Only the first call counts. It
// does not block.
func (c *Conn) End(cause Cause) {
	c.mu.Lock()
	if c.cause != nil || c.killed.Load() {
		c.mu.Unlock()
		return
	}
	if c.peerCode.Load() != 0 {
		cause.Code = 0 // the peer was first: its close frame is being answered
	}
	c.cause = &cause
	c.closeTried = make(chan struct{})
	c.ending.Store(true)
	// A reader lets go of the socket, so that the drain can have it.
	_ = c.under.SetReadDeadline(time.Unix(1, 0))
	if c.writeBy != nil {
		_ = c.under.SetWriteDeadline(time.Time{}) // the clock bounds what is still to be sent
	}
	c.mu.Unlock()

	c.pacer.stop()
	c.clock.endBy(linger)
	c.owner.Ending(cause)
	go c.finish(cause)
}

// overdue ends the connection for what the peer has not done.
func (c *Conn) overdue(what Overdue) {
	if !c.Ending() {
		c.End(c.owner.Refuse(what))
	}
}

func (c *Conn) finish(cause Cause) {
	defer c.kill()
	if cause.Code == 0 || c.sentCode.Load() != 0 {
		return
	}
	c.writeMu.Lock()
	c.closeOwed = closePayload(cause.Code, cause.Reason)
	c.sendOwed()
	c.writeMu.Unlock()
	select {
	case <-c.closeTried:
		c.drain()
	case <-c.done:
	}
}

// drain reads until the peer has answered the close frame or gone. Closing a
// socket with unread bytes makes TCP reset it, and the peer may then lose the
// close frame.
func (c *Conn) drain() {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	_ = c.under.SetReadDeadline(time.Time{})
	if c.answered(c.rest) {
		return
	}
	c.leave()
	c.giveBack()
	if half, ok := c.under.(interface{ CloseWrite() error }); ok && c.fault != nil {
		// The answer could not be told from the rest: let the peer see the end.
		_ = half.CloseWrite()
	}
	buf := make([]byte, 512)
	for total := 0; total < drainLimit; {
		n, err := c.under.Read(buf)
		total += n
		if c.answered(buf[:n]) || err != nil {
			return
		}
	}
}

// answered reports whether b ends with, or holds, the peer's close frame. A
// stream whose framing is broken never does.
func (c *Conn) answered(b []byte) bool {
	if c.fault == nil {
		_, _ = c.judge(b)
	}
	return c.peerCode.Load() != 0
}

// Close is the kill switch that the library holds. While the connection is
// ending here, the end takes its course instead.
func (c *Conn) Close() error {
	if !c.ending.Load() {
		c.kill()
	}
	return nil
}

// Kill closes the socket at once, without a close frame.
func (c *Conn) Kill() { c.kill() }

func (c *Conn) kill() {
	if c.killed.Swap(true) {
		return
	}
	c.clock.stop()
	c.pacer.stop()
	c.closeSocket()
	c.owner.Closed(c.report())
	close(c.done)
}

// closeSocket closes the socket in bounded time. TLS waits up to five seconds
// to send its goodbye to a peer that does not read.
func (c *Conn) closeSocket() {
	if t, ok := c.under.(*tls.Conn); ok {
		cut := time.AfterFunc(linger, func() { _ = t.NetConn().Close() })
		defer cut.Stop()
	}
	_ = c.under.Close()
}

func (c *Conn) report() Report {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := Report{Code: 1006, Initiator: Server, Cause: c.cause, Counts: c.Counts()}
	first := Initiator(c.first.Load())
	switch sent := uint16(c.sentCode.Load()); {
	case c.cause != nil && c.cause.Code != 0:
		r.Code = c.cause.Code
		if sent != 0 {
			r.Code = sent // the library's close frame was first
		}
	case first == Peer:
		r.Code, r.Initiator = uint16(c.peerCode.Load()), Peer
	case first == Server && sent != 0:
		r.Code = sent
	case c.broken.Load():
		r.Initiator = Network
	}
	return r
}

// EndSilently ends the connection without a close frame of this side, letting
// the library's own, or the answer to the peer's, be the last word.
func (c *Conn) EndSilently() { c.End(Cause{}) }

// Ending reports whether the connection is about to be closed, or is: nothing
// more is handed out or taken.
func (c *Conn) Ending() bool { return c.ending.Load() || c.killed.Load() }

// Closed reports whether the socket is closed, if perhaps not yet reported.
func (c *Conn) Closed() bool { return c.killed.Load() }
