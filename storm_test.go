//go:build linux

package wsguard_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

const (
	stormWorkers = 4
	stormBurst   = 64 << 10              // of LimitBytes
	stormRead    = 16 << 10              // buffer of a client's socket
	stormLimit   = 12 * patience         // outer bound on everything that a socket does
	stormTime    = 4 * time.Second       // of a message and of a write; a busy machine must not be taken for a slow peer
	stormVisit   = 50 * time.Millisecond // between two visits of an attacker
	stormPause   = 75 * time.Millisecond // between two handfuls of echoes
)

// An attack is what a hostile client does until its connection is ended, and
// the refusal that has to end it.
type attack struct {
	name   string
	open   []byte // sent once
	again  []byte // sent with it, and at each visit until the server's close frame
	after  []byte // sent at each visit after that, instead of an answer
	deaf   bool   // reads nothing
	reason string
	code   uint16 // that the client reads
}

var attacks = []attack{
	{name: "empty continuations", open: clientFrame(opText, "x"), again: bytes.Repeat(clientFrame(opContinuation, ""), 20), reason: "frame_flood", code: 1008},
	{name: "fragments of one byte", open: clientFrame(opText, "x"), again: bytes.Repeat(clientFrame(opContinuation, "x"), 1100), reason: "frame_flood", code: 1008},
	{name: "flood of pings", again: bytes.Repeat(clientFrame(final|opPing, "?"), 40), reason: "frame_flood", code: 1008},
	{name: "flood of pongs", again: bytes.Repeat(clientFrame(final|opPong, "!"), 40), reason: "frame_flood", code: 1008},
	{name: "giant declared length", open: frameHeader(final|opBinary, 1<<40), reason: "message_too_big", code: 1009},
	{name: "half a header", open: textFrame("hi")[:3], reason: "slow_message", code: 3008},
	{name: "half a control frame", open: clientFrame(final|opPing, "hello")[:8], reason: "slow_message", code: 3008},
	{name: "dripped payload", open: frameHeader(final|opText, 4000), again: []byte("x"), reason: "slow_message", code: 3008},
	{name: "reader that stops reading", open: bytes.Repeat(textFrame(strings.Repeat("x", 4000)), 15), deaf: true, reason: "slow_reader"},
	{name: "reserved bits", open: clientFrame(final|0x40|opText, "x"), reason: "protocol_error", code: 1002},
	{name: "unmasked frames", open: []byte{final | opText, 1, 'x'}, reason: "protocol_error", code: 1002},
	{name: "text that is not UTF-8", open: textFrame("caf\xe9"), reason: "invalid_utf8", code: 1007},
	{name: "bytes over the rate", again: bytes.Repeat(clientFrame(final|opBinary, make([]byte, 4000)), 17), reason: "byte_rate", code: 1008},
	{name: "giant frame at the close", again: bytes.Repeat(clientFrame(final|opBinary, make([]byte, 4000)), 17),
		after: append(frameHeader(final|opBinary, 1<<40), make([]byte, 100)...), reason: "byte_rate", code: 1008},
}

// Of many connections a tenth attacks, in each way in turn. The others are
// echoed throughout and none of them is closed; each attacker is ended for the
// reason that is due, and leaves nothing behind: the next attackers get exactly
// the slots of the last. R42, R44, R46, R47, R49
func TestStorm(t *testing.T) {
	total, hostile := 5000, 500
	if testing.Short() {
		total, hostile = 500, 50
	}
	needDescriptors(t, uint64(2*total+200))
	observer := wsguard.NewObserver("storm", nil)
	slots := wsguard.LimitConns(total, wsguard.Everyone)
	guard := wsguard.Chain(
		wsguard.Observe(observer), slots,
		wsguard.MaxMessageSize(4<<10),
		wsguard.LimitBytes(64, stormBurst, wsguard.PerConn),
		wsguard.MessageTimeout(stormTime, 4<<10),
		wsguard.WriteTimeout(stormTime))
	srv := httptest.NewUnstartedServer(guard(wsguard.Handler(stormServe)))
	srv.Config.ErrorLog = quiet
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10) // or the kernel takes megabytes for who does not read
		return ctx
	}
	srv.Start()
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	goroutines, descriptors := runtime.NumGoroutine(), countDescriptors(t)

	honest := stormConnect(t, addr, total-hostile)
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			over := make(chan struct{})
			var wg sync.WaitGroup
			for share := range slices.Chunk(honest, (len(honest)+stormWorkers-1)/stormWorkers) {
				wg.Go(func() { stormEcho(t, share, over) })
			}
			defer wg.Wait()
			defer close(over)
			a.run(t, addr, observer, hostile, len(honest))
		})
	}
	if n := observer.Stats().Connections; n != int64(len(honest)) {
		t.Errorf("%d connections are open, want the %d honest ones", n, len(honest))
	}
	for _, s := range honest {
		_ = s.Close()
	}
	within(t, func() string {
		g, d, c := runtime.NumGoroutine(), countDescriptors(t), observer.Stats().Connections
		if g <= goroutines && d <= descriptors && c == 0 {
			return ""
		}
		return fmt.Sprintf("%d goroutines, %d descriptors and %d connections, want %d, %d and 0", g, d, c, goroutines, descriptors)
	})
	if n := freeSlots(slots, requestFrom("192.0.2.1:1")); n != total {
		t.Errorf("%d slots are free, want %d", n, total)
	}
}

// run attacks with n connections until the server has ended each.
func (a attack) run(t *testing.T, addr string, o *wsguard.Observer, n, honest int) {
	before := o.Stats().Refusals[a.reason]
	sockets := stormConnect(t, addr, n)
	for _, s := range sockets {
		_, _ = s.Write(append(slices.Clip(a.open), a.again...))
	}
	buf := make([]byte, stormRead)
	visit := func(again []byte) {
		for _, s := range sockets {
			if !a.deaf {
				s.listen(buf, a.after)
			}
			if s.code == 0 && !s.gone {
				_, _ = s.Write(again)
			}
		}
	}
	within(t, func() string {
		visit(a.again)
		if left := o.Stats().Connections - int64(honest); left > 0 {
			return fmt.Sprintf("%d of %d attackers were not ended", left, n)
		}
		return ""
	})
	visit(nil)
	refused := o.Stats().Refusals[a.reason]
	if got := refused.Closes - before.Closes; got != int64(n) {
		t.Errorf("%d of %d attackers were ended with %s: %+v", got, n, a.reason, o.Stats())
	}
	if got := refused.Violations - before.Violations; a.code != 3008 && !a.deaf && got != int64(n) {
		t.Errorf("%d violations of %d attackers were reported", got, n)
	}
	silent := 0 // a busy machine may cut a socket before its close frame
	for _, s := range sockets {
		switch want := strings.ReplaceAll(a.reason, "_", " "); {
		case a.deaf:
		case !s.gone:
			t.Fatal("the socket of an attacker is open")
		case s.code == 0:
			silent++
		case s.code != a.code || s.reason != want:
			t.Fatalf("an attacker reads %d %q, want %d %q", s.code, s.reason, a.code, want)
		}
	}
	if silent > n/2 {
		t.Errorf("%d of %d attackers were not told", silent, n)
	}
}

// stormServe sends text back, and takes everything else.
func stormServe(ctx context.Context, c *wsguard.Conn) error {
	for {
		typ, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if typ != websocket.MessageText {
			continue
		}
		if err := c.Write(ctx, typ, data); err != nil {
			return err
		}
	}
}

// stormEcho goes round over a share of the connections, a few at a time, and
// lets each have something echoed, until the attack is over and each has had
// its turn.
func stormEcho(t *testing.T, share []*stormSocket, over <-chan struct{}) {
	tick := time.NewTicker(stormPause)
	defer tick.Stop()
	for round, again := 0, true; again; round++ {
		for some := range slices.Chunk(share, 50) {
			if err := stormSay(some, round); err != nil {
				t.Errorf("an honest connection: %v", err)
				return
			}
			<-tick.C
		}
		select {
		case <-over:
			again = false
		default:
		}
	}
}

// stormSay sends each connection a text of its own, and waits for them all.
func stormSay(sockets []*stormSocket, round int) error {
	text := func(s *stormSocket) string { return fmt.Sprintf("%v, %d", s.LocalAddr(), round) }
	for _, s := range sockets {
		if _, err := s.Write(textFrame(text(s))); err != nil {
			return err
		}
	}
	buf := make([]byte, 64)
	for _, s := range sockets {
		want := append([]byte{final | opText, byte(len(text(s)))}, text(s)...)
		if n, err := io.ReadFull(s, buf[:len(want)]); err != nil || !bytes.Equal(buf[:n], want) {
			return fmt.Errorf("read %q, %v, want %q", buf[:n], err, want)
		}
	}
	return nil
}

// A stormSocket is a client that costs a descriptor and little else: it has no
// goroutine, and whoever visits it brings the buffer.
type stormSocket struct {
	*net.TCPConn
	raw    syscall.RawConn
	got    []byte // a frame that is not complete
	code   uint16 // of the server's close frame
	reason string
	gone   bool // the stream has ended
}

// stormConnect opens n connections.
func stormConnect(t *testing.T, addr string, n int) []*stormSocket {
	t.Helper()
	sockets := make([]*stormSocket, n)
	t.Cleanup(func() {
		for _, s := range sockets {
			if s != nil {
				_ = s.Close()
			}
		}
	})
	var wg sync.WaitGroup
	for share := range slices.Chunk(sockets, (n+stormWorkers-1)/stormWorkers) {
		wg.Go(func() {
			for some := range slices.Chunk(share, 8) { // the server works on them all at once
				if err := stormKnock(addr, some); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	if wg.Wait(); t.Failed() {
		t.FailNow()
	}
	return sockets
}

// stormKnock upgrades some connections at once.
func stormKnock(addr string, sockets []*stormSocket) error {
	dialer := net.Dialer{Timeout: stormLimit, Control: func(_, _ string, c syscall.RawConn) (err error) {
		_ = c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, stormRead)
		})
		return err
	}}
	request := []byte(handshakeText())
	for i := range sockets {
		nc, err := dialer.Dial("tcp", addr)
		if err != nil {
			return err
		}
		s := &stormSocket{TCPConn: nc.(*net.TCPConn)}
		sockets[i] = s
		_ = s.SetDeadline(time.Now().Add(stormLimit))
		if s.raw, err = s.SyscallConn(); err != nil {
			return err
		}
		if _, err := s.Write(request); err != nil {
			return err
		}
	}
	buf := make([]byte, 1<<10)
	for _, s := range sockets {
		n := 0
		for !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) { // no frame comes unasked
			k, err := s.Read(buf[n:])
			if n += k; err != nil {
				return fmt.Errorf("%q, %w", buf[:n], err)
			}
		}
		if !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101 ")) {
			return fmt.Errorf("the server answers %q", buf[:n])
		}
	}
	return nil
}

// listen reads what there is without waiting, and answers a close frame, or
// sends something else from then on.
func (s *stormSocket) listen(buf, instead []byte) {
	for !s.gone {
		var n int
		var err error
		_ = s.raw.Read(func(fd uintptr) bool { n, err = syscall.Read(int(fd), buf); return true })
		switch {
		case err == syscall.EAGAIN:
			if s.code != 0 {
				_, _ = s.Write(instead)
			}
			return
		case err == syscall.EINTR:
		case n <= 0 || err != nil:
			s.gone = true
		default:
			s.got = append(s.got, buf[:n]...)
			s.follow(instead == nil)
		}
	}
}

// follow takes whole frames off what was read, and notes a close frame.
func (s *stormSocket) follow(answer bool) {
	for len(s.got) >= 2 {
		head, length := 2, int(s.got[1])
		if length == 126 && len(s.got) >= 4 {
			head, length = 4, int(binary.BigEndian.Uint16(s.got[2:]))
		} else if length >= 126 {
			return // no frame of the server is longer than that
		}
		if len(s.got) < head+length {
			return
		}
		if payload := s.got[head : head+length]; s.got[0] == final|opClose && length >= 2 {
			s.code, s.reason = binary.BigEndian.Uint16(payload), string(payload[2:])
			if answer {
				_, _ = s.Write(closeFrame(s.code, ""))
				_ = s.CloseWrite()
			}
		}
		s.got = s.got[head+length:]
	}
}

// within waits until nothing is wrong any more.
func within(t *testing.T, wrong func() string) {
	t.Helper()
	tick := time.NewTicker(stormVisit)
	defer tick.Stop()
	late := time.Now().Add(stormLimit / 2)
	for text := wrong(); text != ""; text = wrong() {
		if (<-tick.C).After(late) {
			t.Fatal(text)
		}
	}
}

// needDescriptors raises the limit on descriptors, as far as it may. In CI, a
// machine without enough of them must not hide that nothing was tested.
func needDescriptors(t *testing.T, n uint64) {
	t.Helper()
	var before syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &before)
	if l := before; err == nil && l.Cur < n {
		l.Cur = n
		if err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &l); err == nil {
			t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &before) })
		}
	}
	if err == nil {
		return
	}
	const text = "%d descriptors are needed, and the limit is %d (%v): raise it with ulimit -Hn"
	if os.Getenv("CI") != "" {
		t.Fatalf(text, n, before.Max, err)
	}
	t.Skipf(text, n, before.Max, err)
}

func countDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
