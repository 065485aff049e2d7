package tokens_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/tokens"
)

// What a bucket grants is what x/time/rate grants, for whole series of requests
// at random times, and for rates and bursts from one end to the other.
func TestAgreesWithRate(t *testing.T) {
	began := time.Now()
	limits := []rate.Limit{1e-9, rate.Every(time.Hour), 1.0 / 3, 0.7, 10, 1e4 / 7.0, 1e9, 1e12}
	bursts := []int{1, 2, 50, 1 << 30, math.MaxInt32}
	granted, refused := 0, 0
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		for _, limit := range limits {
			for _, burst := range bursts {
				ours, theirs := tokens.New(limit, burst), rate.NewLimiter(limit, burst)
				now := int64(0)
				for range 200 {
					now += r.Int64N(int64(3 * float64(time.Second) / min(max(float64(limit), 1e-6), 1e8)))
					n := r.IntN(min(burst, 60) + 1)
					at := began.Add(time.Duration(now))
					have := theirs.TokensAt(at)
					if d := ours.Have(now) - have; math.Abs(d) > 1e-6*max(1, math.Abs(have)) {
						t.Fatalf("rate %v, burst %d: %v tokens, want %v", limit, burst, ours.Have(now), have)
					}
					if math.Abs(have-float64(n)) < 1e-6+float64(limit)/1e9 {
						continue // the last bit of a float decides, and the other rounds to a nanosecond
					}
					got, want := ours.Take(now, n), theirs.AllowN(at, n)
					if got != want {
						t.Fatalf("rate %v, burst %d: Take(%d) of %v tokens = %v, want %v", limit, burst, n, have, got, want)
					}
					if granted++; !got {
						granted, refused = granted-1, refused+1
					}
				}
			}
		}
	}
	if granted < 1000 || refused < 1000 {
		t.Errorf("%d were granted and %d refused: too few of one", granted, refused)
	}
}

// R46
func TestBucket(t *testing.T) {
	const second = int64(time.Second)
	b := tokens.New(10, 20)
	take := func(now int64, n int, want bool) {
		t.Helper()
		if got := b.Take(now, n); got != want {
			t.Errorf("Take(%d, %d) = %v with %v tokens", now, n, got, b.Known())
		}
	}
	take(math.MinInt64+1, 20, true) // full at any time
	take(math.MinInt64+1, 1, false)
	take(0, 20, true) // 292 years later
	take(-second, 1, false)
	take(second, 10, true)
	take(0, 0, true)
	take(0, 1, false) // the second was granted once
	take(second, -1, false)
	if b.Known() != 0 || b.Have(second) != 0 {
		t.Errorf("a negative number has added tokens: %v", b.Known())
	}
	if got := b.Wait(second, 5); got != 500*time.Millisecond {
		t.Errorf("Wait = %v", got)
	}
	b.Owe(second, math.MaxInt)
	b.Owe(second, math.MinInt)
	if got := b.Wait(second, 1); got != 2100*time.Millisecond {
		t.Errorf("Wait of a bucket that owes 20 = %v", got)
	}
	if b.Wait(second, 21) != 0 || b.Wait(10*second, 20) != 0 {
		t.Error("Wait is not 0 for never, or for now")
	}
	slow := tokens.New(math.SmallestNonzeroFloat64, 1)
	slow.Take(0, 1)
	if got := slow.Wait(0, 1); got != math.MaxInt64 {
		t.Errorf("Wait = %v for what takes longer than a Duration can say", got)
	}
}

func TestTakeAllocates(t *testing.T) {
	bucket, now := tokens.New(1e9, 10), int64(0)
	if n := testing.AllocsPerRun(1000, func() { // also where it has to refuse
		now++
		bucket.Take(now, 5)
		bucket.Wait(now, 5)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	bucket, now := tokens.New(1e9, 1<<30), int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		bucket.Take(now, 1)
	}
}
