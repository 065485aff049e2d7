// Package pulse does something at a steady interval, but only while there is a
// reason to, and without a goroutine of its own.
package pulse

import (
	"sync"
	"sync/atomic"
	"time"
)

// Pulse calls Beat once in every interval while it is awake. It falls asleep
// after Quiet beats without activity and leaves nothing behind then, not even a
// timer. Set the fields before the first call of Wake. Beat, Active and Resume
// never run at the same time; Active and Resume must not call Wake.
type Pulse struct {
	Interval time.Duration
	Quiet    int

	// Active reports whether anything is going on, or has since the last Beat.
	Active func() bool

	// Beat is called at the end of each interval with the time since the last
	// beat or waking, which is longer than Interval on a busy machine.
	Beat func(elapsed time.Duration)

	// Resume is called on waking with the number of whole intervals slept
	// through, if any.
	Resume func(missed int)

	awake atomic.Bool
	mu    sync.Mutex
	last  time.Time // of the last beat or waking, zero before the first
	quiet int       // beats without activity in a row
}

// Wake says that something has happened. Call it when that is already visible
// to Active, otherwise it may be missed. It costs one atomic load while awake,
// and is safe for concurrent use.
func (p *Pulse) Wake() {
	if p.awake.Load() {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.awake.Load() {
		p.start()
	}
}

// start needs p.mu.
func (p *Pulse) start() {
	now := time.Now()
	if !p.last.IsZero() {
		if missed := int(now.Sub(p.last) / p.Interval); missed > 0 {
			p.Resume(missed)
		}
	}
	p.last = now
	p.quiet = 0
	p.awake.Store(true)
	time.AfterFunc(p.Interval, p.beat)
}

func (p *Pulse) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.quiet++
	if p.Active() {
		p.quiet = 0
	}
	now := time.Now()
	elapsed := now.Sub(p.last)
	p.last = now
	p.Beat(elapsed)
	if p.quiet < p.Quiet {
		// Only now, so that a Beat that blocks does not pile up others.
		time.AfterFunc(p.Interval, p.beat)
		return
	}
	p.awake.Store(false)
	// Whoever came since Beat may have seen us awake and relied on it.
	if p.Active() {
		p.start()
	}
}
