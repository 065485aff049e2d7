package interop

import (
	"bytes"
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// A peer declares a giant frame and drips it while the server closes. Some
// libraries wait for its end for ever; the connection still ends, and its slot
// returns. One size is beyond the limits of the libraries, the other within.
func TestDripWhileTheServerCloses(t *testing.T) {
	giants := map[string]uint64{"a terabyte": 1 << 40, "900 KiB": 900 << 10}
	for name, size := range giants {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tc := range []struct {
				name string
				l    limits
				drip func(*client) (quit func())
			}{
				{"the frame comes before the close", limits{}, func(c *client) func() {
					c.send(bytes.Join([][]byte{text("close"), header(0x80|opText, size), make([]byte, 40<<10)}, nil))
					return c.pester(3*time.Millisecond, []byte{'x'})
				}},
				{"the frame comes after the close", limits{}, func(c *client) func() {
					c.send(text("close"))
					c.untilClose(byeCode)
					c.send(header(0x80|opText, size))
					return c.pester(3*time.Millisecond, []byte{'x'})
				}},
				{"the server's close comes within the frame", limits{lifetime: 50 * time.Millisecond}, func(c *client) func() {
					c.send(header(0x80|opBinary, size))
					return c.pester(3*time.Millisecond, []byte{'x'})
				}},
				{"the peer sends as fast as it can", limits{lifetime: 50 * time.Millisecond}, func(c *client) func() {
					c.send(header(0x80|opBinary, size))
					return c.pester(time.Millisecond, make([]byte, 64<<10))
				}},
			} {
				t.Run(tc.name, func(t *testing.T) {
					t.Parallel()
					eachStack(t, noRouter, func(t *testing.T, s stack) {
						l := tc.l
						l.conns, l.message = 1, 1<<50
						srv := start(t, s, l)
						quit := tc.drip(srv.connect(handshake{}))
						defer quit()
						get(t, srv.closed)
						if srv.open(handshake{}).resp.StatusCode != http.StatusSwitchingProtocols {
							t.Error("the slot has not returned")
						}
						get(t, srv.shaken)
					})
				})
			}
		})
	}
}

// A peer reads nothing while the library sends: the limit on the connection's
// life still ends it, with a writer stuck in the socket.
func TestPeerThatDoesNotRead(t *testing.T) {
	eachStack(t, noRouter, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1, lifetime: 300 * time.Millisecond})
		c := srv.connect(handshake{})
		c.send(text("stream"))
		srv.wantClosed(3008, wsguard.InitiatorServer, "lifetime_over")
		if srv.open(handshake{}).resp.StatusCode != http.StatusSwitchingProtocols {
			t.Error("the slot has not returned")
		}
	})
}

// R59: a hook that panics at the handshake ends its connection with 1011,
// whether the library or the server writes the 101.
func TestHookPanicsAtTheHandshake(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1}, wsguard.Hooks{
			HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
				if e.Refusal == nil {
					panic("the hook has a defect")
				}
			},
		})
		for range 2 {
			srv.connect(handshake{}).wantClose(1011)
			srv.wantClosed(1011, wsguard.InitiatorServer, "internal_error")
		}
	})
}

// A recovery middleware inside the chain keeps a panic from it. What was
// hijacked then has no owner, and the limit on idleness ends it.
func TestPanicSwallowedInsideTheChain(t *testing.T) {
	eachStack(t, noRouter, func(t *testing.T, s stack) {
		s.mount = mount{make: func(guard func(http.Handler) http.Handler, h http.Handler) http.Handler {
			return guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer func() { _ = recover() }()
				h.ServeHTTP(w, r)
			}))
		}}
		srv := start(t, s, limits{conns: 1, idle: 50 * time.Millisecond})
		srv.connect(handshake{query: "panic"}).wantClose(3008)
		srv.wantClosed(3008, wsguard.InitiatorServer, "idle")
		srv.connect(handshake{})
	})
}
