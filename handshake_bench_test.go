package wsguard_test

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/wsguard/wsguard"
)

// handshakeRows are handshakes that are refused before anything is hijacked,
// and how much each may allocate, its line in the log included.
var handshakeRows = []struct {
	name   string
	change func(*http.Request)
	burst  int // of handshakes, of which one has been
	status int
	most   float64
}{
	{"foreign origin", func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 1 << 30, 403, 24},
	{"origin of 8 KiB", func(r *http.Request) { r.Header.Set("Origin", "https://"+strings.Repeat("a", 8<<10)) }, 1 << 30, 403, 24},
	{"no origin", func(r *http.Request) { r.Header.Del("Origin") }, 1 << 30, 403, 23},
	{"foreign host", func(r *http.Request) { r.Host = "evil.example" }, 1 << 30, 421, 23},
	{"no token", func(r *http.Request) { r.Header.Del("Authorization") }, 1 << 30, 401, 33},
	{"unknown token", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 1 << 30, 401, 38},
	{"token of 8 KiB", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+strings.Repeat("A", 8<<10)) }, 1 << 30, 401, 39},
	{"no ticket of ours", func(r *http.Request) {
		r.Header.Del("Authorization")
		r.URL.RawQuery = "ticket=" + strings.Repeat("A", 43)
	}, 1 << 30, 401, 43},
	{"query of 8 KiB", func(r *http.Request) { r.URL.RawQuery = strings.Repeat("ticket&", 1<<10) }, 1 << 30, 400, 38},
	{"too many of them", func(*http.Request) {}, 1, 429, 32},
}

// A discarding response keeps the status, and allocates nothing itself.
type discarding struct {
	header http.Header
	status int
}

func (c *discarding) Header() http.Header         { return c.header }
func (c *discarding) Write(p []byte) (int, error) { return len(p), nil }
func (c *discarding) WriteHeader(status int)      { c.status = status }

// refusing returns what makes a handshake of a row, after the first, and
// returns its status.
func refusing(tb testing.TB, burst int, change func(*http.Request)) (handshake func() (status int)) {
	tb.Helper()
	origins, err := wsguard.ParseOrigins(home)
	if err != nil {
		tb.Fatal(err)
	}
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), wsguard.TicketOptions{Path: "/ws", Origins: origins})
	h := wsguard.Chain(
		wsguard.RedactQuery("ticket"),
		wsguard.Observe(wsguard.NewObserver("bench", slog.New(slog.NewJSONHandler(io.Discard, nil)))),
		wsguard.AllowHosts("ws.example.com"),
		wsguard.AllowOrigins(home),
		wsguard.LimitConns(1000, wsguard.Everyone),
		wsguard.LimitHandshakes(1e-9, burst, wsguard.PerIP),
		wsguard.Authenticate(fixedTokens{"t": userOf("id", "alice")},
			wsguard.FromTicket(tickets, wsguard.FromQuery("ticket")), wsguard.FromAuthorization()),
	)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.Host = "ws.example.com"
	for name, value := range map[string]string{"Origin": home, "Authorization": "Bearer t", "Upgrade": "websocket",
		"Connection": "Upgrade", "Sec-Websocket-Version": "13", "Sec-Websocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
		r.Header.Set(name, value)
	}
	change(r)
	w := discarding{header: http.Header{}}
	handshake = func() int {
		clear(w.header)
		h.ServeHTTP(&w, r)
		return w.status
	}
	handshake()
	return handshake
}

// What is refused costs a bounded number of allocations, however long it is.
func TestRefusedHandshakeAllocates(t *testing.T) {
	for _, row := range handshakeRows {
		t.Run(row.name, func(t *testing.T) {
			handshake := refusing(t, row.burst, row.change)
			if got := handshake(); got != row.status {
				t.Fatalf("refused with %d, want %d", got, row.status)
			}
			most := row.most
			if raced() {
				most += 5 // the race detector makes every sync.Pool forget at random
			}
			if n := testing.AllocsPerRun(100, func() { handshake() }); n > most {
				t.Errorf("%v allocations, want at most %v", n, most)
			}
		})
	}
}

func BenchmarkRefusedHandshake(b *testing.B) {
	for _, row := range handshakeRows {
		b.Run(row.name, func(b *testing.B) {
			handshake := refusing(b, row.burst, row.change)
			b.ReportAllocs()
			for b.Loop() {
				handshake()
			}
		})
	}
}
