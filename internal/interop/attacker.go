package interop

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// An attacker is a client that misbehaves until it is thrown out or its time is
// up, and notes what it gets to see. It does not answer close frames.
type attacker struct {
	*attack
	conn   net.Conn
	br     *bufio.Reader
	status int             // of the response to the handshake; 0 is none
	gone   <-chan struct{} // closed when the server has closed the socket
	began  time.Time
	until  time.Time

	once    sync.Once
	told    chan struct{} // closed at the first close frame
	code    atomic.Uint32 // of it
	toldAt  time.Time     // of it, once told is closed
	answers atomic.Int64  // frames before it
	read    chan struct{} // closed when nothing more is to be read
	how     string        // the stream ended, from then on
	garbled error         // what came is no stream of frames, from then on
}

// attack connects and misbehaves for no longer than the window. A handshake
// that fails is part of the outcome.
func (s *server) attack(at *attack, gone <-chan struct{}, window time.Duration) *attacker {
	s.t.Helper()
	a := &attacker{attack: at, conn: s.dial(), gone: gone, told: make(chan struct{}), read: make(chan struct{})}
	a.br = bufio.NewReader(a.conn)
	a.started(window)
	request := handshake{early: at.early, simple: true}.bytes(s.addr)
	_ = a.conn.SetReadDeadline(time.Now().Add(patience))
	if a.send(request) == nil {
		if resp, err := http.ReadResponse(a.br, nil); err == nil {
			a.status = resp.StatusCode
		}
	}
	_ = a.conn.SetReadDeadline(time.Time{})
	if at.early == nil {
		a.started(window)
	}
	if !at.deaf {
		go a.watch()
	}
	if a.status == http.StatusSwitchingProtocols {
		at.run(a)
	}
	a.wait(window)
	return a
}

func (a *attacker) started(window time.Duration) {
	a.began = time.Now()
	a.until = a.began.Add(window)
}

// over reports whether there is no use in going on.
func (a *attacker) over() bool {
	select {
	case <-a.gone:
		return true
	default:
		return !time.Now().Before(a.until)
	}
}

// wait lets a time pass, unless the server closes the socket or the window is
// over before.
func (a *attacker) wait(d time.Duration) {
	select {
	case <-a.gone:
	case <-time.After(min(d, time.Until(a.until))):
	}
}

func (a *attacker) send(b []byte) error {
	_ = a.conn.SetWriteDeadline(a.until)
	_, err := a.conn.Write(b)
	return err
}

// flood repeats the attack's frame as fast as the server takes it, up to the
// attack's most bytes if there is such a bound.
func (a *attacker) flood() {
	err := a.send(a.prefix)
	block := bytes.Repeat(a.frame, max(1, 64<<10/len(a.frame)))
	for sent := 0; err == nil && !a.over() && (a.most == 0 || sent < a.most); sent += len(block) {
		err = a.send(block)
	}
}

// drip sends one byte each time, within the frame that the attack's prefix
// begins.
func (a *attacker) drip(every time.Duration) {
	for err := a.send(a.prefix); err == nil && !a.over(); a.wait(every) {
		err = a.send([]byte{'x'})
	}
}

// watch reads until the stream ends.
func (a *attacker) watch() {
	defer close(a.read)
	for {
		err := a.frameIn()
		switch {
		case err == nil:
			continue
		case errors.Is(err, syscall.ECONNRESET):
			a.how = "reset"
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
			a.how = "end of stream"
		case errors.As(err, new(garbled)):
			a.how, a.garbled = "garbled", err
		default:
			a.how = err.Error()
		}
		return
	}
}

// garbled says what is wrong in the server's stream.
type garbled string

func (g garbled) Error() string { return string(g) }

// frameIn reads one frame of the server, of which it keeps a close code.
func (a *attacker) frameIn() error {
	var head [2]byte
	if _, err := io.ReadFull(a.br, head[:]); err != nil {
		return err
	}
	length := uint64(head[1])
	if n := map[uint64]int{126: 2, 127: 8}[length]; n > 0 {
		var b [8]byte
		if _, err := io.ReadFull(a.br, b[8-n:]); err != nil {
			return err
		}
		length = binary.BigEndian.Uint64(b[:])
	}
	op := head[0] & 0x0F
	switch {
	case head[0]&0x70 != 0, head[1]&0x80 != 0, length > 16<<20, op > opPong, op > opBinary && op < opClose:
		return garbled(fmt.Sprintf("a frame of the server begins with %08b and is %d bytes long", head[0], length))
	case op != opClose:
		a.answers.Add(1)
		_, err := io.CopyN(io.Discard, a.br, int64(length))
		return err
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(a.br, payload); err != nil {
		return err
	}
	a.once.Do(func() {
		a.code.Store(1005)
		if length >= 2 {
			a.code.Store(uint32(binary.BigEndian.Uint16(payload)))
		}
		a.toldAt = time.Now()
		close(a.told)
	})
	return nil
}
