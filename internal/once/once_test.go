package once_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard/internal/once"
)

func key(n byte) [32]byte { return [32]byte{n} }

// R11: what is kept is not pushed out, and what has expired makes room.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		table := once.New(3, 10)
		for _, row := range []struct {
			name string
			do   func() error
			err  error
		}{
			{"first", func() error { return table.Put(key(1), []byte("1234"), time.Second) }, nil},
			{"the same key", func() error { return table.Put(key(1), []byte("x"), time.Second) }, once.ErrTwice},
			{"second", func() error { return table.Put(key(2), []byte("1234"), time.Minute) }, nil},
			{"too many bytes", func() error { return table.Put(key(3), []byte("123"), time.Minute) }, once.ErrFull},
			{"third", func() error { return table.Put(key(3), []byte("12"), time.Hour) }, nil},
			{"too many values", func() error { return table.Put(key(4), nil, time.Second) }, once.ErrFull},
			{"a second later", func() error { <-time.After(time.Second); _, err := table.Take(key(1)); return err }, once.ErrUnknown},
			{"in its place", func() error { return table.Put(key(4), nil, time.Second) }, nil},
			{"take", func() error { _, err := table.Take(key(2)); return err }, nil},
			{"take again", func() error { _, err := table.Take(key(2)); return err }, once.ErrUnknown},
			{"expired ones go", func() error { <-time.After(time.Hour); return table.Put(key(9), nil, 1) }, nil},
		} {
			if err := row.do(); !errors.Is(err, row.err) {
				t.Errorf("%s: got %v, want %v", row.name, err, row.err)
			}
		}
		if n := table.Len(); n != 1 {
			t.Errorf("%d are left, want 1", n)
		}
	})
	if err := new(once.Table).Put(key(1), nil, time.Hour); !errors.Is(err, once.ErrFull) {
		t.Errorf("the zero Table: %v", err)
	}
}

// R11
func TestOneTakes(t *testing.T) {
	table := once.New(1, 1)
	if err := table.Put(key(1), nil, time.Hour); err != nil {
		t.Fatal(err)
	}
	var took atomic.Int32
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			if _, err := table.Take(key(1)); err == nil {
				took.Add(1)
			}
		})
	}
	wg.Wait()
	if took.Load() != 1 || table.Len() != 0 {
		t.Errorf("%d took it, %d are left", took.Load(), table.Len())
	}
}
