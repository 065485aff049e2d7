package wire

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// A pacer keeps what is read within a rate, by letting the reader wait.
type pacer struct {
	limit *rate.Limiter
	once  sync.Once
	over  chan struct{} // closed when nobody shall wait any more
}

func newPacer(l *Limits) *pacer {
	if l.ByteRate <= 0 {
		return nil
	}
	return &pacer{limit: rate.NewLimiter(l.ByteRate, l.ByteBurst), over: make(chan struct{})}
}

// wait returns how many bytes may be read now, at most as many as asked for.
// It waits until that is worth a read. None may be read once the library's
// deadline is over.
func (p *pacer) wait(most int, deadline time.Time) int {
	worth := min(most, p.limit.Burst(), 512)
	for {
		have := p.limit.Tokens()
		if have >= float64(worth) {
			return int(min(float64(most), have))
		}
		seconds := min((float64(worth)-have)/float64(p.limit.Limit()), time.Hour.Seconds())
		wait := max(1, time.Duration(seconds*float64(time.Second)))
		if !deadline.IsZero() {
			if wait = min(wait, time.Until(deadline)); wait <= 0 {
				return 0
			}
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-p.over:
			t.Stop()
			return most
		}
	}
}

// pay counts what was read.
func (p *pacer) pay(n int) { p.limit.AllowN(time.Now(), n) }

// stop ends every wait.
func (p *pacer) stop() {
	if p != nil {
		p.once.Do(func() { close(p.over) })
	}
}
