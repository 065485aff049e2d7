package wsguard_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// inFragments is a message in the fragments given.
func inFragments(op byte, parts ...string) (frames [][]byte) {
	for i, part := range parts {
		first := byte(opContinuation)
		if i == 0 {
			first = op
		}
		if i == len(parts)-1 {
			first |= final
		}
		frames = append(frames, masked(first, part))
	}
	return frames
}

// partitions are all ways to cut s into parts that are not empty.
func partitions(s string) (all [][]string) {
	for cuts := range 1 << (len(s) - 1) {
		parts, from := []string(nil), 0
		for i := range len(s) - 1 {
			if cuts>>i&1 == 1 {
				parts, from = append(parts, s[from:i+1]), i+1
			}
		}
		all = append(all, append(parts, s[from:]))
	}
	return all
}

// A message is the same in whatever fragments it comes.
func TestConformanceFragments(t *testing.T) {
	var rows []script
	const message = "a\u20ACé" // 1, 3 and 2 bytes
	for _, parts := range partitions(message) {
		frames := inFragments(opText, parts...)
		name := fmt.Sprintf("5.4 text in fragments %q", parts)
		rows = append(rows,
			script{name: name, moves: do(send(frames...).backs(textBack(message)))},
			script{name: name + ", a write each", moves: do(each(frames...).backs(textBack(message)))},
			script{name: name + " by the octet", moves: do(octets(frames...).backs(textBack(message)))})
	}
	for n := 2; n <= 10; n++ {
		frames := inFragments(opBinary, strings.Split(strings.Repeat("\xFF\x00|", n-1)+"\xFE", "|")...)
		back := binaryBack(strings.Repeat("\xFF\x00", n-1) + "\xFE")
		rows = append(rows,
			script{name: fmt.Sprintf("5.4 binary in %d fragments", n), moves: do(each(frames...).backs(back))},
			script{name: fmt.Sprintf("5.4 binary in %d fragments by the octet", n), moves: do(octets(frames...).backs(back))})
	}
	for _, parts := range [][]string{
		{"", ""}, {"", "", ""}, {"", "abc"}, {"abc", ""}, {"", "abc", ""}, {"a", "", "", "b", "", "c"},
		{"\xE2", "", "\x82", "", "\xAC"}, // a character with empty fragments in it
	} {
		frames, whole := inFragments(opText, parts...), strings.Join(parts, "")
		rows = append(rows,
			script{name: fmt.Sprintf("5.4 fragments of which some are empty, %q", parts), moves: do(each(frames...).backs(textBack(whole)))},
			script{name: fmt.Sprintf("5.4 fragments of which some are empty, %q, in one write", parts), moves: do(send(frames...).backs(textBack(whole)))})
	}
	hundred := inFragments(opText, strings.Split(strings.Repeat("x", 100), "")...)
	two := append(inFragments(opText, "a", "b"), inFragments(opBinary, "\xC3", "d")...)
	conform(t, append(rows,
		script{name: "5.4 a hundred fragments", moves: do(send(hundred...).backs(textBack(strings.Repeat("x", 100))))},
		script{name: "5.4 two messages in fragments", moves: do(send(two...).backs(textBack("ab"), binaryBack("\xC3d")))},
		script{name: "5.4 fragments, then a whole message", moves: do(
			each(inFragments(opBinary, "a", "b")...).backs(binaryBack("ab")), send(text("c")).backs(textBack("c")))},
	))
}

// Control frames may stand between fragments, and are answered there.
func TestConformanceControlBetweenFragments(t *testing.T) {
	goodbye := status(1000, "bye")
	conform(t, []script{
		{name: "5.4 ping between two fragments", moves: do(
			send(beginText("a"), ping("1")).backs(pongBack("1")),
			send(last("b")).backs(textBack("ab")))},
		{name: "5.4 ping between two fragments by the octet", moves: do(
			octets(beginText("a"), ping("1")).backs(pongBack("1")),
			octets(last("b")).backs(textBack("ab")))},
		{name: "5.4 ping with 125 bytes between two fragments", moves: do(
			send(beginText("a"), ping(strings.Repeat("p", 125))).backs(pongBack(strings.Repeat("p", 125))),
			send(last("b")).backs(textBack("ab")))},
		{name: "5.4 pings in every gap", moves: do(
			send(masked(opBinary, "a"), ping("1"), ping("2")).backs(pongBack("1"), pongBack("2")),
			send(more(""), ping("3")).backs(pongBack("3")),
			send(more("b"), pong("4")),
			send(last("c"), ping("5")).backs(binaryBack("abc"), pongBack("5")))},
		{name: "5.4 all of it in one write", moves: do(
			send(beginText("a"), ping("1"), more("b"), pong("no"), ping("2"), last("c")).backs(pongBack("1"), pongBack("2"), textBack("abc")))},
		{name: "5.4 ping within a character", moves: do(
			send(beginText("\xF0\x9F"), ping("\xFF")).backs(pongBack("\xFF")),
			send(last("\x98\x80")).backs(textBack("\U0001F600")))},
		{name: "5.4 ten pongs between fragments", moves: do(
			send(beginText("a"), bytes.Repeat(pong("x"), 10)), send(last("b")).backs(textBack("ab")))},
		{name: "5.4 close between fragments", moves: do(send(beginText("a")), send(closing(goodbye))), end: agreed(goodbye),
			after: [][]byte{last("b")}},
		{name: "5.4 close within a character", moves: do(send(beginText("\xF0\x9F")), octets(closing(goodbye))), end: agreed(goodbye)},
	})
}

// A continuation continues something, and nothing else begins meanwhile. The
// error shows in two bytes.
func TestConformanceContinuations(t *testing.T) {
	var rows []script
	for name, frame := range map[string][]byte{
		"a continuation": more("x"), "an empty continuation": more(""), "a last fragment": last("x"), "an empty last fragment": last(""),
	} {
		rows = append(rows,
			script{name: "5.4 " + name + " of nothing", moves: do(octets(frame[:2])), end: broken},
			script{name: "5.4 " + name + " of nothing, and a message", moves: do(send(frame, text("SMUGGLED"))), end: broken},
			script{name: "5.4 " + name + " of a message that is whole", moves: do(send(text("a")).backs(textBack("a")), octets(frame[:2])), end: broken},
			script{name: "5.4 " + name + " of fragments that have ended", moves: do(
				send(beginText("a"), last("b")).backs(textBack("ab")), octets(frame[:2])), end: broken},
			script{name: "5.4 " + name + " of a ping", moves: do(send(ping("p")).backs(pongBack("p")), octets(frame[:2])), end: broken},
		)
	}
	for name, first := range map[string]byte{
		"text": final | opText, "binary": final | opBinary, "fragmented text": opText, "fragmented binary": opBinary,
	} {
		for _, payload := range []string{"", "x"} {
			frame := masked(first, payload)
			in := func(what string, before ...[]byte) script {
				return script{name: fmt.Sprintf("5.4 %s of %d bytes in %s", name, len(payload), what),
					moves: do(send(before...), octets(frame[:2])), end: broken, after: [][]byte{last("SMUGGLED")}}
			}
			rows = append(rows,
				in("text", beginText("a")), in("binary", masked(opBinary, "a")), in("empty text", beginText("")),
				in("text that has gone on", beginText("a"), more("b"), more("")))
		}
		rows = append(rows, script{name: "5.4 " + name + " in text, after a ping", moves: do(
			send(beginText("a"), ping("1")).backs(pongBack("1")), octets(masked(first, "x")[:2])), end: broken})
	}
	conform(t, rows)
}
