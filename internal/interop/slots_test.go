package interop

import (
	"testing"

	"github.com/wsguard/wsguard"
)

// R31, R47: a slot is taken for as long as the socket is open, and given back
// exactly once, however it closes.
func TestSlots(t *testing.T) {
	for _, tc := range []struct {
		name  string
		query string
		end   func(*client)
		check func(*server, library)
	}{
		{"the peer closes", "", func(c *client) { c.send(closeFrame(1000)); c.wantClose(1000) },
			func(s *server, _ library) { s.wantClosed(1000, wsguard.InitiatorPeer, "") }},
		{"the peer is gone", "", func(c *client) { c.vanish(false) },
			func(s *server, _ library) { s.wantClosed(1006, wsguard.InitiatorNetwork, "") }},
		{"the peer resets", "", func(c *client) { c.vanish(true) },
			func(s *server, _ library) { s.wantClosed(1006, wsguard.InitiatorNetwork, "") }},
		{"the handler returns", "", func(c *client) { c.send(text("return")) },
			func(s *server, l library) {
				code := 1006 // it closes the socket
				if l.name == "melody" {
					code = 1005 // it sends an empty close frame
				}
				s.wantClosed(code, wsguard.InitiatorServer, "")
			}},
		{"the library closes", "", func(c *client) { c.send(text("close")); c.wantClose(byeCode) },
			func(s *server, _ library) { s.wantClosed(byeCode, wsguard.InitiatorServer, "") }},
		{"the handler panics", "panic", func(c *client) { c.wantClose(1011) },
			func(s *server, _ library) { s.wantClosed(1011, wsguard.InitiatorServer, "internal_error") }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				srv := start(t, s, limits{conns: 1})
				c := srv.connect(handshake{query: tc.query})
				if tc.query == "" {
					if over := srv.open(handshake{}); over.resp.StatusCode != 429 {
						t.Fatalf("status %d while the only slot is taken, want 429", over.resp.StatusCode)
					}
				}
				tc.end(c)
				tc.check(srv, s.library)
				srv.wantSlots(1)
			})
		})
	}
}
