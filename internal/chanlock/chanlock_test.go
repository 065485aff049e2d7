package chanlock_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/chanlock"
)

func TestLock(t *testing.T) {
	l, n := chanlock.New(), 0
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			l.Lock()
			defer l.Unlock()
			n++
		})
	}
	wg.Wait()
	if n != 100 {
		t.Errorf("%d of 100 critical sections counted", n)
	}
	if !l.TryLock() || l.TryLock() {
		t.Error("TryLock must succeed once")
	}
}

// With a sync.Mutex this test would hang: its waiter keeps time from passing.
func TestTimePassesForAWaiter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := chanlock.New()
		l.Lock()
		got := make(chan bool)
		go func() { l.Lock(); got <- true }()
		<-time.After(time.Hour)
		l.Unlock()
		<-got
	})
}

func TestLockUntil(t *testing.T) {
	l, done := chanlock.New(), make(chan struct{})
	if !l.LockUntil(nil) {
		t.Error("a free lock was not locked")
	}
	go close(done)
	if l.LockUntil(done) {
		t.Error("a lock was locked twice")
	}
}
