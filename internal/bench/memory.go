package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/wsguard/wsguard"
)

// inMemory returns what opens connections of a chain over whatever it is given,
// without a server.
func inMemory(chain func(http.Handler) http.Handler, token string) func(net.Conn) (*wsguard.Conn, error) {
	type outcome struct {
		conn *wsguard.Conn
		err  error
	}
	h := chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		o := r.Context().Value(outcome{}).(*outcome)
		o.conn, o.err = wsguard.Accept(w, r)
	}))
	return func(nc net.Conn) (*wsguard.Conn, error) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request(token))))
		if err != nil {
			return nil, err
		}
		r.RemoteAddr = "192.0.2.1:1"
		var o outcome
		w := &hijackable{httptest.NewRecorder(), nc}
		h.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), outcome{}, &o)))
		if o.conn == nil && o.err == nil {
			o.err = fmt.Errorf("refused with %d", w.Code)
		}
		return o.conn, o.err
	}
}

// hijackable is a response whose connection can be had.
type hijackable struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h *hijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReaderSize(h.nc, 16), bufio.NewWriterSize(h.nc, 16)), nil
}

// An idler is a peer in memory that answers pings and says nothing else.
type idler struct {
	stream
	mu    sync.Mutex
	pongs []byte
	ready chan struct{} // holds one where there are pongs, and is closed with the connection
	once  sync.Once
}

func newIdler() *idler { return &idler{ready: make(chan struct{}, 1)} }

// Write takes what the server sends. It writes a frame at once.
func (i *idler) Write(p []byte) (int, error) {
	const ping, pong = 0x80 | 0x9, 0x80 | 0xA
	if len(p) >= 2 && p[0] == ping {
		i.mu.Lock()
		i.pongs = append(i.pongs, header(pong, len(p)-2, true)...)
		i.pongs = binary.BigEndian.AppendUint32(i.pongs, 0) // the mask leaves the payload as it is
		i.pongs = append(i.pongs, p[2:]...)
		i.mu.Unlock()
		select {
		case i.ready <- struct{}{}:
		default:
		}
	}
	return len(p), nil
}

func (i *idler) Read(p []byte) (int, error) {
	for {
		i.mu.Lock()
		n := copy(p, i.pongs)
		i.pongs = i.pongs[n:]
		i.mu.Unlock()
		if n > 0 {
			return n, nil
		}
		if _, open := <-i.ready; !open {
			return 0, io.EOF
		}
	}
}

func (i *idler) Close() error {
	i.once.Do(func() { close(i.ready) })
	return nil
}
