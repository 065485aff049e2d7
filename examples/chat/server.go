package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// A server is the chat: its users, its rooms and its endpoints.
type server struct {
	config   config
	base     string // its own origin
	issuer   *issuer
	access   *wsguard.JWT
	sessions *wsguard.JWT
	hub      *hub
	observer *wsguard.Observer
	sockets  sync.WaitGroup
}

// newServer makes the chat that is reached at base, such as
// "http://127.0.0.1:8080".
func newServer(c config, base string, log *slog.Logger) (*server, error) {
	s := &server{config: c, base: base, hub: newHub()}
	var err error
	if s.issuer, err = newIssuer(base); err != nil {
		return nil, err
	}
	if s.access, err = s.issuer.verifier(accessToken); err != nil {
		return nil, err
	}
	if s.sessions, err = s.issuer.verifier(sessionToken); err != nil {
		return nil, err
	}
	s.observer = wsguard.NewObserver("chat", log, wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
			if e.Refusal == nil {
				s.sockets.Add(1)
			}
		},
		ConnClosed: func(context.Context, wsguard.CloseEvent) { s.sockets.Done() },
	})
	return s, nil
}

// handler returns all endpoints. /ws takes every method, so that whatever is
// refused there is refused by the guard, and seen by its observer.
func (s *server) handler() (http.Handler, error) {
	guard, err := s.guard()
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	servePage(mux)
	crossOrigin := http.NewCrossOriginProtection()
	origins, err := s.origins()
	if err != nil {
		return nil, err
	}
	for _, o := range origins {
		_ = crossOrigin.AddTrustedOrigin(o) // it knows fewer schemes than the guard
	}
	mux.Handle("POST /login", crossOrigin.Handler(http.HandlerFunc(s.login)))
	mux.Handle("POST /session", crossOrigin.Handler(http.HandlerFunc(s.renew)))
	mux.Handle("DELETE /session", crossOrigin.Handler(http.HandlerFunc(s.logout)))
	mux.HandleFunc("GET /.well-known/jwks.json", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, json.RawMessage(s.issuer.jwks))
	})
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, s.observer.Stats())
	})
	mux.Handle("/ws", guard(wsguard.Upgrader{
		Subprotocols: []string{"chat.v1"},
		// A burst of everybody's in a large room is no slow reader yet.
		QueueMessages: 1024,
	}.Handler(s.serve)))
	return mux, nil
}

// A clientMessage is any of messages.
type clientMessage struct{ Type, Room, Text string }

// serve is the chat's side of one connection.
func (s *server) serve(ctx context.Context, c *wsguard.Conn) error {
	me := s.hub.enter(c, c.Principal().Subject)
	if me == nil {
		return c.Close(websocket.StatusGoingAway, "server shutting down")
	}
	defer s.hub.exit(me)
	for {
		var msg clientMessage
		if err := c.ReadJSON(ctx, &msg); err != nil {
			return err
		}
		switch msg.Type {
		case "join":
			s.hub.join(me, msg.Room)
		case "say":
			s.hub.say(me, msg.Room, msg.Text)
		case "leave":
			s.hub.leave(me, msg.Room)
		}
	}
}

// sessionCookie keeps a browser logged in. No page can read it, none of
// another site sends it, and it opens no connection: it is good only for a new
// token, and only from a page of this origin.
const sessionCookie = "session"

// userName allows nothing that would need escaping anywhere.
var userName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,32}$`)

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
	session, err := s.issuer.issue(sessionToken, names[0], s.sessionTTL())
	if err != nil {
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	s.setCookie(w, session, int(s.sessionTTL().Seconds()))
	s.answerToken(w, names[0], "")
}

// renew gives a new token to whoever has a session.
func (s *server) renew(w http.ResponseWriter, r *http.Request) {
	cookies := r.CookiesNamed(sessionCookie)
	if len(cookies) == 1 {
		if p, err := s.sessions.Verify(r.Context(), cookies[0].Value); err == nil {
			s.answerToken(w, p.Subject, p.Subject)
			return
		}
	}
	http.Error(w, "not logged in", http.StatusUnauthorized)
}

func (s *server) logout(w http.ResponseWriter, _ *http.Request) {
	s.setCookie(w, "", -1)
	w.WriteHeader(http.StatusNoContent)
}

// answerToken gives a user a token. A page that has only its cookie is told
// whose it is.
func (s *server) answerToken(w http.ResponseWriter, user, tell string) {
	token, err := s.issuer.issue(accessToken, user, s.config.tokenTTL)
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

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v)
}
