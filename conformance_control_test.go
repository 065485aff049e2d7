package wsguard_test

import (
	"fmt"
	"strings"
	"testing"
)

// A ping is answered with its payload, in order and at once; a pong with
// nothing.
func TestConformancePings(t *testing.T) {
	every := make([]byte, 125) // what is no text, too
	for i := range every {
		every[i] = byte(255 - 2*i)
	}
	var rows []script
	for name, payload := range map[string]string{
		"nothing": "", "one byte": "x", "text": "héllo", "binary": "\x00\xFF\xFE\xFD\xFC\xFB\x00\xFF",
		"what looks like a frame": string(text("x")), "125 bytes": string(every),
	} {
		rows = append(rows,
			script{name: "5.5.2 ping with " + name, moves: do(send(ping(payload)).backs(pongBack(payload)))},
			script{name: "5.5.2 ping with " + name + " by the octet", moves: do(octets(ping(payload)).backs(pongBack(payload)))},
			script{name: "5.5.3 pong with " + name + " that nobody asked for", moves: do(send(pong(payload)))},
			script{name: "5.5.3 pong with " + name + " by the octet", moves: do(octets(pong(payload)))},
		)
	}
	var ten, tenBack []byte
	var pongs []reply
	var apart []move
	for i := range 10 {
		payload := fmt.Sprint("payload ", i)
		ten = append(ten, ping(payload)...)
		pongs = append(pongs, pongBack(payload))
		apart = append(apart, octets(ping(payload)).backs(pongBack(payload)))
		tenBack = append(tenBack, pong(payload)...)
	}
	conform(t, append(rows,
		script{name: "5.5.2 ten pings in one write", moves: do(send(ten).backs(pongs...))},
		script{name: "5.5.2 ten pings by the octet", moves: apart},
		script{name: "5.5.3 ten pongs, then a ping", moves: do(send(tenBack, ping("mine")).backs(pongBack("mine")))},
		script{name: "5.5.3 a pong, then a ping with the same payload", moves: do(send(pong("same"), ping("same")).backs(pongBack("same")))},
		script{name: "5.5.3 a pong, then a message", moves: do(send(pong("pong")), send(text("a")).backs(textBack("a")))},
		script{name: "5.5.2 ping, message, ping in one write", moves: do(
			send(ping("1"), text("a"), ping("2")).backs(pongBack("1"), textBack("a"), pongBack("2")))},
		script{name: "5.5.2 a ping and half a message", moves: do(
			send(ping("1"), text("hello")[:8]).backs(pongBack("1")), send(text("hello")[8:]).backs(textBack("hello")))},
	))
}

// A control frame is whole and of at most 125 bytes. One that is not is refused
// when two bytes of its header are there.
func TestConformanceControlFrames(t *testing.T) {
	var rows []script
	for name, op := range map[string]byte{"ping": opPing, "pong": opPong, "close": opClose} {
		for _, n := range []int{126, 127, 1000, 1 << 16} {
			long := masked(final|op, strings.Repeat("x", n))
			rows = append(rows,
				script{name: fmt.Sprintf("5.5 %s of %d bytes", name, n), moves: do(send(long)), end: broken},
				script{name: fmt.Sprintf("5.5 %s of %d bytes, of which two are there", name, n), moves: do(octets(long[:2])), end: broken},
				script{name: fmt.Sprintf("5.5 %s of %d bytes between fragments", name, n), moves: do(
					send(beginText("a")), octets(long[:2])), end: broken, after: [][]byte{last("b")}},
			)
		}
		short := []byte{final | op, 0x80 | 126, 0, 2, 0, 0, 0, 0, 3, 232}
		rows = append(rows,
			script{name: "5.5 " + name + " of 2 bytes with a length of 16 bits", moves: do(octets(short[:2])), end: broken},
			script{name: "5.5 " + name + " in fragments", moves: do(octets(masked(op, "")[:2])), end: broken,
				after: [][]byte{last(""), ping("SMUGGLED")}},
			script{name: "5.5 " + name + " with a payload, in fragments", moves: do(
				send(masked(op, status(1000, "")), last(""))), end: broken},
			script{name: "5.5 " + name + " in fragments between fragments", moves: do(
				send(beginText("a")), octets(masked(op, "")[:2])), end: broken, after: [][]byte{last("b")}},
			script{name: "5.5 " + name + " in fragments after a message", moves: do(
				send(text("fine")).backs(textBack("fine")), octets(masked(op, "")[:2])), end: broken},
		)
	}
	conform(t, rows)
}
