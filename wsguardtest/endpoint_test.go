package wsguardtest_test

import (
	"bytes"
	"context"
	"crypto"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/wsguardtest"
)

// TestMain fails if an attack has left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	tick := time.NewTicker(20 * time.Millisecond)
	late := time.After(20 * time.Second)
	for left := others(); code == 0 && left != ""; left = others() {
		select {
		case <-tick.C:
		case <-late:
			fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

func others() string {
	buf := make([]byte, 1<<20)
	stacks := bytes.SplitN(buf[:runtime.Stack(buf, true)], []byte("\n\n"), 2)
	if len(stacks) < 2 || !bytes.Contains(stacks[1], []byte("wsguard")) {
		return ""
	}
	return string(stacks[1])
}

const (
	home  = "https://app.example.com"
	valid = `{"text":"hi"}`
)

// A record is what an endpoint logs.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

// An endpoint is a guarded echo that claims all that can be claimed.
type endpoint struct {
	signer   *wsguardtest.Signer
	registry *wsguard.Registry
	tickets  *wsguard.Tickets
	issue    http.Handler
	log      record
	tls      bool
	claims   wsguardtest.Claims
	patience time.Duration // 0 is the kit's
}

type safeguard = func(http.Handler) http.Handler

func newEndpoint(t testing.TB) *endpoint {
	e := &endpoint{
		signer:   wsguardtest.NewSigner("https://id.example.com", "chat"),
		registry: &wsguard.Registry{},
		claims: wsguardtest.Claims{MessageBytes: 4096, MessageBurst: 20, ConnsPerUser: 8, DeadPeer: time.Second, Idle: 1500 * time.Millisecond,
			FirstMessage: time.Second, Lifetime: 2500 * time.Millisecond, Stall: 500 * time.Millisecond, TokenLeeway: time.Second,
			TicketLife: time.Second},
	}
	origins, err := wsguard.ParseOrigins(home)
	if err != nil {
		t.Fatal(err)
	}
	e.tickets = wsguard.NewTickets(wsguard.NewMemoryTickets(1000), wsguard.TicketOptions{Path: "/ws", Origins: origins,
		TTL: time.Second, PerUser: 200, InsecurePlaintext: true})
	e.issue = e.tickets.Issue(func(*http.Request) (wsguard.Principal, error) {
		return wsguard.Principal{Subject: "alice", Issuer: "https://id.example.com", IssuedAt: time.Now(), Expires: time.Now().Add(time.Hour)}, nil
	})
	return e
}

// handler is the endpoint without some of its safeguards.
func (e *endpoint) handler(t testing.TB, without ...string) http.Handler {
	verifier, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: "https://id.example.com", Audience: []string{"chat"},
		Keys: []crypto.PublicKey{e.signer.PublicKey()}, Leeway: time.Second, MaxLifetime: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	schema := wsguard.MustCompileSchema(`{"type": "object", "required": ["text"], "additionalProperties": false,
		"properties": {"text": {"type": "string", "minLength": 1, "maxLength": 2000}}}`)
	var chain []safeguard
	for _, s := range []struct {
		name string
		is   safeguard
	}{
		{"observe", wsguard.Observe(wsguard.NewObserver("kit", slog.New(slog.NewTextHandler(&e.log, nil))))},
		{"tls", wsguard.RequireTLS()},
		{"origin", wsguard.AllowOrigins(home)},
		{"auth", wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer"), wsguard.FromTicket(e.tickets, wsguard.FromQuery("ticket")))},
		{"track", e.registry.Track()},
		{"conns", wsguard.LimitConns(8, wsguard.PerUser)},
		{"frames", wsguard.LimitFrames(wsguard.FrameLimits{Fragments: 256})},
		{"size", wsguard.MaxMessageSize(4096)},
		{"rate", wsguard.LimitMessages(10, 20, wsguard.PerConn)},
		{"stall", wsguard.MessageTimeout(500*time.Millisecond, 4096)},
		{"write", wsguard.WriteTimeout(500 * time.Millisecond)},
		{"schema", wsguard.ValidateMessages(schema)},
		{"keepalive", wsguard.KeepAlive(500*time.Millisecond, 500*time.Millisecond)},
		{"idle", wsguard.IdleTimeout(1500 * time.Millisecond)},
		{"first", wsguard.FirstMessageTimeout(time.Second)},
		{"lifetime", wsguard.MaxLifetime(2500 * time.Millisecond)},
	} {
		if !slices.Contains(without, s.name) && (e.tls || s.name != "tls") {
			chain = append(chain, s.is)
		}
	}
	if slices.Contains(without, "origin") {
		// wsguard's own upgrader refuses an origin that nobody has judged.
		return wsguard.Chain(chain[:2]...)(bare(true))
	}
	return wsguard.Chain(chain...)(wsguard.Upgrader{Subprotocols: []string{"chat.v1"}}.Handler(echo))
}

func echo(ctx context.Context, c *wsguard.Conn) error {
	for typ, data, err := c.Read(ctx); ; typ, data, err = c.Read(ctx) {
		if err != nil || c.Write(ctx, typ, data) != nil {
			return err
		}
	}
}

// ticket asks for one as the page does.
func (e *endpoint) ticket(context.Context) (string, error) {
	r := httptest.NewRequest("POST", "/ticket", nil)
	r.Header.Set("Origin", home)
	w := httptest.NewRecorder()
	e.issue.ServeHTTP(w, r)
	_, rest, ok := strings.Cut(w.Body.String(), `{"ticket":"`)
	ticket, _, _ := strings.Cut(rest, `"`)
	if w.Code != http.StatusOK || !ok {
		return "", fmt.Errorf("status %d", w.Code)
	}
	return ticket, nil
}

func (e *endpoint) profile() wsguardtest.Profile {
	return wsguardtest.Profile{
		Origin: home, Subprotocols: []string{"chat.v1"}, Signer: e.signer, TokenIn: "subprotocol:bearer.",
		Ticket: e.ticket, TicketIn: "query:ticket", Message: valid, Claims: e.claims, Log: e.log.String,
		Invalid: map[string]string{"too long": `{"text":"` + strings.Repeat("x", 2001) + `"}`},
		Logout: func(context.Context) error {
			_, err := e.registry.Revoke(wsguard.Revocation{Issuer: "https://id.example.com", Subject: "alice"})
			return err
		},
	}
}

// bare is coder/websocket as its users write it, behind nothing; insecure is
// without its own check of origins.
func bare(insecure bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{OriginPatterns: []string{"app.example.com"}, InsecureSkipVerify: insecure})
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			typ, data, err := c.Read(context.Background())
			if err != nil || c.Write(context.Background(), typ, data) != nil {
				return
			}
		}
	})
}

// results are a report's by name.
func results(r wsguardtest.Report) map[string]wsguardtest.Result {
	m := map[string]wsguardtest.Result{}
	for _, one := range r.Results {
		m[one.Name] = one
	}
	return m
}
