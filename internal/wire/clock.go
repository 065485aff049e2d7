package wire

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	closeTimeout = 5 * time.Second // from a close frame of the library or the peer to the end
	linger       = time.Second     // from a close frame of ours to the end
	never        = int64(math.MaxInt64)
	unknown      = int64(-1)
	longest      = int64(1) << 61 // 73 years: what is added to an age without overflow
)

// clock is one runtime timer that holds the earliest deadline of a
// connection. It is armed anew only when it fires or an earlier deadline
// appears, so that a message that passes costs no timer call. Times are
// nanoseconds of the connection's age.
type clock struct {
	c     *Conn
	born  time.Time
	timer *time.Timer
	mu    sync.Mutex   // guards the timer, and what is known of a stalled write
	at    atomic.Int64 // when the timer fires

	lastIn      atomic.Int64 // the last byte of the peer
	lastMessage atomic.Int64
	pinged      atomic.Int64 // when the unanswered ping was sent, or 0
	readSince   atomic.Int64 // since when somebody waits for bytes, never, or unknown: some time
	messageBy   atomic.Int64 // when the unfinished message is too slow, or never
	writeBy     atomic.Int64 // when a write is stalled for too long, or never
	stalled     int64        // until when a write's waiting is paid for
	patience    patience     // left for it
	queued      int64        // what the system has taken of it and the peer has not
	respondBy   atomic.Int64 // when the library must have responded, or never
	expiry      atomic.Int64 // when the identity expires, or never
	alarm       atomic.Int64 // when the owner wants to be woken, or never
	closeBy     atomic.Int64 // when the socket is closed at the latest, or never
}

func (k *clock) start(c *Conn) {
	k.c, k.born = c, time.Now()
	for _, t := range []*atomic.Int64{&k.readSince, &k.messageBy, &k.writeBy, &k.respondBy, &k.alarm, &k.closeBy, &k.at} {
		t.Store(never)
	}
	k.expiry.Store(after(0, c.limits.Expiry))
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
	if k.again(k.now()) {
		k.c.ping() // it may wait, but for nothing that the timer is needed for
	}
}

// again arms the timer for what is the earliest now, which may be later than
// what it was armed for, and reports whether a ping is to be sent.
func (k *clock) again(now int64) (ping bool) {
	k.mu.Lock()
	if k.at.Load() != math.MinInt64 {
		k.at.Store(never)
	}
	k.mu.Unlock()
	return k.schedule(now)
}

// schedule acts on every deadline that has passed, and arms the timer for
// the earliest of the others. It reports whether a ping is to be sent.
func (k *clock) schedule(now int64) (ping bool) {
	l, next := k.c.limits, never
	first := after(0, l.First)
	switch {
	case k.c.messagesIn.Load() > 0:
		first = never
	case first <= now && !k.c.isRead():
		first = after(now, min(l.First, time.Second)) // what came waits for the application
	}
	end := min(k.closeBy.Load(), k.respondBy.Load())
	if end <= now {
		k.c.kill()
	}
	for _, d := range [...]struct {
		at   int64
		what Overdue
	}{
		{after(0, l.Lifetime), LifetimeOver},
		{k.expiry.Load(), Expired},
		{after(k.lastMessage.Load(), l.Idle), Idle},
		{first, SlowStart},
		{k.messageBy.Load(), SlowMessage},
		{k.stalledBy(now), SlowReader},
	} {
		if d.at <= now {
			k.c.overdue(d.what)
			continue
		}
		next = min(next, d.at)
	}
	alive, ping := k.keepAlive(now)
	k.arm(min(next, end, alive, k.ring(now)))
	return ping
}

// keepAlive reports whether a ping is due, which it notes as sent, or ends a
// connection whose pong is overdue, and returns when to look again. Any byte
// proves life; a pong's payload proves nothing, because a peer can guess it.
func (k *clock) keepAlive(now int64) (next int64, ping bool) {
	t := k.c.limits
	if t.Ping <= 0 || k.c.ending.Load() {
		return never, false
	}
	// When to look again while a pong is awaited. Where it comes, it arms the timer anew.
	soon := after(now, min(t.Ping, t.Pong))
	reading := k.readSince.Load()
	if reading == unknown && k.readSince.CompareAndSwap(unknown, now) {
		reading = now // at the latest
	}
	if pinged := k.pinged.Load(); pinged != 0 {
		if reading == never {
			// The application is busy: its silence is not the peer's. The swap
			// fails if a byte has arrived meanwhile.
			if k.pinged.CompareAndSwap(pinged, max(now, 1)) {
				go k.c.prefetch()
			}
			return soon, false
		}
		due := after(max(pinged, reading), t.Pong)
		if due <= now {
			k.c.overdue(NoPong)
			return never, false
		}
		return min(due, soon), false
	}
	due := k.together(after(k.lastIn.Load(), t.Ping), t.Ping)
	if due > now {
		return due, false
	}
	if reading == never {
		go k.c.prefetch()
	}
	k.pinged.Store(max(now, 1))
	return soon, true
}

// together puts off a ping by at most a 256th of the time between two, so that
// the pings of many connections go out together: to wake up for each of them
// costs more than they do.
func (k *clock) together(at int64, every time.Duration) int64 {
	step := int64(every) / 256
	if step == 0 || at == never {
		return at
	}
	if early := (k.born.UnixNano() + at) % step; early > 0 {
		at += step - early
	}
	return at
}

// ring wakes the owner if it is time, and returns when it is to be woken next.
func (k *clock) ring(now int64) (next int64) {
	at := k.alarm.Load()
	if at > now {
		return at
	}
	if k.alarm.CompareAndSwap(at, never) && !k.c.Ending() {
		k.c.owner.Alarm()
	}
	return k.alarm.Load()
}

// after is the time d after at, or never where either is unset.
func after(at int64, d time.Duration) int64 {
	if d <= 0 || at == never {
		return never
	}
	return at + min(int64(d), longest)
}

// await notes that somebody waits for the rest of a message, and for how long
// they do.
func (k *clock) await(now int64, p patience) {
	k.readSince.Store(now)
	k.messageBy.Store(now + int64(p))
	k.arm(now + int64(p))
}

// received notes that a read has ended, and returns when, and how long it has
// kept somebody waiting for the rest of a message. To look at the clock is much
// of what a read costs here: if nobody has asked, it is unknown when.
func (k *clock) received(n int) (now, waited int64) {
	awaited := k.messageBy.Load() != never
	if !awaited && k.c.limits.Ping <= 0 && k.c.pacer == nil {
		return unknown, 0
	}
	now = k.now()
	since := k.readSince.Swap(never)
	if awaited {
		k.messageBy.Store(never)
		waited = now - since
	}
	if n > 0 {
		k.lastIn.Store(now)
		if k.pinged.Load() != 0 {
			k.pinged.Store(0)
			k.again(now) // or the timer would fire in vain; no ping can be due
		}
	}
	return now, waited
}

// stalling notes that a write has to wait for the peer, once more unless it is
// the first time, after the system has taken so many bytes.
func (k *clock) stalling(first bool, taken int64) {
	if k.c.limits.WriteTime <= 0 {
		return
	}
	k.mu.Lock()
	if first {
		k.patience, k.stalled = whole(k.c.limits.WriteTime), k.now()
		k.queued, _ = queued(k.c.under)
	} else {
		k.moved(k.now(), taken)
	}
	by := k.stalled + int64(k.patience)
	k.writeBy.Store(by)
	k.mu.Unlock()
	k.arm(by)
}

// moved settles the time since the last look at a stalled write against what
// the peer has taken in it. It needs mu. The system takes megabytes before a
// write waits, and then wakes it after megabytes: only its queue shows a peer
// that reads steadily.
func (k *clock) moved(now, taken int64) {
	if q, ok := queued(k.c.under); ok {
		k.queued, taken = q, k.queued+taken-q
	}
	k.patience.spend(now - k.stalled)
	k.patience.earn(max(taken, 0), k.c.limits.WriteTime, k.c.limits.MinRate)
	k.stalled = now
}

// stalledBy returns when the write that waits is stalled for too long, or never.
func (k *clock) stalledBy(now int64) int64 {
	if k.writeBy.Load() > now {
		return k.writeBy.Load()
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	by := k.writeBy.Load()
	if by <= now {
		k.moved(now, 0)
		by = now + int64(k.patience)
		k.writeBy.Store(by)
	}
	return by
}

// sent notes that a write has ended.
func (k *clock) sent() {
	if k.writeBy.Load() != never {
		k.mu.Lock() // or the timer might set it again
		k.writeBy.Store(never)
		k.mu.Unlock()
	}
}

// respond makes the socket close within d, unless upgraded is called.
func (k *clock) respond(d time.Duration) {
	k.respondBy.Store(after(k.now(), d))
	k.arm(k.respondBy.Load())
}

// upgraded takes back the bound on the time to respond.
func (k *clock) upgraded() { k.respondBy.Store(never) }

// endBy makes the socket close within d, whatever happens. Nothing takes that
// back.
func (k *clock) endBy(d time.Duration) {
	by := after(k.now(), d)
	for {
		old := k.closeBy.Load()
		if by >= old || k.closeBy.CompareAndSwap(old, by) {
			break
		}
	}
	k.arm(by)
}

// SetExpiry makes the identity expire d from now, in place of Limits.Expiry; 0
// is never. One that has expired already stays so.
func (c *Conn) SetExpiry(d time.Duration) {
	k := &c.clock
	at := after(k.now(), d)
	k.expiry.Store(at)
	k.arm(at)
}

// SetAlarm makes Owner.Alarm be called once, d from now, in place of the call
// that was set before; 0 is never. Nothing is called once the connection ends.
func (c *Conn) SetAlarm(d time.Duration) {
	k := &c.clock
	at := after(k.now(), d)
	k.alarm.Store(at)
	k.arm(at)
}

// LastActivity is when a message was last accepted, or when the connection began.
func (c *Conn) LastActivity() time.Time {
	return c.clock.born.Add(time.Duration(c.clock.lastMessage.Load()))
}
