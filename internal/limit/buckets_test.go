package limit_test

import (
	"math"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/limit"
)

// R46
func TestCheckRate(t *testing.T) {
	tests := []struct {
		name  string
		r     rate.Limit
		burst int
		want  string // part of the error, "" for none
	}{
		{"ten a second", 10, 20, ""},
		{"one an hour", rate.Every(time.Hour), 1, ""},
		{"smallest", math.SmallestNonzeroFloat64, 1, ""},
		{"largest burst", 1, math.MaxInt, ""},
		{"rate zero", 0, 1, "rate.Limit(10)"},
		{"rate negative", -1, 1, "rate.Limit(10)"},
		{"rate NaN", rate.Limit(math.NaN()), 1, "rate.Limit(10)"},
		{"rate.Inf", rate.Inf, 1, "rate.Limit(10)"},
		{"no interval", rate.Every(0), 1, "rate.Limit(10)"},
		{"+Inf", rate.Limit(math.Inf(1)), 1, "rate.Limit(10)"},
		{"-Inf", rate.Limit(math.Inf(-1)), 1, "rate.Limit(10)"},
		{"burst zero", 10, 0, "at least 1"},
		{"burst negative", 10, -5, "at least 1"},
		{"smallest burst of all", 10, math.MinInt, "at least 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := limit.CheckRate(tt.r, tt.burst)
			if (err != nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("CheckRate = %v, want an error with %q", err, tt.want)
			}
			panicked := func() (p bool) {
				defer func() { p = recover() != nil }()
				limit.NewBuckets(tt.r, tt.burst, 1)
				return
			}()
			if panicked != (err != nil) {
				t.Errorf("NewBuckets panicked: %v, CheckRate = %v", panicked, err)
			}
		})
	}
}

// each runs f with both ways to take tokens: by key, and from a bucket that is
// held.
func each(t *testing.T, r rate.Limit, burst int, f func(t *testing.T, allow func(n int) (bool, time.Duration))) {
	t.Run("by key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := limit.NewBuckets(r, burst, 10)
			f(t, func(n int) (bool, time.Duration) { return b.Allow(limit.Everyone, n) })
		})
	})
	t.Run("held", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := limit.NewBuckets(r, burst, 10).Bucket(limit.Everyone)
			defer h.Release()
			f(t, func(n int) (bool, time.Duration) { return h.Allow(time.Now(), n) })
		})
	})
	t.Run("overflow", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			b := limit.NewBuckets(r, burst, 0)
			f(t, func(n int) (bool, time.Duration) { return b.Allow(limit.Everyone, n) })
		})
	})
}

// R46
func TestAllow(t *testing.T) {
	tests := []struct {
		name  string
		r     rate.Limit
		burst int
		take  int // first, which must be allowed
		n     int
		ok    bool
		retry time.Duration
	}{
		{"full bucket", 10, 20, 0, 20, true, 0},
		{"one token left", 10, 20, 19, 1, true, 0},
		{"none left", 10, 20, 20, 1, false, 100 * time.Millisecond},
		{"five missing", 10, 20, 18, 7, false, 500 * time.Millisecond},
		{"nothing taken from an empty bucket", 10, 20, 20, 0, true, 0},
		{"one an hour", rate.Every(time.Hour), 1, 1, 1, false, time.Hour},
		{"more than burst", 10, 20, 0, 21, false, 0},
		{"much more than burst", 10, 20, 0, math.MaxInt, false, 0},
		{"negative", 10, 20, 20, -1, false, 0},
		{"most negative", 10, 20, 20, math.MinInt, false, 0},
		{"longer than a duration can say", math.SmallestNonzeroFloat64, 1, 1, 1, false, math.MaxInt64},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			each(t, tt.r, tt.burst, func(t *testing.T, allow func(int) (bool, time.Duration)) {
				if ok, _ := allow(tt.take); !ok {
					t.Fatalf("Allow(%d) of a full bucket refused", tt.take)
				}
				ok, retry := allow(tt.n)
				if ok != tt.ok || retry != tt.retry {
					t.Errorf("Allow(%d) = %v, %v, want %v, %v", tt.n, ok, retry, tt.ok, tt.retry)
				}
				if ok, _ := allow(1); tt.n < 0 && ok {
					t.Error("a negative n has added tokens")
				}
			})
		})
	}
}

// R46
func TestRetryAfterIsLongEnough(t *testing.T) {
	for _, r := range []rate.Limit{rate.Every(time.Hour), 1.0 / 3, 0.7, 3, 10, 1e4 / 7.0, 1e9} {
		each(t, r, 50, func(t *testing.T, allow func(int) (bool, time.Duration)) {
			allow(50)
			for n := 1; n <= 50; n++ {
				ok, retry := allow(n)
				if ok || retry <= 0 {
					t.Fatalf("rate %v: Allow(%d) of an empty bucket = %v, %v", r, n, ok, retry)
				}
				<-time.After(retry)
				if ok, more := allow(n); !ok {
					t.Errorf("rate %v: refused %d tokens after %v, told to wait another %v", r, n, retry, more)
				}
			}
		})
	}
}

// TestRateHolds counts what a bucket with many callers lets through. R46, R60
func TestRateHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets(100, 10, 10)
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for g := range 50 {
			wg.Go(func() {
				h := b.Bucket(limit.Everyone)
				defer h.Release()
				for range 1000 {
					ok := false
					if g%2 == 0 {
						ok, _ = h.Allow(time.Now(), 1)
					} else {
						ok, _ = b.Allow(limit.Everyone, 1)
					}
					if ok {
						allowed.Add(1)
					}
					<-time.After(10 * time.Millisecond) // of the bubble
				}
			})
		}
		wg.Wait()
		// 10 at once, and 100 a second in the 9.99 s between the first and the last.
		if got := allowed.Load(); got < 1005 || got > 1010 {
			t.Errorf("%d allowed, want 1009", got)
		}
	})
}

// TestRateHoldsInRealTime lets callers overtake each other between reading the
// clock and taking a token, for which more threads than processors help. If a
// bucket took their times as they are, nearly every run would give too many, up
// to twice. R46, R60
func TestRateHoldsInRealTime(t *testing.T) {
	const r, burst = 1e5, 1000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(16))
	h := limit.NewBuckets(r, burst, 1).Bucket(limit.Everyone)
	defer h.Release()
	var allowed atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range 50 {
		wg.Go(func() {
			for time.Since(start) < time.Second/2 {
				for range 100 {
					if ok, _ := h.Allow(time.Now(), 1); ok {
						allowed.Add(1)
					}
				}
			}
		})
	}
	wg.Wait()
	if got, most := float64(allowed.Load()), burst+r*time.Since(start).Seconds()+1; got > most {
		t.Errorf("%v allowed, want at most %v", got, most)
	}
}

func TestAllowAllocatesNothing(t *testing.T) {
	b := limit.NewBuckets(1, 50, 10)
	h := b.Bucket(key(1))
	defer h.Release()
	b.Allow(key(2), 1)
	k := key(2)
	// 100 runs: some are allowed, some refused.
	if n := testing.AllocsPerRun(100, func() { h.Allow(time.Now(), 1) }); n != 0 {
		t.Errorf("Bucket.Allow: %v allocations, want 0", n)
	}
	if n := testing.AllocsPerRun(100, func() { b.Allow(k, 1) }); n != 0 {
		t.Errorf("Buckets.Allow: %v allocations, want 0", n)
	}
}

func BenchmarkBucketAllow(b *testing.B) {
	for _, bm := range []struct {
		name string
		r    rate.Limit
	}{{"allowed", 1e12}, {"refused", 1e-3}} {
		b.Run(bm.name, func(b *testing.B) {
			h := limit.NewBuckets(bm.r, 1, 1).Bucket(limit.Everyone)
			defer h.Release()
			b.ReportAllocs()
			for b.Loop() {
				h.Allow(time.Now(), 1)
			}
		})
	}
}

func BenchmarkBucketsAllow(b *testing.B) {
	for _, bm := range []struct {
		name     string
		r        rate.Limit
		capacity int
		keys     int
	}{
		{"one key", 1e9, 10, 1},
		{"100,000 keys", 1e-3, 100_000, 100_000},
		{"every key new, full again at once", 1e9, 1000, 1_000_000},
		{"every key new, at capacity", 1e-3, 1000, 1_000_000},
	} {
		b.Run(bm.name, func(b *testing.B) {
			t := limit.NewBuckets(bm.r, 1, bm.capacity)
			keys := make([]limit.Key, bm.keys)
			for i := range keys {
				keys[i] = key(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				t.Allow(keys[i%len(keys)], 1)
			}
		})
	}
}
