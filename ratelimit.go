package wsguard

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/clientip"
	"github.com/wsguard/wsguard/internal/limit"
	"github.com/wsguard/wsguard/internal/wire"
)

// A Key says what a limit counts by. It is an argument of every limit, so that
// each says on purpose whom it limits.
type Key struct {
	name    string
	needs   fact
	follows fact // as in rule: what the key would miss if it came later
	total   bool // there is one key only
	// of returns the keys of a request, the narrow one first; a wide one is
	// allowed wideFactor times as much.
	of func(*session, *http.Request) ([]limit.Key, error)
}

// wideFactor is how many times the limit of an IPv6 /64 its /48 may use.
const wideFactor = 32

// wide is the limit of a /48 for that of a /64.
func wide(n int) int { return min(n, math.MaxInt/wideFactor) * wideFactor }

// Tables of keys are bounded. A slot lives as long as a connection, which
// costs far more; a bucket costs about 400 bytes. (architecture: new keys
// share one strict entry at the bound.)
const (
	maxSlotKeys   = 1 << 20
	maxBucketKeys = 1 << 17
)

var (
	// Everyone counts all clients together.
	Everyone = Key{name: "Everyone", total: true, of: func(*session, *http.Request) ([]limit.Key, error) {
		return []limit.Key{limit.Everyone}, nil
	}}

	// PerIP counts by the client's address: IPv4 by address, IPv6 by /64, and
	// by /48 with 32 times the limit. The address is the socket's, unless
	// TrustProxies stands before. (R52)
	PerIP = Key{name: "PerIP", follows: factClient, of: perIP}

	// PerUser counts by issuer and subject together. It needs Authenticate
	// before it.
	PerUser = Key{name: "PerUser", needs: factPrincipal, of: func(s *session, _ *http.Request) ([]limit.Key, error) {
		p := s.principal.Load()
		return []limit.Key{limit.UserKey(p.Issuer, p.Subject)}, nil
	}}

	// PerConn counts each connection by itself. It is for messages and bytes.
	PerConn = Key{name: "PerConn"}
)

func perIP(s *session, _ *http.Request) ([]limit.Key, error) {
	addr, err := s.locate()
	if err != nil {
		return nil, err
	}
	narrow, wide := clientip.Keys(addr)
	keys := []limit.Key{limit.AddrKey(narrow)}
	if wide != narrow {
		keys = append(keys, limit.AddrKey(wide))
	}
	return keys, nil
}

// PerKey counts by what of returns for a request, such as a tenant or an API
// key. The name appears in errors. A request for which of fails is refused with
// 500 (key_unavailable): no key is not the same as no limit.
func PerKey(name string, of func(*http.Request) (string, error)) Key {
	if name == "" || of == nil {
		panic(`wsguard: PerKey: name or function is missing: write PerKey("tenant", tenantOf)`)
	}
	return Key{name: name, of: func(_ *session, r *http.Request) ([]limit.Key, error) {
		key, err := of(r)
		return []limit.Key{limit.StringKey(key)}, err
	}}
}

// handshakeKey panics unless the key is one for handshakes.
func (k Key) handshakeKey(name string) {
	if k.of == nil {
		panic(fmt.Sprintf("wsguard: %s counts by Everyone, PerIP, PerUser or PerKey, not by %q: each connection by itself is always one", name, k.name))
	}
}

// LimitConns bounds how many connections are open at once: n for each key.
// A handshake over the limit gets 429 (connections_per_key), or 503
// (connections_total) for Everyone, with a Retry-After that is spread at random
// so that clients do not return together. (R31, R47, R61)
//
// A slot is taken before the upgrade and given back exactly once, when the
// socket closes or the handshake fails. At most 1,048,576 keys are counted
// apart; beyond that, new ones share the limit of one.
func LimitConns(n int, key Key) func(http.Handler) http.Handler {
	name := fmt.Sprintf("LimitConns(%s)", key.name)
	key.handshakeKey("LimitConns")
	if n < 1 {
		panic(fmt.Sprintf("wsguard: LimitConns: a limit of %d lets nobody in: write at least 1", n))
	}
	reason := "connections_per_key"
	if key.total {
		reason = "connections_total"
	}
	tables := []*limit.Slots{limit.NewSlots(n, maxSlotKeys), limit.NewSlots(wide(n), maxSlotKeys)}
	return safeguard(rule{name: name, needs: key.needs, follows: key.follows}, func(s *session, r *http.Request) *Refusal {
		keys, err := key.of(s, r)
		if err != nil {
			return keyRefusal(name, err)
		}
		for i, k := range keys {
			slot, ok := tables[i].Acquire(k)
			if !ok {
				refusal := refuse(name, reason, nil)
				refusal.RetryAfter = spread(10 * time.Second)
				return refusal
			}
			s.hold(slot.Release)
		}
		return nil
	})
}

// LimitHandshakes bounds how often a key may try to connect: r handshakes a
// second on average, burst at once. One over the limit gets 429
// (handshake_rate) with a Retry-After. Refused attempts count too: put it
// before Authenticate. At most 131,072 keys are counted apart; a key is
// forgotten only when that changes nothing. (R46, R61)
func LimitHandshakes(r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	name := fmt.Sprintf("LimitHandshakes(%s)", key.name)
	key.handshakeKey("LimitHandshakes")
	mustRate("LimitHandshakes", r, burst)
	tables := newTables(r, burst)
	return safeguard(rule{name: name, needs: key.needs, follows: key.follows}, func(s *session, req *http.Request) *Refusal {
		keys, err := key.of(s, req)
		if err != nil {
			return keyRefusal(name, err)
		}
		return takeHandshake(name, tables, keys)
	})
}

// takeHandshake takes a handshake from what each key has left.
func takeHandshake(name string, tables []*limit.Buckets, keys []limit.Key) *Refusal {
	for i, k := range keys {
		if ok, wait := tables[i].Allow(k, 1); !ok {
			refusal := refuse(name, "handshake_rate", nil)
			refusal.RetryAfter = wait + spread(time.Second)
			return refusal
		}
	}
	return nil
}

// LimitMessages bounds how many messages may come: r a second on average,
// burst at once, for each key; PerConn is the usual one, PerUser counts all of
// a user's connections together. A message over the limit ends the connection
// with 1008 (message_rate). [PaceMessages] slows down instead. A [MessageType]
// may say that a message counts as several. (R46)
func LimitMessages(r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	return limitMessages(rateKind{name: "LimitMessages", reason: "message_rate"}, r, burst, key)
}

// PaceMessages is [LimitMessages], but a message over the limit waits until it
// is within: nothing more is read meanwhile, so that TCP slows the peer down.
func PaceMessages(r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	return limitMessages(rateKind{name: "PaceMessages", reason: "message_rate", pace: true}, r, burst, key)
}

// LimitBytes bounds how many bytes of messages may come: r bytes a second on
// average, burst at once, for each key. Burst must be at least MaxMessageSize,
// or larger messages would never pass. A message over the limit ends the
// connection with 1008 (byte_rate). [PaceBytes] slows down instead. (R46, R49)
func LimitBytes(r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	return limitMessages(rateKind{name: "LimitBytes", reason: "byte_rate", bytes: true}, r, burst, key)
}

// PaceBytes is [LimitBytes], but slows the peer down as PaceMessages does.
func PaceBytes(r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	return limitMessages(rateKind{name: "PaceBytes", reason: "byte_rate", bytes: true, pace: true}, r, burst, key)
}

// A rateKind is what all connections of a limit on messages have in common.
type rateKind struct {
	name, reason string
	bytes        bool // counts bytes, not messages
	pace         bool // waits instead of refusing
}

// A rateRule is the limit for one connection. The bucket may be shared with
// others.
type rateRule struct {
	*rateKind
	bucket *limit.Bucket
}

func limitMessages(kind rateKind, r rate.Limit, burst int, key Key) func(http.Handler) http.Handler {
	mustRate(kind.name, r, burst)
	if key.name == "" {
		panic("wsguard: " + kind.name + ": the key is missing: write PerConn, PerUser, PerIP, Everyone or PerKey")
	}
	kind.name = fmt.Sprintf("%s(%s)", kind.name, key.name)
	ru := rule{name: kind.name, needs: key.needs, follows: key.follows}
	if kind.bytes {
		ru.byteBurst = int64(burst)
	} else {
		ru.messageBurst = burst
	}
	if key.of == nil { // each connection by itself
		return safeguard(ru, func(s *session, _ *http.Request) *Refusal {
			s.rules.rates = append(s.rules.rates, rateRule{&kind, limit.NewBucket(r, burst)})
			return nil
		})
	}
	tables := newTables(r, burst)
	return safeguard(ru, func(s *session, req *http.Request) *Refusal {
		keys, err := key.of(s, req)
		if err != nil {
			return keyRefusal(kind.name, err)
		}
		for i, k := range keys {
			bucket := tables[i].Bucket(k)
			s.hold(bucket.Release)
			s.rules.rates = append(s.rules.rates, rateRule{&kind, bucket})
		}
		return nil
	})
}

// check takes what so many messages of so many bytes cost, or waits for it.
func (l *rateRule) check(ctx context.Context, c *Conn, messages, bytes int) *Refusal {
	rules, cost := &c.s.rules, messages
	if l.bytes {
		cost = bytes
	}
	for {
		ok, wait := l.bucket.Allow(rules.time(c), cost)
		switch {
		case ok:
			return nil
		case !l.pace || wait <= 0: // a cost above the burst never passes
			r := refuse(l.name, l.reason, nil)
			r.RetryAfter = wait
			return r
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
			rules.now = time.Now()
		case <-c.s.conn.Done():
			t.Stop()
			return refuse(l.name, "context_ended", net.ErrClosed)
		case <-ctx.Done():
			t.Stop()
			_ = c.cancelled(ctx)
			return refuse(l.name, "context_ended", context.Cause(ctx))
		}
	}
}

// FrameLimits bounds what a peer may do with frames (RFC 6455, sections 5 and
// 10.4). A field that is zero has its default; none can be switched off, but
// each can be raised.
type FrameLimits struct {
	// ControlRate is how many control frames (pings, pongs that nobody asked
	// for, close) may come a second on average, ControlBurst how many at once.
	// The defaults are 10 and 20. More end the connection with 1008
	// (frame_flood): without a bound, a peer makes the library answer pings for
	// as long as it likes.
	ControlRate  rate.Limit
	ControlBurst int

	// Fragments is the most frames that one message may come in. The default is
	// 1,024. More end the connection with 1008 (frame_flood).
	Fragments int

	// EmptyFrames is how many frames in a row may carry nothing and end no
	// message. The default is 8. More end the connection with 1008
	// (frame_flood): no limit on size ever sees them.
	EmptyFrames int

	// FrameSize is the most bytes that one frame may declare. The default is
	// what MaxMessageSize allows a whole message; a larger value changes
	// nothing. More end the connection with 1009 (message_too_big), before the
	// payload.
	FrameSize int64

	// ByteRate is how many bytes a second are read from the socket on average,
	// ByteBurst how many at once; all bytes count. Beyond it nothing is read
	// for a while, so that TCP slows the peer down; nothing is refused. The
	// default is no limit. Both or none must be set.
	ByteRate  rate.Limit
	ByteBurst int
}

// LimitFrames changes the limits on frames, which hold on every connection
// that is upgraded inside a chain, below whatever library speaks the protocol.
// (R42, R44, R46, R49)
func LimitFrames(l FrameLimits) func(http.Handler) http.Handler {
	l.check()
	return safeguard(rule{name: "LimitFrames", provides: factFrames, passive: true}, func(s *session, _ *http.Request) *Refusal {
		l.apply(&s.limits)
		return nil
	})
}

// check panics for what is no limit.
func (l FrameLimits) check() {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"ControlBurst", int64(l.ControlBurst)}, {"Fragments", int64(l.Fragments)},
		{"EmptyFrames", int64(l.EmptyFrames)}, {"FrameSize", l.FrameSize}, {"ByteBurst", int64(l.ByteBurst)},
	} {
		if field.value < 0 {
			panic(fmt.Sprintf("wsguard: LimitFrames: %s is %d: write at least 1, or leave it out for the default", field.name, field.value))
		}
	}
	if l.ControlRate != 0 {
		mustRate("LimitFrames: ControlRate", l.ControlRate, max(l.ControlBurst, 1))
	}
	switch {
	case l.ByteRate == 0 && l.ByteBurst == 0:
	case l.ByteRate == 0:
		panic("wsguard: LimitFrames: ByteBurst is set without ByteRate and would limit nothing: write both, such as ByteRate: 64 << 10")
	default:
		mustRate("LimitFrames: ByteRate and ByteBurst", l.ByteRate, l.ByteBurst)
	}
}

// apply writes what is set over the defaults.
func (l FrameLimits) apply(to *wire.Limits) {
	if l.ControlRate != 0 {
		const year = 365 * 24 * time.Hour // longer makes no difference
		to.ControlEvery = time.Duration(min(float64(time.Second)/float64(l.ControlRate), float64(year)))
	}
	to.Controls = cmp.Or(l.ControlBurst, to.Controls)
	to.Fragments = cmp.Or(l.Fragments, to.Fragments)
	to.Empty = cmp.Or(l.EmptyFrames, to.Empty)
	to.FrameSize = l.FrameSize
	to.ByteRate, to.ByteBurst = l.ByteRate, l.ByteBurst
}

func newTables(r rate.Limit, burst int) []*limit.Buckets {
	return []*limit.Buckets{
		limit.NewBuckets(r, burst, maxBucketKeys),
		limit.NewBuckets(r*wideFactor, wide(burst), maxBucketKeys),
	}
}

func mustRate(name string, r rate.Limit, burst int) {
	if err := limit.CheckRate(r, burst); err != nil {
		panic("wsguard: " + name + ": " + err.Error())
	}
}

func keyRefusal(name string, err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return refuse(name, "key_unavailable", err)
}

// spread is a random time around d: from half of it to one and a half.
func spread(d time.Duration) time.Duration { return d/2 + rand.N(d) }
