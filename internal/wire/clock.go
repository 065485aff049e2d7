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
	mu    sync.Mutex
	at    atomic.Int64 // when the timer fires

	lastIn      atomic.Int64 // the last byte of the peer
	lastMessage atomic.Int64
	pinged      atomic.Int64 // when the unanswered ping was sent, or 0
	readSince   atomic.Int64 // since when somebody waits for bytes, never, or unknown: some time
	messageBy   atomic.Int64 // when the unfinished message is too slow, or never
	writeBy     atomic.Int64 // when a write is stalled for too long, or never
	stalled     int64        // since when a write waits; of who writes
	patience    patience     // left for it
	respondBy   atomic.Int64 // when the library must have responded, or never
	closeBy     atomic.Int64 // when the socket is closed at the latest, or never
}

func (k *clock) start(c *Conn) {
	k.c, k.born = c, time.Now()
	for _, t := range []*atomic.Int64{&k.readSince, &k.messageBy, &k.writeBy, &k.respondBy, &k.closeBy, &k.at} {
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
	l, next := k.c.limits, never
	first := after(0, l.First)
	if k.c.messagesIn.Load() > 0 {
		first = never
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
		{after(0, l.Expiry), Expired},
		{after(k.lastMessage.Load(), l.Idle), Idle},
		{first, SlowStart},
		{k.messageBy.Load(), SlowMessage},
		{k.writeBy.Load(), SlowReader},
	} {
		if d.at <= now {
			k.c.overdue(d.what)
			continue
		}
		next = min(next, d.at)
	}
	k.arm(min(next, end, k.keepAlive(now)))
}

// keepAlive sends the ping that is due, or ends a connection whose pong is
// overdue, and returns when to look again. Any byte proves life; a pong's
// payload proves nothing, because a peer can guess it.
func (k *clock) keepAlive(now int64) (next int64) {
	t := k.c.limits
	if t.Ping <= 0 || k.c.ending.Load() {
		return never
	}
	// While a pong is awaited, look often enough not to be late with the next
	// ping after it: nothing arms the timer when it comes.
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
			return soon
		}
		due := after(max(pinged, reading), t.Pong)
		if due <= now {
			k.c.overdue(NoPong)
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
	return at + min(int64(d), longest)
}

// await notes that somebody waits for the rest of a message, and for how long
// they do.
func (k *clock) await(now int64, p patience) {
	k.readSince.Store(now)
	k.messageBy.Store(now + int64(p))
	k.arm(now + int64(p))
}

// received notes that a read has ended, and returns how long it has kept
// somebody waiting for the rest of a message.
func (k *clock) received(n int) (waited int64) {
	awaited := k.messageBy.Load() != never
	if !awaited && k.c.limits.Ping <= 0 {
		return 0 // nobody asks when
	}
	now := k.now()
	since := k.readSince.Swap(never)
	if awaited {
		k.messageBy.Store(never)
		waited = now - since
	}
	if n > 0 {
		k.lastIn.Store(now)
		if k.pinged.Load() != 0 {
			k.pinged.Store(0)
		}
	}
	return waited
}

// stalling notes that a write has to wait for the peer, once more unless it is
// the first time, after so many bytes were taken.
func (k *clock) stalling(first bool, taken int64) {
	l := k.c.limits
	if l.WriteTime <= 0 {
		return
	}
	now := k.now()
	if first {
		k.patience = whole(l.WriteTime)
	} else {
		k.patience.spend(now - k.stalled)
		k.patience.earn(taken, l.WriteTime, l.MinRate)
	}
	k.stalled = now
	k.writeBy.Store(now + int64(k.patience))
	k.arm(now + int64(k.patience))
}

// sent notes that a write has ended.
func (k *clock) sent() {
	if k.writeBy.Load() != never {
		k.writeBy.Store(never)
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
