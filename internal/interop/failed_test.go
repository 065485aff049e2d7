package interop

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gin-gonic/gin"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
	echomw "github.com/labstack/echo/v4/middleware"

	"github.com/wsguard/wsguard"
)

// A handshake that passes the chain and that the library then refuses: some
// answer through the writer, some hijack first and write the answer
// themselves, one leaves the socket open after it. The slot returns. R31
func TestUpgradeThatTheLibraryRefuses(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1})
		request := bytes.Replace(handshake{}.bytes(srv.addr), []byte("Version: 13"), []byte("Version: 12"), 1)
		if status := srv.openWith(request).resp.StatusCode; status < 400 || status > 499 {
			t.Errorf("status %d, want one of 400 to 499", status)
		}
		if get(t, srv.shaken).Refusal == nil { // the library has hijacked
			get(t, srv.closed)
		}
		srv.wantSlots(1)
	})
}

// Bytes that a proxy takes for the body of the request would be frames here.
func TestUpgradeWithABody(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1})
		c := srv.open(handshake{header: "Content-Length: 7\r\n", early: text("x")})
		if c.resp.StatusCode != http.StatusBadRequest {
			t.Fatalf("status %d, want 400", c.resp.StatusCode)
		}
		if got := c.body(); got != "Bad Request\n" {
			t.Errorf("body %q", got)
		}
		if r := get(t, srv.shaken).Refusal; r == nil || r.Reason != "bad_handshake" {
			t.Errorf("observer was told %v", r)
		}
	})
}

// hidden is a writer as http.TimeoutHandler has one: no Hijacker, no Unwrap.
type hidden struct{ w http.ResponseWriter }

func (h hidden) Header() http.Header         { return h.w.Header() }
func (h hidden) WriteHeader(status int)      { h.w.WriteHeader(status) }
func (h hidden) Write(b []byte) (int, error) { return h.w.Write(b) }

// failing has a Hijack that does not work.
type failing struct{ hidden }

func (failing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("this writer takes no hijack")
}

// A middleware outside hides the Hijacker, or has one that fails: the client
// never gets a 101, although the library has announced one and the router's
// writer promises a Hijack that it cannot keep. It gets a real 500, unless gin
// stands outside with a Hijack that fails, which spoils gin's own writer.
func TestNotHijackable(t *testing.T) {
	for _, tc := range []struct {
		name string
		wrap func(http.ResponseWriter) http.ResponseWriter
	}{
		{"hidden", func(w http.ResponseWriter) http.ResponseWriter { return hidden{w} }},
		{"failing", func(w http.ResponseWriter) http.ResponseWriter { return failing{hidden{w}} }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				inner := s.mount
				s.mount.make = func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
					h = inner.make(guard, h)
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(tc.wrap(w), r) })
				}
				srv := start(t, s, limits{conns: 1})
				for range 2 {
					c := srv.open(handshake{})
					spoiled := inner.name == "gin" && tc.name == "failing" && c.resp.StatusCode == http.StatusOK
					if c.resp.StatusCode != http.StatusInternalServerError && !spoiled {
						t.Fatalf("status %d, want 500", c.resp.StatusCode)
					}
					if got := c.body(); got != "Internal Server Error\n" {
						t.Errorf("body %q", got)
					}
					if r := get(t, srv.shaken).Refusal; r == nil || r.Reason != "not_hijackable" {
						t.Errorf("observer was told %v", r)
					}
				}
			})
		})
	}
}

// recoverers are mounts with a recovery middleware outside the chain.
var recoverers = []mount{
	{"chi", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		r := newChi()
		r.Use(chimw.Recoverer)
		r.With(guard).Handle("/ws", h)
		return r
	}},
	{"echo", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		e := newEcho()
		e.Use(echomw.Recover())
		e.Any("/ws", echo.WrapHandler(guard(h)))
		return e
	}},
	{"gin", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		g := newGin()
		g.Use(gin.RecoveryWithWriter(io.Discard))
		g.Any("/ws", gin.WrapH(guard(h)))
		return g
	}},
}

// R59: a panic on its way to a recovery middleware closes the connection with
// 1011, and what that middleware then answers reaches nobody.
func TestPanicThatIsRecoveredOutside(t *testing.T) {
	eachStack(t, recoverers, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1})
		for range 2 {
			srv.connect(handshake{query: "panic"}).wantClose(1011)
			srv.wantClosed(1011, wsguard.InitiatorServer, "internal_error")
		}
	})
}

// A panic before the upgrade is the recovery middleware's to answer.
func TestPanicBeforeTheUpgrade(t *testing.T) {
	for _, m := range recoverers {
		t.Run(m.name, func(t *testing.T) {
			h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(errors.New("a defect")) })
			srv := serve(t, stack{mount: m}, limits{conns: 1}, h)
			for range 2 {
				// chi's answers nothing to what asks for an upgrade, which makes a 200.
				if status := srv.open(handshake{}).resp.StatusCode; status != http.StatusInternalServerError && m.name != "chi" {
					t.Errorf("status %d, want 500", status)
				}
				if r := get(t, srv.shaken).Refusal; r == nil || r.Reason != "internal_error" {
					t.Errorf("observer was told %v", r)
				}
			}
		})
	}
}
