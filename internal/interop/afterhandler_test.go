package interop

import (
	"net/http"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// gws and gobwas go on in a goroutine of their own when the request's handler
// has returned, with the chain and the router around it. Slots and limits hold
// there as before. R31, R47
func TestAfterTheHandlerHasReturned(t *testing.T) {
	for _, tc := range []struct {
		name   string
		l      limits
		attack func(*client)
		code   uint16
		reason string
		soon   bool // the connection ends by itself
	}{
		{"a flood", limits{}, func(c *client) {
			for range 30 {
				c.send(frame(0x80|opPong, nil))
			}
		}, 1008, "frame_flood", false},
		{"a long message", limits{}, func(c *client) { c.send(header(0x80|opBinary, terabyte)) }, 1009, "message_too_big", false},
		{"a broken frame", limits{}, func(c *client) { c.send(frame(0x80|0x40|opText, nil)) }, 1002, "protocol_error", false},
		{"half a frame", limits{more: []func(http.Handler) http.Handler{wsguard.MessageTimeout(50*time.Millisecond, 4096)}},
			func(c *client) { c.send(text("hello")[:1]) }, 3008, "slow_message", false},
		{"silence", limits{idle: time.Second}, func(*client) {}, 3008, "idle", true},
		{"age", limits{lifetime: time.Second}, func(*client) {}, 3008, "lifetime_over", true},
		{"no pong", limits{ping: 500 * time.Millisecond, pong: time.Second}, func(c *client) { c.mute = true }, 3008, "no_pong", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				if s.library.name != "gws" && s.library.name != "gobwas" {
					return // their handlers return when the connection ends
				}
				returned := make(chan struct{}, 8)
				inner := s.mount.make
				s.mount.make = func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
					h = inner(guard, h)
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer func() { returned <- struct{}{} }()
						h.ServeHTTP(w, r)
					})
				}
				l := tc.l
				l.conns = 1
				srv := start(t, s, l)
				c := srv.connect(handshake{})
				get(t, returned)
				if !tc.soon {
					if n := srv.obs.Stats().Connections; n != 1 {
						t.Errorf("%d connections are counted, want 1", n)
					}
					if over := srv.open(handshake{}); over.resp.StatusCode != http.StatusTooManyRequests {
						t.Errorf("status %d while the only slot is taken, want 429", over.resp.StatusCode)
					}
				}
				tc.attack(c)
				c.wantClose(tc.code)
				srv.wantClosed(int(tc.code), wsguard.InitiatorServer, tc.reason)
				srv.wantSlots(1)
			})
		})
	}
}
