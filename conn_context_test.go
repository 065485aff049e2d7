package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

var errGoodbye = errors.New("goodbye")

// A context that ends while a call waits ends the connection, and the error
// says why.
func TestContextOfACall(t *testing.T) {
	for name, end := range map[string]struct {
		context func(context.Context) (context.Context, context.CancelFunc)
		is      error
	}{
		"deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 5*time.Second)
		}, context.DeadlineExceeded},
		"cancel": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			go func() { pass(5 * time.Second); cancel(errGoodbye) }()
			return ctx, func() { cancel(nil) }
		}, errGoodbye},
		"not of the connection": {func(context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(context.Background(), 5*time.Second)
		}, context.DeadlineExceeded},
	} {
		for call, run := range map[string]func(context.Context, *wsguard.Conn) error{
			"Read": func(ctx context.Context, c *wsguard.Conn) error { _, _, err := c.Read(ctx); return err },
			"Write": func(ctx context.Context, c *wsguard.Conn) error {
				return c.Write(ctx, websocket.MessageText, []byte("x"))
			},
		} {
			t.Run(call+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
						began := time.Now()
						mine, cancel := end.context(ctx)
						defer cancel()
						err := run(mine, c)
						var refusal *wsguard.Refusal
						if !errors.As(err, &refusal) || refusal.Reason != "context_ended" || !errors.Is(err, end.is) {
							t.Errorf("error %v, want context_ended and %v", err, end.is)
						}
						// A write to a pipe returns when the socket is cut.
						if took := time.Since(began); took != 5*time.Second && (call != "Write" || took != 6*time.Second) {
							t.Errorf("it took %v", took)
						}
						<-ctx.Done()
						if !errors.As(context.Cause(ctx), &refusal) {
							t.Errorf("the cause of the connection's context is %v", context.Cause(ctx))
						}
						return err
					})
					c := newMemoryServer(t, h).raw()
					if call == "Read" {
						c.wantClose(1001, "context ended")
					}
					rec.wantClosed(t, 1001, wsguard.InitiatorServer, "context_ended")
				})
			})
		}
	}
}

// A Write that waits for another one is a call under way, too.
func TestContextOfAWriteThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan time.Duration, 1)
		newMemoryServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			go func() { _ = c.Write(ctx, websocket.MessageText, []byte("first")) }() // nobody reads
			synctest.Wait()
			mine, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			began := time.Now()
			if c.Write(mine, websocket.MessageText, []byte("second")) == nil {
				t.Error("nobody reads, and both writes succeeded")
			}
			returned <- time.Since(began)
			return nil
		})).raw()
		if took := <-returned; took > 2*time.Second {
			t.Errorf("a context of one second ended its Write after %v", took)
		}
	})
}

// What a caller does to the context of a call that has returned means nothing.
func TestContextBetweenCalls(t *testing.T) {
	serve := func(ctx context.Context, c *wsguard.Conn) error {
		for {
			mine, cancel := context.WithCancel(ctx)
			typ, data, err := c.Read(mine)
			cancel()
			if err != nil {
				return err
			}
			mine, cancel = context.WithTimeout(ctx, patience)
			err = c.Write(mine, typ, data)
			cancel()
			if err != nil {
				return err
			}
		}
	}
	for range 20 { // the watcher of a context runs when it likes
		c := mustDial(t, newServer(t, wsguard.Handler(serve)))
		for range 20 {
			if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(t.Context()); err != nil {
				t.Fatalf("a context that was cancelled between two calls ended the connection: %v", err)
			}
		}
	}
}

// A call with a context that has ended does nothing but end the connection.
func TestContextThatHasEnded(t *testing.T) {
	rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
		ended, cancel := context.WithCancelCause(ctx)
		cancel(errGoodbye)
		if err := c.Write(ended, websocket.MessageText, []byte("x")); !errors.Is(err, errGoodbye) {
			t.Errorf("Write: %v", err)
		}
		_, _, err := c.Read(ended)
		return err
	})
	rawDial(t, newServer(t, h)).wantClose(1001, "context ended")
	rec.wantClosed(t, 1001, wsguard.InitiatorServer, "context_ended")
}

// incomparable is a context that == panics for.
type incomparable struct {
	context.Context
	_ []int
}

// watched counts who waits for its end.
type watched struct {
	context.Context
	done            chan struct{}
	began, released *atomic.Int32
}

func (w watched) Done() <-chan struct{} { return w.done }

func (w watched) AfterFunc(func()) (stop func() bool) {
	w.began.Add(1)
	return func() bool { w.released.Add(1); return true }
}

// A context of any type will do.
func TestIncomparableContext(t *testing.T) {
	c := mustDial(t, newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		a, cancel := context.WithCancel(ctx)
		defer cancel()
		for {
			for _, mine := range []context.Context{incomparable{Context: a}, incomparable{Context: ctx}, incomparable{Context: context.Background()}} {
				typ, data, err := c.Read(mine)
				if err != nil {
					return err
				}
				if err := c.Write(mine, typ, data); err != nil {
					return err
				}
			}
		}
	})))
	for range 9 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A context is watched once, not once for each call, and no longer than the
// connection lives: it may be one that lives as long as the program.
func TestContextIsWatchedOnce(t *testing.T) {
	long := watched{context.Background(), make(chan struct{}), new(atomic.Int32), new(atomic.Int32)}
	rec, h := observed(func(_ context.Context, c *wsguard.Conn) error { return echo(long, c) })
	c := mustDial(t, newServer(t, h))
	for range 5 {
		if err := c.Write(t.Context(), websocket.MessageText, []byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(1000, ""); err != nil {
		t.Fatal(err)
	}
	next(t, rec.closes)
	if began, released := long.began.Load(), long.released.Load(); began != 2 || released != 2 {
		t.Errorf("%d were registered for Read and Write, and %d released; want 2 and 2", began, released)
	}
}

// The context of Handler ends with the connection, and says why.
func TestContextOfHandler(t *testing.T) {
	for _, tc := range []struct {
		name       string
		safeguards []func(http.Handler) http.Handler
		do         func(*rawClient)
		check      func(error) bool
	}{
		{"a rule", []func(http.Handler) http.Handler{wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type":"object"}`))},
			func(c *rawClient) { c.send(textFrame("[]")) },
			func(err error) bool { return isRefusal(err, "invalid_data") }},
		{"framing", nil,
			func(c *rawClient) { c.send([]byte{0xFF, 0xFF}) },
			func(err error) bool { return isRefusal(err, "protocol_error") }},
		{"time", []func(http.Handler) http.Handler{wsguard.MaxLifetime(time.Millisecond)},
			func(*rawClient) {},
			func(err error) bool { return isRefusal(err, "lifetime_over") }},
		{"the peer", nil,
			func(c *rawClient) { c.send(closeFrame(4321, "")) },
			func(err error) bool { return websocket.CloseStatus(err) == 4321 }},
		{"the network", nil,
			func(c *rawClient) { _ = c.Close() },
			func(err error) bool { return websocket.CloseStatus(err) == websocket.StatusAbnormalClosure }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cause := make(chan error, 1)
			_, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
				_, _, err := c.Read(ctx)
				<-ctx.Done() // not because serve returns
				cause <- context.Cause(ctx)
				return err
			}, tc.safeguards...)
			tc.do(rawDial(t, newServer(t, h)))
			if err := next(t, cause); !tc.check(err) {
				t.Errorf("the cause is %v", err)
			}
		})
	}
}

func isRefusal(err error, reason string) bool {
	var r *wsguard.Refusal
	return errors.As(err, &r) && r.Reason == reason
}
