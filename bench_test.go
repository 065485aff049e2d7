package wsguard_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

const (
	// chatter is a message of 130 bytes.
	chatter = `{"type":"say","room":"lobby","text":"The quick brown fox jumps over the lazy dog, and the dog sleeps on, as old dogs do these days"}`

	chatterSchema = `{"type":"object","properties":{
		"type":{"enum":["join","say","leave"]},
		"room":{"type":"string","pattern":"^[a-z0-9-]{1,32}$"},
		"text":{"type":"string","minLength":1,"maxLength":2000}},
		"required":["type","room"],"additionalProperties":false}`
)

// fullChain is every safeguard that concerns a connection over plain HTTP,
// with limits that nobody reaches.
func fullChain(more ...safeguard) safeguard {
	return wsguard.Chain(
		wsguard.Observe(wsguard.NewObserver("bench", nil)),
		wsguard.AllowOrigins(home),
		wsguard.LimitConns(1000, wsguard.Everyone), wsguard.LimitConns(1000, wsguard.PerIP),
		wsguard.LimitHandshakes(1000, 1000, wsguard.PerIP),
		wsguard.Authenticate(fixedTokens{"t": userOf("id", "alice")}, wsguard.FromAuthorization()),
		wsguard.LimitConns(1000, wsguard.PerUser),
		wsguard.MaxMessageSize(16<<10),
		wsguard.LimitMessages(1e9, 1e9, wsguard.PerConn), wsguard.LimitMessages(1e9, 1e9, wsguard.PerUser),
		wsguard.LimitBytes(1e12, 1e12, wsguard.PerConn),
		wsguard.CheckMessages("any", asBytes),
		wsguard.SanitizeMessages(wsguard.Sanitizer{}),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
		wsguard.IdleTimeout(5*time.Minute),
		wsguard.MaxLifetime(8*time.Hour),
		wsguard.Chain(more...),
	)
}

func asBytes(context.Context, *wsguard.Conn, websocket.MessageType, []byte) error { return nil }

// benchDial connects to a handler as fullChain wants it.
func benchDial(tb testing.TB, h http.Handler) *rawClient {
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	c := rawDial(tb, srv.URL, "Origin: "+home, "Authorization: Bearer t")
	_ = c.SetDeadline(time.Time{})
	return c
}

// BenchmarkEcho sends a message over a loopback socket and waits for its echo,
// through Conn and through the library alone.
func BenchmarkEcho(b *testing.B) {
	schema := wsguard.ValidateMessages(wsguard.MustCompileSchema(chatterSchema))
	for _, bm := range []struct {
		name string
		h    http.Handler
	}{
		{"library", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err != nil {
				return
			}
			defer func() { _ = ws.CloseNow() }()
			for {
				typ, data, err := ws.Read(context.Background())
				if err != nil {
					return
				}
				if err := ws.Write(context.Background(), typ, data); err != nil {
					return
				}
			}
		})},
		{"wsguard without rules", wsguard.AllowOrigins(home)(wsguard.Handler(echo))},
		{"wsguard", fullChain()(wsguard.Handler(echo))},
		{"wsguard with schema", fullChain(schema)(wsguard.Handler(echo))},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := benchDial(b, bm.h)
			message, answer := textFrame(chatter), make([]byte, 4+len(chatter))
			b.SetBytes(int64(len(chatter)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := c.Write(message); err != nil {
					b.Fatal(err)
				}
				if _, err := io.ReadFull(c.br, answer); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// hostileMessages are the cheapest to send, of those that are refused.
var hostileMessages = map[string]string{
	"deep":      strings.Repeat("[", 10_000),
	"number":    `{"n":1e1000001}`,
	"forbidden": `{"type":"say","room":"lobby","admin":true}`,
}

// refusingConn refuses each message, and replies.
func refusingConn(tb testing.TB) *rawClient {
	schema := wsguard.ValidateMessages(wsguard.MustCompileSchema(chatterSchema), wsguard.PolicyReply.Strikes(1<<40))
	return benchDial(tb, fullChain(schema)(wsguard.Handler(echo)))
}

// A message that is refused allocates what says why, and no more if it is long.
func TestRefusalAllocates(t *testing.T) {
	most := 24.0 // with what the test itself needs to read the reply
	if raced() {
		most = 40
	}
	for name, text := range hostileMessages {
		t.Run(name, func(t *testing.T) {
			c, message := refusingConn(t), textFrame(text)
			if n := testing.AllocsPerRun(200, func() {
				c.send(message)
				c.frame()
			}); n > most {
				t.Errorf("%v allocations, want at most %v", n, most)
			}
		})
	}
}

// BenchmarkRefusal is what they cost.
func BenchmarkRefusal(b *testing.B) {
	for name, text := range hostileMessages {
		b.Run(name, func(b *testing.B) {
			c, message := refusingConn(b), textFrame(text)
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				c.send(message)
				c.frame()
			}
		})
	}
}

// raced reports whether the test was built with the race detector.
func raced() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}

// A message that passes costs the one allocation that the application gets,
// whatever rules it has passed, but for a schema.
func TestReadAllocates(t *testing.T) {
	most := 1.0
	if raced() {
		most = 3 // the race detector makes every sync.Pool forget at random
	}
	withEnd, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, tc := range []struct {
		name  string
		ctx   context.Context
		chain safeguard
	}{
		{"without rules", context.Background(), wsguard.AllowOrigins(home)},
		{"every rule", context.Background(), fullChain(wsguard.ValidateMessages(wsguard.MustCompileSchema(chatterSchema)))},
		{"a context that can end", withEnd, fullChain()},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, c := accepted(t, tc.chain)
			message := textFrame(chatter)
			if n := testing.AllocsPerRun(500, func() {
				_, _ = c.Write(message)
				if _, data, err := conn.Read(tc.ctx); err != nil || len(data) != len(chatter) {
					t.Fatal(len(data), err)
				}
			}); n > most {
				t.Errorf("%v allocations a message, want %v", n, most)
			}
			if n := testing.AllocsPerRun(500, func() {
				if err := conn.Write(tc.ctx, websocket.MessageBinary, message); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c.br, make([]byte, 4+len(message))); err != nil {
					t.Fatal(err)
				}
			}); n > most { // one is the test's own
				t.Errorf("%v allocations a message written, want none", n-1)
			}
		})
	}
}
