package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"unicode/utf8"
)

// A refFrame is a whole frame that breaks no rule.
type refFrame struct {
	fin    bool
	opcode byte
	length uint64
}

// A refBreach is a rule that the first bad frame breaks. Fewer bytes than known
// do not show it; with due it has to be noticed: at the second byte of a header,
// the last of its length, a byte of text, or the end of a frame.
type refBreach struct {
	rule       Violation
	known, due int
}

// A refVerdict is what the reference says of a stream.
type refVerdict struct {
	frames   []refFrame
	end      int         // behind the last of them
	messages int         // that are complete
	open     bool        // one is not
	code     uint16      // of the close frame that is the last, 0 without one
	breaches []refBreach // all that is wrong with the first bad frame, up to where it is noticed
}

// breaks says that a rule is broken.
func (v *refVerdict) breaks(rule Violation, known, due int) {
	v.breaches = append(v.breaches, refBreach{rule, known, due})
}

// due is after how many bytes the stream has to be refused, or -1.
func (v *refVerdict) due() int {
	due := -1
	for _, b := range v.breaches {
		if due < 0 || b.due < due {
			due = b.due
		}
	}
	return due
}

// knows reports whether a rule is broken, and so many bytes show it.
func (v *refVerdict) knows(rule error, n int) bool {
	for _, b := range v.breaches {
		if errors.Is(rule, b.rule) && b.known <= n {
			return true
		}
	}
	return false
}

// eof is how a stream ends after n bytes, if nobody refuses it.
func (v *refVerdict) eof(n int) error {
	if v.open || n > v.end {
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// refHeader is the header of a frame (RFC 6455, section 5.2).
type refHeader struct {
	fin, masked      bool
	reserved, opcode byte
	short            byte   // the seven bits of the length
	length           uint64 // the whole of it
	sized            int    // bytes up to the end of the length
	size             int    // bytes of the header
	key              []byte
}

// readRefHeader reads what b has of a header, whose first two bytes are there.
func readRefHeader(b []byte) refHeader {
	h := refHeader{
		fin: b[0]&128 != 0, reserved: b[0] / 16 % 8, opcode: b[0] % 16,
		masked: b[1]&128 != 0, short: b[1] % 128, sized: 2,
	}
	h.length = uint64(h.short)
	switch h.short {
	case 126:
		if h.sized = 4; len(b) >= 4 {
			h.length = uint64(binary.BigEndian.Uint16(b[2:4]))
		}
	case 127:
		if h.sized = 10; len(b) >= 10 {
			h.length = binary.BigEndian.Uint64(b[2:10])
		}
	}
	if h.size = h.sized; h.masked {
		if h.size += 4; len(b) >= h.size {
			h.key = b[h.sized:h.size]
		}
	}
	return h
}

// reference judges all that a client has sent, at once. It is written from RFC
// 6455 and the documentation of Limits, with nothing in mind but to be right.
// What follows a close frame is nothing (5.5.1).
func reference(b []byte, l Limits) (v refVerdict) {
	var isText bool          // what the message is
	var total uint64         // bytes that it declares
	var fragments, empty int // its frames, and those of the last that are empty
	var controls int         // control frames so far
	var character []byte     // of the text, as far as it is there
	for len(b)-v.end >= 2 && v.code == 0 {
		at := v.end
		h := readRefHeader(b[at:])
		control, continues := h.opcode >= 8, h.opcode == 0
		for _, r := range []struct {
			broken bool
			rule   Violation
			known  int
		}{
			{h.reserved != 0, ReservedBits, at + 1},                                   // 5.2
			{h.opcode >= 3 && h.opcode <= 7 || h.opcode >= 11, UnknownOpcode, at + 1}, // 5.2
			{!h.masked, NotMasked, at + 2},                                            // 5.1
			{control && !h.fin, FragmentedControl, at + 1},                            // 5.5
			{control && h.short > 125, LongControl, at + 2},                           // 5.5
			{h.opcode == 8 && h.short == 1, ShortClose, at + 2},                       // 5.5.1
			{continues && !v.open, NoMessageOpen, at + 1},                             // 5.4
			{(h.opcode == 1 || h.opcode == 2) && v.open, MessageOpen, at + 1},         // 5.4
		} {
			if r.broken {
				v.breaks(r.rule, r.known, at+2)
			}
		}
		if len(v.breaches) > 0 || len(b) < at+h.sized {
			return v
		}

		sized, header := at+h.sized, at+h.size
		if h.short == 126 && h.length < 126 || h.short == 127 && (h.length < 1<<16 || h.length >= 1<<63) {
			v.breaks(BadLength, sized, sized)
		}
		if !control {
			if fragments++; l.Fragments > 0 && fragments > l.Fragments {
				v.breaks(TooManyFragments, at+1, sized)
			}
			if h.length > 0 {
				empty = 0
			} else if empty++; l.Empty > 0 && empty > l.Empty && !h.fin {
				v.breaks(TooManyEmpty, sized, sized)
			}
			if l.FrameSize > 0 && h.length > uint64(l.FrameSize) {
				v.breaks(FrameTooLong, sized, sized)
			}
			if l.MessageSize > 0 && h.length > uint64(l.MessageSize)-total {
				v.breaks(MessageTooLong, sized, sized)
			}
			total += h.length
			if !continues {
				isText = h.opcode == 1
			}
			v.open = true
		}
		if len(v.breaches) > 0 || len(b) < header {
			return v
		}

		payload := b[header:]
		whole := uint64(len(payload)) >= h.length
		if whole {
			payload = payload[:h.length]
		}
		end := header + int(min(h.length, 1<<62)) // may lie behind b
		var code uint16
		var reason []byte
		for i, c := range payload {
			here := header + i + 1
			c ^= h.key[i%4] // 5.3
			ok := true
			switch {
			case h.opcode == 8 && i < 2:
				if code = code<<8 | uint16(c); i == 1 && !refCloseCode(code) {
					v.breaks(InvalidCloseCode, here, end) // 7.4
				}
			case h.opcode == 8:
				if reason, ok = refText(reason, c); !ok {
					v.breaks(InvalidReason, here, here) // 5.5.1
				}
			case !control && isText:
				if character, ok = refText(character, c); !ok {
					v.breaks(InvalidText, here, here) // 8.1
				}
			}
			if !ok {
				return v
			}
		}
		if !whole {
			return v
		}
		if control {
			if controls++; l.Controls > 0 && controls > l.Controls {
				v.breaks(TooManyControls, at+2, end)
			}
			if len(reason) > 0 {
				v.breaks(InvalidReason, end, end)
			}
		} else if h.fin && isText && len(character) > 0 {
			v.breaks(InvalidText, end, end)
		}
		if len(v.breaches) > 0 {
			return v
		}
		v.frames = append(v.frames, refFrame{h.fin, h.opcode, h.length})
		v.end = end
		switch {
		case h.opcode == 8:
			if v.code = code; h.length == 0 {
				v.code = 1005 // 7.1.5
			}
		case !control && h.fin:
			v.messages++
			v.open, total, fragments, empty = false, 0, 0, 0
		}
	}
	return v
}

// refText takes the next byte of a text whose last character is not complete,
// and reports whether that can still become one.
func refText(character []byte, c byte) (rest []byte, ok bool) {
	character = append(character, c)
	if !utf8.FullRune(character) {
		return character, true
	}
	return nil, utf8.Valid(character)
}

// refCloseCode reports whether a close frame may carry the code: RFC 6455,
// sections 7.4.1 and 7.4.2, and the registry of IANA, in which 1012 to 1014
// have come after it.
func refCloseCode(code uint16) bool {
	switch code {
	case 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014:
		return true
	}
	return code/1000 == 3 || code/1000 == 4
}

// The reference is worth something only if it finds what the table asks for.
func TestReference(t *testing.T) {
	for _, tc := range framings {
		t.Run(tc.name, func(t *testing.T) {
			v := reference(tc.in, tc.limits)
			if tc.err == nil && (len(v.breaches) > 0 || v.end != len(tc.in)) || tc.err != nil && !v.knows(tc.err, len(tc.in)) {
				t.Errorf("%+v, want %v", v, tc.err)
			}
			messages := 0
			for _, e := range tc.want {
				if e == message {
					messages++
				}
			}
			if len(v.frames) != len(tc.want) || v.messages != messages {
				t.Errorf("%d frames and %d messages, want %d and %d", len(v.frames), v.messages, len(tc.want), messages)
			}
		})
	}
}

func TestCloseCodesOfTheReference(t *testing.T) {
	for code := range 1 << 16 {
		if got, want := ValidCloseCode(uint16(code)), refCloseCode(uint16(code)); got != want {
			t.Errorf("%d is valid: %v, want %v", code, got, want)
		}
	}
}
