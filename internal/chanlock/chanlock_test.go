package chanlock_test

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/chanlock"
)

func TestLock(t *testing.T) {
	var l chanlock.Lock
	n := 0
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
		var l chanlock.Lock
		l.Lock()
		got := make(chan bool)
		go func() { l.Lock(); got <- true }()
		<-time.After(time.Hour)
		l.Unlock()
		<-got
	})
}

func TestLockUntil(t *testing.T) {
	var l chanlock.Lock
	done := make(chan struct{})
	if !l.LockUntil(nil) {
		t.Error("a free lock was not locked")
	}
	go close(done)
	if l.LockUntil(done) {
		t.Error("a lock was locked twice")
	}
	l.Unlock()
	l.Lock() // who gave up has left no turn behind
	if l.TryLock() {
		t.Error("a lock was locked twice after somebody had given up")
	}
	l.Unlock()
}

// Those who give up and those who do not get in each other's way nowhere.
func TestGivingUp(t *testing.T) {
	var l chanlock.Lock
	n := 0
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			done := make(chan struct{})
			if i%2 == 0 {
				go close(done)
			}
			if l.LockUntil(done) {
				n++
				l.Unlock()
			}
		})
	}
	wg.Wait()
	l.Lock()
	if n < 100 || n > 200 {
		t.Errorf("%d critical sections", n)
	}
	l.Unlock()
}
