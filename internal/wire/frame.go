package wire

import "encoding/binary"

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

// A Violation is a rule of RFC 6455 that a frame header breaks.
type Violation string

// Error returns the rule that was broken.
func (v Violation) Error() string { return string(v) }

// The violations that a frame header can show.
const (
	ReservedBits      Violation = "reserved bits set without an extension"
	UnknownOpcode     Violation = "unknown opcode"
	NotMasked         Violation = "frame of a client is not masked"
	FragmentedControl Violation = "control frame is fragmented"
	LongControl       Violation = "control frame is longer than 125 bytes"
	BadLength         Violation = "payload length is not minimal or has its highest bit set"
	NoMessageOpen     Violation = "continuation without a message to continue"
	MessageOpen       Violation = "new message before the last one has ended"
	ShortClose        Violation = "close frame with a payload of one byte"
	InvalidCloseCode  Violation = "close frame with a code that must not be sent"
	TooLong           Violation = "message declares more bytes than allowed"
	TooManyFragments  Violation = "message has more fragments than allowed"
	TooManyControls   Violation = "control frames come faster than allowed"
)

// An event is what the bytes up to a point have completed.
type event uint8

const (
	nothing event = iota
	header        // a frame's header
	frame         // a frame of a message that goes on, or a control frame
	message       // the last frame of a message
)

// A parser follows the frame headers of one direction without touching the
// payload. Its zero value reads frames of a server, of any length.
type parser struct {
	masked bool  // frames must be masked: they come from a client
	max    int64 // most bytes that a message may declare; 0 is any number
	most   int   // most fragments of a message; 0 is any number

	buf  [maxHeader]byte
	have uint8
	need uint8

	op        byte
	fin       bool
	open      bool  // a fragmented message waits for its end
	inPayload bool  // a header was complete, its frame is not
	left      int64 // bytes of the frame's payload still to come
	total     int64 // bytes that the frames of the open message declare
	fragments int   // frames of the open message so far
	code      [2]byte
	seen      int64 // bytes of the close frame's payload so far
}

// between reports whether the direction stands between two frames.
func (p *parser) between() bool { return p.have == 0 && !p.inPayload }

// unfinished reports whether a frame or a message has begun and not ended.
func (p *parser) unfinished() bool { return p.open || !p.between() }

// next consumes bytes of b until something is complete, and says what. It
// consumes all of b when nothing is. A frame without payload is complete
// after its header: next then returns frame or message with n of zero.
func (p *parser) next(b []byte) (n int, ev event, err error) {
	if p.inPayload {
		n = int(min(p.left, int64(len(b))))
		p.payload(b[:n])
		p.left -= int64(n)
		if p.left > 0 {
			return n, nothing, nil
		}
		return n, p.endFrame(), p.checkClose()
	}
	for n < len(b) {
		p.buf[p.have] = b[n]
		p.have++
		n++
		if p.have == 2 {
			p.need = headerLength(p.buf[1])
			if err := p.checkStart(); err != nil {
				return n, nothing, err
			}
		}
		if p.have >= 2 && p.have == p.need {
			if err := p.startFrame(); err != nil {
				return n, nothing, err
			}
			return n, header, nil
		}
	}
	return n, nothing, nil
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
func (p *parser) checkStart() error {
	first, second := p.buf[0], p.buf[1]
	op, fin := first&0x0F, first&0x80 != 0
	control := op&0x8 != 0
	switch {
	case first&0x70 != 0:
		return ReservedBits
	case op > opPong || op > opBinary && !control:
		return UnknownOpcode
	case p.masked && second&0x80 == 0:
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

func (p *parser) startFrame() error {
	length := int64(p.buf[1] & 0x7F)
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
		// The sum cannot overflow: while max is set both terms are bounded by it.
		if p.max > 0 && (length > p.max || p.total+length > p.max) {
			return TooLong
		}
		if p.fragments++; p.most > 0 && p.fragments > p.most {
			return TooManyFragments
		}
		p.total += length
		p.open = true
	}
	p.left, p.seen, p.inPayload = length, 0, true
	return nil
}

// payload looks at the one payload that matters here, a close frame's code.
func (p *parser) payload(b []byte) {
	if p.op != opClose {
		return
	}
	for _, c := range b {
		if p.seen >= int64(len(p.code)) {
			return
		}
		if p.buf[1]&0x80 != 0 {
			c ^= p.buf[p.have-4+uint8(p.seen)]
		}
		p.code[p.seen] = c
		p.seen++
	}
}

func (p *parser) endFrame() event {
	p.have, p.inPayload = 0, false
	if p.op&0x8 == 0 && p.fin {
		p.open, p.total, p.fragments = false, 0, 0
		return message
	}
	return frame
}

// closeCode returns the code of the close frame that has just ended, 1005
// where it had none (RFC 6455, section 7.1.5).
func (p *parser) closeCode() uint16 {
	if p.seen < 2 {
		return 1005
	}
	return binary.BigEndian.Uint16(p.code[:])
}

// checkClose judges the code of a close frame from a client.
func (p *parser) checkClose() error {
	if p.masked && p.op == opClose && p.seen == 2 && !ValidCloseCode(p.closeCode()) {
		return InvalidCloseCode
	}
	return nil
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

// control appends a control frame of a server to b.
func control(b []byte, op byte, payload []byte) []byte {
	b = append(b, 0x80|op, byte(len(payload)))
	return append(b, payload...)
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
