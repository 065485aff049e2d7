package interop

import (
	"context"
	"net/http"
	"testing"

	coder "github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

var messageRules = []struct {
	name string
	rule func(http.Handler) http.Handler
}{
	{"LimitMessages", wsguard.LimitMessages(10, 10, wsguard.PerConn)},
	{"ValidateMessages", wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type":"object"}`))},
	{"OutgoingMessages", wsguard.OutgoingMessages(wsguard.MustCompileSchema(`{"type":"object"}`))},
	{"LimitBytes", wsguard.LimitBytes(1<<20, 1<<20, wsguard.PerIP)},
	{"SanitizeMessages", wsguard.SanitizeMessages(wsguard.Sanitizer{})},
	{"CheckMessages", wsguard.CheckMessages("any", func(context.Context, *wsguard.Conn, coder.MessageType, []byte) error { return nil })},
}

// Rules that nobody would apply: the client gets a real 500 and never a 101,
// whoever wrote 101 to whatever writer, and the observer is told why. R45
func TestRulesUnclaimed(t *testing.T) {
	for _, tc := range messageRules {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				srv := start(t, s, limits{conns: 1, more: []func(http.Handler) http.Handler{tc.rule}})
				for range 2 { // the second shows that the first gave its slot back
					c := srv.open(handshake{early: text("hello")})
					if c.resp.StatusCode != http.StatusInternalServerError {
						t.Fatalf("status %d, want 500", c.resp.StatusCode)
					}
					for _, name := range []string{"Upgrade", "Sec-Websocket-Accept", "Sec-Websocket-Protocol", "Sec-Websocket-Extensions"} {
						if v, ok := c.resp.Header[name]; ok {
							t.Errorf("%s: %q in a refusal", name, v)
						}
					}
					if c.resp.ContentLength < 0 {
						t.Error("the response has no Content-Length")
					}
					if got := c.body(); got != "Internal Server Error\n" {
						t.Errorf("body %q", got)
					}
					r := get(t, srv.shaken).Refusal
					if r == nil || r.Reason != "rules_unclaimed" || r.Err == nil {
						t.Errorf("observer was told %v", r)
					}
				}
				if len(srv.shaken) != 0 {
					t.Errorf("the observer was told of %d more handshakes", len(srv.shaken))
				}
			})
		})
	}
}
