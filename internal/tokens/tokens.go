// Package tokens is the arithmetic of a token bucket, and nothing else: no
// clock, so that whoever asks several buckets looks at the time once, and no
// lock. [golang.org/x/time/rate] has the same meaning; it is its price, most of
// what a limit costs a message, for which this is here.
package tokens

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// A Bucket holds burst tokens and gains rate a second. Times are nanoseconds
// since any moment, always the same one; a time before one that was seen counts
// as that one, because the time between the two would be granted twice. A Bucket
// is not safe for concurrent use.
type Bucket struct {
	rate  float64 // a second
	burst int
	have  float64 // at that time; below zero for what is owed
	at    int64
}

// New returns a full bucket. The limit must be finite and above zero.
func New(r rate.Limit, burst int) Bucket {
	return Bucket{rate: float64(r), burst: burst, have: float64(burst), at: math.MinInt64}
}

// Burst is how many tokens the bucket holds.
func (b *Bucket) Burst() int { return b.burst }

// Known is how many tokens there are at the least, without a look at the clock.
func (b *Bucket) Known() float64 { return b.have }

// Have is how many tokens there are.
func (b *Bucket) Have(now int64) float64 {
	if elapsed := now - b.at; now > b.at {
		b.at = now
		if elapsed < 0 { // beyond 292 years, or for the first time
			elapsed = math.MaxInt64
		}
		b.have = min(float64(b.burst), b.have+time.Duration(elapsed).Seconds()*b.rate)
	}
	return b.have
}

// Take takes n tokens, or none if there are too few. A negative n takes none.
// What is less than half a nanosecond away is there, or the last bit of a float would
// refuse whoever has waited for as long as Wait said; it is owed.
func (b *Bucket) Take(now int64, n int) bool {
	if n < 0 || n > b.burst || float64(n)-b.Have(now) > b.rate/2e9 {
		return false
	}
	b.have -= float64(n)
	return true
}

// Owe takes n tokens, at most burst, also those that are not there.
func (b *Bucket) Owe(now int64, n int) {
	b.Have(now)
	b.have -= float64(min(max(n, 0), b.burst))
}

// Wait is how long after now there will be n tokens, if nobody takes any: 0 is
// now, or never where n is more than the bucket holds.
func (b *Bucket) Wait(now int64, n int) time.Duration {
	missing := float64(n) - b.Have(now)
	if n > b.burst || missing <= b.rate/2e9 {
		return 0
	}
	wait := math.Ceil(missing / b.rate * float64(time.Second))
	if wait >= math.MaxInt64 {
		return math.MaxInt64
	}
	return time.Duration(wait)
}
