package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

const saySchema = `{
	"type": "object",
	"properties": {
		"type": {"enum": ["say", "leave"]},
		"room": {"type": "string", "pattern": "^[a-z]{1,8}$"},
		"text": {"type": "string", "minLength": 1, "maxLength": 20},
		"tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2}
	},
	"required": ["type", "room"],
	"additionalProperties": false
}`

// An inbox is a guarded endpoint whose application keeps what it gets.
type inbox struct {
	*recorder
	got chan string
	h   http.Handler
}

func newInbox(safeguards ...func(http.Handler) http.Handler) *inbox {
	in := &inbox{got: make(chan string, 1<<10)}
	in.recorder, in.h = observed(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			in.got <- string(data)
		}
	}, safeguards...)
	return in
}

// wantMessages checks what the application has got, and nothing else. The
// connection must be over, or the messages answered.
func (in *inbox) wantMessages(tb testing.TB, want ...string) {
	tb.Helper()
	for _, text := range want {
		if got := next(tb, in.got); got != text {
			tb.Errorf("the application got %.80q, want %.80q", got, text)
		}
	}
	if n := len(in.got); n > 0 {
		tb.Errorf("the application got %d more messages: %.80q", n, <-in.got)
	}
}

// What does not satisfy the schema ends the connection, never reaches the
// application, and is told to nobody. R35, R40, R45, R55, R57
func TestValidateMessages(t *testing.T) {
	for _, tc := range []struct {
		name, text    string
		keyword, path string // none is accepted
	}{
		{"good", `{"type":"say","room":"lobby","text":"hi"}`, "", ""},
		{"without what is optional", `{"type":"leave","room":"lobby"}`, "", ""},
		{"with spaces", " {\t\"type\" : \"leave\",\r\n\"room\":\"lobby\"} ", "", ""},
		{"a member that nobody knows", `{"type":"say","room":"lobby","secret":1}`, "additionalProperties", ""},
		{"another type", `{"type":"say","room":["secret"]}`, "type", "/room"},
		{"another value", `{"type":"secret","room":"lobby"}`, "enum", "/type"},
		{"another form", `{"type":"say","room":"secret!"}`, "pattern", "/room"},
		{"too long", `{"type":"say","room":"lobby","text":"secretsecretsecretsecret"}`, "maxLength", "/text"},
		{"too many", `{"type":"say","room":"lobby","tags":["a","b","secret"]}`, "maxItems", "/tags"},
		{"a wrong item", `{"type":"say","room":"lobby","tags":["a",{"secret":1}]}`, "type", "/tags/1"},
		{"nothing required is there", `{"text":"secret"}`, "required", ""},
		{"no object", `["secret"]`, "type", ""},
		{"no JSON", `secret`, "syntax", ""},
		{"nothing", ``, "syntax", ""},
		{"half of it", `{"type":"say","room":"secret`, "syntax", ""},
		{"a byte order mark", "\uFEFF" + `{"type":"leave","room":"lobby"}`, "syntax", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox(wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema)))
			c := rawDial(t, newServer(t, in.h))
			c.send(textFrame(tc.text))
			if tc.keyword == "" {
				in.wantMessages(t, tc.text)
				return
			}
			c.wantClose(1003, "invalid data")
			c.wantEOF()
			refusal := in.wantViolation(t, "ValidateMessages", "invalid_data", "close")
			var e *wsguard.SchemaError
			if !errors.As(refusal, &e) || e.Keyword != tc.keyword || e.Path != tc.path {
				t.Errorf("observers are told %v, want %s at %q", refusal.Err, tc.keyword, tc.path)
			}
			if strings.Contains(refusal.Error(), "secret") {
				t.Errorf("observers are told what was in the message: %v", refusal)
			}
			in.wantClosed(t, 1003, wsguard.InitiatorServer, "invalid_data")
			if m := next(t, in.messages); reasonOf(m.Refusal) != "invalid_data" || m.Size != len(tc.text) {
				t.Errorf("the message was observed as %+v", m)
			}
			in.wantMessages(t)
		})
	}
}

// Where JSON is due, binary messages are not even looked at. R35, R45
func TestValidateRefusesBinary(t *testing.T) {
	in := newInbox(wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema)))
	c := rawDial(t, newServer(t, in.h))
	c.send(clientFrame(final|opBinary, `{"type":"leave","room":"lobby"}`))
	c.wantClose(1003, "invalid data")
	in.wantClosed(t, 1003, wsguard.InitiatorServer, "invalid_data")
	in.wantMessages(t)
}

const (
	good    = `{"type":"leave","room":"lobby"}`
	bad     = `{"type":"leave","room":"SECRET"}`
	unknown = `{"type":"leave","room":"lobby","SECRET":1}`
)

// A message that is dropped leaves no trace but a strike. R35, R46
func TestPolicyDrop(t *testing.T) {
	for _, tc := range []struct {
		name    string
		policy  wsguard.Policy
		survive int
	}{{"by default", wsguard.PolicyDrop, 3}, {"one", wsguard.PolicyDrop.Strikes(1), 1}, {"ten", wsguard.PolicyDrop.Strikes(10), 10}} {
		t.Run(tc.name, func(t *testing.T) {
			in := newInbox(wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema), tc.policy))
			c := rawDial(t, newServer(t, in.h))
			for range tc.survive {
				c.send(textFrame(bad), textFrame(good)) // a good one makes up for nothing
				in.wantViolation(t, "ValidateMessages", "invalid_data", "drop")
				if got := next(t, in.got); got != good {
					t.Errorf("the application got %q", got)
				}
			}
			c.send(clientFrame(final|opBinary, bad))
			c.wantClose(1003, "invalid data")
			in.wantViolation(t, "ValidateMessages", "invalid_data", "close")
			in.wantClosed(t, 1003, wsguard.InitiatorServer, "invalid_data")
			in.wantMessages(t)
		})
	}
}

// A reply holds the keyword and the path: no value, no name that the schema
// does not have. R35, R55, R57
func TestPolicyReply(t *testing.T) {
	in := newInbox(wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema), wsguard.PolicyReply.Strikes(4)))
	c := rawDial(t, newServer(t, in.h))
	c.send(textFrame(bad))
	c.wantMessage(`{"type":"error","reason":"invalid data","keyword":"pattern","path":"/room"}`)
	c.send(textFrame(unknown))
	c.wantMessage(`{"type":"error","reason":"invalid data","keyword":"additionalProperties"}`)
	c.send(textFrame(`1e1000001`))
	c.wantMessage(`{"type":"error","reason":"invalid data","keyword":"number"}`)
	c.send(clientFrame(final|opBinary, good))
	c.wantMessage(`{"type":"error","reason":"invalid data"}`)
	for range 4 {
		if e := next(t, in.violations); e.Action != "reply" {
			t.Errorf("action %s", e.Action)
		}
	}
	c.send(textFrame(good), textFrame(bad))
	c.wantClose(1003, "invalid data")
	in.wantViolation(t, "ValidateMessages", "invalid_data", "close")
	in.wantMessages(t, good)
}

// Policies are for what a schema says, and for nothing else.
func TestPolicyIsOfTheSchema(t *testing.T) {
	in := newInbox(
		wsguard.LimitMessages(1, 1, wsguard.PerConn),
		wsguard.ValidateMessages(wsguard.MustCompileSchema(`{}`), wsguard.PolicyDrop))
	url := newServer(t, in.h)
	c := rawDial(t, url)
	c.send(textFrame(`1`), textFrame(`2`))
	c.wantClose(1008, "message rate")
	in.wantMessages(t, "1")
	c = rawDial(t, url)
	c.send(textFrame("\"\xff\""))
	c.wantClose(1007, "invalid utf8")
	in.wantMessages(t)
}

// R49: whoever provokes replies and reads none of them is not kept.
func TestPolicyReplyToASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rec := newRecorder()
		rules := wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema), wsguard.PolicyReply.Strikes(1000)))
		c := newMemoryServer(t, rules(wsguard.Upgrader{QueueMessages: 2}.Handler(echo))).raw()
		for range 3 {
			c.send(textFrame(bad))
		}
		began := time.Now()
		rec.wantClosed(t, 1003, wsguard.InitiatorServer, "invalid_data")
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A panicking hook ends the connection that it was told of, also one that a
// policy would have kept. R59
func TestPolicyWithAPanickingHook(t *testing.T) {
	broken := wsguard.NewObserver("broken", nil, wsguard.Hooks{Violation: func(context.Context, wsguard.ViolationEvent) { panic("disk full") }})
	for name, policy := range map[string]wsguard.Policy{"drop": wsguard.PolicyDrop, "reply": wsguard.PolicyReply} {
		t.Run(name, func(t *testing.T) {
			in := newInbox(wsguard.Observe(broken), wsguard.ValidateMessages(wsguard.MustCompileSchema(saySchema), policy))
			c := rawDial(t, newServer(t, in.h))
			c.send(textFrame(bad), textFrame(good))
			c.untilClose(1011, "internal error")
			in.wantClosed(t, 1011, wsguard.InitiatorServer, "internal_error")
			in.wantMessages(t)
		})
	}
}

// Schema.Check says of a message what ValidateMessages does. R35
func TestSchemaCheck(t *testing.T) {
	s := wsguard.MustCompileSchema(saySchema)
	if err := s.Check([]byte(good)); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{
		bad:                              "wsguard: message violates pattern at /room",
		unknown:                          "wsguard: message violates additionalProperties",
		`1e1000001`:                      "wsguard: message violates number",
		good + good:                      "wsguard: message violates trailing_data",
		`{"type":"leave","TYPE":"join"}`: "wsguard: message violates duplicate_member",
		`{"type":"say","type":"say"}`:    "wsguard: message violates duplicate_member",
		"\"\xff\"":                       "wsguard: message violates utf8",
		`"SECRET`:                        "wsguard: message violates syntax",
		`{"type":"leave"}`:               "wsguard: message violates required",
	} {
		err := s.Check([]byte(text))
		if err == nil || err.Error() != want || !errors.As(err, new(*wsguard.SchemaError)) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
}

// R35: a schema that would not be enforced does not compile, and says all that
// is wrong with it.
func TestCompileSchema(t *testing.T) {
	for _, tc := range []struct{ name, src, want string }{
		{"no JSON", `{`, "wsguard: CompileSchema: "},
		{"a misspelt keyword", `{"minimun":3}`, "minimun"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "file:///etc/passwd"},
		{"the network", `{"$ref":"https://example.com/schema.json"}`, "https://example.com/schema.json"},
		{"a metaschema of the network", `{"$schema":"https://example.com/schema.json"}`, "$schema: not one of the drafts"},
		{"a giant number", `{"minimum":1e1000001}`, "number at byte"},
		{"several", `{"minimun":3,"maximun":4}`, "maximun"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := wsguard.CompileSchema([]byte(tc.src), wsguard.SchemaOptions{})
			if s != nil || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
			wantPanic(t, tc.want, func() { wsguard.MustCompileSchema(tc.src) })
		})
	}
	s, err := wsguard.CompileSchema([]byte(`{"$ref":"room.json"}`), wsguard.SchemaOptions{
		Documents: map[string][]byte{"room.json": []byte(`{"type":"string"}`)}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Check([]byte(`"lobby"`)) != nil || s.Check([]byte(`1`)) == nil {
		t.Error("the other document is not enforced")
	}
}

// Mistakes in the program are found when it starts.
func TestRulesThatCannotBe(t *testing.T) {
	s := wsguard.MustCompileSchema(`{}`)
	no := func(context.Context, *wsguard.Conn, websocket.MessageType, []byte) error { return nil }
	for want, f := range map[string]func(){
		"ValidateMessages: the schema is empty":        func() { wsguard.ValidateMessages(nil) },
		"write PolicyClose, PolicyDrop or PolicyReply": func() { wsguard.ValidateMessages(s, wsguard.Policy{}) },
		"ValidateMessages takes one policy":            func() { wsguard.ValidateMessages(s, wsguard.PolicyReport) },
		"takes one policy: write PolicyClose":          func() { wsguard.ValidateMessages(s, wsguard.PolicyDrop, wsguard.PolicyReply) },
		"0 lets no violation pass":                     func() { wsguard.PolicyDrop.Strikes(0) },
		"only messages that are dropped or answered":   func() { wsguard.PolicyClose.Strikes(1) },
		"MaxMessageSize: 0 bytes":                      func() { wsguard.MaxMessageSize(0) },
		"MaxMessageSize: -1 bytes":                     func() { wsguard.MaxMessageSize(-1) },
		"CheckMessages: name":                          func() { wsguard.CheckMessages("", no) },
		"CheckMessages: name or":                       func() { wsguard.CheckMessages("mine", nil) },
		"ValidateMessages stands inside ValidateMessages": func() {
			wsguard.ValidateMessages(s)(wsguard.ValidateMessages(wsguard.Messages{Types: map[string]wsguard.MessageType{"a": {Schema: s}}})(http.NotFoundHandler()))
		},
		"SanitizeMessages stands inside SanitizeMessages": func() {
			wsguard.SanitizeMessages(wsguard.Sanitizer{})(wsguard.SanitizeMessages(wsguard.Sanitizer{})(http.NotFoundHandler()))
		},
		"MaxMessageSize stands inside MaxMessageSize": func() { wsguard.MaxMessageSize(1)(wsguard.MaxMessageSize(1)(http.NotFoundHandler())) },
		"ValidateMessages: the handler is nil":        func() { wsguard.ValidateMessages(s)(nil) },
	} {
		wantPanic(t, want, f)
	}
}
