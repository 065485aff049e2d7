package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// A new token of the same user takes the old one's place at once, also in the
// registry; any other closes, or changes nothing. (R32, R34)
func TestReauthenticate(t *testing.T) {
	users := fixedTokens{}
	for token, p := range map[string]wsguard.Principal{
		"old":             {Issuer: issuer, Subject: "alice", TokenID: "1", Scopes: []string{"write"}, Expires: time.Now().Add(time.Hour)},
		"new":             {Issuer: issuer, Subject: "alice", TokenID: "2", Scopes: []string{"read"}, Expires: time.Now().Add(2 * time.Hour)},
		"another subject": {Issuer: issuer, Subject: "bob", Expires: time.Now().Add(time.Hour)},
		"another issuer":  {Issuer: "https://other.example", Subject: "alice", Expires: time.Now().Add(time.Hour)},
		"expired":         {Issuer: issuer, Subject: "alice", Expires: time.Now().Add(-time.Hour)},
		"no expiry":       {Issuer: issuer, Subject: "alice"},
		"outlives":        {Issuer: issuer, Subject: "alice", Expires: time.Now().Add(48 * time.Hour)},
		"revoked":         {Issuer: issuer, Subject: "alice", TokenID: "9", Expires: time.Now().Add(time.Hour)},
	} {
		users[token] = p
	}
	for token, reason := range map[string]string{
		"new": "", "another subject": "token_subject", "another issuer": "token_subject", "expired": "token_expired",
		"no expiry": "principal_incomplete", "unknown": "token_invalid", "": "token_invalid",
		"outlives": "token_lifetime", "revoked": "token_revoked",
	} {
		for _, try := range []bool{false, true} {
			var r wsguard.Registry
			if _, err := r.Revoke(wsguard.Revocation{Issuer: issuer, TokenID: "9"}); err != nil {
				t.Fatal(err)
			}
			result := make(chan error, 1)
			scope := make(chan bool, 1)
			url := newServer(t, wsguard.Chain(wsguard.Authenticate(users, wsguard.FromHeader("X-Token")), r.Track())(wsguard.Handler(
				func(ctx context.Context, c *wsguard.Conn) error {
					f := c.Reauthenticate
					if try {
						f = c.TryReauthenticate
					}
					result <- f(ctx, token)
					scope <- c.Principal().HasScope("write")
					return echo(ctx, c)
				})))
			c := mustDial(t, url, "X-Token: old")
			err := next(t, result)
			var refusal *wsguard.Refusal
			errors.As(err, &refusal)
			if reasonOf(refusal) != reason || (err != nil) != (reason != "") {
				t.Errorf("%q: %v, want %q", token, err, reason)
			}
			if wrote := next(t, scope); wrote != (reason != "") {
				t.Errorf("%q: the scope of the old token is %v", token, wrote)
			}
			if reason != "" && !try {
				if _, _, err := c.Read(context.Background()); websocket.CloseStatus(err) != wsguard.StatusUnauthorized {
					t.Errorf("%q: closed with %v", token, err)
				}
				continue
			}
			wantEcho(t, c)
			found := len(r.Connections(wsguard.ConnsOfToken(issuer, "2")))
			if old := len(r.Connections(wsguard.ConnsOfToken(issuer, "1"))); found+old != 1 || (found == 1) != (reason == "") {
				t.Errorf("%q: found %d times by the new token, %d by the old", token, found, old)
			}
		}
	}
}

// The deadline moves with the token, in both directions. (R25, R32)
func TestReauthenticateMovesExpiry(t *testing.T) {
	for name, after := range map[string]time.Duration{"later": time.Hour, "earlier": time.Minute} {
		h := wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			if err := c.Reauthenticate(ctx, "second"); err != nil {
				return err
			}
			return echo(ctx, c)
		})
		tokens := func() []func(http.Handler) http.Handler {
			first, second := userOf(issuer, "alice"), userOf(issuer, "alice")
			first.Expires, second.Expires = time.Now().Add(10*time.Minute), time.Now().Add(after)
			return []func(http.Handler) http.Handler{
				wsguard.Authenticate(fixedTokens{"first": first, "second": second}, wsguard.FromAuthorization())}
		}
		timed(t, map[string]http.Handler{name: h}, tokens, func(t *testing.T, rec *recorder, m *memoryServer) {
			c := m.raw("Authorization: Bearer first")
			began := time.Now()
			c.untilClose(3000, "token expired")
			rec.wantEnd(t, began, after+time.Second, 3000, "token_expired")
		})
	}
}

func ExampleConn_Reauthenticate() {
	guard := wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token"))
	http.Handle("GET /fresh", guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, token, err := c.Read(ctx) // the page sends a new token before the old one expires
		if err != nil {
			return err
		}
		return c.Reauthenticate(ctx, string(token)) // TryReauthenticate would let it try again
	})))
}

// What is revoked between Track and the upgrade is refused there. (R28)
func TestRevokeDuringAHandshake(t *testing.T) {
	var r wsguard.Registry
	url, rec := tracked(t, &r, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if n, err := r.Revoke(wsguard.Revocation{Issuer: issuer, Subject: "alice"}); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		wsguard.Handler(echo).ServeHTTP(w, req)
	}))
	wantOutcome(t, rec, knock(t, url, "X-Token: alice/1"), 401, "token_revoked")
}
