// Minimal is the smallest guarded endpoint: an echo that only its own page may
// open, with limits on connections, messages and time.
//
//	go run -C examples ./minimal
//
// It has no users and no TLS, so it listens on the loopback address alone. Add
// RequireTLS and Authenticate before anything else gets to see it.
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/wsguard/wsguard"
)

func main() {
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           newHandler("http://localhost:8080", "http://127.0.0.1:8080"),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func newHandler(origins ...string) http.Handler {
	guard := wsguard.Chain(
		wsguard.Observe(wsguard.NewObserver("echo", slog.Default())),
		wsguard.AllowOrigins(origins...),
		wsguard.LimitConns(50, wsguard.PerIP),
		wsguard.LimitHandshakes(5, 20, wsguard.PerIP),
		wsguard.MaxMessageSize(4<<10),
		wsguard.LimitMessages(10, 20, wsguard.PerConn),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
		wsguard.IdleTimeout(5*time.Minute),
	)
	mux := http.NewServeMux()
	mux.Handle("GET /ws", guard(wsguard.Handler(serve)))
	return mux
}

// serve sends back what it gets, which has passed all rules.
func serve(ctx context.Context, c *wsguard.Conn) error {
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
