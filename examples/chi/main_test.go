package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/wsguardtest"
)

const origin = "https://app.example.com"

func TestRoom(t *testing.T) {
	server := httptest.NewServer(newHandler(origin, sessions{
		"of-alice": {Subject: "alice", Expires: time.Now().Add(time.Hour)},
	}))
	defer server.Close()
	for _, row := range []struct {
		name, origin string
		protocols    []string
		status       int
	}{
		{"a session", origin, []string{"rooms.v1", "bearer.of-alice"}, http.StatusSwitchingProtocols},
		{"another token", origin, []string{"rooms.v1", "bearer.of-nobody"}, http.StatusUnauthorized},
		{"no token", origin, []string{"rooms.v1"}, http.StatusUnauthorized},
		{"page of another site", "https://evil.example.com", []string{"rooms.v1", "bearer.of-alice"}, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/rooms/blue/ws",
				&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {row.origin}}, Subprotocols: row.protocols})
			if response == nil || response.StatusCode != row.status {
				t.Fatalf("got %v, %v, want status %d", response, err, row.status)
			}
			if err != nil {
				return
			}
			defer c.CloseNow()
			if c.Subprotocol() != "rooms.v1" {
				t.Errorf("subprotocol %q: the token was echoed, or nothing was", c.Subprotocol())
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "alice is in blue" {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}

// The endpoint under chi withstands what the kit can do to it.
func TestAttack(t *testing.T) {
	wsguardtest.Attack(t, wsguardtest.Target{Path: "/rooms/blue/ws", Handler: newHandler(origin, sessions{
		"of-alice": {Subject: "alice", Expires: time.Now().Add(time.Hour)},
	})}, wsguardtest.Profile{
		Origin:       origin,
		Subprotocols: []string{"rooms.v1"},
		Token:        func(context.Context) (string, error) { return "of-alice", nil },
		TokenIn:      "subprotocol:bearer.",
		Message:      `{"text":"hi"}`,
		Accepted:     func(answer []byte) bool { return string(answer) == `{"text":"hi"}` }, // which the greeting is not
		Claims:       wsguardtest.Claims{MessageBytes: 32 << 10, MessageBurst: 20, ConnsPerUser: 5},
		Skip: map[string]string{
			"message":                          "the endpoint sends back whatever it is sent",
			"tickets":                          "there are none",
			"transport/plaintext":              "TLS ends before this server",
			"transport/plaintext-forged-proxy": "TLS ends before this server",
			"transport/tls-1.1":                "TLS ends before this server",
		},
	})
}
