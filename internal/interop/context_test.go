package interop

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	coder "github.com/coder/websocket"
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

// rooms serve what has the route parameter "room": a WebSocket at
// /room/{room}/ws and a page at /page/{room}. The request's context leads to
// the router's own state, where roomOf finds the parameter. Routers recycle
// that state for other requests when a handler has returned.
var rooms = []struct {
	name   string
	make   func(ws, page http.Handler) http.Handler
	roomOf func(context.Context) string
}{
	{
		"chi",
		func(ws, page http.Handler) http.Handler {
			r := newChi()
			r.Handle("/room/{room}/ws", ws)
			r.Handle("/page/{room}", page)
			return r
		},
		func(ctx context.Context) string { return chi.URLParamFromCtx(ctx, "room") },
	},
	{
		"echo",
		func(ws, page http.Handler) http.Handler {
			e := newEcho()
			e.Use(func(next echo.HandlerFunc) echo.HandlerFunc {
				return func(c echo.Context) error {
					c.SetRequest(withState(c.Request(), c))
					return next(c)
				}
			})
			e.GET("/room/:room/ws", echo.WrapHandler(ws))
			e.GET("/page/:room", echo.WrapHandler(page))
			return e
		},
		func(ctx context.Context) string {
			if c, ok := ctx.Value(stateKey{}).(echo.Context); ok {
				return c.Param("room")
			}
			return ""
		},
	},
	{
		"gin",
		func(ws, page http.Handler) http.Handler {
			g := newGin()
			g.Use(func(c *gin.Context) { c.Request = withState(c.Request, c) })
			g.GET("/room/:room/ws", gin.WrapH(ws))
			g.GET("/page/:room", gin.WrapH(page))
			return g
		},
		func(ctx context.Context) string {
			if c, ok := ctx.Value(stateKey{}).(*gin.Context); ok {
				return c.Param("room")
			}
			return ""
		},
	},
}

type (
	stateKey struct{} // a router's state, in the context of a request
	roomKey  struct{} // what Upgrader.Context took from it
)

func withState(r *http.Request, state any) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), stateKey{}, state))
}

// Under load, a connection keeps what Upgrader.Context took from its own
// request, and sees no request's values but these.
func TestNoValuesOfOtherRequests(t *testing.T) {
	const users, questions, readers = 200, 20, 100
	for _, router := range rooms {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			// Each answer is the room that was taken, and the one that is found.
			serve := func(ctx context.Context, c *wsguard.Conn) error {
				for {
					typ, _, err := c.Read(ctx)
					if err != nil {
						return err
					}
					taken, _ := ctx.Value(roomKey{}).(string)
					if err := c.Write(ctx, typ, []byte(taken+"|"+router.roomOf(ctx))); err != nil {
						return err
					}
				}
			}
			take := func(r *http.Request) context.Context {
				return context.WithValue(context.Background(), roomKey{}, router.roomOf(r.Context()))
			}
			takes, takesNothing := wsguard.Upgrader{Context: take}.Handler(serve), wsguard.Handler(serve)
			ws := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(router.roomOf(r.Context()), "shown-") {
					takes.ServeHTTP(w, r)
				} else {
					takesNothing.ServeHTTP(w, r)
				}
			})
			page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				runtime.Gosched() // let others have their state meanwhile
				fmt.Fprint(w, router.roomOf(r.Context()))
			})
			guard := wsguard.Chain(wsguard.AllowOrigins(home), wsguard.LimitConns(users, wsguard.Everyone))
			web := httptest.NewServer(router.make(guard(ws), page))
			defer web.Close()
			client := web.Client()
			client.Transport.(*http.Transport).MaxIdleConnsPerHost = readers
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()

			// Others keep the router's pool moving for as long as there are connections.
			var conns, pages sync.WaitGroup
			done := make(chan struct{})
			for i := range readers {
				pages.Go(func() {
					for n := 0; ; n++ {
						select {
						case <-done:
							return
						default:
						}
						room := fmt.Sprintf("page-%d-%d", i, n)
						if got, err := read(client, web.URL+"/page/"+room); err != nil || got != room {
							t.Errorf("page of %s: %q, %v", room, got, err)
							return
						}
					}
				})
			}
			for i := range users {
				conns.Go(func() {
					room := fmt.Sprintf("shown-%d", i)
					want := room + "|"
					if i%2 == 0 {
						room, want = fmt.Sprintf("hidden-%d", i), "|"
					}
					c, _, err := coder.Dial(ctx, web.URL+"/room/"+room+"/ws", &coder.DialOptions{
						HTTPClient: client, HTTPHeader: http.Header{"Origin": {home}},
					})
					if err != nil {
						t.Errorf("dial: %v", err)
						return
					}
					defer c.CloseNow()
					for range questions {
						if err := c.Write(ctx, coder.MessageText, []byte("where am I?")); err != nil {
							t.Errorf("write: %v", err)
							return
						}
						if _, got, err := c.Read(ctx); err != nil || string(got) != want {
							t.Errorf("the connection in %s sees %q, want %q (%v)", room, got, want, err)
							return
						}
					}
				})
			}
			conns.Wait()
			close(done)
			pages.Wait()
			client.CloseIdleConnections()
		})
	}
}

// read gets a page.
func read(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// Without Upgrader.Context nothing of the request reaches the connection.
func TestContextIsEmpty(t *testing.T) {
	for _, router := range rooms {
		t.Run(router.name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			guard := wsguard.Chain(srv.safeguards(false, limits{})...)
			srv.listen(false, router.make(guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
				for _, k := range []any{stateKey{}, http.ServerContextKey, http.LocalAddrContextKey, chi.RouteCtxKey, gin.ContextKey} {
					if v := ctx.Value(k); v != nil {
						return c.WriteJSON(ctx, fmt.Sprintf("%v is %T", k, v))
					}
				}
				return c.WriteJSON(ctx, "nothing")
			})), http.NotFoundHandler()))
			c := srv.connect(handshake{path: "/room/secret/ws"})
			c.wantMessage(opText, `"nothing"`)
			c.wantClose(1000)
		})
	}
}
