package wsguard_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// Nobody answers a stranger but a handler that waits for the token. (R10)
func TestFirstMessageNeedsConn(t *testing.T) {
	for name, row := range map[string]struct {
		h      http.HandlerFunc
		lines  []string
		status int
		reason string
	}{
		"another library": {func(w http.ResponseWriter, r *http.Request) {
			if _, err := websocket.Accept(w, r, nil); err == nil || !strings.Contains(err.Error(), "wsguard.Handler") {
				t.Errorf("the library was told %v", err)
			}
		}, nil, 500, "rules_unclaimed"},
		"a page": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) }, nil, 500, "rules_unclaimed"},
		"a redirect": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/secret")
			w.WriteHeader(302)
		}, nil, 500, "rules_unclaimed"},
		"a flush":    {func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, nil, 500, "rules_unclaimed"},
		"nothing":    {func(http.ResponseWriter, *http.Request) {}, nil, 500, "rules_unclaimed"},
		"no upgrade": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("secret")) }, []string{"Connection: close"}, 401, "token_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
				wsguard.Authenticate(fixedTokens{}, wsguard.FromFirstMessage(time.Second)))(row.h))
			p := knock(t, url, row.lines...)
			wantOutcome(t, rec, p, row.status, row.reason)
			if to := p.resp.Header.Get("Location"); to != "" {
				t.Errorf("a stranger is told of %s", to)
			}
		})
	}
}

// A hook that panics ends a connection that was just let in, as it does any.
func TestFirstMessageHookPanics(t *testing.T) {
	o := wsguard.NewObserver("test", nil, wsguard.Hooks{HandshakeDone: func(context.Context, wsguard.HandshakeEvent) { panic("hook") }})
	url := newServer(t, wsguard.Chain(wsguard.Observe(o),
		wsguard.Authenticate(fixedTokens{"good": userOf(issuer, "ada")}, wsguard.FromFirstMessage(time.Second)))(wsguard.Handler(echo)))
	c := rawDial(t, url)
	c.send(textFrame("good"))
	c.untilClose(1011, "internal error")
}

// Accept gives the connection to its caller when it is somebody's, or an error.
func TestFirstMessageAccept(t *testing.T) {
	type accepted struct {
		c   *wsguard.Conn
		err error
	}
	got := make(chan accepted, 1)
	url := newServer(t, wsguard.Authenticate(fixedTokens{"good": userOf(issuer, "ada")}, wsguard.FromFirstMessage(20*time.Second))(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := wsguard.Accept(w, r)
			got <- accepted{c, err}
			if err == nil {
				_ = c.Close(1000, "")
			}
		})))
	c := rawDial(t, url)
	c.send(textFrame("good"))
	if a := next(t, got); a.err != nil || a.c.Principal().Subject != "ada" {
		t.Errorf("%v, %v", a.c, a.err)
	}
	c = rawDial(t, url)
	c.send(textFrame("bad"))
	var r *wsguard.Refusal
	if a := next(t, got); !errors.As(a.err, &r) || r.Reason != "token_invalid" || a.c != nil {
		t.Errorf("%v, %v", a.c, a.err)
	}
	_ = c.Conn.(*net.TCPConn).Close()
}

func TestFirstMessageMisuse(t *testing.T) {
	first := wsguard.FromFirstMessage(time.Second)
	for want, f := range map[string]func(){
		"FromFirstMessage: the timeout is 0s":     func() { wsguard.FromFirstMessage(0) },
		"FromFirstMessage: the timeout is 5ns":    func() { wsguard.FromFirstMessage(5) },
		"FromFirstMessage: the timeout is 1h0m0s": func() { wsguard.FromFirstMessage(time.Hour) },
		"Waiting: nobody waits for this source":   func() { wsguard.FromQuery("t").Waiting(1, 1) },
		"Waiting: 1 in all and 2 of one address":  func() { first.Waiting(1, 2) },
		"Waiting: 0 in all and 0 of one address":  func() { first.Waiting(0, 0) },
		"there is only one first message":         func() { wsguard.Authenticate(fixedTokens{}, first, first) },
		"FromTicket: no ticket is found there": func() {
			wsguard.FromTicket(wsguard.NewTickets(wsguard.NewMemoryTickets(1), ticketOptions()), first)
		},
	} {
		wantPanic(t, want, f)
	}
}

func ExampleFromFirstMessage() {
	guard := wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"),
		// A page has no other way: ws.onopen = () => ws.send(token)
		wsguard.Authenticate(people{}, wsguard.FromSubprotocol("bearer"), wsguard.FromFirstMessage(5*time.Second)),
		wsguard.LimitConns(5, wsguard.PerUser), // waits until it is known who it is
	)
	http.Handle("GET /late", guard(wsguard.Handler(echo)))
}

func ExampleTokenSource_Waiting() {
	source := wsguard.FromFirstMessage(5*time.Second).Waiting(200, 4) // strangers in all, and of one address
	http.Handle("GET /strangers", wsguard.Authenticate(people{}, source)(wsguard.Handler(echo)))
}
