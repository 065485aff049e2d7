package interop

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// R41, R42: a length that is too long ends the connection when a header
// declares it: not one byte of the payload is sent here.
func TestMaxMessageSize(t *testing.T) {
	const most = 1000
	for _, tc := range []struct {
		name string
		in   []byte
	}{
		{"one byte too many", header(0x80|opText, most+1)},
		{"a terabyte", header(0x80|opBinary, 1<<40)},
		{"2^63-1", header(0x80|opBinary, 1<<63-1)},
		{"fragments together", append(frame(opText, make([]byte, most)), header(0x80, 1)...)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				srv := start(t, s, limits{message: most})
				c := srv.connect(handshake{})
				c.echo(strings.Repeat("x", most))
				c.send(tc.in)
				if got := c.wantClose(1009); got != "message too big" {
					t.Errorf("reason %q", got)
				}
				srv.wantClosed(1009, wsguard.InitiatorServer, "message_too_big")
				if r := get(t, srv.broken).Refusal; r.Safeguard != "MaxMessageSize" {
					t.Errorf("violation of %v", r)
				}
			})
		})
	}
}

// R44: framing that RFC 6455 forbids ends with 1002, whatever the library
// thinks of it, and what came before it is still answered.
func TestFraming(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   []byte
	}{
		{"reserved bit", frame(0x80|0x20|opText, []byte("x"))},
		{"unknown opcode", frame(0x80|0x3, nil)},
		{"unknown control opcode", frame(0x80|0xB, nil)},
		{"not masked", []byte{0x81, 0x01, 'x'}},
		{"ping of 126 bytes", frame(0x80|opPing, make([]byte, 126))},
		{"ping in fragments", frame(opPing, nil)},
		{"continuation of nothing", frame(0x80, []byte("x"))},
		{"message within a message", append(frame(opText, nil), text("x")...)},
		{"length not minimal", []byte{0x81, 0x80 | 126, 0, 1, 0, 0, 0, 0, 'x'}},
		{"length of 2^63", header(0x80|opText, 1<<63)},
		{"close frame of one byte", frame(0x80|opClose, []byte{3})},
		{"close frame with 1005", closeFrame(1005)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, noRouter, func(t *testing.T, s stack) {
				srv := start(t, s, limits{})
				c := srv.connect(handshake{})
				c.echo("fine")
				c.send(tc.in)
				if got := c.wantClose(1002); got != "protocol error" {
					t.Errorf("reason %q", got)
				}
				srv.wantClosed(1002, wsguard.InitiatorServer, "protocol_error")
			})
		})
	}
}

// R27: a connection that is old ends, whatever happens on it.
func TestMaxLifetime(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{lifetime: 50 * time.Millisecond})
		c := srv.connect(handshake{})
		if got := c.wantClose(3008); got != "lifetime over" {
			t.Errorf("reason %q", got)
		}
		srv.wantClosed(3008, wsguard.InitiatorServer, "lifetime_over")
		c = srv.connect(handshake{})
		quit := c.pester(3*time.Millisecond, text("I am busy"))
		defer quit()
		c.untilClose(3008)
	})
}

// R27, R48: pings and pongs do not keep a connection that carries no message.
func TestIdleTimeout(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		// Long enough that no pause of the machine can be taken for idleness.
		srv := start(t, s, limits{idle: 300 * time.Millisecond})
		c := srv.connect(handshake{})
		began := time.Now()
		quit := c.pester(100*time.Millisecond, frame(0x80|opPing, []byte("?"))) // as fast as control frames may come
		defer quit()
		if got := c.untilClose(3008); got != "idle" {
			t.Errorf("reason %q", got)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("ended after %v: pings have kept it", took)
		}
		srv.wantClosed(3008, wsguard.InitiatorServer, "idle")
	})
}

// pester sends b every so often until quit is called or the socket is closed.
func (c *client) pester(every time.Duration, b []byte) (quit func()) {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				if _, err := c.conn.Write(b); err != nil {
					return
				}
			}
		}
	}()
	return func() { close(stop); <-stopped }
}

// untilClose reads up to the close frame, past whatever else there is.
func (c *client) untilClose(code uint16) string {
	c.t.Helper()
	for {
		first, p, ok := c.next()
		if !ok {
			c.t.Fatalf("the stream ends without a close frame, want %d", code)
		}
		if first&0x0F == opClose {
			if !bytes.HasPrefix(p, []byte{byte(code >> 8), byte(code)}) {
				c.t.Fatalf("close frame %v, want code %d", p, code)
			}
			return string(p[2:])
		}
	}
}

// R48: a ping reaches a silent client, and a client that answers stays, also
// through more pongs than a client may send of itself.
func TestKeepAliveKeeps(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{ping: 10 * time.Millisecond, pong: patience})
		c := srv.connect(handshake{})
		for range 40 {
			first, p, ok := c.next()
			if !ok || first != 0x80|opPing {
				t.Fatalf("frame %08b, want a ping", first)
			}
			c.pong(p)
		}
		c.echo("still here")
	})
}

// R48: a client that answers nothing is closed, although it reads.
func TestKeepAliveEnds(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{ping: 20 * time.Millisecond, pong: 20 * time.Millisecond})
		c := srv.connect(handshake{})
		c.mute = true
		if got := c.wantClose(3008); got != "no pong" {
			t.Errorf("reason %q", got)
		}
		srv.wantClosed(3008, wsguard.InitiatorServer, "no_pong")
	})
}

// R48: while the library sends as fast as it can, pings stand between its
// frames and never within one.
func TestPingsWithinAStream(t *testing.T) {
	eachStack(t, noRouter, func(t *testing.T, s stack) {
		srv := start(t, s, limits{ping: 5 * time.Millisecond, pong: patience})
		c := srv.connect(handshake{})
		c.send(text("stream"))
		for pings, messages := 0, 0; ; {
			first, p, ok := c.next()
			switch {
			case !ok:
				t.Fatal("the stream ends")
			case first == 0x80|opPing:
				c.pong(p)
				if pings++; pings == 5 {
					srv.stop()
				}
			case bytes.Equal(p, streamed):
				messages++
			case bytes.Equal(p, streamEnd):
				if messages == 0 {
					t.Error("no message between the pings: this test shows nothing")
				}
				return
			default:
				t.Fatalf("frame %08b with %.40q", first, p)
			}
		}
	})
}
