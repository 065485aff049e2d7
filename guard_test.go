package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

type safeguard = func(http.Handler) http.Handler

// foreign is a middleware that is not ours, behind which no safeguard is seen.
func foreign(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

// Chain is the same as wrapping by hand, and may be part of another chain.
func TestChainOrder(t *testing.T) {
	var order []string
	mark := func(name string) safeguard {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				order = append(order, name)
				next.ServeHTTP(w, r)
			})
		}
	}
	a, b, c := mark("a"), mark("b"), mark("c")
	for name, h := range map[string]http.Handler{
		"flat":    wsguard.Chain(a, b, c)(whoami),
		"nested":  wsguard.Chain(a, wsguard.Chain(b, c))(whoami),
		"by hand": a(b(c(whoami))),
		"empty":   wsguard.Chain()(a(wsguard.Chain(b)(c(whoami)))),
	} {
		order = nil
		h.ServeHTTP(httptest.NewRecorder(), requestFrom(away)())
		if got := strings.Join(order, ""); got != "abc" {
			t.Errorf("%s: order %q", name, got)
		}
	}
}

// The mistakes that orders can be.
var orderMistakes = []struct {
	name  string
	chain []safeguard
	want  string
}{
	{"Observe inside", []safeguard{wsguard.AllowOrigins(home), wsguard.Observe(newRecorder().Observer)},
		"Observe stands inside AllowOrigins and would miss what it refuses: put Observe first"},
	{"Observe far inside", []safeguard{wsguard.RequireTLS(), wsguard.KeepAlive(time.Second, time.Second), wsguard.Observe(newRecorder().Observer)},
		"Observe stands inside RequireTLS and would miss what it refuses: put Observe first"},
	{"two origin checks", []safeguard{wsguard.AllowOrigins(home), wsguard.AllowOrigins(home)},
		"AllowOrigins stands inside AllowOrigins, but a chain takes only one of them: leave one out"},
	{"two kinds of origin check", []safeguard{wsguard.CheckOrigins(wsguard.OriginConfig{Allow: mustOrigins(home)}), wsguard.AllowOrigins(home)},
		"AllowOrigins stands inside CheckOrigins, but a chain takes only one of them: leave one out"},
	{"two proxies", []safeguard{wsguard.TrustProxies(tenNet), wsguard.TrustProxies(loopback)},
		"TrustProxies stands inside TrustProxies, but a chain takes only one of them: leave one out"},
	{"two identities", []safeguard{wsguard.Authenticate(known, wsguard.FromAuthorization()), wsguard.Authenticate(known, wsguard.FromQuery("t"))},
		"Authenticate stands inside Authenticate, but a chain takes only one of them: leave one out"},
	{"two keep-alives", []safeguard{wsguard.KeepAlive(time.Second, time.Second), wsguard.KeepAlive(2*time.Second, 2*time.Second)},
		"KeepAlive stands inside KeepAlive, but a chain takes only one of them: leave one out"},
	{"TLS before proxies", []safeguard{wsguard.RequireTLS(), wsguard.TrustProxies(tenNet)},
		"RequireTLS stands outside TrustProxies and would not see what it establishes: put TrustProxies before RequireTLS"},
	{"addresses before proxies", []safeguard{wsguard.LimitConns(1, wsguard.PerIP), wsguard.TrustProxies(tenNet)},
		"LimitConns(PerIP) stands outside TrustProxies and would not see what it establishes: put TrustProxies before LimitConns(PerIP)"},
	{"rates before proxies", []safeguard{wsguard.LimitHandshakes(1, 1, wsguard.PerIP), wsguard.TrustProxies(tenNet)},
		"LimitHandshakes(PerIP) stands outside TrustProxies"},
	{"messages before proxies", []safeguard{wsguard.LimitMessages(1, 1, wsguard.PerIP), wsguard.TrustProxies(tenNet)},
		"LimitMessages(PerIP) stands outside TrustProxies"},
	{"users before identity", []safeguard{wsguard.LimitConns(1, wsguard.PerUser), wsguard.Authenticate(known, wsguard.FromAuthorization())},
		"LimitConns(PerUser) stands outside Authenticate and would not see what it establishes: put Authenticate before LimitConns(PerUser)"},
	{"rate of users before identity", []safeguard{wsguard.LimitHandshakes(1, 1, wsguard.PerUser), wsguard.Authenticate(known, wsguard.FromAuthorization())},
		"LimitHandshakes(PerUser) stands outside Authenticate"},
	{"cookie before the origin", []safeguard{wsguard.Authenticate(known, wsguard.FromAuthorization(), wsguard.FromCookie("s")), wsguard.AllowOrigins(home)},
		"Authenticate stands outside AllowOrigins and would not see what it establishes: put AllowOrigins before Authenticate"},
	{"bytes below a message", []safeguard{wsguard.LimitBytes(1, 99, wsguard.PerConn), wsguard.MaxMessageSize(100)},
		"LimitBytes has a burst of 99 bytes, below the 100 of MaxMessageSize"},
}

func mustOrigins(list ...string) wsguard.Origins {
	o, err := wsguard.ParseOrigins(list...)
	if err != nil {
		panic(err)
	}
	return o
}

// An order that cannot work is a panic when the chain is built, also through a
// chain in a chain and by hand; where it cannot be seen, because a middleware
// that is not ours stands between, every request is refused with 500. (R58)
func TestOrderMistakes(t *testing.T) {
	for _, row := range orderMistakes {
		t.Run(row.name, func(t *testing.T) {
			last := len(row.chain) - 1
			wantPanic(t, "wsguard: "+row.want, func() { wsguard.Chain(row.chain...)(whoami) })
			wantPanic(t, "wsguard: "+row.want, func() {
				wsguard.Chain(wsguard.Chain(row.chain[:last]...), wsguard.Chain(row.chain[last]))(whoami)
			})
			inside := row.chain[last](http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was let in") }))
			outside := wsguard.Chain(row.chain[:last]...)
			rec := newRecorder()
			r := httptest.NewRequest(http.MethodGet, "https://chat.example.com/?t=good", nil)
			r.Header.Set("Origin", home)
			r.Header.Set("Authorization", "Bearer good")
			r.RemoteAddr = "10.0.0.1:1"
			w := httptest.NewRecorder()
			wsguard.Chain(wsguard.Observe(rec.Observer), outside, foreign)(inside).ServeHTTP(w, r)
			e := next(t, rec.handshakes)
			if w.Code != http.StatusInternalServerError || e.Refusal == nil {
				t.Fatalf("status %d, refusal %v", w.Code, e.Refusal)
			}
			if got := e.Refusal; got.Reason != "safeguard_missing" && (got.Reason != "safeguard_order" || !strings.Contains(got.Error(), row.want)) {
				t.Errorf("observed %v", got)
			}
		})
	}
}

// R58: what a safeguard needs from another and does not find is a refusal.
func TestSafeguardMissing(t *testing.T) {
	for _, row := range []struct {
		name  string
		guard safeguard
		needs string
	}{
		{"LimitConns(PerUser)", wsguard.LimitConns(1, wsguard.PerUser), "Authenticate"},
		{"LimitHandshakes(PerUser)", wsguard.LimitHandshakes(1, 1, wsguard.PerUser), "Authenticate"},
		{"LimitMessages(PerUser)", wsguard.LimitMessages(1, 1, wsguard.PerUser), "Authenticate"},
		{"PaceMessages(PerUser)", wsguard.PaceMessages(1, 1, wsguard.PerUser), "Authenticate"},
		{"LimitBytes(PerUser)", wsguard.LimitBytes(1, 1, wsguard.PerUser), "Authenticate"},
		{"PaceBytes(PerUser)", wsguard.PaceBytes(1, 1, wsguard.PerUser), "Authenticate"},
		{"Authenticate", wsguard.Authenticate(known, wsguard.FromCookie("session")), "AllowOrigins"},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), foreign, row.guard)(wsguard.Handler(echo)))
			p := knock(t, url, "Cookie: session=good", "Authorization: Bearer good", "Origin: "+home)
			e := next(t, rec.handshakes)
			if p.resp.StatusCode != 500 || p.body != "Internal Server Error\n" {
				t.Errorf("%s %q", p.resp.Status, p.body)
			}
			want := fmt.Sprintf("wsguard: %s: safeguard_missing: %s needs %s, which has not seen this request: put it before, in the same chain", row.name, row.name, row.needs)
			if e.Refusal == nil || e.Refusal.Error() != want {
				t.Errorf("observed %v, want %s", e.Refusal, want)
			}
		})
	}
}

// What is established outside of a foreign middleware holds inside it.
func TestForeignBetween(t *testing.T) {
	runKnocks(t, []knockRow{
		{"cookie", []string{"Origin: " + home, "Cookie: session=good"}, 101, ""},
		{"foreign page", []string{"Origin: https://evil.example.com", "Cookie: session=good"}, 403, "origin_not_allowed"},
		{"nobody", []string{"Origin: " + home}, 401, "token_missing"},
	}, foreign, wsguard.AllowOrigins(home), foreign, wsguard.Authenticate(known, wsguard.FromCookie("session")), foreign,
		wsguard.LimitConns(9, wsguard.PerUser), foreign)
}

// R58: a middleware that drops the request's context drops what was
// established with it, and nobody gets in for that.
func TestForeignThatDropsTheContext(t *testing.T) {
	drop := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r.WithContext(context.Background())) })
	}
	for _, row := range []struct {
		name   string
		chain  []safeguard
		status int
	}{
		{"origin", []safeguard{wsguard.AllowOrigins(home), drop}, 403},
		{"identity", []safeguard{wsguard.Authenticate(known, wsguard.FromAuthorization()), drop, wsguard.LimitConns(1, wsguard.PerUser)}, 500},
		{"message rules", []safeguard{wsguard.CheckOrigins(wsguard.OriginConfig{Allow: mustOrigins(home)}), wsguard.LimitMessages(1, 1, wsguard.PerConn), drop, wsguard.AllowOrigins(home)}, 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := knock(t, newServer(t, wsguard.Chain(row.chain...)(wsguard.Handler(echo))), "Origin: "+home, "Authorization: Bearer good")
			if p.resp.StatusCode != row.status {
				t.Errorf("%s, want %d", p.resp.Status, row.status)
			}
		})
	}
}

// R54: several observers are told the same, each under its own name, and
// everything once, also where a middleware goes wrong after the refusal.
func TestObserve(t *testing.T) {
	a, b := newRecorder(), newRecorder()
	late := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			if r.Header.Get("X-Panic") != "" {
				panic("late")
			}
		})
	}
	srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(a.Observer), wsguard.RedactQuery("token"),
		wsguard.Observe(b.Observer), late, wsguard.AllowOrigins(home))(wsguard.Handler(echo)))
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	srv.Start()
	t.Cleanup(srv.Close)
	for _, lines := range [][]string{{"Origin: " + home}, {"Origin: null"}, {"Origin: null", "X-Panic: 1"}} {
		if p, err := tryKnock(srv.URL, lines...); err == nil {
			_ = p.Close()
		}
		ea, eb := next(t, a.handshakes), next(t, b.handshakes)
		if ea.Conn.ID != eb.Conn.ID || len(ea.Conn.ID) != 16 || ea.Conn.Endpoint != "test" || reasonOf(ea.Refusal) != reasonOf(eb.Refusal) {
			t.Errorf("%+v is not %+v", ea, eb)
		}
		if ea.Refusal == nil {
			next(t, a.closes)
			next(t, b.closes)
		}
	}
	srv.Close()
	if n := len(a.handshakes) + len(b.handshakes); n != 0 {
		t.Errorf("%d handshakes were observed twice: %v", n, (<-a.handshakes).Refusal)
	}
}

// R59: a hook that panics ends the connection that it was told about.
func TestPanickingHandshakeHook(t *testing.T) {
	o := wsguard.NewObserver("test", nil, wsguard.Hooks{HandshakeDone: func(context.Context, wsguard.HandshakeEvent) { panic("hook") }})
	rec := newRecorder()
	slots := wsguard.LimitConns(1, wsguard.Everyone)
	url := newServer(t, wsguard.Chain(wsguard.Observe(o), wsguard.Observe(rec.Observer), slots, wsguard.AllowOrigins(home))(wsguard.Handler(echo)))
	for range 2 {
		if p := knock(t, url, "Origin: null"); p.resp.StatusCode != 403 {
			t.Errorf("%s", p.resp.Status)
		}
		p := knock(t, url, "Origin: "+home)
		_, _ = p.br.ReadByte()
		_ = p.Close()
		if e := next(t, rec.closes); reasonOf(e.Refusal) != "internal_error" || e.Code != 1011 {
			t.Errorf("closed with %d, %v", e.Code, e.Refusal)
		}
	}
	if n := o.Stats().HookPanics; n != 4 {
		t.Errorf("%d panics were counted", n)
	}
	if n := freeSlots(slots, requestFrom(away)); n != 1 {
		t.Errorf("%d slots are free", n)
	}
}

// R51: a refusal that names what to upgrade to says so hop by hop (RFC 9110,
// section 7.8), and still closes.
func TestUpgradeRequiredNamesItsHeader(t *testing.T) {
	w := httptest.NewRecorder()
	wsguard.Handler(echo).ServeHTTP(w, requestFrom(away)())
	if got := fmt.Sprint(w.Code, w.Header().Values("Connection"), w.Header().Values("Upgrade")); got != "426 [close Upgrade] [websocket]" {
		t.Error(got)
	}
}

// R45: what a Refusal says, and what it unwraps to.
func TestRefusal(t *testing.T) {
	cause := errors.New("wsguard: the cause")
	r := &wsguard.Refusal{Safeguard: "AllowOrigins", Reason: "origin_missing", Err: cause, RetryAfter: time.Second}
	var as *wsguard.Refusal
	if err := fmt.Errorf("outer: %w", r); !errors.As(err, &as) || as != r || !errors.Is(err, cause) {
		t.Errorf("%v does not unwrap", err)
	}
	if got, want := r.Error(), "wsguard: AllowOrigins: origin_missing: the cause"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	r.Err = nil
	if got, want := r.Error(), "wsguard: AllowOrigins: origin_missing"; got != want || r.Unwrap() != nil {
		t.Errorf("%q, want %q", got, want)
	}
}
