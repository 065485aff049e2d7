// Package once keeps values that can be taken out once, until they expire.
package once

import (
	"container/heap"
	"errors"
	"sync"
	"time"
)

// The reasons why a value is not put in or taken out.
var (
	ErrUnknown = errors.New("unknown, taken before, or expired")
	ErrFull    = errors.New("the table is full")
	ErrTwice   = errors.New("the key is in use")
)

// Table is a table of values by key. It holds at most a number of values and a
// number of bytes. What is in it and has not expired is never pushed out: a
// table that is full takes no more. It has no goroutine; what has expired goes
// when something is put in. It may be used from several goroutines. The zero
// value is full.
type Table struct {
	values, bytes int

	mu   sync.Mutex
	held int // bytes
	by   map[[32]byte]*entry
	next queue
}

type entry struct {
	key     [32]byte
	value   []byte
	expires time.Time
	place   int
}

// New returns a table for so many values, of so many bytes together.
func New(values, bytes int) *Table {
	return &Table{values: values, bytes: bytes, by: make(map[[32]byte]*entry)}
}

// Put keeps a value, which must not be changed, for ttl.
func (t *Table) Put(key [32]byte, value []byte, ttl time.Duration) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for len(t.next) > 0 && !now.Before(t.next[0].expires) {
		t.remove(t.next[0])
	}
	switch {
	case t.by[key] != nil:
		return ErrTwice
	case len(t.by) >= t.values, len(value) > t.bytes-t.held:
		return ErrFull
	}
	e := &entry{key: key, value: value, expires: now.Add(ttl)}
	t.by[key] = e
	t.held += len(value)
	heap.Push(&t.next, e)
	return nil
}

// Take takes a value out. Of all who ask for one, at most one gets it.
func (t *Table) Take(key [32]byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := t.by[key]
	if e == nil {
		return nil, ErrUnknown
	}
	t.remove(e)
	if !time.Now().Before(e.expires) {
		return nil, ErrUnknown
	}
	return e.value, nil
}

// Len returns how many values are kept, with those that have expired since the
// last Put.
func (t *Table) Len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.by)
}

func (t *Table) remove(e *entry) {
	heap.Remove(&t.next, e.place)
	delete(t.by, e.key)
	t.held -= len(e.value)
}

// queue is a heap of entries, the first to expire on top.
type queue []*entry

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].expires.Before(q[j].expires) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

// Push is for container/heap.
func (q *queue) Push(x any) {
	e := x.(*entry)
	e.place = len(*q)
	*q = append(*q, e)
}

// Pop is for container/heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return e
}
