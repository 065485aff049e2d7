package wire

// judge follows the frames in b, of which the first bytes are good: all, but
// for what comes after a close frame, or from a frame on that breaks a rule.
func (c *Conn) judge(b []byte) (good int, err error) {
	messages := 0
	for at := 0; ; good = at {
		var n int
		var ev event
		n, ev, err = c.step(b[at:])
		at += n
		if err != nil {
			break
		}
		if ev == message {
			messages++
		}
		if ev == nothing || c.inClosed {
			good = at
			break
		}
	}
	c.arrived(messages)
	return good, err
}

// step follows b to the end of a frame, or to its own end, and says what is
// complete there.
func (c *Conn) step(b []byte) (n int, ev event, err error) {
	n, ev, err = c.in.next(b)
	switch {
	case err != nil || ev == nothing:
	case c.in.op&0x8 != 0:
		err = c.judgeControl()
	}
	if ev != nothing && !c.in.open {
		c.patience, c.earned = whole(c.limits.MessageTime), c.in.payloads
	}
	c.fault = err
	return n, ev, err
}

// arrived counts whole messages.
func (c *Conn) arrived(messages int) {
	if messages == 0 {
		return
	}
	c.messagesIn.Add(int64(messages))
	if c.countMessages && (c.limits.Idle > 0 || c.limits.Activity) {
		c.clock.lastMessage.Store(c.clock.now())
	}
}

// judgeControl judges a control frame that is complete.
func (c *Conn) judgeControl() error {
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
	l := c.in.limits
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
