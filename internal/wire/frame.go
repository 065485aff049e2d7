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

	buf  [maxHeader]byte
	have uint8 // bytes of the header so far
	need uint8 // that it has

	op        byte
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
	payloads  int64 // bytes of data frames so far

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
	p.took = 0
	if !p.inPayload {
		if p.have == 0 && len(b) >= maxHeader { // all of it, in the usual case
			if err = p.checkStart(b[0], b[1]); err != nil {
				return 2, nothing, err
			}
			p.buf = [maxHeader]byte(b)
			p.need = headerLength(b[1])
			p.have = p.need
			n, err = int(p.need), p.startFrame(b[1])
			p.inPayload = true
		} else {
			n, err = p.header(b)
		}
		if err != nil || !p.inPayload {
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
			mask(b[:k], p.key(), p.seen)
		}
		switch {
		case p.op&0x8 == 0:
			if p.payloads += k; p.isText && !p.text.Masked(b[:k], p.mask(), p.seen) {
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

// header consumes the header of a frame, or what b has of it. inPayload says
// that it is complete.
func (p *parser) header(b []byte) (n int, err error) {
	for n < len(b) {
		p.buf[p.have] = b[n]
		p.have++
		if n++; p.have == 1 {
			continue
		}
		if p.have == 2 {
			if err := p.checkStart(p.buf[0], p.buf[1]); err != nil {
				return n, err
			}
			p.need = headerLength(p.buf[1])
		}
		if p.have == p.need-p.buf[1]>>7*4 { // the length is there, if not the mask
			if err := p.startFrame(p.buf[1]); err != nil {
				return n, err
			}
		}
		if p.have == p.need {
			p.inPayload = true
			break
		}
	}
	return n, nil
}

func headerLength(second byte) uint8 {
	n := uint8(2)
	switch second & 0x7F {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if second&0x80 != 0 {
		n += 4
	}
	return n
}

// checkStart judges the two bytes that every header has, so that a frame
// that breaks a rule there is refused without waiting for the rest.
func (p *parser) checkStart(first, second byte) error {
	op, fin := first&0x0F, first&0x80 != 0
	control := op&0x8 != 0
	switch {
	case first&0x70 != 0:
		return ReservedBits
	case op > opPong || op > opBinary && !control:
		return UnknownOpcode
	case p.limits != nil && second&0x80 == 0:
		return NotMasked
	case control && !fin:
		return FragmentedControl
	case control && second&0x7F > maxControl:
		return LongControl
	case op == opClose && second&0x7F == 1:
		return ShortClose
	case op == opContinuation && !p.open:
		return NoMessageOpen
	case !control && op != opContinuation && p.open:
		return MessageOpen
	}
	return nil
}

// startFrame judges a header up to its length. The second byte is given.
func (p *parser) startFrame(second byte) error {
	length := int64(second & 0x7F)
	switch length {
	case 126:
		length = int64(binary.BigEndian.Uint16(p.buf[2:]))
		if length < 126 {
			return BadLength
		}
	case 127:
		length = int64(binary.BigEndian.Uint64(p.buf[2:]))
		if length < 1<<16 { // also what has its highest bit set
			return BadLength
		}
	}
	p.op, p.fin = p.buf[0]&0x0F, p.buf[0]&0x80 != 0
	if p.op&0x8 == 0 {
		p.open = true
		if p.limits != nil {
			if p.op != opContinuation {
				p.isText = p.op == opText
			}
			if err := p.checkLimits(length); err != nil {
				return err
			}
		}
	}
	p.left, p.seen = length, 0
	return nil
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
	key, at := p.mask(), p.seen
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

// key is what a client has masked the frame with, of whose header all is there.
func (p *parser) key() [4]byte { return [4]byte(p.buf[max(p.have, 4)-4:]) }

// mask is what still masks the payload as it is judged.
func (p *parser) mask() (key [4]byte) {
	if p.limits != nil && !p.unmask {
		key = p.key()
	}
	return key
}

func (p *parser) endFrame() (event, error) {
	p.have, p.inPayload = 0, false
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
