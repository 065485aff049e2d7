package wire

// judge follows the frames in b, of which the first bytes are good: all, but
// for what comes after a close frame, or from a frame on that breaks a rule.
func (c *Conn) judge(b []byte) (good int, err error) {
	messages := 0
	for at, ev := 0, nothing; ; good = at {
		var n int
		n, ev, err = c.in.next(b[at:])
		at += n
		switch {
		case err != nil:
		case ev == nothing:
			good = at
		case ev == message:
			messages++
		case c.in.op&0x8 != 0:
			err = c.control()
		}
		if err != nil || ev == nothing {
			break
		}
		if c.inClosed {
			good = at
			break
		}
		if !c.in.open {
			c.patience, c.earned = whole(c.limits.MessageTime), c.in.payloads
		}
	}
	c.fault = err
	if messages > 0 {
		c.messagesIn.Add(int64(messages))
		if c.countMessages {
			c.Touch()
		}
	}
	return good, err
}

// control judges a control frame that is complete.
func (c *Conn) control() error {
	if !c.answersPing() && !c.payControl() {
		return TooManyControls
	}
	if c.in.op == opClose {
		c.inClosed = true
		c.closing(Peer, c.in.closeCode())
	}
	return nil
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
	now, each := c.clock.now(), max(1, min(int64(l.ControlEvery), longest))
	c.controls = min(max(c.controls, now), longest) + each
	return (c.controls-now-1)/each < int64(l.Controls)
}

// closing notes the first close frame of a side, and bounds what comes after
// it.
func (c *Conn) closing(by Initiator, code uint16) {
	c.first.CompareAndSwap(uint32(Network), uint32(by))
	if by == Peer {
		c.peerCode.CompareAndSwap(0, uint32(code))
	} else {
		c.sentCode.CompareAndSwap(0, uint32(code))
	}
	c.clock.endBy(closeTimeout)
}
