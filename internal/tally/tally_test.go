package tally_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsguard/wsguard/internal/tally"
)

func newTable(limit int) *tally.Table[atomic.Int64] {
	return tally.New(limit, func() *atomic.Int64 { return new(atomic.Int64) })
}

func counts(t *tally.Table[atomic.Int64]) map[string]int64 {
	m := make(map[string]int64)
	for name, n := range t.All() {
		m[name] = n.Load()
	}
	return m
}

func TestGet(t *testing.T) {
	rows := []struct{ name, in, want string }{
		{"known form", "token_expired", "token_expired"},
		{"digits", "1000", "1000"},
		{"punctuation", "acme/geo-blocked", "acme/geo-blocked"},
		{"absent", "", tally.Other},
		{"other by name", tally.Other, tally.Other},
		{"space", "token expired", tally.Other},
		{"line feed", "a\nb", tally.Other},
		{"DEL", "a\x7f", tally.Other},
		{"no ASCII", "größe", tally.Other},
		{"not UTF-8", "a\xff", tally.Other},
		{"as long as allowed", strings.Repeat("a", 64), strings.Repeat("a", 64)},
		{"too long", strings.Repeat("a", 65), tally.Other},
		{"hostile size", strings.Repeat("a", 1<<20), tally.Other},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			table := newTable(8)
			table.Get(row.in).Add(1)
			table.Get(row.in).Add(1)
			if got := counts(table); got[row.want] != 2 || len(got) > 2 {
				t.Errorf("got %v, want 2 under %q", got, row.want)
			}
		})
	}
}

func TestGetIsBounded(t *testing.T) {
	table := newTable(3)
	for i := range 1000 {
		table.Get(fmt.Sprint("made_up_", i)).Add(1)
	}
	table.Get("made_up_2").Add(1)
	got := counts(table)
	if len(got) != 4 || got["made_up_2"] != 2 || got[tally.Other] != 997 {
		t.Errorf("got %v", got)
	}
}

// R60
func TestGetLosesNothing(t *testing.T) {
	table := newTable(50)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 100 {
				table.Get(fmt.Sprint(i)).Add(1)
				for range table.All() {
				}
			}
		})
	}
	wg.Wait()
	got, sum := counts(table), int64(0)
	for _, n := range got {
		sum += n
	}
	if len(got) != 51 || sum != 800 {
		t.Errorf("%d names, sum %d", len(got), sum)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	table := newTable(1)
	table.Get("known")
	for _, name := range []string{"known", "past_the_limit", strings.Repeat("a", 100)} {
		if n := testing.AllocsPerRun(100, func() { table.Get(name) }); n != 0 {
			t.Errorf("%v allocations for %q", n, name)
		}
	}
}

func BenchmarkGet(b *testing.B) {
	table := newTable(128)
	for i := range 200 {
		table.Get(fmt.Sprint("reason_", i))
	}
	for _, row := range []struct{ name, in string }{
		{"known", "reason_5"},
		{"hostile", "reason_199"},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				table.Get(row.in)
			}
		})
	}
}
