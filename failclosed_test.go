package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// failing is an observed chain around a handler whose panics are kept quiet,
// with one slot, so that whoever gets in shows that the last one's is back.
func failing(t *testing.T, rec *recorder, inner http.Handler, safeguards ...safeguard) (url string) {
	t.Helper()
	srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.Chain(safeguards...),
		wsguard.LimitConns(1, wsguard.Everyone))(inner))
	srv.Config.ErrorLog = quiet
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// Rule 1: rules that nobody claimed. A library that reads the socket itself
// gets none, its client a real 500, and the observer is told what to do. R58
func TestFailClosed1(t *testing.T) {
	rec := newRecorder()
	url := failing(t, rec, bareEcho, wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema)))
	for range 2 {
		wantOutcome(t, rec, knock(t, url), 500, "rules_unclaimed")
	}
	// The same endpoint with somebody who claims them.
	url = failing(t, rec, wsguard.Handler(echo), wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema)))
	rawDial(t, url)
}

// Rule 2: what a safeguard needs from an earlier one and does not find is a
// refusal with 500, never a skip. R58
func TestFailClosed2(t *testing.T) {
	for name, needy := range map[string]safeguard{
		"LimitConns":    wsguard.LimitConns(1, wsguard.PerUser),
		"LimitMessages": wsguard.LimitMessages(1, 1, wsguard.PerUser),
		"PaceBytes":     wsguard.PaceBytes(1, 1<<20, wsguard.PerUser),
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			wantOutcome(t, rec, knock(t, failing(t, rec, wsguard.Handler(echo), needy)), 500, "safeguard_missing")
		})
	}
}

// Rule 3: slots are given back exactly once on every path, and a panic that
// passes through the chain kills the connection, even when a library has
// hijacked it. R31, R59, R60
func TestFailClosed3(t *testing.T) {
	accept := func(then func(*wsguard.Conn)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := wsguard.Accept(w, r); err == nil {
				then(c)
			}
		})
	}
	hijacked := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := websocket.Accept(w, r, nil); err != nil {
			t.Error(err)
		}
		panic("secret")
	})
	for name, tc := range map[string]struct {
		inner http.Handler
		code  uint16
	}{
		"panic in a bare library's handler": {hijacked, 1011},
		"panic after Accept":                {accept(func(*wsguard.Conn) { panic("secret") }), 1011},
		"Close":                             {accept(func(c *wsguard.Conn) { _ = c.Close(4000, ""); _ = c.Close(4000, "") }), 4000},
		"all at once": {accept(func(c *wsguard.Conn) {
			for range 8 {
				go func() { _ = c.Close(4000, "") }()
			}
			_ = c.Close(4000, "")
			panic("secret")
		}), 4000},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			url := failing(t, rec, tc.inner)
			for range 5 {
				c := rawDial(t, url)
				if first, payload := c.frame(); first != final|opClose || payload[0] != byte(tc.code>>8) || payload[1] != byte(tc.code) {
					t.Errorf("frame %08b with %q, want a close frame with %d", first, payload, tc.code)
				}
				if p, err := tryKnock(url); err != nil || p.resp.StatusCode != 503 {
					t.Errorf("while the connection lives, another gets %v, %v", p, err)
				}
				_ = c.Close()
				next(t, rec.closes)
			}
			if n := rec.Stats().Connections; n != 0 || len(rec.closes) > 0 {
				t.Errorf("%d connections are left, %d ended twice", n, len(rec.closes))
			}
		})
	}
}

// Rule 4: every error of the library is terminal, and every close ends in
// bounded time, whatever the peer does. The library's own Close hangs for ever
// on a frame that is declared and never ends (facts 1.1, 3). R49
func TestFailClosed4(t *testing.T) {
	giant := frameHeader(final|opBinary, 1<<40)
	peers := map[string]func(*rawClient){
		"is silent": func(*rawClient) {},
		"drips": func(c *rawClient) {
			for err := error(nil); err == nil; _, err = c.Write([]byte("x")) {
				pass(100 * time.Millisecond)
			}
		},
		"is a firehose": func(c *rawClient) {
			for err := error(nil); err == nil; _, err = c.Write(make([]byte, 4<<10)) {
				pass(5 * time.Millisecond) // or no time would pass
			}
		},
	}
	closers := map[string]http.Handler{
		"Conn.Close": wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			_, _, _ = c.Read(ctx)
			return c.Close(4000, "")
		}),
		"a bare library's Close": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if ws, err := websocket.Accept(w, r, nil); err == nil {
				_, _, _ = ws.Read(context.Background())
				_ = ws.Close(4000, "")
			}
		}),
	}
	for name, behave := range peers {
		for how, inner := range closers {
			for when, after := range map[string]bool{"before": false, "after": true} {
				t.Run(name+", "+how+", "+when+" the close frame", func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						rec := newRecorder()
						c := newMemoryServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.MaxMessageSize(1<<41))(inner)).raw()
						frames := append(textFrame("go"), giant...)
						if after {
							frames = textFrame("go")
						}
						closing := make(chan bool)
						go func() {
							c.untilClose(4000, "")
							close(closing)
							c.discard()
						}()
						go func() {
							c.send(frames)
							if after {
								<-closing
								_, _ = c.Write(giant)
							}
							behave(c)
						}()
						began := time.Now()
						if e := <-rec.closes; time.Since(began) > 6*time.Second || e.Code != 4000 {
							t.Errorf("it ended after %v with %d", time.Since(began), e.Code)
						}
					})
				})
			}
		}
	}
}

// Rule 5: a panic in whatever is not ours closes that connection, gives back
// what it held, and is reported. The process lives. R59
func TestFailClosed5(t *testing.T) {
	boom := func() { panic("secret") }
	ok := func(context.Context, *wsguard.Conn) error { return nil }
	hook := func(h wsguard.Hooks) safeguard { return wsguard.Observe(wsguard.NewObserver("broken", nil, h)) }
	for _, tc := range []struct {
		name  string
		rule  safeguard
		serve func(context.Context, *wsguard.Conn) error
		send  string
		code  uint16 // 0 is a handshake that fails
	}{
		{"handler", wsguard.Chain(), func(context.Context, *wsguard.Conn) error { boom(); return nil }, "", 1011},
		{"rule", wsguard.CheckMessages("boom", asText(func(context.Context, *wsguard.Conn, string) error { boom(); return nil })), echo, "hi", 1011},
		{"verifier", wsguard.Authenticate(verifierFunc(func(string) (wsguard.Principal, error) { boom(); return wsguard.Principal{}, nil }), wsguard.FromAuthorization()), ok, "", 0},
		{"key", wsguard.LimitMessages(1, 1, wsguard.PerKey("boom", func(*http.Request) (string, error) { boom(); return "", nil })), ok, "", 0},
		{"hook of a handshake", hook(wsguard.Hooks{HandshakeDone: func(context.Context, wsguard.HandshakeEvent) { boom() }}), echo, "", 1011},
		{"hook of a message in", hook(wsguard.Hooks{Message: func(context.Context, wsguard.MessageEvent) { boom() }}), echo, "hi", 1011},
		{"hook of a message out", hook(wsguard.Hooks{Message: func(context.Context, wsguard.MessageEvent) { boom() }}), func(ctx context.Context, c *wsguard.Conn) error {
			return c.Write(ctx, websocket.MessageBinary, nil)
		}, "", 1011},
		{"hook of a violation", hook(wsguard.Hooks{Violation: func(context.Context, wsguard.ViolationEvent) { boom() }}), echo, "\xff", 1007},
		{"hook of the end", hook(wsguard.Hooks{ConnClosed: func(context.Context, wsguard.CloseEvent) { boom() }}), ok, "", 1000},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := newRecorder()
			url := failing(t, rec, wsguard.Handler(tc.serve), tc.rule)
			for range 2 {
				p, err := tryKnock(url, "Authorization: Bearer t")
				if tc.code == 0 {
					if err == nil && p.resp.StatusCode < 400 {
						t.Errorf("status %d", p.resp.StatusCode)
					}
					if e := next(t, rec.handshakes); e.Refusal == nil {
						t.Error("it was observed as accepted")
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				c := &rawClient{p, t}
				if tc.send != "" {
					c.send(textFrame(tc.send))
				}
				for first, payload := c.frame(); ; first, payload = c.frame() {
					if first == final|opClose {
						if code := uint16(payload[0])<<8 | uint16(payload[1]); code != tc.code || strings.Contains(string(payload), "secret") {
							t.Errorf("closed with %d and %q, want %d", code, payload[2:], tc.code)
						}
						break
					}
				}
				_ = c.Close()
				next(t, rec.closes)
			}
		})
	}
}

// Rule 6: what cannot be decided is refused. R52, R58
func TestFailClosed6(t *testing.T) {
	loopback := netip.MustParsePrefix("127.0.0.0/8")
	verifier := func(p wsguard.Principal, err error) safeguard {
		return wsguard.Authenticate(verifierFunc(func(string) (wsguard.Principal, error) { return p, err }), wsguard.FromAuthorization())
	}
	unreachable, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: "https://id.example.com", Audience: []string{"chat"}, JWKS: "http://127.0.0.1:1/keys"})
	if err != nil {
		t.Fatal(err)
	}
	const token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, tc := range []struct {
		name   string
		rule   safeguard
		line   string
		status int
		reason string
	}{
		{"keys that cannot be had", wsguard.Authenticate(unreachable, wsguard.FromAuthorization()), "Authorization: Bearer " + token, 503, "keys_unavailable"},
		{"a store that cannot be reached", verifier(wsguard.Principal{}, errors.New("no route to host")), "Authorization: Bearer t", 401, "token_invalid"},
		{"a principal without an expiry", verifier(wsguard.Principal{Subject: "alice"}, nil), "Authorization: Bearer t", 401, "principal_incomplete"},
		{"a principal without a subject", verifier(wsguard.Principal{Expires: time.Now().Add(time.Hour)}, nil), "Authorization: Bearer t", 401, "principal_incomplete"},
		{"a malformed forwarding header", wsguard.TrustProxies(loopback), "X-Forwarded-For: 1.2.3.4.5", 400, "address_malformed"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec := newRecorder()
			p := knock(t, failing(t, rec, wsguard.Handler(echo), tc.rule), tc.line)
			if e := next(t, rec.handshakes); p.resp.StatusCode != tc.status || reasonOf(e.Refusal) != tc.reason {
				t.Errorf("status %d, %v; want %d, %s", p.resp.StatusCode, e.Refusal, tc.status, tc.reason)
			}
		})
	}
}

// Rule 7: bounded tables do not fail open. At capacity new keys share one
// strict bucket, and those that came before keep theirs, used up or not; the
// internal package limit has the rest. A user is issuer and subject together,
// and IPv6 is counted by /64 and by /48 (R52). R46, R60
func TestFailClosed7(t *testing.T) {
	const capacity = 1 << 17
	status := func(h http.Handler, addr netip.Addr) int {
		w := answered{header: http.Header{}}
		h.ServeHTTP(&w, &http.Request{Method: http.MethodGet, URL: new(url.URL), RemoteAddr: netip.AddrPortFrom(addr, 1).String()})
		return w.status
	}
	teapot := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	h := wsguard.LimitHandshakes(rate.Every(1000*time.Hour), 1, wsguard.PerIP)(teapot)
	addr := netip.MustParseAddr("10.0.0.0")
	for range capacity {
		addr = addr.Next()
		if got := status(h, addr); got != http.StatusTeapot {
			t.Fatalf("%s: status %d", addr, got)
		}
	}
	newcomers := 0
	for range 100 {
		addr = addr.Next()
		if status(h, addr) == http.StatusTeapot {
			newcomers++
		}
	}
	if newcomers != 1 {
		t.Errorf("of 100 new keys, %d came in, want the one of their common bucket", newcomers)
	}
	for _, old := range []string{"10.0.0.1", "10.1.0.0"} {
		if got := status(h, netip.MustParseAddr(old)); got != 429 {
			t.Errorf("%s has got a new bucket: status %d", old, got)
		}
	}
	wide := wsguard.LimitHandshakes(rate.Every(1000*time.Hour), 1, wsguard.PerIP)(teapot)
	for i := range 40 { // other hosts of a /48 have 32 times the limit together
		got, want := status(wide, netip.MustParseAddr(fmt.Sprintf("2001:db8:0:%x::1", i))), http.StatusTeapot
		if i >= 32 {
			want = 429
		}
		if got != want {
			t.Errorf("network %d of the site: status %d, want %d", i, got, want)
		}
	}
	if got := status(wide, netip.MustParseAddr("2001:db8:0:0:ffff::2")); got != 429 {
		t.Errorf("another address of the same /64: status %d", got)
	}
}

// answered is the least http.ResponseWriter.
type answered struct {
	header http.Header
	status int
}

func (a *answered) Header() http.Header         { return a.header }
func (a *answered) Write(b []byte) (int, error) { return len(b), nil }
func (a *answered) WriteHeader(status int)      { a.status = status }

// Rule 8: bytes that came with the handshake go first through the guarded
// stream, and are judged like all others. R42, R44
func TestFailClosed8(t *testing.T) {
	for _, tc := range []struct {
		name   string
		early  []byte
		code   uint16 // 0 is an echo
		reason string
	}{
		{"a message", textFrame("hi"), 0, ""},
		{"half a message", textFrame("hi")[:3], 0, ""},
		{"not masked", []byte{final | opText, 2, 'h', 'i'}, 1002, "protocol error"},
		{"too long", frameHeader(final|opText, 1<<40), 1009, "message too big"},
		{"no UTF-8", textFrame("\xff"), 1007, "invalid utf8"},
		{"against a rule", textFrame("no"), 1008, "message rejected"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := newServer(t, wsguard.CheckMessages("no", asText(func(_ context.Context, _ *wsguard.Conn, text string) error {
				if text == "no" {
					return errors.New(text)
				}
				return nil
			}))(wsguard.Handler(echo)))
			nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			p, err := knockOn(&prefixed{Conn: nc, more: tc.early})
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			c := &rawClient{p, t}
			c.wantSwitched()
			if tc.code != 0 {
				c.wantClose(tc.code, tc.reason)
				return
			}
			c.send(textFrame("hi")[len(tc.early):])
			c.wantMessage("hi")
		})
	}
}

// prefixed sends more together with the first bytes that are written.
type prefixed struct {
	net.Conn
	more []byte
}

func (p *prefixed) Write(b []byte) (int, error) {
	_, err := p.Conn.Write(append(append([]byte(nil), b...), p.more...))
	p.more = nil
	return len(b), err
}
