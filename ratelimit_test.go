package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

const away = "192.0.2.1:1234" // an address for requests without a socket

// R31, R47, R60: of many who come at once, exactly as many get in as there are
// slots, and each slot comes back once.
func TestLimitConnsUnderPressure(t *testing.T) {
	const slots, dials = 7, 200
	for _, key := range []struct {
		wsguard.Key
		name, reason string
		status       int
	}{
		{wsguard.Everyone, "Everyone", "connections_total", 503},
		{wsguard.PerIP, "PerIP", "connections_per_key", 429},
		{wsguard.PerUser, "PerUser", "connections_per_key", 429},
	} {
		t.Run(key.name, func(t *testing.T) {
			rec := newRecorder()
			guard := wsguard.Chain(wsguard.Observe(rec.Observer),
				wsguard.Authenticate(known, wsguard.FromAuthorization()), wsguard.LimitConns(slots, key.Key))
			url := newServer(t, guard(wsguard.Handler(echo)))
			const token = "Authorization: Bearer good"
			request := func() *http.Request {
				r := requestFrom("127.0.0.1:1")()
				r.Header.Set("Authorization", "Bearer good")
				return r
			}
			var mu sync.Mutex
			var in []*peer
			waits := make(map[string]bool)
			var all sync.WaitGroup
			for range dials {
				all.Go(func() {
					p, err := tryKnock(url, token)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					defer mu.Unlock()
					if p.resp.StatusCode == http.StatusSwitchingProtocols {
						in = append(in, p)
						return
					}
					_ = p.Close()
					wait := p.resp.Header.Get("Retry-After")
					waits[wait] = true
					if n, err := strconv.Atoi(wait); p.resp.StatusCode != key.status || err != nil || n < 5 || n > 16 {
						t.Errorf("%s, Retry-After %q", p.resp.Status, wait)
					}
				})
			}
			all.Wait()
			if len(in) != slots {
				t.Errorf("%d got in, want %d", len(in), slots)
			}
			// R61: not all are told to come back at the same time.
			if len(waits) < 3 {
				t.Errorf("Retry-After takes the values %v only", waits)
			}
			refused := 0
			for range dials {
				if e := next(t, rec.handshakes); e.Refusal != nil {
					refused++
					if e.Refusal.Reason != key.reason {
						t.Errorf("refused for %v", e.Refusal)
					}
				}
			}
			if refused != dials-slots {
				t.Errorf("%d were observed to be refused, want %d", refused, dials-slots)
			}
			if n := freeSlots(guard, request); n != 0 {
				t.Errorf("%d slots are free while all are taken", n)
			}
			for free := 1; free <= slots; free++ {
				_ = in[free-1].Close()
				next(t, rec.closes)
				if n := freeSlots(guard, request); n != free {
					t.Errorf("%d slots are free after %d connections have ended", n, free)
				}
			}
		})
	}
}

// R31, R58, R60: each way in which a handshake or a connection ends gives back
// its slots, all of them, once.
func TestSlotsComeBack(t *testing.T) {
	refuser := wsguard.PerKey("refuser", func(*http.Request) (string, error) { return "", errors.New("no") })
	hang := func(ctx context.Context, c *wsguard.Conn) error { <-ctx.Done(); return nil }
	dropping := func(p *peer) { _ = p.Close() }
	hearing := func(p *peer) { _, _ = p.br.ReadByte(); _ = p.Close() } // the server is first
	for _, row := range []struct {
		name    string
		inner   http.Handler // behind the limit
		lines   []string
		then    func(*peer)
		reason  string // of the handshake
		aborted bool   // there is no response
	}{
		{name: "refused later in the chain", inner: wsguard.LimitConns(1, refuser)(wsguard.Handler(echo)), reason: "key_unavailable"},
		{name: "refused by an origin later", inner: wsguard.AllowOrigins(home)(wsguard.Handler(echo)), reason: "origin_missing"},
		{name: "no upgrade", inner: wsguard.Handler(echo), lines: []string{"Upgrade"}, reason: "not_an_upgrade"},
		{name: "failed upgrade", inner: http.HandlerFunc(failUpgrade), reason: "upgrade_failed"},
		{name: "failed hijack", inner: wsguard.LimitMessages(1, 1, wsguard.PerConn)(http.HandlerFunc(hijackBare)), reason: "rules_unclaimed"},
		{name: "ordinary response", inner: http.NotFoundHandler(), reason: "upgrade_failed"},
		{name: "empty response", inner: whoami, reason: "upgrade_failed"},
		{name: "half an upgrade", inner: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(101) }), reason: "upgrade_failed"},
		{name: "panic before the upgrade", inner: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }), reason: "internal_error", aborted: true},
		{name: "panic after a response", inner: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404); panic("x") }), reason: "internal_error", aborted: true},
		{name: "panic in PerKey", inner: wsguard.LimitConns(1, wsguard.PerKey("x", func(*http.Request) (string, error) { panic("x") }))(whoami), reason: "internal_error", aborted: true},
		{name: "panic after the upgrade", inner: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { wsguard.Handler(hang).ServeHTTP(w, r); panic("x") }), then: hearing},
		{name: "panic in serve", inner: wsguard.Handler(func(context.Context, *wsguard.Conn) error { panic("x") }), then: hearing},
		{name: "serve returns", inner: wsguard.Handler(func(context.Context, *wsguard.Conn) error { return nil }), then: hearing},
		{name: "serve fails", inner: wsguard.Handler(func(context.Context, *wsguard.Conn) error { return errors.New("x") }), then: hearing},
		{name: "the peer is gone", inner: wsguard.Handler(echo), then: dropping},
		{name: "the peer is gone, nobody reads", inner: wsguard.KeepAlive(50*time.Millisecond, 50*time.Millisecond)(wsguard.Handler(hang)), then: dropping},
		{name: "the peer closes", inner: wsguard.Handler(echo), then: func(p *peer) { _, _ = p.Write([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xE8}) }},
		{name: "the peer breaks the protocol", inner: wsguard.Handler(echo), then: func(p *peer) { _, _ = p.Write([]byte{0xFF, 0xFF}) }},
		{name: "lifetime over", inner: wsguard.MaxLifetime(10 * time.Millisecond)(wsguard.Handler(hang)), then: hearing},
		{name: "bare library", inner: http.HandlerFunc(acceptBare), then: dropping},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			slots := wsguard.Chain(wsguard.LimitConns(3, wsguard.Everyone), wsguard.LimitConns(3, wsguard.PerIP))
			srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(rec.Observer), slots)(row.inner))
			srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			srv.Start()
			t.Cleanup(srv.Close)
			for range 2 {
				p, err := tryKnock(srv.URL, row.lines...)
				if (err != nil) != row.aborted {
					t.Fatal(err)
				}
				if e := next(t, rec.handshakes); reasonOf(e.Refusal) != row.reason {
					t.Errorf("observed %v, want %q", e.Refusal, row.reason)
				}
				if row.then != nil {
					row.then(p)
					next(t, rec.closes)
				}
				if err == nil {
					_ = p.Close()
				}
			}
			srv.Close() // the handlers have returned
			if n := freeSlots(slots, requestFrom("127.0.0.1:1")); n != 3 {
				t.Errorf("%d slots are free, want 3", n)
			}
			if len(rec.handshakes)+len(rec.closes) != 0 {
				t.Errorf("%d handshakes and %d closes too many were observed", len(rec.handshakes), len(rec.closes))
			}
		})
	}
}

// failUpgrade is what a library does with a handshake that it does not like.
func failUpgrade(w http.ResponseWriter, _ *http.Request) {
	http.Error(w, "I do not like it", http.StatusBadRequest)
}

// hijackBare takes the socket, and closes it.
func hijackBare(w http.ResponseWriter, _ *http.Request) {
	if nc, _, err := w.(http.Hijacker).Hijack(); err == nil {
		_ = nc.Close()
	}
}

// acceptBare is an endpoint of a bare library.
func acceptBare(w http.ResponseWriter, r *http.Request) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer c.CloseNow()
	_, _, _ = c.Read(context.Background())
}

// R31: at shutdown the application's context ends, and with it every connection.
func TestSlotsComeBackAtShutdown(t *testing.T) {
	running, shutdown := context.WithCancel(context.Background())
	defer shutdown()
	rec := newRecorder()
	slots := wsguard.LimitConns(3, wsguard.Everyone)
	u := wsguard.Upgrader{Context: func(*http.Request) context.Context { return running }}
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), slots)(u.Handler(echo)))
	for range 3 {
		knock(t, url)
	}
	if n := freeSlots(slots, requestFrom(away)); n != 0 {
		t.Errorf("%d slots are free before", n)
	}
	shutdown()
	for range 3 {
		if e := next(t, rec.closes); e.Code != websocket.StatusGoingAway {
			t.Errorf("closed with %d", e.Code)
		}
	}
	if n := freeSlots(slots, requestFrom(away)); n != 3 {
		t.Errorf("%d slots are free after", n)
	}
}

// R47, R52: whom a limit counts together. Each row takes a slot of one by the
// first address, and tries the second.
func TestKeysPerIP(t *testing.T) {
	for _, row := range []struct {
		name, first, second string
		together            bool
	}{
		{"IPv4, another port", "192.0.2.1:1", "192.0.2.1:2", true},
		{"IPv4, next address", "192.0.2.1:1", "192.0.2.2:1", false},
		{"IPv4 mapped", "192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		{"IPv6, same /64", "[2001:db8:1:2::1]:1", "[2001:db8:1:2:ffff::9]:1", true},
		{"IPv6, same /48", "[2001:db8:1:2::1]:1", "[2001:db8:1:3::1]:1", false},
		{"IPv6, another /48", "[2001:db8:1:2::1]:1", "[2001:db8:2:2::1]:1", false},
		{"IPv6, zone", "[fe80::1%eth0]:1", "[fe80::2%eth1]:1", true},
		{"loopback", "127.0.0.1:1", "[::1]:1", false},
	} {
		for name, limit := range map[string]func(http.Handler) http.Handler{
			"LimitConns":      wsguard.LimitConns(1, wsguard.PerIP),
			"LimitHandshakes": wsguard.LimitHandshakes(rate.Every(time.Hour), 1, wsguard.PerIP),
		} {
			t.Run(name+"/"+row.name, func(t *testing.T) {
				in := false
				limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
					w := httptest.NewRecorder()
					limit(whoami).ServeHTTP(w, requestFrom(row.second)())
					in = w.Code == http.StatusOK
				})).ServeHTTP(httptest.NewRecorder(), requestFrom(row.first)())
				if in == row.together {
					t.Errorf("the second got in: %v", in)
				}
			})
		}
	}
}

// R47, R49: a site has many /64, and all together they have 32 times the limit.
func TestKeysPerSite(t *testing.T) {
	n := 0
	count := func() *http.Request { // each from a /64 of its own
		n++
		return requestFrom(fmt.Sprintf("[2001:db8:1:%x::1]:1", n))()
	}
	if got := freeSlots(wsguard.LimitConns(2, wsguard.PerIP), count); got != 64 {
		t.Errorf("a /48 has %d slots at a limit of 2, want 64", got)
	}
	if got := freeSlots(wsguard.LimitHandshakes(rate.Every(time.Hour), 2, wsguard.PerIP), count); got != 64 {
		t.Errorf("a /48 has %d handshakes at a burst of 2, want 64", got)
	}
}
