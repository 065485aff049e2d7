package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/wsguardtest"
)

const own = "https://app.example.com"

func dial(t *testing.T, origin string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	server := httptest.NewServer(newHandler(own))
	t.Cleanup(server.Close)
	c, response, err := websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(server.URL, "http")+"/ws",
		&websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
	if err == nil {
		t.Cleanup(func() { c.CloseNow() })
	}
	return c, response, err
}

func TestForeignOrigin(t *testing.T) {
	if _, response, err := dial(t, "https://evil.example.com"); response == nil || response.StatusCode != http.StatusForbidden {
		t.Fatalf("got %v, %v", response, err)
	}
}

func TestOrders(t *testing.T) {
	for _, row := range []struct {
		name, send, want string
		code             websocket.StatusCode
	}{
		{"an order", `{"item":"tea","count":2}`, `{"count":2,"ordered":"tea"}`, 0},
		{"too many", `{"item":"tea","count":101}`, "", websocket.StatusUnsupportedData},
		{"more than an order", `{"item":"tea","count":2,"price":0}`, "", websocket.StatusUnsupportedData},
		{"twice the same", `{"item":"tea","count":2,"count":100}`, "", websocket.StatusUnsupportedData},
		{"no JSON", `tea`, "", websocket.StatusUnsupportedData},
	} {
		t.Run(row.name, func(t *testing.T) {
			c, _, err := dial(t, own)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Write(t.Context(), websocket.MessageText, []byte(row.send)); err != nil {
				t.Fatal(err)
			}
			_, got, err := c.Read(t.Context())
			if row.code == 0 && err != nil || string(got) != row.want {
				t.Fatalf("got %q, %v, want %q", got, err, row.want)
			}
			if row.code != 0 && websocket.CloseStatus(err) != row.code {
				t.Fatalf("got %v, want close code %d", err, row.code)
			}
		})
	}
}

// The endpoint under echo withstands what the kit can do to it.
func TestAttack(t *testing.T) {
	wsguardtest.Attack(t, wsguardtest.Target{Handler: newHandler(own), Path: "/ws"}, wsguardtest.Profile{
		Origin:  own,
		Message: `{"item":"tea","count":2}`,
		Invalid: map[string]string{"too many": `{"item":"tea","count":101}`, "no item": `{"count":1}`},
		Claims:  wsguardtest.Claims{MessageBytes: 32 << 10, MessageBurst: 20},
		Skip:    map[string]string{"auth": "everybody may order", "tickets": "there are none"},
	})
}
