package wire

import (
	"encoding/binary"

	"github.com/wsguard/wsguard/internal/utf8stream"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

const (
	maxHeader  = 14  // two bytes, eight of extended length, four of mask
	maxControl = 125 // payload of a control frame, RFC 6455 section 5.5
)

// An event is what the bytes up to a point have completed.
type event uint8

const (
	nothing event = iota
	frame         // a frame of a message that goes on, or a control frame
	message       // the last frame of a message
)

// A parser follows the frames of one direction, and keeps nothing of their
// payload. Its zero value reads frames of this side, of any length.
type parser struct {
	limits *Limits // of a client, whose frames must be masked; nil for this side
	unmask bool    // payloads, in place

	buf  [maxHeader]byte // of a header that comes in pieces
	have uint8           // bytes of it so far

	op        byte    // of the frame, from its first byte on
	key       [4]byte // that payloads are judged with
	taken     [4]byte // that is taken off them before
	fin       bool
	inPayload bool  // a header was complete, its frame is not
	left      int64 // bytes of the frame's payload still to come
	seen      int64 // and those that have
	took      int   // of them at the end of what the last call of next consumed

	open      bool  // a fragmented message waits for its end
	isText    bool  // and has to be UTF-8
	total     int64 // bytes that the frames of the open message declare
	fragments int   // frames of the open message so far
	empty     int   // the last of them that carried nothing
	payloads  int64 // bytes of data frames so far, of which only what an unfinished message gains matters

	text   utf8stream.Checker // of the open message
	reason utf8stream.Checker // of a close frame
	code   [2]byte            // of a close frame
}

// between reports whether the direction stands between two frames.
func (p *parser) between() bool { return p.have == 0 && !p.inPayload }

// unfinished reports whether a frame or a message has begun and not ended.
func (p *parser) unfinished() bool { return p.open || !p.between() }

// next consumes bytes of b up to the end of a frame, or all of b where that is
// not in it, and says what is complete. Call it again for the rest. On an error
// nothing that follows can be understood.
func (p *parser) next(b []byte) (n int, ev event, err error) {
	if n = p.whole(b); n > 0 {
		return n, message, nil
	}
	p.took = 0
	if !p.inPayload {
		if n, err = p.header(b); err != nil || !p.inPayload {
			return n, nothing, err
		}
		b = b[n:]
	}
	if p.left > 0 {
		k := min(p.left, int64(len(b)))
		if k == 0 {
			return n, nothing, nil
		}
		if p.took = int(k); p.unmask {
			mask(b[:k], p.taken, p.seen)
		}
		switch {
		case p.op&0x8 == 0:
			if p.payloads += k; p.isText && !p.text.Masked(b[:k], p.key, p.seen) {
				err = InvalidText
			}
		case p.op == opClose:
			err = p.closePayload(b[:k])
		}
		n += int(k)
		p.left -= k
		p.seen += k
		if err != nil || p.left > 0 {
			return n, nothing, err
		}
	}
	ev, err = p.endFrame()
	return n, ev, err
}

// whole consumes what a client sends nearly always: a message of one frame with
// a short header, all of it in b, and nothing wrong with it. It is cheaper than
// the general way, which is left to judge everything else: then n is 0, and
// nothing has happened.
func (p *parser) whole(b []byte) (n int) {
	if p.open || p.have != 0 || p.inPayload || p.limits == nil || len(b) < 8 {
		return 0
	}
	op, length, header := b[0]&^0x80, int(b[1])-0x80, 6
	if length == 126 {
		length, header = int(binary.BigEndian.Uint16(b[2:])), 8
		if length < 126 {
			return 0
		}
	}
	l := p.limits
	switch n = header + length; {
	case b[0] != 0x80|opText && b[0] != 0x80|opBinary, length < 0 || length == 127 && header == 6, n > len(b),
		l.FrameSize > 0 && int64(length) > l.FrameSize, l.MessageSize > 0 && int64(length) > l.MessageSize:
		return 0
	}
	key, payload := [4]byte(b[header-4:]), b[header:n]
	if op == opText {
		var text utf8stream.Checker
		if !text.Masked(payload, key, 0) || !text.Complete() {
			return 0
		}
	}
	if p.unmask {
		mask(payload, key, 0)
	}
	p.op, p.fin, p.isText = op, true, op == opText
	p.took, p.seen = length, int64(length)
	return n
}

// header consumes the header of a frame, or what b has of it. inPayload says
// that it is complete. A frame that breaks a rule is refused at the byte that
// shows it.
func (p *parser) header(b []byte) (n int, err error) {
	if p.have == 0 && len(b) >= 2 {
		if n = headerSize(b[1]); n <= len(b) { // in the usual case
			if err = p.checkStart(b[0], b[1]); err == nil {
				err = p.declared(b[:n])
				p.start(b[:n])
			}
			return n, err
		}
	}
	for n = 0; n < len(b) && !p.inPayload && err == nil; n++ {
		p.buf[p.have] = b[n]
		p.have++
		err = p.headerSoFar(p.buf[:p.have])
	}
	return n, err
}

// headerSoFar judges what the last byte of h has added to a header.
func (p *parser) headerSoFar(h []byte) (err error) {
	switch len(h) {
	case 1:
		p.op = h[0] & 0x0F
		return nil
	case 2:
		if err = p.checkStart(h[0], h[1]); err != nil {
			return err
		}
	}
	if len(h) == headerSize(h[1]&0x7F) {
		err = p.declared(h)
	}
	if len(h) == headerSize(h[1]) {
		p.start(h)
	}
	return err
}

// headerSize is how long a header is, from its second byte.
func headerSize(second byte) int {
	size := 2
	switch second & 0x7F {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	return size + int(second>>7)*4
}

// checkStart judges the two bytes that every header has.
func (p *parser) checkStart(first, second byte) error {
	wrong := &wrongStarts[0]
	if p.open {
		wrong = &wrongStarts[1]
	}
	switch {
	case wrong[first] != "":
		return wrong[first]
	case p.limits != nil && second&0x80 == 0:
		return NotMasked
	case first&0x08 == 0:
	case second&0x7F > maxControl:
		return LongControl
	case first&0x0F == opClose && second&0x7F == 1:
		return ShortClose
	}
	return nil
}

// wrongStarts says what is wrong with the first byte of a frame, without and
// with an open message.
var wrongStarts = func() (wrong [2][256]Violation) {
	for first := range 256 {
		op, fin := first&0x0F, first&0x80 != 0
		control := op&0x08 != 0
		for open := range wrong {
			v := &wrong[open][first]
			switch {
			case first&0x70 != 0:
				*v = ReservedBits
			case op > opPong || op > opBinary && !control:
				*v = UnknownOpcode
			case control && !fin:
				*v = FragmentedControl
			case op == opContinuation && open == 0:
				*v = NoMessageOpen
			case !control && op != opContinuation && open == 1:
				*v = MessageOpen
			}
		}
	}
	return wrong
}()

// declared judges a header that is there up to its length.
func (p *parser) declared(h []byte) error {
	length := int64(h[1] & 0x7F)
	switch length {
	case 126:
		length = int64(binary.BigEndian.Uint16(h[2:]))
		if length < 126 {
			return BadLength
		}
	case 127:
		length = int64(binary.BigEndian.Uint64(h[2:]))
		if length < 1<<16 { // also what has its highest bit set
			return BadLength
		}
	}
	p.op, p.fin = h[0]&0x0F, h[0]&0x80 != 0
	p.left, p.seen = length, 0
	if p.op&0x8 != 0 {
		return nil
	}
	p.open = true
	if p.limits == nil {
		return nil
	}
	if p.op != opContinuation {
		p.isText = p.op == opText
	}
	return p.checkLimits(length)
}

// start begins the payload behind a header that is all there.
func (p *parser) start(h []byte) {
	p.have, p.inPayload = 0, true
	if h[1]&0x80 == 0 {
		return
	}
	if key := [4]byte(h[len(h)-4:]); p.unmask {
		p.taken = key
	} else {
		p.key = key
	}
}

// checkLimits judges what the header of a data frame declares.
func (p *parser) checkLimits(length int64) error {
	l := p.limits
	if l.FrameSize > 0 && length > l.FrameSize {
		return FrameTooLong
	}
	// The sum cannot overflow: while there is a limit both terms are bounded by it.
	if l.MessageSize > 0 && (length > l.MessageSize || p.total+length > l.MessageSize) {
		return MessageTooLong
	}
	if p.fragments++; l.Fragments > 0 && p.fragments > l.Fragments {
		return TooManyFragments
	}
	if p.total += length; length > 0 {
		p.empty = 0
	} else if p.empty++; l.Empty > 0 && p.empty > l.Empty && !p.fin {
		return TooManyEmpty
	}
	return nil
}

// closePayload takes a close frame's code, and judges its reason.
func (p *parser) closePayload(b []byte) error {
	key, at := p.key, p.seen
	for len(b) > 0 && at < int64(len(p.code)) {
		p.code[at] = b[0] ^ key[at]
		b = b[1:]
		at++
	}
	if p.limits != nil && !p.reason.Masked(b, key, at) {
		return InvalidReason
	}
	return nil
}

func (p *parser) endFrame() (event, error) {
	p.inPayload = false
	switch {
	case p.op == opClose && p.limits != nil:
		if p.seen > 0 && !ValidCloseCode(p.closeCode()) {
			return frame, InvalidCloseCode
		}
		if !p.reason.Complete() {
			return frame, InvalidReason
		}
		return frame, nil
	case p.op&0x8 != 0 || !p.fin:
		return frame, nil
	}
	p.open, p.total, p.fragments, p.empty = false, 0, 0, 0
	if p.isText && !p.text.Complete() {
		return message, InvalidText
	}
	return message, nil
}

// closeCode returns the code of the close frame that has just ended, 1005
// where it had none (RFC 6455, section 7.1.5).
func (p *parser) closeCode() uint16 {
	if p.seen < 2 {
		return 1005
	}
	return binary.BigEndian.Uint16(p.code[:])
}

// ValidCloseCode reports whether an endpoint may send the code: RFC 6455,
// section 7.4, and the IANA registry.
func ValidCloseCode(code uint16) bool {
	switch {
	case code >= 3000 && code <= 4999:
		return true
	case code == 1004, code == 1005, code == 1006:
		return false
	}
	return code >= 1000 && code <= 1014
}

// control is a control frame of a server.
func control(op byte, payload []byte) []byte {
	return append(appendHeader(nil, op, len(payload)), payload...)
}

// appendHeader appends the header of a whole message, or of a control frame, of
// a server.
func appendHeader(b []byte, op byte, length int) []byte {
	b = append(b, 0x80|op)
	switch {
	case length < 126:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
}

// closePayload is the payload of a close frame. The reason is cut, on a rune
// boundary, to the 123 bytes that a control frame has room for.
func closePayload(code uint16, reason string) []byte {
	const room = maxControl - 2
	if len(reason) > room {
		cut := room
		for cut > 0 && reason[cut]&0xC0 == 0x80 {
			cut--
		}
		reason = reason[:cut]
	}
	return append(binary.BigEndian.AppendUint16(nil, code), reason...)
}
