package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// announcements are what a server says.
var announcements = wsguard.Messages{Types: map[string]wsguard.MessageType{
	"said": {Schema: typed("said"), MaxSize: 60},
}}

const said = `{"type":"said","text":"hi"}`

// ways to send a text.
var ways = map[string]func(*wsguard.Conn, string) error{
	"Write": func(c *wsguard.Conn, text string) error {
		return c.Write(context.Background(), websocket.MessageText, []byte(text))
	},
	"WriteJSON": func(c *wsguard.Conn, text string) error { return c.WriteJSON(context.Background(), rawJSON(text)) },
	"TrySend": func(c *wsguard.Conn, text string) error {
		if !c.TrySend(websocket.MessageText, []byte(text)) {
			return errors.New("the queue is full")
		}
		return nil
	},
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }

// What the application should not send is not sent, however it sends it, and
// observers are told; or it is sent, and they are told. R36
func TestOutgoingMessages(t *testing.T) {
	tooLong := `{"type":"said","text":"` + strings.Repeat("x", 40) + `"}`
	for _, tc := range []struct {
		name, text string
		want       string // part of what observers are told
	}{
		{"a member too many", `{"type":"said","password":"SECRET"}`, "message violates additionalProperties"},
		{"unlisted", `{"type":"debug"}`, "message violates type_not_listed at /type"},
		{"of no type", `{"text":"hi"}`, "message violates type_missing"},
		{"a name twice", `{"type":"said","type":"said"}`, "message violates duplicate_member"},
		{"too long", tooLong, "message violates message_size"},
	} {
		for way, send := range ways {
			t.Run(tc.name+", "+way, func(t *testing.T) {
				for policy, p := range map[string][]wsguard.Policy{
					"": nil, "fail": {wsguard.PolicyFail}, "drop": {wsguard.PolicyDrop}, "report": {wsguard.PolicyReport},
				} {
					synctest.Test(t, func(t *testing.T) {
						errs := make(chan error, 1)
						rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
							_ = send(c, said)
							err := send(c, tc.text)
							if errs <- err; err != nil {
								return err
							}
							synctest.Wait() // a queue is empty, or the connection over
							if ctx.Err() == nil {
								_ = send(c, said)
							}
							synctest.Wait()
							return nil
						}, wsguard.OutgoingMessages(announcements, p...))
						c := newMemoryServer(t, h).raw()
						c.wantMessage(said)
						switch policy {
						case "", "fail":
							c.wantClose(1011, "outgoing invalid")
							policy = "close"
							rec.wantClosed(t, 1011, wsguard.InitiatorServer, "outgoing_invalid")
						case "drop":
							c.wantMessage(said)
							c.wantClose(1000, "")
						case "report":
							c.wantMessage(tc.text)
							c.wantMessage(said)
							c.wantClose(1000, "")
						}
						if err := next(t, errs); isRefusal(err, "outgoing_invalid") != (policy == "close" && way != "TrySend") {
							t.Errorf("%s returned %v", way, err)
						}
						r := rec.wantViolation(t, "OutgoingMessages", "outgoing_invalid", policy)
						if !strings.Contains(r.Error(), tc.want) || strings.Contains(r.Error(), "SECRET") {
							t.Errorf("observers are told %v, want %s", r, tc.want)
						}
						next(t, rec.messages) // the first one
						m := next(t, rec.messages)
						if m.Direction != wsguard.DirectionOut || m.Size != len(tc.text) || (m.Refusal == nil) != (policy == "report") {
							t.Errorf("the message was observed as %+v", m)
						}
					})
				}
			})
		}
	}
}

// Binary is no JSON, and a schema alone is a spec too.
func TestOutgoingSchema(t *testing.T) {
	rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
		_ = c.Write(ctx, websocket.MessageBinary, []byte(`[]`))
		_ = c.Write(ctx, websocket.MessageText, []byte(`{}`))
		return c.Write(ctx, websocket.MessageText, []byte(`[]`))
	}, wsguard.OutgoingMessages(wsguard.MustCompileSchema(`{"type":"array"}`), wsguard.PolicyDrop))
	c := rawDial(t, newServer(t, h))
	c.wantMessage(`[]`)
	c.wantClose(1000, "")
	rec.wantViolation(t, "OutgoingMessages", "outgoing_invalid", "drop")
	rec.wantViolation(t, "OutgoingMessages", "outgoing_invalid", "drop")
}

// What PolicyReply sends is a message that a server sends: it has to be among
// those that it says it sends.
func TestOutgoingReply(t *testing.T) {
	withError := wsguard.Messages{Discriminator: "kind", Types: map[string]wsguard.MessageType{
		"error": {Schema: wsguard.MustCompileSchema(`{"type":"object","additionalProperties":false,"properties":{
			"kind":{}, "reason":{"type":"string"}, "keyword":{"type":"string"}, "path":{"type":"string"}}}`)},
	}}
	in := newInbox(
		wsguard.ValidateMessages(wsguard.Messages{Discriminator: "kind", Types: map[string]wsguard.MessageType{
			"say": {Schema: wsguard.MustCompileSchema(`{"required":["text"]}`)}}}, wsguard.PolicyReply),
		wsguard.OutgoingMessages(withError))
	c := rawDial(t, newServer(t, in.h))
	c.send(textFrame(`{"kind":"say"}`), textFrame(`{"kind":"no"}`))
	c.wantMessage(`{"kind":"error","reason":"invalid data","keyword":"required"}`)
	c.wantMessage(`{"kind":"error","reason":"invalid data","keyword":"type_not_listed","path":"/kind"}`)
}

// A hook that panics ends the connection, whatever the policy. R59
func TestOutgoingWithAPanickingHook(t *testing.T) {
	broken := wsguard.NewObserver("broken", nil, wsguard.Hooks{Violation: func(context.Context, wsguard.ViolationEvent) { panic("disk full") }})
	for name, policy := range map[string]wsguard.Policy{"drop": wsguard.PolicyDrop, "report": wsguard.PolicyReport} {
		t.Run(name, func(t *testing.T) {
			rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
				err := c.Write(ctx, websocket.MessageText, []byte(`{}`))
				if !isRefusal(err, "internal_error") {
					t.Errorf("Write returned %v", err)
				}
				return err
			}, wsguard.Observe(broken), wsguard.OutgoingMessages(announcements, policy))
			c := rawDial(t, newServer(t, h))
			c.wantClose(1011, "internal error")
			rec.wantClosed(t, 1011, wsguard.InitiatorServer, "internal_error")
		})
	}
}

// Specs that cannot be meant.
func TestMessagesThatCannotBe(t *testing.T) {
	s := wsguard.MustCompileSchema(`{}`)
	types := func(of wsguard.MessageType) wsguard.Messages {
		of.Schema = s
		return wsguard.Messages{Types: map[string]wsguard.MessageType{"a": of}}
	}
	in := func(m wsguard.Messages) func() { return func() { wsguard.ValidateMessages(m) } }
	out := func(m wsguard.Messages) func() { return func() { wsguard.OutgoingMessages(m) } }
	with := func(schema string) wsguard.Messages {
		return wsguard.Messages{Types: map[string]wsguard.MessageType{"a": {Schema: wsguard.MustCompileSchema(schema)}}}
	}
	started := types(wsguard.MessageType{})
	started.Start = "new"
	for want, f := range map[string]func(){
		"ValidateMessages: Messages.Types is empty, so that every message would be refused": in(wsguard.Messages{}),
		"Messages.Types has the name \"\" of 0 bytes":                                       in(wsguard.Messages{Types: map[string]wsguard.MessageType{"": {Schema: s}}}),
		"of 129 bytes: write one of 1 to 128":                                               in(wsguard.Messages{Types: map[string]wsguard.MessageType{strings.Repeat("a", 129): {Schema: s}}}),
		`Messages.Types has the name "\xff"`:                                                in(wsguard.Messages{Types: map[string]wsguard.MessageType{"\xff": {Schema: s}}}),
		"Messages.Discriminator has 1 bytes or is not UTF-8":                                in(wsguard.Messages{Discriminator: "\xff", Types: started.Types}),
		`Messages.Types["a"].Schema is empty: write what CompileSchema returned`:            in(wsguard.Messages{Types: map[string]wsguard.MessageType{"a": {}}}),
		`Messages.Types["a"].MaxSize is -1`:                                                 in(types(wsguard.MessageType{MaxSize: -1})),
		`Messages.Types["a"].Cost is -1`:                                                    in(types(wsguard.MessageType{Cost: -1})),
		`Messages.Types["a"].Rate: burst 0 allows nothing`:                                  in(types(wsguard.MessageType{Rate: 1})),
		`Messages.Types["a"].Rate: rate -1 is no limit`:                                     in(types(wsguard.MessageType{Rate: -1, Burst: 1})),
		`Messages.Types["a"].Burst is set without Rate`:                                     in(types(wsguard.MessageType{Burst: 1})),
		`Messages.Types["a"].Scopes has an empty one`:                                       in(types(wsguard.MessageType{Scopes: []string{""}})),
		`Messages.Types["a"].Schema refuses every message of the type, for its member "type"`: in(with(
			`{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": true}}`)),
		`for its member "type": list it in properties, without a const`: in(with(`{"properties": {"type": {"const": "b"}}, "required": ["text"]}`)),
		`Messages.Start is missing, so that no state is ever reached`:   in(types(wsguard.MessageType{In: []string{"joined"}})),
		`Messages.Start is missing`:                                     in(types(wsguard.MessageType{To: "joined"})),
		`Messages.Start is "new", but no type says In or To`:            in(started),
		`Messages.Types["a"].In has a state without a name`:             in(types(wsguard.MessageType{In: []string{""}})),
		`Messages.Types["say"].In asks for the state "joined", which nothing leads to from "new"`: in(wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
			"join": {Schema: s, In: []string{"new"}, To: "joind"}, "say": {Schema: s, In: []string{"joined"}}}}),
		`Messages.Types["b"].In asks for the state "x"`: in(wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
			"a": {Schema: s, In: []string{"new"}}, "b": {Schema: s, In: []string{"x"}, To: "x"}}}), // only from itself

		"OutgoingMessages: Messages.Types is empty":                 out(wsguard.Messages{}),
		`OutgoingMessages: Messages.Types["a"].Rate is about who`:   out(types(wsguard.MessageType{Rate: 1, Burst: 1})),
		`OutgoingMessages: Messages.Types["a"].Burst is about`:      out(types(wsguard.MessageType{Burst: 1})),
		`OutgoingMessages: Messages.Types["a"].Cost is about`:       out(types(wsguard.MessageType{Cost: 1})),
		`OutgoingMessages: Messages.Types["a"].Scopes is about`:     out(types(wsguard.MessageType{Scopes: []string{"x"}})),
		`OutgoingMessages: Messages.Types["a"].In is about`:         out(types(wsguard.MessageType{In: []string{"x"}})),
		`OutgoingMessages: Messages.Types["a"].To is about`:         out(types(wsguard.MessageType{To: "x"})),
		`OutgoingMessages: Messages.Start is about`:                 out(started),
		"OutgoingMessages: the schema is empty":                     func() { wsguard.OutgoingMessages(nil) },
		"OutgoingMessages: the schema is empty: write":              func() { wsguard.OutgoingMessages((*wsguard.Schema)(nil)) },
		"write PolicyFail, PolicyDrop or PolicyReport":              func() { wsguard.OutgoingMessages(s, wsguard.PolicyReply) },
		"OutgoingMessages: Strikes are a peer's":                    func() { wsguard.OutgoingMessages(s, wsguard.PolicyDrop.Strikes(3)) },
		"OutgoingMessages: the handler is nil":                      func() { wsguard.OutgoingMessages(s)(nil) },
		"ValidateMessages: the schema is empty: write what Compile": func() { wsguard.ValidateMessages((*wsguard.Schema)(nil)) },
	} {
		wantPanic(t, want, f)
	}
	wantPanic(t, "Check: the schema is empty: write what CompileSchema returned", func() { _ = new(wsguard.Schema).Check(nil) })
	wantPanic(t, "Explain: the schema is empty", func() { (*wsguard.Schema)(nil).Explain() })
	// What is required, or asked of another member, is no reason.
	in(with(`{"type": "object", "additionalProperties": false, "required": ["text"], "minProperties": 2,
		"properties": {"type": {"const": "a"}, "text": {"type": "string"}}}`))()
	// A type that may come in every state leads from each of them.
	wsguard.ValidateMessages(wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
		"a": {Schema: s, In: []string{"c"}}, "b": {Schema: s, In: []string{"b"}, To: "c"}, "c": {Schema: s, To: "b"}}})(http.NotFoundHandler())
}
