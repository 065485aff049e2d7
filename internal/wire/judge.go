package wire

import "time"

// judge follows the frames in b. On an error, b is good up to the frame that
// breaks the rule.
func (c *Conn) judge(b []byte) (good int, _ error) {
	at := 0
	for {
		n, ev, err := c.in.next(b[at:])
		at += n
		if err != nil {
			c.inBroken = true
			return good, err
		}
		switch ev {
		case nothing:
			return at, nil
		case header:
			continue
		case message:
			c.messagesIn.Add(1)
			if c.countMessages {
				c.Touch()
			}
		case frame:
			if c.in.op&0x8 != 0 && !c.answersPing() && !c.payControl() {
				c.inBroken = true
				return good, TooManyControls
			}
			if c.in.op == opClose {
				c.closing(Peer, c.in.closeCode())
			}
		}
		if !c.in.open {
			c.patience, c.earned = patience(c.limits.MessageTime), c.in.payloads
		}
		good = at
	}
}

// answersPing reports whether the frame that has just ended is the one pong
// that a ping of ours asked for. It is free.
func (c *Conn) answersPing() bool { return c.in.op == opPong && c.pongDue.Swap(false) }

// payControl counts a control frame against the rate. Without a bound, a peer
// makes the library answer pings for as long as it likes.
func (c *Conn) payControl() bool {
	l := c.limits
	if l.Controls == 0 {
		return true
	}
	now := c.clock.now()
	c.controls = max(c.controls, now) + int64(l.ControlEvery)
	return time.Duration(c.controls-now) <= time.Duration(l.Controls)*l.ControlEvery
}

// closing notes a close frame, and bounds what comes after it.
func (c *Conn) closing(by Initiator, code uint16) {
	c.first.CompareAndSwap(uint32(Network), uint32(by))
	if by == Peer {
		c.peerCode.Store(uint32(code))
	} else {
		c.sentCode.Store(uint32(code))
	}
	c.clock.endBy(closeTimeout)
}
