package wsguardtest_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// A sloppy endpoint checks nothing, answers everything and ends nothing until
// stop is closed. Every attack has to find that.
type sloppy struct {
	log  record
	stop chan struct{}

	slots atomic.Int32 // if it is not zero, it serves so many connections, ever
	lazy  bool         // a frame of opcode 3 is answered with a close frame, and no more
}

func newSloppy(t *testing.T) *sloppy {
	s := &sloppy{stop: make(chan struct{})}
	t.Cleanup(func() { close(s.stop) })
	return s
}

func (s *sloppy) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, _ := url.QueryUnescape(r.URL.RawQuery)
		fmt.Fprintln(&s.log, query, r.Header)
		if strings.Contains(fmt.Sprint(r.Header), "kitcanary") || r.Header.Get("Origin") == "http://[::1" {
			http.Error(w, fmt.Sprint("handler.go:1: panic: ", r.Header), http.StatusUnauthorized)
			return
		}
		if s.slots.Load() != 0 && s.slots.Add(-1) == 0 {
			s.slots.Store(1)
			http.Error(w, "full", http.StatusServiceUnavailable)
			return
		}
		nc, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer nc.Close()
		sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
		fmt.Fprintf(nc, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n",
			base64.StdEncoding.EncodeToString(sum[:]))
		deflate := strings.Contains(r.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate")
		if deflate {
			fmt.Fprint(nc, "Sec-WebSocket-Extensions: permessage-deflate\r\n")
		}
		fmt.Fprintf(nc, "X-Seen: %s %s\r\n\r\n", r.Header.Get("Sec-WebSocket-Protocol"), r.Header.Get("Origin"))
		for s.frame(nc, rw.Reader, deflate) == nil {
		}
		<-s.stop
	})
}

// frame reads a frame, and sends back what was in it as a text.
func (s *sloppy) frame(nc net.Conn, br *bufio.Reader, deflate bool) error {
	var head [14]byte
	if _, err := io.ReadFull(br, head[:2]); err != nil {
		return err
	}
	length := uint64(head[1] & 0x7F)
	var err error
	switch length {
	case 126:
		_, err = io.ReadFull(br, head[2:4])
		length = uint64(binary.BigEndian.Uint16(head[2:]))
	case 127:
		_, err = io.ReadFull(br, head[2:10])
		length = binary.BigEndian.Uint64(head[2:]) &^ (1 << 63)
	}
	mask := make([]byte, 4)
	if err == nil && head[1]&0x80 != 0 {
		_, err = io.ReadFull(br, mask)
	}
	if err != nil {
		return err
	}
	if length > 1<<20 {
		_, err = io.CopyN(io.Discard, br, int64(length))
		return err
	}
	payload := make([]byte, length)
	if _, err := io.ReadFull(br, payload); err != nil {
		return err
	}
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	if len(payload) == 0 && head[0]&0xF != 1 {
		return nil
	}
	if head[0]&0x40 != 0 && deflate {
		payload, _ = io.ReadAll(flate.NewReader(bytes.NewReader(payload)))
	}
	fmt.Fprintf(&s.log, "%s\n", payload)
	first := byte(0x81)
	if s.lazy && head[0]&0xF == 3 {
		first, payload = 0x88, []byte{3, 234}
	}
	if bytes.Contains(payload, []byte("kitcanary")) {
		first, payload = 0x88, append([]byte{3, 235}, payload...)
	}
	b := []byte{first, 127}
	b = append(binary.BigEndian.AppendUint64(b, uint64(len(payload))), payload...)
	_, err = nc.Write(b)
	return err
}

// sloppyProfile claims what a sloppy endpoint does not have.
func (s *sloppy) profile() wsguardtest.Profile {
	return wsguardtest.Profile{Origin: home, Signer: wsguardtest.NewSigner("https://id.example.com", "chat"), TokenIn: "subprotocol:bearer.",
		Message: valid, Log: s.log.String,
		Ticket: func(context.Context) (string, error) { return "ticket", nil }, TicketIn: "query:ticket",
		Invalid: map[string]string{"nothing": `{}`}, Logout: func(context.Context) error { return nil },
		Patience: time.Second, Flood: 200 * time.Millisecond, Parallel: 32,
		Claims: wsguardtest.Claims{MessageBytes: 1000, MessageBurst: 20, HandshakeBurst: 5, ConnsPerUser: 5, DeadPeer: time.Second,
			Idle: time.Second, FirstMessage: time.Second, Lifetime: time.Second, Stall: 500 * time.Millisecond, Handshake: time.Second,
			TokenLeeway: time.Second, TicketLife: time.Second}}
}

// elsewhere are the attacks that need another endpoint to fail against.
var elsewhere = map[string]bool{"transport/plaintext": true, "transport/plaintext-forged-proxy": true, "limits/slot-leak": true,
	"limits/refused-slot-leak": true, "lifecycle/reset-storm": true, "lifecycle/close-unanswered": true}

// Every attack fails against an endpoint without any safeguard. R64
func TestSloppy(t *testing.T) {
	s := newSloppy(t)
	server := httptest.NewUnstartedServer(s.handler())
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS10}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	s.wantFailed(t, wsguardtest.Target{URL: server.URL}, func(name string) bool { return !elsewhere[name] })
}

// The rest fails where TLS may be left out, where slots are not given back, and
// where a socket stays open after the close frame.
func TestSloppyElsewhere(t *testing.T) {
	t.Parallel()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, row := range []struct {
		attack string
		with   func(*sloppy)
	}{
		{"transport/plaintext", func(*sloppy) {}},
		{"transport/plaintext-forged-proxy", func(*sloppy) {}},
		{"limits/slot-leak", func(s *sloppy) { s.slots.Store(8) }},
		{"limits/refused-slot-leak", func(s *sloppy) { s.slots.Store(8) }},
		{"lifecycle/reset-storm", func(s *sloppy) { s.slots.Store(8) }},
		{"lifecycle/close-unanswered", func(s *sloppy) { s.lazy = true }},
	} {
		wg.Go(func() {
			s := newSloppy(t)
			row.with(s)
			s.wantFailed(t, wsguardtest.Target{Handler: s.handler(), TLS: true}, func(string) bool { return true }, row.attack)
		})
	}
}

// wantFailed wants every attack that counts to fail. One that a busy machine
// leaves not judged has two more chances; one that passes has none.
func (s *sloppy) wantFailed(t *testing.T, target wsguardtest.Target, counts func(string) bool, only ...string) {
	t.Helper()
	p := s.profile()
	p.Only = only
	for chance := 3; ; chance-- {
		report, err := wsguardtest.Run(t.Context(), target, p, nil)
		if err != nil || report.Baseline != "" {
			t.Error(err, report.Baseline)
			return
		}
		t.Log(report.String(), report.Took.Round(time.Millisecond))
		var again []string
		for _, r := range report.Results {
			switch {
			case !counts(r.Name) || r.Verdict == wsguardtest.NotWithstood:
			case r.Verdict == wsguardtest.NotJudged && chance > 1:
				t.Logf("%s is %s: %s", r.Name, r.Verdict, r.Seen)
				again = append(again, r.Name)
			default:
				t.Errorf("%s is %s: %s", r.Name, r.Verdict, r.Seen)
			}
		}
		if len(again) == 0 {
			return
		}
		p.Only, p.Patience = again, 2*p.Patience
	}
}
