package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// A peer that does nothing, a peer that answers pings, one whose token runs
// out, and one that has been there for too long. R25, R27, R48
func TestTimeLimits(t *testing.T) {
	for _, row := range []struct {
		name   string
		args   []string
		talk   time.Duration // between two messages; 0 for silence
		code   websocket.StatusCode
		reason string
		after  time.Duration // within a second
	}{
		{"idle", []string{"-idle-timeout", "2m"}, 0, 3008, "idle", 2 * time.Minute},
		{"not idle", []string{"-idle-timeout", "2m", "-max-lifetime", "10m"}, time.Minute, 3008, "lifetime over", 10 * time.Minute},
		{"lifetime", []string{"-max-lifetime", "1m"}, 0, 3008, "lifetime over", time.Minute},
		{"expiry", []string{"-token-ttl", "90s"}, time.Minute, 3000, "token expired", 90 * time.Second},
	} {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := startInMemory(t, row.args...)
				cl := c.connect("alice", "blue")
				began := time.Now()
				if row.talk > 0 {
					stop := make(chan struct{})
					defer close(stop)
					go func() {
						tick := time.NewTicker(row.talk)
						defer tick.Stop()
						for {
							select {
							case <-tick.C:
								cl.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join","room":"blue"}`))
							case <-stop:
								return
							}
						}
					}()
				}
				cl.expectCloseWithin(time.Hour, row.code, row.reason)
				if took := time.Since(began); took < row.after-time.Second || took > row.after+time.Second {
					t.Errorf("closed after %v, want %v", took, row.after)
				}
			})
		})
	}
}

// R48
func TestNoPong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startInMemory(t, "-ping-interval", "30s", "-pong-timeout", "10s")
		bob := c.connect("bob", "blue")
		began := time.Now()
		dead, err := c.dialRaw(t.Context(), "", "") // its socket takes what comes, and nobody answers
		if err != nil {
			t.Fatal(err)
		}
		defer dead.Close()
		go io.Copy(io.Discard, dead)
		fmt.Fprintf(dead, "GET /ws HTTP/1.1\r\nHost: localhost\r\nOrigin: %s\r\nAuthorization: Bearer %s\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
			c.base, c.login("alice"))
		join := []byte(`{"type":"join","room":"blue"}`)
		dead.Write(append([]byte{0x81, 0x80 | byte(len(join)), 0, 0, 0, 0}, join...)) // masked with zeros
		bob.expect("joined", "alice")
		bob.expect("left", "alice")
		if took := time.Since(began); took < 40*time.Second || took > 42*time.Second {
			t.Errorf("gone after %v, want 40 s and a second to say so", took)
		}
		<-time.After(2 * time.Second)
		if log := c.log.String(); !strings.Contains(log, "reason=no_pong") {
			t.Errorf("the log does not say so:\n%s", log)
		}
	})
}

// One who stops reading delays nobody, and is gone soon. R49
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startInMemory(t)
		alice, bob := c.connect("alice", "blue"), c.connect("bob", "blue")
		alice.expect("joined", "bob")
		c.connect("carol", "blue") // and reads no more
		alice.expect("joined", "carol")
		bob.expect("joined", "carol")
		for i := range 100 {
			began := time.Now()
			alice.send(fmt.Sprintf(`{"type":"say","room":"blue","text":"%d %s"}`, i, strings.Repeat("x", 1900)))
			for _, who := range []*client{alice, bob} {
				m, err := who.read()
				if err == nil && m.Type == "left" && m.From == "carol" {
					m, err = who.read()
				}
				if err != nil || m.Type != "said" || !strings.HasPrefix(m.Text, fmt.Sprint(i, " ")) {
					t.Fatalf("message %d: got %.60v, %v", i, m, err)
				}
			}
			if took := time.Since(began); took != 0 {
				t.Fatalf("message %d took %v", i, took)
			}
			<-time.After(200 * time.Millisecond)
		}
		if log := c.log.String(); !strings.Contains(log, "reason=slow_reader") {
			t.Errorf("carol is still there:\n%s", log)
		}
	})
}

// Within one connection's message rate, and above what a user may send on all
// of them together: 64 messages of 16 KiB fill the burst of 1 MiB. R46, R49
func TestByteRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startInMemory(t, "-message-burst", "60")
		long := []byte(`{"type":"leave","room":"blue"` + strings.Repeat(" ", 16000) + `}`)
		token := c.login("alice")
		for n, want := range []string{"", "byte_rate"} {
			cl := c.dial(c.handshake(token))
			go func() {
				for range 50 {
					if cl.Write(context.Background(), websocket.MessageText, long) != nil {
						return
					}
				}
			}()
			if want == "" {
				for range 50 {
					cl.expect("error", "")
				}
			} else {
				cl.expectClose(1008, "byte rate")
			}
			if got := strings.Contains(c.log.String(), "reason=byte_rate"); got != (want != "") {
				t.Errorf("connection %d: over the limit is %v", n, got)
			}
		}
	})
}

// What has arrived is passed on, everybody gets 1001, and nobody can make it
// last.
func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := startInMemory(t)
		alice, bob := c.connect("alice", "blue"), c.connect("bob", "blue")
		alice.expect("joined", "bob")
		c.connect("silent", "red") // neither reads nor answers
		half, err := c.dialRaw(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		fmt.Fprintf(half, "GET /ws HTTP/1.1\r\nHost: ")

		for i := range 19 {
			alice.send(fmt.Sprintf(`{"type":"say","room":"blue","text":"%d"}`, i))
		}
		began := time.Now()
		c.stop()
		for _, who := range []*client{alice, bob} {
			for i := range 19 {
				if m := who.expect("said", "alice"); m.Text != fmt.Sprint(i) {
					t.Fatalf("got %q, want %d", m.Text, i)
				}
			}
			who.expectClose(1001, "server shutting down")
		}
		c.status <- <-c.status
		if took := time.Since(began); took > 1700*time.Millisecond {
			t.Errorf("took %v", took)
		}
	})
}
