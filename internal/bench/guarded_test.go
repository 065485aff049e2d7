package main

import (
	"bufio"
	"cmp"
	"context"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"

	"github.com/wsguard/wsguard"
)

// Each safeguard of the contender refuses in the very chain that is measured.
// Only what nobody is to reach there, a limit or a time, is made small, one at
// a time.
func TestEachSafeguardRefuses(t *testing.T) {
	const nothing = ""
	small := func(change func(*limits)) func(*limits) { return change }
	invalid := string([]byte{0x81, 0x82, 0, 0, 0, 0, 0xff, 0xfe})
	said := string(maskedFrames(text, chatMessage, 1))
	for _, tc := range []struct {
		reason    string
		limits    func(*limits)
		header    [2]string // of the handshake: what is replaced, and by what
		frames    string    // sent after it
		opened    int       // connections that are there before
		safeguard string
	}{
		{reason: "accepted", frames: said},

		{safeguard: "AllowHosts", reason: "host_not_allowed", header: [2]string{"Host: " + host, "Host: evil.example"}},
		{safeguard: "AllowOrigins", reason: "origin_not_allowed", header: [2]string{"Origin: " + origin, "Origin: https://evil.example"}},
		{safeguard: "LimitConns", reason: "connections_total", limits: small(func(l *limits) { l.conns = 1 }), opened: 1},
		{safeguard: "LimitHandshakes", reason: "handshake_rate", limits: small(func(l *limits) { l.handshakes = 1 }), opened: 1},
		{safeguard: "Authenticate", reason: "token_missing", header: [2]string{"Authorization", "X-Nothing"}},
		{safeguard: "Authenticate", reason: "token_malformed", header: [2]string{"Bearer ", "Bearer x"}},

		{safeguard: "LimitFrames", reason: "frame_flood", frames: strings.Repeat("\x89\x80\x00\x00\x00\x00", 50)},
		{safeguard: "MaxMessageSize", reason: "message_too_big", frames: string(header(text, 28<<10, true))},
		{safeguard: "LimitMessages", reason: "message_rate", limits: small(func(l *limits) { l.messages = 1 }), frames: said + said + said},
		{safeguard: "LimitBytes", reason: "byte_rate", limits: small(func(l *limits) { l.bytes = 200; l.messageSize = 200 }), frames: said + said + said},
		{safeguard: "UTF-8", reason: "invalid_utf8", frames: invalid},
		{safeguard: "framing", reason: "protocol_error", frames: "\xf1\x80\x00\x00\x00\x00"},
		{safeguard: "ValidateMessages", reason: "invalid_data", frames: string(maskedFrames(text, `{"type":"sey","room":"r","text":"t"}`, 1))},
		{safeguard: "CheckMessages", reason: "message_rejected", frames: string(maskedFrames(text, forbidden, 1))},

		{safeguard: "KeepAlive", reason: "no_pong", limits: small(func(l *limits) { l.ping, l.pong = time.Millisecond, time.Millisecond }), frames: nothing},
		{safeguard: "IdleTimeout", reason: "idle", limits: small(func(l *limits) { l.idle = time.Millisecond }), frames: nothing},
		{safeguard: "FirstMessageTimeout", reason: "slow_start", limits: small(func(l *limits) { l.firstMessage = time.Millisecond }), frames: nothing},
		{safeguard: "MaxLifetime", reason: "lifetime_over", limits: small(func(l *limits) { l.life = time.Millisecond }), frames: nothing},
	} {
		t.Run(cmp.Or(tc.safeguard, "none")+" "+tc.reason, func(t *testing.T) {
			i, err := newIssuer(jwa.ES256)
			if err != nil {
				t.Fatal(err)
			}
			token, err := i.token()
			if err != nil {
				t.Fatal(err)
			}
			verifier, err := i.verifier()
			if err != nil {
				t.Fatal(err)
			}
			reasons := make(chan string, 100)
			o := wsguard.NewObserver("bench", nil, wsguard.Hooks{
				HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
					if e.Refusal != nil {
						reasons <- e.Refusal.Reason
					}
				},
				ConnClosed: func(_ context.Context, e wsguard.CloseEvent) { reasons <- e.Reason },
				Message: func(_ context.Context, e wsguard.MessageEvent) {
					if tc.reason == "accepted" {
						reasons <- "accepted"
					}
				},
			})
			l := generous(chatSchema)
			if tc.limits != nil {
				tc.limits(&l)
			}
			srv := httptest.NewServer(fullChain(o, verifier, l)(wsguard.Handler(guardedEcho)))
			defer srv.Close()
			for range tc.opened {
				rawHandshake(t, srv, token, [2]string{}, true)
			}
			c := rawHandshake(t, srv, token, tc.header, tc.frames != "" || tc.opened == 0 && tc.header == [2]string{})
			if _, err := io.WriteString(c, tc.frames); err != nil {
				t.Log("the peer had ended already:", err)
			}
			go func() { _, _ = io.Copy(io.Discard, c) }()
			select {
			case got := <-reasons:
				if got != tc.reason {
					t.Errorf("%q, want %q", got, tc.reason)
				}
			case <-time.After(20 * time.Second):
				t.Errorf("nothing was refused, want %q", tc.reason)
			}
		})
	}
}

// rawHandshake asks for a connection, and waits for a switch if one is wanted.
func rawHandshake(t *testing.T, srv *httptest.Server, token string, change [2]string, wanted bool) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	ask := request(token)
	if change[0] != "" {
		ask = strings.Replace(ask, change[0], change[1], 1)
	}
	if _, err := io.WriteString(c, ask); err != nil {
		t.Fatal(err)
	}
	if !wanted {
		return c
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "HTTP/1.1 101 ") {
		t.Fatalf("handshake: %q, %v, want 101", line, err)
	}
	return c
}
