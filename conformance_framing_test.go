package wsguard_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Both kinds of messages, of every length at which a header changes, in writes
// of every kind.
func TestConformanceLengths(t *testing.T) {
	var rows []script
	for _, n := range []int{0, 1, 124, 125, 126, 127, 128, 254, 255, 256, 997, 1024, 4095, 4096, 4097, 65534, 65535, 65536, 65537} {
		payload := strings.Repeat("0123456789", n/10+1)[:n]
		for name, frame := range map[string][]byte{"text": text(payload), "binary": binaries(payload)} {
			back := reply{frame[0], payload}
			rows = append(rows, script{name: fmt.Sprintf("5.2 %s of %d bytes", name, n), moves: do(send(frame).backs(back))})
			if n < 300 {
				rows = append(rows, script{name: fmt.Sprintf("5.2 %s of %d bytes by the octet", name, n), moves: do(octets(frame).backs(back))})
			} else {
				rows = append(rows, script{name: fmt.Sprintf("5.2 %s of %d bytes in writes of 997", name, n), moves: do(chops(997, frame).backs(back))})
			}
		}
	}
	conform(t, append(rows,
		script{name: "5.2 header in a write of its own", moves: do(each(text("hello")[:6], text("hello")[6:]).backs(textBack("hello")))},
		script{name: "5.2 two messages in one write", moves: do(send(text("a"), binaries("b")).backs(textBack("a"), binaryBack("b")))},
		script{name: "5.2 a message and a half in one write", moves: do(
			send(text("first"), text("second")[:9]).backs(textBack("first")),
			send(text("second")[9:]).backs(textBack("second")))},
	))
}

// A length that is not in the fewest bytes, or has its highest bit set, is
// refused with its last byte: a library may judge it there, too, and would go
// without a word.
func TestConformanceLengthsThatAreNone(t *testing.T) {
	var rows []script
	for _, tc := range []struct {
		name   string
		length []byte
	}{
		{"16 bits for 0", []byte{126, 0, 0}},
		{"16 bits for 1", []byte{126, 0, 1}},
		{"16 bits for 125", []byte{126, 0, 125}},
		{"64 bits for 0", []byte{127, 0, 0, 0, 0, 0, 0, 0, 0}},
		{"64 bits for 125", []byte{127, 0, 0, 0, 0, 0, 0, 0, 125}},
		{"64 bits for 126", []byte{127, 0, 0, 0, 0, 0, 0, 0, 126}},
		{"64 bits for 65535", []byte{127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF}},
		{"2^63", []byte{127, 0x80, 0, 0, 0, 0, 0, 0, 0}},
		{"2^63 and 5", []byte{127, 0x80, 0, 0, 0, 0, 0, 0, 5}},
		{"2^64-1", []byte{127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}},
	} {
		header := append([]byte{final | opBinary}, tc.length...)
		header[1] |= 0x80
		continuation := bytes.Clone(header)
		continuation[0] = final | opContinuation
		rows = append(rows,
			script{name: "5.2 length of " + tc.name, moves: do(octets(header)), end: broken},
			script{name: "5.2 length of " + tc.name + " in a fragment", moves: do(send(beginText("a")), octets(continuation)), end: broken})
	}
	conform(t, rows)
}

// Nothing is negotiated, so every reserved bit is an error in every frame,
// wherever it stands, as soon as two bytes of the header are there.
func TestConformanceReservedBits(t *testing.T) {
	var rows []script
	for bits := byte(1); bits < 8; bits++ {
		for name, first := range map[string]byte{"text": final | opText, "ping": final | opPing} {
			rows = append(rows, wherever(fmt.Sprintf("5.2 reserved bits %03b of %s", bits, name), masked(first|bits<<4, ""), "x")...)
		}
		for name, first := range map[string]byte{
			"binary": final | opBinary, "a fragment": opText, "pong": final | opPong, "close": final | opClose,
		} {
			rows = append(rows, script{
				name:  fmt.Sprintf("5.2 reserved bits %03b of %s", bits, name),
				moves: do(octets(masked(first|bits<<4, "")[:2])), end: broken,
			})
		}
		for name, first := range map[string]byte{"a continuation": opContinuation, "the last fragment": final | opContinuation} {
			rows = append(rows, script{
				name:  fmt.Sprintf("5.2 reserved bits %03b of %s", bits, name),
				moves: do(send(beginText("a")), octets(masked(first|bits<<4, "x")[:2])), end: broken,
			})
		}
	}
	conform(t, rows)
}

// So is an opcode that means nothing.
func TestConformanceOpcodes(t *testing.T) {
	var rows []script
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		rows = append(rows, wherever(fmt.Sprintf("5.2 opcode %d", op), masked(final|op, ""), "x")...)
		rows = append(rows, wherever(fmt.Sprintf("5.2 opcode %d, not final", op), masked(op, ""), "x")...)
	}
	conform(t, rows)
}

// wherever makes rows of a frame that is refused: by itself, with more behind
// it, after a message and between two fragments.
func wherever(name string, frame []byte, payload string) []script {
	long := masked(frame[0], payload)
	return []script{
		{name: name, moves: do(octets(frame[:2])), end: broken},
		{name: name + ", with a payload", moves: do(send(long, text("SMUGGLED"), ping("SMUGGLED"))), end: broken},
		{name: name + ", after a message", moves: do(send(text("fine")).backs(textBack("fine")), octets(long[:2])), end: broken},
		{name: name + ", between fragments", moves: do(send(beginText("a")), octets(long[:2])), end: broken,
			after: [][]byte{last("b"), text("SMUGGLED"), ping("SMUGGLED")}},
	}
}

// A server must fail a connection on which a frame is not masked, and takes
// every key that one is masked with.
func TestConformanceMasking(t *testing.T) {
	var rows []script
	for name, first := range map[string]byte{
		"text": final | opText, "binary": final | opBinary, "a fragment": opText,
		"ping": final | opPing, "pong": final | opPong, "close": final | opClose,
	} {
		for _, length := range []byte{0, 2, 125} {
			rows = append(rows, script{name: fmt.Sprintf("5.1 %s of %d bytes that is not masked", name, length),
				moves: do(octets([]byte{first, length})), end: broken})
		}
	}
	for _, length := range []byte{0, 5, 126, 127} {
		rows = append(rows, script{name: fmt.Sprintf("5.1 continuation that is not masked, of length %d", length),
			moves: do(send(beginText("a")), octets([]byte{final | opContinuation, length})), end: broken})
	}
	for _, key := range [][4]byte{{}, {0xFF, 0xFF, 0xFF, 0xFF}, {'h', 'e', 'l', 'l'}, {0, 0, 0, 1}, {0x80, 0, 0, 0}} {
		rows = append(rows, script{name: fmt.Sprintf("5.3 masked with %x", key), moves: do(
			octets(maskedWith(key, final|opText, "hello, wörld")).backs(textBack("hello, wörld")),
			send(maskedWith(key, final|opPing, "key")).backs(pongBack("key")))})
	}
	conform(t, append(rows,
		script{name: "5.3 each fragment with its own key", moves: do(each(
			maskedWith([4]byte{1, 2, 3, 4}, opText, "κόσ\xCE"), maskedWith([4]byte{0xAA, 0, 0x55, 0xFF}, opContinuation, "\xBCε"),
			maskedWith([4]byte{}, final|opContinuation, "")).backs(textBack("κόσμε")))},
		script{name: "5.1 not masked after a message", moves: do(
			send(text("fine")).backs(textBack("fine")), send([]byte{final | opText, 2, 'h', 'i'})), end: broken},
		script{name: "5.1 not masked, and more than any memory", moves: do(send([]byte{final | opBinary, 127, 0, 0, 1, 0, 0, 0, 0, 0})), end: broken},
	))
}

// What is no frame at all is one that is broken.
func TestConformanceOtherProtocols(t *testing.T) {
	conform(t, []script{
		{name: "5.2 another request", moves: do(send([]byte("GET / HTTP/1.1\r\nHost: chat.example.com\r\n\r\n"))), end: broken},
		{name: "5.2 a TLS handshake", moves: do(send([]byte{0x16, 3, 1, 2, 0, 1})), end: broken},
		{name: "5.2 zeros", moves: do(send(make([]byte, 64))), end: broken},
		{name: "5.2 ones", moves: do(send(bytes.Repeat([]byte{0xFF}, 64))), end: broken},
	})
}
