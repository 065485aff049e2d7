package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// converse connects to a handler, sends messages, and prints what comes back
// until the connection ends.
func converse(h http.Handler, messages ...string) {
	srv := httptest.NewServer(h)
	defer srv.Close()
	ctx := context.Background()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.CloseNow()
	for _, text := range messages {
		if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			fmt.Println(err)
			return
		}
	}
	for {
		_, data, err := c.Read(ctx)
		var closed websocket.CloseError
		switch {
		case errors.As(err, &closed):
			fmt.Println("closed:", int(closed.Code), closed.Reason)
			return
		case err != nil:
			fmt.Println(err)
			return
		}
		fmt.Println(string(data))
	}
}

// hear prints the messages that the rules let pass, up to the last one.
func hear(last string) http.Handler {
	return wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			_, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			fmt.Println("the application got", string(data))
			if string(data) == last {
				return nil
			}
		}
	})
}

func ExampleConn_Read() {
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			typ, data, err := c.Read(ctx)
			if err != nil {
				return err // the connection is over
			}
			if string(data) == "bye" {
				return nil // closes with 1000
			}
			if err := c.Write(ctx, typ, data); err != nil {
				return err
			}
		}
	}), "hello", "bye")
	// Output:
	// hello
	// closed: 1000
}

// A context bounds one call. If it ends while the call waits, so does the
// connection.
func ExampleConn_Read_timeout() {
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		soon, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
		defer cancel()
		_, _, err := c.Read(soon)
		return err
	}))
	// Output: closed: 1001 context ended
}

func ExampleConn_Write() {
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		if err := c.Write(ctx, websocket.MessageText, []byte("\xff")); err != nil {
			fmt.Println(err) // and nothing was sent
		}
		return c.Write(ctx, websocket.MessageText, []byte("hello"))
	}))
	// Output:
	// wsguard: text to be sent is not UTF-8: send it as websocket.MessageBinary
	// hello
	// closed: 1000
}

// A room that waits for nobody: a member who reads too slowly to keep up is
// let go, and the others do not notice.
func ExampleConn_TrySend() {
	room := make(map[*wsguard.Conn]bool) // guard it with a mutex
	broadcast := func(text []byte) {
		for member := range room {
			if !member.TrySend(websocket.MessageText, text) {
				delete(room, member)
				go member.Close(websocket.StatusPolicyViolation, "slow reader")
			}
		}
	}
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		room[c] = true
		broadcast([]byte("welcome"))
		return nil // what was queued is sent before the close frame
	}))
	// Output:
	// welcome
	// closed: 1000
}

func ExampleConn_ReadJSON() {
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			var order struct {
				Item  string `json:"item"`
				Count int    `json:"count"`
			}
			if err := c.ReadJSON(ctx, &order); err != nil {
				return err
			}
			if err := c.WriteJSON(ctx, fmt.Sprintf("%d of %s", order.Count, order.Item)); err != nil {
				return err
			}
		}
	}), `{"item":"tea","count":2}`, `{"item":"tea","count":"two"}`)
	// Output:
	// "2 of tea"
	// closed: 1003 invalid data
}

func ExampleConn_WriteJSON() {
	converse(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		return c.WriteJSON(ctx, map[string]any{"type": "said", "text": "hello"})
	}))
	// Output:
	// {"text":"hello","type":"said"}
	// closed: 1000
}

func ExampleConn_Close() {
	converse(wsguard.Handler(func(_ context.Context, c *wsguard.Conn) error {
		return c.Close(4001, "the game is over")
	}))
	// Output: closed: 4001 the game is over
}

func ExampleConn_Principal() {
	h := wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		who := "somebody"
		if p := c.Principal(); p != nil { // set by Authenticate
			who = p.Subject
		}
		return c.WriteJSON(ctx, fmt.Sprintf("%s comes from %s and speaks %q", who, c.ClientIP(), c.Subprotocol()))
	})
	converse(h)
	// Output:
	// "somebody comes from 127.0.0.1 and speaks \"\""
	// closed: 1000
}

func ExampleValidateMessages() {
	schema := wsguard.MustCompileSchema(`{
		"type": "object",
		"properties": {
			"type": {"const": "say"},
			"text": {"type": "string", "minLength": 1, "maxLength": 2000}
		},
		"required": ["type", "text"],
		"additionalProperties": false
	}`)
	guard := wsguard.ValidateMessages(schema)
	converse(guard(hear("")), `{"type":"say","text":"hello"}`, `{"type":"say","text":"hello","admin":true}`)
	// Output:
	// the application got {"type":"say","text":"hello"}
	// closed: 1003 invalid data
}

// A schema that allows what it does not name is no guard against names that
// only the application's decoder knows.
func ExampleValidateMessages_mistake() {
	schema := wsguard.MustCompileSchema(`{"properties": {"text": {"type": "string"}}}`)
	message := []byte(`{"text":"hello","admin":true}`)
	fmt.Println(schema.Check(message))

	schema = wsguard.MustCompileSchema(`{"properties": {"text": {"type": "string"}}, "additionalProperties": false}`)
	fmt.Println(schema.Check(message))
	// Output:
	// <nil>
	// wsguard: message violates additionalProperties
}

func ExamplePolicy_Strikes() {
	pair := wsguard.MustCompileSchema(`{"type": "array", "maxItems": 2}`)
	guard := wsguard.ValidateMessages(pair, wsguard.PolicyReply.Strikes(5)) // five are answered, the sixth ends the connection
	converse(guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		return c.Close(4000, "that was "+string(data))
	})), `[1,2,3]`, `[1,2]`)
	// Output:
	// {"type":"error","reason":"invalid data","keyword":"maxItems"}
	// closed: 4000 that was [1,2]
}

func ExampleSanitizeMessages() {
	guard := wsguard.Chain(
		wsguard.SanitizeMessages(wsguard.Sanitizer{}), // strip, then the schema, then escape
		wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type": "string", "maxLength": 4}`)),
	)
	const last = `"&lt;i&gt;"`
	converse(guard(hear(last)), `"it's"`, "\"\u202e<i>\"")
	// Output:
	// the application got "it&#39;s"
	// the application got "&lt;i&gt;"
	// closed: 1000
}

func ExampleCheckMessages() {
	guard := wsguard.CheckMessages("may post", func(_ context.Context, c *wsguard.Conn, _ websocket.MessageType, _ []byte) error {
		if c.Principal().HasScope("post") {
			return nil
		}
		return &wsguard.Refusal{Safeguard: "may post", Reason: "scope_missing", CloseCode: wsguard.StatusForbidden}
	})
	converse(guard(hear("")), "hello")
	// Output: closed: 3003 scope missing
}

func ExampleMaxMessageSize() {
	guard := wsguard.MaxMessageSize(5)
	converse(guard(hear("")), "hello", "hello!")
	// Unordered output:
	// the application got hello
	// closed: 1009 message too big
}

func ExampleKeepAlive() {
	guard := wsguard.Chain(
		wsguard.KeepAlive(30*time.Second, 10*time.Second), // a peer that is gone is found after 40 s
		wsguard.IdleTimeout(5*time.Minute),                // one that only answers pings, after five minutes
		wsguard.MaxLifetime(8*time.Hour),                  // any other, after eight hours
	)
	http.Handle("GET /ws", guard(wsguard.Handler(echo)))
}

func ExampleIdleTimeout() {
	guard := wsguard.IdleTimeout(20 * time.Millisecond) // minutes, in earnest
	converse(guard(hear("")), "hello")
	// Output:
	// the application got hello
	// closed: 3008 idle
}

func ExampleMaxLifetime() {
	guard := wsguard.MaxLifetime(20 * time.Millisecond) // hours, in earnest
	converse(guard(hear("")))
	// Output: closed: 3008 lifetime over
}

func ExampleCompileSchema() {
	// From a file, say. Every problem is reported.
	_, err := wsguard.CompileSchema([]byte(`{"minimun": 3}`), wsguard.SchemaOptions{})
	fmt.Println(err)

	schema, err := wsguard.CompileSchema([]byte(`{"items": {"$ref": "room.json"}}`), wsguard.SchemaOptions{
		Documents: map[string][]byte{"room.json": []byte(`{"pattern": "^[a-z]+$"}`)},
	})
	fmt.Println(schema.Check([]byte(`["lobby", "Lobby"]`)), err)
	// Output:
	// wsguard: CompileSchema: #/minimun: no keyword that is supported in this draft; if it is an annotation of your own, let it begin with x-
	// wsguard: message violates pattern at /1 <nil>
}

func ExampleSchema_Check() {
	schema := wsguard.MustCompileSchema(`{"type": "object", "required": ["type"]}`)
	for _, message := range []string{`{"type":"say"}`, `{}`, `{"type":"say","TYPE":"admin"}`, `{"type":1e999999999}`} {
		var violation *wsguard.SchemaError
		if err := schema.Check([]byte(message)); errors.As(err, &violation) {
			fmt.Println(violation.Keyword)
			continue
		}
		fmt.Println("good")
	}
	// Output:
	// good
	// required
	// duplicate_member
	// number
}

func ExampleSchema_Explain() {
	fmt.Print(wsguard.MustCompileSchema(`{"type": "object", "properties": {
		"room": {"type": "string", "pattern": "^[a-z]{1,32}$"},
		"text": {"type": "string"},
		"slug": {"type": "string", "maxLength": 80, "pattern": "[a-z]+-[0-9]+"}
	}}`).Explain())
	fmt.Print(wsguard.MustCompileSchema(`{"type": "number", "multipleOf": 1234567890123456789}`).Explain())
	// Output:
	// runs in one pass, in at most 156 steps for each byte of a message
	// slower: #/properties/slug: package regexp matches a pattern; classes of ASCII with a bound between ^ and $ would be a table
	// warning: #/properties/slug: the pattern is not anchored and may match anywhere: begin it with ^ and end it with $
	// warning: #/properties/text: a string is unbounded: write maxLength
	// warning: #: an object is open to any member: write additionalProperties false
	// runs on jsonschema/v5 behind a scan: multipleOf has more than 18 digits
}

// A protocol: join before say, rules for each type, and the reply that tells a
// client what it did wrong among what the server says it sends.
func ExampleMessages() {
	join := wsguard.MustCompileSchema(`{"type": "object", "required": ["type", "room"], "additionalProperties": false,
		"properties": {"type": {}, "room": {"type": "string", "pattern": "^[a-z]{1,32}$"}}}`)
	say := wsguard.MustCompileSchema(`{"type": "object", "required": ["type", "text"], "additionalProperties": false,
		"properties": {"type": {}, "text": {"type": "string", "maxLength": 500}}}`)

	guard := wsguard.ValidateMessages(wsguard.Messages{
		Start: "outside",
		Types: map[string]wsguard.MessageType{
			"join": {Schema: join, In: []string{"outside"}, To: "inside", MaxSize: 100},
			"say":  {Schema: say, In: []string{"inside"}, Rate: 2, Burst: 5},
		},
	}, wsguard.PolicyReply)
	converse(guard(hear(`{"type":"say","text":"bye"}`)),
		`{"type":"say","text":"hello"}`,
		`{"type":"join","room":"lobby"}`,
		`{"type":"shout","text":"hello"}`,
		`{"type":"say","text":"bye"}`)
	// Unordered output:
	// {"type":"error","reason":"message out of order"}
	// the application got {"type":"join","room":"lobby"}
	// {"type":"error","reason":"invalid data","keyword":"type_not_listed","path":"/type"}
	// the application got {"type":"say","text":"bye"}
	// closed: 1000
}

func ExampleMessages_Check() {
	protocol := wsguard.Messages{Types: map[string]wsguard.MessageType{
		"ping": {Schema: wsguard.MustCompileSchema(`{"maxProperties": 1}`), MaxSize: 30},
	}}
	for _, message := range []string{`{"type":"ping"}`, `{"type":"ping","a":1}`, `{"type":"pong"}`, `{"ping":1}`, `{"type":"ping"} {}`} {
		fmt.Println(protocol.Check([]byte(message)))
	}
	// Output:
	// <nil>
	// wsguard: message violates maxProperties
	// wsguard: message violates type_not_listed at /type
	// wsguard: message violates type_missing
	// wsguard: message violates trailing_data
}

// Who may send what, at what price.
func ExampleMessageType() {
	say := wsguard.MustCompileSchema(`{"type": "object", "additionalProperties": false,
		"properties": {"type": {}, "text": {"type": "string", "maxLength": 500}}}`)
	export := wsguard.MustCompileSchema(`{"type": "object", "additionalProperties": false, "properties": {"type": {}}}`)
	guard := func(verifier wsguard.Verifier) func(http.Handler) http.Handler {
		return wsguard.Chain(
			wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer")),
			wsguard.LimitMessages(10, 20, wsguard.PerConn),
			wsguard.ValidateMessages(wsguard.Messages{Types: map[string]wsguard.MessageType{
				"say":    {Schema: say},
				"export": {Schema: export, Scopes: []string{"archive"}, Cost: 20}, // as dear as 20 others
			}}),
		)
	}
	_ = guard // around wsguard.Handler(serve)
}

// A MessageSpec may be asked for where a schema or types will do.
func ExampleMessageSpec() {
	endpoint := func(spec wsguard.MessageSpec) http.Handler {
		return wsguard.ValidateMessages(spec)(hear(""))
	}
	endpoint(wsguard.MustCompileSchema(`{"type": "object"}`))
	endpoint(wsguard.Messages{Types: map[string]wsguard.MessageType{"ping": {Schema: wsguard.MustCompileSchema(`{"type": "object"}`)}}})
}

func ExamplePolicy() {
	schema := wsguard.MustCompileSchema(`{"type": "string"}`)
	wsguard.ValidateMessages(schema)                      // PolicyClose
	wsguard.ValidateMessages(schema, wsguard.PolicyReply) // three are answered, the fourth ends the connection
	wsguard.ValidateMessages(schema, wsguard.PolicyDrop.Strikes(10))
	wsguard.OutgoingMessages(schema)                       // PolicyFail
	wsguard.OutgoingMessages(schema, wsguard.PolicyReport) // to begin with
}

// A member that was not meant to leave the house does not.
func ExampleOutgoingMessages() {
	user := wsguard.MustCompileSchema(`{"type": "object", "required": ["type", "name"], "additionalProperties": false,
		"properties": {"type": {}, "name": {"type": "string"}}}`)
	guard := wsguard.OutgoingMessages(wsguard.Messages{Types: map[string]wsguard.MessageType{
		"user": {Schema: user},
	}}, wsguard.PolicyDrop)
	type row struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Password string `json:"password,omitempty"`
	}
	converse(guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		if err := c.WriteJSON(ctx, row{"user", "bob", "hunter2"}); err != nil {
			return err
		}
		return c.WriteJSON(ctx, row{Type: "user", Name: "alice"})
	})))
	// Output:
	// {"type":"user","name":"alice"}
	// closed: 1000
}
