// Package surge watches counters for spikes, while there is something to see.
package surge

import (
	"sync/atomic"
	"time"

	"github.com/wsguard/wsguard/internal/pulse"
	"github.com/wsguard/wsguard/internal/spike"
)

// quiet is how many buckets without anything stop the timer: a minute.
const quiet = 6

// Watch reads running totals every 10 seconds and reports each that leaves the
// range that is usual for it. It is made by [New] and safe for concurrent use.
// It has no goroutine, and a timer only while it is awake.
type Watch struct {
	pulse  pulse.Pulse
	totals func() []int64
	busy   func() bool
	report func(signal int, active bool, observed, expected float64)

	// The signals, one for each total, belong to pulse, but for active.
	signals []signal
}

type signal struct {
	detector spike.Detector
	seen     int64 // total at the last beat
	active   atomic.Bool
}

// New returns a Watch of n totals, which totals returns. busy reports whether
// there is a reason to stay awake even if no total changes. report is called
// from the timer's goroutine when a spike begins or is over, with what was
// counted in 10 seconds and what is usual; it must not panic.
func New(n int, totals func() []int64, busy func() bool, report func(signal int, active bool, observed, expected float64)) *Watch {
	w := &Watch{totals: totals, busy: busy, report: report, signals: make([]signal, n)}
	w.pulse = pulse.Pulse{Interval: spike.Bucket, Quiet: quiet, Active: w.stirring, Beat: w.beat, Resume: w.resume}
	return w
}

// Wake says that totals or busy have changed; it costs one atomic load if the
// Watch is awake.
func (w *Watch) Wake() { w.pulse.Wake() }

// Active reports whether a signal spikes now.
func (w *Watch) Active(signal int) bool { return w.signals[signal].active.Load() }

func (w *Watch) stirring() bool {
	for i, total := range w.totals() {
		if total != w.signals[i].seen {
			return true
		}
	}
	return w.busy()
}

func (w *Watch) beat(elapsed time.Duration) {
	for i, total := range w.totals() {
		s := &w.signals[i]
		count := float64(total-s.seen) * float64(spike.Bucket) / float64(elapsed)
		s.seen = total
		if c := s.detector.Tick(count); c.Kind != spike.None {
			s.active.Store(c.Kind == spike.Started)
			w.report(i, c.Kind == spike.Started, c.Observed, c.Expected)
		}
	}
}

// resume has no change to report: a spike was over with the first empty bucket,
// before the Watch fell asleep.
func (w *Watch) resume(missed int) {
	for i := range w.signals {
		w.signals[i].detector.Idle(missed)
	}
}
