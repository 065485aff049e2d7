// Package chanlock is a mutex for what may be held while a socket blocks.
//
// A goroutine that waits for a sync.Mutex keeps the fake time of
// testing/synctest from passing, and so would hang the test of anybody who lets
// a peer stall; one that waits for a channel does not.
package chanlock

import "sync/atomic"

// A Lock is a mutex. Its zero value is unlocked. It makes its channel when
// somebody has to wait for the first time: most locks of a connection never
// see two at once.
type Lock struct {
	wanted atomic.Int32 // the holder and those who wait
	turn   atomic.Pointer[chan struct{}]
}

// Lock locks l.
func (l *Lock) Lock() {
	if l.wanted.Add(1) > 1 {
		<-l.turns()
	}
}

// TryLock locks l if nobody holds it, and reports whether it did.
func (l *Lock) TryLock() bool { return l.wanted.CompareAndSwap(0, 1) }

// LockUntil locks l, or gives up when done is closed, and reports whether it
// did lock.
func (l *Lock) LockUntil(done <-chan struct{}) bool {
	if l.wanted.Add(1) == 1 {
		return true
	}
	select {
	case <-l.turns():
		return true
	case <-done:
		// The turn may be on its way already: somebody has to take it.
		go func() {
			<-l.turns()
			l.Unlock()
		}()
		return false
	}
}

// Unlock unlocks l, which must be locked, and gives the turn to who has waited
// longest.
func (l *Lock) Unlock() {
	if l.wanted.Add(-1) > 0 {
		l.turns() <- struct{}{} // has room: there is one turn at a time
	}
}

func (l *Lock) turns() chan struct{} {
	if t := l.turn.Load(); t != nil {
		return *t
	}
	t := make(chan struct{}, 1)
	if l.turn.CompareAndSwap(nil, &t) {
		return t
	}
	return *l.turn.Load()
}
