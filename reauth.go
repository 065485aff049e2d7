package wsguard

import (
	"context"
	"errors"
)

// Reauthenticate goes on with a new token, which must be of the same issuer and
// subject: its principal takes the place of the old one at once, scopes
// included, and the connection ends when the new one expires. On a failure the
// connection ends with 3000, or 1013 if the keys are unavailable, and the error
// is a *Refusal. It asks the verifier of Authenticate; without one, it fails.
// ConnInfo keeps saying what the handshake established. (R32, R34)
func (c *Conn) Reauthenticate(ctx context.Context, token string) error {
	if r := c.s.reauthenticate(ctx, token); r != nil {
		return c.refused(r, "close")
	}
	return nil
}

// TryReauthenticate is Reauthenticate for an application that lets a client try
// again: a failure is returned, and nothing has changed. The old principal's
// expiry stays; a revoked one ends whatever is tried.
func (c *Conn) TryReauthenticate(ctx context.Context, token string) error {
	if r := c.s.reauthenticate(ctx, token); r != nil {
		return r
	}
	return nil
}

func (s *session) reauthenticate(ctx context.Context, token string) *Refusal {
	const name = "Reauthenticate"
	if s.verifier == nil {
		return refuse(name, "safeguard_missing", errors.New("there is no Authenticate in the chain whose verifier could be asked"))
	}
	p, refusal := s.vouch(ctx, name, s.verifier.Verify, token)
	if refusal != nil {
		if refusal.CloseCode == 0 {
			r := *refusal
			r.CloseCode, refusal = StatusUnauthorized, &r
		}
		return refusal
	}
	s.swap.Lock()
	defer s.swap.Unlock()
	old := s.principal.Load()
	if p.Issuer != old.Issuer || p.Subject != old.Subject {
		return refuse(name, "token_subject", errors.New("the new token belongs to another user"))
	}
	if r := s.refusal.Load(); r != nil {
		return r // too late
	}
	if refusal = s.assume(p); refusal != nil {
		_ = s.assume(old)
		return refusal
	}
	s.conn.SetExpiry(left(p))
	s.expires(p.Expires)
	return nil
}

// assume makes p the principal. As in Track, it is registered first, and
// judged then.
func (s *session) assume(p *Principal) *Refusal {
	s.principal.Store(p)
	if s.registry == nil {
		return nil
	}
	s.mu.Lock()
	if !s.freed { // or it would be registered for ever
		s.registry.register(s)
	}
	s.mu.Unlock()
	return s.registry.judge(p)
}
