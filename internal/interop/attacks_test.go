package interop

import (
	"net/http"
	"strings"
	"testing"

	"github.com/wsguard/wsguard"
)

// R41 to R49: every attack on every library is stopped inside a chain, in
// bounded time: the client is told why where it can be, observers are told
// once, and nothing is left behind.
func TestAttacks(t *testing.T) {
	for i := range attacks {
		at := &attacks[i]
		t.Run(at.name, func(t *testing.T) {
			t.Parallel()
			eachStack(t, noRouter, func(t *testing.T, s stack) {
				window := patience
				if at.slows {
					window = at.window
				}
				o, srv := at.perform(t, s, true, window)
				t.Log(o)
				if o.status != http.StatusSwitchingProtocols || o.garbled != nil {
					t.Fatalf("status %d, %v", o.status, o.garbled)
				}
				if at.slows {
					wantSlowed(t, srv, o)
				} else {
					wantStopped(t, srv, o)
					// What the invalid fragment waits for before it goes on.
					if o.lasted >= window/2 {
						t.Errorf("stopped only after %v", o.lasted)
					}
				}
				srv.wantSlots(1)
			})
		})
	}
}

func wantSlowed(t *testing.T, srv *server, o outcome) {
	t.Helper()
	if !o.slowed() {
		t.Errorf("%d bytes read in %v, which is beyond the rate", o.read, o.lasted)
	}
	if o.seen == 0 || o.answers == 0 {
		t.Error("no message came through: this test shows nothing")
	}
	if e := get(t, srv.closed); e.Refusal != nil {
		t.Errorf("refused for %q", e.Refusal.Reason)
	}
}

func wantStopped(t *testing.T, srv *server, o outcome) {
	t.Helper()
	if !o.stopped() || !o.left {
		t.Fatalf("not stopped; the handler has ended: %v", o.left)
	}
	e := get(t, srv.closed)
	if e.Initiator != wsguard.InitiatorServer {
		t.Errorf("ended by the %s, want the server", e.Initiator)
	}
	told := o.code == o.attack.code && o.reason == o.attack.reason
	bye := o.closing && o.code == byeCode && (o.reason == "" || o.reason == o.attack.reason)
	if !told && !bye {
		t.Errorf("close code %d for %q, want %d for %q", o.code, o.reason, o.attack.code, o.attack.reason)
	}
	if o.reason == "" {
		return
	}
	stats := srv.obs.Stats().Refusals
	if s := stats[o.reason]; len(stats) != 1 || s.Closes != 1 {
		t.Errorf("observers were told %+v, want one end for %s", stats, o.reason)
	}
	if e.Refusal == nil || e.Refusal.Reason != o.reason || len(srv.closed) != 0 {
		t.Errorf("the connection ended for %v, and %d more times", e.Refusal, len(srv.closed))
	}
	switch o.reason {
	case "slow_message", "slow_reader": // what was not sent is no violation
		if n := len(srv.broken); n != 0 {
			t.Errorf("%d violations", n)
		}
	default:
		r := get(t, srv.broken).Refusal
		if r != e.Refusal || len(srv.broken) != 0 {
			t.Errorf("violation of %v, then %d more", r, len(srv.broken))
		}
		if r.Err == nil || !strings.Contains(r.Err.Error(), o.why) {
			t.Errorf("refused because of %v, want something about %q", r.Err, o.why)
		}
	}
}
