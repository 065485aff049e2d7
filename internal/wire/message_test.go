package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A refMessage is a data message as the application gets it.
type refMessage struct {
	text    bool
	payload string
}

// refMessages are the whole messages of a stream, and what answers its control
// frames, from nothing but RFC 6455.
func refMessages(in []byte, l Limits) (messages []refMessage, answers []byte) {
	in = in[:reference(in, l).end]
	var m refMessage
	for len(in) > 0 {
		h := readRefHeader(in)
		payload := bytes.Clone(in[h.size:][:h.length])
		for i := range payload {
			payload[i] ^= h.key[i%4]
		}
		in = in[h.size+int(h.length):]
		switch h.opcode {
		case opPing:
			answers = append(append(answers, 0x8A, byte(len(payload))), payload...)
		case opClose:
			answers = append(append(answers, 0x88, byte(len(payload))), payload...)
		case opPong:
		default:
			if h.opcode != opContinuation {
				m = refMessage{text: h.opcode == opText}
			}
			if m.payload += string(payload); h.fin {
				messages = append(messages, m)
			}
		}
	}
	return messages, answers
}

// readMessages reads so many messages, or to the end. Each payload is looked at again just before
// the next call: until then it has to stay what it is.
func readMessages(c *Conn, most int, between func()) (got []refMessage, err error) {
	for len(got) < most {
		text, payload, err := c.ReadMessage()
		if err != nil {
			return got, err
		}
		m := refMessage{text, string(payload)}
		between()
		if string(payload) != m.payload {
			return got, errors.New("a payload has changed in the hands of the application")
		}
		got = append(got, m)
	}
	return got, nil
}

// wantMessages lets a connection read a stream, of which so many bytes came
// with the handshake, and checks the messages, the answers and the end.
func wantMessages(t *testing.T, tr transport, in []byte, head int, l Limits, piece func() int) {
	t.Helper()
	want := reference(in, l)
	messages, answers := refMessages(in, l)
	refused := want.due() >= 0 && want.due() <= len(in)
	head = min(head, len(in))
	c, far, _ := tr.open(t, Config{Head: bytes.Clone(in[:head]), Limits: &l, Messages: true})
	answered := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(far)
		answered <- b
	}()
	// Who closes a pipe does not hear the answers any more: it stays open.
	_, half := far.(interface{ CloseWrite() error })
	most := len(in) + 1
	if !half && len(answers) > 0 && want.code == 0 && !refused {
		most = len(messages)
	}
	go feed(far, in[head:], piece, want.code == 0 && !refused && most > len(in))
	got, err := readMessages(c, most, func() {})
	var closed *PeerClosed
	switch {
	case !slices.Equal(got, messages):
		t.Fatalf("%d messages and %v, want %d, or they are others", len(got), err, len(messages))
	case refused && !want.knows(err, len(in)):
		t.Fatalf("%v, want %+v", err, want)
	case want.code != 0 && (!errors.As(err, &closed) || closed.Code != want.code):
		t.Fatalf("%v, want close code %d", err, want.code)
	case !refused && want.code == 0 && err != want.eof(len(in)) && most > len(in):
		t.Fatalf("%v, want %v", err, want.eof(len(in)))
	case c.Counts().MessagesIn != int64(len(messages)):
		t.Fatalf("%d messages are counted, want %d", c.Counts().MessagesIn, len(messages))
	}
	c.Kill()
	if b := <-answered; !refused && most > len(in) && !bytes.Equal(b, answers) {
		t.Fatalf("the answers are % x, want % x", b, answers)
	}
}

// FuzzMessages sends arbitrary bytes in arbitrary pieces: the messages that are
// read, what answers the control frames and how it ends must be what the
// reference says.
func FuzzMessages(f *testing.F) {
	addStreams(f, func(in []byte, l Limits, choice []byte) {
		for _, socket := range []bool{false, true} {
			f.Add(in, choice, uint(len(choice)), l.MessageSize, l.Fragments, l.Empty, socket)
		}
	})
	f.Fuzz(func(t *testing.T, in, cuts []byte, head uint, messageSize int64, fragments, empty int, socket bool) {
		if messageSize < 0 || fragments < 0 || empty < 0 {
			return
		}
		l := Limits{MessageSize: messageSize, Fragments: fragments, Empty: empty}
		tr := transports[0]
		if socket {
			tr = transports[1]
		}
		wantMessages(t, tr, in, int(head%64), l, sizes(cuts, pieceSizes))
	})
}

// The table goes through every transport, byte by byte and in one piece.
func TestMessagesOnEveryTransport(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			controls := join(frameOf(0x89, []byte("one")), frameOf(0x01, []byte("a")), frameOf(0x89, []byte("two")), frameOf(0x8A, []byte("?")),
				frameOf(0x80, []byte("b")), frameOf(0x89, nil), hello, frameOf(0x88, []byte("\x0F\xA0bye")), hello)
			for _, size := range []int{1, 7, 1 << 20} {
				wantMessages(t, tr, controls, 0, Limits{}, func() int { return size })
			}
			for _, tc := range framings {
				wantMessages(t, tr, tc.in, 0, tc.limits, func() int { return 1 << 20 })
				if len(tc.in) <= 1<<10 {
					wantMessages(t, tr, tc.in, 3, tc.limits, func() int { return 1 })
				}
			}
		})
	}
}

// What peers send is what applications read, while many connections borrow the
// same buffers, somebody else reads ahead, and the applications take their time.
func TestMessagesInAreMessagesOut(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			r := dice(t)
			var wg sync.WaitGroup
			defer wg.Wait()
			for range 16 {
				s, mine := newScript(r, true, false, 30), another(r)
				want, _ := refMessages(s.bytes, Limits{})
				c, far, _ := tr.open(t, Config{Limits: &Limits{MessageSize: 1 << 17, MessageTime: time.Minute, MinRate: 4096}, Messages: true})
				go io.Copy(io.Discard, far)
				cut := pieces(another(r))
				wg.Go(func() { feed(far, s.bytes, cut, false) })
				wg.Go(func() {
					got, err := readMessages(c, len(want), func() {
						if mine.IntN(4) == 0 {
							go c.prefetch()
							runtime.Gosched()
						}
					})
					if err != nil || !slices.Equal(got, want) {
						t.Errorf("%v after %d messages, want %d, or they are others", err, len(got), len(want))
					}
				})
			}
		})
	}
}

// A message in the hands of the application stays what it is also when the
// connection ends meanwhile, and others borrow what it has given back.
func TestMessageOfAConnectionThatEnds(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			c, far, _ := tr.open(t, Config{Messages: true})
			go io.Copy(io.Discard, far)
			go far.Write(join(frameOf(0x82, []byte("mine")), frameOf(0x82, []byte("next"))))
			_, payload, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			c.End(Cause{Code: 1001})
			_ = far.Close()
			<-c.Done()
			for range 100 {
				other := chunks.Get().(*chunk)
				clear(other[:])
				defer chunks.Put(other)
			}
			if string(payload) != "mine" {
				t.Errorf("the message has become %q", payload)
			}
			if _, _, err := c.ReadMessage(); err == nil {
				t.Error("there is another one")
			}
		})
	}
}

// So it does when more comes before the application asks for it.
func TestMessageBeforeTheNextComes(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			c, far, _ := tr.open(t, Config{Messages: true})
			go far.Write(frameOf(0x82, []byte("mine")))
			_, payload, err := c.ReadMessage()
			if err != nil {
				t.Fatal(err)
			}
			go far.Write(frameOf(0x82, []byte("next")))
			c.prefetch()
			if string(payload) != "mine" {
				t.Errorf("the message has become %q", payload)
			}
			if _, payload, err = c.ReadMessage(); err != nil || string(payload) != "next" {
				t.Errorf("the next is %q, %v", payload, err)
			}
		})
	}
}

// What a frame declares takes no memory before it comes.
func TestDeclaredIsNotReceived(t *testing.T) {
	const declared = 1 << 30
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			c, far, _ := tr.open(t, Config{Messages: true})
			header := binary.BigEndian.AppendUint64([]byte{0x82, 0x80 | 127}, declared)
			go func() {
				far.Write(append(header, 0, 0, 0, 0))
				far.Write(make([]byte, 10_000))
				_ = far.Close()
			}()
			if _, _, err := c.ReadMessage(); err == nil {
				t.Fatal("there is a message")
			}
			if got := cap(*c.whole); got > 1<<16 {
				t.Errorf("%d bytes are held for 10,000", got)
			}
		})
	}
}

// A message passes without an allocation of ours.
func TestNoMessageAllocates(t *testing.T) {
	for name, frames := range map[string][]byte{
		"message":      frameOf(0x81, []byte(strings.Repeat("é", 200))),
		"long message": frameOf(0x82, make([]byte, 8000)),
		"fragments":    join(frameOf(0x01, []byte("one ")), frameOf(0x00, nil), frameOf(0x80, []byte("two"))),
		"in a row":     bytes.Repeat(frameOf(0x81, make([]byte, 130)), 20),
	} {
		t.Run(name, func(t *testing.T) {
			c, far, _ := transports[1].open(t, Config{Limits: &guarded, Messages: true})
			messages, _ := refMessages(frames, Limits{})
			const times = 10 // a lent buffer may have to be made now and then, but not for each
			if n := testing.AllocsPerRun(20, func() {
				for range times {
					_, _ = far.Write(frames)
					for range messages {
						if _, _, err := c.ReadMessage(); err != nil {
							t.Fatal(err)
						}
					}
				}
			}); n >= times {
				t.Errorf("%v allocations for %d times", n, times)
			}
		})
	}
}

// BenchmarkReadMessage is a message of 130 bytes on its way in.
func BenchmarkReadMessage(b *testing.B) {
	frame := frameOf(0x81, bytes.Repeat([]byte("x"), 130))
	c := newResponded(&endless{frames: bytes.Repeat(frame, 64)}, Config{Limits: &guarded, Owner: owner{}, Messages: true})
	defer c.Kill()
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := c.ReadMessage(); err != nil {
			b.Fatal(err)
		}
	}
}

// A message that was just received came when it was; one that has lain behind
// another comes when it is asked for, or the time in between would count
// against the peer.
func TestCame(t *testing.T) {
	for name, l := range map[string]Limits{
		"nobody asks when": {Idle: time.Hour},
		"keep-alive":       {Idle: time.Hour, Ping: 10 * time.Hour, Pong: time.Hour},
		"pace":             {Idle: time.Hour, ByteRate: 100, ByteBurst: 1000},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRigOf(t, Config{Limits: &l, Messages: true})
				both := append(frameOf(0x81, []byte("one")), frameOf(0x81, []byte("two"))...)
				time.AfterFunc(time.Second, func() { r.send(both) })
				next := func(want string, read, came time.Duration) {
					t.Helper()
					if _, payload, err := r.conn.ReadMessage(); string(payload) != want || err != nil {
						t.Fatalf("%q, %v", payload, err)
					}
					pass(read - r.age())
					if got := r.conn.Came().Sub(r.born); got != came {
						t.Errorf("%s came at %v, want %v", want, got, came)
					}
					r.conn.Touch(time.Time{})
					if got := r.conn.LastActivity().Sub(r.born); got != came {
						t.Errorf("the last activity was at %v, want %v", got, came)
					}
				}
				one := time.Second
				if name == "nobody asks when" {
					one = 5 * time.Second // then it is as if it came when somebody does
				}
				next("one", 5*time.Second, one)
				next("two", 7*time.Second, 7*time.Second)
				r.conn.Touch(r.born.Add(6 * time.Second))
				if got := r.conn.LastActivity().Sub(r.born); got != 6*time.Second {
					t.Errorf("the last activity was at %v", got)
				}
			})
		})
	}
}
