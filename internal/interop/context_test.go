package interop

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v4"

	"github.com/wsguard/wsguard"
)

// echoServe is the application of wsguard.Handler.
func echoServe(ctx context.Context, c *wsguard.Conn) error {
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, p); err != nil {
			return err
		}
	}
}

type roomKey struct{}

// rooms serves /room/{room}/ws under a router that hands the parameter over
// in the request's context, and at once a page at /page/{room} that takes the
// router's recycled state.
var rooms = []struct {
	name string
	make func(ws http.Handler) http.Handler
}{
	{"chi", func(ws http.Handler) http.Handler {
		r := newChi()
		r.Get("/room/{room}/ws", func(w http.ResponseWriter, r *http.Request) {
			ws.ServeHTTP(w, inRoom(r, chi.URLParam(r, "room")))
		})
		r.Get("/page/{room}", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, chi.URLParam(r, "room")) })
		return r
	}},
	{"echo", func(ws http.Handler) http.Handler {
		e := newEcho()
		e.GET("/room/:room/ws", func(c echo.Context) error {
			ws.ServeHTTP(c.Response(), inRoom(c.Request(), c.Param("room")))
			return nil
		})
		e.GET("/page/:room", func(c echo.Context) error { return c.String(http.StatusOK, c.Param("room")) })
		return e
	}},
	{"gin", func(ws http.Handler) http.Handler {
		g := newGin()
		g.GET("/room/:room/ws", func(c *gin.Context) { ws.ServeHTTP(c.Writer, inRoom(c.Request, c.Param("room"))) })
		g.GET("/page/:room", func(c *gin.Context) { c.String(http.StatusOK, c.Param("room")) })
		return g
	}},
}

func inRoom(r *http.Request, room string) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), roomKey{}, room))
}

// A connection keeps what Upgrader.Context took from its own request, and sees
// nothing else of it, while the router uses the request's state for others.
func TestContextsStayApart(t *testing.T) {
	for _, router := range rooms {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			serve := func(ctx context.Context, c *wsguard.Conn) error {
				for {
					typ, _, err := c.Read(ctx)
					if err != nil {
						return err
					}
					answer := fmt.Sprint(ctx.Value(roomKey{}))
					for _, k := range []any{http.ServerContextKey, http.LocalAddrContextKey, chi.RouteCtxKey, gin.ContextKey} {
						if v := ctx.Value(k); v != nil {
							answer = fmt.Sprintf("%v is %v", k, v)
						}
					}
					if err := c.Write(ctx, typ, []byte(answer)); err != nil {
						return err
					}
				}
			}
			u := wsguard.Upgrader{Context: func(r *http.Request) context.Context {
				return context.WithValue(context.Background(), roomKey{}, r.Context().Value(roomKey{}))
			}}
			srv := newServer(t)
			const users = 20
			guard := wsguard.Chain(srv.safeguards(false, limits{conns: users})...)
			srv.listen(false, router.make(guard(u.Handler(serve))))

			var clients []*client
			for i := range users {
				clients = append(clients, srv.connect(handshake{path: fmt.Sprintf("/room/of-%d/ws", i)}))
			}
			var pages sync.WaitGroup
			for range 4 { // others keep the router's pools moving
				pages.Go(func() {
					for i := range 50 {
						resp, err := http.Get("http://" + srv.addr + fmt.Sprintf("/page/%d", i))
						if err != nil {
							t.Errorf("page: %v", err)
							return
						}
						_ = resp.Body.Close()
					}
				})
			}
			for range 10 {
				for i, c := range clients {
					c.send(text("where am I?"))
					c.wantMessage(opText, fmt.Sprintf("of-%d", i))
				}
			}
			pages.Wait()
		})
	}
}

// Without Upgrader.Context nothing of the request reaches the connection.
func TestContextIsEmpty(t *testing.T) {
	for _, router := range rooms {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			guard := wsguard.Chain(srv.safeguards(false, limits{})...)
			srv.listen(false, router.make(guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
				return c.WriteJSON(ctx, ctx.Value(roomKey{}))
			}))))
			c := srv.connect(handshake{path: "/room/secret/ws"})
			c.wantMessage(opText, "null")
			c.wantClose(1000)
		})
	}
}
