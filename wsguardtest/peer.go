package wsguardtest

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A peer is one socket to the target. After a handshake that was accepted a
// goroutine reads what comes, so that the server never waits for the attacker,
// unless it is deaf.
type peer struct {
	conn net.Conn
	br   *bufio.Reader
	resp *http.Response
	body string

	listening bool          // the goroutine runs
	mute      bool          // answers no ping
	answers   chan []byte   // data messages, of which those that do not fit are dropped
	over      chan struct{} // closed when the server has ended the stream
	told      chan struct{} // closed when it has sent a close frame

	mu     sync.Mutex
	code   int // of its close frame, 0 for none
	reason string
	huge   bool // it has sent a frame above maxAnswer, and nothing is read after that
}

const (
	maxAnswer = 1 << 20
	answers   = 256
)

// dial opens a socket; the try closes it.
func (a *try) dial(addr string, config *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(a.ctx, a.p.Patience)
	defer cancel()
	var nc net.Conn
	var err error
	if config == nil {
		nc, err = new(net.Dialer).DialContext(ctx, "tcp", addr)
	} else {
		nc, err = (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", addr)
	}
	if err == nil {
		a.mu.Lock()
		a.open = append(a.open, nc)
		a.mu.Unlock()
	}
	return nc, err
}

// knock sends a request and reads the response.
func (a *try) knock(r *request) (*peer, error) { return a.knockAt(a.h.addr, a.h.tls, r.bytes()) }

func (a *try) knockAt(addr string, config *tls.Config, bytes []byte) (*peer, error) {
	nc, err := a.dial(addr, config)
	if err != nil {
		return nil, err
	}
	p := &peer{conn: nc, br: bufio.NewReader(nc), answers: make(chan []byte, answers),
		over: make(chan struct{}), told: make(chan struct{})}
	_ = nc.SetDeadline(time.Now().Add(a.p.Patience))
	if _, err := nc.Write(bytes); err != nil {
		return nil, err
	}
	p.resp, err = http.ReadResponse(p.br, &http.Request{Method: http.MethodGet})
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	if p.resp.StatusCode != http.StatusSwitchingProtocols {
		body, _ := io.ReadAll(io.LimitReader(p.resp.Body, 64<<10))
		p.body = string(body)
		_ = nc.Close()
		return p, nil
	}
	_ = nc.SetDeadline(time.Time{})
	return p, nil
}

// listen starts to read.
func (p *peer) listen() *peer {
	p.listening = true
	go func() {
		defer close(p.over)
		var message []byte
		for {
			first, payload, err := p.next()
			if err != nil {
				return
			}
			switch first & 0x0F {
			case opPing:
				if !p.mute {
					_ = p.send(frame(fin|opPong, string(payload)))
				}
				continue
			case opPong:
				continue
			case opClose:
				p.closed(payload)
				continue // until the socket is closed, too
			case opText, opBinary:
				message = nil
			}
			if message = append(message, payload...); first&fin == 0 && len(message) < maxAnswer {
				continue
			}
			select {
			case p.answers <- message:
			default:
			}
		}
	}()
	return p
}

func (p *peer) closed(payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.code != 0 {
		return
	}
	p.code = 1005
	if len(payload) >= 2 {
		p.code, p.reason = int(binary.BigEndian.Uint16(payload)), string(payload[2:])
	}
	close(p.told)
}

func (p *peer) next() (first byte, payload []byte, err error) {
	var head [10]byte
	if _, err = io.ReadFull(p.br, head[:2]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 0x7F)
	switch length {
	case 126:
		_, err = io.ReadFull(p.br, head[2:4])
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(p.br, head[2:10])
		length = binary.BigEndian.Uint64(head[2:])
	}
	if err == nil && length > maxAnswer {
		p.mu.Lock()
		p.huge = true
		p.mu.Unlock()
		err = errors.New("the server's frame is above 1 MiB")
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(p.br, payload)
	return head[0], payload, err
}

// send writes, and gives up when the server has not read for a while.
func (p *peer) send(b []byte) error {
	_ = p.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_, err := p.conn.Write(b)
	return err
}

// ended waits for the server to end the connection, by a close frame or by
// closing the socket.
func (p *peer) ended(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.told:
	case <-p.over:
	case <-timer.C:
		return false
	case <-ctx.Done():
		return false
	}
	return true
}

// how says how a connection ended.
func (p *peer) how() string {
	select {
	case <-p.told:
	case <-p.over:
		// The close frame is read before the end.
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.code == 0 {
		return "the socket was closed without a close frame"
	}
	return "closed with " + closeName(p.code)
}

// answer waits for a message; ok is false when none came, ended says why.
func (p *peer) answer(ctx context.Context, wait time.Duration) (message []byte, ok bool) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case message = <-p.answers:
		return message, true
	case <-p.over:
	case <-p.told:
	case <-timer.C:
	case <-ctx.Done():
	}
	select {
	case message = <-p.answers: // came before the end
		return message, true
	default:
		return nil, false
	}
}
