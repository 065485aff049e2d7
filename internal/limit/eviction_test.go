package limit_test

import (
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/limit"
)

// allows says how many of up to 100 single tokens k gets.
func allows(b *limit.Buckets, k limit.Key) (n int) {
	for range 100 {
		if ok, _ := b.Allow(k, 1); ok {
			n++
		}
	}
	return n
}

// R46
func TestEvictionNeverGivesTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets(1, 10, 2)
		if a, c := allows(b, key(1)), allows(b, key(2)); a != 10 || c != 10 {
			t.Fatalf("two keys got %d and %d, want 10 and 10", a, c)
		}
		if a, c := allows(b, key(3)), allows(b, key(4)); a != 10 || c != 0 {
			t.Errorf("two new keys at capacity got %d and %d, want 10 and 0 from one bucket", a, c)
		}
		if got := allows(b, key(1)); got != 0 {
			t.Errorf("a key got %d more tokens because others came, want 0", got)
		}
		<-time.After(10*time.Second - 1)
		b.Allow(key(5), 1)
		if got := b.Len(); got != 2 {
			t.Errorf("Len = %d just before buckets are full, want 2", got)
		}
		if got := allows(b, key(1)); got != 9 {
			t.Errorf("a key got %d just before its bucket was full, want 9", got)
		}
		<-time.After(time.Nanosecond)
		// Key 2 is full now, and makes room for key 6.
		if got := allows(b, key(6)); got != 10 {
			t.Errorf("a new key got %d when there was room, want 10", got)
		}
		if got := allows(b, key(1)); got != 1 { // its tenth in 10 s
			t.Errorf("a key got %d when another was evicted, want 1", got)
		}
	})
}

// R46
func TestEvictionIsIncremental(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets(1, 10, 1000)
		for i := range 100 {
			b.Allow(key(i), 1)
		}
		<-time.After(time.Hour)
		for i := range 50 {
			b.Allow(key(1000+i), 1)
			if got, want := b.Len(), 100-(i+1); got != want {
				t.Fatalf("Len = %d after %d new keys, want %d", got, i+1, want)
			}
		}
	})
}

// R46
func TestHeldBucketStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets(1, 10, 1)
		first, second := b.Bucket(key(1)), b.Bucket(key(1))
		first.Allow(time.Now(), 5)
		if ok, _ := second.Allow(time.Now(), 6); ok {
			t.Error("two holders of one key have two buckets")
		}
		first.Release()
		first.Release() // must not release the second
		<-time.After(time.Hour)
		if b.Allow(key(2), 10); b.Len() != 1 {
			t.Errorf("Len = %d, want 1", b.Len())
		}
		if ok, _ := b.Allow(key(3), 10); ok {
			t.Error("a full bucket was evicted while it was held")
		}
		if ok, retry := first.Allow(time.Now(), 1); ok || retry != 0 {
			t.Errorf("a released bucket allows: %v, %v", ok, retry)
		}
		second.Allow(time.Now(), 10)
		second.Release()
		if got := allows(b, key(1)); got != 0 {
			t.Errorf("a key got %d tokens by releasing its bucket, want 0", got)
		}
		<-time.After(time.Hour)
		third := b.Bucket(key(3))
		defer third.Release()
		if ok, _ := third.Allow(time.Now(), 10); !ok || b.Len() != 1 {
			t.Errorf("Allow = %v, Len = %d, want a bucket in the place of a full one", ok, b.Len())
		}
		if ok, _ := b.Allow(key(4), 10); !ok {
			t.Error("a new key was given the overflow bucket although another had gone")
		}
	})
}

// R46
func TestOverflowBucketIsNoEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := limit.NewBuckets(1, 10, 1)
		own := b.Bucket(limit.Everyone)
		defer own.Release()
		overflow, other := b.Bucket(key(1)), b.Bucket(key(2))
		overflow.Allow(time.Now(), 10)
		if ok, _ := other.Allow(time.Now(), 1); ok {
			t.Error("two new keys at capacity have two buckets")
		}
		overflow.Release()
		other.Release()
		<-time.After(time.Hour)
		b.Allow(key(3), 10)
		if ok, _ := b.Allow(key(4), 1); ok {
			t.Error("the overflow bucket was evicted")
		}
		if got := b.Len(); got != 1 {
			t.Errorf("Len = %d with one held, want 1", got)
		}
	})
}

// R46, R60
func TestBucketsConcurrently(t *testing.T) {
	b := limit.NewBuckets(1e9, 10, 5) // full again at once, so that all is evicted
	var wg sync.WaitGroup
	for g := range 3000 {
		wg.Go(func() {
			for i := range 5 {
				h := b.Bucket(key((g + i) % 12))
				h.Allow(time.Now(), 1)
				b.Allow(key((g*i)%12), 1)
				h.Release()
				h.Release()
			}
		})
	}
	wg.Wait()
	if got := b.Len(); got > 5 {
		t.Errorf("Len = %d, want at most 5", got)
	}
	// Nobody holds anything, so the table can be used in full again.
	for i := range 5 {
		h := b.Bucket(key(100 + i))
		defer h.Release()
	}
	if got := b.Len(); got != 5 {
		t.Errorf("Len = %d with five held, want 5", got)
	}
}

// TestAMillionKeys shows that a flood of keys costs bounded memory, whether
// buckets are full again at once or never. R46
func TestAMillionKeys(t *testing.T) {
	const capacity = 10_000
	for _, tt := range []struct {
		name    string
		r       rate.Limit
		keys    int
		len     int // at most
		allowed int
	}{
		{"none full again", rate.Every(1000 * time.Hour), 1_000_000, capacity, capacity + 1},
		{"full again before the next", 1e9, 100_000, 1000, 100_000},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := limit.NewBuckets(tt.r, 1, capacity)
			before := heap()
			allowed := 0
			var k limit.Key
			for i := range tt.keys {
				k[0], k[1], k[2] = byte(i), byte(i>>8), byte(i>>16)
				if ok, _ := b.Allow(k, 1); ok {
					allowed++
				}
				if i%100 == 0 && b.Len() > tt.len {
					t.Fatalf("Len = %d after %d keys, want at most %d", b.Len(), i, tt.len)
				}
			}
			if allowed != tt.allowed {
				t.Errorf("%d allowed, want %d", allowed, tt.allowed)
			}
			// 215 bytes where none is full again.
			if got := (heap() - before) / capacity; got > 300 {
				t.Errorf("%d bytes per key of the capacity, want at most 300", got)
			}
			runtime.KeepAlive(b)
		})
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
