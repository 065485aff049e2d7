package limit

import (
	"sync"
	"sync/atomic"
)

// Slots is a table of live connections: each key holds at most n slots at any
// moment. It has at most capacity keys; beyond that, all new keys together hold
// at most n slots more, so the table never has more than capacity+n entries. An
// entry vanishes with its last slot, and is never evicted before. (R47, R60)
//
// Slots is safe for concurrent use. One lock guards it, which is held for one
// or two map operations in a handshake, never for a message. The zero value
// refuses everybody.
type Slots struct {
	n, capacity int

	mu       sync.Mutex
	live     map[Key]held
	ordinary int // keys that hold a slot of their own
	overflow int // slots taken by new keys at capacity
}

// held is what a key holds. Slots taken at capacity stay on the key's account
// when there is room again, so that no key ever holds more than n.
type held struct{ own, overflow int }

// NewSlots returns a table of n slots for each of capacity keys. Below 1, n
// refuses everybody, and capacity lets all keys share one entry.
func NewSlots(n, capacity int) *Slots {
	return &Slots{n: n, capacity: capacity, live: make(map[Key]held)}
}

// A Slot is one place taken in [Slots]. It is safe for concurrent use.
type Slot struct {
	table    *Slots
	key      Key
	overflow bool
	released atomic.Bool
}

// Acquire takes a slot for k, in one step with the check that there is one. If
// there is none, it returns nil and false.
func (s *Slots) Acquire(k Key) (*Slot, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.live[k]
	overflow := h.own == 0 && s.ordinary >= s.capacity
	if h.own+h.overflow >= s.n || overflow && s.overflow >= s.n {
		return nil, false
	}
	if overflow {
		h.overflow++
		s.overflow++
	} else {
		if h.own == 0 {
			s.ordinary++
		}
		h.own++
	}
	s.live[k] = h
	return &Slot{table: s, key: k, overflow: overflow}, true
}

// Release gives the slot back to where it was taken from. Only the first call
// counts: the ways in which a connection ends may meet, and a second release
// would give away the slot of another.
func (s *Slot) Release() {
	if s.released.Swap(true) {
		return
	}
	t := s.table
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.live[s.key]
	if s.overflow {
		h.overflow--
		t.overflow--
	} else if h.own--; h.own == 0 {
		t.ordinary--
	}
	if h == (held{}) {
		delete(t.live, s.key)
	} else {
		t.live[s.key] = h
	}
}

// Len returns the number of keys that hold a slot.
func (s *Slots) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

// InUse returns the number of slots that k holds.
func (s *Slots) InUse(k Key) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.live[k]
	return h.own + h.overflow
}
