package wsguardtest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A Conn is a connection of a test to its own handler. It is coder/websocket's
// connection, with methods that fail the test instead of returning an error;
// call them from the test's goroutine.
type Conn struct {
	*websocket.Conn
	t testing.TB
}

// patience is how long a Conn waits.
const patience = 10 * time.Second

// Dial serves a handler until the test ends and connects to it, with header
// lines such as "Origin: https://app.example.com" and the subprotocols that
// "Sec-WebSocket-Protocol: a, b" offers. A handshake that is refused fails the
// test; see [Refused]. The connection ends with the test.
func Dial(t testing.TB, h http.Handler, lines ...string) *Conn {
	t.Helper()
	c, resp, err := dialTest(t, h, lines)
	if err != nil {
		if resp != nil {
			t.Fatalf("the handshake was answered with %d", resp.StatusCode)
		}
		t.Fatalf("the handshake got no response: %v", err)
	}
	return &Conn{c, t}
}

// Refused is Dial for a handshake that must be refused. It returns the status.
func Refused(t testing.TB, h http.Handler, lines ...string) int {
	t.Helper()
	c, resp, err := dialTest(t, h, lines)
	if err == nil {
		_ = c.CloseNow()
		t.Fatal("the handshake was accepted, where it had to be refused")
	}
	if resp == nil {
		t.Fatalf("the handshake got no response: %v", err)
	}
	return resp.StatusCode
}

func dialTest(t testing.TB, h http.Handler, lines []string) (*websocket.Conn, *http.Response, error) {
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	client := server.Client()
	options := &websocket.DialOptions{HTTPClient: client, HTTPHeader: http.Header{}}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			t.Fatalf(`wsguardtest: Dial: a line is no header: write "Origin: https://app.example.com"`)
		}
		if strings.EqualFold(name, "Sec-WebSocket-Protocol") {
			options.Subprotocols = append(options.Subprotocols, strings.Split(value, ", ")...)
			continue
		}
		options.HTTPHeader.Add(name, value)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, server.URL, options)
	if err == nil {
		t.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, resp, err
}

// Send sends a text message.
func (c *Conn) Send(message string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte(message)); err != nil {
		c.t.Fatalf("the message could not be sent: %v", err)
	}
}

// Receive returns the next message.
func (c *Conn) Receive() string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := c.Read(ctx)
	if err != nil {
		c.t.Fatalf("no message came: %v", err)
	}
	return string(data)
}

// CloseCode reads until the server closes, and returns with which code: 1006 if
// there was no close frame (RFC 6455, section 7.1.5).
func (c *Conn) CloseCode() websocket.StatusCode {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, _, err := c.Read(ctx)
		switch code := websocket.CloseStatus(err); {
		case err == nil:
		case ctx.Err() != nil:
			c.t.Fatalf("the server did not close in %v", patience)
		case code == -1:
			return websocket.StatusAbnormalClosure
		default:
			return code
		}
	}
}
