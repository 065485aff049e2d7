package wsguard_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// typed is a schema for a message of one type with some text.
func typed(name string) *wsguard.Schema {
	return wsguard.MustCompileSchema(`{"type": "object", "required": ["type"], "additionalProperties": false,
		"properties": {"type": {"const": "` + name + `"}, "text": {"type": "string", "maxLength": 100}}}`)
}

// room is a protocol with all that a type can have.
var room = wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
	"join":  {Schema: typed("join"), In: []string{"new"}, To: "joined"},
	"say":   {Schema: typed("say"), In: []string{"joined"}, MaxSize: 60},
	"leave": {Schema: typed("leave"), In: []string{"joined"}, To: "new"},
	"ban":   {Schema: typed("ban"), Scopes: []string{"moderate", "write"}},
	"wave":  {Schema: typed("wave"), Rate: 1, Burst: 2},
	"dump":  {Schema: typed("dump"), Cost: 10},
}}

const (
	join  = `{"type":"join"}`
	leave = `{"type":"leave"}`
	hi    = `{"type":"say","text":"hi"}`
	ban   = `{"type":"ban"}`
	wave  = `{"type":"wave"}`
	dump  = `{"type":"dump"}`
)

// roomChain guards the room, for the owner of a token with some scopes.
func roomChain(scopes ...string) safeguard {
	alice := userOf("id", "alice")
	alice.Scopes = scopes
	return wsguard.Chain(
		wsguard.Authenticate(fixedTokens{"t": alice}, wsguard.FromAuthorization()),
		wsguard.LimitMessages(1, 25, wsguard.PerConn),
		wsguard.ValidateMessages(room))
}

// What is of no listed type, too large for its type, out of order, too often, or
// of somebody who may not, ends the connection, and never reaches the
// application. R33, R35, R36, R39, R40, R46
func TestMessagesByType(t *testing.T) {
	for _, tc := range []struct {
		name     string
		scopes   []string
		messages []string // the last one is refused if there is a code
		code     uint16
		reason   string
		keyword  string
	}{
		{"in order", nil, []string{join, hi, hi, leave, join, hi, leave}, 0, "", ""},
		{"without states", nil, []string{wave, join, wave}, 0, "", ""},
		{"with scopes", []string{"write", "moderate"}, []string{ban}, 0, "", ""},
		{"dear, within the budget", nil, []string{dump, dump, wave, wave, join, hi, hi}, 0, "", ""},
		{"the type last", nil, []string{join, `{"text":"hi","type":"say"}`}, 0, "", ""},
		{"the type in escapes", nil, []string{join, `{"\u0074ype":"s\u0061y"}`}, 0, "", ""},

		{"unlisted", nil, []string{`{"type":"admin"}`}, 1003, "invalid_data", "type_not_listed at /type"},
		{"in another case", nil, []string{`{"type":"Join"}`}, 1003, "invalid_data", "type_not_listed at /type"},
		{"unlisted in escapes", nil, []string{`{"type":"jo\u0069n2"}`}, 1003, "invalid_data", "type_not_listed at /type"},
		{"longer than a type may be", nil, []string{`{"type":"` + strings.Repeat("j", 500) + `"}`}, 1003, "invalid_data", "type_not_listed at /type"},
		{"missing", nil, []string{`{"text":"hi"}`}, 1003, "invalid_data", "type_missing"},
		{"no object", nil, []string{`["join"]`}, 1003, "invalid_data", "type_missing"},
		{"nested", nil, []string{`{"text":{"type":"join"}}`}, 1003, "invalid_data", "type_missing"},
		{"a number", nil, []string{`{"type":1}`}, 1003, "invalid_data", "type_missing"},
		{"null", nil, []string{`{"type":null}`}, 1003, "invalid_data", "type_missing"},
		{"an array", nil, []string{`{"type":["join"]}`}, 1003, "invalid_data", "type_missing"},
		{"name in another case", nil, []string{`{"Type":"join"}`}, 1003, "invalid_data", "type_missing"},
		{"twice", nil, []string{`{"type":"wave","type":"ban"}`}, 1003, "invalid_data", "duplicate_member"},
		{"twice, in escapes", nil, []string{`{"type":"wave","\u0074ype":"ban"}`}, 1003, "invalid_data", "duplicate_member"},
		{"twice, in another case", nil, []string{`{"type":"wave","TYPE":"ban"}`}, 1003, "invalid_data", "duplicate_member"},
		{"twice, in another case first", nil, []string{`{"TYPE":"ban","type":"wave"}`}, 1003, "invalid_data", "duplicate_member"},
		{"no JSON", nil, []string{`join`}, 1003, "invalid_data", "syntax"},
		{"no JSON behind the type", nil, []string{`{"type":"join",`}, 1003, "invalid_data", "syntax"},
		{"two texts", nil, []string{join + ban}, 1003, "invalid_data", "trailing_data"},
		{"the schema of its type", nil, []string{`{"type":"wave","to":"bob"}`}, 1003, "invalid_data", "additionalProperties"},

		{"say before join", nil, []string{hi}, 1008, "message_out_of_order", ""},
		{"say after leave", nil, []string{join, hi, leave, hi}, 1008, "message_out_of_order", ""},
		{"join twice", nil, []string{join, join}, 1008, "message_out_of_order", ""},
		{"no scope", nil, []string{ban}, 3003, "scope_missing", "moderate"},
		{"one scope of two", []string{"moderate"}, []string{ban}, 3003, "scope_missing", "write"},
		{"a scope that begins alike", []string{"moderate2", "write"}, []string{ban}, 3003, "scope_missing", "moderate"},
		{"too large for its type", nil, []string{join, `{"type":"say","text":"` + strings.Repeat("x", 40) + `"}`}, 1009, "message_too_big", ""},
		{"too large by spaces", nil, []string{join, hi + strings.Repeat(" ", 60)}, 1009, "message_too_big", ""},
		{"too often for its type", nil, []string{wave, wave, wave}, 1008, "message_rate", ""},
		{"the budget drained", nil, []string{dump, dump, dump}, 1008, "message_rate", ""},
		{"the budget drained for others", nil, []string{dump, dump, join, hi, hi, hi, hi, hi}, 1008, "message_rate", ""},
		{"what is refused has cost something", nil, []string{dump, dump, `{"type":"dump","x":1}`}, 1008, "message_rate", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // no token comes back meanwhile
				in := newInbox(roomChain(tc.scopes...))
				c := newMemoryServer(t, in.h).raw("Authorization: Bearer t")
				good := tc.messages
				if tc.code != 0 {
					good = good[:len(good)-1]
				}
				for _, text := range tc.messages {
					c.send(textFrame(text))
				}
				if tc.code == 0 {
					in.wantMessages(t, good...)
					return
				}
				c.wantClose(tc.code, strings.ReplaceAll(tc.reason, "_", " "))
				var r *wsguard.Refusal
				for r == nil || r.Reason != tc.reason {
					r = next(t, in.violations).Refusal
				}
				if tc.keyword != "" && !strings.HasSuffix(strings.Trim(r.Error(), `"`), tc.keyword) {
					t.Errorf("refused for %v, want %s", r, tc.keyword)
				}
				in.wantClosed(t, websocket.StatusCode(tc.code), wsguard.InitiatorServer, tc.reason)
				in.wantMessages(t, good...)
			})
		})
	}
}

// A binary message is of no type.
func TestMessagesRefusesBinary(t *testing.T) {
	in := newInbox(roomChain())
	c := rawDial(t, newServer(t, in.h), "Authorization: Bearer t")
	c.send(clientFrame(final|opBinary, join))
	c.wantClose(1003, "invalid data")
	in.wantMessages(t)
}

// States and rates belong to one connection.
func TestMessagesOfTwoConnections(t *testing.T) {
	in := newInbox(roomChain())
	url := newServer(t, in.h)
	a, b := rawDial(t, url, "Authorization: Bearer t"), rawDial(t, url, "Authorization: Bearer t")
	a.send(textFrame(wave), textFrame(wave), textFrame(join))
	in.wantMessages(t, wave, wave, join)
	b.send(textFrame(wave), textFrame(hi))
	b.wantClose(1008, "message out of order")
	in.wantMessages(t, wave)
	a.send(textFrame(hi))
	in.wantMessages(t, hi)
}

// A rate is a rate: after a while there is another token.
func TestMessageTypeRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newInbox(roomChain())
		c := newMemoryServer(t, in.h).raw("Authorization: Bearer t")
		for range 5 {
			c.send(textFrame(wave))
			in.wantMessages(t, wave)
			<-time.After(time.Second)
		}
	})
}

// A scope that is lost between two messages is missed by the second. R34
func TestScopeLost(t *testing.T) {
	rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		c.Principal().Scopes = nil // as a re-authentication might
		_, _, err := c.Read(ctx)
		return err
	}, roomChain("moderate", "write"))
	c := rawDial(t, newServer(t, h), "Authorization: Bearer t")
	c.send(textFrame(ban), textFrame(ban))
	c.wantClose(3003, "scope missing")
	rec.wantViolation(t, "ValidateMessages", "scope_missing", "close")
}

// A message that is refused leads nowhere, and policies are for what comes out
// of order, too. R39
func TestStateAfterARefusal(t *testing.T) {
	for name, tc := range map[string]struct {
		chain safeguard
		want  string
	}{
		"of the schema": {wsguard.ValidateMessages(wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
			"join": {Schema: wsguard.MustCompileSchema(`{"required":["never"]}`), In: []string{"new"}, To: "joined"},
			"say":  {Schema: typed("say"), In: []string{"joined"}},
		}}, wsguard.PolicyReply), `{"type":"error","reason":"invalid data","keyword":"required"}`},
		"of the order": {wsguard.ValidateMessages(wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
			"hello": {Schema: typed("hello"), To: "greeted"},
			"join":  {Schema: typed("join"), In: []string{"greeted"}, To: "joined"},
			"say":   {Schema: typed("say"), In: []string{"joined"}},
		}}, wsguard.PolicyReply), `{"type":"error","reason":"message out of order"}`},
	} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(tc.chain)
			c := rawDial(t, newServer(t, in.h))
			c.send(textFrame(join))
			c.wantMessage(tc.want)
			c.send(textFrame(hi))
			c.wantMessage(`{"type":"error","reason":"message out of order"}`)
			in.wantMessages(t)
		})
	}
}

// The type is that of what the application gets. R36
func TestMessagesSanitized(t *testing.T) {
	for _, tc := range []struct{ name, sent, want, keyword string }{
		{"nothing to strip", `{"type":"wave","text":"it's"}`, `{"type":"wave","text":"it&#39;s"}`, ""},
		{"stripped to a type", `{"type":"wa\u0000ve"}`, `{"type":"wave"}`, ""},
		{"stripped to another type", "{\"type\":\"b\u202ean\"}", "", "scope_missing"},
		{"stripped to none", `{"type":"\u0000"}`, "", "type_not_listed"},
		{"no JSON, and nothing to strip", `{"type":"wave",}`, "", "syntax"},
		{"a lone surrogate, and something to strip", `{"type":"wave","text":"\u0000\ud800"}`, "", "utf8"},
		{"a bare control character, and something to strip", "{\"type\":\"wave\",\"text\":\"\\u0000\x01\"}", "", "syntax"},
		{"no JSON, and something to strip", `{"type":"wave\u0000",}`, "", "syntax"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox(roomChain(), wsguard.SanitizeMessages(wsguard.Sanitizer{}))
			c := rawDial(t, newServer(t, in.h), "Authorization: Bearer t")
			c.send(textFrame(tc.sent))
			if tc.want != "" {
				in.wantMessages(t, tc.want)
				return
			}
			if r := next(t, in.violations).Refusal; r.Safeguard != "ValidateMessages" || !strings.Contains(r.Error(), tc.keyword) {
				t.Errorf("refused for %v, want %s", r, tc.keyword)
			}
			if tc.keyword == "scope_missing" {
				c.wantClose(3003, "scope missing")
			} else {
				c.wantClose(1003, "invalid data")
			}
			in.wantMessages(t)
		})
	}
}

// What a spec needs and its chain has not is found when it is built, or, where
// that cannot be seen, at the first handshake.
func TestMessagesInAChain(t *testing.T) {
	s := wsguard.MustCompileSchema(`{}`)
	one := func(of wsguard.MessageType) safeguard {
		of.Schema = s
		return wsguard.ValidateMessages(wsguard.Messages{Types: map[string]wsguard.MessageType{"a": of}})
	}
	end := wsguard.Handler(echo)
	for want, f := range map[string]func(){
		"put Authenticate before ValidateMessages": func() {
			one(wsguard.MessageType{Scopes: []string{"x"}})(wsguard.Authenticate(fixedTokens{}, wsguard.FromAuthorization())(end))
		},
		"a MaxSize of 101 bytes, above the 100 of MaxMessageSize": func() {
			wsguard.MaxMessageSize(100)(one(wsguard.MessageType{MaxSize: 101})(end))
		},
		"write MaxMessageSize(102)":                         func() { one(wsguard.MessageType{MaxSize: 102})(wsguard.MaxMessageSize(100)(end)) },
		"a Cost of 6, above the burst of 5":                 func() { wsguard.LimitMessages(1, 5, wsguard.PerConn)(one(wsguard.MessageType{Cost: 6})(end)) },
		"raise the burst to 7":                              func() { one(wsguard.MessageType{Cost: 7})(wsguard.PaceMessages(1, 5, wsguard.PerConn)(end)) },
		"OutgoingMessages stands inside OutgoingMessages":   func() { wsguard.OutgoingMessages(s)(wsguard.OutgoingMessages(s)(end)) },
		`OutgoingMessages refuses what PolicyReply sends: `: func() { wsguard.ValidateMessages(s, wsguard.PolicyReply)(wsguard.OutgoingMessages(announcements)(end)) },
		`list {"type":"error"`:                              func() { wsguard.OutgoingMessages(announcements)(wsguard.ValidateMessages(s, wsguard.PolicyReply)(end)) },
	} {
		wantPanic(t, want, f)
	}
	short := wsguard.Messages{Types: map[string]wsguard.MessageType{"error": {Schema: wsguard.MustCompileSchema(`{"properties":{"path":{"maxLength":100}}}`)}}}
	wantPanic(t, "to which a keyword and a path of 256 bytes may be added", func() {
		wsguard.OutgoingMessages(short)(wsguard.ValidateMessages(s, wsguard.PolicyReply)(end))
	})
	for name, tc := range map[string]struct {
		chain safeguard
		want  string
	}{
		"scopes without Authenticate":   {one(wsguard.MessageType{Scopes: []string{"x"}}), "needs Authenticate"},
		"a cost without a limit":        {one(wsguard.MessageType{Cost: 2}), "put LimitMessages or PaceMessages into the chain"},
		"a cost with a limit on bytes":  {wsguard.Chain(one(wsguard.MessageType{Cost: 2}), wsguard.LimitBytes(1, 1, wsguard.PerConn)), "put LimitMessages"},
		"a size above the one for all":  {one(wsguard.MessageType{MaxSize: 32<<10 + 1}), "put MaxMessageSize(32769) into the chain"},
		"a foreign handler in between ": {wsguard.Chain(one(wsguard.MessageType{MaxSize: 11}), foreign, wsguard.MaxMessageSize(10)), "above the 10"},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			p := knock(t, newServer(t, wsguard.Observe(rec.Observer)(tc.chain(end))))
			e := next(t, rec.handshakes)
			if p.resp.StatusCode != http.StatusInternalServerError || e.Refusal == nil || !strings.Contains(e.Refusal.Error(), tc.want) {
				t.Errorf("status %d, %v, want 500 for %q", p.resp.StatusCode, e.Refusal, tc.want)
			}
		})
	}
}
