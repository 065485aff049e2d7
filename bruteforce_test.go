package wsguard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// R46, R61: who guesses is slowed down, and nobody else.
func TestLimitAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := wsguard.Chain(wsguard.LimitAttempts(wsguard.AttemptLimit{Rate: 1, Burst: 20, Key: wsguard.PerIP, FailureCost: 10}),
			wsguard.Authenticate(known, wsguard.FromAuthorization()))(whoami)
		try := func(addr, token string) int {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.RemoteAddr = addr
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		for _, row := range []struct {
			name, addr, token string
			after             time.Duration
			status            int
		}{
			{"a guess", "192.0.2.1:1", "bad", 0, 401},
			{"a second one", "192.0.2.1:2", "bad", 0, 401},
			{"a third one", "192.0.2.1:3", "bad", 0, 429},
			{"a good one from there", "192.0.2.1:4", "good", 0, 429},
			{"from elsewhere", "192.0.2.2:1", "good", 0, 200},
			{"a second later", "192.0.2.1:5", "bad", time.Second, 401},
			{"which is owed", "192.0.2.1:6", "good", 9 * time.Second, 429},
			{"and paid", "192.0.2.1:7", "good", time.Second, 200},
		} {
			<-time.After(row.after)
			if got := try(row.addr, row.token); got != row.status {
				t.Errorf("%s: status %d, want %d", row.name, got, row.status)
			}
		}
		for range 20 { // an honest client counts once each time
			if got := try("192.0.2.3:1", "good"); got != 200 {
				t.Fatalf("an honest client: status %d", got)
			}
		}
	})
	wantPanic(t, "FailureCost", func() {
		wsguard.LimitAttempts(wsguard.AttemptLimit{Rate: 1, Burst: 5, Key: wsguard.PerIP, FailureCost: 6})
	})
	wantPanic(t, "rate", func() { wsguard.LimitAttempts(wsguard.AttemptLimit{Key: wsguard.PerIP}) })
}

func ExampleLimitAttempts() {
	guard := wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.LimitAttempts(wsguard.AttemptLimit{Rate: 5, Burst: 50, Key: wsguard.PerIP}), // ten guesses at once
		wsguard.Authenticate(known, wsguard.FromAuthorization()),
	)
	http.Handle("GET /attempts", guard(wsguard.Handler(echo)))
}
