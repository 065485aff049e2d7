package interop

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/wsguard/wsguard"
)

// eachMount runs a handler that is no upgrade handler, under each mount.
func eachMount(t *testing.T, h http.Handler, f func(*testing.T, *server)) {
	for _, m := range mounts {
		for _, secure := range []bool{false, true} {
			s := stack{library{"http", nil}, m, secure}
			t.Run(s.name(), func(t *testing.T) {
				t.Parallel()
				f(t, serve(t, s, limits{}, h))
			})
		}
	}
}

// What is no upgrade gets an ordinary response through the chain.
func TestOrdinaryResponse(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Test", "kept")
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprintf(w, "%s %s", r.Method, r.URL.RawQuery)
	})
	eachMount(t, h, func(t *testing.T, srv *server) {
		c := srv.open(handshake{plain: true, query: "a=b", header: "Connection: close\r\n"})
		if c.resp.StatusCode != http.StatusTeapot || c.resp.Header.Get("X-Test") != "kept" || c.body() != "GET a=b" {
			t.Errorf("%v", c.resp)
		}
	})
}

// A handler that streams reaches the client at each flush, not at its end.
func TestFlush(t *testing.T) {
	for name, flush := range map[string]func(http.ResponseWriter) error{
		"Flusher":            func(w http.ResponseWriter) error { w.(http.Flusher).Flush(); return nil },
		"ResponseController": func(w http.ResponseWriter) error { return http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			for _, m := range mounts {
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					seen := make(chan struct{})
					h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						fmt.Fprintln(w, "first")
						if err := flush(w); err != nil {
							t.Errorf("flush: %v", err)
						}
						select {
						case <-seen:
						case <-time.After(patience):
							t.Error("the first line has not been seen")
						}
						fmt.Fprintln(w, "second")
					})
					srv := serve(t, stack{library{"http", nil}, m, false}, limits{}, h)
					c := srv.open(handshake{plain: true, header: "Connection: close\r\n"})
					lines := bufio.NewReader(c.resp.Body)
					first, _ := lines.ReadString('\n')
					close(seen)
					second, _ := lines.ReadString('\n')
					if first != "first\n" || second != "second\n" {
						t.Errorf("%q, %q", first, second)
					}
				})
			}
		})
	}
}

// http.ResponseController finds what the server can do behind the chain.
func TestResponseController(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		for name, err := range map[string]error{
			"SetReadDeadline":  c.SetReadDeadline(time.Now().Add(patience)),
			"SetWriteDeadline": c.SetWriteDeadline(time.Now().Add(patience)),
			"EnableFullDuplex": c.EnableFullDuplex(),
		} {
			if err != nil {
				fmt.Fprintf(w, "%s: %v\n", name, err)
			}
		}
	})
	eachMount(t, h, func(t *testing.T, srv *server) {
		c := srv.open(handshake{plain: true, header: "Connection: close\r\n"})
		if got := c.body(); c.resp.StatusCode != http.StatusOK || got != "" {
			t.Errorf("%d %q", c.resp.StatusCode, got)
		}
	})
}

// A refused request keeps no connection, also where the next request is
// already on the way.
func TestRefusalClosesTheConnection(t *testing.T) {
	eachMount(t, http.NotFoundHandler(), func(t *testing.T, srv *server) {
		c := srv.open(handshake{origin: foreign, early: handshake{}.bytes(srv.addr)})
		if c.resp.StatusCode != http.StatusForbidden || c.body() != "Forbidden\n" {
			t.Errorf("status %d", c.resp.StatusCode)
		}
	})
}

// gin's Stream asks its writer for a CloseNotifier, which the chain wraps.
func TestGinStreamInsideTheChain(t *testing.T) {
	inside := mount{"guard-gin", func(guard func(http.Handler) http.Handler, _ http.Handler) http.Handler {
		g := newGin()
		g.GET("/ws", func(c *gin.Context) {
			c.Stream(func(w io.Writer) bool {
				fmt.Fprint(w, "streamed")
				return false
			})
		})
		return guard(g)
	}}
	srv := serve(t, stack{library{"http", nil}, inside, false}, limits{}, nil)
	c := srv.open(handshake{plain: true, header: "Connection: close\r\n"})
	if got := c.body(); c.resp.StatusCode != http.StatusOK || got != "streamed" {
		t.Errorf("%d %q", c.resp.StatusCode, got)
	}
}

// A handler that announces 101 and then takes no connection, as a library
// does that fails in between, has neither upgraded nor answered.
func TestSwitchingWithoutHijack(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
	})
	eachMount(t, h, func(t *testing.T, srv *server) {
		c := srv.open(handshake{})
		if c.resp.StatusCode != http.StatusInternalServerError {
			t.Errorf("status %d, want 500", c.resp.StatusCode)
		}
		if r := get(t, srv.shaken).Refusal; r == nil || r.Reason != "upgrade_failed" {
			t.Errorf("observer was told %v", r)
		}
	})
}

// R51, R53: under wsguard.Handler what is no upgrade gets 426, another method
// 405, with the headers that say what to do.
func TestNotAnUpgrade(t *testing.T) {
	eachMount(t, wsguard.Handler(echoServe), func(t *testing.T, srv *server) {
		for _, tc := range []struct {
			name   string
			h      handshake
			status int
			header string
			want   string
		}{
			{"plain GET", handshake{plain: true}, 426, "Upgrade", "websocket"},
			{"POST", handshake{method: "POST", plain: true, header: "Content-Length: 0\r\n"}, 405, "Allow", "GET"},
			{"POST that asks for an upgrade", handshake{method: "POST", header: "Content-Length: 0\r\n"}, 405, "Allow", "GET"},
		} {
			c := srv.open(tc.h)
			if c.resp.StatusCode != tc.status || c.resp.Header.Get(tc.header) != tc.want {
				t.Errorf("%s: status %d, %s %q; want %d, %q", tc.name, c.resp.StatusCode, tc.header, c.resp.Header.Get(tc.header), tc.status, tc.want)
			}
			if got := c.body(); got != http.StatusText(tc.status)+"\n" {
				t.Errorf("%s: body %q", tc.name, got)
			}
		}
	})
}
