package main

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/wsguard/wsguard"
)

// sessionCookie keeps a browser logged in. No page can read it, none of
// another site sends it, and it opens no connection: it is good only for a
// ticket or a token, and only from a page of this origin.
const sessionCookie = "session"

// userName allows nothing that would need escaping anywhere.
var userName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

var errNotLoggedIn = errors.New("not logged in")

// login believes everybody who they say they are: it stands for the login of
// a real service.
func (s *server) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	_ = r.PostFormValue("user") // reads the form, of either encoding
	names := r.PostForm["user"]
	if len(names) != 1 || !userName.MatchString(names[0]) {
		http.Error(w, "user must be 1 to 32 letters, digits, _ . or -", http.StatusBadRequest)
		return
	}
	user, id, until := names[0], rand.Text(), time.Now().Add(s.sessionTTL())
	if !s.sessions.begin(user, id, until) {
		http.Error(w, "too many are logged in: try again later", http.StatusServiceUnavailable)
		return
	}
	session, err := s.issuer.issue(sessionToken, user, id, until)
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	s.setCookie(w, session, int(s.sessionTTL().Seconds()))
	s.answerToken(w, user, id, "")
}

// session finds whose a request is by its cookie.
func (s *server) session(r *http.Request) (wsguard.Principal, error) {
	cookies := r.CookiesNamed(sessionCookie)
	if len(cookies) != 1 {
		return wsguard.Principal{}, errNotLoggedIn
	}
	return s.sessionTokens.Verify(r.Context(), cookies[0].Value)
}

// renew gives a new token to whoever has a session.
func (s *server) renew(w http.ResponseWriter, r *http.Request) {
	p, err := s.session(r)
	if err != nil {
		http.Error(w, errNotLoggedIn.Error(), http.StatusUnauthorized)
		return
	}
	s.answerToken(w, p.Subject, p.TokenID, p.Subject)
}

// ticketFor is who gets a ticket: whoever has a session or an access token. The
// connection lasts as long as one with a token would.
func (s *server) ticketFor(r *http.Request) (wsguard.Principal, error) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return s.access.Verify(r.Context(), token)
	}
	p, err := s.session(r)
	p.IssuedAt = time.Now() // by this server, now that it has looked
	if end := p.IssuedAt.Add(s.config.tokenTTL); p.Expires.After(end) {
		p.Expires = end
	}
	return p, err
}

// logout ends the session, its connections and all that was given out for it:
// that of an access token, or of every cookie, so that one which somebody has
// planted beside it does not save it.
func (s *server) logout(w http.ResponseWriter, r *http.Request) {
	ended := 0
	end := func(p wsguard.Principal, err error) {
		if err == nil {
			ended += s.endSessions(p.Subject, "logged out", func(id string) bool { return id == p.TokenID })
		}
	}
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		end(s.access.Verify(r.Context(), token))
	} else {
		for _, c := range r.CookiesNamed(sessionCookie) {
			end(s.sessionTokens.Verify(r.Context(), c.Value))
		}
		s.setCookie(w, "", -1)
	}
	if ended == 0 {
		http.Error(w, errNotLoggedIn.Error(), http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// logoutElsewhere ends the user's other sessions.
func (s *server) logoutElsewhere(w http.ResponseWriter, r *http.Request) {
	p, err := s.session(r)
	if err != nil {
		http.Error(w, errNotLoggedIn.Error(), http.StatusUnauthorized)
		return
	}
	n := s.endSessions(p.Subject, "signed out elsewhere", func(id string) bool { return id != p.TokenID })
	writeJSON(w, map[string]int{"ended": n})
}

// endSessions ends a user's sessions that are meant: no cookie and no token of
// theirs is good any more, and their connections are told why they end.
func (s *server) endSessions(user, reason string, meant func(id string) bool) int {
	ended := s.sessions.end(user, meant)
	for _, id := range ended {
		s.registry.Disconnect(wsguard.ConnsOfToken(s.issuer.name, id), wsguard.StatusUnauthorized, reason)
		_, _ = s.registry.Revoke(wsguard.Revocation{Issuer: s.issuer.name, TokenID: id}) // whoever connects at this moment
	}
	return len(ended)
}

// bySession is a verifier of tokens that belong to sessions: what is revoked is
// a session, with all that was given out for it, so that is the principal's
// TokenID.
type bySession struct {
	*wsguard.JWT
	*sessions
}

// Verify refuses the tokens of sessions that have ended.
func (v bySession) Verify(ctx context.Context, token string) (wsguard.Principal, error) {
	p, err := v.JWT.Verify(ctx, token)
	if err != nil {
		return p, err
	}
	p.TokenID, _ = p.Claims["sid"].(string)
	return p, v.stillOn(ctx, p)
}

// stillOn is an error if the principal's session has ended.
func (s *sessions) stillOn(_ context.Context, p wsguard.Principal) error {
	if !s.until(p.Subject, p.TokenID).After(time.Now()) {
		return errNotLoggedIn
	}
	return nil
}

// answerToken gives a user a token. A page that has only its cookie is told
// whose it is.
func (s *server) answerToken(w http.ResponseWriter, user, session, tell string) {
	token, err := s.issuer.issue(accessToken, user, session, time.Now().Add(s.config.tokenTTL))
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	writeJSON(w, struct {
		Token     string `json:"token"`
		ExpiresIn int    `json:"expires_in"` // seconds
		User      string `json:"user,omitempty"`
	}{token, int(s.config.tokenTTL.Seconds()), tell})
}

// sessionTTL is how long a browser stays logged in.
func (s *server) sessionTTL() time.Duration { return max(s.config.maxLifetime, s.config.tokenTTL) }

func (s *server) setCookie(w http.ResponseWriter, value string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, Secure: s.config.tls, SameSite: http.SameSiteStrictMode,
	})
}
