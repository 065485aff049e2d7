package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A visitor is a browser without its page.
type visitor struct {
	*chat
	cookie string
}

func (c *chat) visit(user string) *visitor {
	c.t.Helper()
	return &visitor{chat: c, cookie: "session=" + c.sessionOf(user)}
}

// post returns the status and the answer.
func (v *visitor) post(path string, header ...string) (int, map[string]any) {
	v.t.Helper()
	request, _ := http.NewRequest("POST", v.base+path, nil)
	request.Header.Set("Origin", v.base)
	request.Header.Set("Cookie", v.cookie)
	for _, line := range header {
		if name, value, _ := strings.Cut(line, ": "); value == "" {
			request.Header.Del(name)
		} else {
			request.Header.Set(name, value)
		}
	}
	response, err := v.http.Do(request)
	if err != nil {
		v.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	_ = json.NewDecoder(response.Body).Decode(&answer)
	return response.StatusCode, answer
}

func (v *visitor) ticket() string {
	v.t.Helper()
	status, answer := v.post("/ticket")
	if status != http.StatusOK {
		v.t.Fatalf("POST /ticket: %d", status)
	}
	return answer["ticket"].(string)
}

// with is a handshake with a ticket.
func (v *visitor) with(ticket string) handshake {
	return handshake{header: http.Header{"Origin": {v.base}}, query: "?ticket=" + ticket, protocols: []string{"chat.v1"}}
}

// A ticket opens one connection, once, from the page that asked for it. R11, R12
func TestTickets(t *testing.T) {
	c := start(t)
	alice := c.visit("alice")
	spent := alice.ticket()
	cl := alice.dial(alice.with(spent))
	cl.send(`{"type":"join","room":"blue"}`)
	cl.expect("joined", "alice")

	foreign := alice.with(alice.ticket())
	foreign.header = http.Header{"Origin": {"http://localhost" + c.base[strings.LastIndex(c.base, ":"):]}} // allowed, and another
	both := alice.with(alice.ticket())
	both.protocols = append(both.protocols, "bearer."+c.login("alice"))
	for name, row := range map[string]struct {
		h      handshake
		status int
		reason string
	}{
		"spent":                       {alice.with(spent), 401, "ticket_unknown"},
		"of another page":             {foreign, 401, "ticket_origin"},
		"a token":                     {alice.with(c.login("alice")), 401, "ticket_malformed"},
		"made up":                     {alice.with(strings.Repeat("A", 43)), 401, "ticket_unknown"},
		"beside a token":              {both, 400, "token_ambiguous"},
		"the cookie and nothing else": {handshake{header: http.Header{"Origin": {c.base}, "Cookie": {alice.cookie}}}, 401, "token_missing"},
	} {
		if _, response, err := c.try(row.h); err == nil || response.StatusCode != row.status || !strings.Contains(c.log.String(), "reason="+row.reason) {
			t.Errorf("%s: %v, %v, want %d %s", name, response, err, row.status, row.reason)
		}
	}
	if strings.Contains(c.log.String(), spent) {
		t.Error("the log has a ticket")
	}

	for name, row := range map[string]struct {
		header []string
		status int
	}{
		"a token":               {[]string{"Cookie: ", "Authorization: Bearer " + c.login("bob")}, 200},
		"a client without page": {[]string{"Cookie: ", "Origin: ", "Authorization: Bearer " + c.login("bob")}, 200},
		"a bad token":           {[]string{"Authorization: Bearer x"}, 401}, // and not the cookie
		"nobody":                {[]string{"Cookie: "}, 401},
		"another site's page":   {[]string{"Origin: https://evil.example.com"}, 403},
	} {
		if status, _ := alice.post("/ticket", row.header...); status != row.status {
			t.Errorf("a ticket for %s: %d, want %d", name, status, row.status)
		}
	}
}

// Logging out ends the session: its connections, its tokens, its tickets and
// its cookie, and nobody else's. R28, R29, R34
func TestLogout(t *testing.T) {
	c := start(t)
	here, there, bob := c.visit("alice"), c.visit("alice"), c.visit("bob")
	mine, theirs, other := here.dial(here.with(here.ticket())), there.dial(there.with(there.ticket())), bob.dial(bob.with(bob.ticket()))
	_, answer := here.post("/session")
	left := here.ticket()
	if status, _ := here.post("/logout", "Origin: https://evil.example.com"); status != http.StatusForbidden {
		t.Errorf("another site's page can log out: %d", status)
	}
	planted := here.cookie + "; session=x"
	if status, _ := here.post("/logout", "Cookie: "+planted); status != http.StatusNoContent {
		t.Errorf("POST /logout beside a planted cookie: %d", status)
	}
	if status, _ := here.post("/logout"); status != http.StatusUnauthorized {
		t.Errorf("POST /logout twice: %d", status)
	}
	mine.expectClose(3000, "logged out")
	for name, h := range map[string]handshake{"ticket": here.with(left), "token": c.handshake(answer["token"].(string))} {
		if _, response, err := c.try(h); err == nil || response.StatusCode != 401 {
			t.Errorf("the %s still opens a connection: %v", name, response)
		}
	}
	for _, path := range []string{"/session", "/ticket", "/logout/elsewhere"} {
		if status, _ := here.post(path); status != http.StatusUnauthorized {
			t.Errorf("%s with the cookie: %d", path, status)
		}
	}
	for _, cl := range []*client{theirs, other} {
		cl.send(`{"type":"join","room":"blue"}`)
		cl.expect("joined", map[*client]string{theirs: "alice", other: "bob"}[cl])
	}
}

// A user ends their sessions elsewhere, also those that are not connected, and
// stays where they are. R30
func TestLogoutElsewhere(t *testing.T) {
	c := start(t)
	here, there, away, bob := c.visit("alice"), c.visit("alice"), c.visit("alice"), c.visit("bob")
	mine, theirs, other := here.dial(here.with(here.ticket())), there.dial(there.with(there.ticket())), bob.dial(bob.with(bob.ticket()))
	if status, answer := here.post("/logout/elsewhere"); status != 200 || answer["ended"] != 2. {
		t.Errorf("%d, %v", status, answer)
	}
	theirs.expectClose(3000, "signed out elsewhere")
	for v, want := range map[*visitor]int{here: 200, there: 401, away: 401, bob: 200} {
		if status, _ := v.post("/session"); status != want {
			t.Errorf("POST /session: %d, want %d", status, want)
		}
	}
	for _, cl := range []*client{mine, other} {
		cl.send(`{"type":"join","room":"blue"}`)
		if m, err := cl.read(); err != nil || m.Type != "joined" {
			t.Errorf("%+v, %v", m, err)
		}
	}
}

// A client that is told in time goes on with a new token; one with somebody
// else's, or one that does nothing, is closed. R25, R32
func TestReauthenticate(t *testing.T) {
	for name, row := range map[string]struct {
		token  func(c *chat, session string) string
		reason string
		after  time.Duration
	}{
		"a new token":       {func(c *chat, session string) string { return c.renewed(session) }, "token expired", 80 * time.Second},
		"somebody else's":   {func(c *chat, _ string) string { return c.login("bob") }, "token subject", 80 * time.Second},
		"no token at all":   {func(*chat, string) string { return "x" }, "token malformed", 80 * time.Second},
		"a session's token": {func(_ *chat, session string) string { return session }, "token type", 80 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := startInMemory(t, "-token-ttl", "2m")
				session := c.sessionOf("alice")
				cl := c.dial(c.handshake(c.renewed(session)))
				began := time.Now()
				waitFor := func(typ string) {
					t.Helper()
					if m, err := cl.readWithin(time.Hour); err != nil || m.Type != typ {
						t.Fatalf("got %+v, %v, want %s", m, err, typ)
					}
				}
				waitFor("expiring")
				if took := time.Since(began); took < time.Minute || took > 62*time.Second {
					t.Errorf("told after %v", took)
				}
				<-time.After(20 * time.Second)
				cl.send(`{"type":"reauthenticate","token":"` + row.token(c, session) + `"}`)
				if row.reason == "token expired" {
					waitFor("reauthenticated")
					waitFor("expiring")
					row.after += 2 * time.Minute
				}
				cl.expectCloseWithin(time.Hour, 3000, row.reason)
				if took := time.Since(began); took < row.after-2*time.Second || took > row.after+2*time.Second {
					t.Errorf("closed after %v, want %v", took, row.after)
				}
			})
		})
	}
}

// renewed returns a new token for a session.
func (c *chat) renewed(session string) string {
	c.t.Helper()
	status, answer := (&visitor{chat: c, cookie: "session=" + session}).post("/session")
	if status != http.StatusOK {
		c.t.Fatalf("POST /session: %d", status)
	}
	return answer["token"].(string)
}

// Logging in takes a bounded memory, and what has ended makes room.
func TestSessionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions()
		until := time.Now().Add(time.Hour)
		for i := range maxSessions {
			if !s.begin("user", string(rune(i)), until) {
				t.Fatal(i)
			}
		}
		if s.begin("another", "x", until) {
			t.Error("there is no bound")
		}
		<-time.After(time.Hour)
		if !s.begin("another", "x", until.Add(time.Hour)) || s.count != 1 || len(s.users) != 1 {
			t.Errorf("%d sessions of %d users are left", s.count, len(s.users))
		}
	})
}
