package wsguard_test

import (
	"bytes"
	"compress/flate"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// Framing that RFC 6455 forbids ends with 1002, whatever the library thinks of
// it, before a byte of the frame reaches anybody. R44, R45
func TestFraming(t *testing.T) {
	notMasked := []byte{final | opText, 2, 'h', 'i'}
	for _, tc := range []struct {
		name   string
		frames []byte
	}{
		{"reserved bit 1", clientFrame(final|0x40|opText, "x")},
		{"reserved bit 2", clientFrame(final|0x20|opText, "x")},
		{"reserved bit 3", clientFrame(final|0x10|opBinary, "x")},
		{"reserved bit of a ping", clientFrame(final|0x40|opPing, "")},
		{"unknown opcode 3", clientFrame(final|0x3, "x")},
		{"unknown opcode 7", clientFrame(final|0x7, "x")},
		{"unknown control opcode 11", clientFrame(final|0xB, "")},
		{"unknown control opcode 15", clientFrame(final|0xF, "")},
		{"not masked", notMasked},
		{"not masked, ping", []byte{final | opPing, 0}},
		{"not masked, close", []byte{final | opClose, 2, 3, 232}},
		{"not masked, terabyte", []byte{final | opText, 127, 0, 0, 1, 0, 0, 0, 0, 0}},
		{"long ping", clientFrame(final|opPing, strings.Repeat("x", 126))},
		{"ping in fragments", clientFrame(opPing, "")},
		{"close in fragments", clientFrame(opClose, "")},
		{"continuation of nothing", clientFrame(final|opContinuation, "x")},
		{"continuation of what has ended", append(textFrame("x"), clientFrame(final|opContinuation, "x")...)},
		{"message within a message", append(clientFrame(opText, "x"), textFrame("x")...)},
		{"length in too many bytes", []byte{final | opText, 0x80 | 126, 0, 125, 0, 0, 0, 0}},
		{"length in far too many bytes", []byte{final | opText, 0x80 | 127, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0, 0, 0}},
		{"length of 2^63", frameHeader(final|opText, 1<<63)},
		{"close frame of one byte", clientFrame(final|opClose, "\x03")},
		{"close frame with 999", closeFrame(999, "")},
		{"close frame with 1005", closeFrame(1005, "")},
		{"close frame with 1006", closeFrame(1006, "")},
		{"close frame with 1015", closeFrame(1015, "")},
		{"close frame with 2999", closeFrame(2999, "")},
		{"close frame with 5000", closeFrame(5000, "")},
		{"a TLS handshake", []byte{0x16, 0x03, 0x01, 0x02, 0x00}},
		{"another request", []byte("GET / HTTP/1.1\r\nHost: chat.example.com\r\n\r\n")},
	} {
		for name, h := range echoes {
			t.Run(tc.name+" "+name, func(t *testing.T) {
				rec := newRecorder()
				c := rawDial(t, newServer(t, wsguard.Observe(rec.Observer)(h)))
				c.send(textFrame("fine"))
				c.wantMessage("fine")
				c.send(append(tc.frames, textFrame("SMUGGLED")...))
				for {
					first, payload := c.frame()
					if first == final|opText && string(payload) == "x" { // what was whole before
						continue
					}
					c.checkClose(first, payload, 1002, "protocol error")
					break
				}
				_ = c.Close() // or the server waits a second for the answer
				rec.wantViolation(t, "Handler", "protocol_error", "close")
				rec.wantClosed(t, 1002, wsguard.InitiatorServer, "protocol_error")
				if n := len(rec.violations); n > 0 {
					t.Errorf("%d violations too many", n)
				}
			})
		}
	}
}

// What RFC 6455 allows is let through, under the bare library as under Conn.
func TestFramingThatIsAllowed(t *testing.T) {
	for name, h := range echoes {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			c := rawDial(t, newServer(t, wsguard.Observe(rec.Observer)(h)))
			c.send(bytes.Join([][]byte{
				clientFrame(opText, ""), clientFrame(opContinuation, "a"),
				clientFrame(final|opPing, strings.Repeat("p", 125)), clientFrame(final|opPong, "unasked"),
				clientFrame(final|opContinuation, ""), textFrame(""),
			}, nil))
			if first, payload := c.frame(); first != final|opPong || len(payload) != 125 {
				t.Errorf("frame %08b of %d bytes, want the pong", first, len(payload))
			}
			c.wantMessage("a")
			c.wantMessage("")
			c.send(closeFrame(4000, "bye"))
			c.wantClose(4000, "bye")
			rec.wantClosed(t, 4000, wsguard.InitiatorPeer, "")
		})
	}
}

// A compressed message that ends early hides another behind its end: facts 1.1,
// 2. Nothing is negotiated, under any library, and its first bit is refused.
// R44, R50
func TestCompressionIsRefused(t *testing.T) {
	var deflated bytes.Buffer
	w, err := flate.NewWriter(&deflated, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("first"))
	_ = w.Close() // with BFINAL
	hidden := append(deflated.Bytes(), textFrame("SMUGGLED")...)
	compressing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		for {
			if _, data, err := ws.Read(t.Context()); err != nil {
				return
			} else {
				t.Errorf("the application got %q", data)
			}
		}
	})
	in := newInbox()
	for name, h := range map[string]http.Handler{"Handler": in.h, "a library that would": wsguard.MaxMessageSize(1 << 20)(compressing)} {
		t.Run(name, func(t *testing.T) {
			c := rawDial(t, newServer(t, h), "Sec-WebSocket-Extensions: permessage-deflate", "Sec-WebSocket-Extensions: x-other")
			if got := c.resp.Header["Sec-Websocket-Extensions"]; got != nil {
				t.Errorf("%q was negotiated", got)
			}
			c.send(clientFrame(final|0x40|opText, hidden))
			c.wantClose(1002, "protocol error")
			c.wantEOF()
		})
	}
	in.wantMessages(t)
}

// A message is read to its end or not at all: a library that stops in the
// middle would take the rest of a frame for the next one (facts 1.1, 1).
func TestNothingIsSmuggled(t *testing.T) {
	in := newInbox(wsguard.MaxMessageSize(20))
	c := rawDial(t, newServer(t, in.h))
	whole := "hello" + string(textFrame("SMUG"))
	c.send(clientFrame(final|opBinary, whole), textFrame("next"))
	in.wantMessages(t, whole, "next")
	c.send(clientFrame(final|opBinary, "hello"+string(textFrame("SMUGGLED, AND LONGER"))))
	c.wantClose(1009, "message too big")
	in.wantClosed(t, 1009, wsguard.InitiatorServer, "message_too_big")
	in.wantMessages(t)
}
