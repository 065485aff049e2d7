package wsguard_test

import (
	"context"
	"encoding/binary"
	"io"
	"log"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// What the first byte of a frame is made of (RFC 6455, section 5.2).
const (
	final          = 0x80
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// quiet is the log of a server whose handlers panic on purpose.
var quiet = log.New(io.Discard, "", 0)

// frameHeader is the header of a client's frame that declares n bytes. The
// masking key is zero, so that a payload stands behind it as it is.
func frameHeader(first byte, n uint64) []byte {
	b := []byte{first}
	switch {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	}
	return append(b, 0, 0, 0, 0)
}

// clientFrame is a whole frame of a client.
func clientFrame[B string | []byte](first byte, payload B) []byte {
	return append(frameHeader(first, uint64(len(payload))), payload...)
}

func textFrame(payload string) []byte { return clientFrame(final|opText, payload) }

func closeFrame(code uint16, reason string) []byte {
	return clientFrame(final|opClose, append(binary.BigEndian.AppendUint16(nil, code), reason...))
}

// A rawClient is a client that writes bytes and reads frames. It does nothing
// by itself: it answers no ping and no close frame.
type rawClient struct {
	*peer
	tb testing.TB
}

// rawDial connects over loopback, with lines as for knock.
func rawDial(tb testing.TB, url string, lines ...string) *rawClient {
	tb.Helper()
	c := &rawClient{knock(tb, url, lines...), tb}
	c.wantSwitched()
	return c
}

func (c *rawClient) wantSwitched() {
	c.tb.Helper()
	if c.resp.StatusCode != http.StatusSwitchingProtocols {
		c.tb.Fatalf("status %d, want 101", c.resp.StatusCode)
	}
}

func (c *rawClient) send(frames ...[]byte) {
	c.tb.Helper()
	for _, b := range frames {
		if _, err := c.Write(b); err != nil {
			c.tb.Fatalf("send: %v", err)
		}
	}
}

// frame reads one frame of the server.
func (c *rawClient) frame() (first byte, payload []byte) {
	c.tb.Helper()
	first, payload, err := c.tryFrame()
	if err != nil {
		c.tb.Fatalf("no frame: %v", err)
	}
	return first, payload
}

func (c *rawClient) tryFrame() (first byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.br, head[:]); err != nil {
		return 0, nil, err
	}
	length := []byte{head[1]}
	switch head[1] {
	case 126:
		length = make([]byte, 2)
	case 127:
		length = make([]byte, 8)
	}
	if len(length) > 1 {
		if _, err := io.ReadFull(c.br, length); err != nil {
			return 0, nil, err
		}
	}
	var n uint64
	for _, b := range length {
		n = n<<8 | uint64(b)
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c.br, payload)
	return head[0], payload, err
}

// wantMessage reads a message in one frame, which has to be text.
func (c *rawClient) wantMessage(want string) {
	c.tb.Helper()
	if first, payload := c.frame(); first != final|opText || string(payload) != want {
		c.tb.Errorf("frame %08b with %.80q, want the text %.80q", first, payload, want)
	}
}

// wantClose reads a frame, which has to be a close frame, and answers it.
func (c *rawClient) wantClose(code uint16, reason string) {
	c.tb.Helper()
	first, payload := c.frame()
	c.checkClose(first, payload, code, reason)
	_, _ = c.Write(closeFrame(code, ""))
}

// untilClose reads up to a close frame, and does not answer it.
func (c *rawClient) untilClose(code uint16, reason string) {
	c.tb.Helper()
	for {
		if first, payload := c.frame(); first == final|opClose {
			c.checkClose(first, payload, code, reason)
			return
		}
	}
}

func (c *rawClient) checkClose(first byte, payload []byte, code uint16, reason string) {
	c.tb.Helper()
	want := append(binary.BigEndian.AppendUint16(nil, code), reason...)
	if first != final|opClose || string(payload) != string(want) {
		c.tb.Errorf("frame %08b with %.80q, want a close frame with %.80q (%d)", first, payload, want, code)
	}
}

// wantEOF checks that the server closes the socket, and sends nothing more.
func (c *rawClient) wantEOF() {
	c.tb.Helper()
	if first, payload, err := c.tryFrame(); err == nil {
		c.tb.Errorf("frame %08b with %.80q, want the end of the stream", first, payload)
	}
}

// discard reads until the stream ends, and answers nothing.
func (c *rawClient) discard() {
	for {
		if _, _, err := c.tryFrame(); err != nil {
			return
		}
	}
}

// answerPings makes the client read until the stream ends, and answer pings. It
// returns what sends a frame from then on, without waiting.
func (c *rawClient) answerPings() (send func([]byte)) {
	out, gone := make(chan []byte, 1<<10), make(chan struct{})
	go func() {
		for {
			select {
			case b := <-out:
				if _, err := c.Write(b); err != nil {
					return
				}
			case <-gone:
				return
			}
		}
	}()
	go func() {
		defer close(gone)
		for {
			first, payload, err := c.tryFrame()
			if err != nil {
				return
			}
			if first == final|opPing {
				out <- clientFrame(final|opPong, payload)
			}
		}
	}()
	return func(b []byte) { out <- b }
}

// A memoryServer is an http.Server on pipes. It is for tests in a bubble of
// testing/synctest, whose time passes only if all that goroutines wait for is
// in memory. A pipe has no buffer: who does not read stalls who writes.
type memoryServer struct {
	t     *testing.T
	conns chan net.Conn
	done  chan struct{}
}

func newMemoryServer(t *testing.T, h http.Handler) *memoryServer {
	m := &memoryServer{t: t, conns: make(chan net.Conn), done: make(chan struct{})}
	srv := &http.Server{Handler: h, ErrorLog: quiet}
	go func() { _ = srv.Serve(m) }()
	t.Cleanup(func() { // after the pipes were closed
		_ = srv.Close()
		pass(2 * time.Hour) // for everything to end
	})
	return m
}

// Accept, Close and Addr make it a net.Listener.
func (m *memoryServer) Accept() (net.Conn, error) {
	select {
	case c := <-m.conns:
		return c, nil
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *memoryServer) Close() error   { close(m.done); return nil }
func (m *memoryServer) Addr() net.Addr { return addressed{}.RemoteAddr() }

// addressed gives the near end of a pipe an address that a socket could have.
type addressed struct{ net.Conn }

func (addressed) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 12345}
}

// pipe connects to the server. The connection ends with the test.
func (m *memoryServer) pipe() net.Conn {
	near, far := net.Pipe()
	m.t.Cleanup(func() { _ = far.Close() })
	m.conns <- addressed{near}
	return far
}

// raw is rawDial.
func (m *memoryServer) raw(lines ...string) *rawClient {
	m.t.Helper()
	p, err := knockOn(m.pipe(), lines...)
	if err != nil {
		m.t.Fatal(err)
	}
	_ = p.SetDeadline(time.Time{})
	c := &rawClient{p, m.t}
	c.wantSwitched()
	return c
}

// dial connects a client that answers pings while it reads.
func (m *memoryServer) dial() *websocket.Conn {
	m.t.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return m.pipe(), nil }}
	c, _, err := websocket.Dial(context.Background(), "http://chat.example.com", &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: transport},
	})
	if err != nil {
		m.t.Fatal(err)
	}
	return c
}

// pass lets the time of a bubble pass.
func pass(d time.Duration) { <-time.After(d) }
