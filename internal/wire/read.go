package wire

import (
	"io"
	"os"
	"sync"
)

// A chunk is what is read from a socket at once. It is lent while there are
// bytes in it, so that a connection that waits for its peer has none.
type chunk [4 << 10]byte

var chunks = sync.Pool{New: func() any { return new(chunk) }}

// Read hands out bytes whose frames have been judged. Bytes that came with the
// handshake come first.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	c.readMu.Lock()
	defer c.readMu.Unlock()
	if c.Ending() {
		return 0, c.endError()
	}
	if c.inClosed {
		return 0, c.readError(io.EOF) // whatever else the peer sends (RFC 6455, section 5.5.1)
	}
	if c.fault != nil {
		return 0, c.refuse()
	}
	var n int
	if len(c.rest) > 0 {
		n = c.take(p)
	} else {
		var err error
		if n, err = c.receive(p, false); n == 0 {
			return 0, c.readError(err)
		}
	}
	good, err := c.judge(p[:n])
	if err != nil && good == 0 {
		return 0, c.refuse()
	}
	return good, nil
}

// refuse ends the connection for the fault that judge has found. What came
// before it has been handed out, and answered if the library comes back for
// more only after that.
func (c *Conn) refuse() error {
	if !c.Ending() {
		c.End(c.owner.Refuse(c.fault))
	}
	return c.endError()
}

// take hands out bytes that were received before.
func (c *Conn) take(p []byte) (n int) {
	n = copy(p, c.rest)
	if c.rest = c.rest[n:]; len(c.rest) == 0 {
		c.giveBack()
	}
	return n
}

// giveBack ends the loan of the chunk.
func (c *Conn) giveBack() {
	c.rest = nil
	if c.chunk != nil {
		chunks.Put(c.chunk)
		c.chunk = nil
	}
}

// receive reads from the socket into p or, where p is small, into a chunk of
// which p gets the beginning. It needs readMu. An early read is one that nobody
// has asked for.
func (c *Conn) receive(p []byte, early bool) (n int, err error) {
	direct := c.raw == nil || len(p) >= len(chunk{})
	most := len(chunk{})
	if direct {
		most = len(p)
	}
	if c.pacer != nil {
		if most = c.pacer.wait(&c.clock, most, c.readDeadline()); c.Ending() {
			return 0, c.endError()
		}
		if most == 0 {
			return 0, os.ErrDeadlineExceeded
		}
	}
	switch {
	case c.raw == nil:
		c.awaiting(early)
		n, err = c.under.Read(p[:most])
	case direct:
		n, err = c.raw.receive(p[:most], early)
	default:
		n, err = c.raw.receiveChunk(most, early)
	}
	c.received(n)
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
	if !direct {
		n = c.take(p)
	}
	return n, err
}

// awaiting notes that a read is about to wait for the peer. Only that time
// counts against a message that has begun: the application's own does not.
func (c *Conn) awaiting(early bool) {
	if c.limits.MessageTime > 0 && c.in.unfinished() {
		c.patience.earn(c.in.payloads-c.earned, c.limits.MessageTime, c.limits.MinRate)
		c.earned = c.in.payloads
		c.clock.await(c.clock.now(), c.patience)
	} else if early {
		c.clock.readSince.Store(c.clock.now())
	} else {
		c.clock.readSince.Store(unknown)
	}
}

// received notes the end of a read.
func (c *Conn) received(n int) {
	now, waited := c.clock.received(n)
	c.readAt = now
	c.patience.spend(waited)
	c.bytesIn.Add(int64(n))
	if c.pacer != nil {
		c.pacer.pay(now, n)
	}
}

// prefetch reads on behalf of an application that is not reading, so that
// the peer's silence can be told from the application's.
func (c *Conn) prefetch() {
	if !c.readMu.TryLock() {
		return
	}
	defer c.readMu.Unlock()
	if len(c.rest) > 0 || c.fault != nil || c.inClosed || c.Ending() {
		return
	}
	c.leave()
	if c.raw != nil {
		_, _ = c.receive(nil, true)
		return
	}
	c.chunk = chunks.Get().(*chunk)
	n, _ := c.receive(c.chunk[:], true)
	if c.rest = c.chunk[:n]; n == 0 {
		c.giveBack()
	}
}

// isRead reports whether somebody reads.
func (c *Conn) isRead() bool {
	if !c.readMu.TryLock() {
		return true
	}
	c.readMu.Unlock()
	return false
}

func (c *Conn) readError(err error) error {
	if c.ending.Load() {
		return c.endError()
	}
	switch {
	case err == nil:
		return io.ErrNoProgress
	case err == io.EOF && c.in.unfinished():
		// The end of the stream is not the end of a message, as which a library
		// might take it.
		return io.ErrUnexpectedEOF
	}
	return err
}
