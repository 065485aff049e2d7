package wsguard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// Behind a proxy, Issue sees the client as the endpoint does: its address, and
// that it came over TLS. Of the proxy alone it believes so. (R11, R52)
func TestIssueBehindAProxy(t *testing.T) {
	options := ticketOptions()
	options.BindAddress = true
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(100), options)
	rec := newRecorder()
	issue := wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.TrustProxies(tenNet),
		wsguard.LimitHandshakes(rate.Every(time.Hour), 3, wsguard.PerIP))(tickets.Issue(asAda))
	proxied := func(remote, client, proto string) func(*http.Request) {
		return func(r *http.Request) {
			r.TLS, r.RemoteAddr = nil, remote
			r.Header.Set("X-Forwarded-For", client)
			r.Header.Set("X-Forwarded-Proto", proto)
		}
	}
	for _, row := range []struct {
		name   string
		edit   func(*http.Request)
		status int
		reason string
	}{
		{"good", proxied("10.0.0.1:1", "198.51.100.7", "https"), 200, ""},
		{"plaintext to the proxy", proxied("10.0.0.1:1", "198.51.100.8", "http"), 403, "tls_required"},
		{"a proxy that nobody trusts", proxied("203.0.113.1:1", "198.51.100.7", "https"), 403, "tls_required"},
		{"malformed address", proxied("10.0.0.1:1", "x", "https"), 400, "address_malformed"},
	} {
		w := ask(issue, row.edit)
		if w.Code != row.status {
			t.Errorf("%s: status %d, want %d", row.name, w.Code, row.status)
		}
		if row.reason != "" {
			if e := next(t, rec.handshakes); reasonOf(e.Refusal) != row.reason {
				t.Errorf("%s: %v was observed, want %s", row.name, e.Refusal, row.reason)
			}
		}
	}
	if n := len(rec.handshakes); n != 0 {
		t.Errorf("a ticket is no handshake, but %d were observed", n)
	}

	text := ticketText(t, ask(issue, proxied("10.0.0.1:1", "198.51.100.7", "https")))
	if reason, _ := show(tickets, text, from("10.0.0.1:1")); reason != "ticket_address" {
		t.Errorf("good from the proxy's address: %q", reason)
	}
	text = ticketText(t, ask(issue, proxied("10.0.0.2:1", "198.51.100.7", "https")))
	if reason, _ := show(tickets, text, from("198.51.100.7:9")); reason != "" {
		t.Errorf("not good from the client's address: %q", reason)
	}
	if w := ask(issue, proxied("10.0.0.1:1", "198.51.100.7", "https")); w.Code != http.StatusTooManyRequests {
		t.Errorf("the fourth of an address: status %d", w.Code)
	}
}

func ticketText(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	var answer struct{ Ticket string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || len(answer.Ticket) != 43 {
		t.Fatalf("status %d, %q, %v", w.Code, w.Body, err)
	}
	return answer.Ticket
}

// What is weakened is weakened as far as it says, and no further. (R05, R11)
func TestInsecureTickets(t *testing.T) {
	noOrigin := func(r *http.Request) { r.Header.Del("Origin") }
	options := ticketOptions()
	options.InsecureAllowMissingOrigin = true
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(100), options)
	issue := tickets.Issue(asAda)
	if reason, _ := show(tickets, ticketText(t, ask(issue, noOrigin)), at(elsewhere)); reason != "" {
		t.Errorf("a ticket without an origin is refused: %s", reason)
	}
	if reason, _ := show(tickets, ticketText(t, ask(issue)), at(elsewhere)); reason != "ticket_origin" {
		t.Errorf("a ticket with an origin, elsewhere: %q", reason)
	}
	for name, edit := range map[string]func(*http.Request){
		"foreign": at("https://evil.example.com"), "null": at("null"), "empty": at(""),
		"plaintext": func(r *http.Request) { r.TLS = nil },
	} {
		if w := ask(issue, edit); w.Code != http.StatusForbidden {
			t.Errorf("%s: status %d", name, w.Code)
		}
	}

	options = ticketOptions()
	options.InsecurePlaintext = true
	issue = wsguard.NewTickets(wsguard.NewMemoryTickets(100), options).Issue(asAda)
	plain := func(r *http.Request) { r.TLS = nil }
	ticketText(t, ask(issue, plain))
	if w := ask(issue, plain, noOrigin); w.Code != http.StatusForbidden {
		t.Errorf("plaintext without an origin: status %d", w.Code)
	}
}

// The time of a ticket is the option's. (R11, R13)
func TestTicketTTL(t *testing.T) {
	for ttl, reasons := range map[time.Duration][2]string{
		0:               {"", "ticket_unknown"}, // 30 seconds
		5 * time.Second: {"", "ticket_unknown"},
		5 * time.Minute: {"", "ticket_unknown"},
	} {
		synctest.Test(t, func(t *testing.T) {
			options := ticketOptions()
			options.TTL = ttl
			tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), options)
			if ttl == 0 {
				ttl = 30 * time.Second
			}
			early, late := ticketFor(t, tickets), ticketFor(t, tickets)
			pass(ttl - 1)
			got, _ := show(tickets, early)
			pass(1)
			then, _ := show(tickets, late)
			if got != reasons[0] || then != reasons[1] {
				t.Errorf("%v: %q before the end and %q at it", ttl, got, then)
			}
		})
	}
}

// A store that hangs is waited for as long as the option says, in both
// directions, and its context ends then. (R11, R57)
func TestTicketStoreTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := ticketOptions()
		options.StoreTimeout = 7 * time.Second
		ended := make(chan time.Duration, 2)
		tickets := wsguard.NewTickets(hungStore(ended), options)
		for name, call := range map[string]func(){
			"Put":    func() { ask(tickets.Issue(asAda)) },
			"Redeem": func() { _, _ = show(tickets, strings.Repeat("A", 43)) },
		} {
			start := time.Now()
			call()
			if took := time.Since(start); took != 7*time.Second {
				t.Errorf("%s was waited for %v", name, took)
			}
			if took := <-ended; took != 7*time.Second {
				t.Errorf("%s: the store was told after %v", name, took)
			}
		}
	})
}

// hungStore hangs until it is told to stop, and says when that was.
type hungStore chan time.Duration

func (s hungStore) Put(ctx context.Context, _ [32]byte, _ []byte, _ time.Duration) error {
	start := time.Now()
	<-ctx.Done()
	s <- time.Since(start)
	return errors.New("told to stop")
}

func (s hungStore) Redeem(ctx context.Context, hash [32]byte) ([]byte, error) {
	return nil, s.Put(ctx, hash, nil, 0)
}

// R14, R54, R55: the audit log has a fingerprint of a ticket, however it fails,
// and never the ticket.
func TestTicketIsNotLogged(t *testing.T) {
	var log bytes.Buffer
	observer := wsguard.NewObserver("test", slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), wsguard.Hooks{})
	var secrets []string
	for name, open := range map[string]func(string) wsguard.TicketStore{
		"good":  func(string) wsguard.TicketStore { return wsguard.NewMemoryTickets(10) },
		"fails": func(text string) wsguard.TicketStore { return quotingStore{text} },
	} {
		text := strings.Repeat("A", 43)
		tickets := wsguard.NewTickets(open(text), ticketOptions())
		if name == "good" {
			text = ticketFor(t, tickets)
		}
		secrets = append(secrets, text)
		h := wsguard.Chain(wsguard.Observe(observer), wsguard.AllowOrigins(home),
			wsguard.Authenticate(tickets, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket"))))(whoami)
		for _, shown := range []string{text, text, text + "x"} { // good, spent, malformed
			r := httptest.NewRequest(http.MethodGet, "https://chat.example.com/?ticket="+shown, nil)
			r.Header.Set("Origin", home)
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the ticket is in the log:\n%s", &log)
		}
	}
	for _, reason := range []string{"ticket_unknown", "ticket_malformed", "tickets_unavailable"} {
		if !strings.Contains(log.String(), reason) {
			t.Errorf("%s is not in the log:\n%s", reason, &log)
		}
	}
}

// A quotingStore fails, and quotes what was shown.
type quotingStore struct{ text string }

func (s quotingStore) Put(context.Context, [32]byte, []byte, time.Duration) error {
	return errors.New(s.text)
}

func (s quotingStore) Redeem(context.Context, [32]byte) ([]byte, error) {
	return nil, errors.New("GETDEL " + s.text)
}
