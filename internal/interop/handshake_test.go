package interop

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	coder "github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// R05, R44: what a library does for an allowed client it still does behind the
// chain, for messages of every length class, fragmented or not.
func TestEcho(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{})
		c := srv.connect(handshake{})
		for _, n := range []int{1, 125, 126, 65535, 65536, 100 << 10} {
			c.echo(strings.Repeat("x", n))
		}
		c.send(frame(0x80|opBinary, []byte{0, 0xFF, 0x80}))
		c.wantMessage(opBinary, "\x00\xFF\x80")
		c.send(bytes.Join([][]byte{frame(opText, []byte("in ")), frame(0x80|opPing, nil), frame(0, []byte("three ")), frame(0x80, []byte("parts"))}, nil))
		c.wantMessage(opText, "in three parts")
		c.send(closeFrame(1000))
		c.wantClose(1000)
		srv.wantClosed(1000, "peer", "")
	})
}

// A client that does everything right, and wants compression.
func TestEchoToAnotherLibrary(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{})
		scheme, web := "ws://", &http.Client{Transport: &http.Transport{TLSClientConfig: srv.tls, DisableKeepAlives: true}}
		if s.tls {
			scheme = "wss://"
		}
		c, resp, err := coder.Dial(t.Context(), scheme+srv.addr+"/ws", &coder.DialOptions{
			HTTPClient: web, HTTPHeader: http.Header{"Origin": {home}}, CompressionMode: coder.CompressionContextTakeover,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.CloseNow()
		if got := resp.Header.Get("Sec-WebSocket-Extensions"); got != "" {
			t.Errorf("Sec-WebSocket-Extensions %q", got)
		}
		want := strings.Repeat("compress me ", 1000)
		if err := c.Write(t.Context(), coder.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(1 << 20)
		if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
		if err := c.Close(coder.StatusNormalClosure, ""); err != nil {
			t.Error(err)
		}
		srv.wantClosed(1000, "peer", "")
	})
}

// R05, R06, R45: a foreign page gets a real HTTP response, and no slot.
func TestForeignOrigin(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		srv := start(t, s, limits{conns: 1})
		for range 3 {
			c := srv.open(handshake{origin: foreign})
			if c.resp.StatusCode != http.StatusForbidden || c.body() != "Forbidden\n" {
				t.Errorf("status %d, want a whole 403", c.resp.StatusCode)
			}
			if r := get(t, srv.shaken).Refusal; r == nil || r.Reason != "origin_not_allowed" {
				t.Errorf("observer was told %v", r)
			}
		}
		srv.wantSlots(1)
	})
}

// R01: RequireTLS stands in front of any library.
func TestPlainIsRefused(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		if s.tls {
			return // every other test passes RequireTLS there
		}
		srv := start(t, s, limits{more: []func(http.Handler) http.Handler{wsguard.RequireTLS()}})
		c := srv.open(handshake{})
		if c.resp.StatusCode != http.StatusForbidden || c.body() != "Forbidden\n" {
			t.Errorf("status %d, want a whole 403", c.resp.StatusCode)
		}
	})
}

// R50: each library has compression switched on, as its answer without the
// chain shows, and none gets to negotiate it.
func TestNoExtension(t *testing.T) {
	eachStack(t, mounts, func(t *testing.T, s stack) {
		bare := (&server{t: t}).listen(s.tls, s.library.handler(t, app{}))
		c := bare.connect(handshake{})
		if got := c.resp.Header.Get("Sec-WebSocket-Extensions"); !strings.Contains(got, "permessage-deflate") {
			t.Fatalf("without the chain the library negotiates %q: this test shows nothing", got)
		}
		c.vanish(false)

		c = start(t, s, limits{}).connect(handshake{})
		if got, ok := c.resp.Header["Sec-Websocket-Extensions"]; ok {
			t.Errorf("Sec-WebSocket-Extensions %q", got)
		}
		c.echo(strings.Repeat("compress me ", 1000))
		c.send(frame(0x80|0x40|opText, []byte("compressed")))
		c.wantClose(1002)
	})
}

// Bytes that come in one segment with the handshake are neither lost nor
// beyond the limits, also where they are more than any buffer holds.
func TestEarlyBytes(t *testing.T) {
	long := strings.Repeat("early ", 10<<10)
	for _, tc := range []struct {
		name  string
		early []byte
		want  func(*client)
	}{
		{"one byte of a frame", text("hello")[:1], func(c *client) {
			c.send(text("hello")[1:])
			c.wantMessage(opText, "hello")
		}},
		{"a message", text("hello"), func(c *client) { c.wantMessage(opText, "hello") }},
		{"a message and a half", append(text("one"), text("two")[:7]...), func(c *client) {
			c.wantMessage(opText, "one")
			c.send(text("two")[7:])
			c.wantMessage(opText, "two")
		}},
		{"a message of 60 KB", text(long), func(c *client) { c.wantMessage(opText, long) }},
		{"a close frame", closeFrame(1000), func(c *client) { c.wantClose(1000) }},
		{"a frame that is not masked", []byte{0x81, 0x01, 'a'}, func(c *client) { c.wantClose(1002) }},
		{"a message that is too long", header(0x80|opText, 1<<20), func(c *client) { c.wantClose(1009) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			eachStack(t, mounts, func(t *testing.T, s stack) {
				tc.want(start(t, s, limits{}).connect(handshake{early: tc.early}))
			})
		})
	}
}
