// Package sample thins out what would flood a log, and counts what it left out.
package sample

import (
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// Sampler lets a burst pass, then one in an interval. It is made by [New] and
// safe for concurrent use.
type Sampler struct {
	limit      *rate.Limiter
	suppressed atomic.Int64
}

// New returns a Sampler that lets the first burst pass and then one every
// interval; an interval without any earns one of the burst back.
func New(burst int, interval time.Duration) *Sampler {
	return &Sampler{limit: rate.NewLimiter(rate.Every(interval), burst)}
}

// Take reports whether the next one passes, and if so, how many have been
// suppressed since the last that did. It does not allocate.
func (s *Sampler) Take() (suppressed int64, ok bool) {
	if !s.limit.Allow() {
		s.suppressed.Add(1)
		return 0, false
	}
	return s.suppressed.Swap(0), true
}
