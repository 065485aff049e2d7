package wsguard_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// What is no handshake of RFC 6455, section 4.2.1, gets an answer and no
// connection. R45, R51, R53, R57
func TestUpgradeRequest(t *testing.T) {
	const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
	runKnocks(t, []knockRow{
		{"a handshake", nil, 101, ""},
		{"in any case", []string{"Connection: uPGRADE", "Upgrade: WebSocket"}, 101, ""},
		{"in lists", []string{"Connection: keep-alive,\tUpgrade", "Upgrade: h2c, websocket"}, 101, ""},
		{"in two lines", []string{"Connection: keep-alive", "Connection: Upgrade"}, 101, ""},
		{"with extensions", []string{"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"}, 101, ""}, // R50
		{"POST", []string{"POST / HTTP/1.1", "Content-Length: 0"}, 405, "method_not_allowed"},
		{"CONNECT", []string{"CONNECT / HTTP/1.1"}, 405, "method_not_allowed"},
		{"HTTP/1.0", []string{"GET / HTTP/1.0"}, 426, "not_an_upgrade"},
		{"no Upgrade", []string{"Upgrade"}, 426, "not_an_upgrade"},
		{"another Upgrade", []string{"Upgrade: h2c"}, 426, "not_an_upgrade"},
		{"Upgrade with a version", []string{"Upgrade: websocket/13"}, 426, "not_an_upgrade"},
		{"no Connection", []string{"Connection"}, 426, "not_an_upgrade"},
		{"another Connection", []string{"Connection: keep-alive"}, 426, "not_an_upgrade"},
		{"part of a token", []string{"Connection: Upgrades, un-upgrade"}, 426, "not_an_upgrade"},
		{"no version", []string{"Sec-WebSocket-Version"}, 426, "version_not_13"},
		{"version 8", []string{"Sec-WebSocket-Version: 8"}, 426, "version_not_13"},
		{"two versions", []string{"Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"}, 426, "version_not_13"},
		{"a list of versions", []string{"Sec-WebSocket-Version: 13, 8"}, 426, "version_not_13"},
		{"Hixie's keys", []string{"Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Key1: 4 @1  46546xW%0l 1 5"}, 426, "version_not_13"},
		{"no key", []string{"Sec-WebSocket-Key"}, 400, "bad_handshake"},
		{"two keys", []string{key, key}, 400, "bad_handshake"},
		{"an empty key", []string{"Sec-WebSocket-Key:"}, 400, "bad_handshake"},
		{"a key of 15 bytes", []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"}, 400, "bad_handshake"},
		{"a key that is not base64", []string{"Sec-WebSocket-Key: !AAAAAAAAAAAAAAAAAAAAA=="}, 400, "bad_handshake"},
		{"an Origin that nobody judges", []string{"Origin: https://app.example.com"}, 403, "origin_unchecked"}, // R05
		{"an empty Origin", []string{"Origin:"}, 403, "origin_unchecked"},
	})
}

// A refused client keeps no descriptor, which no limit would count: not even
// one that owes a body. R45, R47
func TestRefusedBody(t *testing.T) {
	for name, lines := range map[string][]string{
		"upgrade":            {"Content-Length: 5"},
		"upgrade, in chunks": {"Transfer-Encoding: chunked"},
		"POST":               {"POST / HTTP/1.1", "Content-Length: 5"},
		"no upgrade":         {"Upgrade", "Content-Length: 5"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, err := knockOn(newMemoryServer(t, wsguard.Chain(wsguard.LimitConns(1, wsguard.Everyone))(wsguard.Handler(echo))).pipe(), lines...)
				if err != nil {
					t.Fatal(err)
				}
				if want := map[string]int{"POST": 405, "no upgrade": 426}[name]; p.resp.StatusCode != max(want, 400) {
					t.Errorf("status %d", p.resp.StatusCode)
				}
				if _, err := p.br.ReadByte(); err != io.EOF {
					t.Errorf("the socket was left open: %v", err)
				}
			})
		})
	}
}

// The server's order decides, names are compared exactly, and what is echoed is
// one of its own. RFC 6455, section 4.2.2
func TestSubprotocol(t *testing.T) {
	u := wsguard.Upgrader{Subprotocols: []string{"chat.v2", "chat.v1"}}
	got := make(chan string, 1)
	url := newServer(t, u.Handler(func(_ context.Context, c *wsguard.Conn) error {
		got <- c.Subprotocol()
		return nil
	}))
	for _, tc := range []struct {
		name  string
		lines []string
		want  string
	}{
		{"none", nil, ""},
		{"one", []string{"Sec-WebSocket-Protocol: chat.v1"}, "chat.v1"},
		{"the server prefers", []string{"Sec-WebSocket-Protocol: chat.v1, chat.v2"}, "chat.v2"},
		{"in two lines", []string{"Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Protocol: chat.v2"}, "chat.v2"},
		{"unknown", []string{"Sec-WebSocket-Protocol: mqtt"}, ""},
		{"unknown and known", []string{"Sec-WebSocket-Protocol: mqtt,\tchat.v1"}, "chat.v1"},
		{"another case", []string{"Sec-WebSocket-Protocol: CHAT.V1"}, ""},
		{"part of a name", []string{"Sec-WebSocket-Protocol: chat.v10, chat"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := rawDial(t, url, tc.lines...)
			echoed := c.resp.Header["Sec-Websocket-Protocol"]
			if conn := next(t, got); conn != tc.want || c.resp.Header.Get("Sec-WebSocket-Protocol") != tc.want || len(echoed) > 1 {
				t.Errorf("Subprotocol is %q, the client is told %q, want %q", conn, echoed, tc.want)
			}
		})
	}
}

type keyOf string

// with puts a value into the context of a request, as a router does.
func with(key, value string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), keyOf(key), value)))
	})
}

// The context of a connection holds what Upgrader.Context took out of the
// request, and nothing else of it: routers reuse theirs.
func TestUpgraderContext(t *testing.T) {
	got := make(chan [3]any, 1)
	u := wsguard.Upgrader{Context: func(r *http.Request) context.Context {
		return context.WithValue(context.Background(), keyOf("tenant"), r.Context().Value(keyOf("route")))
	}}
	for name, tc := range map[string]struct {
		upgrader wsguard.Upgrader
		tenant   any
	}{"given": {u, "blue"}, "default": {wsguard.Upgrader{}, nil}} {
		t.Run(name, func(t *testing.T) {
			h := tc.upgrader.Handler(func(ctx context.Context, _ *wsguard.Conn) error {
				got <- [3]any{ctx.Value(keyOf("tenant")), ctx.Value(keyOf("route")), ctx.Value(http.ServerContextKey)}
				return nil
			})
			rawDial(t, newServer(t, with("route", "blue", wsguard.MaxMessageSize(10)(h))))
			if values := next(t, got); values != [3]any{tc.tenant, nil, nil} {
				t.Errorf("tenant, route and server are %v, want %v and nothing", values, tc.tenant)
			}
		})
	}
}

// A context that ends ends its connections, also one that has ended before.
func TestUpgraderContextEnds(t *testing.T) {
	long, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	ofLong := func(*http.Request) context.Context { return long }
	ofRequest := func(r *http.Request) context.Context { return r.Context() }
	for _, tc := range []struct {
		name string
		of   func(*http.Request) context.Context
		end  func()
	}{
		{"during the connection", ofLong, func() { cancel(errGoodbye) }},
		{"before it", ofLong, func() {}},
		{"with the request", ofRequest, func() {}}, // a mistake
	} {
		t.Run(tc.name, func(t *testing.T) {
			running, cause := make(chan bool, 1), make(chan error, 1)
			rec := newRecorder()
			h := wsguard.Upgrader{Context: tc.of}.Handler(func(ctx context.Context, c *wsguard.Conn) error {
				running <- true
				_, _, err := c.Read(ctx)
				<-ctx.Done()
				cause <- context.Cause(ctx)
				return err
			})
			c := rawDial(t, newServer(t, wsguard.Observe(rec.Observer)(h)))
			next(t, running)
			tc.end()
			c.wantClose(1001, "context ended")
			rec.wantClosed(t, 1001, wsguard.InitiatorServer, "context_ended")
			if err := next(t, cause); !isRefusal(err, "context_ended") {
				t.Errorf("the cause is %v", err)
			}
		})
	}
}

// A mistake in Upgrader.Context costs the request that it was made for, and is
// observed. R59
func TestUpgraderContextFails(t *testing.T) {
	for name, of := range map[string]func(*http.Request) context.Context{
		"nil":   func(*http.Request) context.Context { return nil },
		"panic": func(*http.Request) context.Context { panic("no tenant") },
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			h := wsguard.Upgrader{Context: of}.Handler(echo)
			srv := httptest.NewUnstartedServer(wsguard.Observe(rec.Observer)(h))
			srv.Config.ErrorLog = quiet
			srv.Start()
			defer srv.Close()
			if _, err := tryKnock(srv.URL); err == nil {
				t.Error("there was an answer")
			}
			if e := next(t, rec.handshakes); reasonOf(e.Refusal) != "internal_error" {
				t.Errorf("observed %v", e.Refusal)
			}
		})
	}
}

// Accept needs no chain: what needs no safeguard holds.
func TestAcceptWithoutAChain(t *testing.T) {
	result := make(chan error, 1)
	url := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsguard.Accept(w, r)
		if err == nil {
			_, _, err = c.Read(r.Context())
		}
		result <- err
	}))
	c := rawDial(t, url)
	c.send(frameHeader(final|opText, 32<<10+1))
	c.wantClose(1009, "message too big")
	if err := next(t, result); !isRefusal(err, "message_too_big") {
		t.Errorf("Read: %v", err)
	}
	p := knock(t, url, "Upgrade")
	if err := next(t, result); p.resp.StatusCode != 426 || !isRefusal(err, "not_an_upgrade") {
		t.Errorf("status %d, error %v", p.resp.StatusCode, err)
	}
	w := httptest.NewRecorder() // no Hijacker, as with HTTP/2
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket",
		"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="} {
		r.Header.Set(name, value)
	}
	if _, err := wsguard.Accept(w, r); w.Code != 500 || !isRefusal(err, "not_hijackable") {
		t.Errorf("status %d, error %v", w.Code, err)
	}
}

// A request becomes one connection. To ask again is an error that does nothing
// to the first.
func TestAcceptTwice(t *testing.T) {
	for name, chain := range map[string]func(http.Handler) http.Handler{
		"in a chain": wsguard.Chain(wsguard.LimitConns(1, wsguard.Everyone)),
		"without":    wsguard.Chain(),
	} {
		t.Run(name, func(t *testing.T) {
			h := chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := wsguard.Upgrader{Subprotocols: []string{"chat.v1"}}.Accept(w, r)
				if err != nil {
					t.Error(err)
					return
				}
				if second, err := (wsguard.Upgrader{Subprotocols: []string{"chat.v2"}}).Accept(w, r); second != nil || !errors.As(err, new(*wsguard.Refusal)) {
					t.Errorf("the second Accept: %v", err)
				}
				if c.Subprotocol() != "chat.v1" {
					t.Errorf("it changed the subprotocol of the first to %q", c.Subprotocol())
				}
				_ = echo(r.Context(), c)
			}))
			srv := httptest.NewUnstartedServer(h)
			srv.Config.ErrorLog = quiet
			srv.Start()
			defer srv.Close()
			c := rawDial(t, srv.URL, "Sec-WebSocket-Protocol: chat.v1, chat.v2")
			c.send(textFrame("hi"))
			c.wantMessage("hi")
			c.send(closeFrame(1000, ""))
			c.wantClose(1000, "")
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, tc := range []struct {
		connection, upgrade string
		want                bool
	}{
		{"Upgrade", "websocket", true},
		{"keep-alive, upgrade", "WebSocket", true},
		{"keep-alive", "websocket", false},
		{"Upgrade", "h2c", false},
		{"", "", false},
	} {
		r.Header = http.Header{"Connection": {tc.connection}, "Upgrade": {tc.upgrade}}
		if got := wsguard.IsUpgrade(r); got != tc.want {
			t.Errorf("%q, %q: %t", tc.connection, tc.upgrade, got)
		}
	}
}

// A handler that outlives its handshake has a connection that does, too.
func TestAcceptOutlivesTheRequest(t *testing.T) {
	conns := make(chan *wsguard.Conn, 1)
	c := rawDial(t, newServer(t, wsguard.MaxMessageSize(10)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := wsguard.Accept(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		conns <- c
	}))))
	conn := next(t, conns)
	if err := conn.Write(context.Background(), websocket.MessageText, []byte("later")); err != nil {
		t.Error(err)
	}
	c.wantMessage("later")
	began := time.Now()
	if err := conn.Close(1000, ""); err != nil || time.Since(began) > 10*time.Second {
		t.Errorf("Close: %v after %v", err, time.Since(began))
	}
	c.wantClose(1000, "")
}

// A refused handshake closes its connection, unless told otherwise, so that
// refused clients hold nothing outside of the limits. R47
func TestRefusedConnections(t *testing.T) {
	for _, tc := range []struct {
		name   string
		chain  []func(http.Handler) http.Handler
		body   string
		closes bool
	}{
		{"by default", nil, "", true},
		{"kept", []func(http.Handler) http.Handler{wsguard.InsecureKeepRefused()}, "", false},
		{"kept, but it has a body", []func(http.Handler) http.Handler{wsguard.InsecureKeepRefused()}, "hello", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			chain := append(tc.chain, wsguard.AllowOrigins(home))
			srv := newServer(t, wsguard.Chain(chain...)(wsguard.Handler(echo)))
			req, err := http.NewRequest(http.MethodGet, srv, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Origin", "https://evil.example")
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
			if resp.StatusCode != http.StatusForbidden || resp.Close != tc.closes {
				t.Errorf("status %d, closes %v, want 403, %v", resp.StatusCode, resp.Close, tc.closes)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		})
	}
}
