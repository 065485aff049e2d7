package wsguard

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/clientip"
	"github.com/wsguard/wsguard/internal/limit"
	"github.com/wsguard/wsguard/internal/origin"
)

// TicketOptions says what tickets are good for. Path and Origins are required;
// the zero value of every other field is the safe choice.
type TicketOptions struct {
	// Path is the path of the endpoint, as Authenticate sees it: "/ws". A
	// ticket opens no other, also where endpoints share a store.
	Path string

	// Origins are the pages that may ask for a ticket. A ticket asked for from
	// one of them is good from the same one alone.
	Origins Origins

	// TTL is for how long a ticket is good, at most 5 minutes. Default: 30
	// seconds.
	TTL time.Duration

	// PerUser is how many tickets a user may ask for at once, and within TTL.
	// Default: 16. It bounds the part of the store that one user can fill.
	PerUser int

	// StoreTimeout is how long the store is waited for. Default: 2 seconds.
	StoreTimeout time.Duration

	// BindAddress makes a ticket good only from the address that asked for it,
	// for IPv6 from its /64. It turns away users whose address changes, and
	// those who reach the two endpoints over different versions of IP.
	BindAddress bool

	// InsecureAllowMissingOrigin gives tickets also to clients that send no
	// Origin, as those that are not browsers. What is lost: such a ticket is
	// good from every origin that the endpoint admits.
	InsecureAllowMissingOrigin bool

	// InsecurePlaintext gives tickets also over plain http. What is lost:
	// whoever listens can spend them first.
	InsecurePlaintext bool
}

// Tickets gives out and takes back tickets: tokens of 256 random bits that open
// one connection, once, for the principal who asked for it. They are for
// browsers, which cannot set headers on a WebSocket: the page asks for one in
// its authenticated HTTPS session, and the session's own token never gets into
// a URL. Make one with [NewTickets] for each endpoint. It may be used from
// several goroutines. (R11, R12, R13)
type Tickets struct {
	store   *boundedStore
	options TicketOptions
	perUser *limit.Buckets
}

// NewTickets returns Tickets that are kept in a store, [NewMemoryTickets] or one
// that several replicas share. It panics for options that are no tickets.
func NewTickets(store TicketStore, options TicketOptions) *Tickets {
	setDefault(&options.TTL, 30*time.Second)
	setDefault(&options.PerUser, 16)
	setDefault(&options.StoreTimeout, 2*time.Second)
	switch {
	case store == nil:
		panic("wsguard: NewTickets: the store is nil: write NewMemoryTickets(10000)")
	case !strings.HasPrefix(options.Path, "/"):
		panic(fmt.Sprintf(`wsguard: NewTickets: TicketOptions.Path is %q: write the path of the endpoint, such as "/ws"`, options.Path))
	case options.Origins.set == nil:
		panic("wsguard: NewTickets: TicketOptions.Origins is empty, so nobody could ask for a ticket: set it to what ParseOrigins returned")
	case options.TTL < time.Second || options.TTL > 5*time.Minute:
		panic(fmt.Sprintf("wsguard: NewTickets: a TTL of %v is not from 1 second to 5 minutes: leave it out for 30 seconds", options.TTL))
	case options.PerUser < 1 || options.StoreTimeout < 0:
		panic("wsguard: NewTickets: PerUser and StoreTimeout must be above zero: leave them out for 16 tickets and 2 seconds")
	}
	every := rate.Limit(float64(options.PerUser) / options.TTL.Seconds())
	return &Tickets{
		store:   newBoundedStore(store, options.StoreTimeout),
		options: options,
		perUser: limit.NewBuckets(every, options.PerUser, maxBucketKeys),
	}
}

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// maxTicket bounds what is kept of a principal, in bytes of JSON.
const maxTicket = 16 << 10

// A ticket is what is kept of one. The ticket itself is not.
type ticket struct {
	Principal Principal
	Origin    string // "" is every one
	Path      string
	From      netip.Prefix // the zero Prefix is every one
}

// Issue answers POST with {"ticket":"…"} for the principal that who returns.
// Mount it behind the application's own authentication; who must not take an
// identity from anything but that. It may stand in a [Chain] of Observe, TrustProxies
// and LimitHandshakes, which it needs behind a proxy to see the client's address
// and scheme.
//
// Refused are another method with 405, plaintext with 403 (tls_required), an
// Origin that is not one of the options' with 403 (so that a page elsewhere
// cannot ask with the user's cookies), an error of who with 401 (token_invalid;
// a *Refusal as it is), a principal without subject or expiry with 401, a user
// who asks too often with 429 (ticket_rate), and a store that cannot keep it
// with 503 (tickets_unavailable). The request's body is not read. (R08, R12)
func (t *Tickets) Issue(who func(*http.Request) (Principal, error)) http.Handler {
	if who == nil {
		panic("wsguard: Tickets.Issue: the function is nil: write one that returns the principal of an authenticated request")
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := sessionOf(r)
		text, refusal := t.issue(s, r, who)
		switch {
		case refusal == nil:
		case s != nil:
			s.refuse(w, refusal)
			return
		default:
			writeRefusal(w, refusal, false)
			return
		}
		if s != nil {
			s.answered = true // and no failed upgrade
			defer s.free()
		}
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		_, _ = fmt.Fprintf(w, "{\"ticket\":%q}\n", text)
	})
}

func (t *Tickets) issue(s *session, r *http.Request, who func(*http.Request) (Principal, error)) (string, *Refusal) {
	const name = "Tickets"
	if r.Method != http.MethodPost {
		return "", refuse(name, "post_required", nil)
	}
	if r.TLS == nil && !t.options.InsecurePlaintext && (s == nil || s.https == nil || !s.https(r.Header)) {
		return "", refuse(name, "tls_required", nil)
	}
	if refusal := judgeOrigin(name, t.options.Origins.set, t.options.InsecureAllowMissingOrigin, r); refusal != nil {
		return "", refusal
	}
	keep := ticket{Path: t.options.Path}
	if given := r.Header["Origin"]; len(given) == 1 {
		o, _ := origin.Parse(given[0])
		keep.Origin = o.String()
	}
	if t.options.BindAddress {
		from, err := addressOf(s, r)
		if err != nil {
			return "", refuse(name, "address_malformed", err)
		}
		keep.From = from
	}
	p, err := asked(r, who)
	if err != nil {
		return "", tokenRefusal(name, "", err)
	}
	if refusal := p.complete(name, false); refusal != nil {
		return "", refusal
	}
	if ok, wait := t.perUser.Allow(limit.UserKey(p.Issuer, p.Subject), 1); !ok {
		refusal := refuse(name, "ticket_rate", nil)
		refusal.RetryAfter = wait
		return "", refusal
	}
	keep.Principal = p
	payload, err := json.Marshal(keep)
	if err == nil && len(payload) > maxTicket {
		err = fmt.Errorf("the principal has more than %d bytes: leave Claims out", maxTicket)
	}
	if err != nil {
		return "", refuse(name, "internal_error", err)
	}
	var secret [32]byte
	_, _ = rand.Read(secret[:]) // never fails
	text := base64.RawURLEncoding.EncodeToString(secret[:])
	if err := t.store.Put(r.Context(), sha256.Sum256([]byte(text)), payload, t.options.TTL); err != nil {
		return "", unavailable(name, text, err)
	}
	return text, nil
}

// asked calls the application. A panic is a refusal, as in verify.
func asked(r *http.Request, who func(*http.Request) (Principal, error)) (p Principal, err error) {
	defer func() {
		if text := recover(); text != nil {
			err = panicked("the function of Tickets.Issue", text)
		}
	}()
	return who(r)
}

func addressOf(s *session, r *http.Request) (netip.Prefix, error) {
	var addr netip.Addr
	var err error
	if s != nil {
		addr, err = s.locate()
	} else {
		var c clientip.Client
		c, err = clientip.Direct(r.RemoteAddr)
		addr = c.Addr
	}
	if err != nil {
		return netip.Prefix{}, err
	}
	narrow, _ := clientip.Keys(addr)
	return narrow, nil
}

// unavailable is the refusal for a store that does not answer. What cannot be
// known to be unspent is refused.
func unavailable(name, text string, err error) *Refusal {
	if strings.Contains(err.Error(), text) {
		err = errors.New("what the store said is left out, because it quotes the ticket")
	}
	refusal := refuse(name, "tickets_unavailable", err)
	refusal.RetryAfter = spread(5 * time.Second)
	return refusal
}

// FromTicket spends a ticket where the source in finds one, FromQuery("ticket")
// or FromSubprotocol("ticket"). The principal is the one that asked for it, and
// the verifier of Authenticate is not asked. A cookie holds no ticket.
//
// A ticket is spent by the first who shows it, wherever: one that is not good
// here opens nothing any more. Refused with 401 are what is no ticket
// (ticket_malformed), one that is unknown, spent or expired (ticket_unknown),
// and one for another path, origin or address (ticket_path, ticket_origin,
// ticket_address); with 503 all, while the store does not answer
// (tickets_unavailable). (R11)
func FromTicket(tickets *Tickets, in TokenSource) TokenSource {
	switch {
	case tickets == nil || tickets.store == nil:
		panic("wsguard: FromTicket: the tickets are nil or empty: write what NewTickets returned")
	case in.take == nil || in.cookie || in.spend != nil || in.late != nil:
		panic(`wsguard: FromTicket: no ticket is found there: write FromTicket(tickets, FromQuery("ticket"))`)
	}
	return TokenSource{name: "FromTicket", take: in.take, spend: tickets.spend}
}

// Verify refuses every token: a ticket is good only with the request that shows
// it, which [FromTicket] knows. It makes a [Verifier] of Tickets for endpoints
// that take nothing else: Authenticate(tickets, FromTicket(tickets, …)).
func (t *Tickets) Verify(context.Context, string) (Principal, error) {
	return Principal{}, errors.New("a ticket is spent by FromTicket alone: write FromTicket(tickets, source)")
}

func (t *Tickets) spend(s *session, r *http.Request, text string) (Principal, error) {
	const name = "FromTicket"
	if len(text) != 43 || strings.ContainsAny(text, "\r\n") { // which base64 skips
		return Principal{}, refuse(name, "ticket_malformed", nil)
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(text); err != nil {
		return Principal{}, refuse(name, "ticket_malformed", nil)
	}
	payload, err := t.store.Redeem(r.Context(), sha256.Sum256([]byte(text)))
	switch {
	case errors.Is(err, ErrTicketUnknown):
		return Principal{}, refuse(name, "ticket_unknown", nil)
	case err != nil:
		return Principal{}, unavailable(name, text, err)
	}
	var kept ticket
	d := json.NewDecoder(strings.NewReader(string(payload)))
	d.UseNumber()
	if err := d.Decode(&kept); err != nil {
		return Principal{}, unavailable(name, text, errors.New("the store returned what it was not given"))
	}
	if kept.Path != t.options.Path || r.URL.Path != kept.Path {
		return Principal{}, refuse(name, "ticket_path", nil)
	}
	if kept.Origin != "" {
		given := r.Header["Origin"]
		if len(given) != 1 {
			return Principal{}, refuse(name, "ticket_origin", nil)
		}
		if o, err := origin.Parse(given[0]); err != nil || o.String() != kept.Origin {
			return Principal{}, refuse(name, "ticket_origin", nil)
		}
	}
	if kept.From.IsValid() || t.options.BindAddress {
		if from, err := addressOf(s, r); err != nil || from != kept.From {
			return Principal{}, refuse(name, "ticket_address", err)
		}
	}
	return kept.Principal, nil
}
