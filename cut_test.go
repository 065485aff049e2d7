package wsguard_test

import (
	"net"
	"testing"

	"github.com/wsguard/wsguard"
)

// A message that the end of the stream cuts off is none, whatever a library
// makes of the end: a man in the middle can cut a TLS stream anywhere, and what
// is left of a message has passed no check for its whole. R35, R43
func TestMessagesThatAreCutOff(t *testing.T) {
	long := clientFrame(final|opBinary, make([]byte, 9000))
	for name, sent := range map[string][]byte{
		"after a fragment":                 clientFrame(opText, "100"),
		"within a character":               clientFrame(opText, "\xE2\x82"),
		"after a header":                   textFrame("hello")[:6],
		"within a header":                  append(clientFrame(opText, "1"), clientFrame(final|opContinuation, "00")[:1]...),
		"within a payload":                 textFrame("hello")[:8],
		"after a block of a payload":       long[:len(long)-9000+4096],
		"within a ping between fragments":  append(clientFrame(opText, "1"), clientFrame(final|opPing, "ping")[:3]...),
		"after a ping between fragments":   append(clientFrame(opText, "1"), clientFrame(final|opPing, "")...),
		"by a close frame after fragments": append(clientFrame(opText, "1"), closeFrame(1000, "")...),
	} {
		for library, h := range echoes {
			t.Run(name+" "+library, func(t *testing.T) {
				rec := newRecorder()
				c := rawDial(t, newServer(t, wsguard.Observe(rec.Observer)(h)))
				c.send(textFrame("fine"))
				c.wantMessage("fine")
				c.send(sent)
				if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				c.discardControls(t)
				if e := next(t, rec.closes); e.MessagesIn != 1 {
					t.Errorf("%d messages, want the one that was whole", e.MessagesIn)
				}
				if got := rec.Stats().In.Accepted(); library == "Handler" && got != 1 {
					t.Errorf("the application got %d messages, want the one that was whole", got)
				}
			})
		}
	}
}

// discardControls reads to the end of the stream, and wants no message.
func (c *rawClient) discardControls(t *testing.T) {
	t.Helper()
	for {
		first, err := c.br.ReadByte()
		if err != nil {
			return
		}
		length, err := c.br.ReadByte()
		if err != nil {
			return
		}
		if first&0x08 == 0 {
			t.Fatalf("frame %08b came back", first)
		}
		_, _ = c.br.Discard(int(length))
	}
}
