package wsguard_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

const elsewhere = "https://other.example.com"

func originsOf(origins ...string) wsguard.Origins {
	set, err := wsguard.ParseOrigins(origins...)
	if err != nil {
		panic(err)
	}
	return set
}

// ticketOptions are those of these tests, for the endpoint "/".
func ticketOptions() wsguard.TicketOptions {
	return wsguard.TicketOptions{Path: "/", Origins: originsOf(home, elsewhere), PerUser: 1000}
}

func asAda(*http.Request) (wsguard.Principal, error) {
	return userOf("https://id.example.com", "ada"), nil
}

// ask asks for a ticket as a page of an origin does.
func ask(h http.Handler, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "https://chat.example.com/ticket", nil)
	r.Header.Set("Origin", home)
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// ticketFor returns a ticket.
func ticketFor(tb testing.TB, tickets *wsguard.Tickets, edit ...func(*http.Request)) string {
	tb.Helper()
	w := ask(tickets.Issue(asAda), edit...)
	var answer struct{ Ticket string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || len(answer.Ticket) != 43 {
		tb.Fatalf("status %d, %q, %v", w.Code, w.Body, err)
	}
	return answer.Ticket
}

// show shows a ticket in a handshake, and returns the reason why it is refused.
func show(tickets *wsguard.Tickets, text string, edit ...func(*http.Request)) (string, *wsguard.Refusal) {
	rec := newRecorder()
	h := wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home, elsewhere),
		wsguard.Authenticate(tickets, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket"))))(whoami)
	r := httptest.NewRequest(http.MethodGet, "https://chat.example.com/?ticket="+text, nil)
	r.Header.Set("Origin", home)
	for _, e := range edit {
		e(r)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	e := <-rec.handshakes
	if e.Refusal.Reason == "upgrade_failed" { // whoami does not upgrade
		return "", nil
	}
	return e.Refusal.Reason, e.Refusal
}

func from(addr string) func(*http.Request) { return func(r *http.Request) { r.RemoteAddr = addr } }
func at(origin string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Origin", origin) }
}

// R11, R13: a ticket is good once, where it was asked for, for its time.
func TestTicketAttacks(t *testing.T) {
	bound := ticketOptions()
	bound.BindAddress = true
	v6, neighbour, stranger := from("[2001:db8:0:1::1]:1"), from("[2001:db8:0:1::2]:9"), from("[2001:db8:0:2::1]:1")
	for _, row := range []struct {
		name   string
		attack func(*testing.T, *wsguard.Tickets) string
		reason string
	}{
		{"good", func(t *testing.T, k *wsguard.Tickets) string { s, _ := show(k, ticketFor(t, k, v6), v6); return s }, ""},
		{"same prefix", func(t *testing.T, k *wsguard.Tickets) string {
			s, _ := show(k, ticketFor(t, k, v6), neighbour)
			return s
		}, ""},
		{"another prefix", func(t *testing.T, k *wsguard.Tickets) string {
			s, _ := show(k, ticketFor(t, k, v6), stranger)
			return s
		}, "ticket_address"},
		{"another origin", func(t *testing.T, k *wsguard.Tickets) string {
			s, _ := show(k, ticketFor(t, k), at(elsewhere))
			return s
		}, "ticket_origin"},
		{"another path", func(t *testing.T, k *wsguard.Tickets) string {
			s, _ := show(k, ticketFor(t, k), func(r *http.Request) { r.URL.Path = "/admin" })
			return s
		}, "ticket_path"},
		{"replayed", func(t *testing.T, k *wsguard.Tickets) string {
			text := ticketFor(t, k)
			_, _ = show(k, text)
			s, _ := show(k, text)
			return s
		}, "ticket_unknown"},
		{"shown in the wrong place first", func(t *testing.T, k *wsguard.Tickets) string {
			text := ticketFor(t, k)
			_, _ = show(k, text, at(elsewhere))
			s, _ := show(k, text)
			return s
		}, "ticket_unknown"},
		{"just in time", func(t *testing.T, k *wsguard.Tickets) string {
			text := ticketFor(t, k)
			<-time.After(30*time.Second - 1)
			s, _ := show(k, text)
			return s
		}, ""},
		{"expired", func(t *testing.T, k *wsguard.Tickets) string {
			text := ticketFor(t, k)
			<-time.After(30 * time.Second)
			s, _ := show(k, text)
			return s
		}, "ticket_unknown"},
		{"guessed", func(t *testing.T, k *wsguard.Tickets) string { s, _ := show(k, strings.Repeat("A", 43)); return s }, "ticket_unknown"},
		{"another spelling of the last bits", func(t *testing.T, k *wsguard.Tickets) string {
			s, _ := show(k, strings.Repeat("A", 42)+"B")
			return s
		}, "ticket_malformed"},
		{"empty", func(t *testing.T, k *wsguard.Tickets) string { s, _ := show(k, ""); return s }, "ticket_malformed"},
		{"oversized", func(t *testing.T, k *wsguard.Tickets) string { s, _ := show(k, strings.Repeat("A", hostile)); return s }, "ticket_malformed"},
		{"white space", func(t *testing.T, k *wsguard.Tickets) string { s, _ := show(k, ticketFor(t, k)[:42]+"%0A"); return s }, "ticket_malformed"},
		{"twice", func(t *testing.T, k *wsguard.Tickets) string {
			text := ticketFor(t, k)
			s, _ := show(k, text+"&ticket="+text)
			return s
		}, "token_ambiguous"},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				options := bound
				if got := row.attack(t, wsguard.NewTickets(wsguard.NewMemoryTickets(10), options)); got != row.reason {
					t.Errorf("refused as %q, want %q", got, row.reason)
				}
			})
		})
	}
}

// Two endpoints that share a store do not share tickets. (R11)
func TestTicketOfAnotherEndpoint(t *testing.T) {
	store, other := wsguard.NewMemoryTickets(10), ticketOptions()
	other.Path = "/admin"
	text := ticketFor(t, wsguard.NewTickets(store, ticketOptions()))
	if reason, _ := show(wsguard.NewTickets(store, other), text, func(r *http.Request) { r.URL.Path = "/admin" }); reason != "ticket_path" {
		t.Errorf("refused as %q", reason)
	}
}

// R11: of 10,000 who show one ticket at once, one gets in.
func TestOneOfManySpends(t *testing.T) {
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), ticketOptions())
	text := ticketFor(t, tickets)
	var in atomic.Int32
	h := wsguard.Authenticate(tickets, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket")))(
		http.HandlerFunc(func(http.ResponseWriter, *http.Request) { in.Add(1) }))
	var wg sync.WaitGroup
	start := make(chan struct{})
	for range 10_000 {
		wg.Go(func() {
			<-start
			r := httptest.NewRequest(http.MethodGet, "/?ticket="+text, nil)
			r.Header.Set("Origin", home)
			h.ServeHTTP(httptest.NewRecorder(), r)
		})
	}
	close(start)
	wg.Wait()
	if in.Load() != 1 {
		t.Errorf("%d got in, want 1", in.Load())
	}
}

// R12: a ticket opens a real connection, with the principal as it was.
func TestTicketConnects(t *testing.T) {
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), ticketOptions())
	want := userOf("https://id.example.com", "ada")
	want.Expires = want.Expires.UTC().Round(0)
	want.TokenID, want.Scopes, want.Claims = "t1", []string{"chat"}, map[string]any{"n": json.Number("9007199254740993")}
	w := ask(tickets.Issue(func(*http.Request) (wsguard.Principal, error) { return want, nil }))
	var answer struct{ Ticket string }
	_ = json.Unmarshal(w.Body.Bytes(), &answer)
	got := make(chan wsguard.Principal, 1)
	url := newServer(t, wsguard.Chain(wsguard.AllowOrigins(home),
		wsguard.Authenticate(known, wsguard.FromAuthorization(), wsguard.FromTicket(tickets, wsguard.FromSubprotocol("ticket"))))(
		wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			got <- *c.Principal()
			return echo(ctx, c)
		})))
	c := mustDial(t, url, "Origin: "+home, "Sec-WebSocket-Protocol: ticket."+answer.Ticket)
	wantEcho(t, c)
	if p := next(t, got); !reflect.DeepEqual(p, want) {
		t.Errorf("got %+v, want %+v", p, want)
	}
	if c.Subprotocol() != "" {
		t.Errorf("the ticket was echoed: %q", c.Subprotocol())
	}
}

// R08, R12: who may ask for a ticket.
func TestIssue(t *testing.T) {
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(100), ticketOptions())
	as := func(p wsguard.Principal, err error) http.Handler {
		return tickets.Issue(func(*http.Request) (wsguard.Principal, error) { return p, err })
	}
	ada, _ := asAda(nil)
	large := ada
	large.Claims = map[string]any{"x": strings.Repeat("x", 17<<10)}
	nothing := func(*http.Request) {}
	for _, row := range []struct {
		name   string
		h      http.Handler
		edit   func(*http.Request)
		status int
	}{
		{"good", as(ada, nil), nothing, 200},
		{"GET", as(ada, nil), func(r *http.Request) { r.Method = http.MethodGet }, 405},
		{"plaintext", as(ada, nil), func(r *http.Request) { r.TLS = nil }, 403},
		{"plaintext that says it is not", as(ada, nil), func(r *http.Request) { r.TLS = nil; r.Header.Set("X-Forwarded-Proto", "https") }, 403},
		{"foreign page", as(ada, nil), at("https://evil.example.com"), 403},
		{"null origin", as(ada, nil), at("null"), 403},
		{"no origin", as(ada, nil), func(r *http.Request) { r.Header.Del("Origin") }, 403},
		{"two origins", as(ada, nil), func(r *http.Request) { r.Header.Add("Origin", home) }, 403},
		{"not logged in", as(ada, errors.New("no session")), nothing, 401},
		{"nobody", as(known["nobody"], nil), nothing, 401},
		{"boundless", as(known["boundless"], nil), nothing, 401},
		{"expired", as(known["expired"], nil), nothing, 401},
		{"a refusal of its own", as(ada, &wsguard.Refusal{Status: 503}), nothing, 503},
		{"a panic", tickets.Issue(func(*http.Request) (wsguard.Principal, error) { panic("secret") }), nothing, 500},
		{"a large principal", as(large, nil), nothing, 500},
		{"what is not JSON", as(wsguard.Principal{Subject: "a", Expires: ada.Expires, Claims: map[string]any{"f": func() {}}}, nil), nothing, 500},
	} {
		t.Run(row.name, func(t *testing.T) {
			w := ask(row.h, row.edit)
			if w.Code != row.status || w.Header().Get("Cache-Control") != "no-store" || strings.Contains(w.Body.String(), "secret") {
				t.Errorf("status %d, header %v, body %q", w.Code, w.Header(), w.Body)
			}
			if row.status == 405 && w.Header().Get("Allow") != "POST" {
				t.Errorf("Allow: %q", w.Header().Get("Allow"))
			}
			if (row.status == 200) != strings.Contains(w.Body.String(), "ticket") {
				t.Errorf("body %q", w.Body)
			}
		})
	}
}

// A flood of one user's does not take the room of others. (R11, R61)
func TestTicketFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		options := ticketOptions()
		options.PerUser = 0 // 16
		tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(17), options)
		given := 0
		for range 1000 {
			switch w := ask(tickets.Issue(asAda)); {
			case w.Code == http.StatusOK:
				given++
			case w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "":
				t.Fatalf("status %d, %v", w.Code, w.Header())
			}
		}
		if given != 16 {
			t.Errorf("%d tickets for one user, want 16", given)
		}
		bob := tickets.Issue(func(*http.Request) (wsguard.Principal, error) { return known["other"], nil })
		if w := ask(bob); w.Code != http.StatusOK {
			t.Errorf("another user: status %d", w.Code)
		}
		if w := ask(bob); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
			t.Errorf("a full store: status %d", w.Code)
		}
	})
}

// A storeOf is a store of functions.
type storeOf struct {
	put    func() error
	redeem func() ([]byte, error)
}

func (s storeOf) Put(context.Context, [32]byte, []byte, time.Duration) error { return s.put() }
func (s storeOf) Redeem(context.Context, [32]byte) ([]byte, error)           { return s.redeem() }

// What a store cannot say is refused, in bounded time. (R11, R57)
func TestTicketStoreFails(t *testing.T) {
	text := strings.Repeat("A", 43)
	for name, redeem := range map[string]func() ([]byte, error){
		"fails":            func() ([]byte, error) { return nil, errors.New("down") },
		"quotes the token": func() ([]byte, error) { return nil, errors.New("GETDEL " + text) },
		"panics":           func() ([]byte, error) { panic(text) },
		"returns nonsense": func() ([]byte, error) { return []byte(text), nil },
		"returns nothing":  func() ([]byte, error) { return nil, nil },
		"hangs":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hang := make(chan struct{})
				if redeem == nil {
					redeem = func() ([]byte, error) { <-hang; return nil, nil }
				}
				tickets := wsguard.NewTickets(storeOf{func() error { _, err := redeem(); return errors.Join(err, errors.New("no")) }, redeem}, ticketOptions())
				started := time.Now()
				reason, refusal := show(tickets, text)
				if reason != "tickets_unavailable" || refusal.Status != 503 || strings.Contains(refusal.Error(), text) {
					t.Errorf("refused as %v", refusal)
				}
				if w := ask(tickets.Issue(asAda)); w.Code != 503 {
					t.Errorf("Issue: status %d", w.Code)
				}
				if name == "hangs" {
					var wg sync.WaitGroup
					for range 200 { // more than may be under way
						wg.Go(func() { _, _ = show(tickets, text) })
					}
					wg.Wait()
				}
				if took := time.Since(started); took > 6*time.Second {
					t.Errorf("it took %v", took)
				}
				close(hang)
			})
		})
	}
}

// R14, R55: neither the observer nor the handler inside is shown a ticket.
func TestTicketIsNotShown(t *testing.T) {
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10), ticketOptions())
	text := ticketFor(t, tickets)
	rec := newRecorder()
	h := wsguard.Chain(wsguard.RedactQuery("ticket"), wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home),
		wsguard.Authenticate(known, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket"))))(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if strings.Contains(urls(r), text) {
				t.Errorf("inside it is %s", urls(r))
			}
		}))
	for range 2 { // good, and spent
		r := httptest.NewRequest(http.MethodGet, "/?ticket="+text, nil)
		r.Header.Set("Origin", home)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if e := next(t, rec.handshakes); strings.Contains(fmt.Sprintf("%+v %v", e, e.Refusal), text) {
			t.Errorf("observed %+v", e)
		}
	}
}

func TestTicketMistakes(t *testing.T) {
	store := wsguard.NewMemoryTickets(1)
	tickets := wsguard.NewTickets(store, ticketOptions())
	wantPanic(t, "store is nil", func() { wsguard.NewTickets(nil, ticketOptions()) })
	wantPanic(t, "Path", func() { wsguard.NewTickets(store, wsguard.TicketOptions{Origins: originsOf(home)}) })
	wantPanic(t, "Origins", func() { wsguard.NewTickets(store, wsguard.TicketOptions{Path: "/"}) })
	wantPanic(t, "TTL", func() {
		wsguard.NewTickets(store, wsguard.TicketOptions{Path: "/", Origins: originsOf(home), TTL: time.Hour})
	})
	wantPanic(t, "PerUser", func() {
		wsguard.NewTickets(store, wsguard.TicketOptions{Path: "/", Origins: originsOf(home), PerUser: -1})
	})
	wantPanic(t, "keeps nothing", func() { wsguard.NewMemoryTickets(0) })
	wantPanic(t, "function is nil", func() { tickets.Issue(nil) })
	wantPanic(t, "nil or empty", func() { wsguard.FromTicket(nil, wsguard.FromQuery("ticket")) })
	wantPanic(t, "no ticket is found", func() { wsguard.FromTicket(tickets, wsguard.FromCookie("ticket")) })
	if _, err := tickets.Verify(t.Context(), ticketFor(t, tickets)); err == nil {
		t.Error("a ticket was good without its request")
	}
}

func ExampleNewTickets() {
	origins, err := wsguard.ParseOrigins("https://app.example.com")
	if err != nil {
		panic(err)
	}
	tickets := wsguard.NewTickets(wsguard.NewMemoryTickets(10_000), wsguard.TicketOptions{Path: "/tickets/ws", Origins: origins})
	http.Handle("/ticket", tickets.Issue(func(r *http.Request) (wsguard.Principal, error) {
		return known["good"], nil // whose session the request's cookie is
	}))
	guard := wsguard.Chain(
		wsguard.RedactQuery("ticket"), // outside of the access log
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.Authenticate(tickets, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket"))),
	)
	http.Handle("GET /tickets/ws", guard(wsguard.Handler(echo)))
}
