package main

import (
	"encoding/json"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// R11, R12, R36
func TestConversation(t *testing.T) {
	c := start(t)
	alice := c.connect("alice", "blue")
	if alice.Subprotocol() != "chat.v1" {
		t.Errorf("subprotocol %q", alice.Subprotocol())
	}

	bob := c.dial(c.handshake(c.login("bob")))
	bob.send(`{"type":"say","room":"blue","text":"too early"}`)
	if m := bob.expect("error", ""); m.Reason != "not_in_room" {
		t.Errorf("reason %q", m.Reason)
	}
	bob.send(`{"type":"join","room":"blue"}`)
	joined := bob.expect("joined", "bob")
	if !slices.Equal(joined.Members, []string{"alice", "bob"}) {
		t.Errorf("members %q", joined.Members)
	}
	if m := alice.expect("joined", "bob"); m.Room != "blue" || m.Members != nil || *m.Connections != 1 {
		t.Errorf("alice was told %+v", m)
	}

	const typed = `<b>&"'`
	text, _ := json.Marshal(typed)
	alice.send(`{"type":"say","room":"blue","text":` + string(text) + `}`)
	for _, who := range []*client{alice, bob} {
		m := who.expect("said", "alice")
		if m.Text != "&lt;b&gt;&amp;&#34;&#39;" || html.UnescapeString(m.Text) != typed || m.Room != "blue" {
			t.Errorf("said %+v", m)
		}
		if at, err := time.Parse(time.RFC3339, m.At); err != nil || time.Since(at).Abs() > time.Minute {
			t.Errorf("at %q, %v", m.At, err)
		}
	}

	bob.send(`{"type":"leave","room":"blue"}`)
	bob.expect("left", "bob")
	alice.expect("left", "bob")
	bob.send(`{"type":"leave","room":"blue"}`)
	bob.expect("error", "")

	bob.send(`{"type":"join","room":"blue"}`)
	bob.expect("joined", "bob")
	alice.expect("joined", "bob")
	bob.Close(websocket.StatusNormalClosure, "")
	alice.expect("left", "bob")

	var stats wsguard.Stats
	c.getJSON("/stats", &stats)
	if stats.HandshakesAccepted != 2 || stats.In.Accepted() == 0 {
		t.Errorf("stats %+v", stats)
	}
}

func (c *chat) getJSON(path string, v any) {
	c.t.Helper()
	response, err := c.http.Get(c.base + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(v); err != nil {
		c.t.Fatal(err)
	}
}

// Each place for the token is as good as the others, and none of them shows in
// the log. R10, R14, R55
func TestTokenPlaces(t *testing.T) {
	c := start(t)
	token := c.login("alice")
	origin := http.Header{"Origin": {c.base}}
	for name, h := range map[string]handshake{
		"Authorization": {header: http.Header{"Origin": {c.base}, "Authorization": {"bearer " + token}}, protocols: []string{"chat.v1"}},
		"query":         {header: origin, query: "?token=" + token, protocols: []string{"chat.v1"}},
		"subprotocol":   {header: origin, protocols: []string{"bearer." + token, "chat.v1"}},
	} {
		t.Run(name, func(t *testing.T) {
			cl := c.dial(h)
			if cl.Subprotocol() != "chat.v1" {
				t.Errorf("subprotocol %q", cl.Subprotocol())
			}
			cl.Close(websocket.StatusNormalClosure, "")
		})
	}
	cl := c.dial(handshake{header: origin, query: "?token=" + token})
	if cl.Subprotocol() != "" {
		t.Errorf("subprotocol %q, though none was offered", cl.Subprotocol())
	}
	if log := c.log.String(); strings.Contains(log, token) || !strings.Contains(log, "user.id=alice") {
		t.Errorf("the log holds the token, or not the user:\n%s", log)
	}
}

// R05, R06, R10, R45
func TestHandshakeRefusals(t *testing.T) {
	c := start(t, "-allow-origin", "https://app.example.com")
	token := c.login("alice")
	cookie := c.sessionOf("alice")
	other := start(t)
	port := c.base[strings.LastIndexByte(c.base, ':'):]
	with := func(edit func(*handshake)) handshake {
		h := c.handshake(token)
		edit(&h)
		return h
	}
	for _, row := range []struct {
		name   string
		h      handshake
		status int
	}{
		{"own origin", c.handshake(token), 101},
		{"localhost", with(func(h *handshake) { h.header.Set("Origin", "http://localhost"+port) }), 101},
		{"added origin", with(func(h *handshake) { h.header.Set("Origin", "https://app.example.com") }), 101},
		{"no origin", with(func(h *handshake) { h.header.Del("Origin") }), 403},
		{"foreign origin", with(func(h *handshake) { h.header.Set("Origin", "https://evil.example.com") }), 403},
		{"own origin, other scheme", with(func(h *handshake) { h.header.Set("Origin", "https://127.0.0.1"+port) }), 403},
		{"own origin, other port", with(func(h *handshake) { h.header.Set("Origin", "http://127.0.0.1:1") }), 403},
		{"null origin", with(func(h *handshake) { h.header.Set("Origin", "null") }), 403},
		{"two origins", with(func(h *handshake) { h.header["Origin"] = []string{c.base, c.base} }), 403},
		{"rebound name", with(func(h *handshake) {
			h.header.Set("Origin", "http://evil.example.com")
			h.header.Set("Host", "evil.example.com")
		}), 421},
		{"no token", handshake{header: http.Header{"Origin": {c.base}}}, 401},
		{"cookie alone", handshake{header: http.Header{"Origin": {c.base}, "Cookie": {"session=" + cookie}}}, 401},
		{"session as a token", c.handshake(cookie), 401},
		{"token of another chat", c.handshake(other.login("alice")), 401},
		{"changed token", c.handshake(token[:len(token)-8] + "AAAAAAAA"), 401},
		{"two tokens", with(func(h *handshake) { h.query = "?token=" + token }), 400},
		{"giant token", c.handshake(strings.Repeat("a", 9<<10)), 401},
		{"more than a header may hold", c.handshake(strings.Repeat("a", 1<<20)), 431},
	} {
		t.Run(row.name, func(t *testing.T) {
			conn, response, err := c.try(row.h)
			if response == nil || response.StatusCode != row.status {
				t.Fatalf("got %v, %v, want %d", response, err, row.status)
			}
			if err == nil {
				conn.Close(websocket.StatusNormalClosure, "")
			}
		})
	}
	for _, row := range []struct {
		method string
		status int
	}{{"GET", http.StatusUpgradeRequired}, {"POST", http.StatusMethodNotAllowed}} {
		request, _ := http.NewRequest(row.method, c.base+"/ws", nil)
		request.Header.Set("Origin", c.base)
		request.Header.Set("Authorization", "Bearer "+token)
		if response, err := c.http.Do(request); err != nil || response.StatusCode != row.status {
			t.Errorf("%s without an upgrade: got %v, %v, want %d", row.method, response, err, row.status)
		}
	}
}

// sessionOf returns a user's session cookie.
func (c *chat) sessionOf(user string) string {
	c.t.Helper()
	response, err := c.http.Post(c.base+"/login", "application/x-www-form-urlencoded", strings.NewReader("user="+user))
	if err != nil {
		c.t.Fatal(err)
	}
	response.Body.Close()
	for _, cookie := range response.Cookies() {
		if cookie.Name == sessionCookie && cookie.HttpOnly && cookie.SameSite == http.SameSiteStrictMode {
			return cookie.Value
		}
	}
	c.t.Fatalf("no session cookie in %v", response.Header)
	return ""
}

// R31, R46, R47, R61
func TestHandshakeLimits(t *testing.T) {
	for _, row := range []struct {
		name   string
		args   []string
		status int
	}{
		{"total", []string{"-max-conns", "2"}, 503},
		{"address", []string{"-max-conns-per-ip", "2"}, 429},
		{"user", []string{"-max-conns-per-user", "2"}, 429},
		{"rate", []string{"-handshake-rate", "0.5", "-handshake-burst", "2"}, 429},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := startInMemory(t, row.args...)
				token := c.login("alice")
				c.dial(c.handshake(token))
				second := c.dial(c.handshake(token))
				_, response, err := c.try(c.handshake(token))
				if response == nil || response.StatusCode != row.status || response.Header.Get("Retry-After") == "" {
					t.Fatalf("got %v, %v, want %d and Retry-After", response, err, row.status)
				}
				// The slot of one that has gone, and a rate after its time.
				second.Close(websocket.StatusNormalClosure, "")
				<-time.After(4 * time.Second)
				c.dial(c.handshake(token))
			})
		})
	}
}

// R52
func TestTrustProxy(t *testing.T) {
	c := start(t, "-trust-proxy", "127.0.0.1", "-max-conns-per-ip", "1")
	from := func(forwarded string) handshake {
		h := c.handshake(c.login("alice"))
		h.header.Set("X-Forwarded-For", forwarded)
		h.header.Set("Host", "app.example.com")
		return h
	}
	c.dial(from("192.0.2.1"))
	c.dial(from("192.0.2.2"))
	if _, response, err := c.try(from("192.0.2.99, 192.0.2.1")); response == nil || response.StatusCode != 429 {
		t.Errorf("the address of another with a forged one before it: %v, %v", response, err)
	}
	if _, response, err := c.try(from("nonsense")); response == nil || response.StatusCode != 400 {
		t.Errorf("a malformed header: %v, %v", response, err)
	}
}

// R01
func TestTLS(t *testing.T) {
	c := start(t, "-tls")
	if !strings.HasPrefix(c.base, "https://127.0.0.1:") {
		t.Errorf("base %q", c.base)
	}
	c.connect("alice", "blue")
	response, err := http.Get("http" + strings.TrimPrefix(c.base, "https") + "/ws")
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("plaintext: %v, %v", response, err)
	}

	// Nor would the guard let it pass.
	config, _ := parseFlags([]string{"-tls"}, io.Discard)
	s, err := newServer(config, "https://127.0.0.1:8080", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	handler, err := s.handler()
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "http://127.0.0.1:8080/ws", nil)
	r.Header.Set("Origin", "https://127.0.0.1:8080")
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusForbidden {
		t.Errorf("plaintext that reaches the guard: status %d", w.Code)
	}
}

// R35, R40, R41, R43, R46
func TestMessageRefusals(t *testing.T) {
	c := start(t, "-max-conns-per-user", "100")
	token := c.login("alice")
	text := func(s string) func(*client) { return func(c *client) { c.send(s) } }
	for _, row := range []struct {
		name   string
		act    func(*client)
		code   websocket.StatusCode
		reason string
	}{
		{"no JSON", text("hello"), 1003, "invalid data"},
		{"binary", func(c *client) {
			c.Write(t.Context(), websocket.MessageBinary, []byte(`{"type":"join","room":"blue"}`))
		}, 1003, "invalid data"},
		{"unknown member", text(`{"type":"join","room":"blue","admin":true}`), 1003, "invalid data"},
		{"bad number", text(`{"type":"join","room":"blue","n":1e1000001}`), 1003, "invalid data"},
		{"not UTF-8", text("{\"type\":\"join\",\"room\":\"\xff\"}"), 1007, "invalid utf8"},
		{"too big", text(`{"type":"say","room":"blue","text":"` + strings.Repeat("x", 16384) + `"}`), 1009, "message too big"},
		{"flood", func(c *client) {
			for range 21 {
				c.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join","room":"blue"}`))
			}
		}, 1008, "message rate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			cl := c.dial(c.handshake(token))
			cl.t = t
			row.act(cl)
			cl.expectClose(row.code, row.reason)
		})
	}
}

// R35, R40
func TestMessages(t *testing.T) {
	name32, text2000 := strings.Repeat("a", 32), strings.Repeat("😀", 2000)
	for _, row := range []struct {
		message string
		ok      bool
	}{
		{`{"type":"join","room":"blue"}`, true},
		{`{"type":"leave","room":"a-1"}`, true},
		{`{"type":"join","room":"` + name32 + `"}`, true},
		{`{"type":"say","room":"blue","text":"x"}`, true},
		{`{"type":"say","room":"blue","text":"` + text2000 + `"}`, true},
		{`{"type":"say","room":"blue","text":"` + text2000 + `x"}`, false},
		{`{"type":"say","room":"blue","text":""}`, false},
		{`{"type":"say","room":"blue","text":1}`, false},
		{`{"type":"say","room":"blue"}`, false},
		{`{"type":"say","text":"x"}`, false},
		{`{"type":"say","room":"blue","text":"x","at":"now"}`, false},
		{`{"type":"join","room":"blue","text":"x"}`, false},
		{`{"type":"leave","room":"blue","text":"x"}`, false},
		{`{"type":"join","room":""}`, false},
		{`{"type":"join","room":"` + name32 + `a"}`, false},
		{`{"type":"join","room":"Blue"}`, false},
		{`{"type":"join","room":"blue\n"}`, false},
		{`{"type":"join","room":"bl ue"}`, false},
		{`{"type":"join","room":["blue"]}`, false},
		{`{"type":"join"}`, false},
		{`{"type":"kick","room":"blue"}`, false},
		{`{"type":null,"room":"blue"}`, false},
		{`{"room":"blue"}`, false},
		{`{"type":"join","room":"blue","room":"red"}`, false},
		{`{"type":"join","room":"blue","Room":"red"}`, false},
		{`{"type":"join","room":"blue"} {}`, false},
		{`{"type":"join","room":"blue"`, false},
		{`[{"type":"join","room":"blue"}]`, false},
		{`"join"`, false},
		{``, false},
	} {
		if err := messages.Check([]byte(row.message)); (err == nil) != row.ok {
			t.Errorf("%.80s: got %v", row.message, err)
		}
	}
}
