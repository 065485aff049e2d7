package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

func say(c *wsguard.Conn, text string) bool { return c.TrySend(websocket.MessageText, []byte(text)) }

// R49: what waits for a peer that does not read is bounded, in messages and in
// bytes, and what the bound has refused was not queued.
func TestTrySendIsBounded(t *testing.T) {
	for _, tc := range []struct {
		name     string
		upgrader wsguard.Upgrader
		size     int
		want     int // messages that fit
	}{
		{"messages", wsguard.Upgrader{QueueMessages: 3}, 10, 3},
		{"bytes", wsguard.Upgrader{QueueBytes: 35}, 10, 3},
		{"exactly", wsguard.Upgrader{QueueBytes: 30}, 10, 3},
		{"a message above the bound", wsguard.Upgrader{QueueBytes: 9}, 10, 0},
		{"by default, messages", wsguard.Upgrader{}, 10, 64},
		{"by default, bytes", wsguard.Upgrader{}, 1 << 18, 4},
		{"negative", wsguard.Upgrader{QueueMessages: -1, QueueBytes: -1}, 10, 64},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				filled := make(chan bool)
				text := strings.Repeat("x", tc.size)
				m := newMemoryServer(t, tc.upgrader.Handler(func(ctx context.Context, c *wsguard.Conn) error {
					n := 0
					for say(c, text) {
						n++
					}
					if n != tc.want {
						t.Errorf("%d messages were queued, want %d", n, tc.want)
					}
					filled <- true
					<-filled // the peer has read all of them
					if got, want := say(c, text), tc.want > 0; got != want {
						t.Errorf("with an empty queue, TrySend returned %t", got)
					}
					return nil
				}))
				c := m.raw()
				<-filled
				for range tc.want {
					c.wantMessage(text)
				}
				synctest.Wait()
				filled <- true
				if tc.want > 0 {
					c.wantMessage(text)
				}
				c.wantClose(1000, "")
			})
		})
	}
}

// R49: a broadcast waits for nobody. The one who does not read is the only one
// who loses, and is gone when its write has stalled for 10 seconds.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 100
		members, ended := make(chan *wsguard.Conn, 3), make(chan error, 3)
		rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
			members <- c
			_, _, err := c.Read(ctx)
			ended <- err
			return err
		})
		m := newMemoryServer(t, h)
		m.raw() // the slow one
		began := time.Now()
		room := []*wsguard.Conn{<-members}
		got := make(chan string)
		for range 2 {
			c := m.raw()
			room = append(room, <-members)
			go func() {
				for range many {
					_, text, err := c.tryFrame()
					if err != nil {
						t.Error(err)
					}
					got <- string(text)
				}
			}()
		}
		refused := 0
		for i := range many {
			for j, c := range room {
				if !say(c, fmt.Sprint(i)) {
					if refused++; j != 0 {
						t.Errorf("message %d was refused to a member who reads", i)
					}
				}
			}
			for range 2 {
				if text := <-got; text != fmt.Sprint(i) {
					t.Errorf("%q came instead of %d", text, i)
				}
			}
		}
		if took := time.Since(began); took != 0 || refused != many-64 {
			t.Errorf("the others waited for %v, and the slow one missed %d; want 0 and %d", took, refused, many-64)
		}
		rec.wantClosed(t, 1008, wsguard.InitiatorServer, "slow_reader")
		if took := time.Since(began); took != 11*time.Second {
			t.Errorf("the slow reader was ended after %v", took)
		}
		if err := <-ended; !isRefusal(err, "slow_reader") {
			t.Errorf("its Read returned %v", err)
		}
	})
}

// Close sends what was queued first, and all of it to a peer that reads; nothing
// is queued any more.
func TestCloseFlushes(t *testing.T) {
	for _, many := range []int{1, 63, 64} {
		t.Run(fmt.Sprint(many), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				result := make(chan bool, 2)
				m := newMemoryServer(t, wsguard.Handler(func(_ context.Context, c *wsguard.Conn) error {
					for i := range many {
						if !say(c, fmt.Sprint(i)) {
							t.Errorf("message %d does not fit", i)
						}
					}
					go func() {
						synctest.Wait() // Close is under way
						result <- say(c, "late")
					}()
					err := c.Close(4000, "done")
					result <- say(c, "too late")
					return err
				}))
				c := m.raw()
				if <-result {
					t.Error("a message was queued after Close")
				}
				for i := range many {
					c.wantMessage(fmt.Sprint(i))
				}
				c.wantClose(4000, "done")
				if <-result {
					t.Error("a message was queued after the end")
				}
			})
		})
	}
}

// What is not text is not sent as text, and does no harm: RFC 6455, section
// 8.1. R43
func TestTextToSendIsUTF8(t *testing.T) {
	c := rawDial(t, newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for _, bad := range []string{"\xff", "a\xc3", "\xed\xa0\x80"} {
			err := c.Write(ctx, websocket.MessageText, []byte(bad))
			if err == nil || strings.Contains(err.Error(), bad) {
				t.Errorf("Write of %q: %v", bad, err)
			}
			if say(c, bad) {
				t.Errorf("TrySend of %q: true", bad)
			}
		}
		if err := c.Write(ctx, websocket.MessageBinary, []byte("\xff")); err != nil {
			t.Error(err)
		}
		return c.Write(ctx, websocket.MessageText, []byte("é"))
	})))
	if first, payload := c.frame(); first != final|opBinary || string(payload) != "\xff" {
		t.Errorf("frame %08b with %q", first, payload)
	}
	c.wantMessage("é")
	c.wantClose(1000, "")
}

// WriteJSON writes JSON, or nothing.
func TestWriteJSON(t *testing.T) {
	c := rawDial(t, newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		if err := c.WriteJSON(ctx, make(chan int)); err == nil || !strings.HasPrefix(err.Error(), "wsguard: WriteJSON: ") {
			t.Errorf("a channel was written: %v", err)
		}
		return c.WriteJSON(ctx, map[string]string{"text": "<é>"})
	})))
	c.wantMessage(`{"text":"\u003cé\u003e"}`)
	c.wantClose(1000, "")
}

// ReadJSON refuses what the decoder would take for something else, and tells
// nobody what it was. R35, R55, R57
func TestReadJSON(t *testing.T) {
	type message struct {
		Text string `json:"text"`
		Role string `json:"role"`
		Size int8   `json:"size"`
	}
	for _, tc := range []struct {
		name   string
		frame  []byte
		want   message
		reason string
	}{
		{"a message", textFrame(`{"text":"hi"}`), message{Text: "hi"}, ""},
		{"an unknown member", textFrame(`{"text":"hi","more":1}`), message{Text: "hi"}, ""},
		{"binary", clientFrame(final|opBinary, `{"text":"hi"}`), message{}, "invalid_data"},
		{"empty", textFrame(``), message{}, "invalid_data"},
		{"not JSON", textFrame(`secret`), message{}, "invalid_data"},
		{"another type", textFrame(`{"text":["secret"]}`), message{}, "invalid_data"},
		{"out of range", textFrame(`{"size":47110815}`), message{}, "invalid_data"}, // the decoder's error quotes it
		{"a member twice", textFrame(`{"role":"user","role":"secret"}`), message{}, "invalid_data"},
		{"in another case", textFrame(`{"role":"user","ROLE":"secret"}`), message{}, "invalid_data"},
		{"two texts", textFrame(`{"text":"hi"}{"text":"secret"}`), message{}, "invalid_data"},
		{"a lone surrogate", textFrame(`{"text":"\ud800"}`), message{}, "invalid_data"},
		{"a giant number", textFrame(`{"text":1e1000001}`), message{}, "invalid_data"},
		{"deep", textFrame(strings.Repeat("[", 100) + strings.Repeat("]", 100)), message{}, "invalid_data"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			result := make(chan error, 1)
			var got message
			rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
				err := c.ReadJSON(ctx, &got)
				result <- err
				return err
			})
			c := rawDial(t, newServer(t, h))
			c.send(tc.frame)
			err := next(t, result)
			if tc.reason == "" {
				if err != nil || got != tc.want {
					t.Errorf("got %+v, %v", got, err)
				}
				c.wantClose(1000, "")
				return
			}
			if !isRefusal(err, tc.reason) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "4711") {
				t.Errorf("error %v, want %s", err, tc.reason)
			}
			c.wantClose(1003, strings.ReplaceAll(tc.reason, "_", " "))
			rec.wantViolation(t, "ReadJSON", tc.reason, "close")
		})
	}
}

// A mistake of the program's own is not the peer's.
func TestReadJSONIntoNothing(t *testing.T) {
	c := rawDial(t, newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		if err := c.ReadJSON(ctx, 1); err == nil || errors.As(err, new(*wsguard.Refusal)) {
			t.Errorf("reading into a number: %v", err)
		}
		return c.WriteJSON(ctx, "still open")
	})))
	c.send(textFrame(`{}`))
	c.wantMessage(`"still open"`)
}

// Escaping makes a message longer, and ReadJSON is the last to mind.
func TestReadJSONOfAnEscapedMessage(t *testing.T) {
	result := make(chan error, 1)
	sanitize := wsguard.SanitizeMessages(wsguard.Sanitizer{})
	c := rawDial(t, newServer(t, sanitize(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		var text string
		err := c.ReadJSON(ctx, &text)
		if want := strings.Repeat("&#39;", 10_000); text != want {
			t.Errorf("got %d bytes, want %d", len(text), len(want))
		}
		result <- err
		return err
	}))))
	c.send(textFrame(`"` + strings.Repeat("'", 10_000) + `"`))
	if err := next(t, result); err != nil {
		t.Error(err)
	}
}
