package revoked

import (
	"testing"
	"time"
)

// lookups are what a handshake asks, beside a few revocations and in a flood of
// them.
func lookups() map[string]func() {
	now := time.Now()
	all := map[string]func(){}
	for name, n := range map[string]int{"100 revoked": 100, "a flood": 2 * capacity} {
		l := new(List[int])
		for k := range n {
			l.Add(k, now, now.Add(time.Hour), now)
		}
		all[name+", who is"] = func() { l.Covers(n-1, now.Add(-1), now) }
		all[name+", who is not"] = func() { l.Covers(-1, now.Add(-1), now) }
	}
	return all
}

func TestCoversAllocates(t *testing.T) {
	for name, look := range lookups() {
		if n := testing.AllocsPerRun(100, look); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkCovers(b *testing.B) {
	for name, look := range lookups() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				look()
			}
		})
	}
}
