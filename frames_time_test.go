package wsguard_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// wantReplies reads frames of the server, which have to be these.
func (c *rawClient) wantReplies(replies ...reply) {
	c.tb.Helper()
	for i, want := range replies {
		if first, payload := c.frame(); (reply{first, string(payload)}) != want {
			c.tb.Fatalf("frame %d: %08b with %d bytes %.80q, want %08b with %d bytes %.80q",
				i, first, len(payload), payload, want.first, len(want.payload), want.payload)
		}
	}
}

// mustEnd waits for the end of a connection, and not for ever: observers keep
// the time of a bubble going. The event stays to be read.
func (r *recorder) mustEnd(t *testing.T) {
	t.Helper()
	select {
	case e := <-r.closes:
		r.closes <- e
	case <-time.After(2 * time.Hour):
		t.Fatal("it did not end")
	}
}

// Bytes beyond a rate wait in the peer: it is slowed down to the rate, and
// nothing is lost or refused. R42, R46, R49
func TestByteRate(t *testing.T) {
	var messages, fragments, pings [][]byte
	var texts, pongs []reply
	for i := range 100 {
		payload := fmt.Sprintf("%04d", i) + strings.Repeat("x", 1000)
		messages, texts = append(messages, text(payload)), append(texts, textBack(payload))
		fragments = append(fragments, inFragments(opText, cutEvery(payload, 10)...)...)
		pings, pongs = append(pings, ping(payload[:100])), append(pongs, pongBack(payload[:100]))
	}
	long := strings.Repeat("0123456789abcdef", 2<<10)
	for _, tc := range []struct {
		name   string
		limits wsguard.FrameLimits
		sent   [][]byte
		back   []reply
	}{
		{"messages", wsguard.FrameLimits{ByteRate: 5000, ByteBurst: 2000}, messages, texts},
		{"messages, a small burst", wsguard.FrameLimits{ByteRate: 5000, ByteBurst: 1}, messages[:20], texts[:20]},
		{"messages, a large burst", wsguard.FrameLimits{ByteRate: 5000, ByteBurst: 50_000}, messages, texts},
		{"all within the burst", wsguard.FrameLimits{ByteRate: 1, ByteBurst: 1 << 20}, messages, texts},
		{"fragments of ten bytes", wsguard.FrameLimits{ByteRate: 10_000, ByteBurst: 500}, fragments, texts},
		{"pings", wsguard.FrameLimits{ByteRate: 1000, ByteBurst: 200, ControlRate: 1000}, pings, pongs},
		{"a message slower than MessageTimeout lets a peer be", wsguard.FrameLimits{ByteRate: 500, ByteBurst: 500}, [][]byte{text(long)}, []reply{textBack(long)}},
		{"a rate below a byte a second", wsguard.FrameLimits{ByteRate: 0.5, ByteBurst: 10}, [][]byte{text("hello")}, []reply{textBack("hello")}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timed(t, echoes, just(wsguard.LimitFrames(tc.limits)), func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				began, total := time.Now(), 0
				go func() {
					for _, b := range tc.sent {
						if _, err := c.Write(b); err != nil {
							return
						}
					}
				}()
				for _, b := range tc.sent {
					total += len(b)
				}
				c.wantReplies(tc.back...)
				beyond := max(0, float64(total-tc.limits.ByteBurst))
				least := time.Duration(beyond / float64(tc.limits.ByteRate) * float64(time.Second))
				// It is read in pieces of up to 512 bytes, for each of which it waits.
				most := least + time.Duration(min(512, float64(tc.limits.ByteBurst))/float64(tc.limits.ByteRate)*float64(time.Second)) + time.Second
				if beyond == 0 {
					most = 0
				}
				if took := time.Since(began); took < least-time.Millisecond || took > most {
					t.Errorf("%d bytes took %v, want %v to %v", total, took, least, most)
				}
				if len(rec.closes)+len(rec.violations) > 0 {
					t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
				}
			})
		})
	}
}

// Tokens that are not used are kept up to the burst, and no further.
func TestByteBurstAfterSilence(t *testing.T) {
	timed(t, echoes, just(wsguard.LimitFrames(wsguard.FrameLimits{ByteRate: 1000, ByteBurst: 4000})), func(t *testing.T, _ *recorder, m *memoryServer) {
		c := m.raw()
		pass(time.Hour)
		frame := binaries(string(make([]byte, 1000-8))) // a thousand with its header
		began := time.Now()
		for i := range 8 {
			go c.send(frame)
			c.frame()
			want := max(0, time.Duration(i-3)*time.Second)
			if took := time.Since(began); took < want-time.Millisecond || took > want+time.Second {
				t.Errorf("message %d was there after %v, want %v", i+1, took, want)
			}
		}
	})
}

// A connection that is being slowed down ends when it has to, and a peer that
// waits for its turn is not taken for a dead one.
func TestByteRateAndTheEnd(t *testing.T) {
	slow := wsguard.LimitFrames(wsguard.FrameLimits{ByteRate: 10, ByteBurst: 100})
	timed(t, echoes, just(slow, wsguard.MaxLifetime(time.Minute), wsguard.KeepAlive(time.Second, time.Second)), func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		began := time.Now()
		go func() {
			for range 1000 { // of which some thirty are read
				if _, err := c.Write(text("hello, hello, hello")); err != nil {
					return
				}
			}
			_, _ = c.Write(closeFrame(3008, "")) // for the others are thrown away
		}()
		c.untilClose(3008, "lifetime over")
		rec.mustEnd(t)
		rec.wantEnd(t, began, time.Minute, 3008, "lifetime_over")
	})
}

// A first message that is late ends the connection, whatever else has come in
// time. R27, R49
func TestFirstMessageTimeout(t *testing.T) {
	const d = 20 * time.Second
	for _, tc := range []struct {
		name  string
		sent  []byte        // at half time
		later []byte        // a second after d, unless it is over
		ends  time.Duration // 0 is not at all
	}{
		{"nothing", nil, nil, d},
		{"a ping", ping("?"), nil, d},
		{"pongs", times(10, pong("!")), nil, d},
		{"half a message", text("hello")[:8], nil, d},
		{"a fragment", beginText("hello"), nil, d},
		{"a message", text("hello"), nil, 0},
		{"an empty message", binaries(""), nil, 0},
		{"fragments that are whole", append(beginText("a"), last("b")...), nil, 0},
		{"a message and half another", append(text("a"), text("b")[:7]...), text("b")[7:], 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			slowly := just(wsguard.FirstMessageTimeout(d), wsguard.MessageTimeout(time.Hour, 1))
			timed(t, echoes, slowly, func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				began := time.Now()
				go c.discard()
				pass(d / 2)
				if len(tc.sent) > 0 {
					c.send(tc.sent)
				}
				if tc.ends > 0 {
					rec.mustEnd(t)
					rec.wantEnd(t, began, tc.ends+time.Second, 3008, "slow_start")
					return
				}
				pass(d/2 + time.Second)
				if len(tc.later) > 0 {
					c.send(tc.later)
				}
				pass(time.Hour)
				if len(rec.closes) > 0 {
					t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
				}
			})
		})
	}
}

// A message that came with the handshake is the first one.
func TestFirstMessageWithTheHandshake(t *testing.T) {
	timed(t, echoes, just(wsguard.FirstMessageTimeout(time.Second)), func(t *testing.T, rec *recorder, m *memoryServer) {
		nc := m.pipe()
		go func() { _, _ = nc.Write(append([]byte(handshakeText()), text("first")...)) }()
		p := &peer{Conn: nc, br: bufio.NewReader(nc)}
		var err error
		if p.resp, err = http.ReadResponse(p.br, nil); err != nil {
			t.Fatal(err)
		}
		c := &rawClient{p, t}
		c.wantSwitched()
		c.wantMessage("first")
		pass(time.Hour)
		if len(rec.closes) > 0 {
			t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
		}
	})
}

// A drip sends bytes of a message as fast as a row says.
type drip struct {
	name  string
	sent  func() (pieces [][]byte)
	every time.Duration
	ends  time.Duration // when the connection is refused, or 0
	back  int           // the length of the message that comes back
}

// The time of a message is what its peer may stall, and what its bytes earn:
// at the rate it lives for ever, below it for so long. R42, R49
func TestMessageTimeout(t *testing.T) {
	const d, perSecond = 4 * time.Second, 1000
	whole := func(size, n int) func() [][]byte {
		return func() [][]byte {
			b := binaries(string(make([]byte, n*size)))
			return append([][]byte{b[:len(b)-n*size]}, chops(size, b[len(b)-n*size:]).writes...)
		}
	}
	fragments := func(n int, between ...byte) func() [][]byte {
		return func() (pieces [][]byte) {
			for i, f := range inFragments(opBinary, cutEvery(string(make([]byte, n*perSecond)), perSecond)...) {
				if i > 0 && len(between) > 0 {
					f = append(bytes.Clone(between), f...)
				}
				pieces = append(pieces, f)
			}
			return pieces
		}
	}
	pinged := ping("?")
	for _, tc := range []drip{
		{"twice the rate", whole(2*perSecond, 100), time.Second, 0, 200 * perSecond},
		{"the rate", whole(perSecond, 100), time.Second, 0, 100 * perSecond},
		{"the rate, in bytes", whole(1, 3000), time.Millisecond, 0, 3000},
		{"the rate, in fragments", fragments(100), time.Second, 0, 100 * perSecond},
		{"the rate, with pings between the fragments", fragments(100, pinged...), time.Second, 0, 100 * perSecond},
		// 890 bytes lose 0.11 seconds of four each second: 0.92 are left after 28.
		{"just below the rate", whole(890, 100), time.Second, 28*time.Second + 920*time.Millisecond, 0},
		{"below half the rate", whole(450, 100), time.Second, 6*time.Second + 700*time.Millisecond, 0},
		{"below half the rate, in fragments", fragments(100), 2200 * time.Millisecond, 6 * time.Second, 0},
		{"below half the rate, with pings between", fragments(100, pinged...), 2200 * time.Millisecond, 6 * time.Second, 0},
		{"a byte a second", whole(1, 100), time.Second, 4*time.Second + 4*time.Millisecond, 0},
		{"pauses just below d", whole(4*perSecond, 5), d - time.Millisecond, 0, 20 * perSecond},
		{"pauses above d", whole(100*perSecond, 5), d + time.Millisecond, d, 0},
		{"empty fragments", func() [][]byte { return [][]byte{beginText(""), more(""), more(""), more(""), last("")} }, 1500 * time.Millisecond, d, 0},
		{"pings between empty fragments", func() [][]byte { return [][]byte{beginText(""), pinged, pinged, pinged, last("")} }, 1500 * time.Millisecond, d, 0},
		{"a header in pieces", func() [][]byte { return chops(1, text("x")).writes }, 1100 * time.Millisecond, d, 0},
		{"a quick header", func() [][]byte { return chops(1, binaries("x")).writes }, 500 * time.Millisecond, 0, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			limits := just(wsguard.MaxMessageSize(1<<20), wsguard.MessageTimeout(d, perSecond),
				wsguard.LimitFrames(wsguard.FrameLimits{ControlRate: 100}))
			timed(t, echoes, limits, func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				pass(time.Hour) // before a message has begun, nothing counts
				began := time.Now()
				go func() {
					for i, b := range tc.sent() {
						if i > 0 {
							pass(tc.every)
						}
						if _, err := c.Write(b); err != nil {
							return
						}
					}
				}()
				for tc.ends == 0 {
					if first, payload := c.frame(); first != final|opPong {
						if first&0x0F != opBinary || len(payload) != tc.back {
							t.Errorf("frame %08b of %d bytes, want %d", first, len(payload), tc.back)
						}
						return
					}
				}
				go c.discard()
				rec.mustEnd(t)
				rec.wantEnd(t, began, tc.ends+time.Second, 3008, "slow_message")
			})
		})
	}
}

// What a message has earned is neither kept for the next one nor beyond d.
func TestMessageTimeIsNotSaved(t *testing.T) {
	const d = 4 * time.Second
	timed(t, echoes, just(wsguard.MessageTimeout(d, 10)), func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		for range 10 { // each message has all of it
			b := text("hello")
			c.send(b[:3])
			pass(d - time.Second)
			c.send(b[3:])
			c.wantMessage("hello")
		}
		b := text(string(make([]byte, 1000)))
		c.send(b[:900]) // worth more than a minute
		began := time.Now()
		go c.discard()
		rec.mustEnd(t)
		rec.wantEnd(t, began, d+time.Second, 3008, "slow_message")
	})
}

// A peer that takes what is written too slowly ends the connection; one that
// is only slow does not. R49
func TestWriteTimeout(t *testing.T) {
	const (
		size = 64 << 10
		d    = 10 * time.Second
	)
	chain := func(safeguards ...func(http.Handler) http.Handler) []func(http.Handler) http.Handler {
		return safeguards
	}
	for _, tc := range []struct {
		name  string
		chain []func(http.Handler) http.Handler
		take  int // bytes at a time
		every time.Duration
		from  time.Duration // when the connection is refused, or 0
		to    time.Duration
	}{
		{"at once", nil, size, time.Millisecond, 0, 0},
		{"above the rate of 4096 bytes a second", nil, 5000, time.Second, 0, 0},
		{"above the rate, with a second", chain(wsguard.WriteTimeout(time.Second)), 500, 100 * time.Millisecond, 0, 0},
		{"now and then a lot", nil, 16 << 10, 4 * time.Second, 0, 0},
		{"not at all", nil, 0, time.Second, d, d},
		{"a byte a second", nil, 1, time.Second, d, d},
		// What loses three quarters of a second in one has lost ten in 13.3; what
		// is taken may count late, but not early.
		{"a quarter of the rate", nil, 1 << 10, time.Second, d, 14 * time.Second},
		{"half the rate", nil, 2 << 10, time.Second, d, 20 * time.Second},
		{"half the rate, when that is the rate", chain(wsguard.MessageTimeout(10*time.Second, 2<<10)), 2 << 10, time.Second, 0, 0},
		{"a tenth of the rate, when there is none", chain(wsguard.MessageTimeout(time.Hour, 1), wsguard.WriteTimeout(time.Minute)), 400, time.Second, 0, 0},
		{"not at all, with a minute", chain(wsguard.WriteTimeout(time.Minute)), 0, time.Second, time.Minute, time.Minute},
		{"not at all, with a second", chain(wsguard.WriteTimeout(time.Second)), 0, time.Second, time.Second, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			limits := just(append(tc.chain, wsguard.MaxMessageSize(size))...)
			timed(t, echoes, limits, func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				payload := bytes.Repeat([]byte("0123456789abcdef"), size/16)
				c.send(clientFrame(final|opBinary, payload))
				pass(0)
				began := time.Now()
				if tc.to > 0 {
					go func() { _, _ = takeSlowly(c.Conn, 10+size, tc.take, tc.every) }()
					rec.mustEnd(t)
					e := <-rec.closes
					// The library may write a first part by itself.
					if took := time.Since(began) - time.Second; took < tc.from || took > tc.to+time.Second || reasonOf(e.Refusal) != "slow_reader" || e.Code != 1008 {
						t.Errorf("it ended after %v with %d for %v, want %v to %v", took, e.Code, e.Refusal, tc.from, tc.to)
					}
					return
				}
				if got, err := takeSlowly(c.Conn, 10+size, tc.take, tc.every); err != nil || !bytes.Equal(got[10:], payload) {
					t.Errorf("%d bytes came back, %v", len(got), err)
				}
				pass(time.Hour) // there is nothing to be taken
				if len(rec.closes) > 0 {
					t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
				}
			})
		})
	}
}

// takeSlowly reads so many bytes, a few at a time.
func takeSlowly(c net.Conn, total, few int, every time.Duration) (got []byte, err error) {
	buf := make([]byte, few)
	for few > 0 && len(got) < total && err == nil {
		var n int
		n, err = io.ReadFull(c, buf[:min(few, total-len(got))])
		got = append(got, buf[:n]...)
		pass(every)
	}
	return got, err
}
