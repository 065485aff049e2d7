package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// frameOf builds a masked client frame.
func frameOf(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i, c := range payload {
		b = append(b, c^mask[i%4])
	}
	return b
}

// unmasked is what comes out of frameOf as b.
func unmasked(b []byte) []byte {
	b = bytes.Clone(b)
	for i := range b {
		b[i] ^= byte(i%4) + 1
	}
	return b
}

// run feeds b in pieces of size, and returns the events but for headers.
func run(p *parser, b []byte, size int) (events []event, err error) {
	for len(b) > 0 {
		piece := b[:min(size, len(b))]
		b = b[len(piece):]
		for {
			n, ev, err := p.next(piece)
			piece = piece[n:]
			if err != nil {
				return events, err
			}
			if ev == nothing {
				break
			}
			events = append(events, ev)
		}
	}
	return events, nil
}

// long is a payload without a text in it.
var long = make([]byte, 70000)

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// framings are streams of a client, and what has to be seen in them.
var framings = []struct {
	name   string
	in     []byte
	limits Limits
	want   []event
	err    error
}{
	{"text", frameOf(0x81, []byte("hi")), Limits{}, []event{message}, nil},
	{"empty text", frameOf(0x81, nil), Limits{}, []event{message}, nil},
	{"16-bit length", frameOf(0x82, long[:300]), Limits{}, []event{message}, nil},
	{"64-bit length", frameOf(0x82, long), Limits{}, []event{message}, nil},
	{"fragments with a ping between", join(frameOf(0x01, []byte("a")), frameOf(0x89, nil), frameOf(0x00, nil), frameOf(0x80, []byte("b"))), Limits{},
		[]event{frame, frame, frame, message}, nil},
	{"two messages", join(frameOf(0x81, []byte("a")), frameOf(0x82, []byte("b"))), Limits{}, []event{message, message}, nil},
	{"reserved bit 1", frameOf(0xC1, nil), Limits{}, nil, ReservedBits},
	{"reserved bit 2", frameOf(0xA1, nil), Limits{}, nil, ReservedBits},
	{"reserved bit 3", frameOf(0x91, nil), Limits{}, nil, ReservedBits},
	{"opcode 3", frameOf(0x83, nil), Limits{}, nil, UnknownOpcode},
	{"opcode 7", frameOf(0x87, nil), Limits{}, nil, UnknownOpcode},
	{"opcode 11", frameOf(0x8B, nil), Limits{}, nil, UnknownOpcode},
	{"opcode 15", frameOf(0x8F, nil), Limits{}, nil, UnknownOpcode},
	{"not masked", []byte{0x81, 0x01, 'a'}, Limits{}, nil, NotMasked},
	{"fragmented ping", frameOf(0x09, nil), Limits{}, nil, FragmentedControl},
	{"long ping", frameOf(0x89, long[:126]), Limits{}, nil, LongControl},
	{"longest ping", frameOf(0x89, long[:125]), Limits{}, []event{frame}, nil},
	{"continuation of nothing", frameOf(0x80, nil), Limits{}, nil, NoMessageOpen},
	{"continuation after the end", join(frameOf(0x81, nil), frameOf(0x80, nil)), Limits{}, []event{message}, NoMessageOpen},
	{"text inside a message", join(frameOf(0x01, nil), frameOf(0x81, nil)), Limits{}, []event{frame}, MessageOpen},
	{"length not minimal in 16 bits", []byte{0x81, 0xFE, 0, 125, 1, 2, 3, 4}, Limits{}, nil, BadLength},
	{"length not minimal, with all of the payload", append([]byte{0x82, 0xFE, 0, 3, 1, 2, 3, 4}, "abc"...), Limits{}, nil, BadLength},
	{"a header whose end looks like a frame", join([]byte{0x82, 0x82, 0x83, 0, 0, 0, 'x', 'y'}, frameOf(0x81, []byte("yes"))), Limits{}, []event{message, message}, nil},
	{"a payload that looks like a frame", join(frameOf(0x82, unmasked(frameOf(0x82, []byte("longer"))[:8])), frameOf(0x81, []byte("yes"))), Limits{}, []event{message, message}, nil},
	{"a ping that looks like a frame", join(frameOf(0x89, unmasked(frameOf(0x82, []byte("longer"))[:8])), frameOf(0x81, []byte("yes"))), Limits{}, []event{frame, message}, nil},
	{"length not minimal in 64 bits", []byte{0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4}, Limits{}, nil, BadLength},
	{"length of 2^63", []byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, Limits{}, nil, BadLength},
	{"length of 2^63-1 under a limit", []byte{0x81, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, Limits{MessageSize: 10}, nil, MessageTooLong},
	{"at the limit", frameOf(0x81, long[:10]), Limits{MessageSize: 10}, []event{message}, nil},
	{"over the limit", frameOf(0x81, long[:11]), Limits{MessageSize: 10}, nil, MessageTooLong},
	{"fragments over the limit", join(frameOf(0x01, long[:6]), frameOf(0x80, long[:5])), Limits{MessageSize: 10}, []event{frame}, MessageTooLong},
	{"the limit is per message", join(frameOf(0x81, long[:9]), frameOf(0x81, long[:9])), Limits{MessageSize: 10}, []event{message, message}, nil},
	{"close without a code", frameOf(0x88, nil), Limits{}, []event{frame}, nil},
	{"close of one byte", frameOf(0x88, []byte{3}), Limits{}, nil, ShortClose},
	{"close 1000", frameOf(0x88, []byte{3, 232}), Limits{}, []event{frame}, nil},
	{"close 4999", frameOf(0x88, []byte{0x13, 0x87, 'x'}), Limits{}, []event{frame}, nil},
	{"close 1005", frameOf(0x88, []byte{3, 237}), Limits{}, nil, InvalidCloseCode},
	{"close 1015", frameOf(0x88, []byte{3, 247}), Limits{}, nil, InvalidCloseCode},
	{"close 999", frameOf(0x88, []byte{3, 231}), Limits{}, nil, InvalidCloseCode},
	{"close 5000", frameOf(0x88, []byte{0x13, 0x88}), Limits{}, nil, InvalidCloseCode},
	{"close with a reason that is not UTF-8", frameOf(0x88, []byte{3, 232, 'a', 0xFF}), Limits{}, nil, InvalidReason},
	{"close with half a character", frameOf(0x88, []byte{3, 232, 0xE2, 0x82}), Limits{}, nil, InvalidReason},
	{"text that is not UTF-8", frameOf(0x81, []byte("caf\xE9 ")), Limits{}, nil, InvalidText},
	{"text that ends in a character", frameOf(0x81, []byte("caf\xC3")), Limits{}, nil, InvalidText},
	{"a character over two frames", join(frameOf(0x01, []byte("caf\xC3")), frameOf(0x89, nil), frameOf(0x80, []byte("\xA9"))), Limits{},
		[]event{frame, frame, message}, nil},
	{"a surrogate over two frames", join(frameOf(0x01, []byte("\xED")), frameOf(0x80, []byte("\xA0\x80"))), Limits{}, []event{frame}, InvalidText},
	{"binary that is not UTF-8", join(frameOf(0x02, []byte("\xFF")), frameOf(0x80, []byte("\xFF"))), Limits{}, []event{frame, message}, nil},
	{"a long frame", frameOf(0x82, long[:11]), Limits{FrameSize: 10}, nil, FrameTooLong},
	{"many fragments", join(frameOf(0x01, nil), frameOf(0x00, []byte("a")), frameOf(0x80, nil)), Limits{Fragments: 2}, []event{frame, frame}, TooManyFragments},
	{"as many as allowed", join(frameOf(0x01, nil), frameOf(0x80, []byte("a"))), Limits{Fragments: 2}, []event{frame, message}, nil},
	{"empty frames", join(frameOf(0x01, nil), frameOf(0x89, nil), frameOf(0x00, nil), frameOf(0x00, nil)), Limits{Empty: 2}, []event{frame, frame, frame}, TooManyEmpty},
	{"empty frames that end", join(frameOf(0x01, nil), frameOf(0x00, nil), frameOf(0x80, nil)), Limits{Empty: 2}, []event{frame, frame, message}, nil},
	{"empty frames of two messages", join(frameOf(0x01, nil), frameOf(0x80, nil), frameOf(0x01, nil), frameOf(0x80, nil)), Limits{Empty: 1},
		[]event{frame, message, frame, message}, nil},
	{"empty frames that go on", join(frameOf(0x01, nil), frameOf(0x00, nil), frameOf(0x00, []byte("a")), frameOf(0x00, nil)), Limits{Empty: 2},
		[]event{frame, frame, frame, frame}, nil},
}

// R42, R44: every rule that a frame header can break is found in the header,
// however the bytes are split.
func TestParser(t *testing.T) {
	for _, tc := range framings {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1 << 20} {
				got, err := run(&parser{limits: &tc.limits}, tc.in, size)
				if !errors.Is(err, tc.err) || err == nil && tc.err != nil {
					t.Fatalf("in pieces of %d: error %v, want %v", size, err, tc.err)
				}
				if !bytes.Equal(asBytes(got), asBytes(tc.want)) {
					t.Fatalf("in pieces of %d: events %v, want %v", size, got, tc.want)
				}
			}
			for at := range min(len(tc.in), 100) {
				p := parser{limits: &tc.limits}
				got, err := run(&p, tc.in[:at], 1<<20)
				if err == nil {
					var rest []event
					rest, err = run(&p, tc.in[at:], 1<<20)
					got = append(got, rest...)
				}
				if !errors.Is(err, tc.err) || err == nil && tc.err != nil || !bytes.Equal(asBytes(got), asBytes(tc.want)) {
					t.Fatalf("after %d bytes and the rest: events %v, error %v, want %v, %v", at, got, err, tc.want, tc.err)
				}
			}
		})
	}
}

func asBytes(events []event) (b []byte) {
	for _, e := range events {
		b = append(b, byte(e))
	}
	return b
}

// A refusal of what a header declares needs no byte of the payload.
func TestParserJudgesTheHeaderAlone(t *testing.T) {
	p := parser{limits: &Limits{MessageSize: 10}}
	whole := frameOf(0x82, make([]byte, 300))
	if _, err := run(&p, whole[:8], 8); !errors.Is(err, MessageTooLong) {
		t.Fatalf("error %v after the header, want %v", err, MessageTooLong)
	}
}

func TestCloseCode(t *testing.T) {
	for _, tc := range []struct {
		payload []byte
		want    uint16
	}{{nil, 1005}, {[]byte{3, 232}, 1000}, {[]byte{0x0F, 0xA0, 'b', 'y', 'e'}, 4000}} {
		for size := 1; size < 12; size++ {
			p := parser{limits: new(Limits)}
			if _, err := run(&p, frameOf(0x88, tc.payload), size); err != nil {
				t.Fatal(err)
			}
			if p.closeCode() != tc.want {
				t.Errorf("code %d in pieces of %d, want %d", p.closeCode(), size, tc.want)
			}
		}
	}
}

func TestClosePayloadIsCutOnARune(t *testing.T) {
	got := closePayload(1008, string(bytes.Repeat([]byte("é"), 80)))
	if len(got) != 2+122 {
		t.Errorf("%d bytes, want 124: 61 runes of two bytes", len(got))
	}
}

func BenchmarkParser(b *testing.B) {
	for name, in := range map[string][]byte{
		"chat message": frameOf(0x81, make([]byte, 130)), "empty continuation": frameOf(0x00, nil), "ping": frameOf(0x89, nil),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := parser{limits: new(Limits), open: in[0] == 0}
			for b.Loop() {
				for rest := in; ; {
					n, ev, err := p.next(rest)
					if rest = rest[n:]; err != nil {
						b.Fatal(err)
					}
					if ev == nothing {
						break
					}
				}
			}
		})
	}
}
