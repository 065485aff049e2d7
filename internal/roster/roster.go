// Package roster finds members by any of their keys, without a walk.
package roster

import "sync"

// A Roster holds members under several keys each. Its zero value is empty and
// ready. Its methods may be called concurrently.
type Roster[K, M comparable] struct {
	mu       sync.RWMutex
	keys     map[M][]K
	members  map[K]holders[M]
	examined int // members looked at, for tests
}

// holders are the members under a key. Most keys have one, who needs no map.
type holders[M comparable] struct {
	one M
	all map[M]struct{} // nil where one is the only one
}

// Set puts a member under these keys, and no others.
func (r *Roster[K, M]) Set(m M, keys ...K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys == nil {
		r.keys, r.members = make(map[M][]K), make(map[K]holders[M])
	}
	r.clear(m)
	r.keys[m] = keys
	for _, k := range keys {
		h, taken := r.members[k]
		switch {
		case !taken:
			r.members[k] = holders[M]{one: m}
		case h.all != nil:
			h.all[m] = struct{}{}
		case h.one != m:
			r.members[k] = holders[M]{all: map[M]struct{}{h.one: {}, m: {}}}
		}
	}
}

// Remove takes a member out and returns how many are left.
func (r *Roster[K, M]) Remove(m M) (left int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.clear(m)
	delete(r.keys, m)
	return len(r.keys)
}

// clear takes a member's keys away, and the keys that nobody has any more.
func (r *Roster[K, M]) clear(m M) {
	for _, k := range r.keys[m] {
		all := r.members[k].all
		if delete(all, m); len(all) == 0 {
			delete(r.members, k)
		}
	}
}

// Find returns the members under a key, in no order.
func (r *Roster[K, M]) Find(k K) []M {
	r.mu.Lock()
	defer r.mu.Unlock()
	h, taken := r.members[k]
	switch {
	case !taken:
		return nil
	case h.all == nil:
		r.examined++
		return []M{h.one}
	}
	found := make([]M, 0, len(h.all))
	for m := range h.all {
		r.examined++
		found = append(found, m)
	}
	return found
}

// All returns every member, in no order.
func (r *Roster[K, M]) All() []M {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := make([]M, 0, len(r.keys))
	for m := range r.keys {
		all = append(all, m)
	}
	return all
}

// Len returns how many members there are.
func (r *Roster[K, M]) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.keys)
}
