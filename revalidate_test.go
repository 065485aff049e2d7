package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// An askedAbout is one question of Revalidate.
type askedAbout struct {
	at      time.Time
	tokenID string
}

// An interview is what Revalidate has asked an application, which answers each
// question with answer.
type interview struct {
	t      *testing.T
	asked  chan askedAbout
	busy   atomic.Int32
	answer func(context.Context, wsguard.Principal) error
}

func newInterview(t *testing.T, answer func(context.Context, wsguard.Principal) error) *interview {
	return &interview{t: t, asked: make(chan askedAbout, 1<<12), answer: answer}
}

func (i *interview) ask(ctx context.Context, p wsguard.Principal) error {
	if i.busy.Add(1) > 1 {
		i.t.Error("it is asked while it is being asked")
	}
	defer i.busy.Add(-1)
	i.asked <- askedAbout{time.Now(), p.TokenID}
	return i.answer(ctx, p)
}

// next waits for a question, for at most a day of the bubble.
func (i *interview) next() askedAbout {
	i.t.Helper()
	select {
	case a := <-i.asked:
		return a
	case <-time.After(24 * time.Hour):
		i.t.Fatal("nobody was asked for a day")
		panic("unreachable")
	}
}

// sessions verifies tokens of alice that last for a day of the bubble: the
// token is its own name.
func sessions() wsguard.Verifier {
	return verifierFunc(func(token string) (wsguard.Principal, error) {
		return wsguard.Principal{Issuer: issuer, Subject: "alice", TokenID: token, Expires: time.Now().Add(24 * time.Hour)}, nil
	})
}

const asAlice = "Authorization: Bearer 1"

// revalidated runs a test for each way to upgrade behind Revalidate.
func revalidated(t *testing.T, inner map[string]http.Handler, every time.Duration,
	answer func(context.Context, wsguard.Principal) error, f func(*testing.T, *interview, *recorder, *memoryServer),
) {
	var i *interview
	timed(t, inner, func() []func(http.Handler) http.Handler {
		i = newInterview(nil, answer)
		return []func(http.Handler) http.Handler{wsguard.Authenticate(sessions(), wsguard.FromAuthorization()), wsguard.Revalidate(every, i.ask)}
	}, func(t *testing.T, rec *recorder, m *memoryServer) {
		i.t = t
		f(t, i, rec, m)
	})
}

// wantWithin checks when a question was asked that comes a period after began.
func (a askedAbout) wantWithin(t *testing.T, began time.Time, every time.Duration) {
	t.Helper()
	if took := a.at.Sub(began); took < every-every/10 || took > every {
		t.Errorf("asked after %v, want %v and at most a tenth less", took, every)
	}
}

// R26: whoever may stay is asked about again and again, under every library.
func TestRevalidateGoesOn(t *testing.T) {
	yes := func(context.Context, wsguard.Principal) error { return nil }
	revalidated(t, echoes, 30*time.Minute, yes, func(t *testing.T, i *interview, rec *recorder, m *memoryServer) {
		began := time.Now()
		go m.raw(asAlice).discard()
		for range 20 {
			a := i.next()
			a.wantWithin(t, began, 30*time.Minute)
			began = a.at
		}
		if len(rec.closes) > 0 {
			t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
		}
	})
}

// R26, R34: every answer but nil ends the connection, as does none.
func TestRevalidateEnds(t *testing.T) {
	secret := errors.New("secret")
	for _, tc := range []struct {
		name   string
		every  time.Duration
		answer func(ctx context.Context, p wsguard.Principal) error
		after  time.Duration // since the question
		code   uint16
		reason string // for observers
		told   string // to the peer
	}{
		{"error", time.Hour, func(context.Context, wsguard.Principal) error { return secret },
			0, 3000, "revalidation_failed", "revalidation failed"},
		{"refusal", time.Hour, func(context.Context, wsguard.Principal) error {
			return &wsguard.Refusal{Safeguard: "Accounts", Reason: "account_blocked", CloseCode: 4003, Err: secret}
		}, 0, 4003, "account_blocked", "account blocked"},
		{"refusal without a close code", time.Hour, func(context.Context, wsguard.Principal) error {
			return &wsguard.Refusal{Safeguard: "Accounts", Reason: "account_blocked", Status: 401}
		}, 0, 3000, "account_blocked", "account blocked"},
		{"refusal that is nil", time.Hour, func(context.Context, wsguard.Principal) error { return (*wsguard.Refusal)(nil) },
			0, 3000, "revalidation_failed", "revalidation failed"},
		{"panic", time.Hour, func(context.Context, wsguard.Principal) error { panic("secret") },
			0, 3000, "revalidation_failed", "revalidation failed"},
		{"Goexit", time.Hour, func(context.Context, wsguard.Principal) error { runtime.Goexit(); return nil },
			0, 3000, "revalidation_failed", "revalidation failed"},
		{"late", time.Hour, func(ctx context.Context, _ wsguard.Principal) error { <-ctx.Done(); return ctx.Err() },
			10 * time.Second, 3000, "revalidation_failed", "revalidation failed"},
		{"late, and good", time.Hour, func(ctx context.Context, _ wsguard.Principal) error { <-ctx.Done(); return nil },
			10 * time.Second, 3000, "revalidation_failed", "revalidation failed"},
		{"hangs, and ignores its ctx", time.Hour, func(context.Context, wsguard.Principal) error { pass(time.Hour); return nil },
			10 * time.Second, 3000, "revalidation_failed", "revalidation failed"},
		{"hangs for longer than every", 4 * time.Second, func(context.Context, wsguard.Principal) error { pass(time.Hour); return nil },
			4 * time.Second, 3000, "revalidation_failed", "revalidation failed"},
		{"hangs, and panics when nobody listens", time.Hour, func(context.Context, wsguard.Principal) error { pass(time.Hour); panic("secret") },
			10 * time.Second, 3000, "revalidation_failed", "revalidation failed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			revalidated(t, echoes, tc.every, tc.answer, func(t *testing.T, i *interview, rec *recorder, m *memoryServer) {
				c, began := m.raw(asAlice), time.Now()
				over := make(chan bool)
				go func() { c.untilClose(tc.code, tc.told); close(over) }()
				a := i.next()
				a.wantWithin(t, began, tc.every)
				select {
				case <-over:
				case <-time.After(time.Minute):
					t.Fatal("it was not ended")
				}
				rec.wantEnd(t, a.at, tc.after+time.Second, websocket.StatusCode(tc.code), tc.reason)
				pass(10 * tc.every)
				if n := len(i.asked) + len(rec.closes) + len(rec.violations); n > 0 {
					t.Errorf("%d more questions, ends and violations", n)
				}
			})
		})
	}
}

// reauthenticating takes each message for a new token.
var reauthenticating = map[string]http.Handler{"Handler": wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
	for {
		_, token, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Reauthenticate(ctx, string(token)); err != nil {
			return err
		}
		if err := c.Write(ctx, websocket.MessageText, token); err != nil {
			return err
		}
	}
})}

// become makes a client somebody else.
func (c *rawClient) become(token string) {
	c.tb.Helper()
	c.send(textFrame(token))
	c.wantMessage(token)
}

// R26, R32: an answer counts for whom it is about: who comes meanwhile is asked
// about themselves, and cannot escape by becoming another one all the time.
func TestRevalidateJudgesWhomItAskedAbout(t *testing.T) {
	const every = time.Hour
	no := errors.New("no")
	// Each question takes a second, in which the client becomes what is next.
	for name, tc := range map[string]struct {
		answers []error
		becomes []string
		asked   []string
		ends    bool
	}{
		"the same one":                      {[]error{nil, no}, []string{"", ""}, []string{"1", "1"}, true},
		"another one, before the question":  {[]error{nil, nil}, []string{"before 2", ""}, []string{"2", "2"}, false},
		"good for the old, bad for the new": {[]error{nil, no}, []string{"2", ""}, []string{"1", "2"}, true},
		"bad for the old, good for the new": {[]error{no, nil, nil}, []string{"2", "", ""}, []string{"1", "2", "2"}, false},
		"bad for both":                      {[]error{no, no}, []string{"2", ""}, []string{"1", "2"}, true},
		"always somebody else":              {[]error{no, no}, []string{"2", "3"}, []string{"1", "2"}, true},
		"somebody else from time to time":   {[]error{no, nil, no, nil, no, nil}, []string{"2", "3", "4", "", "5", ""}, []string{"1", "2", "3", "4", "4", "5"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var given atomic.Int32
			answer := func(context.Context, wsguard.Principal) error {
				pass(time.Second)
				return tc.answers[min(int(given.Add(1)), len(tc.answers))-1]
			}
			revalidated(t, reauthenticating, every, answer, func(t *testing.T, i *interview, rec *recorder, m *memoryServer) {
				c, began := m.raw(asAlice), time.Now()
				for k, token := range tc.becomes {
					if token == "before 2" {
						c.become("2")
						token = ""
					}
					a := i.next()
					if a.tokenID != tc.asked[k] {
						t.Errorf("question %d is about %q, want %q", k+1, a.tokenID, tc.asked[k])
					}
					if k > 0 && tc.answers[k-1] != nil {
						if wait := a.at.Sub(began).Truncate(time.Millisecond); wait != time.Second {
							t.Errorf("question %d comes %v after the last, want at once after the answer", k+1, wait)
						}
					} else if wait := a.at.Sub(began); wait < every-every/10 || wait > every+time.Second {
						t.Errorf("question %d comes after %v", k+1, wait)
					}
					began = a.at
					if token != "" {
						c.become(token)
					}
				}
				if tc.ends {
					c.untilClose(3000, "revalidation failed")
					rec.wantEnd(t, began, 2*time.Second, 3000, "revalidation_failed")
					return
				}
				pass(10 * time.Second)
				if c.become("9"); len(rec.closes) > 0 {
					t.Errorf("it was ended: %v", (<-rec.closes).Refusal)
				}
			})
		})
	}
}

// R26: an asking that hangs ends the connection, whoever it belongs to by then:
// nobody can be asked about.
func TestRevalidateHangsAcrossReauthenticate(t *testing.T) {
	hang := func(context.Context, wsguard.Principal) error { pass(time.Hour); return nil }
	revalidated(t, reauthenticating, time.Hour, hang, func(t *testing.T, i *interview, rec *recorder, m *memoryServer) {
		c := m.raw(asAlice)
		a := i.next()
		c.become("2")
		c.untilClose(3000, "revalidation failed")
		rec.wantEnd(t, a.at, 11*time.Second, 3000, "revalidation_failed")
	})
}

// What is asked when the connection ends is told so, and what it answers counts
// no more. R26, R60
func TestConnectionEndsDuringAnAsking(t *testing.T) {
	no := errors.New("no")
	for name, end := range map[string]func(*rawClient){
		"the peer closes":     func(c *rawClient) { c.send(closeFrame(1000, "")); c.discard() },
		"the peer disappears": func(c *rawClient) { _ = c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			told := make(chan error, 1)
			answer := func(ctx context.Context, _ wsguard.Principal) error {
				<-ctx.Done()
				told <- context.Cause(ctx)
				return no
			}
			revalidated(t, echoes, time.Hour, answer, func(t *testing.T, i *interview, rec *recorder, m *memoryServer) {
				c := m.raw(asAlice)
				a := i.next()
				pass(time.Second)
				end(c)
				<-told
				if took := time.Since(a.at); took > 3*time.Second {
					t.Errorf("told after %v", took)
				}
				if e := <-rec.closes; e.Refusal != nil || e.Initiator == wsguard.InitiatorServer {
					t.Errorf("closed by the %s for %v", e.Initiator, e.Refusal)
				}
				pass(10 * time.Hour)
				if len(i.asked) > 0 || len(rec.closes) > 0 || len(rec.violations) > 0 {
					t.Error("something has happened after the end")
				}
			})
		})
	}
}

// R26: what was opened together is not asked together.
func TestRevalidateSpreads(t *testing.T) {
	const conns, every = 1000, 30 * time.Minute
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan time.Duration, 4*conns)
		began := time.Now()
		m := newMemoryServer(t, wsguard.Chain(wsguard.Authenticate(sessions(), wsguard.FromAuthorization()),
			wsguard.Revalidate(every, func(context.Context, wsguard.Principal) error {
				asked <- time.Since(began)
				return nil
			}))(wsguard.Handler(echo)))
		for range conns {
			m.raw(asAlice)
		}
		if took := time.Since(began); took != 0 {
			t.Fatalf("it took %v to connect", took)
		}
		for round := 1; round <= 2; round++ {
			pass(every - time.Minute) // between two rounds: the first lasts 3 minutes, the second 6
			seconds := map[time.Duration]int{}
			pass(time.Minute)
			for len(asked) > 0 {
				seconds[(<-asked).Truncate(time.Second)]++
			}
			n, most := 0, 0
			for _, k := range seconds {
				n, most = n+k, max(most, k)
			}
			if n < conns || most > 30 {
				t.Errorf("round %d: %d askings, %d of them in one second; want about 6", round, n, most)
			}
		}
	})
}

func ExampleRevalidate() {
	blocked := map[string]bool{"mallory": true}
	guard := wsguard.Chain(
		wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token")),
		wsguard.Revalidate(30*time.Minute, func(ctx context.Context, p wsguard.Principal) error {
			if blocked[p.Subject] { // or what the database says, asked with ctx
				return errors.New("the account is blocked")
			}
			return nil
		}),
	)
	http.Handle("GET /revalidated", guard(wsguard.Handler(echo)))
}
