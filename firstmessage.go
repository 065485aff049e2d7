package wsguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/limit"
	"github.com/wsguard/wsguard/internal/wire"
)

// FromFirstMessage takes the token from the first message of the connection,
// which must be text and nothing but the token:
//
//	ws.onopen = () => ws.send(token)
//
// It counts only where the handshake has no token in another source, and must
// have come whole, and been found good, within timeout of the upgrade. Until
// then the connection is nobody's: its handler has not begun, observers see a
// handshake that is not done, and what comes is limited to one message of 8 KiB,
// whatever MaxMessageSize says. A verifier has to return when its context ends:
// one that does not holds a goroutine, which no place bounds any more.
// Safeguards that need the principal, such as LimitConns(n, PerUser) and
// [Registry.Track], wait for it, and judge then as they would have before. What
// they or the verifier refuse ends the connection with 3000 or as the reason
// says, and is told as a handshake that was refused: a token that did not come
// is token_missing, or token_late.
//
// As anybody can open such a connection, from any page that AllowOrigins
// admits, there are at most 1,024 of them at once, and 16 of one address (IPv6:
// of a /64); see [TokenSource.Waiting]. One more gets 503 or 429. A token in
// the handshake costs an attacker more and the server less: prefer [FromTicket]
// or [FromSubprotocol] where clients can.
//
// It needs a Conn: in front of another library, or a handler that answers by
// itself, nobody would read the token, and the handshake ends with 500
// (rules_unclaimed). Such a handler may refuse, with 400 and above: what it says
// then, and headers that it sets before it upgrades, reach strangers.
// (R10, R13, R47)
func FromFirstMessage(timeout time.Duration) TokenSource {
	if timeout < time.Millisecond || timeout > time.Minute { // also a number without its unit
		panic(fmt.Sprintf("wsguard: FromFirstMessage: the timeout is %v: write a time up to a minute, such as 5*time.Second", timeout))
	}
	return TokenSource{
		name: "FromFirstMessage",
		take: func(*session, *http.Request) []string { return nil },
		late: newLateToken(timeout, 1024, 16),
	}
}

// Waiting changes how many connections may wait for the first message of
// [FromFirstMessage] at once: so many in all, and so many of one address. A
// source that is given to several Authenticate counts them together.
func (s TokenSource) Waiting(total, perAddress int) TokenSource {
	switch {
	case s.late == nil:
		panic("wsguard: Waiting: nobody waits for this source: write FromFirstMessage(5*time.Second).Waiting(1024, 16)")
	case perAddress < 1 || total < perAddress:
		panic(fmt.Sprintf("wsguard: Waiting: %d in all and %d of one address: write at least 1 of an address, and no more than in all", total, perAddress))
	}
	s.late = newLateToken(s.late.timeout, total, perAddress)
	return s
}

// A lateToken is what the connections of one source have in common.
type lateToken struct {
	timeout  time.Duration
	everyone *limit.Slots
	narrow   *limit.Slots
	wide     *limit.Slots
}

func newLateToken(timeout time.Duration, total, perAddress int) *lateToken {
	return &lateToken{
		timeout:  timeout,
		everyone: limit.NewSlots(total, 1),
		narrow:   limit.NewSlots(perAddress, total),
		wide:     limit.NewSlots(wide(perAddress), total),
	}
}

// tokenLimits hold for the message that is the token.
var tokenLimits = wire.Limits{
	MessageSize:  jose.MaxTokenSize,
	Fragments:    16,
	Empty:        2,
	Controls:     4,
	ControlEvery: time.Second,
}

// A stranger is a connection whose token is to come.
type stranger struct {
	*lateToken
	request *http.Request
	later   []*guard // what needs the principal
	slots   []*limit.Slot

	// Under the session's mu: it has been let in or told of as refused, and
	// nobody may let it in any more.
	decided, ending bool
}

// wait lets the handshake pass without a token, if there is room for one more.
func (l *lateToken) wait(s *session, r *http.Request) *Refusal {
	const name = "FromFirstMessage"
	keys, err := perIP(s, r)
	if err != nil {
		return keyRefusal(name, err)
	}
	st := &stranger{lateToken: l, request: r}
	take := func(slots *limit.Slots, k limit.Key, reason string) *Refusal {
		slot, ok := slots.Acquire(k)
		if !ok {
			refusal := refuse(name, reason, nil)
			refusal.RetryAfter = spread(10 * time.Second)
			return refusal
		}
		st.slots = append(st.slots, slot)
		s.hold(slot.Release)
		return nil
	}
	for i, slots := range []*limit.Slots{l.narrow, l.wide}[:len(keys)] {
		if refusal := take(slots, keys[i], "connections_per_key"); refusal != nil {
			return refusal
		}
	}
	// Last, so that who has too many takes no place of others.
	if refusal := take(l.everyone, limit.Everyone, "connections_total"); refusal != nil {
		return refusal
	}
	s.stranger = st
	s.limits.Activity = true // for a Track that comes when nothing may be changed any more
	return nil
}

// postpones reports whether a safeguard has to wait for the principal, and
// notes that it does.
func (s *session) postpones(g *guard) bool {
	if s.stranger == nil || (g.needs|g.follows)&factPrincipal == 0 {
		return false
	}
	s.stranger.later = append(s.stranger.later, g)
	return true
}

// identify reads the token of a stranger, and lets them in or ends the
// connection. It holds up the request's goroutine for as long as timeout.
func (s *session) identify() *Refusal {
	if s.stranger == nil {
		return nil
	}
	refusal := s.admit()
	if refusal == nil {
		return nil
	}
	s.end(refusal)
	if r := s.refusal.Load(); r != nil {
		return r // which was faster
	}
	return refusal
}

func (s *session) admit() *Refusal {
	const name = "FromFirstMessage"
	ctx, cancel := context.WithCancelCause(s.stranger.request.Context())
	defer cancel(nil)
	s.cancel.Store(&cancel)
	defer s.cancel.Store(nil)
	text, token, err := s.conn.ReadFirst(&tokenLimits)
	switch {
	case err != nil:
		s.conn.EndSilently()
		return refuse(name, "token_missing", err)
	case !text:
		return refuse(name, "token_missing", errors.New("the first message is binary: send the token as text"))
	}
	if r := s.refusal.Load(); r != nil { // before cancel was there to be called
		return r
	}
	p, refusal := s.vouch(ctx, name, s.verifier.Verify, string(token))
	if refusal != nil {
		return refusal
	}
	if s.left.Load() {
		return handlerReturned() // and who knows whose request it is now
	}
	if !s.becomes(p, string(token)) {
		return refuse(name, "token_late", nil)
	}
	for _, g := range s.stranger.later {
		if refusal := g.admit(s, s.stranger.request); refusal != nil {
			return refusal
		}
	}
	if refusal := s.rules.lacks(s.limits.MessageSize); refusal != nil {
		return refusal
	}
	return s.welcome(p)
}

// becomes gives the connection its principal, unless it has ended.
func (s *session) becomes(p *Principal, token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stranger.ending {
		return false
	}
	s.principal.Store(p)
	s.identified(p, token)
	return true
}

// welcome makes the connection one like any other, unless it has ended.
func (s *session) welcome(p *Principal) *Refusal {
	const name = "FromFirstMessage"
	s.mu.Lock()
	if s.stranger.ending {
		s.mu.Unlock()
		return refuse(name, "token_late", nil)
	}
	s.stranger.decided = true
	s.told.Add(1)
	s.mu.Unlock()
	for _, slot := range s.stranger.slots {
		slot.Release()
	}
	s.conn.SetExpiry(left(p))
	err := s.observeHandshake(nil)
	s.told.Done()
	if err != nil {
		return refuse("Observe", "internal_error", err)
	}
	s.keepVigil()
	if r := s.refusal.Load(); r != nil { // its end might not have seen the vigil
		s.stop(r)
		return r
	}
	return nil
}

// leaving notes that the connection ends, and reports whether it is nobody's.
func (s *session) leaving() bool {
	if s.stranger == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stranger.ending = true
	return !s.stranger.decided
}

// strange reports whether the connection is still nobody's.
func (s *session) strange() bool {
	if s.stranger == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.stranger.decided
}

// rejected tells of the end of a connection that was nobody's, as of a
// handshake that was refused, and reports whether it was one.
func (s *session) rejected(rep wire.Report) bool {
	if s.stranger == nil {
		return false
	}
	s.mu.Lock()
	strange := !s.stranger.decided
	s.stranger.decided, s.stranger.ending = true, true
	s.mu.Unlock()
	if !strange {
		return false
	}
	r := s.refusal.Load()
	if r == nil && rep.Cause != nil {
		r, _ = rep.Cause.Err.(*Refusal)
	}
	if r == nil {
		r = refuse("FromFirstMessage", "token_missing", websocket.CloseError{Code: websocket.StatusCode(rep.Code), Reason: "the connection has ended"})
	}
	for _, tell := range s.refused {
		tell(r)
	}
	s.free()
	_ = s.observeHandshake(r)
	return true
}
