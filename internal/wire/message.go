package wire

import (
	"fmt"
	"slices"
	"sync"
	"time"
)

// PeerClosed is what the peer's close frame says.
type PeerClosed struct {
	Code   uint16 // 1005 where it had none (RFC 6455, section 7.1.5)
	Reason string
}

// Error returns the code and the reason.
func (e *PeerClosed) Error() string {
	return fmt.Sprintf("the peer has closed with %d %q", e.Code, e.Reason)
}

// headSize is how much is read at once from what is no socket of the kernel: a
// small message, or the beginning of one. Its buffer stays, as nothing else
// says when there is something to be read.
const headSize = 512

// wholes are buffers for messages that do not come in one piece.
var wholes = sync.Pool{New: func() any { b := make([]byte, 0, 2*len(chunk{})); return &b }}

// maxWhole is the largest buffer that is kept for other messages.
const maxWhole = 64 << 10

// ReadMessage returns the next data message. The payload is valid until the
// next call. It stands in for Read and for a library above it, and needs
// Config.Messages: pings and the peer's close frame are answered here, and what
// the latter says is the error.
func (c *Conn) ReadMessage() (text bool, payload []byte, err error) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.release()
	c.readAt = unknown
	defer func() { c.came = c.readAt }()
	for {
		if c.Ending() || c.inClosed {
			return false, nil, c.endError()
		}
		for len(c.rest) > 0 {
			n, ev, err := c.step(c.rest)
			piece := c.rest[n-c.in.took : n : n]
			c.rest = c.rest[n:]
			switch {
			case err != nil:
				return false, nil, c.refuse()
			case c.in.op&0x8 != 0:
				if err := c.answer(piece, ev == frame); err != nil {
					return false, nil, err
				}
			case ev == message && c.whole == nil:
				c.lent = c.chunk != nil
				c.arrived(1)
				return c.in.isText, piece, nil
			case len(piece) > 0:
				c.add(piece)
			}
			if ev == message {
				c.arrived(1)
				return c.in.isText, *c.whole, nil
			}
		}
		if err := c.fill(); err != nil {
			return false, nil, err
		}
	}
}

// ReadFirst is ReadMessage for a first message that is nobody's yet: it has
// limits of its own, of which those on frames hold, and is not counted. What
// has come behind it is judged by the connection's.
func (c *Conn) ReadFirst(l *Limits) (text bool, payload []byte, err error) {
	c.judgeBy(l)
	text, payload, err = c.ReadMessage()
	c.judgeBy(c.limits)
	c.messagesIn.Store(0)
	return text, payload, err
}

// judgeBy changes the limits on frames, for those that come from now on.
func (c *Conn) judgeBy(l *Limits) {
	c.readMu.Lock()
	defer c.readMu.Unlock()
	c.in.limits, c.controls = l, 0
}

// Came is when the last message of ReadMessage came, or for one that has waited
// here, now. Only the caller of ReadMessage may ask.
func (c *Conn) Came() time.Time {
	if c.came == unknown {
		c.came = c.clock.now()
	}
	return c.clock.born.Add(time.Duration(c.came))
}

// release ends the use of what the last message was in.
func (c *Conn) release() {
	if c.lent = false; len(c.rest) == 0 {
		c.giveBack()
	}
	if c.whole != nil && cap(*c.whole) <= maxWhole {
		wholes.Put(c.whole)
	}
	c.whole = nil
}

// leave leaves the chunk to the message that was handed out of it.
func (c *Conn) leave() {
	if c.lent {
		c.lent, c.chunk = false, nil
	}
}

// fill receives what comes next: into rest or, while much of a frame is
// missing, right behind what the message has.
func (c *Conn) fill() (err error) {
	least := len(chunk{})
	if c.raw == nil {
		least = headSize
	}
	n := 0
	switch {
	case c.in.inPayload && c.in.op&0x8 == 0 && c.in.left >= int64(least):
		room := c.room(c.in.left)
		n, err = c.receive(room, false)
		c.rest = room[:n]
	case c.raw == nil:
		if c.head == nil {
			c.head = new([headSize]byte)
		}
		n, err = c.receive(c.head[:], false)
		c.rest = c.head[:n]
	default:
		_, err = c.receive(nil, false)
	}
	if len(c.rest) == 0 {
		return c.readError(err)
	}
	return nil
}

// room is where the next bytes of the message go. It is not as long as a frame
// declares but as what has come makes credible.
func (c *Conn) room(left int64) []byte {
	c.begin()
	has := len(*c.whole)
	n := int(min(left, int64(max(has, len(chunk{}))*2)))
	*c.whole = slices.Grow(*c.whole, n)
	return (*c.whole)[has : has+n]
}

// begin borrows a buffer for a message that does not come in one piece.
func (c *Conn) begin() {
	if c.whole == nil {
		c.whole = wholes.Get().(*[]byte)
		*c.whole = (*c.whole)[:0]
	}
}

// add puts a piece behind what the message has, where fill may have put it.
func (c *Conn) add(piece []byte) {
	c.begin()
	*c.whole = append(*c.whole, piece...)
}

// answer takes a piece of a control frame, and does what the frame asks for
// when it is complete (RFC 6455, section 5.5). The peer's close frame is an
// error.
func (c *Conn) answer(piece []byte, complete bool) error {
	if !complete || len(c.control) > 0 {
		c.control = append(c.control, piece...)
		piece = c.control
	}
	if !complete {
		return nil
	}
	c.control = nil
	switch c.in.op {
	case opPing:
		c.reply(opPong, piece)
	case opClose:
		closed := &PeerClosed{Code: c.in.closeCode()}
		if len(piece) > 2 {
			closed.Reason = string(piece[2:])
		}
		c.reply(opClose, piece)
		return closed
	}
	return nil
}

// reply sends a control frame between two frames, unless a close frame has gone
// out before.
func (c *Conn) reply(op byte, payload []byte) {
	c.writeMu.Lock()
	defer c.writeMu.Unlock()
	if c.Ending() || c.sentCode.Load() != 0 || !c.out.between() {
		return
	}
	if op == opClose {
		c.sentCode.Store(c.peerCode.Load())
	}
	c.sendOurs(control(op, payload))
}
