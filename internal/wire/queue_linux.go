package wire

import (
	"crypto/tls"
	"net"
	"syscall"
	"unsafe"
)

// queued returns how many bytes the system has taken for a socket that the
// peer has not acknowledged (SIOCOUTQ: tcp(7), unix(7)).
func queued(nc net.Conn) (n int64, ok bool) {
	if t, secure := nc.(*tls.Conn); secure {
		nc = t.NetConn()
	}
	s, ok := nc.(syscall.Conn)
	if !ok {
		return 0, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, false
	}
	var bytes int32
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, fd, syscall.TIOCOUTQ, uintptr(unsafe.Pointer(&bytes)))
	})
	return int64(bytes), err == nil && errno == 0
}
