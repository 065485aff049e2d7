package interop

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wsguard/wsguard"
)

// A witness notes what the application sees of the first connection. The
// methods that the application calls do nothing on a nil witness.
type witness struct {
	messages atomic.Int64
	writers  sync.WaitGroup // that send a stream
	once     sync.Once
	leave    chan struct{} // closed when the handler has ended
	closed   atomic.Bool   // the library's Close has returned
}

func newWitness() *witness { return &witness{leave: make(chan struct{})} }

func (w *witness) message() {
	if w != nil {
		w.messages.Add(1)
	}
}

func (w *witness) closeReturned() {
	if w != nil {
		w.closed.Store(true)
	}
}

func (w *witness) left() {
	if w != nil {
		w.once.Do(func() { close(w.leave) })
	}
}

func (w *witness) writes() {
	if w != nil {
		w.writers.Add(1)
	}
}

func (w *witness) wrote() {
	if w != nil {
		w.writers.Done()
	}
}

// gone waits for the handler and whoever writes for it, and reports whether
// they end in that time.
func (w *witness) gone(within time.Duration) bool {
	all := make(chan struct{})
	go func() {
		<-w.leave
		w.writers.Wait()
		close(all)
	}()
	select {
	case <-all:
		return true
	case <-time.After(within):
		return false
	}
}

// A meter shows the server's side of the first connection: what it has read
// and when it was closed.
type meter struct {
	bytes  atomic.Int64
	once   sync.Once
	closed chan struct{}
	at     time.Time          // of closing
	event  wsguard.CloseEvent // inside a chain
	taken  atomic.Bool        // the first connection is there
}

func newMeter() *meter { return &meter{closed: make(chan struct{})} }

func (m *meter) end(e wsguard.CloseEvent) {
	m.once.Do(func() {
		m.at, m.event = time.Now(), e
		m.bytes.Add(e.BytesIn)
		close(m.closed)
	})
}

// hooks make the observer fill the meter. The socket stays the kernel's own,
// which the wire treats better than one that is wrapped.
func (m *meter) hooks() wsguard.Hooks {
	return wsguard.Hooks{ConnClosed: func(_ context.Context, e wsguard.CloseEvent) { m.end(e) }}
}

// A tap is the first connection of a server that has no chain.
type tap struct {
	net.Conn
	m *meter
}

// Read counts what the server takes from its socket.
func (t *tap) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	t.m.bytes.Add(int64(n))
	return n, err
}

// Close notes the time.
func (t *tap) Close() error {
	err := t.Conn.Close()
	t.m.end(wsguard.CloseEvent{})
	return err
}

// A tapped listener taps its first connection.
type tapped struct {
	net.Listener
	m *meter
}

// Accept waits for a connection.
func (l tapped) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.m.taken.Swap(true) {
		return c, err
	}
	return &tap{c, l.m}, nil
}
