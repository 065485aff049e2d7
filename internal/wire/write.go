package wire

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

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
				c.out.lost = true
				return 0, c.endError()
			}
		}
		c.sendOwed()
		if n == len(p) {
			return n, nil
		}
		return n, c.endError()
	}
	code := c.out.ahead(p)
	if code != 0 { // to be known before the peer can have answered it
		c.first.CompareAndSwap(uint32(Network), uint32(Server))
		c.sentCode.CompareAndSwap(0, code)
	}
	n, err := c.send(p)
	if code != 0 && n < len(p) {
		c.sentCode.CompareAndSwap(code, 0)
	}
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
		return n, c.writeError(n, err)
	}
	c.sendOwed()
	return n, nil
}

// writeError marks the outgoing direction lost, unless nothing was written,
// and returns why it failed. It needs writeMu.
func (c *Conn) writeError(n int, err error) error {
	if n > 0 {
		c.out.lost = true
	}
	if c.Ending() {
		return c.endError()
	}
	if !isTimeout(err) {
		c.broken.Store(true)
	}
	return err
}

// frames are buffers in which a message gets its header.
var frames = sync.Pool{New: func() any { b := make([]byte, 0, len(chunk{})); return &b }}

// copied is the longest payload that is copied behind its header, which costs
// less than a second call of the system.
const copied = 64 << 10

// WriteMessage sends a message as one frame, in one write. It stands beside
// Write: the library's frames are never broken by it, nor it by them.
func (c *Conn) WriteMessage(text bool, payload []byte) error {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	switch {
	case c.Ending():
		return c.endError()
	case c.sentCode.Load() != 0:
		return net.ErrClosed // nothing follows a close frame
	case !c.out.between() || c.out.frames.open:
		return errors.New("a frame of the library is not complete")
	}
	op := byte(opBinary)
	if text {
		op = opText
	}
	buf := frames.Get().(*[]byte)
	defer frames.Put(buf)
	*buf = appendHeader((*buf)[:0], op, len(payload))
	var n int
	var err error
	if len(payload) <= copied {
		*buf = append(*buf, payload...)
		n, err = c.send(*buf)
	} else if n, err = c.send(*buf); err == nil {
		_, err = c.send(payload)
	}
	if err != nil {
		err = c.writeError(n, err)
		if c.out.lost {
			c.kill() // nothing may follow half a frame
		}
		return err
	}
	c.messagesOut.Add(1)
	c.sendOwed()
	return nil
}

// piece is how much is written at once where only the end of a write shows
// that the peer takes it: what takes a quarter of WriteTime at the least rate.
func (l *Limits) piece() int {
	const least, most = 512, 16 << 10
	if l.WriteTime <= 0 {
		return most
	}
	return int(min(max(l.WriteTime.Seconds()*float64(l.MinRate)/4, least), most))
}

// send writes to the socket under the limit on stalling. It needs writeMu.
func (c *Conn) send(p []byte) (n int, err error) {
	if c.raw != nil {
		n, err = c.raw.send(p)
	} else {
		piece := c.limits.piece()
		for taken := 0; n < len(p) && err == nil; n += taken {
			c.clock.stalling(n == 0, int64(taken))
			taken, err = c.under.Write(p[n:min(n+piece, len(p))])
			if taken == 0 && err == nil {
				err = io.ErrShortWrite
			}
		}
	}
	c.clock.sent()
	c.bytesOut.Add(int64(n))
	return n, err
}

// sendOwed writes the control frames that waited for a frame to end. It
// needs writeMu.
func (c *Conn) sendOwed() {
	if !c.pingOwed && c.closeOwed == nil || !c.out.between() {
		return
	}
	if c.pingOwed && !c.ending.Load() {
		c.pingOwed = false
		c.pongDue.Store(true)
		c.sendOurs(control(opPing, nil))
	}
	if c.closeOwed != nil && c.out.between() {
		c.sendOurs(control(opClose, c.closeOwed))
		c.closeOwed = nil
		close(c.closeTried)
	}
}

// sendOurs sends a control frame of this side, for which a deadline that the
// library has left behind does not count. It needs writeMu.
func (c *Conn) sendOurs(frame []byte) {
	c.mu.Lock()
	c.ours = true
	if c.writeBy != nil {
		_ = c.under.SetWriteDeadline(time.Time{})
	}
	c.mu.Unlock()
	if _, err := c.send(frame); err != nil {
		c.out.lost = true
		if !c.Ending() {
			c.broken.Store(true)
		}
		c.kill() // nothing may follow half a frame, and the socket is gone
		return
	}
	c.mu.Lock()
	c.ours = false
	if c.writeBy != nil && !c.ending.Load() {
		_ = c.under.SetWriteDeadline(*c.writeBy)
	}
	c.mu.Unlock()
}

// ping writes a ping between two frames. It is called on a goroutine of its
// own, because a write may block.
func (c *Conn) ping() {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.Ending() || c.sentCode.Load() != 0 {
		return
	}
	c.pingOwed = true
	c.sendOwed()
}
