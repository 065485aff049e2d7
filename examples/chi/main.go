// Chi guards an endpoint under github.com/go-chi/chi: the safeguards are
// ordinary middleware, and a route parameter is handed to the connection.
//
//	go run -C examples ./chi
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/wsguard/wsguard"
)

func main() {
	token := rand.Text()
	fmt.Println("alice's token, for an hour:", token)
	alice := wsguard.Principal{Subject: "alice", Expires: time.Now().Add(time.Hour)}
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           newHandler("http://localhost:8080", sessions{token: alice}),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

// sessions is a Verifier of one's own: whose token it is, and until when. A
// real one asks the session store of the application.
type sessions map[string]wsguard.Principal

func (s sessions) Verify(_ context.Context, token string) (wsguard.Principal, error) {
	p, ok := s[token]
	if !ok {
		return wsguard.Principal{}, errors.New("no such session")
	}
	return p, nil
}

func newHandler(origin string, verifier wsguard.Verifier) http.Handler {
	r := chi.NewRouter()
	r.Use(middleware.Recoverer)
	r.Route("/rooms/{room}", func(r chi.Router) {
		r.Use(
			wsguard.Observe(wsguard.NewObserver("rooms", slog.Default())),
			wsguard.AllowOrigins(origin),
			wsguard.LimitConns(50, wsguard.PerIP),
			wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer")),
			wsguard.LimitConns(5, wsguard.PerUser),
			wsguard.LimitMessages(10, 20, wsguard.PerConn),
			wsguard.KeepAlive(30*time.Second, 10*time.Second),
		)
		r.Method(http.MethodGet, "/ws", wsguard.Upgrader{
			Subprotocols: []string{"rooms.v1"},
			Context:      withRoom,
		}.Handler(serve))
	})
	return r
}

type roomKey struct{}

// withRoom keeps the parameter. chi reuses its own context for another request
// as soon as the handler has returned, so that it must not be asked later.
func withRoom(r *http.Request) context.Context {
	return context.WithValue(context.Background(), roomKey{}, chi.URLParam(r, "room"))
}

func serve(ctx context.Context, c *wsguard.Conn) error {
	greeting := fmt.Sprintf("%s is in %v", c.Principal().Subject, ctx.Value(roomKey{}))
	if err := c.Write(ctx, websocket.MessageText, []byte(greeting)); err != nil {
		return err
	}
	for {
		typ, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, data); err != nil {
			return err
		}
	}
}
