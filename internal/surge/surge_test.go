package surge_test

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/surge"
)

// endpoint has two signals, of which it counts one.
type endpoint struct {
	*surge.Watch
	count atomic.Int64
	busy  atomic.Bool
	reads atomic.Int64

	mu      sync.Mutex
	reports []string
	block   time.Duration // what the next report takes
}

func newEndpoint() *endpoint {
	e := &endpoint{}
	e.Watch = surge.New(2,
		func() []int64 { e.reads.Add(1); return []int64{0, e.count.Load()} },
		e.busy.Load,
		func(signal int, active bool, observed, expected float64) {
			e.mu.Lock()
			defer e.mu.Unlock()
			<-time.After(e.block)
			e.block = 0
			// What is usual moves a little with each bucket.
			usual := math.Round(expected/10) * 10
			e.reports = append(e.reports, fmt.Sprintf("signal %d active %v: %v instead of %v", signal, active, observed, usual))
		})
	return e
}

// run counts n in the middle of each of some buckets.
func (e *endpoint) run(buckets int, n int64) {
	for range buckets {
		e.Wake()
		<-time.After(5 * time.Second)
		e.count.Add(n)
		<-time.After(5 * time.Second)
	}
	synctest.Wait()
}

func (e *endpoint) expect(t *testing.T, active bool, reports ...string) {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	if !slices.Equal(e.reports, reports) {
		t.Errorf("reported %q, want %q", e.reports, reports)
	}
	if e.Active(0) || e.Active(1) != active {
		t.Errorf("active: %v, %v, want false, %v", e.Active(0), e.Active(1), active)
	}
	e.reports = nil
}

func TestSpike(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.run(400, 100)
		e.expect(t, false)
		e.run(1, 1000)
		e.expect(t, true, "signal 1 active true: 1000 instead of 100")
		e.run(2, 1000)
		e.expect(t, true)
		e.run(2, 100)
		e.expect(t, false, "signal 1 active false: 100 instead of 100")
		<-time.After(time.Hour)
	})
}

// TestSlowReport shows that what piles up while somebody is told of a spike is
// not taken for the next one.
func TestSlowReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.run(400, 100)
		e.block = time.Minute
		e.run(1, 1000)
		e.run(6, 100)
		e.expect(t, true, "signal 1 active true: 1000 instead of 100")
		e.run(1, 100)
		e.expect(t, false, "signal 1 active false: 100 instead of 100")
		<-time.After(time.Hour)
	})
}

func TestSpikeEndsWithTheTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.run(400, 100)
		e.run(1, 1000)
		e.expect(t, true, "signal 1 active true: 1000 instead of 100")
		<-time.After(time.Hour)
		e.expect(t, false, "signal 1 active false: 0 instead of 100")
	})
}

// TestIdleIsRemembered shows that the time slept through counts as time without
// events: what was usual yesterday is a spike after a night of silence.
func TestIdleIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		e.run(400, 100)
		<-time.After(24 * time.Hour)
		e.expect(t, false)
		e.run(1, 100)
		e.expect(t, true, "signal 1 active true: 100 instead of 0")
		<-time.After(time.Hour)
	})
}

func TestTimerStopsWithoutTraffic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEndpoint()
		<-time.After(24 * time.Hour)
		if n := e.reads.Load(); n != 0 {
			t.Errorf("totals were read %d times before there was anything", n)
		}
		for range 3 {
			e.run(1, 1)
			<-time.After(time.Hour)
			n := e.reads.Swap(0)
			if n == 0 || n > 20 {
				t.Errorf("totals were read %d times for one event", n)
			}
			<-time.After(24 * time.Hour)
			if n := e.reads.Load(); n != 0 {
				t.Errorf("totals were read %d times in a quiet day", n)
			}
		}
		e.busy.Store(true)
		e.Wake()
		<-time.After(time.Hour)
		if n := e.reads.Load(); n < 360 {
			t.Errorf("totals were read %d times in a busy hour", n)
		}
		e.busy.Store(false)
		<-time.After(time.Hour)
	})
}
