package wsguard_test

import (
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// Limits on the wire that cannot be meant, and the sentences that say so.
func TestWireMistakes(t *testing.T) {
	frames := func(l wsguard.FrameLimits) func() { return func() { wsguard.LimitFrames(l) } }
	inside := func(outer, inner func(http.Handler) http.Handler) func() { return func() { outer(inner(bareEcho)) } }
	for _, row := range []struct {
		name string
		call func()
		want string
	}{
		{"ControlRate, negative", frames(wsguard.FrameLimits{ControlRate: -1}), "LimitFrames: ControlRate: rate -1 is no limit: write a finite number of events per second above zero"},
		{"ControlRate, infinite", frames(wsguard.FrameLimits{ControlRate: rate.Inf}), "LimitFrames: ControlRate: rate"},
		{"ControlRate, another infinity", frames(wsguard.FrameLimits{ControlRate: rate.Limit(math.Inf(1))}), "LimitFrames: ControlRate: rate +Inf is no limit"},
		{"ControlRate, no number", frames(wsguard.FrameLimits{ControlRate: rate.Limit(math.NaN())}), "LimitFrames: ControlRate: rate NaN is no limit"},
		{"ControlBurst, negative", frames(wsguard.FrameLimits{ControlBurst: -1}), "LimitFrames: ControlBurst is -1: write at least 1, or leave it out for the default"},
		{"Fragments, negative", frames(wsguard.FrameLimits{Fragments: -1}), "LimitFrames: Fragments is -1: write at least 1"},
		{"EmptyFrames, negative", frames(wsguard.FrameLimits{EmptyFrames: math.MinInt}), "LimitFrames: EmptyFrames is -"},
		{"FrameSize, negative", frames(wsguard.FrameLimits{FrameSize: -1}), "LimitFrames: FrameSize is -1: write at least 1, or leave it out for the default"},
		{"ByteBurst, negative", frames(wsguard.FrameLimits{ByteRate: 1, ByteBurst: -1}), "LimitFrames: ByteBurst is -1: write at least 1"},
		{"ByteBurst alone", frames(wsguard.FrameLimits{ByteBurst: 1}), "LimitFrames: ByteBurst is set without ByteRate and would limit nothing: write both, such as ByteRate: 64 << 10"},
		{"ByteRate alone", frames(wsguard.FrameLimits{ByteRate: 1}), "LimitFrames: ByteRate and ByteBurst: burst 0 allows nothing: write how many events may come at once"},
		{"ByteRate, negative", frames(wsguard.FrameLimits{ByteRate: -1, ByteBurst: 1}), "LimitFrames: ByteRate and ByteBurst: rate -1 is no limit"},
		{"ByteRate, infinite", frames(wsguard.FrameLimits{ByteRate: rate.Inf, ByteBurst: 1}), "LimitFrames: ByteRate and ByteBurst: rate"},
		{"ByteRate, no number", frames(wsguard.FrameLimits{ByteRate: rate.Limit(math.NaN()), ByteBurst: 1}), "rate NaN is no limit"},
		{"one mistake among what is right", frames(wsguard.FrameLimits{ControlRate: 1, ControlBurst: 1, Fragments: 1, EmptyFrames: -7, FrameSize: 1}), "LimitFrames: EmptyFrames is -7"},
		{"LimitFrames, twice", inside(wsguard.LimitFrames(wsguard.FrameLimits{}), wsguard.LimitFrames(wsguard.FrameLimits{Fragments: 1})),
			"LimitFrames stands inside LimitFrames, but a chain takes only one of them: leave one out"},
		{"LimitFrames, nil handler", func() { wsguard.LimitFrames(wsguard.FrameLimits{})(nil) }, "LimitFrames: the handler is nil"},

		{"FirstMessageTimeout, zero", func() { wsguard.FirstMessageTimeout(0) }, "FirstMessageTimeout: duration is 0s and would end every connection: write a time with its unit such as 30*time.Second, or leave FirstMessageTimeout out"},
		{"FirstMessageTimeout, negative", func() { wsguard.FirstMessageTimeout(-time.Second) }, "FirstMessageTimeout: duration is -1s"},
		{"FirstMessageTimeout, no unit", func() { wsguard.FirstMessageTimeout(30) }, "FirstMessageTimeout: duration is 30ns"},
		{"FirstMessageTimeout, twice", inside(wsguard.FirstMessageTimeout(time.Second), wsguard.FirstMessageTimeout(time.Minute)), "FirstMessageTimeout stands inside FirstMessageTimeout"},
		{"MessageTimeout, zero", func() { wsguard.MessageTimeout(0, 4096) }, "MessageTimeout: duration is 0s and would end every connection"},
		{"MessageTimeout, no unit", func() { wsguard.MessageTimeout(10, 4096) }, "MessageTimeout: duration is 10ns"},
		{"MessageTimeout, no rate", func() { wsguard.MessageTimeout(time.Second, 0) }, "MessageTimeout: a rate of 0 bytes a second lets a message take for ever: write at least 1, such as 4096"},
		{"MessageTimeout, negative rate", func() { wsguard.MessageTimeout(time.Second, -4096) }, "MessageTimeout: a rate of -4096 bytes a second"},
		{"MessageTimeout, twice", inside(wsguard.MessageTimeout(time.Second, 1), wsguard.MessageTimeout(time.Second, 1)), "MessageTimeout stands inside MessageTimeout"},
		{"WriteTimeout, zero", func() { wsguard.WriteTimeout(0) }, "WriteTimeout: duration is 0s and would end every connection"},
		{"WriteTimeout, no unit", func() { wsguard.WriteTimeout(10) }, "WriteTimeout: duration is 10ns"},
		{"WriteTimeout, twice", inside(wsguard.WriteTimeout(time.Second), wsguard.WriteTimeout(time.Second)), "WriteTimeout stands inside WriteTimeout"},
		{"InsecureKeepRefused, twice", inside(wsguard.InsecureKeepRefused(), wsguard.InsecureKeepRefused()), "InsecureKeepRefused stands inside InsecureKeepRefused"},
	} {
		t.Run(row.name, func(t *testing.T) { wantPanic(t, row.want, row.call) })
	}
}

// What a limit on frames refuses, and with what.
var (
	flood  = refusedWith(1008, "frame flood")
	tooBig = refusedWith(1009, "message too big")
)

func times(n int, frame []byte) []byte { return []byte(strings.Repeat(string(frame), n)) }

// Each limit at its default, raised and lowered: what is at the limit passes,
// one more is refused with the header that shows it. R42, R44, R46
func TestLimitFrames(t *testing.T) {
	empty, full, end := more(""), more("x"), last("")
	// A length is judged before the key comes.
	header := func(first byte, n uint64) []byte { return frameHeader(first, n)[:len(frameHeader(first, n))-4] }
	ofSize := func(n int) string { return strings.Repeat("x", n) }
	for _, tc := range []struct {
		name   string
		limits wsguard.FrameLimits
		moves  []move
		end    ending
	}{
		{"1,024 fragments by default", wsguard.FrameLimits{}, do(send(beginText(""), times(1022, full), end).backs(textBack(ofSize(1022)))), well},
		{"1,025 fragments by default", wsguard.FrameLimits{}, do(send(beginText(""), times(1023, full)), send(header(final, 5))), flood},
		{"3,000 fragments", wsguard.FrameLimits{Fragments: 3000}, do(send(beginText(""), times(2998, full), end).backs(textBack(ofSize(2998)))), well},
		{"one fragment too many", wsguard.FrameLimits{Fragments: 3000}, do(send(beginText(""), times(2999, full)), send(header(final, 5))), flood},
		{"two fragments", wsguard.FrameLimits{Fragments: 2}, do(send(beginText("a"), last("b")).backs(textBack("ab"))), well},
		{"a third fragment", wsguard.FrameLimits{Fragments: 2}, do(send(beginText("a"), more("b")), send(header(opContinuation, 5))), flood},
		{"no fragments", wsguard.FrameLimits{Fragments: 1}, do(send(text("a"), text("b")).backs(textBack("a"), textBack("b"))), well},
		{"a fragment where there are none", wsguard.FrameLimits{Fragments: 1}, do(send(beginText("a")), send(header(final, 5))), flood},
		{"fragments are counted for each message", wsguard.FrameLimits{Fragments: 2}, do(
			send(beginText("a"), last("b")).backs(textBack("ab")), send(beginText("c"), last("d")).backs(textBack("cd"))), well},
		{"a control frame is no fragment", wsguard.FrameLimits{Fragments: 2}, do(
			send(beginText("a"), ping(""), pong("")).backs(pongBack("")), send(last("b")).backs(textBack("ab"))), well},

		{"8 empty frames by default", wsguard.FrameLimits{}, do(send(beginText(""), times(7, empty), last("x")).backs(textBack("x"))), well},
		{"8 empty frames and an empty end", wsguard.FrameLimits{}, do(send(beginText(""), times(7, empty), end).backs(textBack(""))), well},
		{"9 empty frames by default", wsguard.FrameLimits{}, do(send(beginText(""), times(7, empty)), send(empty)), flood},
		{"100 empty frames", wsguard.FrameLimits{EmptyFrames: 100}, do(send(beginText(""), times(99, empty), end).backs(textBack(""))), well},
		{"101 empty frames", wsguard.FrameLimits{EmptyFrames: 100}, do(send(beginText(""), times(99, empty)), send(empty)), flood},
		{"one empty frame", wsguard.FrameLimits{EmptyFrames: 1}, do(send(beginText(""), last("x")).backs(textBack("x"))), well},
		{"a second empty frame", wsguard.FrameLimits{EmptyFrames: 1}, do(send(beginText("")), send(empty)), flood},
		{"empty frames after one that is not", wsguard.FrameLimits{EmptyFrames: 2}, do(send(beginText("x"), empty, empty), send(empty)), flood},
		{"a frame with a byte begins the count anew", wsguard.FrameLimits{EmptyFrames: 2}, do(
			send(beginText(""), empty, full, empty, empty, full, empty, empty, end).backs(textBack("xx"))), well},
		{"the end of a message begins the count anew", wsguard.FrameLimits{EmptyFrames: 2}, do(
			send(beginText(""), empty, end).backs(textBack("")), send(beginText(""), empty, end).backs(textBack(""))), well},
		{"a control frame does not", wsguard.FrameLimits{EmptyFrames: 2}, do(
			send(beginText(""), ping("a")).backs(pongBack("a")), send(empty, ping("b"), pong("c")).backs(pongBack("b")), send(empty)), flood},
		{"whole empty messages are none of them", wsguard.FrameLimits{EmptyFrames: 1}, do(send(times(5, text(""))).backs(
			textBack(""), textBack(""), textBack(""), textBack(""), textBack(""))), well},

		{"a frame of the default size", wsguard.FrameLimits{}, do(send(text(ofSize(32 << 10))).backs(textBack(ofSize(32 << 10)))), well},
		{"a frame above the default size", wsguard.FrameLimits{}, do(octets(header(final|opText, 32<<10+1))), tooBig},
		{"a frame of 10 bytes", wsguard.FrameLimits{FrameSize: 10}, do(send(text(ofSize(10))).backs(textBack(ofSize(10)))), well},
		{"a frame of 11 bytes", wsguard.FrameLimits{FrameSize: 10}, do(octets(header(final|opText, 11))), tooBig},
		{"a binary frame of a terabyte", wsguard.FrameLimits{FrameSize: 10}, do(octets(header(final|opBinary, 1<<40))), tooBig},
		{"fragments of 10 bytes", wsguard.FrameLimits{FrameSize: 10}, do(
			send(beginText(ofSize(10)), more(ofSize(10)), last(ofSize(10))).backs(textBack(ofSize(30)))), well},
		{"a fragment of 11 bytes", wsguard.FrameLimits{FrameSize: 10}, do(send(beginText(ofSize(10))), octets(header(final, 11))), tooBig},
		{"a ping longer than a frame", wsguard.FrameLimits{FrameSize: 10}, do(send(ping(ofSize(100))).backs(pongBack(ofSize(100)))), well},
		{"a frame size above that of a message", wsguard.FrameLimits{FrameSize: 1 << 30}, do(octets(header(final|opText, 32<<10+1))), tooBig},
		{"one byte a frame", wsguard.FrameLimits{FrameSize: 1}, do(send(beginText("a"), last("b")).backs(textBack("ab"))), well},

		{"20 pings at once by default", wsguard.FrameLimits{}, append(pings(20), move{}.after(time.Second)), well},
		{"21 pings at once by default", wsguard.FrameLimits{}, append(pings(20), send(ping("x"))), flood},
		{"21 pongs at once by default", wsguard.FrameLimits{}, do(send(times(20, pong(""))), send(pong(""))), flood},
		{"10 pings a second by default", wsguard.FrameLimits{}, append(pings(20), slowly(100, 100*time.Millisecond, time.Second)...), well},
		{"11 pings a second by default", wsguard.FrameLimits{}, append(pings(20), send(ping("x")).after(90*time.Millisecond)), flood},
		{"20 pings at once after an hour", wsguard.FrameLimits{}, append(append(pings(20), pings(20)[0].after(time.Hour)), append(pings(19), send(ping("x")))...), flood},
		{"200 pings at once", wsguard.FrameLimits{ControlBurst: 200}, append(pings(200), move{}.after(time.Second)), well},
		{"201 pings at once", wsguard.FrameLimits{ControlBurst: 200}, append(pings(200), send(ping("x"))), flood},
		{"one ping at once", wsguard.FrameLimits{ControlBurst: 1}, append(pings(1), move{}.after(time.Second)), well},
		{"two pings at once", wsguard.FrameLimits{ControlBurst: 1}, append(pings(1), send(ping("x"))), flood},
		{"100 pings a second", wsguard.FrameLimits{ControlRate: 100, ControlBurst: 1}, append(pings(1), slowly(500, 10*time.Millisecond, time.Second)...), well},
		{"111 pings a second", wsguard.FrameLimits{ControlRate: 100, ControlBurst: 1}, append(pings(1), send(ping("x")).after(9*time.Millisecond)), flood},
		{"a ping an hour", wsguard.FrameLimits{ControlRate: rate.Every(time.Hour), ControlBurst: 1}, append(pings(1), slowly(10, time.Hour, time.Hour)...), well},
		{"a ping in less than an hour", wsguard.FrameLimits{ControlRate: rate.Every(time.Hour), ControlBurst: 1}, append(pings(1), send(ping("x")).after(59*time.Minute)), flood},
		{"control frames are counted together", wsguard.FrameLimits{ControlBurst: 3}, do(
			send(pong("")), send(ping("a")).backs(pongBack("a")), send(pong("")), send(closing(""))), flood},
		{"those between fragments are, too", wsguard.FrameLimits{ControlBurst: 2}, do(
			send(beginText("a"), ping("a")).backs(pongBack("a")), send(more("b"), ping("b")).backs(pongBack("b")), send(pong(""))), flood},
		{"messages are no control frames", wsguard.FrameLimits{ControlBurst: 1}, do(
			send(text("a"), beginText("b"), last("c")).backs(textBack("a"), textBack("bc"))), well},
	} {
		t.Run(tc.name, func(t *testing.T) {
			timed(t, echoes, just(wsguard.LimitFrames(tc.limits)), func(t *testing.T, rec *recorder, m *memoryServer) {
				play(t, script{moves: tc.moves, end: tc.end}, m.raw().peer, synctest.Wait)
				e := next(t, rec.closes)
				if tc.end == well {
					if len(rec.violations) > 0 || e.Refusal != nil {
						t.Errorf("it was refused: %v", e.Refusal)
					}
					return
				}
				safeguard, reason := "LimitFrames", "frame_flood"
				if tc.end == tooBig {
					reason = "message_too_big"
					if size := tc.limits.FrameSize; size == 0 || size > 32<<10 {
						safeguard = "MaxMessageSize"
					}
				}
				rec.wantViolation(t, safeguard, reason, "close")
				if reasonOf(e.Refusal) != reason || len(rec.violations) > 0 {
					t.Errorf("closed for %v, and %d violations more", e.Refusal, len(rec.violations))
				}
			})
		})
	}
}

// pings are n pings at once, each of which is answered.
func pings(n int) (moves []move) {
	for i := range n {
		moves = append(moves, send(ping(fmt.Sprint(i))).backs(pongBack(fmt.Sprint(i))))
	}
	return moves
}

// slowly are n pings every so often, and a pause.
func slowly(n int, every, pause time.Duration) (moves []move) {
	for _, m := range pings(n) {
		moves = append(moves, m.after(every))
	}
	return append(moves, move{}.after(pause))
}

// The pong that a ping of ours asks for is free: KeepAlive works at any rate of
// control frames. R46, R48
func TestPongsThatWereAskedFor(t *testing.T) {
	strict := just(wsguard.KeepAlive(time.Second, time.Second), wsguard.LimitFrames(wsguard.FrameLimits{ControlRate: rate.Every(24 * time.Hour), ControlBurst: 1}))
	timed(t, echoes, strict, func(t *testing.T, rec *recorder, m *memoryServer) {
		send := m.raw().answerPings()
		pass(time.Hour)
		if len(rec.closes) > 0 {
			t.Fatalf("it was ended: %v", (<-rec.closes).Refusal)
		}
		send(pong("")) // the one that may come unasked
		send(pong(""))
		rec.wantViolation(t, "LimitFrames", "frame_flood", "close")
	})
}

// A rate that is next to nothing is next to nothing, and not no limit. R46
func TestControlRatesThatAreSmall(t *testing.T) {
	for _, l := range []wsguard.FrameLimits{
		{ControlRate: 1e-9, ControlBurst: 2}, {ControlRate: 1e-12, ControlBurst: 2},
		{ControlRate: rate.Every(24 * time.Hour), ControlBurst: 1 << 20}, {ControlRate: math.SmallestNonzeroFloat64, ControlBurst: 2},
	} {
		t.Run(fmt.Sprint(l.ControlRate), func(t *testing.T) {
			timed(t, echoes, just(wsguard.LimitFrames(l)), func(t *testing.T, rec *recorder, m *memoryServer) {
				s := script{moves: pings(2), end: well}
				if l.ControlBurst == 2 {
					s = script{moves: append(pings(2), send(ping("x")).after(time.Hour)), end: flood}
				}
				play(t, s, m.raw().peer, synctest.Wait)
			})
		})
	}
}
