// Gorilla puts the safeguards of the handshake, of framing and of time in
// front of github.com/gorilla/websocket, whose handler stays as it was.
//
//	go run -C examples ./gorilla
//
// What looks into messages (LimitMessages, LimitBytes, ValidateMessages,
// SanitizeMessages, CheckMessages) needs wsguard.Handler or wsguard.Accept in
// the place of gorilla's upgrade. A chain that has one of these in front of
// another library refuses every handshake with 500.
package main

import (
	"log"
	"log/slog"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/wsguard/wsguard"
)

func main() {
	server := &http.Server{
		Addr:              "127.0.0.1:8080",
		Handler:           guard("http://localhost:8080")(http.HandlerFunc(echo)),
		ReadHeaderTimeout: 5 * time.Second,
	}
	log.Fatal(server.ListenAndServe())
}

func guard(origin string) func(http.Handler) http.Handler {
	return wsguard.Chain(
		wsguard.Observe(wsguard.NewObserver("echo", slog.Default())),
		wsguard.AllowOrigins(origin),
		wsguard.LimitConns(50, wsguard.PerIP),
		wsguard.LimitHandshakes(5, 20, wsguard.PerIP),
		wsguard.MaxMessageSize(4<<10),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
		wsguard.IdleTimeout(5*time.Minute),
		wsguard.MaxLifetime(8*time.Hour),
	)
}

// AllowOrigins has judged the origin. Gorilla's own check compares it with the
// Host header, which proves nothing.
var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

func echo(w http.ResponseWriter, r *http.Request) {
	c, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // the client has its answer
	}
	defer c.Close()
	for {
		typ, data, err := c.ReadMessage()
		if err != nil {
			return
		}
		if err := c.WriteMessage(typ, data); err != nil {
			return
		}
	}
}
