package wire

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// odd is a net.Conn that does what few do.
type odd struct {
	net.Conn
	read  func([]byte) (int, error) // instead of Read, if it is set
	write func([]byte) (int, error)
}

func (o *odd) Read(p []byte) (int, error) {
	if o.read != nil {
		return o.read(p)
	}
	return o.Conn.Read(p)
}

func (o *odd) Write(p []byte) (int, error) {
	if o.write != nil {
		return o.write(p)
	}
	return o.Conn.Write(p)
}

// newOdd is a Conn on an odd one, and what its peer has read when the socket
// is closed.
func newOdd(t *testing.T, limits Limits) (*Conn, *odd, net.Conn, func() []byte) {
	near, far := net.Pipe()
	o := &odd{Conn: near}
	c := newResponded(o, Config{Owner: owner{}, Limits: &limits})
	t.Cleanup(func() { far.Close(); c.Kill() })
	var got bytes.Buffer
	gone := make(chan struct{})
	go func() { io.Copy(&got, far); close(gone) }()
	return c, o, far, func() []byte { <-gone; return got.Bytes() }
}

// What ends a connection does so in time, also while the response is written,
// and by a close frame in the same write: the response takes back no bound but
// its own.
func TestResponseDoesNotUndoTheEnd(t *testing.T) {
	const switching = "HTTP/1.1 101 Switching Protocols\r\n\r\n"
	for _, tc := range []struct {
		name     string
		write    string
		meantime func(*Conn)
		want     time.Duration
	}{
		{"end", switching, func(c *Conn) { c.End(Cause{Code: 1001, Err: errTest}) }, linger},
		{"close frame", switching + "\x88\x02\x03\xe8", func(*Conn) {}, closeTimeout},
		{"nothing", switching, func(*Conn) {}, time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				go io.Copy(io.Discard, far)
				o, born, closed := &odd{Conn: near}, time.Now(), make(chan Report, 1)
				c := New(o, Config{Owner: closing(closed), Limits: &Limits{Lifetime: time.Hour - linger}})
				o.write = func(p []byte) (int, error) {
					o.write = nil
					tc.meantime(c)
					return near.Write(p)
				}
				if _, err := c.Write([]byte(tc.write)); err != nil {
					t.Error(err)
				}
				<-closed
				if age := time.Since(born); age != tc.want {
					t.Errorf("closed after %v, want %v", age, tc.want)
				}
			})
		})
	}
}

// An identity that expires during the handshake ends the connection, too, on
// a real socket whose peer says nothing.
func TestExpiryDuringTheHandshake(t *testing.T) {
	for range 200 {
		near, far := tcpPair(t)
		closed := make(chan Report, 1)
		c := New(near, Config{Owner: closing(closed), Limits: &Limits{Expiry: 1}})
		c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\n\r\n"))
		defer func() {
			if rep := waitFor(t, closed); rep.Cause == nil || rep.Cause.Err != Expired {
				t.Errorf("%+v", rep)
			}
			far.Close()
		}()
	}
}

// A deadline that a library has left behind stops neither pings nor close
// frames of this side, and is still there for the library's own writes.
func TestDeadlineThatWasLeftBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{Ping: 30 * time.Second, Pong: 5 * time.Second})
		r.library()
		r.conn.SetDeadline(time.Now().Add(time.Second)) // as for a pong
		r.conn.SetReadDeadline(time.Time{})
		for range 3 {
			if op, _ := r.frame(); op != opPing {
				t.Errorf("opcode %d, want a ping", op)
			}
			r.send(frameOf(0x8A, nil))
		}
		if _, err := r.conn.Write([]byte{0x81, 0}); !isTimeout(err) {
			t.Errorf("a write of the library's after its deadline: %v", err)
		}
		r.conn.End(Cause{Code: 1001})
		if op, p := r.frame(); op != opClose || !bytes.Equal(p, []byte{3, 233}) {
			t.Errorf("opcode %d with % x, want a close frame with 1001", op, p)
		}
	})
}

// A deadline that a library sets while a ping is on its way does not stop that.
func TestDeadlineDuringAPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		go r.conn.ping()
		synctest.Wait()
		r.conn.SetWriteDeadline(time.Now().Add(time.Second))
		pass(time.Minute)
		if op, _ := r.frame(); op != opPing {
			t.Errorf("opcode %d, want a ping", op)
		}
		synctest.Wait()
		if _, err := r.conn.Write([]byte{0x81, 0}); !isTimeout(err) {
			t.Errorf("a write of the library's after its deadline: %v", err)
		}
	})
}

// A deadline that comes after the end cuts no frame that the library is still
// writing: the close frame behind it gets through.
func TestDeadlineAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		r.conn.SetWriteDeadline(time.Now().Add(linger / 4))
		go r.conn.Write([]byte{0x81, 2, 'h', 'i'})
		synctest.Wait()
		r.conn.End(Cause{Code: 1001})
		pass(linger / 2)
		for _, want := range []byte{opText, opClose} {
			if op, _ := r.frame(); op != want {
				t.Errorf("opcode %d, want %d", op, want)
			}
		}
	})
}

// A ping that waits for a frame to end is not sent any more when the connection
// ends first.
func TestPingAtTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _, got := newOdd(t, Limits{})
		c.Write([]byte{0x81, 2, 'h'})
		c.ping()
		c.End(Cause{Code: 1001})
		c.Write([]byte{'i'})
		if b := got(); string(b) != "\x81\x02hi\x88\x02\x03\xe9" {
			t.Errorf("the peer reads %q", b)
		}
	})
}

// A dead peer is found also by a handler that stops reading after a while,
// when what it had before is used up. R48
func TestDeadPeerBehindWhatWasRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRigOf(t, Config{Head: join(hello, hello), Limits: &Limits{Ping: 30 * time.Second, Pong: 5 * time.Second}})
		go io.Copy(io.Discard, r.peer)
		for range 2 {
			if _, err := r.conn.Read(make([]byte, len(hello))); err != nil {
				t.Fatal(err)
			}
			pass(31 * time.Second) // busy
		}
		if rep := <-r.report; rep.Cause == nil || rep.Cause.Err != NoPong || r.age() > 2*time.Minute {
			t.Errorf("%+v after %v", rep.Cause, r.age())
		}
	})
}

// The library's read deadline holds while its read waits for the pace.
func TestDeadlineWhileItIsPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{ByteRate: 1, ByteBurst: 512})
		go r.peer.Write(frameOf(0x82, make([]byte, 1000)))
		r.conn.Read(make([]byte, 512))
		r.conn.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := r.conn.Read(make([]byte, 512)); !isTimeout(err) || r.age() != time.Second {
			t.Errorf("%v after %v, want a timeout after 1 s", err, r.age())
		}
	})
}

// A write that waits when the connection ends says why it did.
func TestPendingWrite(t *testing.T) {
	for name, write := range map[string]func(*Conn) error{
		"of the library":  func(c *Conn) error { _, err := c.Write([]byte{0x81, 1, 'a'}); return err },
		"of this package": func(c *Conn) error { return c.WriteMessage(true, []byte("a")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Limits{WriteTime: 10 * time.Second})
				if err := write(r.conn); err != SlowReader {
					t.Errorf("%v, want %v", err, SlowReader)
				}
				r.wantEnd(11*time.Second, 3008, Server)
			})
		})
	}
}

// After half a frame of either side, nothing is written that would be taken
// for the rest of it.
func TestNothingFollowsHalfAFrame(t *testing.T) {
	for name, tc := range map[string]struct {
		before []byte
		write  func(*Conn)
		want   []byte
	}{
		"a ping":      {nil, func(c *Conn) { c.ping() }, []byte{0x89}},
		"a message":   {nil, func(c *Conn) { c.WriteMessage(true, []byte("hi")) }, []byte{0x81}},
		"the library": {nil, func(c *Conn) { c.Write([]byte{0x81, 2, 'h', 'i'}) }, []byte{0x81}},
		"the rest of a frame, at the end": {[]byte{0x81, 3}, func(c *Conn) {
			c.End(Cause{Code: 1001})
			c.Write([]byte("abc"))
		}, []byte{0x81, 3, 'a'}},
		"a close frame": {nil, func(c *Conn) { c.End(Cause{Code: 1001}); <-c.Done() }, []byte{0x88}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, o, _, got := newOdd(t, Limits{})
				c.Write(tc.before)
				o.write = func(p []byte) (int, error) { // as when a deadline comes
					o.write = nil
					n, _ := o.Conn.Write(p[:1])
					return n, errTest
				}
				tc.write(c)
				c.ping()
				c.WriteMessage(true, []byte("next"))
				c.End(Cause{Code: 1001})
				if b := got(); !bytes.Equal(b, tc.want) {
					t.Errorf("the peer reads % x, want % x", b, tc.want)
				}
			})
		})
	}
}

// A first close frame is the one that counts, and a second changes nothing.
func TestSecondCloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		r.library()
		r.send(append(frameOf(0x88, []byte{0x0F, 0xA1}), frameOf(0x88, []byte{3, 232})...))
		r.wantEnd(closeTimeout, 4001, Peer)
	})
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Limits{})
		go io.Copy(io.Discard, r.peer)
		r.conn.Write([]byte{0x88, 2, 0x0F, 0xA1, 0x88, 2, 3, 232})
		r.wantEnd(closeTimeout, 4001, Server)
	})
}

// A limit that is as long as can be is none, and stops no other.
func TestLongestLimits(t *testing.T) {
	const forever = time.Duration(math.MaxInt64)
	for name, l := range map[string]Limits{
		"message":         {MessageTime: forever},
		"write":           {WriteTime: forever},
		"idle":            {Idle: forever, Ping: time.Second, Pong: time.Hour},
		"ping":            {Ping: forever, Pong: time.Second},
		"first message":   {First: forever},
		"control frames":  {Controls: math.MaxInt, ControlEvery: 100 * time.Millisecond},
		"control rate":    {Controls: 20, ControlEvery: forever},
		"size":            {MessageSize: math.MaxInt64, FrameSize: math.MaxInt64},
		"number":          {Fragments: math.MaxInt, Empty: math.MaxInt},
		"rate of minimum": {MessageTime: time.Minute, WriteTime: time.Minute, MinRate: math.MaxInt},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l.Lifetime = time.Minute
				r := newRigOf(t, Config{Limits: &l, CountMessages: true})
				r.library()
				go func() { // a peer that is slow in both directions
					b := make([]byte, 1)
					for {
						pass(time.Second / 4)
						if _, err := r.peer.Read(b); err != nil {
							return
						}
					}
				}()
				for range 2 {
					for _, b := range append(frameOf(0x89, nil), hello...) {
						r.peer.Write([]byte{b})
						pass(time.Second)
					}
					r.conn.Write([]byte{0x81, 0})
				}
				if r.closed.Load() != 0 || r.conn.Ending() {
					t.Fatalf("ended after %v: %v", r.age(), r.conn.endError())
				}
				<-r.report
				if age := r.age(); age < time.Minute || age > time.Minute+2*linger {
					t.Errorf("ended after %v, want its lifetime of 1 m", age)
				}
			})
		})
	}
}

// A net.Conn that does what its documentation forbids or discourages makes
// nobody hang, and loses no byte.
func TestOddConns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // bytes and an error at once
		c, o, _, _ := newOdd(t, Limits{})
		o.read = func(p []byte) (int, error) {
			o.read = func([]byte) (int, error) { return 0, io.EOF }
			return copy(p, hello), io.EOF
		}
		if got, err := io.ReadAll(readerOf(c)); !bytes.Equal(got, hello) || err != nil {
			t.Errorf("read % x, %v, want % x", got, err, hello)
		}
	})
	synctest.Test(t, func(t *testing.T) { // neither bytes nor an error
		c, o, _, _ := newOdd(t, Limits{})
		o.read = func([]byte) (int, error) { return 0, nil }
		if n, err := c.Read(make([]byte, 10)); n != 0 || !errors.Is(err, io.ErrNoProgress) {
			t.Errorf("read %d, %v", n, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a write that takes nothing
		c, o, _, _ := newOdd(t, Limits{WriteTime: time.Second})
		o.write = func([]byte) (int, error) { return 0, nil }
		if n, err := c.Write([]byte{0x81, 0}); n != 0 || err == nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a write that takes a part
		c, o, _, got := newOdd(t, Limits{WriteTime: time.Second})
		o.write = func(p []byte) (int, error) { return o.Conn.Write(p[:1]) }
		if n, err := c.Write([]byte{0x81, 2, 'h', 'i'}); n != 4 || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		c.Kill()
		if b := got(); string(b) != "\x81\x02hi" {
			t.Errorf("the peer reads %q", b)
		}
	})
}

// A peer that a ping or a message does not find was not sent away by this side.
func TestAPeerThatIsGone(t *testing.T) {
	for name, write := range map[string]func(*Conn){
		"a ping":    (*Conn).ping,
		"a message": func(c *Conn) { _ = c.WriteMessage(true, []byte("hello")) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, Limits{})
				r.peer.Close()
				write(r.conn)
				r.conn.Kill()
				r.wantEnd(0, 1006, Network)
			})
		})
	}
}
