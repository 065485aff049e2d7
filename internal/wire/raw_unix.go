//go:build unix

package wire

import (
	"io"
	"net"
	"os"
	"syscall"
)

// raw reads and writes a socket of the kernel. It is what net.Conn does, but
// it knows whether a call has to wait: a connection that waits for its peer
// holds no buffer, and only a call that waits looks at the clock.
type raw struct {
	c         *Conn
	socket    syscall.RawConn
	readable  func(fd uintptr) bool // bound once, as each binding allocates
	writable  func(fd uintptr) bool
	in, out   []byte // what is read into, nil for a chunk, and written from
	most      int    // bytes that may be read
	early     bool   // nobody has asked for this read
	waits     bool   // this write has waited
	got, sent int
	inErr     error
	outErr    error
}

// rawOf returns nil for what only looks like a socket of the kernel: types
// that embed one may have changed what Read and Write do.
func rawOf(c *Conn) *raw {
	var s syscall.RawConn
	var err error
	switch nc := c.under.(type) {
	case *net.TCPConn:
		s, err = nc.SyscallConn()
	case *net.UnixConn:
		s, err = nc.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r := &raw{c: c, socket: s}
	r.readable, r.writable = r.read, r.write
	return r
}

// receive reads into p. It needs readMu, as receiveChunk does.
func (r *raw) receive(p []byte, early bool) (int, error) {
	r.in, r.most = p, len(p)
	n, err := r.wait(early)
	r.in = nil
	return n, err
}

// receiveChunk reads at most so many bytes into a chunk, which it borrows when
// there is something to be read.
func (r *raw) receiveChunk(most int, early bool) (int, error) {
	r.most = most
	n, err := r.wait(early)
	if n > 0 {
		r.c.rest = r.c.chunk[:n]
	} else {
		r.c.giveBack()
	}
	return n, err
}

func (r *raw) wait(early bool) (int, error) {
	r.early, r.got, r.inErr = early, 0, nil
	if err := r.socket.Read(r.readable); err != nil {
		return 0, err
	}
	return r.got, r.inErr
}

// read is called when there may be something to be read, and reports whether
// that was so.
func (r *raw) read(fd uintptr) bool {
	p := r.in
	if p == nil {
		if r.c.chunk == nil {
			r.c.chunk = chunks.Get().(*chunk)
		}
		p = r.c.chunk[:]
	}
	for {
		n, err := syscall.Read(int(fd), p[:r.most])
		switch {
		case n > 0:
			r.got = n
			return true
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN:
			r.c.giveBack()
			r.c.awaiting(r.early)
			return false
		case err == nil:
			r.inErr = io.EOF
		default:
			r.inErr = os.NewSyscallError("read", err)
		}
		return true
	}
}

// send writes p. It needs writeMu.
func (r *raw) send(p []byte) (int, error) {
	r.out, r.sent, r.outErr, r.waits = p, 0, nil, false
	err := r.socket.Write(r.writable)
	if r.out = nil; err == nil {
		err = r.outErr
	}
	return r.sent, err
}

// write is called when there may be room, and reports whether that was enough.
func (r *raw) write(fd uintptr) bool {
	before := r.sent
	for r.sent < len(r.out) {
		n, err := syscall.Write(int(fd), r.out[r.sent:])
		switch {
		case n > 0:
			r.sent += n
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			r.c.clock.stalling(!r.waits, int64(r.sent-before))
			r.waits = true
			return false
		case err != nil:
			r.outErr = os.NewSyscallError("write", err)
			return true
		default:
			r.outErr = io.ErrUnexpectedEOF
			return true
		}
	}
	return true
}
