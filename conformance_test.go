package wsguard_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// The tests named TestConformance are what a peer can do by sections 5, 7 and
// 8.1 of RFC 6455, right or wrong, one row each, against an endpoint that
// echoes. Each row runs over sockets and over pipes, under Conn and under a
// bare library inside a chain. Over pipes each write is seen by itself, so
// that an answer that comes a byte too early fails as does one that comes late.

// A script is one row: what a client sends, and how the connection ends. Its
// name says the subsection.
type script struct {
	name  string
	moves []move
	end   ending
	after [][]byte // sent when the close frame has come; nothing comes of it
}

// A move is some writes, and the frames that the last of them brings back. No
// other brings any.
type move struct {
	pause  time.Duration // before it; only pipes have the time
	writes [][]byte
	back   []reply
}

// A reply is a frame of the server.
type reply struct {
	first   byte
	payload string
}

// An ending is the close frame that the last write brings, and who began. The
// zero value is a connection that is well, and closes when asked to.
type ending struct {
	payload string
	by      wsguard.Initiator
}

var (
	well    ending
	broken  = refusedWith(1002, "protocol error")
	notUTF8 = refusedWith(1007, "invalid utf8")
)

func refusedWith(code uint16, reason string) ending {
	return ending{status(code, reason), wsguard.InitiatorServer}
}

// agreed is the end of a connection whose peer has sent the payload in a
// close frame.
func agreed(payload string) ending { return ending{payload, wsguard.InitiatorPeer} }

// status is the payload of a close frame.
func status(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// maskKey is what the frames of the rows are masked with, so that the place of
// a byte in its frame matters.
var maskKey = [4]byte{0x37, 0xFA, 0x21, 0xBD}

// masked is clientFrame with a key.
func masked[B string | []byte](first byte, payload B) []byte {
	return maskedWith(maskKey, first, payload)
}

func maskedWith[B string | []byte](key [4]byte, first byte, payload B) []byte {
	header := frameHeader(first, uint64(len(payload)))
	b := append(header, payload...)
	copy(b[len(header)-4:], key[:])
	for i := range b[len(header):] {
		b[len(header)+i] ^= key[i%4]
	}
	return b
}

// The frames that most rows are made of. A frame that is not final is the
// beginning of a message, or its middle.
func text(payload string) []byte      { return masked(final|opText, payload) }
func binaries(payload string) []byte  { return masked(final|opBinary, payload) }
func beginText(payload string) []byte { return masked(opText, payload) }
func more(payload string) []byte      { return masked(opContinuation, payload) }
func last(payload string) []byte      { return masked(final|opContinuation, payload) }
func ping(payload string) []byte      { return masked(final|opPing, payload) }
func pong(payload string) []byte      { return masked(final|opPong, payload) }
func closing(payload string) []byte   { return masked(final|opClose, payload) }

// And the answers to them.
func textBack(payload string) reply   { return reply{final | opText, payload} }
func binaryBack(payload string) reply { return reply{final | opBinary, payload} }
func pongBack(payload string) reply   { return reply{final | opPong, payload} }

// send is a move of one write.
func send(frames ...[]byte) move { return move{writes: [][]byte{bytes.Join(frames, nil)}} }

// each is a move with a write for each frame.
func each(frames ...[]byte) move { return move{writes: frames} }

// octets is a move with a write for each byte.
func octets(frames ...[]byte) move { return chops(1, frames...) }

// chops is a move with a write for each n bytes.
func chops(n int, frames ...[]byte) (m move) {
	for b := bytes.Join(frames, nil); len(b) > 0; b = b[min(n, len(b)):] {
		m.writes = append(m.writes, b[:min(n, len(b))])
	}
	return m
}

// backs says what a move brings back.
func (m move) backs(replies ...reply) move {
	m.back = replies
	return m
}

// after says how long nothing happens before a move.
func (m move) after(d time.Duration) move {
	m.pause = d
	return m
}

func do(moves ...move) []move { return moves }

// conform runs rows over sockets and over pipes.
func conform(t *testing.T, rows []script) {
	t.Run("sockets", func(t *testing.T) { conformOverSockets(t, rows) })
	t.Run("pipes", func(t *testing.T) {
		for name, h := range echoes {
			for _, row := range rows {
				t.Run(row.name+", "+name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						play(t, row, newMemoryServer(t, raised(h)).raw().peer, synctest.Wait)
					})
				})
			}
		}
	})
}

func conformOverSockets(t *testing.T, rows []script) {
	failed := 0
	for name, h := range echoes {
		url := newServer(t, raised(h))
		for _, row := range rows {
			if t.Run(row.name+", "+name, func(t *testing.T) { play(t, row, rawDial(t, url).peer, nil) }) {
				continue
			}
			if failed++; failed == 5 { // each may have waited for long
				t.Fatal("the other rows are left out")
			}
		}
	}
}

// raised is a chain whose limits no row comes near.
var raised = wsguard.Chain(wsguard.MaxMessageSize(64<<20), wsguard.LimitFrames(wsguard.FrameLimits{
	ControlRate: 1e6, ControlBurst: 1e6, Fragments: 1e6, EmptyFrames: 1e6,
}))

// A player plays one row.
type player struct {
	testing.TB
	conn   net.Conn
	frames chan reply // what comes back, up to the end of the stream
	ended  error      // once frames is closed
	settle func()     // waits until nobody has anything to do; nil over sockets
}

func play(t testing.TB, s script, conn *peer, settle func()) {
	p := &player{TB: t, conn: conn, frames: make(chan reply, 1<<10), settle: settle}
	go p.read(&rawClient{conn, t})
	for i, m := range s.moves {
		want := m.back
		if s.end != well && i == len(s.moves)-1 {
			want = append(want[:len(want):len(want)], reply{final | opClose, s.end.payload})
		}
		if m.pause > 0 {
			pass(m.pause)
			p.wantNothing()
		}
		for j, b := range m.writes {
			if j > 0 {
				p.wantNothing()
			}
			p.write(b)
		}
		p.want(want)
	}
	if s.end == well {
		goodbye := status(1000, "")
		p.write(closing(goodbye))
		p.want([]reply{{final | opClose, goodbye}})
	}
	p.wantEnd(s)
}

func (p *player) read(c *rawClient) {
	defer close(p.frames)
	for {
		first, payload, err := c.tryFrame()
		if err != nil {
			p.ended = err
			return
		}
		p.frames <- reply{first, string(payload)}
	}
}

func (p *player) write(b []byte) {
	p.Helper()
	if _, err := p.conn.Write(b); err != nil {
		for r := range p.frames {
			p.Errorf("frame %08b with %.80q", r.first, r.payload)
		}
		p.Fatalf("write: %v", err)
	}
}

// want checks which frames come next. Over pipes none may be on its way.
func (p *player) want(replies []reply) {
	p.Helper()
	if p.settle != nil {
		p.settle()
		if n := len(p.frames); n != len(replies) {
			p.Errorf("%d frames came at once, want %d", n, len(replies))
		}
	}
	for _, want := range replies {
		got, ok := p.next()
		if !ok {
			p.Fatalf("the stream ended with %v, want frame %08b with %.80q", p.ended, want.first, want.payload)
		}
		if got != want {
			p.Fatalf("frame %08b with %d bytes %.80q, want %08b with %d bytes %.80q",
				got.first, len(got.payload), got.payload, want.first, len(want.payload), want.payload)
		}
	}
}

func (p *player) next() (r reply, ok bool) {
	p.Helper()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case r, ok = <-p.frames:
	case <-late.C:
		p.Fatal("nothing came")
	}
	return r, ok
}

// wantNothing checks, where that can be known, that nothing has come yet.
func (p *player) wantNothing() {
	p.Helper()
	if p.settle != nil {
		p.want(nil)
	}
}

// wantEnd checks that the server closes the socket after the close frames, and
// sends nothing more, whatever it gets. (RFC 6455, section 7.1.1)
func (p *player) wantEnd(s script) {
	p.Helper()
	for _, b := range s.after {
		_, _ = p.conn.Write(b) // the server may be gone
	}
	if tcp, ok := p.conn.(*peer).Conn.(*net.TCPConn); ok && s.end.by == wsguard.InitiatorServer {
		// Where the framing is broken the server waits a second for whatever
		// comes before the end of the stream.
		_, _ = p.conn.Write(closing(s.end.payload[:2]))
		_ = tcp.CloseWrite()
	}
	if r, ok := p.next(); ok {
		p.Fatalf("frame %08b with %.80q after the close frame", r.first, r.payload)
	}
	switch {
	case errors.Is(p.ended, io.EOF):
	case len(s.after) > 0 && errors.Is(p.ended, syscall.ECONNRESET): // it was sent what it did not wait for
	default:
		p.Errorf("the stream ended with %v, want EOF", p.ended)
	}
}
