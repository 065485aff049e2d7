package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// R31, R47: a user is issuer and subject together.
func TestPerUser(t *testing.T) {
	users := fixedTokens{
		"a1": userOf("https://a.example", "ada"),
		"a2": userOf("https://a.example", "ada"), // another token of the same user
		"b":  userOf("https://b.example", "ada"),
		"c":  userOf("https://a.example", "bob"),
		"d":  userOf("https://a.exampl", "eada"),
	}
	rec := newRecorder()
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.Authenticate(users, wsguard.FromAuthorization()),
		wsguard.LimitConns(1, wsguard.PerUser))(wsguard.Handler(echo)))
	for _, row := range []struct {
		token  string
		status int
	}{{"a1", 101}, {"a1", 429}, {"a2", 429}, {"b", 101}, {"c", 101}, {"d", 101}} {
		p := knock(t, url, "Authorization: Bearer "+row.token)
		if p.resp.StatusCode != row.status {
			t.Errorf("%s: %s, want %d", row.token, p.resp.Status, row.status)
		}
		if e := next(t, rec.handshakes); (e.Refusal == nil) != (row.status == 101) {
			t.Errorf("%s: observed %v", row.token, e.Refusal)
		}
	}
}

// R47, R58: a key of one's own; no key is not the same as no limit.
func TestPerKey(t *testing.T) {
	busy := &wsguard.Refusal{Safeguard: "Tenants", Reason: "tenant_suspended", Status: http.StatusForbidden}
	tenant := wsguard.PerKey("tenant", func(r *http.Request) (string, error) {
		switch name := r.Header.Get("X-Tenant"); name {
		case "":
			return "", errors.New("dial tcp 10.0.0.1:6379: connection refused")
		case "suspended":
			return "", busy
		default:
			return name, nil
		}
	})
	rows := []knockRow{
		{"one", []string{"X-Tenant: a"}, 101, ""},
		{"another", []string{"X-Tenant: b"}, 101, ""},
		{"hostile size", []string{"X-Tenant: " + strings.Repeat("x", hostile)}, 101, ""},
		{"no key", nil, 500, "key_unavailable"},
		{"refused by the function", []string{"X-Tenant: suspended"}, 403, "tenant_suspended"},
	}
	t.Run("LimitConns", func(t *testing.T) { runKnocks(t, rows, wsguard.LimitConns(1, tenant)) })
	t.Run("LimitHandshakes", func(t *testing.T) {
		runKnocks(t, append(rows, knockRow{"one again", []string{"X-Tenant: a"}, 429, "handshake_rate"}),
			wsguard.LimitHandshakes(rate.Every(time.Hour), 1, tenant))
	})
	t.Run("LimitMessages", func(t *testing.T) { runKnocks(t, rows, wsguard.LimitMessages(1, 1, tenant)) })

	limit := wsguard.LimitConns(2, tenant)
	of := func(name string) func() *http.Request {
		return func() *http.Request {
			r := requestFrom(away)()
			r.Header.Set("X-Tenant", name)
			return r
		}
	}
	limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		if a, b := freeSlots(limit, of("a")), freeSlots(limit, of("b")); a != 1 || b != 2 {
			t.Errorf("%d and %d slots are free, want 1 and 2", a, b)
		}
	})).ServeHTTP(httptest.NewRecorder(), of("a")())
}

// The largest numbers are large for IPv6 too.
func TestLimitsDoNotOverflow(t *testing.T) {
	for name, limit := range map[string]safeguard{
		"LimitConns":      wsguard.LimitConns(math.MaxInt, wsguard.PerIP),
		"LimitHandshakes": wsguard.LimitHandshakes(1, math.MaxInt, wsguard.PerIP),
		"LimitBytes":      wsguard.LimitBytes(1, math.MaxInt, wsguard.PerIP),
	} {
		w := httptest.NewRecorder()
		limit(whoami).ServeHTTP(w, requestFrom("[2001:db8::1]:1")())
		if w.Code != http.StatusOK {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}
}

// A key of one's own stays one, whatever it is called.
func TestPerKeyWithTheNameOfAnother(t *testing.T) {
	one := func(*http.Request) (string, error) { return "one", nil }
	w := httptest.NewRecorder()
	limit := wsguard.LimitConns(1, wsguard.PerKey("Everyone", one))
	limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { limit(whoami).ServeHTTP(w, requestFrom(away)()) })).
		ServeHTTP(httptest.NewRecorder(), requestFrom(away)())
	if w.Code != http.StatusTooManyRequests {
		t.Errorf("status %d", w.Code)
	}
	wsguard.Chain(wsguard.LimitConns(1, wsguard.PerKey("PerIP", one)), wsguard.TrustProxies(loopback))(whoami)
}

// R46, R61: attempts count, also those that are refused further inside, and
// who has used up the burst is told when to come back.
func TestLimitHandshakes(t *testing.T) {
	var rows []knockRow
	for i := range 4 {
		rows = append(rows, knockRow{fmt.Sprint("bad token ", i), []string{"Authorization: Bearer bad"}, 401, "token_invalid"})
	}
	rows = append(rows,
		knockRow{"over the limit", []string{"Authorization: Bearer bad"}, 429, "handshake_rate"},
		knockRow{"over the limit with a good token", []string{"Authorization: Bearer good"}, 429, "handshake_rate"},
		knockRow{"over the limit without an upgrade", []string{"Upgrade"}, 429, "handshake_rate"},
		knockRow{"no header helps", []string{"X-Forwarded-For: 203.0.113.1"}, 429, "handshake_rate"})
	for name, key := range map[string]wsguard.Key{"PerIP": wsguard.PerIP, "Everyone": wsguard.Everyone} {
		t.Run(name, func(t *testing.T) {
			runKnocks(t, rows, wsguard.LimitHandshakes(rate.Every(time.Hour), 4, key), wsguard.Authenticate(known, wsguard.FromAuthorization()))
		})
	}
}

// R46: the rate is one over time, and Retry-After is when it is worth while.
func TestLimitHandshakesOverTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := wsguard.LimitHandshakes(2, 3, wsguard.PerIP)(whoami)
		attempt := func() (int, string) {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, requestFrom(away)())
			return w.Code, w.Header().Get("Retry-After")
		}
		admitted := func() (n int) {
			for range 10 {
				status, wait := attempt()
				if status == http.StatusOK {
					n++
				} else if status != http.StatusTooManyRequests || wait != "1" && wait != "2" {
					t.Errorf("status %d, Retry-After %q", status, wait)
				}
			}
			return n
		}
		for _, step := range []struct {
			wait time.Duration
			want int
		}{{0, 3}, {0, 0}, {499 * time.Millisecond, 0}, {time.Millisecond, 1}, {time.Second, 2}, {time.Hour, 3}} {
			<-time.After(step.wait)
			if n := admitted(); n != step.want {
				t.Errorf("after %v %d were admitted, want %d", step.wait, n, step.want)
			}
		}
	})
}

// R52: behind proxies, limits are the client's; one who invents addresses has
// the limit of the proxy's peer.
func TestLimitsBehindProxies(t *testing.T) {
	limit := wsguard.Chain(wsguard.TrustProxies(tenNet), wsguard.LimitConns(1, wsguard.PerIP))
	n := 0
	from := func(peer string) func() *http.Request {
		return func() *http.Request {
			r := requestFrom(peer)()
			n++
			r.Header.Set("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", n%5))
			return r
		}
	}
	if got := freeSlots(limit, from("10.0.0.1:1")); got != 5 {
		t.Errorf("%d of 5 clients behind the proxy got in", got)
	}
	if got := freeSlots(limit, from("192.0.2.1:1")); got != 1 {
		t.Errorf("%d connections for one who invents addresses", got)
	}
}

// R60: a middleware that calls the chain a second time, when the connection is
// over, takes no slot for ever.
func TestSlotsOfALatecomer(t *testing.T) {
	rec := newRecorder()
	over, done := make(chan struct{}), make(chan struct{})
	twice := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer close(done)
			next.ServeHTTP(w, r)
			<-over
			next.ServeHTTP(w, r)
		})
	}
	slots := wsguard.LimitConns(2, wsguard.Everyone)
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), twice, slots)(wsguard.Handler(echo)))
	_ = knock(t, url).Close()
	next(t, rec.closes)
	close(over)
	next(t, done)
	if n := freeSlots(slots, requestFrom(away)); n != 2 {
		t.Errorf("%d slots are free, want 2", n)
	}
}

func ExampleLimitConns() {
	guard := wsguard.Chain(
		wsguard.LimitConns(10_000, wsguard.Everyone),
		wsguard.LimitConns(50, wsguard.PerIP),
		wsguard.Authenticate(known, wsguard.FromAuthorization()),
		wsguard.LimitConns(1, wsguard.PerUser),
	)
	h := guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		// A second connection, while the first is open.
		fmt.Println(answer(guard(whoami), "Authorization", "Bearer good"))
	}))
	answer(h, "Authorization", "Bearer good")
	fmt.Println(answer(guard(whoami), "Authorization", "Bearer good")) // the first is closed
	// Output:
	// 429 Too Many Requests
	// 200 OK
}

func ExampleLimitHandshakes() {
	// Three attempts at once, then one in ten seconds, good or bad.
	h := wsguard.LimitHandshakes(rate.Every(10*time.Second), 3, wsguard.PerIP)(whoami)
	for range 4 {
		fmt.Println(answer(h))
	}
	// Output:
	// 200 OK
	// 200 OK
	// 200 OK
	// 429 Too Many Requests
}

func ExamplePerKey() {
	tenant := wsguard.PerKey("tenant", func(r *http.Request) (string, error) {
		name, ok := strings.CutSuffix(r.Host, ".chat.example.com")
		if !ok {
			return "", errors.New("no tenant in the host")
		}
		return name, nil
	})
	h := wsguard.LimitConns(100, tenant)(whoami)
	fmt.Println(answer(h, "Host", "acme.chat.example.com"))
	fmt.Println(answer(h, "Host", "elsewhere.example"))
	// Output:
	// 200 OK
	// 500 Internal Server Error
}

func ExampleLimitMessages() {
	guard := wsguard.Chain(
		wsguard.Authenticate(known, wsguard.FromAuthorization()),
		wsguard.LimitMessages(10, 20, wsguard.PerConn), // ten a second, twenty at once
		wsguard.LimitMessages(30, 60, wsguard.PerUser), // on all connections of a user together
	)
	http.Handle("GET /limited", guard(wsguard.Handler(echo)))
}

func ExamplePaceMessages() {
	// A client that is too fast waits; nothing is lost.
	guard := wsguard.PaceMessages(10, 20, wsguard.PerConn)
	http.Handle("GET /paced", guard(wsguard.Handler(echo)))
}

func ExampleLimitBytes() {
	guard := wsguard.Chain(
		wsguard.MaxMessageSize(16<<10),
		wsguard.LimitBytes(64<<10, 128<<10, wsguard.PerConn), // 64 KiB/s, 128 KiB at once
	)
	http.Handle("GET /bytes", guard(wsguard.Handler(echo)))
}

// A message of the size that is allowed could never pass.
func ExampleLimitBytes_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.Chain(
		wsguard.MaxMessageSize(16<<10),
		wsguard.LimitBytes(64<<10, 4<<10, wsguard.PerConn),
	)(wsguard.Handler(echo))
	// Output: wsguard: LimitBytes has a burst of 4096 bytes, below the 16384 of MaxMessageSize, so that a message of that size never passes: raise the burst to 16384
}

func ExamplePaceBytes() {
	guard := wsguard.PaceBytes(1<<20, 4<<20, wsguard.PerUser)
	authenticated := wsguard.Chain(wsguard.Authenticate(known, wsguard.FromAuthorization()), guard)
	http.Handle("GET /upload", authenticated(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, _, err := c.Read(ctx) // waits as long as the user is over the limit
		return err
	})))
}
