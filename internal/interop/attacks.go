package interop

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"time"

	"github.com/wsguard/wsguard"
)

// An attack is a row of the table: what a client does to a server, whatever
// library it runs.
type attack struct {
	name   string
	what   string // in one sentence
	source string // who warns of it
	window time.Duration

	early  []byte // sent in one segment with the handshake
	prefix []byte // sent first
	frame  []byte // and then repeated, in a flood
	most   int    // bytes of it; 0 is no bound
	deaf   bool   // reads nothing
	slows  bool   // nothing in it is forbidden, there is only too much of it
	run    func(*attacker)

	// What becomes of it inside a chain: what observers are told, and the close
	// code that the client sees with it. Where a library's own close is at
	// work, either may come first, and observers may have nothing to tell.
	reason  string
	why     string // is part of what they are told, where a reason has several
	code    int
	closing bool

	delivers bool // messages reach the application, and may
}

// How long an attack lasts at the most where nobody stops it.
const (
	burst = 1500 * time.Millisecond // as much work as fits in
	brief = 3 * time.Second         // for what is judged at once
	long  = 65 * time.Second        // longer than any default of a library
)

// The limits of the chain that are not the defaults. A message of melody has
// at most 512 bytes, which are fewer than the fragments of the default.
const (
	guardedFragments = 256
	guardedStall     = 500 * time.Millisecond // of a message, and of a write
	guardedRate      = 64 << 10               // bytes a second, for the row about it
	guardedBurst     = 16 << 10
)

const terabyte = 1 << 40

var attacks = []attack{
	{
		name: "empty continuations", source: "RFC 6455, section 10.4; CWE-770", window: burst,
		what:   "A message of one byte is continued with frames of no bytes, without end: no limit on size ever sees them.",
		prefix: frame(opText, []byte("x")), frame: frame(0, nil), run: (*attacker).flood,
		reason: "frame_flood", why: "empty", code: 1008,
	},
	{
		name: "one-byte fragments", source: "RFC 6455, section 10.4; CWE-770", window: burst,
		what:   "A message is continued with frames of one byte, without end.",
		prefix: frame(opText, []byte("x")), frame: frame(0, []byte("x")), run: (*attacker).flood,
		reason: "frame_flood", why: "fragments", code: 1008,
	},
	{
		name: "ping flood", source: "RFC 6455, section 5.5.2; CWE-770", window: burst,
		what:  "Pings come as fast as the server takes them, and each is to be answered.",
		frame: frame(0x80|opPing, nil), run: (*attacker).flood,
		reason: "frame_flood", why: "control", code: 1008,
	},
	{
		name: "pong flood", source: "RFC 6455, section 5.5.3; CWE-770", window: burst,
		what:  "Pongs that nobody asked for come as fast as the server takes them.",
		frame: frame(0x80|opPong, nil), run: (*attacker).flood,
		reason: "frame_flood", why: "control", code: 1008,
	},
	{
		name: "flood with the handshake", source: "RFC 6455, section 10.4; CWE-770", window: burst,
		what: "The same segment carries the handshake and empty continuations, before the server has answered; more follow. " +
			"A library that refuses or loses all that comes so early, also from ordinary clients, counts as one that stops it.",
		early: append(frame(opText, []byte("x")), bytes.Repeat(frame(0, nil), 1000)...), frame: frame(0, nil), run: (*attacker).flood,
		reason: "frame_flood", why: "empty", code: 1008,
	},
	{
		name: "giant frame, streamed", source: "RFC 6455, section 10.4; CWE-789", window: burst,
		what:   "A frame declares a terabyte, and comes as fast as the server takes it (here up to 128 MiB).",
		prefix: header(0x80|opBinary, terabyte), frame: make([]byte, 64<<10), most: 128 << 20, run: (*attacker).flood,
		reason: "message_too_big", code: 1009,
	},
	{
		name: "giant frame, dripped", source: "RFC 6455, section 10.4; CWE-400", window: long,
		what:   "A frame declares a terabyte, and comes at one byte a second.",
		prefix: header(0x80|opBinary, terabyte), run: func(a *attacker) { a.drip(time.Second) },
		reason: "message_too_big", code: 1009,
	},
	{
		name: "half header", source: "ASVS 15.2.2; CWE-400", window: long,
		what:   "The first byte of a frame comes, and no other.",
		run:    func(a *attacker) { _ = a.send(text("hello")[:1]) },
		reason: "slow_message", code: 3008,
	},
	{
		name: "half control frame", source: "ASVS 15.2.2; CWE-400", window: long,
		what:   "A ping comes with two of its five bytes, and no more.",
		run:    func(a *attacker) { _ = a.send(frame(0x80|opPing, []byte("hello"))[:8]) },
		reason: "slow_message", code: 3008,
	},
	{
		name: "dripped payload", source: "ASVS 15.2.2; CWE-400", window: long,
		what:   "A message of 400 bytes comes at five bytes a second.",
		prefix: header(0x80|opBinary, 400), run: func(a *attacker) { a.drip(200 * time.Millisecond) },
		reason: "slow_message", code: 3008,
	},
	{
		name: "reader that stops", source: "ASVS 15.2.2; CWE-400", window: long,
		what:     "The server has much to send, and the client reads none of it.",
		run:      func(a *attacker) { _ = a.send(text("stream")) },
		deaf:     true,
		delivers: true, // the request for it
		reason:   "slow_reader",
	},
	{
		name: "bytes over rate", source: "OWASP WebSocket cheat sheet; CWE-770", window: burst,
		what:  "Messages of 400 bytes, nothing wrong with any of them, come as fast as the server takes them.",
		frame: frame(0x80|opBinary, make([]byte, 400)), run: (*attacker).flood,
		slows: true, delivers: true,
	},
	{
		name: "reserved bits", source: "RFC 6455, section 5.2", window: brief,
		what:   "A frame has a reserved bit set that no extension gives a meaning.",
		run:    func(a *attacker) { _ = a.send(frame(0x80|0x40|opText, []byte("x"))) },
		reason: "protocol_error", why: "reserved", code: 1002,
	},
	{
		name: "unmasked frame", source: "RFC 6455, sections 5.1 and 10.3", window: brief,
		what:   "A frame of the client is not masked.",
		run:    func(a *attacker) { _ = a.send([]byte{0x80 | opText, 1, 'x'}) },
		reason: "protocol_error", why: "masked", code: 1002,
	},
	{
		name: "invalid UTF-8 in a fragment", source: "RFC 6455, sections 5.6 and 8.1", window: brief,
		what: "The first fragment of a text is not UTF-8; the last comes half of the time later, if there still is a connection.",
		run: func(a *attacker) {
			_ = a.send(frame(opText, []byte("\xFF")))
			a.wait(time.Until(a.until) / 2)
			_ = a.send(frame(0x80, []byte("x")))
		},
		reason: "invalid_utf8", code: 1007,
	},
	{
		name: "close reason that is not UTF-8", source: "RFC 6455, section 5.5.1", window: brief,
		what: "A close frame carries code 1000 and a reason that is not UTF-8.",
		run: func(a *attacker) {
			_ = a.send(frame(0x80|opClose, append(binary.BigEndian.AppendUint16(nil, 1000), 0xFF, 0xFE)))
		},
		reason: "invalid_utf8", code: 1007,
	},
	{
		name: "giant frame before the close", source: "RFC 6455, section 7.1.1; CWE-400", window: long,
		what:   "While the application closes, a frame that declares a terabyte is on the way, and then drips.",
		prefix: bytes.Join([][]byte{text("close"), header(0x80|opText, terabyte), make([]byte, 40<<10)}, nil),
		run:    func(a *attacker) { a.drip(20 * time.Millisecond) },
		reason: "message_too_big", code: 1009, closing: true, delivers: true,
	},
	{
		name: "giant frame after the close", source: "RFC 6455, section 7.1.1; CWE-400", window: long,
		what:   "The application closes, and the client answers with a frame that declares a terabyte, and drips.",
		prefix: header(0x80|opText, terabyte),
		run: func(a *attacker) {
			_ = a.send(text("close"))
			select {
			case <-a.told:
			case <-a.read:
			}
			a.drip(20 * time.Millisecond)
		},
		reason: "message_too_big", code: 1009, closing: true, delivers: true,
	},
}

// limits are the safeguards around the library, of which those that the rig
// always has are far away.
func (at *attack) limits() limits {
	frames := wsguard.FrameLimits{Fragments: guardedFragments}
	if at.slows {
		frames.ByteRate, frames.ByteBurst = guardedRate, guardedBurst
	}
	return limits{conns: 1, more: []func(http.Handler) http.Handler{
		wsguard.LimitFrames(frames),
		wsguard.MessageTimeout(guardedStall, 4096),
		wsguard.WriteTimeout(guardedStall),
	}}
}
