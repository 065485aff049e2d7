//go:build unix

package wire

import "testing"

// A connection that waits for its peer holds no buffer, whatever the library's
// is, and has one again when there is something in it.
func TestWhoWaitsHoldsNothing(t *testing.T) {
	for _, tr := range transports {
		if !tr.raw {
			continue // the library's is read into
		}
		t.Run(tr.name, func(t *testing.T) {
			c, far, _ := tr.open(t, Config{})
			lent := make(chan bool, 100)
			c.raw.readable = func(fd uintptr) (ready bool) {
				ready = c.raw.read(fd)
				lent <- c.chunk != nil
				return ready
			}
			read := make(chan error, 1)
			go func() {
				_, err := c.Read(make([]byte, 1))
				read <- err
			}()
			if waitFor(t, lent) {
				t.Error("a chunk is lent to who waits")
			}
			far.Write(hello)
			if err := waitFor(t, read); err != nil {
				t.Fatal(err)
			}
			last := false
			for len(lent) > 0 {
				last = <-lent
			}
			if !last {
				t.Error("no chunk is lent to who has read ahead")
			}
		})
	}
}
