package interop

import (
	"io"
	"net/http"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimw "github.com/go-chi/chi/v5/middleware"
	"github.com/labstack/echo/v4"
)

// A mount puts a chain and an upgrade handler under a router, at /ws. In some
// the router stands outside the chain, in others inside, where it wraps the
// chain's writer before the library sees it.
type mount struct {
	name string
	make func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler
}

var mounts = []mount{
	{"nethttp", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/ws", guard(h))
		return behindPlainWriter(mux)
	}},
	{"guard-nethttp", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		mux := http.NewServeMux()
		mux.Handle("/ws", h)
		return guard(mux)
	}},
	{"chi", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		r := newChi()
		r.With(guard).Handle("/ws", h)
		return r
	}},
	{"guard-chi", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		r := newChi()
		r.Handle("/ws", h)
		return guard(r)
	}},
	{"echo", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		e := newEcho()
		e.Any("/ws", echo.WrapHandler(guard(h)))
		return e
	}},
	{"echo-guard-echo", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		e := newEcho()
		e.Any("/ws", func(c echo.Context) error {
			h.ServeHTTP(c.Response(), c.Request())
			return nil
		}, echo.WrapMiddleware(guard))
		return e
	}},
	{"guard-echo", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		e := newEcho()
		e.Any("/ws", echo.WrapHandler(h))
		return guard(e)
	}},
	{"gin", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		g := newGin()
		g.Any("/ws", gin.WrapH(guard(h)))
		return g
	}},
	{"guard-gin", func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
		g := newGin()
		g.Any("/ws", gin.WrapH(h))
		return guard(g)
	}},
}

// newChi returns a router whose logger wraps the response writer.
func newChi() *chi.Mux {
	r := chi.NewRouter()
	r.Use(chimw.RequestLogger(quiet{}))
	return r
}

// quiet is a logger for chi that says nothing.
type quiet struct{}

func (quiet) NewLogEntry(*http.Request) chimw.LogEntry        { return quiet{} }
func (quiet) Write(int, int, http.Header, time.Duration, any) {}
func (quiet) Panic(any, []byte)                               {}

func newEcho() *echo.Echo {
	e := echo.New()
	e.Logger.SetOutput(io.Discard)
	return e
}

func init() { gin.SetMode(gin.ReleaseMode) }

func newGin() *gin.Engine { return gin.New() }

// plainWriter is a middleware's writer that knows Unwrap and nothing else.
type plainWriter struct{ w http.ResponseWriter }

func (p plainWriter) Header() http.Header         { return p.w.Header() }
func (p plainWriter) WriteHeader(status int)      { p.w.WriteHeader(status) }
func (p plainWriter) Write(b []byte) (int, error) { return p.w.Write(b) }
func (p plainWriter) Unwrap() http.ResponseWriter { return p.w }

func behindPlainWriter(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(plainWriter{w}, r) })
}
