package wsguard_test

import (
	"bytes"
	"context"
	"encoding/json"
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// What the application gets of a message: cleaned values in an unchanged
// structure. R36
func TestSanitizeMessages(t *testing.T) {
	upper := func(text []byte) []byte { return bytes.ToUpper(text) }
	drop := func([]byte) []byte { return nil }
	broken := func([]byte) []byte { return []byte("a\xff") }
	for _, tc := range []struct {
		name      string
		sanitizer wsguard.Sanitizer
		sent      string
		want      string // "" is refused
	}{
		{"nothing to do", wsguard.Sanitizer{}, `{"a": [1, "x", null]}`, `{"a": [1, "x", null]}`},
		{"HTML", wsguard.Sanitizer{}, `["<script>alert(\"1\")</script>"]`, `["&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;"]`},
		{"HTML in escapes", wsguard.Sanitizer{}, `"\u003cb\u003E"`, `"&lt;b&gt;"`},
		{"what is escaped already", wsguard.Sanitizer{}, `"&lt;"`, `"&amp;lt;"`},
		{"control characters", wsguard.Sanitizer{}, `"a\u0000b\u001bc\u007fd\u0085e\t\n"`, `"abcde\t\n"`},
		{"a byte order mark", wsguard.Sanitizer{}, "\uFEFF\"a\uFEFFb\"", `"ab"`},
		{"bidi overrides", wsguard.Sanitizer{}, "\"a\u202Eb\u2066c\\u202ad\"", `"abcd"`},
		{"direction marks and joiners stay", wsguard.Sanitizer{}, "\"\u200e\u200f\u200d\u200c\"", "\"\u200e\u200f\u200d\u200c\""},
		{"names stay", wsguard.Sanitizer{}, `{"<b>'\u202e": "<"}`, `{"<b>'\u202e": "&lt;"}`},
		{"numbers stay", wsguard.Sanitizer{}, `[1.50,-0,1E2]`, `[1.50,-0,1E2]`},
		{"only escape", wsguard.Sanitizer{Strip: wsguard.Keep}, `"\u0001<"`, `"\u0001&lt;"`},
		{"only strip", wsguard.Sanitizer{Escape: wsguard.Keep}, `"\u0001<"`, `"<"`},
		{"neither", wsguard.Sanitizer{Strip: wsguard.Keep, Escape: wsguard.Keep}, `"\u0001<"`, `"\u0001<"`},
		{"functions of one's own", wsguard.Sanitizer{Strip: upper, Escape: wsguard.Keep}, `{"a":"b"}`, `{"a":"B"}`},
		{"to nothing", wsguard.Sanitizer{Strip: drop}, `{"a":"b"}`, `{"a":""}`},
		{"to what is no text", wsguard.Sanitizer{Strip: broken, Escape: wsguard.Keep}, `{"a":"b"}`, "{\"a\":\"a\uFFFD\"}"},
		{"to what has to be escaped", wsguard.Sanitizer{Strip: func([]byte) []byte { return []byte("\"\\\n") }, Escape: wsguard.Keep}, `"b"`, `"\"\\\n"`},
		{"no JSON", wsguard.Sanitizer{}, `<b>`, ""},
		{"a name twice", wsguard.Sanitizer{}, `{"a":1,"A":2}`, ""},
		{"two byte order marks", wsguard.Sanitizer{}, "\uFEFF\uFEFF1", ""},
		{"plain text", wsguard.Sanitizer{PlainText: true}, "<b>\x00it's\u202e", "&lt;b&gt;it&#39;s"},
		{"plain text that is JSON", wsguard.Sanitizer{PlainText: true}, `{"a":"b"}`, `{&#34;a&#34;:&#34;b&#34;}`},
		{"plain text to what is none", wsguard.Sanitizer{PlainText: true, Strip: broken}, "b", "a\uFFFD"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox(wsguard.SanitizeMessages(tc.sanitizer))
			c := rawDial(t, newServer(t, in.h))
			c.send(textFrame(tc.sent))
			if tc.want != "" {
				in.wantMessages(t, tc.want)
				return
			}
			c.wantClose(1003, "invalid data")
			in.wantViolation(t, "SanitizeMessages", "invalid_data", "close")
			in.wantMessages(t)
		})
	}
}

// Stripping comes before the schema, so that it smuggles nothing past it, and
// escaping after it, so that it does not make a good message bad. R35, R36
func TestTheTwoMomentsOfSanitizing(t *testing.T) {
	const schema = `{"type":"object","properties":{
		"role": {"enum": ["user", "guest"]},
		"name": {"type": "string", "minLength": 1, "maxLength": 4},
		"url":  {"type": "string", "not": {"pattern": "^javascript:"}}},
		"additionalProperties": false}`
	for _, tc := range []struct{ name, sent, want, keyword string }{
		{"escaped beyond maxLength", `{"name":"it's"}`, `{"name":"it&#39;s"}`, ""},
		{"stripped to maxLength", `{"name":"a\u0000b\u0000c\u0000d"}`, `{"name":"abcd"}`, ""},
		{"stripped to what is allowed", `{"role":"us\u202eer"}`, `{"role":"user"}`, ""},
		{"stripped to what is forbidden", `{"url":"java\u0000script:alert(1)"}`, "", "not"},
		{"stripped below minLength", `{"name":"\u202e"}`, "", "minLength"},
		{"forbidden before and after", `{"role":"admin\u0000"}`, "", "enum"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			validate := wsguard.ValidateMessages(wsguard.MustCompileSchema(schema))
			sanitize := wsguard.SanitizeMessages(wsguard.Sanitizer{})
			for _, chain := range [][]func(http.Handler) http.Handler{{validate, sanitize}, {sanitize, validate}} { // the order means nothing
				in := newInbox(chain...)
				c := rawDial(t, newServer(t, in.h))
				c.send(textFrame(tc.sent))
				if tc.want != "" {
					in.wantMessages(t, tc.want)
					continue
				}
				c.wantClose(1003, "invalid data")
				if r := in.wantViolation(t, "ValidateMessages", "invalid_data", "close"); !strings.Contains(r.Error(), tc.keyword) {
					t.Errorf("refused for %v, want %s", r, tc.keyword)
				}
				in.wantMessages(t)
			}
		})
	}
}

// What is delivered is at most five times as long as what was sent, and says
// the same. R36, R49
func TestEscapingIsBounded(t *testing.T) {
	in := newInbox(wsguard.SanitizeMessages(wsguard.Sanitizer{}))
	c := rawDial(t, newServer(t, in.h))
	for _, text := range []string{strings.Repeat("'", 16<<10), strings.Repeat("&<>'", 4<<10)} {
		sent := `"` + text + `"`
		c.send(textFrame(sent))
		got := next(t, in.got)
		var said string
		if err := json.Unmarshal([]byte(got), &said); err != nil || html.UnescapeString(said) != text {
			t.Errorf("what was delivered does not say what was sent: %v", err)
		}
		if len(got) > 5*len(sent) {
			t.Errorf("%d bytes became %d", len(sent), len(got))
		}
	}
}

// Binary messages pass as they are, and rules see them.
func TestSanitizeLeavesBinary(t *testing.T) {
	saw := 0
	in := newInbox(wsguard.SanitizeMessages(wsguard.Sanitizer{}), wsguard.CheckMessages("saw", func(_ context.Context, _ *wsguard.Conn, typ websocket.MessageType, _ []byte) error {
		if typ == websocket.MessageBinary {
			saw++
		}
		return nil
	}))
	c := rawDial(t, newServer(t, in.h))
	c.send(clientFrame(final|opBinary, "<b>\x00"))
	in.wantMessages(t, "<b>\x00")
	if saw != 1 {
		t.Errorf("the rule saw %d binary messages", saw)
	}
}

// The functions that a Sanitizer has by default are there for everybody.
func TestSanitizerFunctions(t *testing.T) {
	for text, want := range map[string][3]string{
		"":               {"", "", ""},
		"plain":          {"plain", "plain", "plain"},
		"<a href='x'>":   {"<a href='x'>", "&lt;a href=&#39;x&#39;&gt;", "<a href='x'>"},
		"a\x00\u202eb\n": {"ab\n", "a\x00\u202eb\n", "a\x00\u202eb\n"},
	} {
		got := [3]string{string(wsguard.StripUnsafe([]byte(text))), string(wsguard.EscapeHTML([]byte(text))), string(wsguard.Keep([]byte(text)))}
		if got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
