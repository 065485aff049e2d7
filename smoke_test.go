package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

func echo(ctx context.Context, c *wsguard.Conn) error {
	for {
		typ, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, data); err != nil {
			return err
		}
	}
}

func TestSmoke(t *testing.T) {
	guard := wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.LimitConns(1, wsguard.PerIP),
		wsguard.LimitMessages(10, 2, wsguard.PerConn),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
	)
	srv := httptest.NewServer(guard(wsguard.Handler(echo)))
	defer srv.Close()
	dial := func(origin string) (*websocket.Conn, *http.Response, error) {
		return websocket.Dial(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {origin}}})
	}
	if _, resp, err := dial("https://evil.example.com"); err == nil || resp.StatusCode != 403 {
		t.Fatal(err, resp)
	}
	c, _, err := dial("https://app.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, resp, err := dial("https://app.example.com"); err == nil || resp.StatusCode != 429 {
		t.Fatal(err, resp)
	}
	for range 2 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("hi")); err != nil {
			t.Fatal(err)
		}
		if _, data, err := c.Read(t.Context()); err != nil || string(data) != "hi" {
			t.Fatal(err, data)
		}
	}
	c.Write(t.Context(), websocket.MessageText, []byte("hi"))
	_, _, err = c.Read(t.Context())
	var ce websocket.CloseError
	if !errors.As(err, &ce) || ce.Code != 1008 {
		t.Fatal(err)
	}
	t.Log(err)
}
