package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// A server is the chat: its users, its rooms and its endpoints.
type server struct {
	config    config
	base      string // its own origin
	issuer    *issuer
	sessions  *sessions
	hub       *hub
	observer  *wsguard.Observer
	ticketing *wsguard.Observer // of POST /ticket
	registry  *wsguard.Registry
	tickets   *wsguard.Tickets

	access, sessionTokens bySession // verify the two kinds of token
}

// newServer makes the chat that is reached at base, such as
// "http://127.0.0.1:8080".
func newServer(c config, base string, log *slog.Logger) (*server, error) {
	s := &server{config: c, base: base, hub: newHub(), sessions: newSessions(),
		observer: wsguard.NewObserver("chat", log), ticketing: wsguard.NewObserver("tickets", log)}
	var err error
	if s.issuer, err = newIssuer(base); err != nil {
		return nil, err
	}
	for k, to := range map[kind]*bySession{accessToken: &s.access, sessionToken: &s.sessionTokens} {
		verifier, err := s.issuer.verifier(k)
		if err != nil {
			return nil, err
		}
		*to = bySession{verifier, s.sessions}
	}
	// What a session gives out opens connections for this long, and a second to
	// which expiries are rounded up.
	s.registry = &wsguard.Registry{TokenLife: c.tokenTTL + 2*time.Second}
	s.tickets, err = s.newTickets(wsguard.NewMemoryTickets(maxSessions))
	return s, err
}

func (s *server) newTickets(store wsguard.TicketStore) (*wsguard.Tickets, error) {
	origins, err := s.allowedOrigins()
	if err != nil {
		return nil, err
	}
	return wsguard.NewTickets(store, wsguard.TicketOptions{
		Path: "/ws", Origins: origins, TTL: s.config.ticketTTL, InsecurePlaintext: !s.config.tls,
		InsecureAllowMissingOrigin: true, // for clients with an access token; a browser says its origin
	}), nil
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
	account := s.limitRequests(origins)
	for path, h := range map[string]http.HandlerFunc{
		"/login": s.login, "/session": s.renew, "/logout": s.logout, "/logout/elsewhere": s.logoutElsewhere,
	} {
		mux.Handle("POST "+path, account(crossOrigin.Handler(h)))
	}
	mux.Handle("POST /ticket", wsguard.Observe(s.ticketing)(account(crossOrigin.Handler(s.tickets.Issue(s.ticketFor)))))
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
type clientMessage struct{ Type, Room, Text, Token string }

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
		case "reauthenticate":
			if err := c.Reauthenticate(ctx, msg.Token); err != nil {
				return err
			}
			s.hub.tell(me, serverMessage{Type: "reauthenticated"})
		}
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_ = json.NewEncoder(w).Encode(v)
}
