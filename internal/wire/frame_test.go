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

// R42, R44: every rule that a frame header can break is found in the header,
// however the bytes are split.
func TestParser(t *testing.T) {
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	long := make([]byte, 70000)
	for _, tc := range []struct {
		name string
		in   []byte
		max  int64
		want []event
		err  error
	}{
		{"text", frameOf(0x81, []byte("hi")), 0, []event{message}, nil},
		{"empty text", frameOf(0x81, nil), 0, []event{message}, nil},
		{"16-bit length", frameOf(0x82, long[:300]), 0, []event{message}, nil},
		{"64-bit length", frameOf(0x82, long), 0, []event{message}, nil},
		{"fragments with a ping between", join(frameOf(0x01, []byte("a")), frameOf(0x89, nil), frameOf(0x00, nil), frameOf(0x80, []byte("b"))), 0,
			[]event{frame, frame, frame, message}, nil},
		{"two messages", join(frameOf(0x81, []byte("a")), frameOf(0x82, []byte("b"))), 0, []event{message, message}, nil},
		{"reserved bit 1", frameOf(0xC1, nil), 0, nil, ReservedBits},
		{"reserved bit 2", frameOf(0xA1, nil), 0, nil, ReservedBits},
		{"reserved bit 3", frameOf(0x91, nil), 0, nil, ReservedBits},
		{"opcode 3", frameOf(0x83, nil), 0, nil, UnknownOpcode},
		{"opcode 7", frameOf(0x87, nil), 0, nil, UnknownOpcode},
		{"opcode 11", frameOf(0x8B, nil), 0, nil, UnknownOpcode},
		{"opcode 15", frameOf(0x8F, nil), 0, nil, UnknownOpcode},
		{"not masked", []byte{0x81, 0x01, 'a'}, 0, nil, NotMasked},
		{"fragmented ping", frameOf(0x09, nil), 0, nil, FragmentedControl},
		{"long ping", frameOf(0x89, long[:126]), 0, nil, LongControl},
		{"longest ping", frameOf(0x89, long[:125]), 0, []event{frame}, nil},
		{"continuation of nothing", frameOf(0x80, nil), 0, nil, NoMessageOpen},
		{"continuation after the end", join(frameOf(0x81, nil), frameOf(0x80, nil)), 0, []event{message}, NoMessageOpen},
		{"text inside a message", join(frameOf(0x01, nil), frameOf(0x81, nil)), 0, []event{frame}, MessageOpen},
		{"length not minimal in 16 bits", []byte{0x81, 0xFE, 0, 125, 1, 2, 3, 4}, 0, nil, BadLength},
		{"length not minimal in 64 bits", []byte{0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 2, 3, 4}, 0, nil, BadLength},
		{"length of 2^63", []byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 0, nil, BadLength},
		{"length of 2^63-1 under a limit", []byte{0x81, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4}, 10, nil, MessageTooLong},
		{"at the limit", frameOf(0x81, long[:10]), 10, []event{message}, nil},
		{"over the limit", frameOf(0x81, long[:11]), 10, nil, MessageTooLong},
		{"fragments over the limit", join(frameOf(0x01, long[:6]), frameOf(0x80, long[:5])), 10, []event{frame}, MessageTooLong},
		{"the limit is per message", join(frameOf(0x81, long[:9]), frameOf(0x81, long[:9])), 10, []event{message, message}, nil},
		{"close without a code", frameOf(0x88, nil), 0, []event{frame}, nil},
		{"close of one byte", frameOf(0x88, []byte{3}), 0, nil, ShortClose},
		{"close 1000", frameOf(0x88, []byte{3, 232}), 0, []event{frame}, nil},
		{"close 4999", frameOf(0x88, []byte{0x13, 0x87, 'x'}), 0, []event{frame}, nil},
		{"close 1005", frameOf(0x88, []byte{3, 237}), 0, nil, InvalidCloseCode},
		{"close 1015", frameOf(0x88, []byte{3, 247}), 0, nil, InvalidCloseCode},
		{"close 999", frameOf(0x88, []byte{3, 231}), 0, nil, InvalidCloseCode},
		{"close 5000", frameOf(0x88, []byte{0x13, 0x88}), 0, nil, InvalidCloseCode},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, size := range []int{1, 2, 3, 7, 1 << 20} {
				got, err := run(&parser{limits: &Limits{MessageSize: tc.max}}, tc.in, size)
				if !errors.Is(err, tc.err) || err == nil && tc.err != nil {
					t.Fatalf("in pieces of %d: error %v, want %v", size, err, tc.err)
				}
				if !bytes.Equal(asBytes(got), asBytes(tc.want)) {
					t.Fatalf("in pieces of %d: events %v, want %v", size, got, tc.want)
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

// FuzzParser compares what the parser says of a stream in pieces with what it
// says of it at once, and checks that it consumes what it should.
func FuzzParser(f *testing.F) {
	f.Add(append(frameOf(0x01, []byte("a")), frameOf(0x80, []byte("b"))...), 1, int64(0))
	f.Add(frameOf(0x88, []byte{3, 232}), 2, int64(10))
	f.Add([]byte{0x81, 0xFF, 0x80, 0, 0, 0, 0, 0, 0, 0}, 3, int64(1))
	f.Fuzz(func(t *testing.T, b []byte, size int, limit int64) {
		if size < 1 || limit < 0 {
			return
		}
		limits := &Limits{MessageSize: limit}
		whole, split := parser{limits: limits}, parser{limits: limits}
		we, werr := run(&whole, b, len(b)+1)
		se, serr := run(&split, b, size)
		if werr != serr || !bytes.Equal(asBytes(we), asBytes(se)) {
			t.Fatalf("at once %v %v, in pieces of %d %v %v", we, werr, size, se, serr)
		}
		if limit > 0 && whole.total > limit {
			t.Fatalf("a message of %d bytes passed a limit of %d", whole.total, limit)
		}
	})
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
