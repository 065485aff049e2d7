package once_test

import (
	"testing"
	"time"

	"github.com/wsguard/wsguard/internal/once"
)

// turns are a value that is put in and taken out, and one that nobody has put
// in, as a stranger can guess.
func turns() (table *once.Table, all map[string]func()) {
	table = once.New(1000, 1<<20)
	value := []byte("who")
	return table, map[string]func(){
		"put and take": func() {
			_ = table.Put([32]byte{1}, value, time.Minute)
			_, _ = table.Take([32]byte{1})
		},
		"guess": func() { _, _ = table.Take([32]byte{2}) },
	}
}

func TestTableAllocates(t *testing.T) {
	table, all := turns()
	for name, turn := range all {
		if n := testing.AllocsPerRun(100, turn); n > 1 { // a timer's or a queue's entry
			t.Errorf("%s: %v allocations, want at most one", name, n)
		}
	}
	if table.Len() != 0 {
		t.Errorf("%d values are left", table.Len())
	}
}

func BenchmarkTable(b *testing.B) {
	_, all := turns()
	for name, turn := range all {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				turn()
			}
		})
	}
}
