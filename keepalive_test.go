package wsguard_test

import (
	"context"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// bareEcho is an upgrade handler of a library that knows nothing of wsguard.
var bareEcho = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	ws.SetReadLimit(-1)
	for {
		typ, data, err := ws.Read(context.Background())
		if err != nil {
			return
		}
		if err := ws.Write(context.Background(), typ, data); err != nil {
			return
		}
	}
})

// bareBusy upgrades and then neither reads nor writes for an hour.
var bareBusy = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if ws, err := websocket.Accept(w, r, nil); err == nil {
		pass(time.Hour)
		_ = ws.CloseNow()
	}
})

func busy(ctx context.Context, _ *wsguard.Conn) error {
	select {
	case <-ctx.Done():
		return nil
	case <-time.After(time.Hour):
		return nil
	}
}

// timed runs a test in a bubble for each way to upgrade below the safeguards.
func timed(t *testing.T, inner map[string]http.Handler, safeguards func() []func(http.Handler) http.Handler, f func(t *testing.T, rec *recorder, m *memoryServer)) {
	for name, h := range inner {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder()
				f(t, rec, newMemoryServer(t, wsguard.Observe(rec.Observer)(wsguard.Chain(safeguards()...)(h))))
			})
		})
	}
}

var (
	echoes = map[string]http.Handler{"Handler": wsguard.Handler(echo), "a bare library": bareEcho}
	busies = map[string]http.Handler{"Handler": wsguard.Handler(busy), "a bare library": bareBusy}
)

func just(safeguards ...func(http.Handler) http.Handler) func() []func(http.Handler) http.Handler {
	return func() []func(http.Handler) http.Handler { return safeguards }
}

// wantEnd checks how, and at what time after began, a connection ended, and
// that nothing of it is left.
func (r *recorder) wantEnd(t *testing.T, began time.Time, at time.Duration, code websocket.StatusCode, reason string) {
	t.Helper()
	e := <-r.closes
	if took := time.Since(began); took != at {
		t.Errorf("it ended after %v, want %v", took, at)
	}
	if e.Code != code || e.Initiator != wsguard.InitiatorServer || reasonOf(e.Refusal) != reason {
		t.Errorf("closed with %d by the %s for %v, want %d for %s", e.Code, e.Initiator, e.Refusal, code, reason)
	}
}

var keepAlive = just(wsguard.KeepAlive(30*time.Second, 5*time.Second))

// wantPing checks when a ping came, and returns how late that was.
func wantPing(t *testing.T, began time.Time, due time.Duration) (late time.Duration) {
	t.Helper()
	late = time.Since(began) - due
	if late < 0 || late > 30*time.Second/256 {
		t.Errorf("a ping after %v, want one after %v or hardly later", time.Since(began), due)
	}
	return late
}

// R48: a peer that is silent is asked, and ended when it does not answer.
func TestKeepAliveFindsADeadPeer(t *testing.T) {
	timed(t, echoes, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		began := time.Now()
		pass(7 * time.Second)
		c.send(textFrame("hi"))
		c.wantMessage("hi")
		first, payload := c.frame()
		if first != final|opPing || len(payload) != 0 {
			t.Errorf("frame %08b, want an empty ping", first)
		}
		began = began.Add(wantPing(t, began, 37*time.Second))
		c.untilClose(3008, "no pong")
		if time.Since(began) != 42*time.Second {
			t.Errorf("a close frame after %v, want 42 s", time.Since(began))
		}
		rec.wantEnd(t, began, 43*time.Second, 3008, "no_pong")
	})
}

// R48, R49: one that does not even read is gone as soon.
func TestKeepAliveFindsAStuckPeer(t *testing.T) {
	for _, inner := range []map[string]http.Handler{echoes, busies} {
		timed(t, inner, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
			m.raw()
			began := time.Now()
			e := <-rec.closes
			if took := time.Since(began); took > 45*time.Second || reasonOf(e.Refusal) == "" {
				t.Errorf("it ended after %v for %v", took, e.Refusal)
			}
		})
	}
}

// R48: a peer that answers stays, whether the application reads or is busy.
func TestKeepAliveKeepsALivingPeer(t *testing.T) {
	for _, inner := range []map[string]http.Handler{echoes, busies} {
		timed(t, inner, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
			m.raw().answerPings()
			pass(50 * time.Minute)
			if len(rec.closes) > 0 {
				t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
			}
		})
	}
}

// A peer that dies while the application is busy is found when the application
// has read what came before. R48
func TestKeepAliveAfterABusyApplication(t *testing.T) {
	timed(t, map[string]http.Handler{"Handler": wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		pass(10 * time.Minute)
		return echo(ctx, c)
	})}, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		began := time.Now()
		if first, _ := c.frame(); first != final|opPing {
			t.Errorf("frame %08b, want a ping", first)
		}
		c.send(clientFrame(final|opPong, "")) // the last sign of life
		go c.discard()
		e := <-rec.closes
		if took := time.Since(began); took < 10*time.Minute || took > 11*time.Minute || reasonOf(e.Refusal) != "no_pong" {
			t.Errorf("it ended after %v for %v", took, e.Refusal)
		}
	})
}

// So does a client of another library, while it reads.
func TestKeepAliveWithAClient(t *testing.T) {
	timed(t, echoes, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.dial()
		go func() {
			pass(time.Hour + 7*time.Second)
			_ = c.Write(context.Background(), websocket.MessageText, []byte("hi"))
		}()
		if _, data, err := c.Read(context.Background()); err != nil || string(data) != "hi" {
			t.Errorf("after an hour of silence: %q, %v", data, err)
		}
	})
}

// Any byte proves life, and nothing that came before the ping does: a pong that
// was guessed is worth no more. R48
func TestWhatProvesLife(t *testing.T) {
	timed(t, echoes, keepAlive, func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		began := time.Now()
		for range 3 {
			c.send(clientFrame(final|opPong, "1")) // unasked
			if first, _ := c.frame(); first != final|opPing {
				t.Fatalf("frame %08b, want a ping", first)
			}
			pass(4 * time.Second)
		}
		c.send(textFrame("hi")[:1]) // not even a header
		pass(4 * time.Second)
		c.send(textFrame("hi")[1:])
		c.wantMessage("hi")
		rec.closes <- wsguard.CloseEvent{} // nothing has ended so far
		if e := <-rec.closes; e.Refusal != nil {
			t.Fatalf("it was ended after %v: %v", time.Since(began), e.Refusal)
		}
		began = time.Now()
		c.send(clientFrame(final|opPong, "2"), clientFrame(final|opPong, "3"))
		if first, _ := c.frame(); first != final|opPing {
			t.Fatalf("frame %08b, want a ping", first)
		}
		began = began.Add(wantPing(t, began, 30*time.Second))
		c.untilClose(3008, "no pong")
		rec.wantEnd(t, began, 36*time.Second, 3008, "no_pong")
	})
}

// R27, R48: pings, pongs and fragments do not keep an idle connection, messages
// do.
func TestIdleTimeout(t *testing.T) {
	idle := just(wsguard.IdleTimeout(time.Minute))
	for _, tc := range []struct {
		name  string
		frame []byte
		want  time.Duration
	}{
		{"messages", textFrame("hi"), 115 * time.Second},
		{"empty messages", textFrame(""), 115 * time.Second},
		{"pings", clientFrame(final|opPing, "?"), 60 * time.Second},
		{"pongs", clientFrame(final|opPong, "?"), 60 * time.Second},
		{"a fragment", clientFrame(opText, "hi"), 60 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timed(t, echoes, idle, func(t *testing.T, rec *recorder, m *memoryServer) {
				c := m.raw()
				began := time.Now()
				go c.discard()
				pass(55 * time.Second)
				c.send(tc.frame)
				rec.wantEnd(t, began, tc.want+time.Second, 3008, "idle")
			})
		})
	}
}

// R27: what a rule refuses is no activity either.
func TestIdleCountsAcceptedMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(wsguard.IdleTimeout(time.Minute), wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema), wsguard.PolicyDrop.Strikes(100)))
		c := newMemoryServer(t, in.h).raw()
		began := time.Now()
		pass(30 * time.Second)
		c.send(textFrame(good))
		go c.discard()
		for range 5 {
			pass(10 * time.Second)
			c.send(textFrame(bad))
		}
		in.wantEnd(t, began, 91*time.Second, 3008, "idle")
	})
}

// R27: a connection that is old ends, whatever happens on it.
func TestMaxLifetime(t *testing.T) {
	all := just(wsguard.MaxLifetime(10*time.Minute), wsguard.IdleTimeout(time.Minute), wsguard.KeepAlive(20*time.Second, 5*time.Second))
	timed(t, echoes, all, func(t *testing.T, rec *recorder, m *memoryServer) {
		c := m.raw()
		began := time.Now()
		send := c.answerPings()
		for range 19 {
			pass(30 * time.Second)
			send(textFrame("hi"))
		}
		rec.wantEnd(t, began, 10*time.Minute+time.Second, 3008, "lifetime_over")
	})
}

// R25: a connection does not outlive the token that it was opened with, and the
// peer hears why.
func TestTokenExpiry(t *testing.T) {
	tokens := func() []func(http.Handler) http.Handler {
		p := wsguard.Principal{Issuer: "id", Subject: "alice", Expires: time.Now().Add(15 * time.Minute)}
		return []func(http.Handler) http.Handler{wsguard.Authenticate(fixedTokens{"t": p}, wsguard.FromAuthorization())}
	}
	timed(t, echoes, tokens, func(t *testing.T, rec *recorder, m *memoryServer) {
		pass(12 * time.Minute) // the token has been used for other things
		c := m.raw("Authorization: Bearer t")
		began := time.Now()
		c.untilClose(3000, "token expired")
		rec.wantEnd(t, began, 3*time.Minute+time.Second, 3000, "token_expired")
	})
}
