package wsguardtest_test

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// A server that has stopped answering, as that of a busy machine seems to, is
// not judged: neither for what it has not refused, nor for what it has not let in.
func TestSlow(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup // they all wait, and more of them at once than there are processors
	defer wg.Wait()
	for _, row := range []struct {
		attack string
		after  int32 // the handshakes that are answered: the first is the good client's, before all attacks
	}{
		{"transport/version-8", 1},
		{"origin/foreign", 1},
		{"auth/garbage", 1},
		{"tickets/guessed", 1},
		{"limits/slot-race", 2},
		{"limits/handshake-flood", 3},
		{"limits/message-flood", 2},
		{"limits/message-too-big", 2},
		{"wire/early-flood", 1},
		{"wire/reserved-bit-1", 2},
		{"wire/ping-flood", 2},
		{"wire/deflate-bomb", 2},
		{"wire/close-code-999", 2},
		{"time/half-open", 2},
		{"time/reader-that-stops", 2},
		{"lifecycle/close-handshake", 2},
		{"lifecycle/reset-storm", 2},
		{"lifecycle/logout", 2},
		{"leaks/refused-token", 1},
		{"leaks/internals", 1},
		{"leaks/token-in-log", 1},
		{"leaks/log-injection", 1},
	} {
		wg.Go(func() {
			s := newSloppy(t)
			serve := s.handler()
			var handshakes atomic.Int32
			p := s.profile()
			p.Only, p.Patience, p.Flood = []string{row.attack}, 500*time.Millisecond, 50*time.Millisecond
			report, err := wsguardtest.Run(t.Context(), wsguardtest.Target{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if handshakes.Add(1) > row.after {
					<-r.Context().Done()
					return
				}
				serve.ServeHTTP(w, r)
			})}, p, nil)
			if err != nil || report.Baseline != "" {
				t.Error(row.attack, err, report.Baseline)
			}
			for _, r := range report.Results {
				if r.Verdict != wsguardtest.NotJudged {
					t.Errorf("%s is %s: %s", r.Name, r.Verdict, r.Seen)
				}
			}
		})
	}
}
