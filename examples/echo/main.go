// Echo guards an endpoint under github.com/labstack/echo. Only messages that
// satisfy a JSON Schema get to the application.
//
//	go run -C examples ./echo
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/labstack/echo/v5/middleware"

	"github.com/wsguard/wsguard"
)

func main() {
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           newHandler("http://localhost:8080"),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

var order = wsguard.MustCompileSchema(`{
	"type": "object",
	"required": ["item", "count"],
	"additionalProperties": false,
	"properties": {
		"item":  {"type": "string", "pattern": "^[a-z-]{1,40}$"},
		"count": {"type": "integer", "minimum": 1, "maximum": 100}
	}
}`)

func newHandler(origin string) http.Handler {
	guard := wsguard.Chain(
		wsguard.Observe(wsguard.NewObserver("orders", slog.Default())),
		wsguard.AllowOrigins(origin),
		wsguard.LimitConns(50, wsguard.PerIP),
		wsguard.LimitMessages(10, 20, wsguard.PerConn),
		wsguard.ValidateMessages(order),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
	)
	e := echo.New()
	e.Use(middleware.Recover())
	// The whole chain is one handler, so that the order of the safeguards is
	// checked when it is built. echo.WrapMiddleware hides one from the other.
	e.GET("/ws", echo.WrapHandler(guard(wsguard.Handler(serve))))
	return e
}

// serve can trust the form of what it reads, and nothing else about it.
func serve(ctx context.Context, c *wsguard.Conn) error {
	for {
		var o struct {
			Item  string
			Count int
		}
		if err := c.ReadJSON(ctx, &o); err != nil {
			return err
		}
		if err := c.WriteJSON(ctx, map[string]any{"ordered": o.Item, "count": o.Count}); err != nil {
			return err
		}
	}
}
