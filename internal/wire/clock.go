package wire

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// A Limit is a bound on time. The zero Limit is none.
type Limit struct {
	After time.Duration
	Cause Cause
}

// Times are the bounds on time of a connection.
type Times struct {
	Ping     time.Duration // silence of the peer after which a ping goes out; 0 sends none
	Pong     Limit         // silence after the ping
	Idle     Limit         // time without an accepted message
	Lifetime Limit         // age of the connection
	Expiry   Limit         // age at which the identity expires
	Message  Limit         // time that the peer may take for a message, plus its length at minRate
	Stall    Limit         // time that one write may take
}

const (
	minRate      = 4 << 10         // bytes a second that a slow but honest peer reaches
	closeTimeout = 5 * time.Second // from a close frame of the library or the peer to the end
	linger       = time.Second     // from a close frame of ours to the end
	never        = int64(math.MaxInt64)
)

// clock is one runtime timer that holds the earliest deadline of a
// connection. It is armed anew only when it fires or an earlier deadline
// appears, so that a message that passes costs no timer call. Times are
// nanoseconds of the connection's age.
type clock struct {
	c     *Conn
	born  time.Time
	timer *time.Timer
	mu    sync.Mutex
	at    atomic.Int64 // when the timer fires

	lastIn      atomic.Int64 // the last byte of the peer
	lastMessage atomic.Int64
	pinged      atomic.Int64 // when the unanswered ping was sent, or 0
	readSince   atomic.Int64 // since when somebody waits for bytes, or never
	messageBy   atomic.Int64 // when the unfinished message is too slow, or never
	writeSince  atomic.Int64 // since when a write is under way, or never
	closeBy     atomic.Int64 // when the socket is closed at the latest, or never
}

func (k *clock) start(c *Conn) {
	k.c, k.born = c, time.Now()
	for _, t := range []*atomic.Int64{&k.readSince, &k.messageBy, &k.writeSince, &k.closeBy, &k.at} {
		t.Store(never)
	}
	k.mu.Lock()
	k.timer = time.AfterFunc(time.Hour, k.fire)
	k.timer.Stop()
	k.mu.Unlock()
	k.schedule(0)
}

func (k *clock) now() int64 { return int64(time.Since(k.born)) }

// arm makes the timer fire no later than at.
func (k *clock) arm(at int64) {
	if at >= k.at.Load() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if at < k.at.Load() {
		k.at.Store(at)
		k.timer.Reset(time.Duration(at - k.now()))
	}
}

func (k *clock) stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at.Store(math.MinInt64) // nothing is earlier: the timer stays off
	k.timer.Stop()
}

func (k *clock) fire() {
	k.mu.Lock()
	if k.at.Load() != math.MinInt64 {
		k.at.Store(never)
	}
	k.mu.Unlock()
	k.schedule(k.now())
}

// schedule acts on every deadline that has passed, and arms the timer for
// the earliest of the others.
func (k *clock) schedule(now int64) {
	t := &k.c.cfg.Times
	next := never
	for _, d := range [...]struct {
		at   int64
		then func()
	}{
		{k.closeBy.Load(), k.c.kill},
		{after(0, t.Lifetime.After), func() { k.c.End(t.Lifetime.Cause) }},
		{after(0, t.Expiry.After), func() { k.c.End(t.Expiry.Cause) }},
		{after(k.lastMessage.Load(), t.Idle.After), func() { k.c.End(t.Idle.Cause) }},
		{k.messageBy.Load(), func() { k.c.End(t.Message.Cause) }},
		{after(k.writeSince.Load(), t.Stall.After), func() { k.c.End(t.Stall.Cause) }},
	} {
		if d.at > now {
			next = min(next, d.at)
			continue
		}
		d.then()
	}
	k.arm(min(next, k.keepAlive(now)))
}

// keepAlive sends the ping that is due, or ends a connection whose pong is
// overdue, and returns when to look again. Any byte proves life; a pong's
// payload proves nothing, because a peer can guess it.
func (k *clock) keepAlive(now int64) (next int64) {
	t := &k.c.cfg.Times
	if t.Ping <= 0 || k.c.ending.Load() {
		return never
	}
	// While a pong is awaited, look often enough not to be late with the next
	// ping after it: nothing arms the timer when it comes.
	soon := after(now, min(t.Ping, t.Pong.After))
	reading := k.readSince.Load()
	if pinged := k.pinged.Load(); pinged != 0 {
		if reading == never {
			// The application is busy: its silence is not the peer's. The swap
			// fails if a byte has arrived meanwhile.
			if k.pinged.CompareAndSwap(pinged, max(now, 1)) {
				go k.c.prefetch()
			}
			return soon
		}
		due := after(max(pinged, reading), t.Pong.After)
		if due <= now {
			k.c.End(t.Pong.Cause)
			return never
		}
		return min(due, soon)
	}
	due := after(k.lastIn.Load(), t.Ping)
	if due > now {
		return due
	}
	if reading == never {
		go k.c.prefetch()
	}
	k.pinged.Store(max(now, 1))
	go k.c.ping()
	return soon
}

// after is the time d after at, or never where either is unset.
func after(at int64, d time.Duration) int64 {
	if d <= 0 || at == never {
		return never
	}
	return at + int64(d)
}

// waiting notes that somebody waits for the peer. Only that time counts
// against a message that has begun: the application's own does not.
func (k *clock) waiting(now int64, unfinished bool, declared, waited int64) {
	k.readSince.Store(now)
	if m := k.c.cfg.Times.Message.After; unfinished && m > 0 {
		by := now + int64(m) - waited
		if declared > 0 {
			by += min(declared, 1<<32) * int64(time.Second) / minRate
		}
		k.messageBy.Store(by)
		k.arm(by)
	}
}

func (k *clock) received(now int64, n int) {
	k.readSince.Store(never)
	k.messageBy.Store(never)
	if n > 0 {
		k.lastIn.Store(now)
		k.pinged.Store(0)
	}
}

func (k *clock) sending() {
	if stall := k.c.cfg.Times.Stall.After; stall > 0 {
		now := k.now()
		k.writeSince.Store(now)
		k.arm(now + int64(stall))
	}
}

func (k *clock) sent() { k.writeSince.Store(never) }

// upgraded takes back the bound on the time to respond.
func (k *clock) upgraded() { k.closeBy.Store(never) }

// endBy makes the socket close within d, whatever happens.
func (k *clock) endBy(d time.Duration) {
	by := k.now() + int64(d)
	if by < k.closeBy.Load() {
		k.closeBy.Store(by)
	}
	k.arm(by)
}
