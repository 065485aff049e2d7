package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// A victim is a chat with what the attack kit has to know of it.
type victim struct {
	*server
	t       testing.TB
	log     syncBuffer
	pages   http.Handler // all of the chat
	handler http.Handler // what is attacked
}

// The times are short, so that the kit need not wait; what an attack takes from
// the limits on handshakes comes back soon.
var quick = []string{"-addr", "chat.example.com:8443", "-tls", "-max-conns-per-user", "8", "-handshake-rate", "20", "-handshake-burst", "200",
	"-max-message-bytes", "4096", "-ping-interval", "500ms", "-pong-timeout", "500ms", "-idle-timeout", "2s", "-max-lifetime", "3s", "-ticket-ttl", "1s"}

func newVictim(t testing.TB, flags ...string) *victim {
	t.Helper()
	config, err := parseFlags(append(quick, flags...), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t}
	if v.server, err = newServer(config, "https://chat.example.com:8443", slog.New(slog.NewTextHandler(&v.log, nil))); err != nil {
		t.Fatal(err)
	}
	if v.pages, err = v.server.handler(); err != nil {
		t.Fatal(err)
	}
	v.handler = v.pages
	return v
}

func (v *victim) target() wsguardtest.Target {
	return wsguardtest.Target{Handler: v.handler, Path: "/ws", Host: "chat.example.com:8443", TLS: true}
}

// post is what the page asks for besides its connection.
func (v *victim) post(path, token string) (*httptest.ResponseRecorder, error) {
	r := httptest.NewRequest("POST", "https://chat.example.com:8443"+path, nil)
	r.Header.Set("Origin", v.base)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	v.pages.ServeHTTP(w, r)
	if w.Code >= 300 {
		return nil, fmt.Errorf("POST %s: %d", path, w.Code)
	}
	return w, nil
}

// profile is what a client of the chat does. Who has joined a room is told its
// members, and nobody else is.
func (v *victim) profile() wsguardtest.Profile {
	const session = "kit"
	if !v.sessions.begin("alice", session, time.Now().Add(time.Hour)) {
		v.t.Fatal("alice cannot log in")
	}
	signer := wsguardtest.NewKeySigner(v.issuer.name, accessToken.audience, v.issuer.key).With(
		map[string]any{"typ": accessToken.typ, "kid": v.issuer.kid}, map[string]any{"client_id": "chat", "sid": session})
	token := signer.Token("alice")
	return wsguardtest.Profile{
		Origin: v.base, Subprotocols: []string{"chat.v1"}, Signer: signer, TokenIn: "subprotocol:bearer.", TicketIn: "query:ticket",
		Ticket: func(context.Context) (string, error) {
			w, err := v.post("/ticket", token)
			if err != nil {
				return "", err
			}
			var answer struct{ Ticket string }
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.Ticket == "" {
				return "", errors.New("POST /ticket: no ticket")
			}
			return answer.Ticket, nil
		},
		Message:  `{"type":"join","room":"kit"}`,
		Accepted: func(answer []byte) bool { return strings.Contains(string(answer), `"members":`) },
		Invalid: map[string]string{
			"no such type":          `{"type":"shutdown"}`,
			"no room":               `{"type":"join"}`,
			"no name of a room":     `{"type":"join","room":"../etc"}`,
			"text that is too long": `{"type":"say","room":"kit","text":"` + strings.Repeat("x", 2001) + `"}`,
		},
		Logout: func(context.Context) error { _, err := v.post("/logout", token); return err },
		Log:    v.log.String,
		Claims: wsguardtest.Claims{MessageBytes: 4096, MessageBurst: 20, HandshakeBurst: v.config.handshakeBurst, ConnsPerUser: 8, DeadPeer: time.Second,
			Idle: 2 * time.Second, FirstMessage: 2 * time.Second, Lifetime: 3 * time.Second, Stall: 10 * time.Second,
			TokenLeeway: time.Second, // to which expiries are rounded up
			TicketLife:  time.Second},
		Skip: map[string]string{
			"auth/token-in-url":       "the chat takes short-lived tokens from the URL, and keeps them out of the log: see leaks",
			"message/byte-order-mark": "SanitizeMessages strips it, so that it does not get to the chat",
			"time/slow-handshake":     "it is the HTTP server that ends it: TestSlowHandshake",
			"time/reader-that-stops":  "the limit on messages ends it before, or the queue of its answers: TestSlowReader",
		},
	}
}

var reportFile = flag.String("report", "", "write TestAttack's report to this file as JSON")

// The chat withstands every attack of the kit. R64
func TestAttack(t *testing.T) {
	v := newVictim(t)
	report := wsguardtest.Attack(t, v.target(), v.profile())
	t.Log(report.String(), report.Took.Round(time.Millisecond))
	for _, r := range report.Results {
		if r.Verdict == wsguardtest.NotJudged {
			t.Errorf("%s is not judged: %s", r.Name, r.Seen)
		}
	}
	if *reportFile != "" {
		data, err := json.Marshal(report)
		if err = errors.Join(err, os.WriteFile(*reportFile, data, 0o600)); err != nil {
			t.Error(err)
		}
	}
	if report.Took > time.Minute {
		t.Errorf("the kit took %v", report.Took)
	}
}

// withstood runs some attacks, and wants every one of them withstood.
func withstood(t *testing.T, target wsguardtest.Target, p wsguardtest.Profile, only ...string) {
	t.Helper()
	p.Only, p.Skip = only, nil
	report := wsguardtest.Attack(t, target, p)
	if report.Count(wsguardtest.Withstood) != len(report.Results) {
		t.Error(report.String())
	}
}

// R49
func TestSlowHandshake(t *testing.T) {
	t.Parallel()
	c := start(t)
	withstood(t, wsguardtest.Target{URL: c.base + "/ws"}, wsguardtest.Profile{Origin: c.base, TokenIn: "subprotocol:bearer.", Subprotocols: []string{"chat.v1"},
		Token:  func(context.Context) (string, error) { return c.login("alice"), nil },
		Claims: wsguardtest.Claims{Handshake: 5 * time.Second}}, "time/slow-handshake")
}
