package limit_test

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wsguard/wsguard/internal/limit"
)

func key(i int) limit.Key { return limit.StringKey(strconv.Itoa(i)) }

// R47
func TestSlots(t *testing.T) {
	type step struct {
		do   string // "+" acquires, "-" releases the oldest slot of the key
		key  int
		want bool // of "+"
	}
	tests := []struct {
		name        string
		n, capacity int
		steps       []step
		len         int
		inUse       map[int]int
	}{
		{"up to n", 2, 10,
			[]step{{"+", 1, true}, {"+", 1, true}, {"+", 1, false}},
			1, map[int]int{1: 2}},
		{"keys are apart", 1, 10,
			[]step{{"+", 1, true}, {"+", 2, true}, {"+", 1, false}, {"+", 2, false}},
			2, map[int]int{1: 1, 2: 1, 3: 0}},
		{"released and taken again", 1, 10,
			[]step{{"+", 1, true}, {"-", 1, true}, {"+", 1, true}, {"+", 1, false}},
			1, map[int]int{1: 1}},
		{"entry vanishes at zero", 2, 10,
			[]step{{"+", 1, true}, {"+", 1, true}, {"-", 1, true}, {"-", 1, true}},
			0, map[int]int{1: 0}},
		{"new keys at capacity share n slots", 2, 1,
			[]step{{"+", 1, true}, {"+", 2, true}, {"+", 3, true}, {"+", 4, false}, {"+", 2, false}},
			3, map[int]int{1: 1, 2: 1, 3: 1, 4: 0}},
		{"known key at capacity keeps its own slots", 2, 1,
			[]step{{"+", 1, true}, {"+", 2, true}, {"+", 2, true}, {"+", 1, true}, {"+", 1, false}},
			2, map[int]int{1: 2, 2: 2}},
		{"overflow slot goes back to the overflow", 1, 1,
			[]step{{"+", 1, true}, {"+", 2, true}, {"+", 3, false}, {"-", 2, true}, {"+", 3, true}, {"+", 2, false}},
			2, map[int]int{1: 1, 2: 0, 3: 1}},
		{"own slot does not go back to the overflow", 1, 1,
			[]step{{"+", 1, true}, {"+", 2, true}, {"-", 1, true}, {"+", 3, true}, {"+", 4, false}},
			2, map[int]int{1: 0, 2: 1, 3: 1}},
		{"overflow slots still count when there is room", 2, 1,
			[]step{{"+", 1, true}, {"+", 2, true}, {"-", 1, true}, {"+", 2, true}, {"+", 2, false}, {"-", 2, true}, {"+", 2, true}, {"+", 2, false}},
			1, map[int]int{2: 2}},
		{"n zero", 0, 10, []step{{"+", 1, false}}, 0, nil},
		{"n negative", -1, 10, []step{{"+", 1, false}}, 0, nil},
		{"capacity zero", 2, 0, []step{{"+", 1, true}, {"+", 2, true}, {"+", 3, false}}, 2, nil},
		{"capacity negative", 1, -1, []step{{"+", 1, true}, {"+", 2, false}}, 1, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := limit.NewSlots(tt.n, tt.capacity)
			taken := make(map[int][]*limit.Slot)
			for i, st := range tt.steps {
				if st.do == "-" {
					taken[st.key][0].Release()
					taken[st.key] = taken[st.key][1:]
					continue
				}
				slot, ok := s.Acquire(key(st.key))
				if ok != st.want || (slot != nil) != ok {
					t.Fatalf("step %d: Acquire = %v, %v, want %v", i, slot, ok, st.want)
				}
				if ok {
					taken[st.key] = append(taken[st.key], slot)
				}
			}
			if got := s.Len(); got != tt.len {
				t.Errorf("Len = %d, want %d", got, tt.len)
			}
			for k, want := range tt.inUse {
				if got := s.InUse(key(k)); got != want {
					t.Errorf("InUse(%d) = %d, want %d", k, got, want)
				}
			}
		})
	}
}

// R47
func TestZeroSlotsRefuse(t *testing.T) {
	var s limit.Slots
	if _, ok := s.Acquire(limit.Everyone); ok {
		t.Error("zero Slots gave a slot")
	}
}

// R47, R60
func TestSecondReleaseIsIgnored(t *testing.T) {
	for _, capacity := range []int{0, 10} { // in the overflow and outside
		s := limit.NewSlots(2, capacity)
		first, _ := s.Acquire(limit.Everyone)
		second, _ := s.Acquire(limit.Everyone)
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(first.Release)
		}
		wg.Wait()
		if got := s.InUse(limit.Everyone); got != 1 {
			t.Errorf("capacity %d: InUse = %d after 100 releases of one slot of two, want 1", capacity, got)
		}
		second.Release()
		first.Release()
		if got := s.InUse(limit.Everyone); got != 0 || s.Len() != 0 {
			t.Errorf("capacity %d: InUse = %d, Len = %d at the end, want 0", capacity, got, s.Len())
		}
	}
}

// TestSlotsRandomly holds the table against what it promises, in many random
// orders: no key above n, no more than capacity+n keys, no refusal of a known
// key below n, and nothing left at the end. R47, R60
func TestSlotsRandomly(t *testing.T) {
	for seed := range uint64(100) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		n, capacity, keys := 1+rnd.IntN(4), rnd.IntN(6), 1+rnd.IntN(12)
		s := limit.NewSlots(n, capacity)
		var held []*limit.Slot
		var of []int
		count := make(map[int]int)
		for range 300 {
			if k := rnd.IntN(keys); rnd.IntN(2) == 0 {
				slot, ok := s.Acquire(key(k))
				if ok {
					held, of = append(held, slot), append(of, k)
					count[k]++
				} else if count[k] < n && s.Len() < capacity {
					t.Fatalf("seed %d: key with %d of %d refused, table has %d of %d keys", seed, count[k], n, s.Len(), capacity)
				}
			} else if len(held) > 0 {
				i := rnd.IntN(len(held))
				held[i].Release()
				held[i].Release()
				count[of[i]]--
				last := len(held) - 1
				held[i], of[i] = held[last], of[last]
				held, of = held[:last], of[:last]
			}
			for k, want := range count {
				if got := s.InUse(key(k)); got != want || got > n {
					t.Fatalf("seed %d: InUse = %d, want %d, limit %d", seed, got, want, n)
				}
			}
			if s.Len() > capacity+n || len(held) > capacity*n+n {
				t.Fatalf("seed %d: %d keys, %d slots; n %d, capacity %d", seed, s.Len(), len(held), n, capacity)
			}
		}
		for _, slot := range held {
			slot.Release()
		}
		// What is empty again gives each key all that it gave at first.
		for k := range capacity {
			for range n {
				if _, ok := s.Acquire(key(k)); !ok {
					t.Fatalf("seed %d: emptied table refused key %d", seed, k)
				}
			}
		}
		if s.Len() != capacity {
			t.Fatalf("seed %d: Len = %d, want %d", seed, s.Len(), capacity)
		}
	}
}

// R47, R60
func TestSlotsConcurrently(t *testing.T) {
	const n, capacity, keys, goroutines = 3, 8, 20, 4000
	s := limit.NewSlots(n, capacity)
	var inUse [keys]atomic.Int64
	var admitted, refused atomic.Int64
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			k := g % keys
			var slots []*limit.Slot
			for range 5 {
				slot, ok := s.Acquire(key(k))
				if !ok {
					refused.Add(1)
					continue
				}
				admitted.Add(1)
				if got := inUse[k].Add(1); got > n {
					t.Errorf("%d slots of one key, want at most %d", got, n)
				}
				slots = append(slots, slot)
			}
			for _, slot := range slots {
				inUse[k].Add(-1)
				slot.Release()
				slot.Release()
			}
		})
	}
	wg.Wait()
	if admitted.Load() == 0 || refused.Load() == 0 {
		t.Errorf("%d admitted and %d refused show nothing", admitted.Load(), refused.Load())
	}
	if got := s.Len(); got != 0 {
		t.Errorf("Len = %d at the end, want 0", got)
	}
	for k := range keys {
		if got := s.InUse(key(k)); got != 0 {
			t.Errorf("InUse(%d) = %d at the end, want 0", k, got)
		}
	}
}

func BenchmarkSlots(b *testing.B) {
	for _, bm := range []struct {
		name              string
		n, capacity, keys int
	}{
		{"one key", 2, 10, 1},
		{"100,000 keys", 2, 100_000, 100_000},
		{"a flood of new keys at capacity", 1, 1000, 100_000},
	} {
		b.Run(bm.name, func(b *testing.B) {
			s := limit.NewSlots(bm.n, bm.capacity)
			keys := make([]limit.Key, bm.keys)
			for i := range keys {
				keys[i] = key(i)
				s.Acquire(keys[i])
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if slot, ok := s.Acquire(keys[i%len(keys)]); ok {
					slot.Release()
				}
			}
		})
	}
}
