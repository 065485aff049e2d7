package interop

import (
	"bufio"
	"cmp"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The opcodes of RFC 6455, section 5.2.
const (
	opText   = 0x1
	opBinary = 0x2
	opClose  = 0x8
	opPing   = 0x9
	opPong   = 0xA
)

// The origins of the tests.
const (
	home    = "https://app.example.com"
	foreign = "https://evil.example.com"
)

const (
	key      = "AAECAwQFBgcICQoLDA0ODw=="
	offer    = "permessage-deflate; client_max_window_bits"
	patience = 30 * time.Second // after which a test gives up
)

// A handshake is what a client sends first. Its zero value is what a browser
// on the home page would send.
type handshake struct {
	method string // GET
	path   string // /ws
	query  string
	origin string // home
	header string // more lines
	plain  bool   // asks for no upgrade
	early  []byte // sent in one segment with the request
	simple bool   // offers no extension
}

func (h handshake) bytes(host string) []byte {
	var b strings.Builder
	b.WriteString(cmp.Or(h.method, http.MethodGet) + " " + cmp.Or(h.path, "/ws") + "?" + h.query + " HTTP/1.1\r\n" +
		"Host: " + host + "\r\nOrigin: " + cmp.Or(h.origin, home) + "\r\n" + h.header)
	if !h.plain {
		b.WriteString("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: " + key + "\r\n")
		if !h.simple {
			b.WriteString("Sec-WebSocket-Extensions: " + offer + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return append([]byte(b.String()), h.early...)
}

// A client is a WebSocket client that can misbehave. Its methods fail the
// test, from the goroutine of the test.
type client struct {
	t    testing.TB
	conn net.Conn
	br   *bufio.Reader
	resp *http.Response
	mute bool // answers no ping
}

// open connects and sends a handshake. What the server answered is in resp.
func (s *server) open(h handshake) *client {
	s.t.Helper()
	return s.openWith(h.bytes(s.addr))
}

// openWith is open for a request of any bytes.
func (s *server) openWith(request []byte) *client {
	s.t.Helper()
	c := &client{t: s.t, conn: s.dial()}
	if _, err := c.conn.Write(request); err != nil {
		s.t.Fatalf("send handshake: %v", err)
	}
	c.br = bufio.NewReader(c.conn)
	c.extend()
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		s.t.Fatalf("no response to the handshake: %v", err)
	}
	c.resp = resp
	return c
}

// connect is open for a handshake that must be accepted.
func (s *server) connect(h handshake) *client {
	s.t.Helper()
	c := s.open(h)
	if c.resp.StatusCode != http.StatusSwitchingProtocols {
		s.t.Fatalf("status %d, want 101", c.resp.StatusCode)
	}
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	if got := c.resp.Header.Get("Sec-WebSocket-Accept"); got != base64.StdEncoding.EncodeToString(sum[:]) {
		s.t.Fatalf("Sec-WebSocket-Accept %q", got)
	}
	return c
}

func (c *client) extend() { _ = c.conn.SetReadDeadline(time.Now().Add(patience)) }

// vanish closes the socket without a word; hard makes TCP reset it.
func (c *client) vanish(hard bool) {
	under := c.conn
	if t, ok := under.(interface{ NetConn() net.Conn }); ok {
		under = t.NetConn()
	}
	if hard {
		_ = under.(*net.TCPConn).SetLinger(0)
	}
	_ = under.Close()
}

// halfClose says that nothing more will be sent.
func (c *client) halfClose() {
	if half, ok := c.conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// frame is a masked frame; its first byte is given, its length is true.
func frame(first byte, payload []byte) []byte {
	b := header(first, uint64(len(payload)))
	mask := b[len(b)-4:]
	for i, p := range payload {
		b = append(b, p^mask[i%4])
	}
	return b
}

// header is the header of a masked frame that declares a length.
func header(first byte, length uint64) []byte {
	b := []byte{first}
	switch {
	case length < 126:
		b = append(b, 0x80|byte(length))
	case length < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return append(b, 0x12, 0x34, 0x56, 0x78)
}

func text(s string) []byte { return frame(0x80|opText, []byte(s)) }

func closeFrame(code uint16) []byte {
	return frame(0x80|opClose, binary.BigEndian.AppendUint16(nil, code))
}

// send writes bytes. That the server has closed meanwhile is no failure here:
// it shows in what is read.
func (c *client) send(b []byte) { _, _ = c.conn.Write(b) }

// next reads one frame, and is strict about it. At the end of the stream ok is
// false.
func (c *client) next() (first byte, payload []byte, ok bool) {
	c.t.Helper()
	c.extend()
	var head [2]byte
	if n, err := io.ReadFull(c.br, head[:]); err != nil {
		if n != 0 {
			c.t.Fatalf("the stream ends within a frame's header: %v", err)
		}
		if e, isTimeout := err.(net.Error); isTimeout && e.Timeout() {
			c.t.Fatalf("nothing came in %v", patience)
		}
		return 0, nil, false
	}
	first = head[0]
	if head[1]&0x80 != 0 {
		c.t.Fatal("a frame of the server is masked")
	}
	if first&0x70 != 0 {
		c.t.Fatalf("first byte %08b: a reserved bit is set", first)
	}
	length := uint64(head[1])
	extended := map[uint64]int{126: 2, 127: 8}[length]
	if extended > 0 {
		if first&0x08 != 0 {
			c.t.Fatalf("a control frame declares %d", length)
		}
		var b [8]byte
		if _, err := io.ReadFull(c.br, b[8-extended:]); err != nil {
			c.t.Fatalf("half a header: %v", err)
		}
		length = binary.BigEndian.Uint64(b[:])
	}
	if length > 16<<20 {
		c.t.Fatalf("a frame declares %d bytes: the stream is out of step", length)
	}
	payload = make([]byte, length)
	if _, err := io.ReadFull(c.br, payload); err != nil {
		c.t.Fatalf("half a frame: %v", err)
	}
	switch first & 0x0F {
	case 0, opText, opBinary, opClose, opPing, opPong:
	default:
		c.t.Fatalf("opcode %d", first&0x0F)
	}
	return first, payload, true
}

// message reads a whole message, and answers pings on the way.
func (c *client) message() (op byte, payload []byte) {
	c.t.Helper()
	for {
		first, p, ok := c.next()
		if !ok {
			c.t.Fatal("the stream ends where a message was expected")
		}
		switch first & 0x0F {
		case opPing:
			c.pong(p)
			continue
		case opPong:
			continue
		case opClose:
			c.t.Fatalf("close frame %v where a message was expected", p)
		case opText, opBinary:
			op, payload = first&0x0F, nil
		}
		payload = append(payload, p...)
		if first&0x80 != 0 {
			return op, payload
		}
	}
}

func (c *client) pong(payload []byte) {
	if !c.mute {
		c.send(frame(0x80|opPong, payload))
	}
}

// wantMessage reads a message and compares it.
func (c *client) wantMessage(op byte, want string) {
	c.t.Helper()
	if got, p := c.message(); got != op || string(p) != want {
		c.t.Fatalf("opcode %d with %.40q (%d bytes), want %d with %.40q (%d bytes)", got, p, len(p), op, want, len(want))
	}
}

// echo sends a text and wants it back.
func (c *client) echo(s string) {
	c.t.Helper()
	c.send(text(s))
	c.wantMessage(opText, s)
}

// wantClose reads until the server's close frame, answers it, and wants
// nothing after it but the end of the stream. It returns the reason.
func (c *client) wantClose(code uint16) string {
	c.t.Helper()
	for {
		first, p, ok := c.next()
		switch {
		case !ok:
			c.t.Fatalf("the stream ends without a close frame, want %d", code)
		case first&0x0F == opPing:
			c.pong(p)
		case first&0x0F == opClose:
			if len(p) < 2 || binary.BigEndian.Uint16(p) != code {
				c.t.Fatalf("close frame %v, want code %d", p, code)
			}
			c.send(frame(0x80|opClose, p[:2]))
			if code == 1002 || code == 1009 {
				// The server no longer finds frames in what it gets, and would
				// wait a second for what it cannot see.
				c.halfClose()
			}
			c.wantEnd()
			return string(p[2:])
		}
	}
}

// wantEnd wants the end of the stream, and not one byte before it.
func (c *client) wantEnd() {
	c.t.Helper()
	if first, p, ok := c.next(); ok {
		c.t.Fatalf("frame %08b with %.40q where the stream should end", first, p)
	}
}
