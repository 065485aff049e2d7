package wsguard_test

import (
	"context"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// R42, R49: a message that does not get on for ten seconds ends the
// connection, whatever length it declares; a silent connection is no slow
// message.
func TestSlowMessage(t *testing.T) {
	long := clientFrame(final|opBinary, make([]byte, 8<<10))
	for _, tc := range []struct {
		name  string
		bytes []byte
		want  time.Duration
	}{
		{"half a header", textFrame("hi")[:1], 10 * time.Second},
		{"a header", frameHeader(final|opText, 5), 10 * time.Second},
		{"half a payload", textFrame("hello")[:8], 10 * time.Second},
		{"a fragment", clientFrame(opText, ""), 10 * time.Second},
		{"a long one", long[:500], 10 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timed(t, echoes, just(), func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				pass(time.Hour)
				began := time.Now()
				c.send(tc.bytes)
				c.untilClose(3008, "slow message")
				rec.wantEnd(t, began, tc.want+time.Second, 3008, "slow_message")
			})
		})
	}
}

// A control frame that does not get finished ends the connection, too: this
// library gives it five seconds. R49
func TestSlowControlFrame(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"a ping's header": clientFrame(final|opPing, "hello")[:6],
		"half a ping":     clientFrame(final|opPing, "hello")[:8],
		"half a close":    closeFrame(1000, "")[:7],
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, echoes, just(), func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				pass(time.Hour)
				began := time.Now()
				c.send(bytes)
				go c.discard()
				<-rec.closes
				if took := time.Since(began); took > 11*time.Second {
					t.Errorf("it ended after %v", took)
				}
			})
		})
	}
}

// A byte now and then buys no time, whatever else is sent in between. R42, R49
func TestDrippingMessage(t *testing.T) {
	for name, drip := range map[string][][]byte{
		"bytes":     {{'x'}},
		"fragments": {clientFrame(opContinuation, "x")},
		"with pings": {clientFrame(opContinuation, ""), clientFrame(final|opPing, "?"),
			clientFrame(final|opPong, "?")},
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, echoes, just(wsguard.KeepAlive(30*time.Second, 5*time.Second)), func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				began := time.Now()
				if name == "bytes" {
					c.send(frameHeader(final|opText, 100))
				} else {
					c.send(clientFrame(opText, ""))
				}
				go func() {
					for i := 0; ; i++ {
						pass(time.Second)
						if _, err := c.Write(drip[i%len(drip)]); err != nil {
							return
						}
					}
				}()
				go c.discard()
				e := <-rec.closes
				if took := time.Since(began); took > 13*time.Second || e.Code != 3008 || reasonOf(e.Refusal) != "slow_message" {
					t.Errorf("it ended after %v with %d for %v", took, e.Code, e.Refusal)
				}
			})
		})
	}
}

// An honest peer that is slow gets a long message through. R42
func TestSlowButHonestPeer(t *testing.T) {
	timed(t, echoes, just(wsguard.MaxMessageSize(1<<20)), func(t *testing.T, _ *recorder, m *memoryServer) {
		c := m.raw()
		message := clientFrame(final|opBinary, make([]byte, 100<<10))
		go func() {
			for len(message) > 0 { // 5 KiB a second
				n := min(len(message), 5<<10)
				c.send(message[:n])
				message = message[n:]
				pass(time.Second)
			}
		}()
		if first, payload := c.frame(); first&0x0F != opBinary || len(payload) == 0 {
			t.Errorf("frame %08b of %d bytes", first, len(payload))
		}
		go c.discard()
		pass(time.Minute)
	})
}

// The time that the application takes is not the message's. R48
func TestBusyApplicationAndAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
			for range 2 {
				typ, data, err := c.Read(ctx)
				if err != nil {
					return err
				}
				pass(time.Hour)
				if err := c.Write(ctx, typ, data); err != nil {
					return err
				}
			}
			return nil
		})
		c := newMemoryServer(t, h).raw()
		second := textFrame("second")
		c.send(append(textFrame("first"), second[:3]...)) // one and a bit
		c.wantMessage("first")
		go c.send(second[3:])
		c.wantMessage("second")
		c.wantClose(1000, "")
		rec.wantClosed(t, 1000, wsguard.InitiatorServer, "")
	})
}

// R49: a write that stalls for ten seconds ends the connection, below every
// library.
func TestStalledWrite(t *testing.T) {
	timed(t, echoes, just(), func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		pass(time.Hour)
		began := time.Now()
		c.send(textFrame("hi")) // and the echo is not read
		rec.wantEnd(t, began, 11*time.Second, 1008, "slow_reader")
	})
}

// Every reason of time can have another code. R45
func TestCloseCodesOfTime(t *testing.T) {
	expiring := func() wsguard.Principal {
		return wsguard.Principal{Issuer: "id", Subject: "alice", Expires: time.Now().Add(time.Minute)}
	}
	for reason, tc := range map[string]struct {
		safeguard func() func(http.Handler) http.Handler
		send      []byte
	}{
		"no_pong":       {func() func(http.Handler) http.Handler { return wsguard.KeepAlive(time.Second, time.Second) }, nil},
		"idle":          {func() func(http.Handler) http.Handler { return wsguard.IdleTimeout(time.Second) }, nil},
		"lifetime_over": {func() func(http.Handler) http.Handler { return wsguard.MaxLifetime(time.Second) }, nil},
		"token_expired": {func() func(http.Handler) http.Handler {
			return wsguard.Authenticate(fixedTokens{"t": expiring()}, wsguard.FromAuthorization())
		}, nil},
		"slow_message": {func() func(http.Handler) http.Handler { return wsguard.MaxMessageSize(10) }, frameHeader(final|opText, 1)},
	} {
		t.Run(reason, func(t *testing.T) {
			codes := wsguard.CloseCodes(map[string]websocket.StatusCode{reason: 4321})
			for name, inside := range map[string]bool{"inside": true, "outside": false} {
				t.Run(name, func(t *testing.T) {
					timed(t, echoes, func() []func(http.Handler) http.Handler {
						if inside {
							return []func(http.Handler) http.Handler{tc.safeguard(), codes}
						}
						return []func(http.Handler) http.Handler{codes, tc.safeguard()}
					}, func(t *testing.T, rec *recorder, m *memoryServer) {
						c := m.raw("Authorization: Bearer t")
						if tc.send != nil {
							c.send(tc.send)
						}
						for {
							first, payload := c.frame()
							if first == final|opPing {
								continue
							}
							if first != final|opClose || payload[0] != 4321>>8 || payload[1] != 4321&0xFF {
								t.Errorf("frame %08b with %q, want a close frame with 4321", first, payload)
							}
							break
						}
						if e := <-rec.closes; e.Code != 4321 || e.Refusal.CloseCode != 4321 || e.Refusal.Reason != reason {
							t.Errorf("closed with %d for %v", e.Code, e.Refusal)
						}
					})
				})
			}
		})
	}
}

// No library can move the limits: deadlines that it sets come on top of them.
// R27, R49
func TestLimitsBelowADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		conns := make(chan net.Conn, 1)
		h := wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.MaxLifetime(time.Minute))(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusSwitchingProtocols)
			nc, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			conns <- nc
		}))
		c := newMemoryServer(t, h).raw("Connection: Upgrade")
		nc := <-conns
		began := time.Now()
		ended := make(chan error, 1)
		go func() {
			_, err := nc.Read(make([]byte, 1))
			ended <- err
		}()
		go func() {
			for range 100 {
				_ = nc.SetDeadline(time.Now().Add(time.Hour))
				pass(time.Second)
			}
		}()
		c.untilClose(3008, "lifetime over")
		if err := <-ended; !isRefusal(err, "lifetime_over") {
			t.Errorf("the library's read ended with %v", err)
		}
		rec.wantEnd(t, began, time.Minute+time.Second, 3008, "lifetime_over")
	})
}
