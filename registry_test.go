package wsguard_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// people is a Verifier for tokens "subject/id", issued a minute ago.
type people struct{}

func (people) Verify(_ context.Context, token string) (wsguard.Principal, error) {
	subject, id, ok := strings.Cut(token, "/")
	if !ok {
		return wsguard.Principal{}, errors.New("no such token")
	}
	p := userOf("https://id.example.com", subject)
	p.TokenID, p.IssuedAt = id, time.Now().Add(-time.Minute)
	if strings.HasPrefix(id, "fresh") {
		p.IssuedAt = time.Now().Add(time.Minute)
	}
	if strings.HasPrefix(id, "long") {
		p.Expires = time.Now().Add(48 * time.Hour)
	}
	return p, nil
}

const issuer = "https://id.example.com"

// tracked serves a handler in a chain with a registry and a recorder.
func tracked(tb testing.TB, r *wsguard.Registry, h http.Handler, more ...func(http.Handler) http.Handler) (string, *recorder) {
	rec := newRecorder()
	chain := append([]func(http.Handler) http.Handler{
		wsguard.Observe(rec.Observer),
		wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token")),
	}, more...)
	return newServer(tb, wsguard.Chain(append(chain, r.Track())...)(h)), rec
}

func wantClose(t *testing.T, c *websocket.Conn, code websocket.StatusCode, reason string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, _, err := c.Read(ctx)
	var e websocket.CloseError
	if !errors.As(err, &e) || e.Code != code || e.Reason != reason {
		t.Errorf("closed with %v, want %d %q", err, code, reason)
	}
}

// What is revoked ends, does not come back, and nothing else is touched.
// (R28, R29, R34)
func TestRevoke(t *testing.T) {
	for _, row := range []struct {
		name string
		wsguard.Revocation
		ended, back []string // of alice/1, alice/2, bob/1; tokens refused later
		spared      []string // admitted later
		fails       bool
	}{
		{"a user", wsguard.Revocation{Issuer: issuer, Subject: "alice"}, []string{"alice/1", "alice/2"}, []string{"alice/1", "alice/3"}, []string{"bob/1", "alice/fresh"}, false},
		{"a token", wsguard.Revocation{Issuer: issuer, TokenID: "2"}, []string{"alice/2"}, []string{"alice/2"}, []string{"alice/1", "bob/1"}, false},
		{"an issuer", wsguard.Revocation{Issuer: issuer}, []string{"alice/1", "alice/2", "bob/1"}, []string{"carol/1"}, []string{"bob/fresh"}, false},
		{"the same name of another issuer", wsguard.Revocation{Issuer: "https://other.example", Subject: "alice"}, nil, nil, []string{"alice/1"}, false},
		{"a user without the issuer", wsguard.Revocation{Subject: "alice"}, nil, nil, []string{"alice/1"}, false},
		{"nobody's token", wsguard.Revocation{Issuer: issuer, TokenID: "9"}, nil, []string{"alice/9"}, []string{"alice/1"}, false},
		{"before they were issued", wsguard.Revocation{Issuer: issuer, Subject: "alice", IssuedBefore: time.Now().Add(-time.Hour)}, nil, nil, []string{"alice/1"}, false},
		{"empty", wsguard.Revocation{}, nil, nil, []string{"alice/1"}, true},
		{"only a time", wsguard.Revocation{IssuedBefore: time.Now()}, nil, nil, []string{"alice/1"}, true},
		{"two at once", wsguard.Revocation{Issuer: issuer, Subject: "alice", TokenID: "1"}, nil, nil, []string{"alice/1"}, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			var r wsguard.Registry
			url, _ := tracked(t, &r, wsguard.Handler(echo))
			conns := map[string]*websocket.Conn{}
			for _, token := range []string{"alice/1", "alice/2", "bob/1"} {
				conns[token] = mustDial(t, url, "X-Token: "+token)
				wantEcho(t, conns[token])
			}
			n, err := r.Revoke(row.Revocation)
			if n != len(row.ended) || (err != nil) != row.fails {
				t.Errorf("%d, %v", n, err)
			}
			for _, token := range row.ended {
				wantClose(t, conns[token], wsguard.StatusUnauthorized, "token revoked")
				delete(conns, token)
			}
			for _, c := range conns {
				wantEcho(t, c)
			}
			for _, token := range row.back {
				if p := knock(t, url, "X-Token: "+token); p.resp.StatusCode != http.StatusUnauthorized {
					t.Errorf("%s came back with %d", token, p.resp.StatusCode)
				}
			}
			for _, token := range row.spared {
				wantEcho(t, mustDial(t, url, "X-Token: "+token))
			}
		})
	}
}

// A revocation that races a handshake wins: nobody who was admitted stays.
func TestRevokeRacesHandshakes(t *testing.T) {
	for range 50 {
		var r wsguard.Registry
		url, rec := tracked(t, &r, wsguard.Handler(echo))
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				if p, err := tryKnock(url, "X-Token: alice/1"); err == nil {
					defer p.Close()
					if p.resp.StatusCode == http.StatusSwitchingProtocols {
						if _, err := p.br.ReadByte(); err != nil {
							t.Errorf("no close frame: %v", err)
						}
					}
				}
			})
		}
		wg.Go(func() {
			if _, err := r.Revoke(wsguard.Revocation{Issuer: issuer, Subject: "alice"}); err != nil {
				t.Error(err)
			}
		})
		wg.Wait()
		for range 4 {
			if e := next(t, rec.handshakes); e.Refusal == nil {
				if e := next(t, rec.closes); reasonOf(e.Refusal) != "token_revoked" {
					t.Errorf("closed for %q", reasonOf(e.Refusal))
				}
			}
		}
	}
}

// A token whose revocation would be forgotten before it expires is refused.
func TestTokenOutlivesRevocation(t *testing.T) {
	var r wsguard.Registry
	url, rec := tracked(t, &r, wsguard.Handler(echo))
	wantOutcome(t, rec, knock(t, url, "X-Token: alice/long"), 401, "token_lifetime")
	days := wsguard.Registry{TokenLife: 72 * time.Hour}
	url, _ = tracked(t, &days, wsguard.Handler(echo))
	wantEcho(t, mustDial(t, url, "X-Token: alice/long"))
}

// Users list and end their own connections, and nobody else's. (R30)
func TestConnectionsOfOneUser(t *testing.T) {
	var r wsguard.Registry
	url, rec := tracked(t, &r, wsguard.Handler(echo))
	var ids []string
	var conns []*websocket.Conn
	for _, token := range []string{"alice/1", "alice/2", "bob/1"} {
		c := mustDial(t, url, "X-Token: "+token)
		wantEcho(t, c)
		conns, ids = append(conns, c), append(ids, next(t, rec.handshakes).Conn.ID)
	}
	mine := wsguard.ConnsOfUser(issuer, "alice")
	for name, row := range map[string]struct {
		f    wsguard.ConnFilter
		want int
	}{
		"zero":                  {wsguard.ConnFilter{}, 0},
		"zero narrowed":         {wsguard.ConnFilter{}.Only(ids[0]), 0},
		"an empty subject":      {wsguard.ConnsOfUser(issuer, ""), 0},
		"an empty token":        {wsguard.ConnsOfToken(issuer, ""), 0},
		"an empty id":           {wsguard.ConnWithID(""), 0},
		"narrowed to no id":     {mine.Only(""), 0},
		"nobody":                {wsguard.ConnsOfUser(issuer, "eve"), 0},
		"mine":                  {mine, 2},
		"one of mine":           {mine.Only(ids[0]), 1},
		"somebody else's":       {mine.Only(ids[2]), 0},
		"all of mine but this":  {mine.Except(ids[0]), 1},
		"a token":               {wsguard.ConnsOfToken(issuer, "1"), 2}, // alice's and bob's have one name here
		"an id":                 {wsguard.ConnWithID(ids[1]), 1},
		"all":                   {wsguard.AllConns(), 3},
		"another issuer's name": {wsguard.ConnsOfUser("", "alice"), 0},
	} {
		if n := len(r.Connections(row.f)); n != row.want {
			t.Errorf("%s: %d connections, want %d", name, n, row.want)
		}
	}
	s := r.Connections(mine.Only(ids[0]))[0]
	if s.Conn.ID != ids[0] || s.Principal.Subject != "alice" || s.MessagesIn != 1 || !s.Conn.ClientIP.IsValid() || s.LastActivity.Before(s.Conn.Since) {
		t.Errorf("%+v", s)
	}
	if n := r.Disconnect(mine.Only(ids[2]), 4001, "not yours"); n != 0 {
		t.Errorf("%d connections of somebody else were ended", n)
	}
	if n := r.Disconnect(mine.Except(ids[0]), 4001, "signed out elsewhere"); n != 1 {
		t.Errorf("%d connections were ended, want 1", n)
	}
	wantClose(t, conns[1], 4001, "signed out elsewhere")
	wantEcho(t, conns[0])
	wantEcho(t, conns[2])
	r.Disconnect(wsguard.ConnWithID(ids[2]), 1005, "")
	wantClose(t, conns[2], 1011, "disconnected")
}

// Of 10,000 live connections, a revocation ends the subject's hundred and no
// other, and Shutdown the rest. (R28, R29)
func TestTenThousand(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	r := wsguard.Registry{Spread: time.Second}
	var mu sync.Mutex
	ended := map[string]int{}
	gone := make(chan struct{}, n)
	o := wsguard.NewObserver("test", nil, wsguard.Hooks{ConnClosed: func(_ context.Context, e wsguard.CloseEvent) {
		mu.Lock()
		ended[fmt.Sprintf("%s %d", e.Conn.Subject, e.Code)]++
		mu.Unlock()
		gone <- struct{}{}
	}})
	url := newServer(t, wsguard.Chain(wsguard.Observe(o), wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token")), r.Track())(wsguard.Handler(echo)))
	// The clients are a process of their own: one may not have descriptors for both.
	clients := exec.Command(os.Args[0], "-test.run=^TestManyClients$")
	clients.Env = append(os.Environ(), "WSGUARD_TEST_CLIENTS="+url, "WSGUARD_TEST_N="+strconv.Itoa(n))
	clients.Stderr = os.Stderr
	out, err := clients.StdoutPipe()
	if err == nil {
		err = clients.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = clients.Process.Kill(); _ = clients.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "connected\n" {
		t.Fatalf("the clients said %q, %v", line, err)
	}
	if got, err := r.Revoke(wsguard.Revocation{Issuer: issuer, Subject: "alice"}); got != 100 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	for range 100 {
		next(t, gone)
	}
	if open := len(r.Connections(wsguard.AllConns())); open != n-100 {
		t.Errorf("%d are open, want %d", open, n-100)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	if cut, err := r.Shutdown(ctx); cut != 0 || err != nil {
		t.Errorf("%d cut, %v", cut, err)
	}
	for range n - 100 { // a connection is gone before its end is told
		next(t, gone)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ended) != 2 || ended["alice 3000"] != 100 || ended["many 1001"] != n-100 {
		t.Errorf("ended %v", ended)
	}
}

// TestManyClients is the clients of TestTenThousand.
func TestManyClients(t *testing.T) {
	url := os.Getenv("WSGUARD_TEST_CLIENTS")
	if url == "" {
		return
	}
	n, _ := strconv.Atoi(os.Getenv("WSGUARD_TEST_N"))
	var wg sync.WaitGroup
	for i := range n {
		subject := "many"
		if i%(n/100) == 0 {
			subject = "alice"
		}
		p, err := tryKnock(url, "X-Token: "+subject+"/"+strconv.Itoa(i))
		if err != nil {
			t.Fatal(i, err)
		}
		_ = p.SetDeadline(time.Now().Add(10 * patience))
		wg.Go(func() {
			defer p.Close()
			if _, err := p.br.ReadByte(); err == nil { // a close frame, and its answer
				_, _ = p.Write([]byte{0x88, 0x80, 0, 0, 0, 0})
			}
		})
	}
	fmt.Println("connected")
	wg.Wait()
}

// A handler answers what it has read before its connection goes.
func TestShutdownLetsHandlersFinish(t *testing.T) {
	r := wsguard.Registry{Spread: time.Millisecond}
	began, finish := make(chan struct{}), make(chan struct{})
	url, _ := tracked(t, &r, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			typ, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			close(began)
			<-finish
			if err := c.Write(ctx, typ, data); err != nil {
				return err
			}
		}
	}))
	c := mustDial(t, url, "X-Token: alice/1")
	if err := c.Write(context.Background(), websocket.MessageText, []byte("work")); err != nil {
		t.Fatal(err)
	}
	next(t, began)
	for range 2 { // twice is like once
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan int)
		go func() { cut, _ := r.Shutdown(ctx); done <- cut }()
		for knock(t, url, "X-Token: bob/1").resp.StatusCode != http.StatusServiceUnavailable {
		}
		defer cancel()
		defer func() {
			if cut := next(t, done); cut != 0 {
				t.Errorf("%d were cut", cut)
			}
		}()
	}
	close(finish)
	if _, data, err := c.Read(context.Background()); err != nil || string(data) != "work" {
		t.Errorf("%q, %v", data, err)
	}
	wantClose(t, c, websocket.StatusGoingAway, "shutting down")
}

// A handler that never returns is cut when the context ends, and counted.
func TestShutdownCuts(t *testing.T) {
	var r wsguard.Registry
	stop := make(chan struct{})
	url, rec := tracked(t, &r, wsguard.Handler(func(context.Context, *wsguard.Conn) error { <-stop; return nil }))
	defer close(stop)
	c := mustDial(t, url, "X-Token: alice/1")
	next(t, rec.handshakes)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if cut, err := r.Shutdown(ctx); cut != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d cut, %v", cut, err)
	}
	wantClose(t, c, websocket.StatusGoingAway, "shutting down")
	p := knock(t, url, "X-Token: alice/1")
	wait, _ := strconv.Atoi(p.resp.Header.Get("Retry-After"))
	if p.resp.StatusCode != http.StatusServiceUnavailable || wait < 1 {
		t.Errorf("after it: %d, Retry-After %d", p.resp.StatusCode, wait)
	}
	next(t, rec.closes)
}

func TestTrackOrder(t *testing.T) {
	var r wsguard.Registry
	auth := wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token"))
	wantPanic(t, "put Authenticate before Track", func() { wsguard.Chain(r.Track(), auth)(wsguard.Handler(echo)) })
	wantPanic(t, "only one of them", func() { wsguard.Chain(r.Track(), r.Track())(wsguard.Handler(echo)) })
	wantPanic(t, "the registry is nil", func() { (*wsguard.Registry)(nil).Track() })
}

// Users list their own connections, end them, and log out; the server drains
// before it ends.
func ExampleRegistry() {
	registry := &wsguard.Registry{TokenLife: time.Hour, Spread: 10 * time.Second}
	guard := wsguard.Chain(
		wsguard.Authenticate(people{}, wsguard.FromHeader("X-Token")),
		registry.Track(),
	)
	server := httptest.NewUnstartedServer(guard(wsguard.Handler(echo)))
	server.Start()
	defer server.Close()

	mine := wsguard.ConnsOfUser(issuer, "alice")
	fmt.Println(len(registry.Connections(mine)), "open")
	fmt.Println(registry.Disconnect(mine.Except("this one"), 4001, "signed out elsewhere"), "ended")
	if n, err := registry.Revoke(wsguard.Revocation{Issuer: issuer, Subject: "alice"}); err == nil {
		fmt.Println(n, "revoked")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	done := make(chan struct{})
	server.Config.RegisterOnShutdown(func() { _, _ = registry.Shutdown(ctx); close(done) })
	_ = server.Config.Shutdown(ctx)
	<-done
	fmt.Println("gone")
	// Output:
	// 0 open
	// 0 ended
	// 0 revoked
	// gone
}
