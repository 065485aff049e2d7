package wsguard_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Long messages come back as they were, in one frame or in many; so do many
// short ones, one after the other. Pipes would show nothing more here.
func TestConformanceSizes(t *testing.T) {
	var rows []script
	kib := strings.Repeat("0123456789abcdef", 64)
	for _, n := range []int{64, 256, 1 << 10, 4 << 10} {
		payload := strings.Repeat(kib, n)
		rows = append(rows, script{name: fmt.Sprintf("5.2 binary of %d KiB", n), moves: do(send(binaries(payload)).backs(binaryBack(payload)))})
	}
	euros := strings.Repeat("\u20AC", 1<<20/3) // characters that no power of two holds
	for _, size := range []int{64, 1 << 10, 4<<10 + 1, 64 << 10} {
		rows = append(rows, script{name: fmt.Sprintf("5.4 text of 1 MiB in fragments of %d bytes", size),
			moves: do(send(inFragments(opText, cutEvery(euros, size)...)...).backs(textBack(euros)))})
	}
	long := strings.Repeat(kib, 4<<10)
	rows = append(rows,
		script{name: "5.2 text of 1 MiB", moves: do(send(text(euros)).backs(textBack(euros)))},
		script{name: "5.4 binary of 4 MiB in fragments of 1 MiB",
			moves: do(send(inFragments(opBinary, cutEvery(long, 1<<20)...)...).backs(binaryBack(long)))})
	for _, size := range []int{997, 64 << 10} {
		payload := euros[:size/3*3]
		rows = append(rows, script{name: fmt.Sprintf("5.2 text of %d bytes by the octet", len(payload)),
			moves: do(octets(text(payload)).backs(textBack(payload)))})
	}
	for _, n := range []int{0, 125, 4 << 10} {
		payload := strings.Repeat("x", n)
		m := send(binaries(payload)).backs(binaryBack(payload))
		moves := make([]move, 1000)
		for i := range moves {
			moves[i] = m
		}
		rows = append(rows, script{name: fmt.Sprintf("5.2 a thousand messages of %d bytes", n), moves: moves})
	}
	thousand := send(bytes.Repeat(text("x"), 1000))
	for range 1000 {
		thousand.back = append(thousand.back, textBack("x"))
	}
	conformOverSockets(t, append(rows, script{name: "5.2 a thousand messages in one write", moves: do(thousand)}))
}

// cutEvery cuts s into parts of n bytes.
func cutEvery(s string, n int) (parts []string) {
	for ; len(s) > n; s = s[n:] {
		parts = append(parts, s[:n])
	}
	return append(parts, s)
}
