package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"
)

// seed repeats what a property test has printed.
var seed = flag.Uint64("seed", 0, "seed of the property tests; 0 is another one each time")

// dice are the random choices of one test.
func dice(t *testing.T) *rand.Rand {
	s := *seed
	if s == 0 {
		s = rand.Uint64()
	}
	t.Logf("-seed=%d", s)
	return rand.New(rand.NewPCG(s, 0))
}

// another are choices that somebody else may make at the same time.
func another(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(r.Uint64(), 1)) }

// choose is one of some.
func choose[E any](r *rand.Rand, some ...E) E { return some[r.IntN(len(some))] }

// A script is what one side sends: whole messages, most of them in fragments,
// with control frames between and inside them.
type script struct {
	r        *rand.Rand
	client   bool // masks
	whole    bool // no message is in fragments
	bytes    []byte
	messages int
}

func newScript(r *rand.Rand, client, whole bool, messages int) *script {
	s := &script{r: r, client: client, whole: whole}
	for range messages {
		s.message()
	}
	return s
}

func (s *script) frame(first byte, payload []byte) {
	mask := byte(0)
	if s.client {
		mask = 0x80
	}
	s.bytes = append(s.bytes, first)
	switch n := len(payload); {
	case n < 126:
		s.bytes = append(s.bytes, mask|byte(n))
	case n < 1<<16:
		s.bytes = binary.BigEndian.AppendUint16(append(s.bytes, mask|126), uint16(n))
	default:
		s.bytes = binary.BigEndian.AppendUint64(append(s.bytes, mask|127), uint64(n))
	}
	if !s.client {
		s.bytes = append(s.bytes, payload...)
		return
	}
	key := binary.NativeEndian.AppendUint32(nil, choose(s.r, 0, s.r.Uint32()))
	s.bytes = append(s.bytes, key...)
	for i, c := range payload {
		s.bytes = append(s.bytes, c^key[i%4])
	}
}

func (s *script) control() {
	for s.r.IntN(4) == 0 {
		payload := make([]byte, choose(s.r, 1, 2, 125))
		s.frame(choose[byte](s.r, 0x89, 0x8A), payload)
	}
}

func (s *script) message() {
	length := choose(s.r, 0, 1, 3, s.r.IntN(100), 125, 126, 127, 200+s.r.IntN(5000), s.r.IntN(9000))
	if s.r.IntN(20) == 0 {
		length = choose(s.r, 1<<16-1, 1<<16, 1<<16+1)
	}
	op, payload := byte(opBinary), make([]byte, length)
	for i := range payload {
		payload[i] = byte(s.r.Uint32())
	}
	if s.r.IntN(2) == 0 {
		op = opText
		payload = payload[:0]
		for len(payload) < length {
			payload = fmt.Append(payload, choose(s.r, "plain ", "é", "€", "😀", "\x00"))
		}
	}
	s.messages++
	for s.control(); ; s.control() {
		n := len(payload)
		if !s.whole {
			n = min(n, choose(s.r, n, 0, 1, s.r.IntN(n+1)))
		}
		if n == len(payload) {
			s.frame(0x80|op, payload)
			return
		}
		s.frame(op, payload[:n])
		op, payload = opContinuation, payload[n:]
	}
}

// pieces says how long each piece of a script is.
func pieces(r *rand.Rand) func() int {
	return func() int { return choose(r, 1, 2, 14, 1+r.IntN(300), 1+r.IntN(5000), 1<<20) }
}

// buffers says how many bytes each read asks for.
func buffers(r *rand.Rand) func() int {
	return func() int { return choose(r, bufferSizes...) }
}

// What a peer sends within the limits is what the library reads, whatever the
// pieces are in which both do it, also while many connections borrow the same
// buffers and somebody else reads ahead.
func TestBytesInAreBytesOut(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			r := dice(t)
			var wg sync.WaitGroup
			defer wg.Wait()
			for range 16 {
				s, mine := newScript(r, true, false, 30), another(r)
				c, far, _ := tr.open(t, Config{Limits: &Limits{MessageSize: 1 << 17, MessageTime: time.Minute, MinRate: 4096}})
				go io.Copy(io.Discard, far)
				go far.Write(hello) // each has borrowed and given back before the next one does
				if _, err := io.ReadFull(readerOf(c), make([]byte, len(hello))); err != nil {
					t.Fatal(err)
				}
				cut := pieces(another(r))
				wg.Go(func() { feed(far, s.bytes, cut, true) })
				wg.Go(func() {
					var got []byte
					for buf := make([]byte, 9000); ; {
						if mine.IntN(10) == 0 {
							go c.prefetch()
						}
						n, err := c.Read(buf[:choose(mine, bufferSizes...)])
						if got = append(got, buf[:n]...); err != nil {
							break
						}
					}
					if !bytes.Equal(got, s.bytes) {
						t.Errorf("%d bytes in, %d bytes out, or others", len(s.bytes), len(got))
					}
					if n := c.Counts(); n.MessagesIn != int64(s.messages)+1 || n.BytesIn != int64(len(s.bytes)+len(hello)) {
						t.Errorf("%+v, want %d messages in %d bytes", n, s.messages, len(s.bytes))
					}
				})
			}
		})
	}
}

// A script with a wrong byte or two in it is refused where the reference
// refuses it.
func TestBytesThatAreWrong(t *testing.T) {
	r := dice(t)
	for range 120 {
		s := newScript(r, true, false, 1+r.IntN(4))
		for range 1 + r.IntN(2) {
			s.bytes[r.IntN(min(len(s.bytes), 200))] ^= 1 << r.IntN(8)
		}
		l := Limits{
			MessageSize: choose(r, 0, r.Int64N(10000)), FrameSize: choose(r, 0, r.Int64N(10000)),
			Fragments: choose(r, 0, r.IntN(20)), Empty: choose(r, 0, r.IntN(4)),
		}
		want := reference(s.bytes, l)
		wantParsed(t, s.bytes, &l, want, func() int { return 1 })
		wantParsed(t, s.bytes, &l, want, pieces(r))
		l.Controls, l.ControlEvery = choose(r, 0, r.IntN(10)), time.Hour
		wantMetered(t, choose(r, transports[:2]...), s.bytes, r.IntN(20), l, pieces(another(r)), buffers(r))
	}
}

// Whatever the pieces are in which a library writes, and whatever is sent
// beside it, the peer reads whole frames: the library's bytes in their order,
// pings and messages of this side between them, and a close frame at the end.
func TestFramesOfThisSide(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			r := dice(t)
			total := 0
			// Whose turn it is nobody can say: some rounds more, until a message was sent.
			for n := 0; n < 20 || total == 0 && n < 500; n++ {
				s, cut := newScript(r, false, r.IntN(2) == 0, 20), pieces(another(r))
				c, far, _ := tr.open(t, Config{Limits: &Limits{WriteTime: time.Minute}})
				var wg sync.WaitGroup
				var written, sent int
				wg.Go(func() { written = write(c, s.bytes, cut) })
				over := make(chan struct{})
				wg.Go(func() { pester(c, over) })
				if s.whole { // of two messages none may lie within the other
					wg.Go(func() { sent = say(t, c, over) })
				}
				until := choose(r, len(s.bytes), r.IntN(len(s.bytes)))
				got := listen(far, until, func() {
					close(over)
					c.End(Cause{Code: 1001, Reason: "bye", Err: errTest})
				})
				c.Kill()
				wg.Wait()
				if got.err != nil || !bytes.Equal(got.theirs, s.bytes[:written]) || written < until {
					t.Fatalf("%v; the peer has read %d bytes of %d written of %d, or others", got.err, len(got.theirs), written, len(s.bytes))
				}
				if got.ours != sent || !got.closed {
					t.Fatalf("%d messages of this side were read, %d written; closed: %v", got.ours, sent, got.closed)
				}
				total += sent
			}
			if total == 0 {
				t.Error("no message of this side found its way")
			}
		})
	}
}

// write is the library: it writes until that is refused between two frames, and
// returns how much has gone out.
func write(c *Conn, b []byte, piece func() int) (written int) {
	for written < len(b) {
		n, err := c.Write(b[written:min(written+piece(), len(b))])
		if written += n; err != nil {
			return written
		}
	}
	return written
}

// pester sends pings until it is over.
func pester(c *Conn, over <-chan struct{}) {
	for {
		select {
		case <-over:
			return
		default:
			c.ping()
		}
	}
}

// say sends messages that begin with a word and count, and returns how many.
func say(t *testing.T, c *Conn, over <-chan struct{}) (sent int) {
	for {
		select {
		case <-over:
			return sent
		default:
		}
		err := c.WriteMessage(true, fmt.Appendf(nil, "ours %d %s", sent, strings.Repeat("x", sent%200)))
		switch {
		case err == nil:
			sent++
		case errors.Is(err, errTest):
			return sent
		case !strings.Contains(err.Error(), "not complete"):
			t.Errorf("message %d: %v", sent, err)
			return sent
		}
	}
}

// heard is what a peer has read.
type heard struct {
	theirs []byte // frames of the library
	ours   int    // messages of this side
	closed bool   // a close frame of this side was the last
	err    error
}

// listen reads frames to the end of the stream, which it asks for after so many
// bytes of the library.
func listen(far io.ReadWriteCloser, until int, end func()) (h heard) {
	defer far.Close()
	end = sync.OnceFunc(end)
	defer end()
	br := bufio.NewReader(far)
	for {
		if len(h.theirs) >= until {
			end()
		}
		head, payload, err := readFrame(br)
		switch {
		case err != nil:
			h.err = err
			return h
		case head[0] == 0x88:
			h.closed = string(payload) == "\x03\xe9bye"
			return h
		case head[0] == 0x89 && len(payload) == 0:
		case bytes.HasPrefix(payload, []byte("ours ")):
			if want := fmt.Appendf(nil, "ours %d ", h.ours); !bytes.HasPrefix(payload, want) {
				h.err = fmt.Errorf("read %.20q, want %q", payload, want)
				return h
			}
			h.ours++
		default:
			h.theirs = append(append(h.theirs, head...), payload...)
		}
	}
}

// readFrame reads a frame of a server.
func readFrame(r io.Reader) (head, payload []byte, err error) {
	head = make([]byte, 2, 10)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, nil, err
	}
	length := []byte{head[1]}
	if more := map[byte]int{126: 2, 127: 8}[head[1]]; more > 0 {
		head = head[:2+more]
		length = head[2:]
		if _, err := io.ReadFull(r, length); err != nil {
			return nil, nil, err
		}
	}
	var n uint64
	for _, b := range length {
		n = n<<8 | uint64(b)
	}
	if n > 1<<20 || head[0]&0x70 != 0 {
		return nil, nil, fmt.Errorf("no frame begins with % x", head)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head, payload, err
}
