// Package chanlock is a mutex for what may be held while a socket blocks.
//
// A goroutine that waits for a sync.Mutex keeps the fake time of
// testing/synctest from passing, and so would hang the test of anybody who lets
// a peer stall; one that waits for a channel does not.
package chanlock

// A Lock is a mutex. It must be made by New.
type Lock chan struct{}

// New returns an unlocked Lock.
func New() Lock { return make(Lock, 1) }

// Lock locks l.
func (l Lock) Lock() { l <- struct{}{} }

// TryLock locks l if nobody holds it, and reports whether it did.
func (l Lock) TryLock() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

// LockUntil locks l, or gives up when done is closed, and reports whether it
// did lock.
func (l Lock) LockUntil(done <-chan struct{}) bool {
	select {
	case l <- struct{}{}:
		return true
	case <-done:
		return false
	}
}

// Unlock unlocks l, which must be locked.
func (l Lock) Unlock() { <-l }
