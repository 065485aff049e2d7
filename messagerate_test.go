package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// Too many messages, or bytes, end the connection, and what was too much is
// not delivered. R46, R49
func TestMessageRate(t *testing.T) {
	x10 := strings.Repeat("x", 10)
	for _, tc := range []struct {
		name      string
		limit     func(http.Handler) http.Handler
		send      []string
		delivered int // of send; the next is refused
		reason    string
	}{
		{"messages", wsguard.LimitMessages(1, 3, wsguard.PerConn), []string{"a", "b", "c", "d"}, 3, "message_rate"},
		{"empty ones", wsguard.LimitMessages(1, 2, wsguard.PerConn), []string{"", "", ""}, 2, "message_rate"},
		{"of everyone", wsguard.LimitMessages(1, 1, wsguard.Everyone), []string{"a", "b"}, 1, "message_rate"},
		{"bytes", wsguard.LimitBytes(1, 25, wsguard.PerConn), []string{x10, x10, x10}, 2, "byte_rate"},
		{"exactly", wsguard.LimitBytes(1, 20, wsguard.PerConn), []string{x10, x10, "x"}, 2, "byte_rate"},
		{"above the burst", wsguard.LimitBytes(1000, 9, wsguard.PerConn), []string{x10}, 0, "byte_rate"},
		{"paced above the burst", wsguard.PaceBytes(1000, 9, wsguard.PerConn), []string{x10}, 0, "byte_rate"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox(tc.limit)
			c := rawDial(t, newServer(t, in.h))
			for _, text := range tc.send {
				c.send(textFrame(text))
			}
			c.wantClose(1008, strings.ReplaceAll(tc.reason, "_", " "))
			in.wantClosed(t, 1008, wsguard.InitiatorServer, tc.reason)
			if r := next(t, in.violations).Refusal; r.Reason != tc.reason || r.RetryAfter < 0 || r.RetryAfter > 10*time.Second {
				t.Errorf("violation %v, try again after %v", r, r.RetryAfter)
			}
			in.wantMessages(t, tc.send[:tc.delivered]...)
		})
	}
}

// Tokens come back with time, up to the burst. R46
func TestMessageRateOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(wsguard.LimitMessages(rate.Every(time.Minute), 2, wsguard.PerConn))
		c := newMemoryServer(t, in.h).raw()
		say := func() {
			c.send(textFrame("x"))
			synctest.Wait()
		}
		say()
		say()
		pass(time.Minute)
		say()
		pass(time.Hour) // worth two messages, not sixty
		say()
		say()
		in.wantMessages(t, "x", "x", "x", "x", "x")
		go c.send(textFrame("x"))
		c.wantClose(1008, "message rate")
	})
}

// Connections of one user share a bucket, also one after the other, and those
// of others have their own. R46, R49
func TestMessageRatePerUser(t *testing.T) {
	users := fixedTokens{"a1": userOf("id", "alice"), "a2": userOf("id", "alice"), "b": userOf("id", "bob"), "x": userOf("other", "alice")}
	for name, limit := range map[string]func(http.Handler) http.Handler{
		"messages": wsguard.LimitMessages(rate.Every(time.Hour), 3, wsguard.PerUser),
		"bytes":    wsguard.LimitBytes(rate.Every(time.Hour), 15, wsguard.PerUser),
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(wsguard.Authenticate(users, wsguard.FromAuthorization()), limit)
			url := newServer(t, in.h)
			say := func(c *rawClient) {
				t.Helper()
				c.send(textFrame("hello"))
				in.wantMessages(t, "hello")
			}
			first, second := rawDial(t, url, "Authorization: Bearer a1"), rawDial(t, url, "Authorization: Bearer a2")
			bob, other := rawDial(t, url, "Authorization: Bearer b"), rawDial(t, url, "Authorization: Bearer x")
			say(first)
			say(second)
			say(bob)
			say(first)
			reason := name[:len(name)-1] + " rate"
			second.send(textFrame("hello"))
			second.wantClose(1008, reason)
			again := rawDial(t, url, "Authorization: Bearer a1")
			again.send(textFrame("hello"))
			again.wantClose(1008, reason)
			say(bob)
			say(other)
			in.wantMessages(t)
		})
	}
}

// R46, R49: a peer that is paced is slowed down by nobody reading, and loses
// nothing.
func TestPaceMessages(t *testing.T) {
	big := strings.Repeat("x", 4<<10) // longer than any buffer between
	for name, pace := range map[string]func(http.Handler) http.Handler{
		"messages": wsguard.PaceMessages(1, 2, wsguard.PerConn),
		"bytes":    wsguard.PaceBytes(4<<10, 8<<10, wsguard.PerConn),
		"of a key": wsguard.PaceMessages(1, 2, wsguard.Everyone),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := newInbox(pace)
				c := newMemoryServer(t, in.h).raw()
				began := time.Now()
				var sent []time.Duration
				go func() {
					for range 6 {
						c.send(textFrame(big))
						sent = append(sent, time.Since(began).Round(time.Millisecond))
					}
				}()
				for i := range 6 {
					if got := <-in.got; got != big {
						t.Errorf("message %d is %.80q", i, got)
					}
					if at, want := time.Since(began).Round(time.Millisecond), time.Duration(max(0, i-1))*time.Second; at != want {
						t.Errorf("message %d came after %v, want %v", i, at, want)
					}
				}
				synctest.Wait()
				if want := "[0s 0s 0s 1s 2s 3s]"; fmt.Sprint(sent) != want {
					t.Errorf("the client could send at %v, want %s", sent, want)
				}
				if n := len(in.violations); n > 0 {
					t.Errorf("%d violations", n)
				}
			})
		})
	}
}

// A connection that ends while its peer is paced ends for its own reason.
func TestEndWhilePaced(t *testing.T) {
	for _, tc := range []struct {
		name       string
		safeguards []func(http.Handler) http.Handler
		timeout    time.Duration // of the call to Read
		want       string
	}{
		{"lifetime", []func(http.Handler) http.Handler{wsguard.MaxLifetime(5 * time.Second)}, time.Hour, "lifetime_over"},
		{"context", nil, 5 * time.Second, "context_ended"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result := make(chan error, 1)
				rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
					_, _, err := c.Read(ctx)
					if err != nil {
						t.Error(err)
					}
					ctx, cancel := context.WithTimeout(ctx, tc.timeout)
					defer cancel()
					_, _, err = c.Read(ctx)
					result <- err
					return err
				}, append(tc.safeguards, wsguard.PaceMessages(rate.Every(time.Hour), 1, wsguard.PerConn))...)
				c := newMemoryServer(t, h).raw()
				began := time.Now()
				c.send(textFrame("a"), textFrame("b"))
				if _, _, err := c.tryFrame(); err != nil {
					t.Errorf("no close frame: %v", err)
				}
				if err := <-result; !isRefusal(err, tc.want) {
					t.Errorf("Read: %v, want %s", err, tc.want)
				}
				if took := time.Since(began); took > 7*time.Second {
					t.Errorf("it took %v", took)
				}
				if e := <-rec.closes; reasonOf(e.Refusal) != tc.want {
					t.Errorf("closed for %v, want %s", e.Refusal, tc.want)
				}
				synctest.Wait()
				if n := len(rec.violations); n > 0 {
					t.Errorf("%d violations, although the peer did nothing that is forbidden: %v", n, (<-rec.violations).Refusal)
				}
			})
		})
	}
}

// A peer that is paced is busy, not dead. R48
func TestPacedPeerLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(
			wsguard.KeepAlive(5*time.Second, time.Second),
			wsguard.PaceMessages(rate.Every(time.Minute), 1, wsguard.PerConn))
		send := newMemoryServer(t, in.h).raw().answerPings()
		for range 3 {
			send(textFrame("x"))
		}
		pass(10 * time.Minute)
		in.wantMessages(t, "x", "x", "x")
		if len(in.closes) > 0 {
			t.Errorf("the connection was ended: %v", (<-in.closes).Refusal)
		}
	})
}

// Where no key can be found, the handshake is refused: no key is not the same
// as no limit. R45
func TestMessageRateWithoutAKey(t *testing.T) {
	key := wsguard.PerKey("tenant", func(r *http.Request) (string, error) {
		if tenant := r.Header.Get("Tenant"); tenant != "" {
			return tenant, nil
		}
		return "", errors.New("no tenant")
	})
	in := newInbox(wsguard.LimitMessages(1, 1, key))
	url := newServer(t, in.h)
	p := knock(t, url)
	if e := next(t, in.handshakes); p.resp.StatusCode != 500 || reasonOf(e.Refusal) != "key_unavailable" {
		t.Errorf("status %d, %v", p.resp.StatusCode, e.Refusal)
	}
	blue := rawDial(t, url, "Tenant: blue")
	blue.send(textFrame("a"))
	in.wantMessages(t, "a")
	rawDial(t, url, "Tenant: red").send(textFrame("b"))
	in.wantMessages(t, "b")
	blue.send(textFrame("c"))
	blue.wantClose(1008, "message rate")
	in.wantMessages(t)
}
