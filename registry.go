package wsguard

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/revoked"
	"github.com/wsguard/wsguard/internal/roster"
)

// A Registry knows who is connected, and ends their connections: one of them, a
// user's, a token's, or all. Its zero value is ready; it must not be copied, and
// its fields not changed once it is in use. Its methods may be called
// concurrently. One Registry may stand in several chains. It knows this process
// alone. (R28 to R30)
type Registry struct {
	// TokenLife is the longest that a token can live, and so how long a
	// revocation is remembered. A handshake whose principal lives longer is
	// refused (token_lifetime), because its revocation could be forgotten before
	// it expires. One without an expiry, which InsecureNoExpiry admits, can come
	// back after this time. The default is 24 hours.
	TokenLife time.Duration

	// Spread is the time over which Shutdown closes connections, so that their
	// clients do not all return at once. It is cut to half of what Shutdown's
	// context leaves. The default is 5 seconds.
	Spread time.Duration

	who  roster.Roster[connKey, *session]
	list revoked.List[connKey]

	mu       sync.Mutex
	draining bool
	changed  chan struct{} // closed when a connection goes while draining
}

// connKey is what connections are found by.
type connKey struct {
	kind         keyKind
	issuer, name string
}

// A keyKind is what a connection is found by.
type keyKind uint8

const (
	byNothing keyKind = iota
	byBeing           // all are
	byID
	byIssuer
	byUser
	byToken
)

func (r *Registry) tokenLife() time.Duration {
	if r.TokenLife > 0 {
		return r.TokenLife
	}
	return 24 * time.Hour
}

// Track makes the connections of a chain known to the registry, from before
// their upgrade until their socket is closed. Put it after Authenticate, if
// there is one. It refuses tokens that were revoked with 401 (token_revoked),
// and during Shutdown everybody with 503 (shutting_down) and a Retry-After that
// is spread at random.
func (r *Registry) Track() func(http.Handler) http.Handler {
	if r == nil {
		panic("wsguard: Track: the registry is nil: write new(wsguard.Registry).Track(), and keep the registry")
	}
	ru := rule{name: "Track", provides: factTracked, follows: factPrincipal | factClient}
	return safeguard(ru, func(s *session, _ *http.Request) *Refusal {
		if r.isDraining() {
			return shuttingDown() // a flood of those must not look like connections that stay
		}
		// It registers first and looks then: whoever revokes or shuts down
		// does these in the other order, so that nobody slips between.
		if s.registry = r; !s.limits.Activity {
			s.limits.Activity = true
		}
		r.register(s)
		s.hold(func() { r.leave(s) })
		if r.isDraining() {
			return shuttingDown()
		}
		return r.judge(s.principal.Load())
	})
}

func (r *Registry) isDraining() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.draining
}

func shuttingDown() *Refusal {
	refusal := refuse("Track", "shutting_down", nil)
	refusal.RetryAfter = time.Second + rand.N(10*time.Second)
	return refusal
}

func (r *Registry) register(s *session) {
	r.who.Set(s, append(principalKeys(s.principal.Load()), connKey{kind: byID, name: s.info.ID})...)
}

// principalKeys are what a principal is found and revoked by.
func principalKeys(p *Principal) []connKey {
	if p == nil {
		return nil
	}
	keys := make([]connKey, 0, 4) // with room for one more
	keys = append(keys, connKey{byIssuer, p.Issuer, ""}, connKey{byUser, p.Issuer, p.Subject})
	if p.TokenID != "" {
		keys = append(keys, connKey{byToken, p.Issuer, p.TokenID})
	}
	return keys
}

// judge refuses a principal that is revoked, or whose revocation would be
// forgotten.
func (r *Registry) judge(p *Principal) *Refusal {
	if p == nil {
		return nil
	}
	now := time.Now()
	for _, k := range principalKeys(p) {
		if r.list.Covers(k, p.IssuedAt, now) {
			return refuse("Track", "token_revoked", nil)
		}
	}
	if p.Expires.Sub(now) > r.tokenLife() {
		return refuse("Track", "token_lifetime", errors.New("the token lives longer than a revocation of it: set Registry.TokenLife to the longest life of a token"))
	}
	return nil
}

func (r *Registry) leave(s *session) {
	r.who.Remove(s)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// A ConnFilter says which connections are meant. The zero filter, and one for
// a name that is empty, mean none.
type ConnFilter struct {
	key          connKey
	only, except string
	narrowed     bool
}

// AllConns means every connection.
func AllConns() ConnFilter { return ConnFilter{key: connKey{kind: byBeing}} }

// ConnsOfUser means a user's connections. The issuer is that of Principal, and
// may be empty.
func ConnsOfUser(issuer, subject string) ConnFilter { return filterBy(byUser, issuer, subject) }

// ConnsOfToken means the connections that have one token: after
// [Conn.Reauthenticate], the new one.
func ConnsOfToken(issuer, tokenID string) ConnFilter { return filterBy(byToken, issuer, tokenID) }

// ConnWithID means one connection. For a user who names one of their own, write
// ConnsOfUser(issuer, subject).Only(id), which means none of somebody else's.
func ConnWithID(id string) ConnFilter { return filterBy(byID, "", id) }

func filterBy(kind keyKind, issuer, name string) (f ConnFilter) {
	if name != "" {
		f.key = connKey{kind, issuer, name}
	}
	return f
}

// Only narrows a filter to the connection with an id. (R30)
func (f ConnFilter) Only(id string) ConnFilter { f.only, f.narrowed = id, true; return f }

// Except takes the connection with an id out, such as the one that asks.
func (f ConnFilter) Except(id string) ConnFilter { f.except = id; return f }

// find returns whom a filter means.
func (r *Registry) find(f ConnFilter) (found []*session) {
	for _, s := range r.meant(f.key) {
		if (!f.narrowed || s.info.ID == f.only) && (f.except == "" || s.info.ID != f.except) {
			found = append(found, s)
		}
	}
	return found
}

func (r *Registry) meant(k connKey) []*session {
	switch k.kind {
	case byNothing:
		return nil
	case byBeing:
		return r.who.All()
	}
	return r.who.Find(k)
}

// ConnStatus is one connection at the moment of [Registry.Connections].
type ConnStatus struct {
	Conn      ConnInfo   // of the handshake
	Principal *Principal // now; nil without Authenticate; read only

	LastActivity time.Time // when the last message was read, or the handshake
	MessagesIn   int64
	MessagesOut  int64
	BytesIn      int64
	BytesOut     int64
}

// Connections lists the open connections that a filter means, in no order. The
// list belongs to the caller. (R30)
func (r *Registry) Connections(f ConnFilter) []ConnStatus {
	var list []ConnStatus
	for _, s := range r.find(f) {
		s.mu.Lock()
		open := s.open && !s.freed
		s.mu.Unlock()
		if !open {
			continue
		}
		n := s.conn.Counts()
		list = append(list, ConnStatus{
			Conn: s.info, Principal: s.principal.Load(), LastActivity: s.conn.LastActivity(),
			MessagesIn: n.MessagesIn, MessagesOut: n.MessagesOut, BytesIn: n.BytesIn, BytesOut: n.BytesOut,
		})
	}
	return list
}

// Disconnect ends the connections that a filter means with a close code, and
// returns how many it meant; handshakes under way are refused with 403. It does
// not wait for their end, and they may come back: see [Registry.Revoke]. The
// reason is made UTF-8 and cut to 123 bytes. A code that must not be sent
// becomes 1011. (R29, R30)
func (r *Registry) Disconnect(f ConnFilter, code websocket.StatusCode, reason string) int {
	found := r.find(f)
	refusal := refuse("Disconnect", "disconnected", nil)
	refusal.CloseCode, refusal.farewell = code, strings.ToValidUTF8(reason, "\uFFFD")
	for _, s := range found {
		s.depart(refusal)
	}
	return len(found)
}

// A Revocation says which tokens count no more: a user's (Issuer and Subject),
// one token (Issuer and TokenID), or all of an issuer.
type Revocation struct {
	Issuer  string // as in Principal
	Subject string
	TokenID string

	// IssuedBefore spares tokens that were issued at this time or later
	// (Principal.IssuedAt). The default is the moment of Revoke, and for a
	// TokenID always. A token says the second of its issue: one that was issued
	// in the second of the revocation is refused.
	IssuedBefore time.Time
}

// errRevocation is for a revocation that names nobody, or too much.
var errRevocation = errors.New("wsguard: Revoke: the revocation must name a Subject, a TokenID or an Issuer alone: " +
	"set one of Subject and TokenID, with the Issuer of the principal")

// Revoke ends the connections of tokens that count no more with 3000
// (token_revoked), refuses later handshakes with them for TokenLife, and returns
// how many connections it meant. It does not wait for their end. An error means
// that nothing was revoked. Memory is bounded: beyond 65,536 revocations at a
// time, further ones share 262,144 entries, so that tokens of others are refused
// too (one in 60 after 4,000 more, one in 5 after 60,000), until fresh ones are
// issued, a minute later; then a TokenID is also no longer refused in tokens that
// are issued for it anew. Limit how often somebody can log out. (R28, R29, R34)
func (r *Registry) Revoke(v Revocation) (int, error) {
	now := time.Now()
	before := v.IssuedBefore
	if before.IsZero() {
		before = now
	}
	var k connKey
	switch {
	case v.Subject != "" && v.TokenID == "":
		k = connKey{byUser, v.Issuer, v.Subject}
	case v.TokenID != "" && v.Subject == "":
		k, before = connKey{byToken, v.Issuer, v.TokenID}, now.AddDate(1000, 0, 0)
	case v.Issuer != "" && v.Subject == "":
		k = connKey{byIssuer, v.Issuer, ""}
	default:
		return 0, errRevocation
	}
	r.list.Add(k, before, now.Add(r.tokenLife()), now)
	n := 0
	for _, s := range r.who.Find(k) {
		if p := s.principal.Load(); p.IssuedAt.IsZero() || p.IssuedAt.Before(before) {
			s.depart(refuse("Revoke", "token_revoked", nil))
			n++
		}
	}
	return n, nil
}

// Shutdown refuses new handshakes from now on, and closes the connections with
// 1001, spread over the time that Spread says, each when its handler waits for
// the next message: what it has read, it may answer. It returns when all are
// gone, or when ctx ends; then it ends those that are left at once, and returns
// how many, with the cause of ctx. Observers may be told of the last ones a
// moment later. Connections whose first message is to come ([FromFirstMessage])
// are not known yet, and refused when it does. A second call waits like the first.
//
// http.Server.Shutdown knows nothing of connections that were upgraded, and does
// not wait for what RegisterOnShutdown has started. Three lines do both:
//
//	done := make(chan struct{})
//	server.RegisterOnShutdown(func() { registry.Shutdown(ctx); close(done) })
//	server.Shutdown(ctx); <-done
func (r *Registry) Shutdown(ctx context.Context) (cut int, err error) {
	r.mu.Lock()
	r.draining = true
	r.mu.Unlock()

	all := r.who.All()
	spread := r.Spread
	if spread <= 0 {
		spread = 5 * time.Second
	}
	if end, ok := ctx.Deadline(); ok {
		spread = min(spread, time.Until(end)/2)
	}
	began := time.Now()
	for i, s := range all {
		if wait := spread*time.Duration(i)/time.Duration(len(all)) - time.Since(began); wait > time.Millisecond {
			if !r.pause(ctx, wait) {
				break
			}
		}
		s.retire(shuttingDown())
	}
	for r.pause(ctx, -1) {
	}
	if r.who.Len() == 0 {
		return 0, nil
	}
	left := r.who.All()
	for _, s := range left {
		s.depart(shuttingDown())
	}
	return len(left), context.Cause(ctx)
}

// pause waits for d, or until ctx ends or nobody is left, of which it returns
// false. A negative d is until the next connection goes.
func (r *Registry) pause(ctx context.Context, d time.Duration) bool {
	var over <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		over = t.C
	}
	for {
		r.mu.Lock()
		if r.changed == nil {
			r.changed = make(chan struct{})
		}
		changed := r.changed
		r.mu.Unlock()
		if r.who.Len() == 0 {
			return false
		}
		select {
		case <-changed:
			if d < 0 {
				return true
			}
		case <-over:
			return true
		case <-ctx.Done():
			return false
		}
	}
}
