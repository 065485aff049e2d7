package sample_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/sample"
)

// R54
func TestTake(t *testing.T) {
	type passed struct {
		suppressed int64
		ok         bool
	}
	rows := []struct {
		name  string
		wait  time.Duration
		calls int
		want  passed // of the last call
	}{
		{"first of the burst", 0, 1, passed{0, true}},
		{"last of the burst", 0, 9, passed{0, true}},
		{"past the burst", 0, 1, passed{0, false}},
		{"flood", 0, 1000, passed{0, false}},
		{"before the interval is over", 2999 * time.Millisecond, 1, passed{0, false}},
		{"after the interval", time.Millisecond, 1, passed{1002, true}},
		{"straight after", 0, 1, passed{0, false}},
		{"after two intervals, first", 6 * time.Second, 1, passed{1, true}},
		{"after two intervals, second", 0, 1, passed{0, true}},
		{"after two intervals, third", 0, 1, passed{0, false}},
		{"after a long quiet the burst is back, and no more", time.Hour, 11, passed{0, false}},
	}
	synctest.Test(t, func(t *testing.T) {
		s := sample.New(10, 3*time.Second)
		for _, row := range rows {
			<-time.After(row.wait)
			var got passed
			for range row.calls {
				got.suppressed, got.ok = s.Take()
			}
			if got != row.want {
				t.Errorf("%s: got %+v, want %+v", row.name, got, row.want)
			}
		}
	})
}

// R60
func TestTakeLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := sample.New(10, time.Second)
		var seen atomic.Int64
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 1000 {
					if n, ok := s.Take(); ok {
						seen.Add(n + 1)
					}
				}
			})
		}
		wg.Wait()
		<-time.After(time.Second)
		n, ok := s.Take()
		if total := seen.Load() + n; !ok || total != 8000 {
			t.Errorf("%d of 8000 accounted for", total)
		}
	})
}

func TestTakeDoesNotAllocate(t *testing.T) {
	s := sample.New(10, time.Second)
	if n := testing.AllocsPerRun(100, func() { s.Take() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
