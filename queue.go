package wsguard

import (
	"context"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// queue is what TrySend has accepted and the socket has not. A goroutine that
// writes exists only while there is something to write.
type queue struct {
	maxMessages, maxBytes int

	mu      sync.Mutex
	waiting []outgoing
	bytes   int
	closed  bool          // nothing more is accepted
	idle    chan struct{} // closed by the writer when it ends; nil without one
}

type outgoing struct {
	typ  websocket.MessageType
	data []byte
}

func (q *queue) put(c *Conn, typ websocket.MessageType, data []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting) >= q.maxMessages || q.bytes+len(data) > q.maxBytes || c.over() {
		return false
	}
	q.waiting = append(q.waiting, outgoing{typ, data})
	q.bytes += len(data)
	if q.idle == nil {
		q.idle = make(chan struct{})
		go q.write(c, q.idle)
	}
	return true
}

// write sends what waits until nothing does. Messages count against the bound
// until the socket has taken them.
func (q *queue) write(c *Conn, idle chan struct{}) {
	defer close(idle)
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 {
			q.waiting, q.idle = nil, nil
			q.mu.Unlock()
			return
		}
		m := q.waiting[0]
		q.mu.Unlock()

		err := c.Write(context.Background(), m.typ, m.data)

		q.mu.Lock()
		if err != nil {
			q.closed, q.waiting, q.bytes, q.idle = true, nil, 0, nil
			q.mu.Unlock()
			return
		}
		q.waiting[0] = outgoing{}
		q.waiting = q.waiting[1:]
		q.bytes -= len(m.data)
		q.mu.Unlock()
	}
}

// flush waits, for a second at most, until what was queued is sent.
func (q *queue) flush(c *Conn) {
	q.mu.Lock()
	q.closed = true
	idle := q.idle
	q.mu.Unlock()
	if idle == nil {
		return
	}
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-idle:
	case <-c.s.conn.Done():
	case <-t.C:
	}
}
