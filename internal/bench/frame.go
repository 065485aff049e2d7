package main

import (
	"flag"
	"io"
	"net"
	"testing"
	"time"

	"github.com/wsguard/wsguard/internal/wire"
)

// measureFrame reads frames of 130 bytes through the meter alone, and the same
// bytes straight from what lies below it: the difference is the meter's. What
// the wire does on sockets of the kernel alone is part of the echo.
func measureFrame(p *plan) []Row {
	testing.Init()
	if err := flag.Set("test.benchtime", p.benchtime); err != nil {
		panic(err) // a plan that is wrong
	}
	const prepared = 64
	size := len(maskedFrames(text, chatMessage, 1))
	var rows []Row
	for _, tc := range []struct {
		name  string
		first byte
		bytes int
		most  *target
	}{
		{"text frames of 130 bytes, read 4 KiB at a time", text, 4 << 10, &target{Limit: 40, Least: true}}, // as from a busy socket
		{"binary frames of 130 bytes, read 4 KiB at a time", bin, 4 << 10, nil},
		{"text frames of 130 bytes, read 1 KiB at a time", text, 1 << 10, nil},
		{"text frames of 130 bytes, each in a read of its own", text, size, nil},
	} {
		frames := maskedFrames(tc.first, chatMessage, prepared)
		const direct, through, meter = "read directly", "read through the meter", "the meter"
		cost := newFigure(tc.name, "ns of CPU a frame")
		cost.target[meter] = tc.most
		allocs := newFigure(tc.name, "allocations a frame")
		allocs.target[meter] = &target{Limit: 0}
		for round := range p.rounds {
			p.progress("round %d of %d: %s", round+1, p.rounds, tc.name)
			directTime, directAllocs, err := perFrame(&stream{frames: frames}, size, tc.bytes)
			cost.add(direct, directTime, err)
			allocs.add(direct, directAllocs, err)
			metered := metered(&stream{frames: frames})
			throughTime, throughAllocs, err := perFrame(metered, size, tc.bytes)
			_ = metered.Close()
			cost.add(through, throughTime, err)
			allocs.add(through, throughAllocs, err)
			cost.add(meter, throughTime-directTime, err)
			allocs.add(meter, throughAllocs-directAllocs, err)
		}
		rows = append(append(rows, cost.rows()...), allocs.rows()...)
	}
	return rows
}

// metered is the wire as a chain with limits on time sets it up, after the
// handshake.
func metered(under net.Conn) net.Conn {
	c := wire.New(under, wire.Config{
		Limits: &wire.Limits{
			MessageSize: 32 << 10, Fragments: 1024, Empty: 8,
			Controls: 20, ControlEvery: 100 * time.Millisecond,
			Ping: 30 * time.Second, Pong: 10 * time.Second,
			Idle: 5 * time.Minute, Lifetime: 8 * time.Hour,
			MessageTime: 10 * time.Second, WriteTime: 10 * time.Second, MinRate: 4 << 10,
		},
		Owner:         nobody{},
		CountMessages: true,
	})
	_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	return c
}

// nobody owns a connection that breaks no rule.
type nobody struct{}

func (nobody) Refuse(err error) wire.Cause { return wire.Cause{Err: err} }
func (nobody) Ending(wire.Cause)           {}
func (nobody) Alarm()                      {}
func (nobody) Closed(wire.Report)          {}

// perFrame reads from r for a while, so many bytes at most at a time. Time is
// that of the processor.
func perFrame(r io.Reader, size, bytes int) (ns, allocs float64, err error) {
	const frames = 1000 // of one turn, so that the loop itself costs nothing
	buf := make([]byte, bytes)
	var took time.Duration
	result := testing.Benchmark(func(b *testing.B) {
		began := ownCPU()
		for b.Loop() {
			for left := frames * size; left > 0; {
				var n int
				if n, err = r.Read(buf[:min(bytes, left)]); err != nil {
					b.SkipNow()
				}
				left -= n
			}
		}
		took = ownCPU() - began
	})
	if err != nil {
		return 0, 0, err
	}
	return float64(took) / float64(result.N) / frames, float64(result.AllocsPerOp()) / frames, nil
}

// A stream is a peer that has always sent more frames, and takes everything.
type stream struct {
	frames []byte
	at     int
}

func (s *stream) Read(p []byte) (int, error) {
	n := copy(p, s.frames[s.at:])
	if s.at += n; s.at == len(s.frames) {
		s.at = 0
	}
	return n, nil
}

func (s *stream) Write(p []byte) (int, error)      { return len(p), nil }
func (s *stream) Close() error                     { return nil }
func (s *stream) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (s *stream) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (s *stream) SetDeadline(time.Time) error      { return nil }
func (s *stream) SetReadDeadline(time.Time) error  { return nil }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
