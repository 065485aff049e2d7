package wsguard_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
)

// ginWriter is a ResponseWriter with gin's extra methods, that takes down the
// order of things and hands out one end of a pipe.
type ginWriter struct {
	http.ResponseWriter
	conn  net.Conn
	calls []string
}

func (g *ginWriter) WriteHeader(status int) { g.calls = append(g.calls, fmt.Sprint(status)) }
func (g *ginWriter) WriteHeaderNow()        { g.calls = append(g.calls, "now") }
func (g *ginWriter) Flush()                 { g.calls = append(g.calls, "flush") }
func (g *ginWriter) CloseNotify() <-chan bool {
	g.calls = append(g.calls, "notify")
	return make(chan bool)
}
func (g *ginWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	g.calls = append(g.calls, "hijack")
	return g.conn, bufio.NewReadWriter(bufio.NewReader(g.conn), bufio.NewWriter(g.conn)), nil
}

// giner is what a handler under gin may call.
type giner interface {
	http.ResponseWriter
	http.Hijacker
	http.Flusher
	WriteHeaderNow()
	CloseNotify() <-chan bool
}

// 101 goes out at the hijack and not before, in whatever way it is pushed, on
// the connection and past all writers; what is no 101 is pushed at once.
func TestHeldBack(t *testing.T) {
	for _, row := range []struct {
		name   string
		handle func(giner)
		want   string
	}{
		{"ordinary", func(w giner) {
			_ = w.CloseNotify()
			w.WriteHeader(http.StatusAccepted)
			w.WriteHeaderNow()
			w.Flush()
		}, "[notify 202 now flush] "},
		{"upgrade", func(w giner) {
			w.Header().Set("Upgrade", "websocket")
			w.WriteHeader(http.StatusSwitchingProtocols)
			w.WriteHeaderNow()
			w.Flush()
			nc, _, err := w.Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			w.WriteHeaderNow()
			w.Flush()
			w.WriteHeader(http.StatusOK)
			_ = nc.Close()
		}, "[hijack] HTTP/1.1 101 Switching Protocols|Upgrade: websocket||"},
	} {
		server, client := net.Pipe()
		read := make(chan string, 1)
		go func() {
			b, _ := io.ReadAll(client)
			read <- string(b)
		}()
		g := &ginWriter{ResponseWriter: httptest.NewRecorder(), conn: server}
		wsguard.MaxMessageSize(100)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { row.handle(w.(giner)) })).
			ServeHTTP(g, requestFrom(away)())
		_ = server.Close()
		if got := fmt.Sprint(g.calls, " ", strings.ReplaceAll(next(t, read), "\r\n", "|")); got != row.want {
			t.Errorf("%s: %q, want %q", row.name, got, row.want)
		}
	}
}

// A peer that is gone before the 101 holds nothing for long.
func TestHijackOfADeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		slots := wsguard.LimitConns(1, wsguard.Everyone)
		server, client := net.Pipe()
		_ = client.Close()
		began := time.Now()
		wsguard.Chain(wsguard.Observe(rec.Observer), slots)(http.HandlerFunc(acceptBare)).
			ServeHTTP(&ginWriter{ResponseWriter: httptest.NewRecorder(), conn: server}, upgradeRequest())
		next(t, rec.closes)
		if d := time.Since(began); d > 5*time.Second {
			t.Errorf("it took %v", d)
		}
		if _, err := server.Read(make([]byte, 1)); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("the socket is open: %v", err)
		}
		if n := freeSlots(slots, requestFrom(away)); n != 1 || len(rec.handshakes) != 1 {
			t.Errorf("%d slots are free, %d handshakes were observed", n, len(rec.handshakes))
		}
	})
}
