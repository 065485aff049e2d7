package wire

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// brief is a limit on time that has to be reached: all of these tests wait for
// it, and none of them minds how long it takes.
const brief = 50 * time.Millisecond

// waitFor waits for something that comes if all is right.
func waitFor[E any](t *testing.T, events <-chan E) (e E) {
	t.Helper()
	select {
	case e = <-events:
	case <-time.After(outer):
		t.Fatalf("no %T came", e)
	}
	return e
}

// hear is a peer that reads, and leaves when it is told to.
func hear(far net.Conn) {
	defer far.Close()
	for {
		if head, _, err := readFrame(far); err != nil || head[0] == 0x88 {
			return
		}
	}
}

// R49: a peer that does not read is found on whatever the connection runs, and
// the write that waits for it says why it ends.
func TestStallOnEveryTransport(t *testing.T) {
	eachTransport(t, Limits{WriteTime: brief}, func(t *testing.T, c *Conn, _ net.Conn, closed <-chan Report) {
		go io.Copy(io.Discard, readerOf(c))
		_, err := c.Write([]byte{0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0}) // 2^40 bytes
		for payload := make([]byte, 1<<20); err == nil; {
			_, err = c.Write(payload)
		}
		if err != SlowReader {
			t.Errorf("the write ends with %v, want %v", err, SlowReader)
		}
		if rep := waitFor(t, closed); rep.Cause == nil || rep.Cause.Err != SlowReader || rep.Initiator != Server {
			t.Errorf("%+v", rep)
		}
	})
}

// R49: and so is one that takes a little now and then: it earns less time than
// it costs.
func TestStallNowAndThen(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			near, far := tr.pair(t)
			for _, nc := range []net.Conn{near, far} { // or a system takes all that is written
				if s, ok := nc.(interface {
					SetReadBuffer(int) error
					SetWriteBuffer(int) error
				}); ok {
					_, _ = s.SetReadBuffer(4<<10), s.SetWriteBuffer(4<<10)
				}
			}
			closed := make(chan Report, 1)
			c := newResponded(near, Config{Owner: closing(closed), Limits: &Limits{WriteTime: 4 * brief, MinRate: 1 << 30}})
			go func() {
				defer far.Close()
				for buf := make([]byte, 64<<10); ; <-time.After(brief) {
					if _, err := far.Read(buf); err != nil {
						return
					}
				}
			}()
			if err := c.WriteMessage(false, make([]byte, 16<<20)); err != SlowReader {
				t.Errorf("the message ends with %v, want %v", err, SlowReader)
			}
			waitFor(t, closed)
		})
	}
}

type reader struct{ c *Conn }

func (r reader) Read(p []byte) (int, error) { return r.c.Read(p) }

// readerOf hides what a Conn can besides.
func readerOf(c *Conn) io.Reader { return reader{c} }

// R42, R49: so is a peer that begins a message and does not go on.
func TestSlowMessageOnEveryTransport(t *testing.T) {
	for name, sent := range map[string][]byte{"half a header": hello[:1], "half a payload": hello[:8], "half a ping": frameOf(0x89, []byte("abc"))[:5]} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, Limits{MessageTime: brief, MinRate: 4096}, func(t *testing.T, c *Conn, far net.Conn, closed <-chan Report) {
				go far.Write(join(hello, sent))
				go hear(far)
				if _, err := io.Copy(io.Discard, readerOf(c)); err != SlowMessage {
					t.Errorf("the read ends with %v, want %v", err, SlowMessage)
				}
				if rep := waitFor(t, closed); rep.Cause == nil || rep.Cause.Err != SlowMessage || rep.MessagesIn != 1 {
					t.Errorf("%+v", rep)
				}
			})
		})
	}
}

// R46, R49: bytes are read no faster than allowed, and all of them are.
func TestPacingOnEveryTransport(t *testing.T) {
	const burst, each = 1 << 10, 64 << 10
	eachTransport(t, Limits{ByteRate: each, ByteBurst: burst}, func(t *testing.T, c *Conn, far net.Conn, _ <-chan Report) {
		sent := bytes.Repeat(frameOf(0x82, make([]byte, 500)), 20)
		began := time.Now()
		go feed(far, sent, func() int { return 1 << 20 }, true)
		got, _ := io.ReadAll(readerOf(c))
		least := time.Duration(len(sent)-burst) * time.Second / each
		if took := time.Since(began); took < least || !bytes.Equal(got, sent) {
			t.Errorf("%d of %d bytes came in %v, want all of them, in no less than %v", len(got), len(sent), took, least)
		}
	})
}

// End lets go of a reader wherever it waits: for the peer, with a buffer of its
// own or a lent one, for the pace, or for somebody who reads ahead.
func TestEndWakesAReader(t *testing.T) {
	for name, tc := range map[string]struct {
		limits Limits
		buffer int
		before func(c *Conn, far net.Conn)
	}{
		"a small buffer": {Limits{}, 256, func(*Conn, net.Conn) {}},
		"a large buffer": {Limits{}, 8 << 10, func(*Conn, net.Conn) {}},
		"within a message": {Limits{MessageTime: time.Hour, MinRate: 1}, 256, func(c *Conn, far net.Conn) {
			go far.Write(hello[:3])
			c.Read(make([]byte, 3))
		}},
		"the pace": {Limits{ByteRate: 0.01, ByteBurst: len(hello)}, 256, func(c *Conn, far net.Conn) {
			go far.Write(hello)
			c.Read(make([]byte, len(hello)))
		}},
		"behind a read ahead": {Limits{}, 256, func(c *Conn, far net.Conn) {
			c.readMu.Lock()
			go func() {
				defer c.readMu.Unlock()
				c.receive(make([]byte, len(chunk{})), true)
			}()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, tc.limits, func(t *testing.T, c *Conn, far net.Conn, closed <-chan Report) {
				tc.before(c, far)
				failed := make(chan error, 1)
				go func() {
					_, err := c.Read(make([]byte, tc.buffer))
					failed <- err
				}()
				for c.readMu.TryLock() { // until it reads
					c.readMu.Unlock()
				}
				c.End(Cause{Code: 1001, Err: errTest})
				if name != "behind a read ahead" { // it may come behind the drain, too
					c.clock.stop() // what else would let go of it, as the peer does nothing
				}
				if err := waitFor(t, failed); err != errTest {
					t.Errorf("the read ends with %v, want %v", err, errTest)
				}
				go hear(far)
				if rep := waitFor(t, closed); rep.Code != 1001 || rep.Initiator != Server {
					t.Errorf("%+v", rep)
				}
			})
		})
	}
}

// What came with the handshake counts against the rate of bytes. R46
func TestHeadIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Config{Head: hello, Limits: &Limits{ByteRate: 1, ByteBurst: len(hello)}})
		go r.peer.Write(hello)
		io.ReadFull(readerOf(r.conn), make([]byte, len(hello)))
		if r.age() != 0 {
			t.Errorf("the head came after %v", r.age())
		}
		io.ReadFull(readerOf(r.conn), make([]byte, len(hello)))
		if want := time.Duration(len(hello)) * time.Second; r.age() < want-time.Second {
			t.Errorf("twice the burst came in %v, want %v", r.age(), want)
		}
	})
}

// A peer whose framing is broken sees the end of the stream behind the close
// frame: its answer could not be told from the rest. One that has answered
// before it was asked is not waited for.
func TestDrain(t *testing.T) {
	for _, tr := range transports {
		if tr.name == "pipe" || tr.name == "wrapped TCP" {
			continue // they cannot end one direction
		}
		t.Run(tr.name, func(t *testing.T) {
			c, far, closed := tr.open(t, Config{})
			far.Write([]byte{0xC1, 0x80})
			if _, err := c.Read(make([]byte, 10)); err != ReservedBits {
				t.Fatalf("%v, want %v", err, ReservedBits)
			}
			c.clock.stop() // the end of the socket is not what is looked for
			if head, _, err := readFrame(far); err != nil || head[0] != 0x88 {
				t.Errorf("% x, %v, want a close frame", head, err)
			}
			if n, err := far.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("%d bytes and %v, want the end of the stream", n, err)
			}
			far.Close()
			waitFor(t, closed)
		})
	}
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Config{Head: join(hello, frameOf(0x88, []byte{3, 232}))})
		go io.Copy(io.Discard, r.peer)
		r.conn.Read(make([]byte, len(hello)))
		r.conn.End(Cause{Code: 1001})
		r.wantEnd(0, 1001, Server)
	})
}

// R48: while the application is busy, somebody reads in its place, so that a
// peer that answers is not ended; what was read is there when it comes back.
func TestReadAheadOnEveryTransport(t *testing.T) {
	eachTransport(t, Limits{Ping: brief, Pong: outer}, func(t *testing.T, c *Conn, far net.Conn, _ <-chan Report) {
		for range 3 {
			head, payload, err := readFrame(far)
			if err != nil || head[0] != 0x89 || len(payload) > 0 {
				t.Fatalf("% x, %v, want a ping", head, err)
			}
			sent := join(frameOf(0x8A, nil), hello)
			before := c.Counts().BytesIn
			far.Write(sent)
			for c.Counts().BytesIn == before { // nobody reads but who reads ahead
				<-time.After(brief / 50)
			}
			got := make([]byte, len(sent))
			if _, err := io.ReadFull(readerOf(c), got); err != nil || !bytes.Equal(got, sent) {
				t.Errorf("% x, %v, want % x", got, err, sent)
			}
		}
	})
}

// R48: a peer that is gone is found on a real socket too.
func TestNoPongOnEveryTransport(t *testing.T) {
	eachTransport(t, Limits{Ping: brief, Pong: brief}, func(t *testing.T, c *Conn, far net.Conn, closed <-chan Report) {
		go hear(far)
		if _, err := c.Read(make([]byte, 1)); err != NoPong {
			t.Errorf("the read ends with %v, want %v", err, NoPong)
		}
		waitFor(t, closed)
	})
}

// Everything at once, and the end somewhere in it: nothing hangs, and the end is
// told once.
func TestEverythingAtOnce(t *testing.T) {
	for _, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			r := dice(t)
			for range 4 {
				o := &teller{closed: make(chan Report, 10)}
				c, far, _ := tr.open(t, Config{Owner: o, Limits: &Limits{
					Ping: time.Millisecond, Pong: time.Minute, Idle: time.Minute, Lifetime: time.Minute,
					MessageTime: time.Minute, WriteTime: time.Minute, MinRate: 1, ByteRate: 1 << 24, ByteBurst: 1 << 20,
				}})
				var wg sync.WaitGroup
				go hear(far)
				go feed(far, newScript(another(r), true, false, 50).bytes, pieces(another(r)), false)
				until := func(f func(r *rand.Rand)) {
					mine := another(r)
					wg.Go(func() {
						for !c.killed.Load() {
							f(mine)
						}
					})
				}
				until(func(r *rand.Rand) { c.Read(make([]byte, choose(r, bufferSizes...))) })
				until(func(r *rand.Rand) { c.Read(make([]byte, choose(r, bufferSizes...))) })
				until(func(*rand.Rand) { c.prefetch() })
				until(func(r *rand.Rand) { c.Write(newScript(r, false, true, 1).bytes) })
				until(func(r *rand.Rand) { c.WriteMessage(true, make([]byte, r.IntN(100))) })
				until(func(r *rand.Rand) {
					c.SetReadDeadline(time.Now().Add(time.Duration(r.IntN(1000)) * time.Microsecond))
					c.SetWriteDeadline(choose(r, time.Time{}, time.Now().Add(time.Second)))
				})
				end := []func(){
					func() { c.End(Cause{Code: 1001, Err: errTest}) }, c.EndSilently, c.Kill,
					func() { c.Close() }, func() { far.Close() }, func() { c.Write([]byte{0x88, 0}); c.Close() },
				}
				wait := time.Duration(r.IntN(3000)) * time.Microsecond
				for range 2 {
					ending := choose(r, end...)
					wg.Go(func() {
						<-time.After(wait)
						ending()
					})
				}
				waitFor(t, o.closed)
				wg.Wait()
				waitFor(t, c.Done())
				if len(o.closed) > 0 || o.endings > 1 {
					t.Errorf("the end was told %d times too often, what decided it %d times", len(o.closed), o.endings)
				}
				if err := c.WriteMessage(true, nil); err == nil || errors.Is(err, io.EOF) {
					t.Errorf("a message after the end: %v", err)
				}
			}
		})
	}
}

// teller is an owner that keeps what it is told.
type teller struct {
	owner
	mu      sync.Mutex
	endings int
	closed  chan Report
}

func (o *teller) Ending(Cause) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.endings++
}

func (o *teller) Closed(r Report) { o.closed <- r }
