package wire

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// endless is a peer that has always sent more, and takes everything.
type endless struct {
	net.Conn
	frames []byte
	at     int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.frames[e.at:])
	if e.at += n; e.at == len(e.frames) {
		e.at = 0
	}
	return n, nil
}

func (e *endless) Write(p []byte) (int, error)     { return len(p), nil }
func (e *endless) SetReadDeadline(time.Time) error { return nil }
func (e *endless) Close() error                    { return nil }

// guarded is what a chain with limits on time enforces.
var guarded = Limits{
	MessageSize: 32 << 10, Fragments: 1024, Empty: 8, Controls: 20, ControlEvery: 100 * time.Millisecond,
	Ping: 30 * time.Second, Pong: 10 * time.Second, Idle: 5 * time.Minute, Lifetime: 8 * time.Hour,
	MessageTime: 10 * time.Second, WriteTime: 10 * time.Second, MinRate: 4096,
}

// BenchmarkRead reads frames of 130 bytes through the whole meter, in reads of
// different sizes.
func BenchmarkRead(b *testing.B) {
	frame := frameOf(0x81, bytes.Repeat([]byte("x"), 130))
	for name, size := range map[string]int{"4 KiB at a time": 4 << 10, "1 KiB at a time": 1 << 10, "a frame at a time": len(frame)} {
		b.Run(name, func(b *testing.B) {
			c := newResponded(&endless{frames: bytes.Repeat(frame, 64)}, Config{Limits: &guarded, Owner: owner{}})
			defer c.Kill()
			b.ReportAllocs()
			buf, left := make([]byte, size), 0
			for b.Loop() { // a frame each
				for left += len(frame); left > 0; {
					n, err := c.Read(buf)
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}

// BenchmarkWriteMessage is a message of 130 bytes on its way out.
func BenchmarkWriteMessage(b *testing.B) {
	c := newResponded(&endless{}, Config{Limits: &guarded, Owner: owner{}})
	defer c.Kill()
	message := make([]byte, 130)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.WriteMessage(true, message); err != nil {
			b.Fatal(err)
		}
	}
}
