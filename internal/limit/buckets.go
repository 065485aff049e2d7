package limit

import (
	"container/list"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/tokens"
)

// evictions is how many buckets a new key may push out: more than the one that
// it adds, so that the table shrinks, and few, so that nobody waits for a sweep.
const evictions = 2

// CheckRate returns an error that says what to write instead, if r and burst are
// not a limit. rate.Inf, +Inf and NaN would allow everything; a rate of zero or
// below would allow burst events and then none for ever.
func CheckRate(r rate.Limit, burst int) error {
	switch {
	case !(r > 0 && r < rate.Inf): // in this form, NaN is refused
		return fmt.Errorf("rate %v is no limit: write a finite number of events per second above zero, "+
			"such as rate.Limit(10) or rate.Every(time.Minute)", float64(r))
	case burst < 1:
		return fmt.Errorf("burst %d allows nothing: write how many events may come at once, at least 1", burst)
	}
	return nil
}

// Buckets is a table of token buckets, one per key, each of which holds burst
// tokens and gains r a second. It has at most capacity keys; beyond that, all
// new keys share one overflow bucket. A bucket is evicted only when nobody holds
// it and it is full again, that is, when a new one would be the same. A key that
// is not held stays for at most burst/r after its last event and until new keys
// come, so a good capacity is that of all keys within that time. (R46, R60)
//
// An entry is about 200 bytes. Buckets is safe for concurrent use; one lock
// guards it, for a bounded amount of work. A message takes only the lock of its
// own bucket: see [Buckets.Bucket]. The zero value is not usable.
type Buckets struct {
	r               rate.Limit
	burst, capacity int
	overflow        *bucket

	mu   sync.Mutex
	live map[Key]*bucket
	idle list.List // of *bucket: those that nobody holds, the longest unused first
}

// NewBuckets returns an empty table. It panics if [CheckRate] refuses r and
// burst. If capacity is below 1, all keys share one bucket.
func NewBuckets(r rate.Limit, burst, capacity int) *Buckets {
	if err := CheckRate(r, burst); err != nil {
		panic("limit: " + err.Error())
	}
	t := &Buckets{r: r, burst: burst, capacity: capacity, live: make(map[Key]*bucket)}
	t.overflow = t.newBucket(Everyone)
	return t
}

func (t *Buckets) newBucket(k Key) *bucket {
	b := newBucket(t.r, t.burst)
	b.key = k
	return b
}

// Allow takes n tokens from the bucket of k. If there are too few, it takes
// none, and says after what time there will be enough if nobody else takes any;
// 0 says never, because n is greater than burst or negative. It allocates
// nothing for a key that the table has.
func (t *Buckets) Allow(k Key, n int) (ok bool, retryAfter time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.find(k)
	if b.place != nil {
		t.idle.MoveToBack(b.place)
	}
	return b.allow(time.Now(), n) // under the lock, so that b is not evicted in between
}

// Owe takes n tokens, at most burst, from the bucket of k, also those that it
// does not have: the key gets none until they have come.
func (t *Buckets) Owe(k Key, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.find(k)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens.Owe(b.age(time.Now()), n)
}

// Bucket returns the bucket of k for a connection to hold while it lives, so
// that its messages look nothing up. A bucket that is held is not evicted. One
// that was given out at capacity is the overflow bucket until it is released.
func (t *Buckets) Bucket(k Key) *Bucket {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.find(k)
	b.holders++
	if b.place != nil {
		t.idle.Remove(b.place)
		b.place = nil
	}
	return &Bucket{table: t, shared: b}
}

// Len returns the number of keys in the table.
func (t *Buckets) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.live)
}

// find returns the bucket of k: its own, a new one if there is room, or the
// overflow bucket. t.mu is held.
func (t *Buckets) find(k Key) *bucket {
	if b, ok := t.live[k]; ok {
		return b
	}
	for range evictions {
		oldest := t.idle.Front()
		if oldest == nil || !oldest.Value.(*bucket).full() {
			break
		}
		t.idle.Remove(oldest)
		delete(t.live, oldest.Value.(*bucket).key)
	}
	if len(t.live) >= t.capacity {
		return t.overflow
	}
	b := t.newBucket(k)
	b.place = t.idle.PushBack(b)
	t.live[k] = b
	return b
}

// A Bucket is one holder's share in a token bucket of [Buckets], or one of its
// own. It is safe for concurrent use; only [Buckets.Bucket] and [NewBucket] make
// one that is usable.
type Bucket struct {
	table    *Buckets // nil for one of its own
	shared   *bucket
	released atomic.Bool
}

// NewBucket returns a bucket that no table has and nobody shares. It panics if
// [CheckRate] refuses r and burst.
func NewBucket(r rate.Limit, burst int) *Bucket {
	if err := CheckRate(r, burst); err != nil {
		panic("limit: " + err.Error())
	}
	return &Bucket{shared: newBucket(r, burst)}
}

// Allow is as [Buckets.Allow], and allocates nothing. After Release, it refuses.
// Now is the time; a caller who asks several buckets reads the clock once. One
// who is late gets nothing for what others have been granted since.
func (b *Bucket) Allow(now time.Time, n int) (ok bool, retryAfter time.Duration) {
	if b.released.Load() {
		return false, 0
	}
	return b.shared.allow(now, n)
}

// Release ends the hold. Only the first call counts: a second one would let the
// bucket of another holder be evicted.
func (b *Bucket) Release() {
	if b.released.Swap(true) || b.table == nil {
		return
	}
	b.table.mu.Lock()
	defer b.table.mu.Unlock()
	b.shared.holders--
	if b.shared.holders == 0 && b.shared != b.table.overflow {
		b.shared.place = b.table.idle.PushBack(b.shared)
	}
}

// bucket is a token bucket with its place in the table.
type bucket struct {
	mu     sync.Mutex // guards tokens
	tokens tokens.Bucket
	born   time.Time

	key     Key
	holders int           // guarded by Buckets.mu
	place   *list.Element // in Buckets.idle, nil if held; guarded by Buckets.mu
}

func newBucket(r rate.Limit, burst int) *bucket {
	return &bucket{tokens: tokens.New(r, burst), born: time.Now()}
}

// age is how old the bucket is. A time read before another caller's may come
// after it; tokens sees to that.
func (b *bucket) age(now time.Time) int64 { return int64(now.Sub(b.born)) }

// allow takes n tokens, or says when there will be as many.
func (b *bucket) allow(now time.Time, n int) (ok bool, retryAfter time.Duration) {
	age := b.age(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tokens.Take(age, n) {
		return true, 0
	}
	if n < 0 {
		return false, 0
	}
	return false, b.tokens.Wait(age, n)
}

// full reports whether the bucket is as a new one.
func (b *bucket) full() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens.Wait(b.age(time.Now()), b.tokens.Burst()) == 0
}
