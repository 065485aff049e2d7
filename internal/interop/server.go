package interop

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// A stack is one row of the table: a library under a router on a transport.
type stack struct {
	library library
	mount   mount
	tls     bool
}

func (s stack) name() string {
	if s.tls {
		return s.library.name + "/" + s.mount.name + "/tls"
	}
	return s.library.name + "/" + s.mount.name + "/plain"
}

// eachStack runs a test on every row of the table, or on those with the first
// mount alone, for what routers have no part in.
func eachStack(t *testing.T, under []mount, f func(*testing.T, stack)) {
	for _, l := range libraries {
		for _, m := range under {
			for _, secure := range []bool{false, true} {
				s := stack{l, m, secure}
				t.Run(s.name(), func(t *testing.T) {
					t.Parallel()
					f(t, s)
				})
			}
		}
	}
}

// noRouter is for tests of what happens after the upgrade.
var noRouter = mounts[:1]

// limits are the safeguards around a library. Zero is far away.
type limits struct {
	conns          int
	ping, pong     time.Duration
	idle, lifetime time.Duration
	message        int64
	more           []func(http.Handler) http.Handler
}

// A server is a stack at work, with a record of what its observer was told.
type server struct {
	t      testing.TB
	addr   string
	tls    *tls.Config // of a client, nil for plain
	stop   func()      // ends streams
	slots  int         // connections of one address
	obs    *wsguard.Observer
	meter  *meter // taps the socket, if it is set
	shaken chan wsguard.HandshakeEvent
	closed chan wsguard.CloseEvent
	broken chan wsguard.ViolationEvent
}

// start serves a library behind the safeguards. When the test ends it wants
// every connection gone that the observer has seen.
func start(t *testing.T, s stack, l limits, hooks ...wsguard.Hooks) *server {
	t.Helper()
	stop := make(chan struct{})
	h := s.library.handler(t, app{stop: stop, limit: libraryLimit})
	srv := serve(t, s, l, h, hooks...)
	srv.stop = sync.OnceFunc(func() { close(stop) })
	t.Cleanup(srv.stop)
	return srv
}

// serve is start for any handler.
func serve(t *testing.T, s stack, l limits, h http.Handler, hooks ...wsguard.Hooks) *server {
	t.Helper()
	srv := newServer(t, hooks...)
	return srv.listen(s.tls, s.mount.make(wsguard.Chain(srv.safeguards(s.tls, l)...), h))
}

// newServer makes the observer of a server that is not listening yet.
func newServer(t testing.TB, hooks ...wsguard.Hooks) *server {
	// Room for every event of a test: nobody has to wait for one.
	shaken := make(chan wsguard.HandshakeEvent, 64)
	closed := make(chan wsguard.CloseEvent, 64)
	broken := make(chan wsguard.ViolationEvent, 64)
	// An observer lives for a minute after the last event. It must not hold
	// the server, which has a library's pools.
	record := wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) { shaken <- e },
		ConnClosed:    func(_ context.Context, e wsguard.CloseEvent) { closed <- e },
		Violation:     func(_ context.Context, e wsguard.ViolationEvent) { broken <- e },
	}
	srv := &server{t: t, shaken: shaken, closed: closed, broken: broken}
	srv.obs = wsguard.NewObserver("interop", nil, append([]wsguard.Hooks{record}, hooks...)...)
	return srv
}

func (s *server) safeguards(secure bool, l limits) []func(http.Handler) http.Handler {
	s.slots = cmp.Or(l.conns, 2)
	chain := []func(http.Handler) http.Handler{wsguard.Observe(s.obs)}
	if secure {
		chain = append(chain, wsguard.RequireTLS())
	}
	return append(append(chain,
		wsguard.AllowOrigins(home),
		wsguard.LimitConns(100, wsguard.Everyone),
		wsguard.LimitConns(s.slots, wsguard.PerIP),
		wsguard.KeepAlive(cmp.Or(l.ping, time.Minute), cmp.Or(l.pong, time.Minute)),
		wsguard.IdleTimeout(cmp.Or(l.idle, time.Hour)),
		wsguard.MaxLifetime(cmp.Or(l.lifetime, time.Hour)),
		wsguard.MaxMessageSize(cmp.Or(l.message, 128<<10)),
	), l.more...)
}

// listen starts the HTTP server, and arranges that its end is checked.
func (s *server) listen(secure bool, h http.Handler) *server {
	var handlers sync.WaitGroup
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		h.ServeHTTP(w, r)
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0) // panics on purpose
	if s.meter != nil {
		web.Listener = tapped{web.Listener, s.meter}
	}
	if secure {
		web.StartTLS()
		s.tls = web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
		s.tls.ServerName = "example.com"
	} else {
		web.Start()
	}
	s.addr = web.Listener.Addr().String()
	s.t.Cleanup(func() {
		if s.obs != nil {
			s.wantNothingHeld()
		}
		web.Close()
		handlers.Wait()
	})
	return s
}

// wantNothingHeld wants every connection gone, and every slot free.
func (s *server) wantNothingHeld() {
	s.t.Helper()
	s.wantAllClosed()
	if s.tls != nil {
		return // half of the table is enough for the slots
	}
	var last []*client
	for range s.slots {
		c := s.open(handshake{})
		if last = append(last, c); c.resp.StatusCode == http.StatusTooManyRequests {
			s.t.Errorf("a slot of %d is taken, and nobody is connected", s.slots)
		}
	}
	for _, c := range last {
		c.vanish(false)
	}
	s.wantAllClosed()
}

func (s *server) wantAllClosed() {
	s.t.Helper()
	for giveUp := time.After(patience); s.obs.Stats().Connections != 0; {
		select {
		case <-s.closed:
		case <-giveUp:
			s.t.Fatalf("%d connections are still open", s.obs.Stats().Connections)
		}
	}
}

// dial opens a socket to the server, which the end of the test closes.
func (s *server) dial() net.Conn {
	s.t.Helper()
	dialer := &net.Dialer{Timeout: patience}
	var c net.Conn
	var err error
	if s.tls != nil {
		c, err = tls.DialWithDialer(dialer, "tcp", s.addr, s.tls)
	} else {
		c, err = dialer.Dial("tcp", s.addr)
	}
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// get waits for an event.
func get[E any](t testing.TB, events <-chan E) (e E) {
	t.Helper()
	select {
	case e = <-events:
	case <-time.After(patience):
		t.Fatalf("no %T in %v", e, patience)
	}
	return e
}

// wantClosed waits for the end of one connection and checks how it ended.
func (s *server) wantClosed(code int, by wsguard.Initiator, reason string) {
	s.t.Helper()
	e := get(s.t, s.closed)
	got := ""
	if e.Refusal != nil {
		got = e.Refusal.Reason
	}
	if int(e.Code) != code || e.Initiator != by || got != reason {
		s.t.Errorf("closed with %d by the %s for %q, want %d by the %s for %q", e.Code, e.Initiator, got, code, by, reason)
	}
}

// wantSlots checks that exactly n connections fit.
func (s *server) wantSlots(n int) {
	s.t.Helper()
	var open []*client
	for range n {
		open = append(open, s.connect(handshake{}))
	}
	if over := s.open(handshake{}); over.resp.StatusCode != http.StatusTooManyRequests {
		s.t.Errorf("status %d with %d connections open, want 429", over.resp.StatusCode, n)
	}
	for _, c := range open {
		c.vanish(false)
		get(s.t, s.closed)
	}
}

// body reads a whole response and wants the stream to end after it.
func (c *client) body() string {
	c.t.Helper()
	b, err := io.ReadAll(c.resp.Body)
	if err != nil {
		c.t.Fatalf("body: %v", err)
	}
	rest, _ := io.ReadAll(bufio.NewReader(c.br))
	if len(rest) != 0 {
		c.t.Errorf("%q after the response", rest)
	}
	return string(b)
}
