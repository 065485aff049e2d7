package wsguard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/sanitize"
)

// messageRules is what the Conn of a session applies to each message, in the
// order in which check does it.
type messageRules struct {
	rates    []rateRule
	schema   *Schema
	policy   SchemaConfig
	sanitize *Sanitizer
	checks   []messageCheck
}

type messageCheck struct {
	name  string
	check func(context.Context, *Conn, websocket.MessageType, []byte) error
}

// any reports whether there is a rule that only a Conn applies.
func (m *messageRules) any() bool {
	return len(m.rates) > 0 || m.schema != nil || m.sanitize != nil || len(m.checks) > 0
}

// check returns what the application gets of a message, or why it gets
// nothing. What it returns may share data's memory. Text is UTF-8: the wire has
// judged it while it came.
func (m *messageRules) check(ctx context.Context, c *Conn, typ websocket.MessageType, data []byte) ([]byte, *Refusal) {
	for i := range m.rates {
		if r := m.rates[i].check(ctx, c, len(data)); r != nil {
			return nil, r
		}
	}
	text := typ == websocket.MessageText
	if m.schema != nil && !text {
		return nil, refuse("ValidateMessages", "invalid_data", errBinary)
	}
	if text {
		var r *Refusal
		if data, r = m.checkText(data); r != nil {
			return nil, r
		}
	}
	for _, own := range m.checks {
		if err := own.check(ctx, c, typ, data); err != nil {
			var given *Refusal // on the heap, as As has its address
			if !errors.As(err, &given) || given == nil {
				given = refuse(own.name, "message_rejected", err)
			}
			return nil, given
		}
	}
	if text && m.sanitize != nil {
		data = m.sanitize.apply(data, m.sanitize.Escape)
	}
	return data, nil
}

// checkText strips, and asks the schema about what is left.
func (m *messageRules) checkText(data []byte) ([]byte, *Refusal) {
	s := m.sanitize
	if s != nil && (m.schema != nil || !s.PlainText) {
		data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	}
	name, err := "ValidateMessages", error(nil)
	switch {
	case m.schema != nil && s != nil:
		data, err = m.schema.compiled.CheckCleaned(data, func(text []byte) []byte { return s.apply(text, s.Strip) })
	case m.schema != nil:
		err = m.schema.compiled.Check(data)
	case s != nil && !s.PlainText:
		name, err = "SanitizeMessages", jsonscan.Scan(data, jsonscan.Limits{})
		fallthrough
	case s != nil:
		if err == nil {
			data = s.apply(data, s.Strip)
		}
	}
	if err != nil {
		return nil, refuse(name, "invalid_data", schemaError(err))
	}
	return data, nil
}

// errBinary is the detail of a binary message where JSON is due.
var errBinary = errors.New("a binary message came where JSON is due")

// MaxMessageSize bounds a message to n bytes, fragments together. A longer one
// ends the connection with 1009 (message_too_big) as soon as a frame's header
// declares it, before its payload. It holds under every library; some of them
// (gws) allocate what is declared within it at once. Without it the bound is
// 32 KiB. (R41, R42)
func MaxMessageSize(n int64) func(http.Handler) http.Handler {
	if n < 1 {
		panic(fmt.Sprintf("wsguard: MaxMessageSize: %d bytes let no message pass: write at least 1, or leave it out for 32 KiB", n))
	}
	return safeguard(rule{name: "MaxMessageSize", provides: factMaxMessage, passive: true, maxMessage: n}, func(s *session, _ *http.Request) *Refusal {
		s.limits.MessageSize = n
		return nil
	})
}

// ValidateMessages lets a message pass only if it is text, JSON that means the
// same to every decoder, within the limits of the hardening, and satisfies the
// schema. Any other ends the connection with 1003 (invalid_data). [EnforceSchema] can drop it or answer instead. (R35, R40, R45)
//
// The hardening refuses what costs or confuses decoders although it may be
// JSON: a member name twice in one object, also in another case; more than one
// text; lone surrogates; deep nesting, long numbers, and arrays, objects and
// strings without measure. [Schema] lists it all, each with its reason.
//
// Write a schema that allows only what is known: additionalProperties false,
// a maxLength for each string, a maxItems for each array.
func ValidateMessages(s *Schema) func(http.Handler) http.Handler {
	return enforceSchema("ValidateMessages", SchemaConfig{Schema: s})
}

// A Policy says what becomes of a message that violates a schema.
type Policy uint8

// The policies. Whatever it is, the application never gets the message.
const (
	PolicyClose Policy = iota // the connection ends
	PolicyDrop                // the message is dropped
	PolicyReply               // the peer is told the keyword and the path
)

// A SchemaConfig is [ValidateMessages] with what it leaves out.
type SchemaConfig struct {
	Schema *Schema // required

	// Policy is PolicyClose by default. PolicyReply sends
	// {"type":"error","reason":"invalid data","keyword":…,"path":…}.
	Policy Policy

	// Strikes is how many messages of a connection are dropped or answered;
	// the next one ends it. The default is 3.
	Strikes int
}

// EnforceSchema is [ValidateMessages] with another policy than to close.
func EnforceSchema(config SchemaConfig) func(http.Handler) http.Handler {
	return enforceSchema("EnforceSchema", config)
}

func enforceSchema(name string, config SchemaConfig) func(http.Handler) http.Handler {
	switch {
	case config.Schema == nil || config.Schema.compiled == nil:
		panic("wsguard: " + name + ": the schema is empty: write what CompileSchema returned")
	case config.Policy > PolicyReply:
		panic(fmt.Sprintf("wsguard: %s: SchemaConfig.Policy %d does not exist: write PolicyClose, PolicyDrop or PolicyReply", name, config.Policy))
	case config.Strikes < 0:
		panic(fmt.Sprintf("wsguard: %s: SchemaConfig.Strikes is %d: write how many violations a connection survives, or 0 for 3", name, config.Strikes))
	case config.Strikes == 0:
		config.Strikes = 3
	}
	return safeguard(rule{name: name, provides: factSchema, passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.rules.schema, s.rules.policy = config.Schema, config
		return nil
	})
}

// action says what to do with a message that was refused, and counts it.
func (p *SchemaConfig) action(c *Conn, r *Refusal) string {
	if p.Policy == PolicyClose || r.Reason != "invalid_data" {
		return "close"
	}
	if c.strikes++; c.strikes > p.Strikes {
		return "close"
	}
	if p.Policy == PolicyReply {
		return "reply"
	}
	return "drop"
}

// reply is what PolicyReply sends.
func (p *SchemaConfig) reply(r *Refusal) []byte {
	answer := struct {
		Type    string `json:"type"`
		Reason  string `json:"reason"`
		Keyword string `json:"keyword,omitempty"`
		Path    string `json:"path,omitempty"`
	}{Type: "error", Reason: r.closeReason()}
	var e *SchemaError
	if errors.As(r, &e) {
		answer.Keyword, answer.Path = e.Keyword, e.Path
	}
	data, _ := json.Marshal(answer) // four strings cannot fail
	return data
}

// A Sanitizer says how the text of messages is cleaned. Its zero value strips
// and escapes JSON. Functions return their argument where there is nothing to
// do, and must neither change nor keep it.
type Sanitizer struct {
	// Strip removes what must not be there, before the schema judges what is
	// left. The default is StripUnsafe; Keep leaves everything.
	Strip func(text []byte) []byte

	// Escape encodes what is delivered, after all checks. It is an encoding:
	// the schema is not asked again. The default is EscapeHTML; Keep leaves
	// everything.
	Escape func(text []byte) []byte

	// PlainText says that messages are plain text and not JSON. By default
	// they are JSON: string values are cleaned, never member names, and what
	// is not JSON is refused.
	PlainText bool
}

// SanitizeMessages cleans the text of each message that comes. It does not
// replace encoding what is shown where it is shown. Binary messages pass
// unchanged. (R36)
func SanitizeMessages(config Sanitizer) func(http.Handler) http.Handler {
	if config.Strip == nil {
		config.Strip = StripUnsafe
	}
	if config.Escape == nil {
		config.Escape = EscapeHTML
	}
	return safeguard(rule{name: "SanitizeMessages", provides: factSanitizer, passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.rules.sanitize = &config
		return nil
	})
}

func (s *Sanitizer) apply(data []byte, f func([]byte) []byte) []byte {
	if s.PlainText {
		return sanitize.Text(data, f)
	}
	return sanitize.Strings(data, f)
}

// StripUnsafe removes control characters but tab, line feed and carriage
// return, byte order marks, and the characters that reorder text (U+202A to
// U+202E, U+2066 to U+2069).
func StripUnsafe(text []byte) []byte { return sanitize.Strip(text) }

// EscapeHTML writes & < > " ' as character references, as html.EscapeString
// does; html.UnescapeString gives the text back.
func EscapeHTML(text []byte) []byte { return sanitize.EscapeHTML(text) }

// Keep returns text.
func Keep(text []byte) []byte { return text }

// CheckMessages adds a rule of the application's own, which sees each message
// after the schema and before it is escaped: authorization, replays, the order
// of steps. It may ask the connection for its Principal; it must not read from
// it, and must not keep data. The name appears in refusals. An error refuses
// the message and ends the connection: a *Refusal as it is (with StatusForbidden
// as CloseCode, say), any other with 1008 (message_rejected). (R33, R38, R39)
func CheckMessages(name string, check func(ctx context.Context, c *Conn, typ websocket.MessageType, data []byte) error) func(http.Handler) http.Handler {
	if name == "" || check == nil {
		panic(`wsguard: CheckMessages: name or function is missing: write CheckMessages("may post", mayPost)`)
	}
	return safeguard(rule{name: "CheckMessages(" + name + ")", passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.rules.checks = append(s.rules.checks, messageCheck{name, check})
		return nil
	})
}
