package pulse_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/pulse"
)

// recorder notes what a Pulse calls and when, in seconds from its making.
type recorder struct {
	pulse.Pulse
	begin  time.Time
	active atomic.Bool
	mu     sync.Mutex
	calls  []string
}

func newRecorder() *recorder {
	r := &recorder{begin: time.Now()}
	r.Pulse = pulse.Pulse{
		Interval: 10 * time.Second,
		Quiet:    2,
		Active:   r.active.Load,
		Beat:     func(d time.Duration) { r.note("beat after %v", d) },
		Resume:   func(missed int) { r.note("missed %d", missed) },
	}
	return r
}

func (r *recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf("%v: ", time.Since(r.begin))+fmt.Sprintf(format, args...))
}

func (r *recorder) expect(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.calls, want) {
		t.Errorf("got %q, want %q", r.calls, want)
	}
	r.calls = nil
}

func TestPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		<-time.After(time.Minute)
		r.expect(t)

		r.Wake()
		r.Wake()
		<-time.After(time.Hour)
		r.expect(t, "1m10s: beat after 10s", "1m20s: beat after 10s")

		r.active.Store(true)
		r.Wake()
		<-time.After(25 * time.Second)
		r.active.Store(false)
		<-time.After(time.Minute)
		r.expect(t, "1h1m0s: missed 358", "1h1m10s: beat after 10s", "1h1m20s: beat after 10s",
			"1h1m30s: beat after 10s", "1h1m40s: beat after 10s")

		<-time.After(4 * time.Second)
		r.Wake()
		r.expect(t, "1h2m29s: missed 4")
		<-time.After(time.Minute)
		r.expect(t, "1h2m39s: beat after 10s", "1h2m49s: beat after 10s")
	})
}

func TestWakeSoonAfterFallingAsleepMissesNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.Wake()
		<-time.After(25 * time.Second)
		r.Wake()
		<-time.After(11 * time.Second)
		r.expect(t, "10s: beat after 10s", "20s: beat after 10s", "35s: beat after 10s")
		<-time.After(time.Minute)
	})
}

func TestSlowBeatsDoNotPileUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.Beat = func(d time.Duration) {
			r.note("beat after %v", d)
			r.Wake() // Beat may, also through others that it waits for.
			<-time.After(60 * time.Second)
		}
		r.Wake()
		<-time.After(time.Hour)
		r.expect(t, "10s: beat after 10s", "1m20s: beat after 1m10s")
	})
}

// TestActivityWhileFallingAsleep plays the race in which activity begins after
// the last Beat, while the pulse still looks awake.
func TestActivityWhileFallingAsleep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.Beat = func(d time.Duration) {
			r.note("beat after %v", d)
			if len(r.calls) == 2 {
				r.active.Store(true)
				r.Wake()
			}
		}
		r.Wake()
		<-time.After(35 * time.Second)
		r.active.Store(false)
		r.expect(t, "10s: beat after 10s", "20s: beat after 10s", "30s: beat after 10s")
		<-time.After(time.Minute)
	})
}

// R60
func TestWakeByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		var wg sync.WaitGroup
		r.Resume = func(int) { // While it runs, others find the pulse asleep.
			for range 8 {
				wg.Go(r.Wake)
			}
			for range 1000 {
				runtime.Gosched()
			}
		}
		r.Wake()
		<-time.After(time.Minute)
		r.Wake()
		wg.Wait()
		<-time.After(time.Minute)
		r.expect(t, "10s: beat after 10s", "20s: beat after 10s", "1m10s: beat after 10s", "1m20s: beat after 10s")
	})
}

func TestWakeDoesNotAllocate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder()
		r.Wake()
		if n := testing.AllocsPerRun(100, r.Wake); n != 0 {
			t.Errorf("%v allocations", n)
		}
		<-time.After(time.Minute)
	})
}
