package wsguard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// accepted returns a connection with a chain, and its peer.
func accepted(t *testing.T, chain safeguard) (*wsguard.Conn, *rawClient) {
	t.Helper()
	conns := make(chan *wsguard.Conn, 1)
	c := benchDial(t, chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := wsguard.Accept(w, r)
		if err != nil {
			t.Error(err)
		}
		conns <- conn
	})))
	conn := next(t, conns)
	if conn == nil {
		t.Fatal("no connection")
	}
	t.Cleanup(func() { _ = c.Close(); _ = conn.Close(1000, "") })
	return conn, c
}

// A buffer is used again while messages fit into it, and grows for one that
// does not; what is returned is always the message and no byte of the last one.
func TestReadInto(t *testing.T) {
	conn, c := accepted(t, wsguard.AllowOrigins(home))
	var buf []byte
	for _, row := range []struct {
		message string
		kept    bool // in the memory of the last one
	}{
		{"one", false}, {"two", true}, {"", true}, {"3", true},
		{strings.Repeat("long", 1000), false}, {"short", true}, {strings.Repeat("Long", 1000), true},
	} {
		last := buf
		c.send(textFrame(row.message))
		typ, data, err := conn.ReadInto(context.Background(), buf)
		if err != nil || typ != websocket.MessageText || string(data) != row.message {
			t.Fatalf("%v, %.20q, %v; want %.20q", typ, data, err, row.message)
		}
		kept := cap(last) > 0 && &last[:1][0] == &data[:1][0]
		if kept != row.kept {
			t.Errorf("%.20q lies in the buffer: %v", row.message, kept)
		}
		buf = data
	}
	c.send(textFrame(""))
	if _, data, err := conn.ReadInto(context.Background(), nil); data == nil || len(data) != 0 || err != nil {
		t.Errorf("an empty message is %v, %v", data, err)
	}
}

// With a buffer, a message that passes every rule costs no memory at all.
func TestReadIntoAllocates(t *testing.T) {
	most := 0.0
	if raced() {
		most = 2 // the race detector makes every sync.Pool forget at random
	}
	conn, c := accepted(t, fullChain(wsguard.ValidateMessages(wsguard.MustCompileSchema(chatterSchema))))
	message, buf := textFrame(chatter), make([]byte, 0, 512)
	if n := testing.AllocsPerRun(500, func() {
		_, _ = c.Write(message)
		var err error
		if _, buf, err = conn.ReadInto(context.Background(), buf); err != nil || len(buf) != len(chatter) {
			t.Fatal(len(buf), err)
		}
	}); n > most {
		t.Errorf("%v allocations a message, want %v", n, most)
	}
}
