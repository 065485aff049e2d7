package wire

import (
	"bytes"
	"io"
	"net"
	"testing"
)

// FuzzConn sends arbitrary bytes in arbitrary pieces. What the library gets
// must be what was sent, up to a frame that breaks a rule, and the end must
// come with it.
func FuzzConn(f *testing.F) {
	f.Add(append(hello, frameOf(0x89, []byte("ping"))...), 3, 2)
	f.Add(append(hello, 0xC1, 0x80), 1, 64)
	f.Add(frameOf(0x88, []byte{3, 232}), 100, 1)
	f.Add([]byte{0x82, 0xFF, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4}, 4, 4)
	f.Fuzz(func(t *testing.T, in []byte, piece, size int) {
		if piece < 1 || size < 1 || size > 1<<16 {
			return
		}
		limits := &Limits{MessageSize: 1 << 16}
		whole := parser{limits: limits}
		_, broken := run(&whole, in, len(in)+1)

		near, far := net.Pipe()
		head := in[:min(len(in), size%7)]
		c := newResponded(near, Config{Head: bytes.Clone(head), Limits: limits, Owner: owner{}})
		defer c.Kill()
		go func() {
			go io.Copy(io.Discard, far)
			for rest := in[len(head):]; len(rest) > 0; {
				n, err := far.Write(rest[:min(piece, len(rest))])
				if err != nil {
					return
				}
				rest = rest[n:]
			}
			far.Close()
		}()
		var got []byte
		buf := make([]byte, size)
		var err error
		for err == nil {
			var n int
			n, err = c.Read(buf)
			got = append(got, buf[:n]...)
		}
		if !bytes.HasPrefix(in, got) {
			t.Fatalf("got % x of % x", got, in)
		}
		if broken != nil && err != broken {
			t.Fatalf("error %v, want %v", err, broken)
		}
		if broken == nil && len(got) != len(in) {
			t.Fatalf("got %d of %d good bytes: %v", len(got), len(in), err)
		}
	})
}
