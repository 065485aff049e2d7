// Package tally keeps counters by name in a table that stays small whatever
// names turn up.
package tally

import (
	"iter"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// Other is the name under which a full [Table] keeps the rest.
const Other = "other"

// maxName is the longest name, in bytes, that gets an entry of its own.
const maxName = 64

// Table holds one T for each name. It is made by [New] and safe for concurrent
// use. Entries are never removed.
type Table[T any] struct {
	limit   int
	entry   func() *T
	growing sync.Mutex
	// entries is replaced, never changed, so that reading takes no lock. That
	// is cheap because it happens at most limit times.
	entries atomic.Pointer[map[string]*T]
}

// New returns a Table of at most limit names besides [Other], each of which
// gets what entry returns.
func New[T any](limit int, entry func() *T) *Table[T] {
	t := &Table[T]{limit: limit, entry: entry}
	t.entries.Store(&map[string]*T{Other: entry()})
	return t
}

// Get returns the entry of name, which it makes if there is room. A name past
// the limit, and one that is not 1 to 64 visible ASCII characters, which might
// break what is drawn from the table, has the entry of [Other]. It does not
// allocate for a name that it knows.
func (t *Table[T]) Get(name string) *T {
	if e, ok := (*t.entries.Load())[name]; ok {
		return e
	}
	return t.grow(name)
}

func (t *Table[T]) grow(name string) *T {
	t.growing.Lock()
	defer t.growing.Unlock()
	entries := *t.entries.Load()
	if e, ok := entries[name]; ok {
		return e
	}
	if len(entries) > t.limit || !visible(name) {
		return entries[Other]
	}
	e := t.entry()
	grown := maps.Clone(entries)
	// A clone, because the name may be a small piece of a large string.
	grown[strings.Clone(name)] = e
	t.entries.Store(&grown)
	return e
}

// All ranges over the entries in no particular order.
func (t *Table[T]) All() iter.Seq2[string, *T] {
	return maps.All(*t.entries.Load())
}

func visible(name string) bool {
	for i := range len(name) {
		if name[i] <= ' ' || name[i] > '~' {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
