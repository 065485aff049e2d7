package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// patience is how long any exchange with a server may take.
const patience = time.Minute

// A client is one connection of the load. It allocates nothing for a message,
// and parses no more than the length of an echo, so that the server gets the
// processor.
type client struct {
	net.Conn
	frames []byte // as many masked frames as may be in flight
	size   int    // of one of them
	echo   []byte // header of the frame that comes back
	back   int    // size of that frame
	buf    []byte
}

// dial opens a connection that sends message, with up to window of them in
// flight.
func dial(s *server, message string, window int) (*client, error) {
	nc, err := net.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	// A socket that is reset leaves no TIME_WAIT behind for the next round.
	_ = nc.(*net.TCPConn).SetLinger(0)
	c := newClient(nc, message, window)
	if err := c.handshake(s.token); err != nil {
		_ = nc.Close()
		return nil, err
	}
	return c, nil
}

func newClient(nc net.Conn, message string, window int) *client {
	c := &client{Conn: nc, frames: maskedFrames(text, message, window), echo: header(text, len(message), false)}
	c.size, c.back = len(c.frames)/window, len(c.echo)+len(message)
	c.buf = make([]byte, max(1<<10, window*c.back))
	return c
}

func (c *client) handshake(token string) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, request(token)); err != nil {
		return err
	}
	// Nothing but the response comes before the first message is sent.
	const accepted = "HTTP/1.1 101 "
	n := 0
	for !bytes.HasSuffix(c.buf[:n], []byte("\r\n\r\n")) {
		m, err := c.Read(c.buf[n:])
		if err != nil {
			return fmt.Errorf("handshake: %w after %q", err, c.buf[:n])
		}
		n += m
		if n == len(c.buf) || n >= len(accepted) && string(c.buf[:len(accepted)]) != accepted {
			return fmt.Errorf("handshake: %q", c.buf[:n])
		}
	}
	return nil
}

// request asks for a connection.
func request(token string) string {
	return "GET /ws HTTP/1.1\r\nHost: " + host + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
		"Origin: " + origin + "\r\nAuthorization: Bearer " + token + "\r\n\r\n"
}

// exchange sends n messages and reads their echoes, each of which must have the
// right header and length.
func (c *client) exchange(n int) error {
	_ = c.SetDeadline(time.Now().Add(patience))
	sent, echoed, have := 0, 0, 0
	for room := len(c.frames) / c.size; ; {
		if k := min(room, n-sent); k > 0 {
			if _, err := c.Write(c.frames[:k*c.size]); err != nil {
				return err
			}
			sent, room = sent+k, room-k
		}
		if echoed == n {
			break
		}
		m, err := c.Read(c.buf[have:])
		if err != nil {
			return fmt.Errorf("echo %d of %d: %w", echoed+1, n, err)
		}
		have += m
		at := 0
		for ; have-at >= len(c.echo); at += c.back {
			if !bytes.HasPrefix(c.buf[at:have], c.echo) {
				return fmt.Errorf("echo %d of %d: the frame begins % x, want % x", echoed+1, n, c.buf[at:at+len(c.echo)], c.echo)
			}
			if have-at < c.back {
				break
			}
			echoed, room = echoed+1, room+1
		}
		have = copy(c.buf, c.buf[at:have])
	}
	if have > 0 {
		return fmt.Errorf("%d bytes came after echo %d", have, n)
	}
	return nil
}

// First bytes of a message in one frame.
const (
	text = 0x80 | 0x1
	bin  = 0x80 | 0x2
)

// header is that of a frame of at most 65,535 bytes.
func header(first byte, length int, masked bool) []byte {
	var mask byte
	if masked {
		mask = 0x80
	}
	if length <= 125 {
		return []byte{first, mask | byte(length)}
	}
	return binary.BigEndian.AppendUint16([]byte{first, mask | 126}, uint16(length))
}

// maskedFrames is n frames of one message, each under a mask of its own.
func maskedFrames(first byte, message string, n int) []byte {
	var frames []byte
	for range n {
		key := binary.BigEndian.AppendUint32(nil, rand.Uint32())
		frames = append(append(frames, header(first, len(message), true)...), key...)
		for i := range len(message) {
			frames = append(frames, message[i]^key[i%4])
		}
	}
	return frames
}

// clients are the connections to one server.
type clients []*client

// dialAll opens n connections, a few at a time.
func dialAll(s *server, message string, n, window int) (clients, error) {
	all := make(clients, n)
	err := all.each(func(i int) (err error) {
		all[i], err = dial(s, message, window)
		return err
	}, 8)
	if err != nil {
		all.close()
		return nil, err
	}
	return all, nil
}

// exchange sends n messages over each connection, all connections at once.
func (all clients) exchange(n int) error {
	return all.each(func(i int) error { return all[i].exchange(n) }, len(all))
}

func (all clients) close() {
	for _, c := range all {
		if c != nil {
			_ = c.Close()
		}
	}
}

// each calls do for the index of every connection, on so many goroutines, and
// returns an error if there was one.
func (all clients) each(do func(int) error, goroutines int) error {
	errs := make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < len(all) && errs[g] == nil; i += goroutines {
				errs[g] = do(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
