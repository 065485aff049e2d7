package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/wsguard/wsguard"
)

const own = "https://app.example.com"

func dial(t *testing.T, handler http.Handler, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c, response, err := websocket.DefaultDialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http"),
		http.Header{"Origin": {origin}})
	if err == nil {
		t.Cleanup(func() { c.Close() })
	}
	return c, response, err
}

func TestAccepted(t *testing.T) {
	c, _, err := dial(t, guard(own)(http.HandlerFunc(echo)), own)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.ReadMessage(); err != nil || string(got) != "hello" {
		t.Fatalf("got %q, %v", got, err)
	}
}

func TestForeignOrigin(t *testing.T) {
	if _, response, err := dial(t, guard(own)(http.HandlerFunc(echo)), "https://evil.example.com"); response == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("got %v, %v", response, err)
	}
}

func TestTooBig(t *testing.T) {
	c, _, err := dial(t, guard(own)(http.HandlerFunc(echo)), own)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.WriteMessage(websocket.TextMessage, make([]byte, 4<<10+1)); err != nil {
		t.Fatal(err)
	}
	_, _, err = c.ReadMessage()
	var closed *websocket.CloseError
	if !errors.As(err, &closed) || closed.Code != websocket.CloseMessageTooBig {
		t.Fatalf("got %v, want close code 1009", err)
	}
}

// A rule that gorilla would not apply ends in a refusal, not in a connection
// without the rule.
func TestRuleForMessages(t *testing.T) {
	handler := guard(own)(wsguard.LimitMessages(10, 20, wsguard.PerConn)(http.HandlerFunc(echo)))
	if _, response, err := dial(t, handler, own); response == nil || response.StatusCode != http.StatusInternalServerError {
		t.Fatalf("got %v, %v", response, err)
	}
}
