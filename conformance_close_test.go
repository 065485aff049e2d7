package wsguard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// A close frame with a code that may be sent is answered with the same, and
// the server closes the socket.
func TestConformanceCloseCodes(t *testing.T) {
	var rows []script
	for _, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4999} {
		for _, reason := range []string{"", "bye"} {
			payload := status(code, reason)
			rows = append(rows,
				script{name: fmt.Sprintf("7.4 close %d %q", code, reason), moves: do(send(closing(payload))), end: agreed(payload)},
				script{name: fmt.Sprintf("7.4 close %d %q by the octet", code, reason), moves: do(octets(closing(payload))), end: agreed(payload)})
		}
	}
	for _, code := range []uint16{
		0, 1, 2, 100, 125, 999, 1004, 1005, 1006, 1015, 1016, 1099, 1100, 1999, 2000, 2999, 5000, 5001, 9999, 32768, 65535,
	} {
		for _, reason := range []string{"", "bye"} {
			frame := closing(status(code, reason))
			rows = append(rows,
				script{name: fmt.Sprintf("7.4 close %d %q, which must not be sent", code, reason), moves: do(send(frame)), end: broken},
				script{name: fmt.Sprintf("7.4 close %d %q, which must not be sent, by the octet", code, reason), moves: do(octets(frame)), end: broken})
		}
	}
	conform(t, rows)
}

// A close frame may have no payload, or a code and up to 123 bytes of UTF-8.
func TestConformanceClosePayloads(t *testing.T) {
	var rows []script
	for name, reason := range map[string]string{
		"a letter": "x", "two characters": "\u20ACé", "123 bytes": strings.Repeat("x", 123),
		"123 bytes of euros": strings.Repeat("\u20AC", 41), "a noncharacter": "\uFFFE", "NUL": "\x00",
		"the last character": "\U0010FFFF", "what looks like a frame": "\x01\x7F",
	} {
		payload := status(1000, reason)
		rows = append(rows,
			script{name: "5.5.1 close with " + name, moves: do(send(closing(payload))), end: agreed(payload)},
			script{name: "5.5.1 close with " + name + " by the octet", moves: do(octets(closing(payload))), end: agreed(payload)})
	}
	for name, s := range notText() {
		sent := closing(status(1000, s+"rest"))
		rows = append(rows, script{name: "8.1 close with what is no text: " + name,
			moves: do(octets(sent[:len(sent)-len("rest")])), end: notUTF8})
	}
	for _, s := range []string{"\xC3", "\xE2\x82", "\xF0\x9F\x98", "bye\xE2", strings.Repeat("x", 122) + "\xC3"} {
		frame := closing(status(1000, s))
		rows = append(rows,
			script{name: fmt.Sprintf("8.1 close that ends with %q", s), moves: do(send(frame)), end: notUTF8},
			script{name: fmt.Sprintf("8.1 close that ends with %q by the octet", s), moves: do(octets(frame)), end: notUTF8})
	}
	conform(t, append(rows,
		script{name: "5.5.1 close without a payload", moves: do(send(closing(""))), end: agreed("")},
		script{name: "5.5.1 close without a payload by the octet", moves: do(octets(closing(""))), end: agreed("")},
		script{name: "5.5.1 close of one byte", moves: do(octets(closing("\x03")[:2])), end: broken},
		script{name: "5.5.1 close of one byte, which is there", moves: do(send(closing("\x03"))), end: broken},
		script{name: "5.5.1 close of one byte between fragments", moves: do(send(beginText("a")), octets(closing("\x03")[:2])), end: broken},
		script{name: "5.5 close with a reason of 124 bytes", moves: do(send(closing(status(1000, strings.Repeat("x", 124))))), end: broken},
		script{name: "5.5.1 close after text that ends within a character", moves: do(
			send(beginText("\xE2\x82")), send(closing(status(1000, "a")))), end: agreed(status(1000, "a"))},
	))
}

// Nothing that comes after a close frame has any effect, whether it comes with
// it or later: neither a frame nor what is none.
func TestConformanceAfterClose(t *testing.T) {
	var rows []script
	goodbye := status(1000, "bye")
	for name, frames := range map[string][][]byte{
		"text":                          {text("SMUGGLED")},
		"binary":                        {binaries("SMUGGLED")},
		"a fragment":                    {beginText("SMUGGLED")},
		"half a frame":                  {text("SMUGGLED")[:9]},
		"half a header":                 {text("SMUGGLED")[:1]},
		"ping":                          {ping("SMUGGLED")},
		"pong":                          {pong("SMUGGLED")},
		"a second close":                {closing(status(1001, "SMUGGLED"))},
		"a second close, empty":         {closing("")},
		"text, ping and close":          {text("SMUGGLED"), ping("SMUGGLED"), closing(goodbye)},
		"a continuation of nothing":     {last("SMUGGLED")},
		"reserved bits":                 {masked(final|0x70|opText, "SMUGGLED")},
		"an opcode that does not exist": {masked(final|3, "SMUGGLED")},
		"a frame that is not masked":    {{final | opText, 1, 'x'}},
		"text that is not UTF-8":        {text("\xFF")},
		"a close with 1005":             {closing(status(1005, ""))},
		"a terabyte":                    {frameHeader(final|opBinary, 1<<40)},
		"another protocol":              {[]byte("GET / HTTP/1.1\r\n\r\n")},
	} {
		rows = append(rows,
			script{name: "5.5.1 " + name + " with a close frame", moves: do(send(append([][]byte{closing(goodbye)}, frames...)...)), end: agreed(goodbye)},
			script{name: "5.5.1 " + name + " after a close frame", moves: do(send(closing(goodbye))), end: agreed(goodbye), after: frames},
			script{name: "7.1.7 " + name + " with a frame that is broken", moves: do(send(append([][]byte{last("x")}, frames...)...)), end: broken},
			script{name: "7.1.7 " + name + " after a frame that is broken", moves: do(send(last("x"))), end: broken, after: frames},
			script{name: "7.1.7 " + name + " after text that is not UTF-8", moves: do(send(text("\xFF"))), end: notUTF8, after: frames})
	}
	conform(t, append(rows,
		script{name: "5.5.1 messages and pings before a close frame", moves: do(
			send(text("a"), ping("p"), binaries("b"), closing(goodbye)).backs(textBack("a"), pongBack("p"), binaryBack("b"))), end: agreed(goodbye)},
		script{name: "5.5.1 a long message after a close frame", moves: do(send(closing(goodbye))), end: agreed(goodbye),
			after: [][]byte{binaries(strings.Repeat("x", 8<<10))}},
	))
}

// Nor does an observer hear of it, or count it.
func TestConformanceNothingIsToldAfterClose(t *testing.T) {
	for name, h := range echoes {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			c := rawDial(t, newServer(t, wsguard.Observe(rec.Observer)(raised(h))))
			goodbye := closing(status(4000, "bye"))
			c.send(bytes.Join([][]byte{text("counted"), goodbye, text("SMUGGLED"), last("SMUGGLED"), text("\xFF")}, nil))
			c.wantMessage("counted")
			c.untilClose(4000, "bye")
			c.wantEOF()
			if e := rec.wantClosed(t, 4000, wsguard.InitiatorPeer, ""); e.MessagesIn != 1 || e.MessagesOut != 1 || len(rec.violations) > 0 {
				t.Errorf("%d messages came, %d went, %d violations", e.MessagesIn, e.MessagesOut, len(rec.violations))
			}
		})
	}
}

// What came whole before a frame that is refused is answered, also if both come
// in one write.
func TestConformanceBeforeARefusal(t *testing.T) {
	var rows []script
	for _, tc := range []struct {
		name string
		bad  []byte
		end  ending
	}{
		{"7.1.7 a continuation of nothing", last("x"), broken},
		{"7.1.7 reserved bits", masked(final|0x70|opText, "x"), broken},
		{"7.1.7 an opcode that does not exist", masked(final|3, ""), broken},
		{"7.1.7 a frame that is not masked", []byte{final | opText, 0}, broken},
		{"7.1.7 a ping in fragments", masked(opPing, ""), broken},
		{"8.1 text that is not UTF-8", text("\xFF"), notUTF8},
		{"7.4 a close frame with 1005", closing(status(1005, "")), broken},
	} {
		rows = append(rows,
			script{name: tc.name + " after a message", moves: do(send(text("fine"), tc.bad).backs(textBack("fine"))), end: tc.end},
			script{name: tc.name + " after a message in fragments", moves: do(
				send(beginText("a"), last("b"), tc.bad).backs(textBack("ab"))), end: tc.end},
			script{name: tc.name + " after a ping", moves: do(send(ping("p"), tc.bad).backs(pongBack("p"))), end: tc.end})
	}
	conform(t, rows)
}

// A peer that goes without a close frame gets none, wherever it stops, and
// nothing of what it has not finished is delivered.
func TestConformanceHangUp(t *testing.T) {
	for name, h := range echoes {
		url := newServer(t, raised(h))
		for what, sent := range map[string][]byte{
			"nothing": nil, "half a header": text("hello")[:1], "a header": text("hello")[:6], "half a payload": text("hello")[:8],
			"a fragment": beginText("hello"), "half a ping": ping("hello")[:8], "half a close frame": closing(status(1000, ""))[:7],
			"half a character": beginText("\xE2\x82"),
		} {
			t.Run("7.2.1 "+what+", "+name, func(t *testing.T) {
				c := rawDial(t, url)
				c.send(text("fine"))
				c.wantMessage("fine")
				c.send(sent)
				_ = c.Conn.(*net.TCPConn).CloseWrite()
				if first, payload, err := c.tryFrame(); !errors.Is(err, io.EOF) {
					t.Errorf("frame %08b with %.80q, %v, want EOF", first, payload, err)
				}
			})
		}
	}
}

// A server that closes waits for the answer, and for no longer than a second:
// what comes before it has no effect.
func TestConformanceClosingServer(t *testing.T) {
	const reason = "that is all"
	for _, tc := range []struct {
		name string
		send []byte
		want time.Duration
	}{
		{"7.1.1 the same close frame", closing(status(4000, reason)), 0},
		{"7.1.1 another code", closing(status(1000, "")), 0},
		{"7.1.1 no code", closing(""), 0},
		{"7.1.1 by the octet", closing(status(4000, "")), 0},
		{"7.1.4 text before it", append(text("SMUGGLED"), closing(status(4000, ""))...), 0},
		{"7.1.4 pings before it", append(ping("SMUGGLED"), closing(status(4000, ""))...), 0},
		{"7.1.4 fragments before it", append(beginText("SMUGGLED"), closing(status(4000, ""))...), 0},
		{"7.1.4 text behind it", append(closing(status(4000, "")), text("SMUGGLED")...), 0},
		{"7.1.4 only text", text("SMUGGLED"), time.Second},
		{"7.1.4 a fragment and no more", beginText("SMUGGLED"), time.Second},
		{"7.1.7 a close frame with 1005", closing(status(1005, "")), time.Second},
		{"7.1.7 what is no frame", []byte("GET / HTTP/1.1\r\n\r\n"), time.Second},
		{"7.1.1 half a close frame", closing(status(4000, ""))[:7], time.Second},
		{"7.1.1 nothing", nil, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
					_, _, err := c.Read(ctx)
					if err == nil {
						err = c.Close(4000, reason)
					}
					return err
				})
				c := newMemoryServer(t, raised(h)).raw()
				c.send(text("close"))
				c.untilClose(4000, reason)
				began := time.Now()
				go func() {
					for _, b := range tc.send {
						if _, err := c.Write([]byte{b}); err != nil {
							return
						}
					}
				}()
				c.wantEOF()
				if took := time.Since(began); took != tc.want {
					t.Errorf("the socket closed after %v, want %v", took, tc.want)
				}
				rec.wantClosed(t, 4000, wsguard.InitiatorServer, "")
			})
		})
	}
}
