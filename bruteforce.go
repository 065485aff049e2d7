package wsguard

import (
	"fmt"
	"net/http"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/limit"
)

// An AttemptLimit is [LimitHandshakes] with what it leaves out.
type AttemptLimit struct {
	// Rate is how many handshakes a second are allowed on average, and Burst
	// how many at once. Required.
	Rate  rate.Limit
	Burst int
	// Key is what is counted by; PerIP slows down the address that guesses, and
	// nobody else. Required.
	Key Key
	// FailureCost is as how many handshakes one counts whose authentication
	// fails (which is refused with 401), at most Burst. Default: the tenth of
	// Burst, and at least 1.
	FailureCost int
}

// LimitAttempts is [LimitHandshakes], where one that is refused with 401 counts
// as several: guessing is slowed down long before honest reconnecting is. What a
// failure costs is owed, also beyond what the key had left, so that handshakes
// which fail at the same time do not cost less. It does not count what is
// refused outside of it: put it before Authenticate. (R46, R61)
func LimitAttempts(l AttemptLimit) func(http.Handler) http.Handler {
	name := fmt.Sprintf("LimitAttempts(%s)", l.Key.name)
	l.Key.handshakeKey("LimitAttempts")
	mustRate("LimitAttempts", l.Rate, l.Burst)
	setDefault(&l.FailureCost, max(1, l.Burst/10))
	if l.FailureCost < 1 || l.FailureCost > l.Burst {
		panic(fmt.Sprintf("wsguard: LimitAttempts: a FailureCost of %d is not from 1 to the Burst of %d: leave it out for a tenth", l.FailureCost, l.Burst))
	}
	tables := newTables(l.Rate, l.Burst)
	return safeguard(rule{name: name, needs: l.Key.needs, follows: l.Key.follows}, func(s *session, r *http.Request) *Refusal {
		keys, err := l.Key.of(s, r)
		if err != nil {
			return keyRefusal(name, err)
		}
		if refusal := takeHandshake(name, tables, keys); refusal != nil {
			return refusal
		}
		s.refused = append(s.refused, func(refusal *Refusal) {
			if refusal.Status == http.StatusUnauthorized {
				owe(tables, keys, l.FailureCost-1)
			}
		})
		return nil
	})
}

func owe(tables []*limit.Buckets, keys []limit.Key, n int) {
	for i, k := range keys {
		tables[i].Owe(k, n)
	}
}
