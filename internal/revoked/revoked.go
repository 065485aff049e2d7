// Package revoked remembers which tokens count no more, in bounded memory.
package revoked

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	capacity = 1 << 16 // keys that are remembered apart
	shared   = 1 << 18 // entries that those beyond share

	// A token may have been issued by a clock that is this much ahead.
	ahead = time.Minute
)

// A List holds, for each key, before when a token must have been issued to be
// refused, and until when that matters. Its zero value is empty and ready. Its
// methods may be called concurrently.
//
// Beyond 65,536 keys, new ones share 262,144 entries: a token of somebody else
// may then be refused too, and a fresh one be asked for, a minute later; but none
// that was there to be revoked is accepted. Who shares with whom is different in
// every process.
type List[K comparable] struct {
	mu     sync.Mutex
	keys   map[K]entry
	shared []entry
	seed   maphash.Seed
	swept  time.Time // when entries that have lapsed were last looked for
}

type entry struct{ before, until time.Time }

func (e entry) extend(before, until time.Time) entry {
	if before.After(e.before) {
		e.before = before
	}
	if until.After(e.until) {
		e.until = until
	}
	return e
}

func (e entry) covers(issued, now time.Time) bool {
	return now.Before(e.until) && (issued.IsZero() || issued.Before(e.before))
}

// Add revokes the tokens under k that were issued before a time, until another.
func (l *List[K]) Add(k K, before, until, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.keys == nil {
		l.keys, l.seed = make(map[K]entry), maphash.MakeSeed()
	}
	if len(l.keys) >= capacity && now.Sub(l.swept) >= time.Second { // a flood sweeps once a second
		l.swept = now
		for k, e := range l.keys {
			if !now.Before(e.until) {
				delete(l.keys, k)
			}
		}
	}
	if e, known := l.keys[k]; known || len(l.keys) < capacity {
		l.keys[k] = e.extend(before, until)
		return
	}
	if l.shared == nil {
		l.shared = make([]entry, shared)
	}
	if fresh := now.Add(ahead); before.After(fresh) {
		before = fresh // or nobody who shares it could ever come back
	}
	i := l.slot(k)
	l.shared[i] = l.shared[i].extend(before, until)
}

func (l *List[K]) slot(k K) uint64 { return maphash.Comparable(l.seed, k) % shared }

// Covers reports whether a token under k is revoked. One whose time of issue
// is not known counts as old.
func (l *List[K]) Covers(k K, issued, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.keys[k].covers(issued, now) ||
		l.shared != nil && l.shared[l.slot(k)].covers(issued, now)
}
