package wsguard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// verifierFunc is a Verifier of one function.
type verifierFunc func(token string) (wsguard.Principal, error)

func (f verifierFunc) Verify(_ context.Context, token string) (wsguard.Principal, error) {
	return f(token)
}

// R13, R57: what a verifier says goes to observers, and its refusals count.
func TestVerifierErrors(t *testing.T) {
	slow := &wsguard.Refusal{Safeguard: "Mine", Reason: "store_down", Status: 503, RetryAfter: time.Second}
	for _, row := range []struct {
		name   string
		err    error
		status int
		reason string
	}{
		{"error", errors.New("row 17 of table users"), 401, "token_invalid"},
		{"refusal", slow, 503, "store_down"},
		{"wrapped refusal", fmt.Errorf("wrapped: %w", slow), 503, "store_down"},
		{"refusal without a status", &wsguard.Refusal{Reason: "mine"}, 500, "mine"},
		{"refusal with a status that admits", &wsguard.Refusal{Reason: "mine", Status: 200}, 500, "mine"},
		{"refusal with the status of an upgrade", &wsguard.Refusal{Reason: "mine", Status: 101}, 500, "mine"},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			v := verifierFunc(func(string) (wsguard.Principal, error) { return userOf("i", "s"), row.err })
			url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.Authenticate(v, wsguard.FromAuthorization()))(wsguard.Handler(echo)))
			p := knock(t, url, "Authorization: Bearer x")
			e := next(t, rec.handshakes)
			if p.resp.StatusCode != row.status || reasonOf(e.Refusal) != row.reason || !strings.HasPrefix(p.body, http.StatusText(row.status)) {
				t.Errorf("%s %q, reason %q", p.resp.Status, p.body, reasonOf(e.Refusal))
			}
			if strings.Contains(p.body, "row 17") || e.Conn.Subject != "" {
				t.Errorf("body %q, subject %q", p.body, e.Conn.Subject)
			}
		})
	}
}

// R55: a token that a verifier quotes, against its contract, is in no log.
func TestTokenIsNotLogged(t *testing.T) {
	const token = "eyJhbGciOiJub25lIn0.c2VjcmV0.x"
	quoting := fmt.Errorf("malformed: %s", token)
	for name, v := range map[string]verifierFunc{
		"error": func(string) (wsguard.Principal, error) { return wsguard.Principal{}, quoting },
		"quoted error": func(string) (wsguard.Principal, error) {
			return wsguard.Principal{}, fmt.Errorf("malformed: %q", token)
		},
		"wrapped error": func(string) (wsguard.Principal, error) { return wsguard.Principal{}, fmt.Errorf("id: %w", quoting) },
		"refusal": func(string) (wsguard.Principal, error) {
			return wsguard.Principal{}, &wsguard.Refusal{Reason: "mine", Status: 401, Err: quoting}
		},
		"reason": func(string) (wsguard.Principal, error) {
			return wsguard.Principal{}, &wsguard.Refusal{Reason: "bad " + token, Status: 401, CloseCode: 3000}
		},
		"panic":  func(string) (wsguard.Principal, error) { panic(quoting) },
		"accept": func(string) (wsguard.Principal, error) { return userOf("i", "s"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			var log lockedLog
			rec := newRecorder()
			guard := wsguard.Chain(
				wsguard.Observe(wsguard.NewObserver("log", slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})))),
				wsguard.Observe(rec.Observer),
				wsguard.Authenticate(v, wsguard.FromQuery("token"), wsguard.FromAuthorization(), wsguard.FromSubprotocol("bearer")))
			srv := httptest.NewUnstartedServer(guard(wsguard.Handler(echo)))
			srv.Config.ErrorLog = slog.NewLogLogger(slog.NewTextHandler(&log, nil), slog.LevelError)
			srv.Start()
			t.Cleanup(srv.Close)
			for _, lines := range [][]string{
				{"GET /?token=" + token + " HTTP/1.1"},
				{"Authorization: Bearer " + token},
				{"Sec-WebSocket-Protocol: bearer." + token},
			} {
				p, err := tryKnock(srv.URL, lines...)
				if e := next(t, rec.handshakes); e.Refusal == nil {
					_ = p.Close()
					next(t, rec.closes)
				} else if strings.Contains(e.Refusal.Error(), token) {
					t.Errorf("observers were told the token: %v", e.Refusal)
				}
				if err == nil {
					_ = p.Close()
				}
			}
			srv.Close()
			if text := log.String(); strings.Contains(text, token) || !strings.Contains(text, "log") {
				t.Errorf("the log holds the token, or nothing:\n%s", text)
			}
		})
	}
}

// lockedLog is a buffer for loggers of several goroutines.
type lockedLog struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// R59, R60: a panic in a verifier refuses that handshake, gives back what it
// held and costs nobody else anything.
func TestPanickingVerifier(t *testing.T) {
	rec := newRecorder()
	slots := wsguard.LimitConns(2, wsguard.Everyone)
	v := verifierFunc(func(token string) (wsguard.Principal, error) {
		if token == "good" {
			return userOf("i", "s"), nil
		}
		panic("verifier")
	})
	srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(rec.Observer), slots,
		wsguard.Authenticate(v, wsguard.FromAuthorization()))(wsguard.Handler(echo)))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	other := mustDial(t, srv.URL, "Authorization: Bearer good")
	next(t, rec.handshakes)
	for range 3 { // more than there are slots
		if p, err := tryKnock(srv.URL, "Authorization: Bearer bad"); err == nil {
			_ = p.Close()
			if p.resp.StatusCode != http.StatusInternalServerError {
				t.Errorf("answered %s", p.resp.Status)
			}
		}
		if e := next(t, rec.handshakes); reasonOf(e.Refusal) != "internal_error" {
			t.Errorf("observed %v", e.Refusal)
		}
	}
	if n := freeSlots(slots, requestFrom("192.0.2.1:1")); n != 1 {
		t.Errorf("%d slots are free, want 1", n)
	}
	wantEcho(t, other)
}

// R25, R58: a principal lasts as long as its expiry, or as somebody has said on
// purpose.
func TestInsecureNoExpiry(t *testing.T) {
	runKnocks(t, []knockRow{
		{"no expiry", []string{"X-Token: boundless"}, 101, ""},
		{"expiry", []string{"X-Token: good"}, 101, ""},
		{"expired all the same", []string{"X-Token: expired"}, 401, "token_expired"},
		{"no subject all the same", []string{"X-Token: nobody"}, 401, "principal_incomplete"},
		{"unknown all the same", []string{"X-Token: bad"}, 401, "token_invalid"},
	}, wsguard.Authenticate(wsguard.InsecureNoExpiry(known), wsguard.FromHeader("X-Token")))
}

func TestHasScope(t *testing.T) {
	p := &wsguard.Principal{Scopes: []string{"read", "write"}}
	for scope, want := range map[string]bool{"read": true, "write": true, "": false, "rea": false, "READ": false, "read write": false} {
		if p.HasScope(scope) != want {
			t.Errorf("HasScope(%q) is not %v", scope, want)
		}
	}
	if (*wsguard.Principal)(nil).HasScope("read") {
		t.Error("nobody has a scope")
	}
}

// An introspection is a Verifier that asks whoever issued the token.
type introspection struct{}

func (introspection) Verify(_ context.Context, token string) (wsguard.Principal, error) {
	if token != "known" {
		return wsguard.Principal{}, errors.New("the issuer does not know it") // never quote the token
	}
	return wsguard.Principal{Subject: "ada", Issuer: "https://id.example.com", Expires: time.Now().Add(time.Minute)}, nil
}

func ExampleVerifier() {
	h := wsguard.Authenticate(introspection{}, wsguard.FromAuthorization())(wsguard.Handler(echo))
	fmt.Println(answer(h, "Authorization", "Bearer unknown"))
	fmt.Println(answer(h))
	// Output:
	// 401 Unauthorized
	// 401 Unauthorized
}

func ExampleInsecureNoExpiry() {
	sessions := fixedTokens{"s1": {Subject: "ada"}} // sessions of a store, which end when it says so
	page := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	strict := wsguard.Authenticate(sessions, wsguard.FromHeader("X-Session"))
	fmt.Println(answer(strict(page), "X-Session", "s1"))
	open := wsguard.Authenticate(wsguard.InsecureNoExpiry(sessions), wsguard.FromHeader("X-Session"))
	fmt.Println(answer(open(page), "X-Session", "s1"))
	// Output:
	// 401 Unauthorized
	// 200 OK
}

func ExamplePrincipal_HasScope() {
	p := &wsguard.Principal{Subject: "ada", Scopes: []string{"chat:read"}}
	fmt.Println(p.HasScope("chat:read"), p.HasScope("chat:write"))
	// Output: true false
}
