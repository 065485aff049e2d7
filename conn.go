package wsguard

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/chanlock"
	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/wire"
)

// A Conn is a connection whose messages are guarded by the rules of its chain.
//
// One goroutine at a time may read; all other methods may be called by several
// at once, also while one reads. Somebody should be reading for as long as the
// connection lives: the answers to pings and close frames are found there.
//
// Every error of Read, Write and their JSON twins ends the connection, but for
// those that say otherwise, and is a *Refusal where wsguard is the reason.
type Conn struct {
	s     *session
	ctx   atomic.Pointer[context.Context] // of Handler; nil after Accept, and until it runs
	reads watch
	wmu   chanlock.Lock // one writer at a time watches its context
	write watch
	queue queue

	strikes int         // violations that were dropped or replied to
	reading atomic.Bool // Read is under way
}

func newConn(s *session, u Upgrader) *Conn {
	c := &Conn{s: s, queue: queue{maxMessages: u.QueueMessages, maxBytes: u.QueueBytes}}
	c.reads.c, c.write.c = c, c
	if c.queue.maxMessages <= 0 {
		c.queue.maxMessages = 64
	}
	if c.queue.maxBytes <= 0 {
		c.queue.maxBytes = 1 << 20
	}
	s.app.Store(c)
	if p := s.principal.Load(); p != nil {
		s.expires(p.Expires)
	}
	s.hold(func() { c.reads.release(); c.write.release() })
	return c
}

// serve runs the application on the connection until it returns.
func (c *Conn) serve(base context.Context, serve func(context.Context, *Conn) error) {
	defer c.s.conn.EndSilently() // last, also after runtime.Goexit
	// The end of base ends the connection below, which ends ctx with the cause.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(base))
	c.ctx.Store(&ctx)
	c.s.cancel.Store(&cancel)
	defer cancel(nil)
	if r := c.s.refusal.Load(); r != nil { // before cancel was there to be called
		cancel(r)
	}
	select {
	case <-c.s.conn.Done():
		cancel(c.gone(nil))
	default:
	}
	if base.Done() != nil {
		stop := context.AfterFunc(base, func() {
			c.s.end(refuse("Handler", "context_ended", errors.New("the context that Upgrader.Context returned has ended (at once, if it is derived from r.Context())")))
		})
		defer stop()
	}
	returned := false
	defer c.s.survive("serve", &returned)
	err := serve(ctx, c)
	returned = true
	var refusal *Refusal
	switch {
	case err == nil:
		_ = c.Close(websocket.StatusNormalClosure, "")
	case errors.As(err, &refusal):
		c.s.end(refusal)
	case c.over():
	default:
		r := refuse("Handler", "internal_error", err)
		_ = c.s.violation(r, "close")
		c.s.end(r)
	}
}

// survive is deferred by what runs the application on a goroutine of its own:
// a panic ends the connection, and nothing else. (R59)
func (s *session) survive(where string, returned *bool) {
	p := recover()
	if p == nil && *returned {
		return
	}
	if p == nil {
		p = "runtime.Goexit was called"
	}
	r := panicked(where, p)
	_ = s.violation(r, "close")
	s.end(r)
}

// Read returns the next message that the rules accept: whole, at most
// MaxMessageSize bytes, text in valid UTF-8. The bytes belong to the caller.
// They are exactly those that were checked, or what SanitizeMessages made of
// them, which can be longer: [EscapeHTML] makes five bytes of an apostrophe.
//
// A message that a rule refuses is not returned. It ends the connection,
// unless the rule's policy is to drop it or to reply.
//
// If ctx ends while Read waits, the connection ends. A second Read at the same
// time is an error that leaves it open.
func (c *Conn) Read(ctx context.Context) (websocket.MessageType, []byte, error) {
	return c.ReadInto(ctx, nil)
}

// ReadInto is Read for a loop that is done with one message before it asks for
// the next: the message takes the place of what is in buf or, where that is too
// small, is in new memory that can be handed back the next time. So most
// messages allocate nothing. What the last one said is gone.
func (c *Conn) ReadInto(ctx context.Context, buf []byte) (websocket.MessageType, []byte, error) {
	if buf == nil {
		buf = []byte{} // a message without bytes is one too
	}
	if c.reading.Swap(true) {
		return 0, nil, errTwoReaders
	}
	defer c.reading.Store(false)
	if r := c.s.parting.Load(); r != nil {
		c.s.end(r) // what was read before is answered
	}
	for {
		typ, data, err := c.next(ctx, buf)
		if err != nil || data != nil {
			return typ, data, err
		}
	}
}

var errTwoReaders = errors.New("wsguard: Read is under way in another goroutine: let one goroutine read, and hand messages on from there")

// next returns a message, an error, or neither if a message was dropped.
func (c *Conn) next(ctx context.Context, buf []byte) (websocket.MessageType, []byte, error) {
	if err := c.reads.begin(ctx); err != nil {
		return 0, nil, err
	}
	defer c.reads.end()
	typ, payload, err := c.receive()
	if err != nil {
		return 0, nil, c.fail(err)
	}
	rules := &c.s.rules
	rules.now = time.Time{}
	data, refusal := c.check(ctx, typ, payload)
	if refusal != nil && c.over() { // while it was paced, say
		return 0, nil, c.fail(refusal)
	}
	if refusal == nil {
		c.s.conn.Touch(rules.now)
	}
	var began time.Time
	if c.s.watched {
		began = rules.time(c)
	}
	if err := c.observeMessage(DirectionIn, typ, len(payload), refusal, began); err != nil {
		return 0, nil, c.refused(refuse("Observe", "internal_error", err), "close")
	}
	if refusal == nil {
		return typ, append(buf[:0], data...), nil
	}
	action := c.s.rules.policy.action(c, refusal)
	if action == "close" {
		return 0, nil, c.refused(refusal, action)
	}
	if err := c.s.violation(refusal, action); err != nil {
		return 0, nil, c.refused(refuse("Observe", "internal_error", err), "close")
	}
	if action == "reply" && !c.TrySend(websocket.MessageText, c.s.rules.policy.reply(refusal)) {
		return 0, nil, c.refused(refusal, "close")
	}
	return 0, nil, nil
}

// check applies the rules. A panic in one of the application's own is a refusal.
func (c *Conn) check(ctx context.Context, typ websocket.MessageType, data []byte) (out []byte, refusal *Refusal) {
	defer func() {
		if p := recover(); p != nil {
			out, refusal = nil, panicked("a rule for messages", p)
		}
	}()
	return c.s.rules.check(ctx, c, typ, data)
}

// receive returns the next message as it came. It is read past the library,
// whose part ends with the handshake: the wire has to follow every frame anyway.
func (c *Conn) receive() (websocket.MessageType, []byte, error) {
	text, payload, err := c.s.conn.ReadMessage()
	if closed, ok := err.(*wire.PeerClosed); ok {
		err = fmt.Errorf("wsguard: the peer has closed: %w", websocket.CloseError{Code: websocket.StatusCode(closed.Code), Reason: closed.Reason})
	}
	if text {
		return websocket.MessageText, payload, err
	}
	return websocket.MessageBinary, payload, err
}

// watched is the time, if a hook wants to know how long something takes: to
// look at the clock is much of what a message costs.
func (c *Conn) watched() (now time.Time) {
	if c.s.watched {
		now = time.Now()
	}
	return now
}

func (c *Conn) observeMessage(d Direction, typ websocket.MessageType, size int, r *Refusal, began time.Time) error {
	var first error
	e := MessageEvent{Conn: &c.s.info, Direction: d, Type: typ, Size: size, Refusal: r}
	if c.s.watched {
		e.Took = time.Since(began)
	}
	for _, o := range c.s.observers {
		err := o.message(c.context(), e)
		if first == nil {
			first = err
		}
	}
	return first
}

func (c *Conn) context() context.Context {
	if ctx := c.ctx.Load(); ctx != nil {
		return *ctx
	}
	return context.Background()
}

// refused ends the connection for a refusal, and returns it.
func (c *Conn) refused(r *Refusal, action string) error {
	_ = c.s.violation(r, action)
	c.s.end(r)
	return r
}

// fail ends the connection for an error of the wire: each is terminal.
func (c *Conn) fail(err error) error {
	c.s.conn.EndSilently()
	return c.gone(err)
}

// gone is why the connection is over: the refusal, or err.
func (c *Conn) gone(err error) error {
	if r := c.s.refusal.Load(); r != nil {
		return r
	}
	return err
}

func (c *Conn) over() bool {
	return c.s.refusal.Load() != nil || c.s.conn.Ending()
}

// sendable says what is wrong with a message that the application sends.
func sendable(typ websocket.MessageType, data []byte) error {
	switch {
	case typ != websocket.MessageText && typ != websocket.MessageBinary:
		return fmt.Errorf("wsguard: message type %d does not exist: write websocket.MessageText or websocket.MessageBinary", typ)
	case typ == websocket.MessageText && !utf8.Valid(data):
		return errors.New("wsguard: text to be sent is not UTF-8: send it as websocket.MessageBinary")
	}
	return nil
}

// Write sends a message and waits until the socket has taken it. A peer that
// does not read for as long as [WriteTimeout] says, or a ctx that ends
// meanwhile, ends the connection. Text that is not UTF-8 is an error that leaves it open
// (RFC 6455, section 8.1).
func (c *Conn) Write(ctx context.Context, typ websocket.MessageType, data []byte) error {
	if err := sendable(typ, data); err != nil {
		return err
	}
	if withheld, err := c.s.rules.withhold(c, typ, data); withheld {
		return err
	}
	began := c.watched()
	if !c.wmu.LockUntil(ctx.Done()) {
		return c.cancelled(ctx)
	}
	err := c.write.begin(ctx)
	if err == nil {
		err = c.s.conn.WriteMessage(typ == websocket.MessageText, data)
		c.write.end()
	}
	c.wmu.Unlock()
	if err != nil {
		return c.fail(err)
	}
	if err := c.observeMessage(DirectionOut, typ, len(data), nil, began); err != nil {
		return c.refused(refuse("Observe", "internal_error", err), "close")
	}
	return nil
}

// TrySend queues a message and says at once whether it could: false means
// that the connection is over, or that the peer reads so slowly that the queue
// is full. What then happens is the caller's choice; Close with
// StatusPolicyViolation and "slow reader" is the usual one. The bytes must not
// be changed afterwards; one slice may be sent to any number of connections.
func (c *Conn) TrySend(typ websocket.MessageType, data []byte) bool {
	return sendable(typ, data) == nil && c.queue.put(c, typ, data)
}

// ReadJSON reads a message into v, which must be a pointer as for
// json.Unmarshal. A message that is not text, not JSON, or does not fit v is
// refused like one that violates a schema. A v that is no pointer is an error
// that leaves the connection open, and loses the message.
func (c *Conn) ReadJSON(ctx context.Context, v any) error {
	typ, data, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if typ != websocket.MessageText {
		return c.refused(refuse("ReadJSON", "invalid_data", errBinary), "close")
	}
	if !c.s.rules.scanned() {
		if err := jsonscan.Scan(data, jsonscan.Default()); err != nil {
			return c.refused(refuse("ReadJSON", "invalid_data", err), "close")
		}
	}
	if err := json.Unmarshal(data, v); err != nil {
		var invalid *json.InvalidUnmarshalError
		if errors.As(err, &invalid) {
			return fmt.Errorf("wsguard: ReadJSON: %w", err)
		}
		// The decoder's error quotes the message: the kind of it has to do.
		return c.refused(refuse("ReadJSON", "invalid_data", fmt.Errorf("%T", err)), "close")
	}
	return nil
}

// WriteJSON sends v as a text message. A v that cannot be encoded is an error
// that leaves the connection open.
func (c *Conn) WriteJSON(ctx context.Context, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("wsguard: WriteJSON: %w", err)
	}
	return c.Write(ctx, websocket.MessageText, data)
}

// Close ends the connection with a close frame, after what TrySend has queued,
// and waits until the socket is closed and observers are told: about two
// seconds at most, whatever the peer does. The reason is made UTF-8 and cut to
// 123 bytes. A code that must not be sent (RFC 6455, section 7.4) is an error,
// and 1011 is sent instead. Closing twice is no error.
func (c *Conn) Close(code websocket.StatusCode, reason string) error {
	var err error
	if !mayBeSent(code) {
		err = fmt.Errorf("wsguard: close code %d must not be sent: use 1000, or one from 3000 to 4999", code)
		code, reason = websocket.StatusInternalError, ""
	}
	c.queue.flush(c)
	// A reason that is not UTF-8 would make the peer fail the connection.
	c.s.conn.End(wire.Cause{Code: uint16(code), Reason: strings.ToValidUTF8(reason, "\uFFFD")})
	if !c.s.conn.Closed() { // an observer that is being told of the end may call this
		<-c.s.conn.Done()
	}
	return err
}

// Principal returns who Authenticate found, or nil. It must not be changed.
func (c *Conn) Principal() *Principal { return c.s.principal.Load() }

// ClientIP returns the client's address: the socket's, or what TrustProxies
// found behind proxies.
func (c *Conn) ClientIP() netip.Addr { return c.s.info.ClientIP }

// Subprotocol returns what was negotiated, or "".
func (c *Conn) Subprotocol() string { return c.s.info.Subprotocol }

// ID returns the random name of the connection that observers see as
// ConnInfo.ID. It is not a secret.
func (c *Conn) ID() string { return c.s.info.ID }
