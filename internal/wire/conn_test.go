package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var errTest = errors.New("test")

// pass lets the time of the bubble pass; none of these tests waits.
func pass(d time.Duration) { <-time.After(d) }

// rig is a connection over net.Pipe, whose far end is the test.
type rig struct {
	t      *testing.T
	conn   *Conn
	peer   net.Conn
	born   time.Time
	closed atomic.Int32
	report chan Report
}

// newResponded is New after the response.
func newResponded(near net.Conn, cfg Config) *Conn {
	c := New(near, cfg)
	c.out.inResponse = false
	c.clock.upgraded()
	return c
}

func newRig(t *testing.T, limits Limits) *rig { return newRigOf(t, Config{Limits: &limits}) }

func newRigOf(t *testing.T, cfg Config) *rig {
	t.Helper()
	near, far := net.Pipe()
	r := &rig{t: t, peer: far, born: time.Now(), report: make(chan Report, 1)}
	cfg.Owner = r
	r.conn = newResponded(near, cfg)
	t.Cleanup(func() { far.Close(); r.conn.Kill() })
	return r
}

// Refuse ends with 1002 for a violation, and 3008 for what is overdue.
func (r *rig) Refuse(err error) Cause { return owner{}.Refuse(err) }
func (r *rig) Ending(Cause)           {}
func (r *rig) Alarm()                 {}
func (r *rig) Closed(rep Report)      { r.closed.Add(1); r.report <- rep }

// owner is one whom nobody asks.
type owner struct{}

func (owner) Refuse(err error) Cause {
	if _, late := err.(Overdue); late {
		return Cause{Code: 3008, Err: err}
	}
	return Cause{Code: 1002, Err: err}
}
func (owner) Ending(Cause)  {}
func (owner) Alarm()        {}
func (owner) Closed(Report) {}

// library reads as a library does, until there is an error.
func (r *rig) library() (got chan []byte, failed chan error) {
	got, failed = make(chan []byte, 1000), make(chan error, 1)
	go func() {
		for {
			buf := make([]byte, 64)
			n, err := r.conn.Read(buf)
			if n > 0 {
				got <- buf[:n]
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	return got, failed
}

// frame reads a server frame from the far end.
func (r *rig) frame() (op byte, payload []byte) {
	r.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(r.peer, head); err != nil {
		r.t.Fatalf("no frame: %v", err)
	}
	payload = make([]byte, head[1])
	if _, err := io.ReadFull(r.peer, payload); err != nil {
		r.t.Fatalf("half a frame: %v", err)
	}
	return head[0] & 0x0F, payload
}

func (r *rig) send(b []byte) {
	if len(b) == 0 {
		return
	}
	if _, err := r.peer.Write(b); err != nil {
		r.t.Errorf("send: %v", err)
	}
}

func (r *rig) age() time.Duration { return time.Since(r.born) }

// wantEnd waits for the end of the socket and checks when and how it came.
func (r *rig) wantEnd(at time.Duration, code uint16, by Initiator) Report {
	r.t.Helper()
	rep := <-r.report
	if r.age() != at || rep.Code != code || rep.Initiator != by {
		r.t.Errorf("ended after %v with %d by %d, want %v, %d, %d", r.age(), rep.Code, rep.Initiator, at, code, by)
	}
	synctest.Wait()
	if n := r.closed.Load(); n != 1 {
		r.t.Errorf("Closed was called %d times", n)
	}
	return rep
}

var hello = frameOf(0x81, []byte("hello"))

// R48: a peer that is gone is found interval and timeout after its last byte.
func TestKeepAliveFindsADeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Ping: 30 * time.Second, Pong: 5 * time.Second})
		_, failed := r.library()
		pass(7 * time.Second)
		r.send(hello)
		op, _ := r.frame()
		late := r.age() - 37*time.Second
		if op != opPing || late < 0 || late > 30*time.Second/256 {
			t.Errorf("opcode %d after %v, want a ping at 37 s or hardly later", op, r.age())
		}
		if op, p := r.frame(); op != opClose || binary.BigEndian.Uint16(p) != 3008 || r.age() != 42*time.Second+late {
			t.Errorf("opcode %d %v after %v, want a close with 3008 five seconds later", op, p, r.age())
		}
		if err := <-failed; err != NoPong {
			t.Errorf("read error %v, want the cause", err)
		}
		r.wantEnd(43*time.Second+late, 3008, Server)
	})
}

// Pings of connections that began at different times go out together.
func TestPingsGoOutTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const connections, every = 64, 64 * time.Second
		var at []time.Time
		var mu sync.Mutex
		var all sync.WaitGroup
		for range connections {
			r := newRig(t, Limits{Ping: every, Pong: time.Second})
			r.library()
			all.Go(func() {
				op, _ := r.frame()
				if late := r.age() - every; op != opPing || late < 0 || late >= every/256 {
					t.Errorf("opcode %d after %v, want a ping within a 256th of %v after it", op, r.age(), every)
				}
				mu.Lock()
				at = append(at, time.Now())
				mu.Unlock()
				<-r.report
			})
			pass(7 * time.Millisecond)
		}
		all.Wait()
		slices.SortFunc(at, time.Time.Compare)
		if n := len(slices.Compact(at)); n > 3 { // 64 in 448 ms, a quarter of a second apart
			t.Errorf("the pings of %d connections went out at %d times", connections, n)
		}
	})
}

// R48: whatever the peer sends proves that it lives.
func TestAnyByteIsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Ping: 30 * time.Second, Pong: 5 * time.Second})
		r.library()
		for range 20 {
			r.frame()
			pass(4 * time.Second)
			r.send(hello[:1]) // not even a whole header
			if r.closed.Load() != 0 {
				t.Fatalf("ended after %v", r.age())
			}
			r.send(hello[1:])
		}
	})
}

// Time during which the application does not read is not the peer's silence.
func TestABusyApplicationIsNotADeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Ping: 30 * time.Second, Pong: 5 * time.Second})
		go func() { // a peer that answers pings
			for {
				head := make([]byte, 2)
				if _, err := io.ReadFull(r.peer, head); err != nil {
					return
				}
				if _, err := r.peer.Write(frameOf(0x8A, nil)); err != nil {
					return
				}
			}
		}()
		pass(10 * time.Minute) // nobody reads
		if r.closed.Load() != 0 {
			t.Fatal("a peer that answers was ended")
		}
		buf := make([]byte, 4096)
		if n, err := r.conn.Read(buf); err != nil || n == 0 {
			t.Errorf("read %d, %v: the bytes that proved life are lost", n, err)
		}
	})
}

// A handler that only writes still learns that its peer is gone.
func TestDeadPeerOfAHandlerThatNeverReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Ping: 30 * time.Second, Pong: 5 * time.Second})
		go io.Copy(io.Discard, r.peer)
		<-r.report
		if r.age() > time.Minute {
			t.Errorf("found after %v", r.age())
		}
	})
}

// R27: idle counts messages that were accepted, not bytes.
func TestIdle(t *testing.T) {
	for _, tc := range []struct {
		name  string
		count bool
		send  []byte
		want  time.Duration
	}{
		{"pings do not count", true, frameOf(0x89, nil), 60 * time.Second},
		{"messages count", true, hello, 110 * time.Second},
		{"fragments do not count", true, frameOf(0x01, nil), 60 * time.Second},
		{"messages wait for Touch", false, hello, 60 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRigOf(t, Config{CountMessages: tc.count, Limits: &Limits{Idle: time.Minute}})
				r.library()
				pass(50 * time.Second)
				r.send(tc.send)
				r.frame()
				r.send(frameOf(0x88, []byte{3, 232}))
				r.wantEnd(tc.want, 3008, Server)
			})
		})
	}
}

func TestTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Idle: time.Minute})
		pass(30 * time.Second)
		r.conn.Touch(time.Now())
		go io.Copy(io.Discard, r.peer)
		r.wantEnd(91*time.Second, 3008, Server)
	})
}

// R25, R27: nothing that the peer does moves the lifetime or the expiry.
func TestLifetimeAndExpiry(t *testing.T) {
	for name, times := range map[string]Limits{
		"lifetime": {Lifetime: time.Minute, Expiry: time.Hour},
		"expiry":   {Lifetime: time.Hour, Expiry: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, times)
				r.library()
				go io.Copy(io.Discard, r.peer)
				for range 59 {
					pass(time.Second)
					r.send(hello)
				}
				r.wantEnd(61*time.Second, 3008, Server)
			})
		})
	}
}

// A message has its time from its first byte, plus its length at the minimum
// rate, and dripping does not extend it.
func TestSlowMessage(t *testing.T) {
	for _, tc := range []struct {
		name string
		send []byte
		want time.Duration
	}{
		{"half a header", hello[:1], 10 * time.Second},
		{"half a payload", hello[:8], 10 * time.Second},
		{"half a ping", frameOf(0x89, []byte("abc"))[:5], 10 * time.Second},
		{"an open message", frameOf(0x01, nil), 10 * time.Second},
		{"a long one", frameOf(0x82, make([]byte, 8<<10))[:100], 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Limits{MessageTime: 10 * time.Second, MinRate: 4096})
				r.library()
				pass(time.Hour) // an idle connection is no slow message
				r.send(tc.send)
				if op, _ := r.frame(); op != opClose || r.age() != time.Hour+tc.want {
					t.Errorf("opcode %d after %v, want a close after 1 h and %v", op, r.age(), tc.want)
				}
			})
		})
	}
}

func TestDripping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{MessageTime: 10 * time.Second, MinRate: 4096})
		r.library()
		go func() {
			for _, b := range frameOf(0x81, make([]byte, 100)) {
				if _, err := r.peer.Write([]byte{b}); err != nil {
					return
				}
				pass(time.Second)
			}
		}()
		defer pass(2 * time.Second) // for the goroutine to find out
		if op, _ := r.frame(); op != opClose || r.age() > 11*time.Second {
			t.Errorf("opcode %d after %v, want a close after 10 s", op, r.age())
		}
	})
}

// A message that begins in the bytes of another does not age while the
// application is busy with the first.
func TestABusyApplicationDoesNotMakeAMessageSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{MessageTime: 10 * time.Second, MinRate: 4096})
		go r.send(append(append([]byte(nil), hello...), hello[:3]...))
		buf := make([]byte, 64)
		if _, err := r.conn.Read(buf); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		go r.send(hello[3:])
		if _, err := r.conn.Read(buf); err != nil {
			t.Errorf("ended for the application's own hour: %v", err)
		}
	})
}

// R49: a write that stalls ends the connection, without a frame in a frame.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{WriteTime: 10 * time.Second})
		if _, err := r.conn.Write([]byte{0x81, 1, 'a'}); err == nil {
			t.Error("a write that nobody read has returned without an error")
		}
		r.wantEnd(11*time.Second, 3008, Server)
	})
}

// A close frame never comes inside a frame of the library's.
func TestEndWaitsForTheFrameInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		_, failed := r.library()
		var got []byte
		gone := make(chan struct{})
		go func() { got, _ = io.ReadAll(r.peer); close(gone) }()
		if _, err := r.conn.Write([]byte{0x81, 4, 'a', 'b'}); err != nil {
			t.Fatal(err)
		}
		r.conn.End(Cause{Code: 1001, Reason: "bye", Err: errTest})
		synctest.Wait()
		n, err := r.conn.Write([]byte{'c', 'd', 0x81, 1, 'x'})
		if n != 2 || err != errTest {
			t.Errorf("wrote %d, %v: want the rest of the frame and the cause", n, err)
		}
		if err := <-failed; err != errTest {
			t.Errorf("read error %v", err)
		}
		<-gone
		want := []byte{0x81, 4, 'a', 'b', 'c', 'd', 0x88, 5, 3, 233, 'b', 'y', 'e'}
		if !bytes.Equal(got, want) {
			t.Errorf("the peer got % x, want % x", got, want)
		}
	})
}

// The end is bounded, whatever the peer does: facts of a library's own Close
// that hung for ever.
func TestEndIsBounded(t *testing.T) {
	giant := []byte{0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}
	for name, peer := range map[string]func(r *rig){
		"silent":                 func(r *rig) { io.Copy(io.Discard, r.peer) },
		"not even reading":       func(r *rig) {},
		"giant frame, then drip": func(r *rig) { go io.Copy(io.Discard, r.peer); drip(r, giant, 50*time.Millisecond) },
		"giant frame, firehose":  func(r *rig) { go io.Copy(io.Discard, r.peer); drip(r, giant, 0) },
		"broken frames":          func(r *rig) { go io.Copy(io.Discard, r.peer); drip(r, []byte{0xFF, 0xFF}, 50*time.Millisecond) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Limits{})
				gone := make(chan struct{})
				go func() { peer(r); close(gone) }()
				r.library()
				r.conn.End(Cause{Code: 1001, Err: errTest})
				<-r.report
				if r.age() > linger {
					t.Errorf("took %v", r.age())
				}
				<-gone
			})
		})
	}
}

func drip(r *rig, first []byte, every time.Duration) {
	for _, err := r.peer.Write(first); err == nil; _, err = r.peer.Write(make([]byte, 4096)) {
		if every > 0 {
			pass(every)
		}
	}
}

// An answered close ends at once, and counts as ours or as the peer's by who
// was first.
func TestWhoClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		r.library()
		r.conn.End(Cause{Code: 4000, Err: errTest})
		r.frame()
		r.send(frameOf(0x88, []byte{3, 232}))
		r.wantEnd(0, 4000, Server)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		got, _ := r.library()
		r.send(frameOf(0x88, []byte{0x0F, 0xA1}))
		<-got
		go io.Copy(io.Discard, r.peer)
		if _, err := r.conn.Write([]byte{0x88, 2, 0x0F, 0xA1}); err != nil {
			t.Errorf("the library cannot answer: %v", err)
		}
		r.conn.Close()
		r.wantEnd(0, 4001, Peer)
	})
	synctest.Test(t, func(t *testing.T) { // a library that answers and never closes
		r := newRig(t, Limits{})
		r.library()
		r.send(frameOf(0x88, nil))
		r.wantEnd(closeTimeout, 1005, Peer)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		_, failed := r.library()
		r.peer.Close()
		if err := <-failed; err == nil {
			t.Error("no error for a stream that broke")
		}
		r.wantEnd(0, 1006, Network)
	})
	synctest.Test(t, func(t *testing.T) { // the library closes first
		r := newRig(t, Limits{})
		r.library()
		go io.Copy(io.Discard, r.peer)
		r.conn.Write([]byte{0x88, 2, 3, 233})
		r.wantEnd(closeTimeout, 1001, Server)
	})
}

// R44: what comes before a broken frame is delivered, the frame is not.
func TestViolation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		got, failed := r.library()
		r.send(append(append([]byte(nil), hello...), 0xC1, 0x80))
		if b := <-got; !bytes.Equal(b, hello) {
			t.Errorf("got % x", b)
		}
		if err := <-failed; err != ReservedBits {
			t.Errorf("error %v", err)
		}
		if op, p := r.frame(); op != opClose || binary.BigEndian.Uint16(p) != 1002 {
			t.Errorf("opcode %d, %v", op, p)
		}
		r.wantEnd(linger, 1002, Server)
	})
}

// Bytes that came with the handshake come first, and are judged.
func TestHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Config{Head: hello})
		got, _ := r.library()
		if b := <-got; !bytes.Equal(b, hello) {
			t.Errorf("got % x", b)
		}
		if n := r.conn.Counts(); n.MessagesIn != 1 || n.BytesIn != int64(len(hello)) {
			t.Errorf("counts %+v", n)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Config{Head: []byte{0xFF, 0xFF}})
		_, failed := r.library()
		go io.Copy(io.Discard, r.peer)
		if err := <-failed; err != ReservedBits {
			t.Errorf("error %v", err)
		}
	})
}

// A library that writes the response itself gets no frame into it, and after
// an error response no frame at all.
func TestResponse(t *testing.T) {
	for _, tc := range []struct {
		name, status string
		want         []byte
	}{
		{"101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", []byte{0x81, 1, 'a', 0x88, 2, 3, 233}},
		{"400", "HTTP/1.1 400 Bad Request\r\n\r\n", []byte{0x81, 1, 'a'}},
	} {
		for size := 1; size < 80; size += 13 {
			t.Run(tc.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, Limits{})
					r.conn.out.inResponse = true
					var got []byte
					gone := make(chan struct{})
					go func() { got, _ = io.ReadAll(r.peer); close(gone) }()
					for rest := []byte(tc.status); len(rest) > 0; {
						n, err := r.conn.Write(rest[:min(size, len(rest))])
						if err != nil {
							t.Fatal(err)
						}
						rest = rest[n:]
						r.conn.ping() // owed until the response is out, and never in it
						r.conn.writeMu.Lock()
						r.conn.pingOwed = false
						r.conn.writeMu.Unlock()
					}
					r.conn.Write([]byte{0x81, 1, 'a'})
					r.conn.End(Cause{Code: 1001})
					<-gone
					body := bytes.TrimPrefix(got, []byte(tc.status))
					body = bytes.ReplaceAll(body, []byte{0x89, 0}, nil)
					if !bytes.Equal(body, tc.want) {
						t.Errorf("after the head: % x, want % x", body, tc.want)
					}
				})
			})
		}
	}
}

// The library's deadlines keep working, and cannot weaken ours.
func TestDeadlinesOfTheLibrary(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Lifetime: time.Minute})
		r.conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := r.conn.Read(make([]byte, 1)); !isTimeout(err) || r.age() != time.Second {
			t.Errorf("%v after %v, want the library's timeout after 1 s", err, r.age())
		}
		r.conn.SetDeadline(time.Now().Add(time.Hour))
		_, failed := r.library()
		go io.Copy(io.Discard, r.peer)
		<-failed
		r.conn.SetDeadline(time.Now().Add(time.Hour))
		r.wantEnd(61*time.Second, 3008, Server)
	})
}

// A message passes without an allocation of ours.
func TestNoAllocation(t *testing.T) {
	near, far := net.Pipe()
	c := newResponded(near, Config{Owner: owner{}, Limits: &Limits{
		Ping: time.Hour, Pong: time.Hour, MessageTime: time.Hour, WriteTime: time.Hour}})
	defer c.Kill()
	in, out := make([]byte, 64), make([]byte, 64)
	answer := []byte{0x81, 2, 'o', 'k'}
	go func() {
		for {
			if _, err := far.Write(hello); err != nil {
				return
			}
			if _, err := far.Read(out); err != nil {
				return
			}
		}
	}()
	if n := testing.AllocsPerRun(200, func() {
		c.Read(in)
		c.Write(answer)
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

// A library that takes the connection and never responds, or refuses and
// leaves the socket open, does not keep it.
func TestNoResponse(t *testing.T) {
	for name, tc := range map[string]struct {
		write string
		want  time.Duration
	}{
		"nothing":     {"", closeTimeout},
		"half a head": {"HTTP/1.1 101 Switching", closeTimeout},
		"a refusal":   {"HTTP/1.1 400 Bad Request\r\n\r\nno", linger},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				born, closed := time.Now(), make(chan Report, 1)
				c := New(near, Config{Owner: closing(closed)})
				go io.Copy(io.Discard, far)
				if tc.write != "" {
					c.Write([]byte(tc.write))
				}
				<-closed
				if age := time.Since(born); age != tc.want {
					t.Errorf("closed after %v, want %v", age, tc.want)
				}
			})
		})
	}
}

type closing chan Report

func (closing) Refuse(err error) Cause { return owner{}.Refuse(err) }
func (closing) Ending(Cause)           {}
func (closing) Alarm()                 {}
func (c closing) Closed(rep Report)    { c <- rep }

// What ends a connection before the response is out lets the response pass
// first, so that the peer reads the close frame as one.
func TestEndBeforeTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		c := New(near, Config{Owner: owner{}})
		var got []byte
		gone := make(chan struct{})
		go func() { got, _ = io.ReadAll(far); close(gone) }()
		c.End(Cause{Code: 1011, Err: errTest})
		synctest.Wait()
		const head = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
		if _, err := c.Write([]byte(head)); err != nil {
			t.Errorf("the response is refused: %v", err)
		}
		<-gone
		if want := head + "\x88\x02\x03\xf3"; string(got) != want {
			t.Errorf("the peer got %q, want %q", got, want)
		}
	})
}

// R42: what is small, legal and endless ends the connection: fragments by
// their number, control frames by their rate.
func TestFloods(t *testing.T) {
	limits := Limits{Fragments: 100, Controls: 20, ControlEvery: 100 * time.Millisecond}
	for _, tc := range []struct {
		name    string
		first   []byte
		flood   []byte
		every   time.Duration
		allowed int
		want    error
	}{
		{"empty fragments", frameOf(0x01, nil), frameOf(0x00, nil), 0, 99, TooManyFragments},
		{"fragments of a byte", frameOf(0x01, nil), frameOf(0x00, []byte("x")), 0, 99, TooManyFragments},
		{"pings", nil, frameOf(0x89, make([]byte, 125)), 0, 20, TooManyControls},
		{"pongs", nil, frameOf(0x8A, nil), 0, 20, TooManyControls},
		{"pings in a message", frameOf(0x01, nil), frameOf(0x89, nil), 0, 20, TooManyControls},
		{"pings at the rate", nil, frameOf(0x89, nil), 100 * time.Millisecond, 1000, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, limits)
				_, failed := r.library()
				go io.Copy(io.Discard, r.peer)
				r.send(tc.first)
				for range tc.allowed {
					r.send(tc.flood)
					pass(tc.every)
				}
				synctest.Wait()
				select {
				case err := <-failed:
					t.Fatalf("ended within the limit: %v", err)
				default:
				}
				if tc.want == nil {
					return
				}
				r.send(tc.flood)
				if err := <-failed; err != tc.want {
					t.Errorf("error %v, want %v", err, tc.want)
				}
			})
		})
	}
}

// The pongs that our own pings ask for are no flood.
func TestPongsThatWereAskedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Controls: 20, ControlEvery: 100 * time.Millisecond,
			Ping: 10 * time.Millisecond, Pong: time.Second})
		_, failed := r.library()
		for range 500 {
			r.frame()
			r.send(frameOf(0x8A, nil))
		}
		synctest.Wait()
		select {
		case err := <-failed:
			t.Errorf("ended: %v", err)
		default:
		}
	})
}
