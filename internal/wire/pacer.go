package wire

import (
	"sync"
	"time"

	"github.com/wsguard/wsguard/internal/tokens"
)

// A pacer keeps what is read within a rate, by letting the reader wait. It
// belongs to the one reader.
type pacer struct {
	tokens tokens.Bucket
	once   sync.Once
	over   chan struct{} // closed when nobody shall wait any more
}

func newPacer(l *Limits) *pacer {
	if l.ByteRate <= 0 {
		return nil
	}
	return &pacer{tokens: tokens.New(l.ByteRate, l.ByteBurst), over: make(chan struct{})}
}

// wait returns how many bytes may be read now, at most as many as asked for.
// It waits until that is worth a read. None may be read once the library's
// deadline is over.
func (p *pacer) wait(k *clock, most int, deadline time.Time) int {
	if p.tokens.Known() >= float64(most) {
		return most // the clock could only add to it
	}
	worth := min(most, p.tokens.Burst(), 512)
	for {
		now := k.now()
		wait := min(p.tokens.Wait(now, worth), time.Hour)
		if wait <= 0 {
			return max(1, int(min(float64(most), p.tokens.Have(now))))
		}
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
func (p *pacer) pay(now int64, n int) { p.tokens.Owe(now, n) }

// stop ends every wait.
func (p *pacer) stop() {
	if p != nil {
		p.once.Do(func() { close(p.over) })
	}
}
