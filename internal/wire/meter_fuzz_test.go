package wire

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// pieceSizes and bufferSizes are what a stream is cut into on its way in, and
// read with. From 4096 on, a read needs no chunk.
var (
	pieceSizes  = []int{1, 2, 3, 5, 14, 100, 1000, 5000, 1 << 20}
	bufferSizes = []int{1, 2, 3, 7, 64, 256, 1000, 4095, 4096, 9000}
)

// sizes repeats what the bytes of choice choose.
func sizes(choice []byte, from []int) func() int {
	i := -1
	return func() int {
		if len(choice) == 0 {
			return from[len(from)-1]
		}
		i++
		return from[int(choice[i%len(choice)])%len(from)]
	}
}

// addStreams makes seeds of the table.
func addStreams(f *testing.F, add func(in []byte, l Limits, choice []byte)) {
	for i, tc := range framings {
		add(tc.in, tc.limits, nil)
		add(join(hello, tc.in, hello), tc.limits, []byte{byte(i), byte(i / 2), byte(i / 3)})
	}
}

// FuzzParser compares what the parser says of every frame, in any pieces, with
// what the reference says of the whole.
func FuzzParser(f *testing.F) {
	addStreams(f, func(in []byte, l Limits, choice []byte) {
		f.Add(in, choice, l.MessageSize, l.FrameSize, l.Fragments, l.Empty)
	})
	f.Fuzz(func(t *testing.T, in, choice []byte, messageSize, frameSize int64, fragments, empty int) {
		if messageSize < 0 || frameSize < 0 || fragments < 0 || empty < 0 {
			return
		}
		l := Limits{MessageSize: messageSize, FrameSize: frameSize, Fragments: fragments, Empty: empty}
		want := reference(in, l)
		wantParsed(t, in, &l, want, func() int { return 1 })
		wantParsed(t, in, &l, want, func() int { return len(in) })
		wantParsed(t, in, &l, want, sizes(choice, pieceSizes))
	})
}

// wantParsed feeds a parser piece by piece.
func wantParsed(t *testing.T, in []byte, l *Limits, want refVerdict, size func() int) {
	t.Helper()
	p := parser{limits: l}
	var frames []refFrame
	for fed := 0; fed < len(in); {
		before, rest := fed, in[fed:min(fed+size(), len(in))]
		fed += len(rest)
		for {
			n, ev, err := p.next(rest)
			if rest = rest[n:]; err != nil {
				if !want.knows(err, fed) || want.due() <= before || !equalFrames(frames, want.frames) {
					t.Fatalf("%q after %d and before %d bytes and %v, want %+v", err, before, fed, frames, want)
				}
				return
			}
			if ev == nothing {
				if len(rest) > 0 {
					t.Fatalf("%d bytes are left", len(rest))
				}
				break
			}
			frames = append(frames, refFrame{p.fin, p.op, uint64(p.seen)})
			if p.op == opClose { // nothing follows
				if p.closeCode() != want.code || !equalFrames(frames, want.frames) {
					t.Fatalf("close code %d after %v, want %+v", p.closeCode(), frames, want)
				}
				return
			}
		}
	}
	if due := want.due(); due >= 0 && due <= len(in) || !equalFrames(frames, want.frames) {
		t.Fatalf("no error and %v, want %+v", frames, want)
	}
	if p.between() != (want.end == len(in)) || l.MessageSize > 0 && (p.total < 0 || p.total > l.MessageSize) {
		t.Fatalf("after %d of %d bytes it stands between two frames: %v; %d bytes declared", want.end, len(in), p.between(), p.total)
	}
}

func equalFrames(a, b []refFrame) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// FuzzMeter sends arbitrary bytes through a whole connection, on a pipe or a
// socket, in arbitrary pieces. What is read must be what was sent, up to the
// frame that the reference refuses, and the refusal must come when its header
// is there and nothing follows.
func FuzzMeter(f *testing.F) {
	addStreams(f, func(in []byte, l Limits, choice []byte) {
		for _, tr := range []bool{false, true} {
			f.Add(in, choice, choice, uint(len(choice)), l.MessageSize, l.Fragments, l.Empty, 0, tr)
		}
	})
	f.Add(bytes.Repeat(frameOf(0x89, []byte("?")), 10), []byte{3}, []byte{4}, uint(1), int64(0), 0, 0, 9, true)
	f.Fuzz(func(t *testing.T, in, cuts, reads []byte, head uint, messageSize int64, fragments, empty, controls int, socket bool) {
		if messageSize < 0 || fragments < 0 || empty < 0 || controls < 0 {
			return
		}
		l := Limits{MessageSize: messageSize, Fragments: fragments, Empty: empty, Controls: controls, ControlEvery: time.Hour}
		tr := transports[0]
		if socket {
			tr = transports[1]
		}
		wantMetered(t, tr, in, int(head%64), l, sizes(cuts, pieceSizes), sizes(reads, bufferSizes))
	})
}

// wantMetered lets a connection judge a stream, of which so many bytes came
// with the handshake, and checks what is read and how that ends.
func wantMetered(t *testing.T, tr transport, in []byte, head int, l Limits, piece, buffer func() int) {
	t.Helper()
	want := reference(in, l)
	refused := want.due() >= 0 && want.due() <= len(in)
	whole := len(in)
	if want.code != 0 {
		whole = want.end // what follows a close frame is dropped
	}
	head = min(head, len(in))
	c, far, _ := tr.open(t, Config{Head: bytes.Clone(in[:head]), Limits: &l})
	_ = c.SetDeadline(time.Now().Add(outer)) // of the test
	go io.Copy(io.Discard, far)
	go feed(far, in[head:], piece, !refused)
	var got []byte
	var err error
	for err == nil {
		p := make([]byte, buffer())
		var n int
		n, err = c.Read(p)
		got = append(got, p[:n]...)
	}
	switch {
	case !bytes.HasPrefix(in, got):
		t.Fatalf("%d bytes are not those that were sent", len(got))
	case isTimeout(err):
		t.Fatalf("nothing comes any more after %d of %d bytes, want %+v", len(got), len(in), want)
	case !refused && (len(got) != whole || err != want.eof(whole)):
		t.Fatalf("%d of %d bytes and %v, want %v and %+v", len(got), whole, err, want.eof(whole), want)
	case refused && (!want.knows(err, len(in)) || len(got) < want.end || len(got) >= want.due()):
		t.Fatalf("%d bytes and %v, want %+v", len(got), err, want)
	}
	if n := c.Counts().MessagesIn; n != int64(want.messages) {
		t.Fatalf("%d messages, want %d", n, want.messages)
	}
}

// feed writes a stream in pieces. It closes its direction if more is waited
// for otherwise.
func feed(far net.Conn, in []byte, piece func() int, last bool) {
	for len(in) > 0 {
		n, err := far.Write(in[:min(piece(), len(in))])
		if err != nil {
			return
		}
		in = in[n:]
	}
	if !last {
		return
	}
	if half, ok := far.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // a socket that is closed might be reset, and lose what it sent
		return
	}
	_ = far.Close()
}

// The table goes through every transport, byte by byte and in one piece.
func TestMeterOnEveryTransport(t *testing.T) {
	for _, tr := range transports {
		for _, size := range []int{1, 5, 1 << 20} {
			for _, buffer := range []int{1, 100, 1 << 13} {
				t.Run(fmt.Sprintf("%s, pieces of %d, buffer of %d", tr.name, size, buffer), func(t *testing.T) {
					for _, tc := range framings {
						if len(tc.in) > 1<<10 && (size < 1<<10 || buffer < 100) {
							continue // slow, and nothing else
						}
						wantMetered(t, tr, tc.in, 0, tc.limits, func() int { return size }, func() int { return buffer })
					}
				})
			}
		}
	}
}

// Frames pass without an allocation of ours, whatever they are: through the
// parser alone, and both ways through a connection on a socket.
func TestNoFrameAllocates(t *testing.T) {
	const times = 10 // a lent buffer may have to be made now and then, but not for each
	text := bytes.Repeat([]byte("é"), 200)
	for name, frames := range map[string][]byte{
		"message":      frameOf(0x81, text),
		"long message": frameOf(0x82, make([]byte, 3000)),
		"fragments":    join(frameOf(0x01, text[:101]), frameOf(0x00, nil), frameOf(0x80, text[101:])),
		"ping":         frameOf(0x89, []byte("?")),
		"pong":         frameOf(0x8A, nil),
	} {
		t.Run(name, func(t *testing.T) {
			p := parser{limits: new(Limits)}
			if n := testing.AllocsPerRun(100, func() {
				if _, err := consume(&p, frames); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("the parser makes %v allocations", n)
			}
			limits := guarded
			limits.Controls = 0
			c, far, _ := transports[1].open(t, Config{Limits: &limits})
			in, answer := bytes.Repeat(frames, times), []byte{0x81, 2, 'o', 'k'}
			buf := make([]byte, 5000)
			for _, size := range []int{256, len(buf)} { // through a chunk, and without
				if n := testing.AllocsPerRun(100, func() {
					_, _ = far.Write(in)
					for left := len(in); left > 0; {
						n, err := c.Read(buf[:size])
						if left -= n; err != nil {
							t.Fatal(err)
						}
					}
					for range times {
						_, _ = c.Write(answer)
						_ = c.WriteMessage(true, answer)
						_, _ = io.ReadFull(far, buf[:2*len(answer)+2])
					}
				}); n >= times {
					t.Errorf("a connection that is read with %d bytes makes %v allocations for %d times", size, n, times)
				}
			}
		})
	}
}

// consume is run without its list of events.
func consume(p *parser, b []byte) (frames int, err error) {
	for {
		n, ev, err := p.next(b)
		if b = b[n:]; err != nil || ev == nothing {
			return frames, err
		}
		frames++
	}
}
