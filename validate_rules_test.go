package wsguard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// A message that is too long ends the connection when a header declares it: not
// one byte of the payload is sent here. R41, R42, R45
func TestMaxMessageSize(t *testing.T) {
	const most = 1000
	whole := strings.Repeat("x", most)
	for _, tc := range []struct {
		name   string
		size   int64 // 0 is the default
		frames [][]byte
		want   string // "" is refused
	}{
		{"exactly", most, [][]byte{textFrame(whole)}, whole},
		{"exactly, in fragments", most, [][]byte{clientFrame(opText, whole[:most-1]), clientFrame(final, "x")}, whole},
		{"one more", most, [][]byte{frameHeader(final|opText, most+1)}, ""},
		{"in two bytes", most, [][]byte{frameHeader(final|opText, 1<<16-1)}, ""},
		{"in eight", most, [][]byte{frameHeader(final|opBinary, 1<<16)}, ""},
		{"a terabyte", most, [][]byte{frameHeader(final|opBinary, 1<<40)}, ""},
		{"2^63-1", most, [][]byte{frameHeader(final|opBinary, 1<<63-1)}, ""},
		{"fragments together", most, [][]byte{clientFrame(opText, whole), frameHeader(final, 1)}, ""},
		{"a sum that would overflow", most, [][]byte{clientFrame(opText, "x"), frameHeader(opContinuation, 1<<63-1)}, ""},
		{"the default", 0, [][]byte{textFrame(strings.Repeat("x", 32<<10))}, strings.Repeat("x", 32<<10)},
		{"one more than the default", 0, [][]byte{frameHeader(final|opText, 32<<10+1)}, ""},
		{"2^63-1 by default", 0, [][]byte{frameHeader(opText, 1<<63-1)}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox()
			if tc.size > 0 {
				in = newInbox(wsguard.MaxMessageSize(tc.size))
			}
			c := rawDial(t, newServer(t, in.h))
			c.send(tc.frames...)
			if tc.want != "" {
				in.wantMessages(t, tc.want)
				return
			}
			c.wantClose(1009, "message too big")
			_ = c.Close() // or the server waits a second for the answer
			in.wantViolation(t, "MaxMessageSize", "message_too_big", "close")
			in.wantClosed(t, 1009, wsguard.InitiatorServer, "message_too_big")
			in.wantMessages(t)
		})
	}
}

// What came before a message that is refused is delivered, what comes after it
// is not. R42
func TestMessagesAroundARefusal(t *testing.T) {
	in := newInbox()
	c := rawDial(t, newServer(t, in.h))
	c.send(bytes.Join([][]byte{textFrame("before"), frameHeader(final|opText, 1<<40), textFrame("after")}, nil))
	c.wantClose(1009, "message too big")
	in.wantClosed(t, 1009, wsguard.InitiatorServer, "message_too_big")
	in.wantMessages(t, "before")
}

// The stream of small frames of RFC 6455, section 10.4: 1,024 fragments are a
// message, one more is a flood, and so is a stream of pings. R42, R46
func TestFrameFloods(t *testing.T) {
	in := newInbox()
	url := newServer(t, in.h)
	fragments := append(clientFrame(opText, ""), bytes.Repeat(clientFrame(opContinuation, "x"), 1022)...)

	c := rawDial(t, url)
	c.send(append(bytes.Clone(fragments), clientFrame(final, "")...))
	in.wantMessages(t, strings.Repeat("x", 1022))

	for name, flood := range map[string][]byte{
		"fragments": append(bytes.Clone(fragments), bytes.Repeat(clientFrame(opContinuation, ""), 2)...),
		"pings":     bytes.Repeat(clientFrame(final|opPing, ""), 50),
	} {
		t.Run(name, func(t *testing.T) {
			c := rawDial(t, url)
			c.send(flood)
			in.wantViolation(t, "LimitFrames", "frame_flood", "close")
			for e := next(t, in.closes); e.Code != 1008; e = next(t, in.closes) {
				t.Errorf("closed with %d", e.Code)
			}
		})
	}
}

func asText(f func(context.Context, *wsguard.Conn, string) error) func(context.Context, *wsguard.Conn, websocket.MessageType, []byte) error {
	return func(ctx context.Context, c *wsguard.Conn, _ websocket.MessageType, data []byte) error {
		return f(ctx, c, string(data))
	}
}

// Rules of one's own see each message after the schema and before it is
// escaped, in the order of the chain, and decide with a code. R33, R45, R57
func TestCheckMessages(t *testing.T) {
	forbidden := &wsguard.Refusal{Safeguard: "Rooms", Reason: "room_not_yours", CloseCode: wsguard.StatusForbidden, Err: errors.New("secret")}
	var typedNil *wsguard.Refusal
	for _, tc := range []struct {
		name      string
		err       error
		code      uint16
		reason    string
		safeguard string
		event     string
	}{
		{"nothing", nil, 0, "", "", ""},
		{"a refusal", forbidden, 3003, "room not yours", "Rooms", "room_not_yours"},
		{"a wrapped refusal", fmt.Errorf("secret: %w", forbidden), 3003, "room not yours", "Rooms", "room_not_yours"},
		{"an error", errors.New("secret"), 1008, "message rejected", "second", "message_rejected"},
		{"a refusal that is nil", typedNil, 1008, "message rejected", "second", "message_rejected"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			const sent, clean = "\"it's\u202e\"", `"it's"`
			var seen []string
			see := func(name string, err error) func(http.Handler) http.Handler {
				return wsguard.CheckMessages(name, asText(func(_ context.Context, c *wsguard.Conn, text string) error {
					if text != clean {
						t.Errorf("the rule %s saw %q", name, text)
					}
					seen = append(seen, name+" for "+c.Principal().Subject)
					return err
				}))
			}
			in := newInbox(
				wsguard.Authenticate(fixedTokens{"t": userOf("id", "alice")}, wsguard.FromAuthorization()),
				see("first", nil), see("second", tc.err), see("third", nil),
				wsguard.SanitizeMessages(wsguard.Sanitizer{}),
				wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type":"string","maxLength":4}`)))
			c := rawDial(t, newServer(t, in.h), "Authorization: Bearer t")
			c.send(textFrame(sent))
			if tc.err == nil {
				in.wantMessages(t, `"it&#39;s"`)
				if got, want := fmt.Sprint(seen), "[first for alice second for alice third for alice]"; got != want {
					t.Errorf("the order was %s", got)
				}
				return
			}
			c.wantClose(tc.code, tc.reason)
			in.wantViolation(t, tc.safeguard, tc.event, "close")
			in.wantClosed(t, websocket.StatusCode(tc.code), wsguard.InitiatorServer, tc.event)
			in.wantMessages(t)
			if got, want := fmt.Sprint(seen), "[first for alice second for alice]"; got != want {
				t.Errorf("the order was %s", got)
			}
		})
	}
}

// What the schema refuses no rule sees, and what a rate refuses no schema.
func TestOrderOfTheRules(t *testing.T) {
	in := newInbox(
		wsguard.CheckMessages("never", asText(func(context.Context, *wsguard.Conn, string) error {
			t.Error("a rule saw what the schema refuses")
			return nil
		})),
		wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type":"string"}`)),
		wsguard.LimitBytes(1, 10, wsguard.PerConn),
		wsguard.LimitMessages(1, 1, wsguard.PerConn))
	url := newServer(t, in.h)
	c := rawDial(t, url)
	c.send(textFrame("1"))
	c.wantClose(1003, "invalid data")
	in.wantViolation(t, "ValidateMessages", "invalid_data", "close")
	c = rawDial(t, url)
	c.send(textFrame(`not JSON, and too long`))
	c.wantClose(1008, "byte rate")
	in.wantViolation(t, "LimitBytes(PerConn)", "byte_rate", "close")
	in.wantMessages(t)
}

// R38: a rule of one's own refuses what was seen before.
func TestReplay(t *testing.T) {
	seen := make(map[string]bool)
	in := newInbox(wsguard.CheckMessages("replay", asText(func(_ context.Context, _ *wsguard.Conn, text string) error {
		var m struct {
			Nonce string `json:"nonce"`
		}
		if err := json.Unmarshal([]byte(text), &m); err != nil || m.Nonce == "" || seen[m.Nonce] {
			return errors.New("no fresh nonce")
		}
		seen[m.Nonce] = true
		return nil
	})))
	c := rawDial(t, newServer(t, in.h))
	c.send(textFrame(`{"nonce":"a"}`), textFrame(`{"nonce":"b"}`), textFrame(`{"nonce":"a"}`))
	c.wantClose(1008, "message rejected")
	in.wantViolation(t, "replay", "message_rejected", "close")
	in.wantMessages(t, `{"nonce":"a"}`, `{"nonce":"b"}`)
}

// R39: and one that keeps a state for each connection, steps out of order.
func TestSteps(t *testing.T) {
	steps := make(map[string]int) // by Conn.ID
	order := []string{`"hello"`, `"choose"`, `"pay"`}
	in := newInbox(wsguard.CheckMessages("steps", asText(func(_ context.Context, c *wsguard.Conn, text string) error {
		if n := steps[c.ID()]; n >= len(order) || order[n] != text {
			return &wsguard.Refusal{Safeguard: "steps", Reason: "step_skipped", CloseCode: 4001}
		}
		steps[c.ID()]++
		return nil
	})))
	url := newServer(t, in.h)
	c := rawDial(t, url)
	c.send(textFrame(order[0]), textFrame(order[2]))
	c.wantClose(4001, "step skipped")
	in.wantMessages(t, order[0])
	c = rawDial(t, url)
	for _, step := range order {
		c.send(textFrame(step))
	}
	in.wantMessages(t, order...)
}

// A rule that panics ends the connection, in whatever goroutine its message is
// read: applications read in goroutines of their own. R59
func TestRuleThatPanics(t *testing.T) {
	boom := func([]byte) []byte { panic("secret") }
	for name, rule := range map[string]func(http.Handler) http.Handler{
		"check":  wsguard.CheckMessages("boom", asText(func(context.Context, *wsguard.Conn, string) error { panic("secret") })),
		"strip":  wsguard.SanitizeMessages(wsguard.Sanitizer{Strip: boom}),
		"escape": wsguard.SanitizeMessages(wsguard.Sanitizer{Escape: boom, PlainText: true}),
	} {
		t.Run(name, func(t *testing.T) {
			read := make(chan error, 1)
			rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
				go func() {
					defer func() {
						if p := recover(); p != nil {
							t.Errorf("the panic went through Read, and would have ended the process: %v", p)
							read <- nil
						}
					}()
					_, _, err := c.Read(ctx)
					read <- err
				}()
				<-ctx.Done()
				return nil
			}, rule)
			c := rawDial(t, newServer(t, h))
			c.send(textFrame(`"hi"`))
			if err := next(t, read); !isRefusal(err, "internal_error") {
				t.Errorf("Read returned %v", err)
				_ = c.Close()
				return
			}
			c.wantClose(1011, "internal error")
			rec.wantClosed(t, 1011, wsguard.InitiatorServer, "internal_error")
		})
	}
}
