package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// lasting verifies tokens that are times from now on, or "for ever".
func lasting(token string) (wsguard.Principal, error) {
	p := wsguard.Principal{Issuer: issuer, Subject: "alice"}
	if token == "for ever" {
		return p, nil
	}
	d, err := time.ParseDuration(token)
	p.Expires = time.Now().Add(d)
	return p, err
}

// warned runs a test of WarnExpiry, with warnings a minute before the end.
func warned(t *testing.T, inner http.Handler, warn func(context.Context, *wsguard.Conn), f func(*testing.T, *recorder, *memoryServer)) {
	timed(t, map[string]http.Handler{"": inner}, just(
		wsguard.Authenticate(wsguard.InsecureNoExpiry(verifierFunc(lasting)), wsguard.FromAuthorization()),
		wsguard.WarnExpiry(time.Minute, warn)), f)
}

// R25, R32: there is one warning for each principal, in time.
func TestWarnExpiry(t *testing.T) {
	const minute = time.Minute
	type change struct {
		at    time.Duration
		token string
	}
	for _, tc := range []struct {
		name    string
		token   string
		changes []change
		want    []time.Duration
		end     time.Duration // 0 is never
	}{
		{"in time", "10m", nil, []time.Duration{9 * minute}, 10 * minute},
		{"a minute is left", "60s", nil, []time.Duration{0}, minute},
		{"less than a minute is left", "5s", nil, []time.Duration{0}, 5 * time.Second},
		{"no expiry", "for ever", nil, nil, 0},
		{"a new token after the warning", "10m", []change{{9*minute + 30*time.Second, "10m"}},
			[]time.Duration{9 * minute, 18*minute + 30*time.Second}, 19*minute + 30*time.Second},
		{"a new token before the warning", "10m", []change{{5 * minute, "10m"}}, []time.Duration{14 * minute}, 15 * minute},
		{"a new token that ends earlier", "10h", []change{{5 * minute, "10m"}}, []time.Duration{14 * minute}, 15 * minute},
		{"a new token with little left", "10m", []change{{5 * minute, "30s"}}, []time.Duration{5 * minute}, 5*minute + 30*time.Second},
		{"a new token without an expiry", "10m", []change{{5 * minute, "for ever"}}, nil, 0},
		{"a new token, with an expiry at last", "for ever", []change{{5 * minute, "10m"}}, []time.Duration{14 * minute}, 15 * minute},
		{"a new token that is no good", "10m", []change{{5 * minute, "-10m"}}, []time.Duration{9 * minute}, 10 * minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			warnings := make(chan time.Time, 100)
			inner := wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
				for {
					_, token, err := c.Read(ctx)
					if err != nil {
						return err
					}
					_ = c.TryReauthenticate(ctx, string(token))
				}
			})
			warned(t, inner, func(_ context.Context, c *wsguard.Conn) {
				warnings <- time.Now()
				if c.Principal().Subject != "alice" {
					t.Error("warned of somebody else")
				}
			}, func(t *testing.T, rec *recorder, m *memoryServer) {
				c, began := m.raw("Authorization: Bearer "+tc.token), time.Now()
				go c.discard()
				for _, to := range tc.changes {
					pass(to.at - time.Since(began))
					c.send(textFrame(to.token))
				}
				pass(11 * time.Hour)
				var got []time.Duration
				for len(warnings) > 0 {
					got = append(got, (<-warnings).Sub(began).Truncate(time.Millisecond))
				}
				if !slices.Equal(got, tc.want) {
					t.Errorf("warned after %v, want %v", got, tc.want)
				}
				if len(rec.closes) != min(int(tc.end), 1) {
					t.Fatalf("%d ends", len(rec.closes))
				}
				if tc.end > 0 {
					if e := <-rec.closes; e.Duration.Truncate(time.Millisecond) != tc.end+time.Second || reasonOf(e.Refusal) != "token_expired" {
						t.Errorf("it ended after %v for %v, want %v", e.Duration, e.Refusal, tc.end+time.Second)
					}
				}
			})
		})
	}
}

// R60: a warning that is due at once may send, also before the application runs.
func TestWarnExpirySendsAtOnce(t *testing.T) {
	warned(t, wsguard.Handler(echo), func(_ context.Context, c *wsguard.Conn) {
		c.TrySend(websocket.MessageText, []byte("expiring"))
	}, func(t *testing.T, _ *recorder, m *memoryServer) {
		for range 50 {
			c := m.raw("Authorization: Bearer 5s")
			c.wantMessage("expiring")
			c.send(closeFrame(1000, ""))
			c.wantClose(1000, "")
		}
	})
}

// R59: a panic in warn ends its connection, and nothing else.
func TestWarnExpiryPanics(t *testing.T) {
	for name, boom := range map[string]func(){"panic": func() { panic("secret") }, "Goexit": runtime.Goexit} {
		t.Run(name, func(t *testing.T) {
			warned(t, wsguard.Handler(echo), func(context.Context, *wsguard.Conn) { boom() }, func(t *testing.T, rec *recorder, m *memoryServer) {
				c, began := m.raw("Authorization: Bearer 2m"), time.Now()
				c.untilClose(1011, "internal error")
				rec.wantEnd(t, began, 61*time.Second, 1011, "internal_error")
				if v := <-rec.violations; reasonOf(v.Refusal) != "internal_error" || v.Action != "close" {
					t.Errorf("reported as %v, %s", v.Refusal, v.Action)
				}
			})
		})
	}
}

// A warning may take its time: there is no second one meanwhile, however often
// the token changes, but one after it; and it hears of the end. (R60)
func TestWarnExpiryBlocks(t *testing.T) {
	type call struct {
		began, ended time.Duration
		cause        error
	}
	synctest.Test(t, func(t *testing.T) {
		began, rec, calls := time.Now(), newRecorder(), make(chan call, 100)
		m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
			wsguard.Authenticate(verifierFunc(lasting), wsguard.FromAuthorization()),
			wsguard.WarnExpiry(time.Minute, func(ctx context.Context, _ *wsguard.Conn) {
				at := time.Since(began)
				select {
				case <-ctx.Done():
				case <-time.After(45 * time.Second):
				}
				calls <- call{at, time.Since(began), context.Cause(ctx)}
			}))(reauthenticating["Handler"]))
		c := m.raw("Authorization: Bearer 50s") // warned at once
		for range 4 {
			pass(10 * time.Second)
			c.become("50s") // so it is, but for the first that is being told
		}
		c.untilClose(3000, "token expired") // 50 s after the last
		rec.wantEnd(t, began, 91*time.Second, 3000, "token_expired")
		var refusal *wsguard.Refusal
		for _, want := range []call{{0, 45 * time.Second, nil}, {45 * time.Second, 90 * time.Second, nil}} {
			got := next(t, calls)
			if got.began.Truncate(time.Millisecond) != want.began || got.ended.Truncate(time.Millisecond) != want.ended {
				t.Errorf("warned from %v to %v, want %v to %v", got.began, got.ended, want.began, want.ended)
			}
			if got.cause != nil && (!errors.As(got.cause, &refusal) || refusal.Reason != "token_expired") {
				t.Errorf("its context ended with %v", got.cause)
			}
		}
		pass(time.Hour)
		if len(calls) > 0 {
			t.Error("there is a third warning")
		}
	})
}

// warn hears of the end of its connection, and of the reason.
func TestWarnExpiryContext(t *testing.T) {
	causes := make(chan error, 1)
	warned(t, wsguard.Handler(echo), func(ctx context.Context, _ *wsguard.Conn) {
		select {
		case <-ctx.Done():
		case <-time.After(time.Hour):
		}
		causes <- context.Cause(ctx)
	}, func(t *testing.T, rec *recorder, m *memoryServer) {
		c, began := m.raw("Authorization: Bearer 30s"), time.Now()
		c.untilClose(3000, "token expired")
		pass(time.Millisecond)
		var refusal *wsguard.Refusal
		select {
		case err := <-causes:
			if !errors.As(err, &refusal) || refusal.Reason != "token_expired" {
				t.Errorf("its context ended with %v", err)
			}
		default:
			t.Errorf("its context lives %v after the connection began", time.Since(began))
		}
	})
}

// Without a Conn there is nobody to be warned of. R58
func TestWarnExpiryNeedsAConn(t *testing.T) {
	rec := newRecorder()
	warn := wsguard.WarnExpiry(time.Minute, func(context.Context, *wsguard.Conn) {})
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
		wsguard.Authenticate(verifierFunc(lasting), wsguard.FromAuthorization()), warn)(bareEcho))
	wantOutcome(t, rec, knock(t, url, "Authorization: Bearer 1h"), 500, "rules_unclaimed")
}

// Both need a principal, and a chain takes one of each. R58
func TestVigilInAChain(t *testing.T) {
	auth := wsguard.Authenticate(verifierFunc(lasting), wsguard.FromAuthorization())
	for name, guard := range map[string]safeguard{
		"Revalidate": wsguard.Revalidate(time.Hour, func(context.Context, wsguard.Principal) error { return nil }),
		"WarnExpiry": wsguard.WarnExpiry(time.Minute, func(context.Context, *wsguard.Conn) {}),
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), guard)(wsguard.Handler(echo)))
			wantOutcome(t, rec, knock(t, url), 500, "safeguard_missing")
			wantPanic(t, name+" stands outside Authenticate", func() { wsguard.Chain(guard, auth)(wsguard.Handler(echo)) })
			wantPanic(t, "a chain takes only one of them", func() { wsguard.Chain(auth, guard, guard)(wsguard.Handler(echo)) })
		})
	}
}

// R25: a connection lasts as long as new ones are let in with its token: until
// exp and the leeway of the verifier, which a warning counts from.
func TestExpiryAndLeeway(t *testing.T) {
	config := jwtConfig()
	config.Leeway = 2 * time.Minute
	verifier := newJWT(t, config)
	synctest.Test(t, func(t *testing.T) {
		began, rec, warnings := time.Now(), newRecorder(), make(chan time.Duration, 10)
		m := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
			wsguard.Authenticate(verifier, wsguard.FromAuthorization()),
			wsguard.WarnExpiry(3*time.Minute, func(context.Context, *wsguard.Conn) { warnings <- time.Since(began) }))(wsguard.Handler(echo)))
		token := "Authorization: Bearer " + jwtToken(jwtHeader, map[string]any{"exp": began.Add(10 * time.Minute).Unix()})
		first := m.raw(token)
		pass(12*time.Minute - time.Millisecond)
		m.raw(token)
		first.untilClose(3000, "token expired")
		rec.wantEnd(t, began, 12*time.Minute+time.Second, 3000, "token_expired")
		if at := <-warnings; at.Truncate(time.Millisecond) != 9*time.Minute {
			t.Errorf("warned after %v, want 9 minutes", at)
		}
		p, err := knockOn(m.pipe(), token)
		if err != nil || p.resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("after the end: %v, %v, want 401", p, err)
		}
	})
}

func ExampleWarnExpiry() {
	guard := wsguard.Chain(
		wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token")),
		wsguard.WarnExpiry(time.Minute, func(ctx context.Context, c *wsguard.Conn) {
			// The page fetches a new token, and sends it.
			_ = c.Write(ctx, websocket.MessageText, []byte(`{"type":"token_wanted"}`))
		}),
	)
	http.Handle("GET /warned", guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			_, message, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if token, ok := strings.CutPrefix(string(message), "token "); ok {
				if err := c.Reauthenticate(ctx, token); err != nil {
					return err
				}
			}
		}
	})))
}
