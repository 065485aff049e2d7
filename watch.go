package wsguard

import (
	"context"
	"sync"
)

// watch ends the connection when the context of a call ends during the call.
// It registers once per distinct Done channel, not once per call, and compares
// channels, never contexts, which may not be comparable.
type watch struct {
	c    *Conn
	mu   sync.Mutex
	done <-chan struct{}
	stop func() bool
	busy bool // a call is under way
	over bool // so is the connection: nothing is watched any more
}

func (w *watch) begin(ctx context.Context) error {
	done := ctx.Done()
	if done == nil || done == w.c.context().Done() {
		return w.c.ended() // the connection's own context ends after it
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil {
		return w.c.cancelled(ctx)
	}
	if done != w.done && !w.over {
		if w.stop != nil {
			w.stop()
		}
		w.done = done
		w.stop = context.AfterFunc(ctx, func() { w.ended(ctx) })
	}
	w.busy = true
	return w.c.ended()
}

func (w *watch) end() {
	w.mu.Lock()
	w.busy = false
	w.mu.Unlock()
}

// release forgets the context, when the connection is over.
func (w *watch) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	if w.stop != nil {
		w.stop()
	}
}

// ended runs when a watched context ends. Between two calls that means
// nothing: callers cancel the context of a call that has returned.
func (w *watch) ended(ctx context.Context) {
	w.mu.Lock()
	busy := w.busy && ctx.Done() == w.done
	w.mu.Unlock()
	if busy {
		_ = w.c.cancelled(ctx)
	}
}

// cancelled ends the connection for a context of the caller.
func (c *Conn) cancelled(ctx context.Context) error {
	r := refuse("Conn", "context_ended", context.Cause(ctx))
	c.s.end(r)
	return c.gone(r)
}

// ended returns the refusal that ended the connection, if one has.
func (c *Conn) ended() error {
	if r := c.s.refusal.Load(); r != nil {
		return r
	}
	return nil
}
