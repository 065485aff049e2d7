package wsguard_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// The token has to have come, whole, and been found good within its time,
// whatever the client sends meanwhile and whatever the verifier does. (R10, R47)
func TestFirstMessageInTime(t *testing.T) {
	const timeout = 5 * time.Second
	for name, row := range map[string]struct {
		client func(*rawClient)
		ask    func(context.Context) error
	}{
		"nothing": {client: func(*rawClient) {}},
		"a byte a second": {client: func(c *rawClient) {
			for _, b := range textFrame("a token that is good") {
				if _, err := c.Write([]byte{b}); err != nil {
					return
				}
				pass(time.Second)
			}
		}},
		"a ping a second": {client: func(c *rawClient) {
			for range 10 {
				if _, err := c.Write(clientFrame(final|opPing, "")); err != nil {
					return
				}
				pass(time.Second)
			}
		}},
		"a verifier that waits": {
			client: func(c *rawClient) { c.send(textFrame("good")) },
			ask: func(ctx context.Context) error {
				<-ctx.Done()
				var r *wsguard.Refusal
				if !errors.As(context.Cause(ctx), &r) || r.Reason != "token_late" {
					return errors.New("it ended for another reason")
				}
				return nil // too late to be good
			},
		},
		"a verifier that does not even look at its context": {
			client: func(c *rawClient) { c.send(textFrame("good")) },
			ask:    func(context.Context) error { pass(time.Hour); return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec := newRecorder()
				one := wsguard.LimitConns(1, wsguard.PerIP)
				verifier := asVerifier(func(ctx context.Context, _ string) (wsguard.Principal, error) {
					p := userOf(issuer, "ada")
					p.Expires = p.Expires.Add(2 * time.Hour)
					if row.ask != nil {
						return p, row.ask(ctx)
					}
					return p, nil
				})
				m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), one,
					wsguard.Authenticate(verifier, wsguard.FromFirstMessage(timeout)))(wsguard.Handler(func(context.Context, *wsguard.Conn) error {
					t.Error("the handler was begun")
					return nil
				})))
				began := time.Now()
				c := m.raw()
				go row.client(c)
				c.untilClose(3000, "token late")
				if took := time.Since(began); took != timeout {
					t.Errorf("it ended after %v", took)
				}
				_ = c.Close()
				if e := next(t, rec.handshakes); reasonOf(e.Refusal) != "token_late" || e.Refusal.Safeguard != "FromFirstMessage" {
					t.Errorf("%v", e.Refusal)
				}
				if n := freeSlots(one, requestFrom("192.0.2.1:1")); n != 1 {
					t.Errorf("%d slots are free while the verifier may still be busy, want 1", n)
				}
				pass(2 * time.Hour)
				if len(rec.handshakes)+len(rec.closes) != 0 {
					t.Error("more was told later")
				}
			})
		})
	}
}

// Whoever was let in is asked about, warned and expires as everybody else, and
// the time for the token means nothing any more. (R25, R26)
func TestFirstMessageThenTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec, asked, warned := newRecorder(), make(chan string, 10), make(chan string, 10)
		ada := userOf(issuer, "ada")
		ada.Expires = time.Now().Add(10 * time.Minute)
		m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
			wsguard.Authenticate(fixedTokens{"good": ada}, wsguard.FromFirstMessage(5*time.Second)),
			wsguard.Revalidate(6*time.Minute, func(_ context.Context, p wsguard.Principal) error { asked <- p.Subject; return nil }),
			wsguard.WarnExpiry(time.Minute, func(_ context.Context, c *wsguard.Conn) { warned <- c.Principal().Subject }),
		)(wsguard.Handler(echo)))
		began := time.Now()
		c := m.raw()
		pass(3 * time.Second)
		c.send(textFrame("good"))
		c.send(textFrame("hello"))
		c.wantMessage("hello")
		c.untilClose(3000, "token expired")
		rec.wantEnd(t, began, 10*time.Minute+time.Second, 3000, "token_expired")
		if next(t, asked) != "ada" || next(t, warned) != "ada" || len(asked)+len(warned) != 0 {
			t.Error("asked or warned more than once, or of another")
		}
	})
}

// However strangers come and go, each place is free in the end, and each is told
// of once. (R31, R47, R58)
func TestStrangersProperty(t *testing.T) {
	seed := *propertySeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-seed=%d", seed)
	synctest.Test(t, func(t *testing.T) {
		const total = 40
		rec, perUser := newRecorder(), wsguard.LimitConns(3, wsguard.PerUser)
		verifier := asVerifier(func(_ context.Context, token string) (wsguard.Principal, error) {
			pass(time.Duration(len(token)) * time.Second)
			switch token[0] {
			case 'p':
				panic("verifier")
			case 'x':
				return wsguard.Principal{}, errors.New("bad")
			}
			return userOf(issuer, token[:1]), nil
		})
		auth := wsguard.Authenticate(verifier, wsguard.FromHeader("X-Token"), wsguard.FromFirstMessage(5*time.Second).Waiting(total, total))
		var registry wsguard.Registry
		m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), auth, perUser, registry.Track())(wsguard.Handler(echo)))
		var clients sync.WaitGroup
		opened, refused := 0, 0
		var mu sync.Mutex
		for i := range uint64(8) {
			r := rand.New(rand.NewPCG(seed, i))
			clients.Go(func() {
				for range 30 {
					pass(time.Duration(r.IntN(2000)) * time.Millisecond)
					p, err := knockOn(m.pipe())
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if p.resp.StatusCode == http.StatusSwitchingProtocols {
						opened++
					} else {
						refused++
					}
					mu.Unlock()
					_ = p.SetDeadline(time.Time{})
					c := &rawClient{p, t}
					go c.discard()
					pass(time.Duration(r.IntN(7000)) * time.Millisecond)
					// It may be too late for each of these.
					token := string("abcxp"[r.IntN(5)]) + "-----"[:r.IntN(5)]
					_, _ = c.Write(textFrame(token))
					pass(time.Duration(r.IntN(7000)) * time.Millisecond)
					_, _ = c.Write([][]byte{textFrame("hi"), closeFrame(1000, ""), clientFrame(0x3, "")}[r.IntN(3)])
					pass(time.Duration(r.IntN(2000)) * time.Millisecond)
					_ = c.Close()
				}
			})
		}
		clients.Wait()
		pass(time.Minute)
		accepted, told := 0, len(rec.handshakes)
		for range told {
			if e := <-rec.handshakes; e.Refusal == nil {
				accepted++
			}
		}
		if accepted == 0 || told != opened+refused {
			t.Errorf("%d of %d were accepted, %d were told", accepted, opened+refused, told)
		}
		if n := len(rec.closes); n != accepted {
			t.Errorf("%d accepted, %d closed", accepted, n)
		}
		if n := len(registry.Connections(wsguard.AllConns())); n != 0 {
			t.Errorf("%d connections are in the registry", n)
		}
		guard := wsguard.Chain(auth, perUser)
		for _, user := range []string{"a", "b", "c"} {
			if n := freeSlots(guard, func() *http.Request {
				r := requestFrom(away)()
				r.Header.Set("X-Token", user)
				return r
			}); n != 3 {
				t.Errorf("%d slots of %s are free, want 3", n, user)
			}
		}
		for i := range total + 1 {
			p, err := knockOn(m.pipe())
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{true: 101, false: 429}[i < total]; p.resp.StatusCode != want {
				t.Errorf("stranger %d: %s, want %d", i, p.resp.Status, want)
			}
			go func() { _ = p.SetDeadline(time.Time{}); (&rawClient{p, t}).discard() }()
		}
	})
}
