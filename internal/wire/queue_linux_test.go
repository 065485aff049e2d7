package wire

import (
	"io"
	"net"
	"testing"
	"time"
)

// R49: a peer that reads steadily is no slow reader, although the system wakes
// a write that waits only after megabytes.
func TestASteadyReader(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	_ = far.(*net.TCPConn).SetReadBuffer(16 << 10)
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newResponded(near, Config{Owner: owner{}, Limits: &Limits{WriteTime: time.Second, MinRate: 4096}})
	defer c.Kill()
	const size = 6 << 20
	go func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		buf := make([]byte, 10<<10) // a megabyte a second
		for range tick.C {
			if _, err := io.ReadFull(far, buf); err != nil {
				return
			}
		}
	}()
	if err := c.WriteMessage(false, make([]byte, size)); err != nil {
		t.Errorf("a reader of a megabyte a second is refused: %v", err)
	}
}
