package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestEcho(t *testing.T) {
	server := httptest.NewServer(newHandler("https://app.example.com"))
	defer server.Close()
	for _, row := range []struct {
		name   string
		origin []string
		status int
	}{
		{"own page", []string{"https://app.example.com"}, http.StatusSwitchingProtocols},
		{"page of another site", []string{"https://evil.example.com"}, http.StatusForbidden},
		{"no origin", nil, http.StatusForbidden},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws",
				&websocket.DialOptions{HTTPHeader: http.Header{"Origin": row.origin}})
			if response == nil || response.StatusCode != row.status {
				t.Fatalf("got %v, %v, want status %d", response, err, row.status)
			}
			if err != nil {
				return
			}
			defer c.CloseNow()
			if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			if _, got, err := c.Read(t.Context()); err != nil || string(got) != "hello" {
				t.Fatalf("got %q, %v", got, err)
			}
		})
	}
}
