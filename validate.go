package wsguard

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/limit"
	"github.com/wsguard/wsguard/internal/sanitize"
)

// messageRules is what the Conn of a session applies to each message, in the
// order in which check does it. What comes belongs to the one reader.
type messageRules struct {
	rates    []rateRule
	table    *messageTable
	policy   *incomingPolicy // nil without a table
	sanitize *sanitizer
	checks   []messageCheck
	outgoing *outgoingRule

	now     time.Time       // when the message came, or since when it may, once somebody asks
	state   int             // that accepted messages have led to
	buckets []*limit.Bucket // of types with a rate, once they have come
}

type messageCheck struct {
	name  string
	check func(context.Context, *Conn, websocket.MessageType, []byte) error
}

// any reports whether there is a rule that only a Conn applies.
func (m *messageRules) any() bool {
	return len(m.rates) > 0 || m.table != nil || m.sanitize != nil || len(m.checks) > 0 || m.outgoing != nil
}

// scanned reports whether text that has passed the rules is JSON within the
// limits of the hardening.
func (m *messageRules) scanned() bool {
	return m.table != nil || m.sanitize != nil && !m.sanitize.PlainText
}

// check returns what the application gets of a message, or why it gets
// nothing. What it returns may share data's memory. Text is UTF-8: the wire has
// judged it while it came.
func (m *messageRules) check(ctx context.Context, c *Conn, typ websocket.MessageType, data []byte) ([]byte, *Refusal) {
	if r := m.spend(ctx, c, 1, len(data)); r != nil {
		return nil, r
	}
	text := typ == websocket.MessageText
	if m.table != nil && !text {
		return nil, refuse("ValidateMessages", "invalid_data", errBinary)
	}
	var of *messageRule
	untouched := !text || m.untouched(data)
	if text {
		size := len(data)
		var r *Refusal
		if !untouched {
			if data, r = m.strip(data); r != nil {
				return nil, r
			}
		}
		if m.table != nil {
			if of, r = m.judge(ctx, c, data, size); r != nil {
				return nil, r
			}
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
	if !untouched {
		data = m.sanitize.apply(data, m.sanitize.Escape, m.sanitize.mayEscape)
	}
	if of != nil && of.to != stay {
		m.state = of.to
	}
	return data, nil
}

// spend takes what so many messages of so many bytes cost from every limit.
func (m *messageRules) spend(ctx context.Context, c *Conn, messages, bytes int) *Refusal {
	if messages == 0 {
		return nil
	}
	for i := range m.rates {
		if r := m.rates[i].check(ctx, c, messages, bytes); r != nil {
			return r
		}
	}
	return nil
}

// time is when the message came. To look at the clock is much of what a limit
// costs, so all limits and the observers share one look.
func (m *messageRules) time(c *Conn) time.Time {
	if m.now.IsZero() {
		m.now = c.s.conn.Came()
	}
	return m.now
}

// untouched reports whether the sanitizer can be left out: there is none, or a
// text that the schema will scan can be seen at one look to have nothing for it.
func (m *messageRules) untouched(data []byte) bool {
	return m.sanitize == nil || m.table != nil && m.sanitize.own && sanitize.Plain(data)
}

// strip returns what the schema will be asked about. A text is scanned for it
// only where something may be stripped, as whoever judges it scans it anyway.
func (m *messageRules) strip(data []byte) ([]byte, *Refusal) {
	s := m.sanitize
	if !s.PlainText {
		data = bytes.TrimPrefix(data, []byte("\uFEFF"))
		if m.table == nil || s.mayStrip(data) {
			if err := jsonscan.Scan(data, jsonscan.Default()); err != nil {
				return nil, refuse(m.judges(), "invalid_data", schemaError(err))
			}
		}
	}
	return s.apply(data, s.Strip, s.mayStrip), nil
}

// judges names who refuses what is not JSON.
func (m *messageRules) judges() string {
	if m.table != nil {
		return "ValidateMessages"
	}
	return "SanitizeMessages"
}

// judge finds out of which type a text is, and whether it may come, what is
// cheap first. size is what it had when it came.
func (m *messageRules) judge(ctx context.Context, c *Conn, data []byte, size int) (*messageRule, *Refusal) {
	const name = "ValidateMessages"
	of, wrong := m.table.of(data)
	if wrong != nil {
		return nil, refuse(name, "invalid_data", wrong)
	}
	if of.MaxSize > 0 && size > of.MaxSize {
		return nil, refuse(name, "message_too_big", nil)
	}
	// One was taken before the type was known: a flood is not even looked at.
	if r := m.spend(ctx, c, of.Cost-1, 0); r != nil {
		return nil, r
	}
	if of.Rate > 0 {
		if ok, wait := m.bucket(of).Allow(m.time(c), 1); !ok {
			r := refuse(name, "message_rate", nil)
			r.RetryAfter = wait
			return nil, r
		}
	}
	if err := of.Schema.Check(data); err != nil {
		return nil, refuse(name, "invalid_data", err)
	}
	for _, scope := range of.Scopes {
		if !c.Principal().HasScope(scope) { // as it is now
			return nil, refuse(name, "scope_missing", fmt.Errorf("the sender lacks the scope %q", scope))
		}
	}
	if of.in != nil && !of.in[m.state] {
		return nil, refuse(name, "message_out_of_order", nil)
	}
	return of, nil
}

// bucket returns what a type with a rate takes its tokens from.
func (m *messageRules) bucket(of *messageRule) *limit.Bucket {
	if m.buckets == nil {
		m.buckets = make([]*limit.Bucket, m.table.rated)
	}
	b := &m.buckets[of.bucket]
	if *b == nil {
		*b = limit.NewBucket(of.Rate, of.Burst)
	}
	return *b
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
// spec: one schema, or [Messages] with a schema, a size, a rate, scopes and
// states for each type. What violates a schema, or is of a type that is not
// listed, ends the connection with 1003 (invalid_data), unless a [Policy] says
// otherwise. (R33, R35, R39, R40, R45)
//
// The hardening refuses what costs or confuses decoders although it may be
// JSON: a member name twice in one object, also in another case; more than one
// text; lone surrogates; deep nesting, long numbers, and arrays, objects and
// strings without measure. [Schema] lists it all, each with its reason.
//
// Write a schema that allows only what is known: additionalProperties false,
// a maxLength for each string, a maxItems for each array.
func ValidateMessages(spec MessageSpec, policy ...Policy) func(http.Handler) http.Handler {
	const name = "ValidateMessages"
	if spec == nil {
		panic("wsguard: " + name + ": the schema is empty: write what CompileSchema returned, or Messages{…}")
	}
	t := spec.table(name)
	p := &incomingPolicy{onePolicy(name, policy, PolicyClose, PolicyDrop, PolicyReply), t.name}
	if p.strikes == 0 {
		p.strikes = 3
	}
	ru := t.rule
	ru.name, ru.provides, ru.passive = name, factSchema, true
	if p.does == PolicyReply.does {
		ru.replies = p.samples()
	}
	return safeguard(ru, func(s *session, _ *http.Request) *Refusal {
		s.rules.table, s.rules.policy = t, p
		return nil
	})
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
	own := newSanitizer(config)
	return safeguard(rule{name: "SanitizeMessages", provides: factSanitizer, passive: true}, func(s *session, _ *http.Request) *Refusal {
		s.rules.sanitize = own
		return nil
	})
}

// A sanitizer is a Sanitizer with what tells of a JSON text, whether it was
// scanned or not, that its functions leave all strings as they are.
type sanitizer struct {
	Sanitizer
	mayStrip, mayEscape func(text []byte) bool
	own                 bool // the functions are our own, and messages JSON
}

func newSanitizer(config Sanitizer) *sanitizer {
	if config.Strip == nil {
		config.Strip = StripUnsafe
	}
	if config.Escape == nil {
		config.Escape = EscapeHTML
	}
	return &sanitizer{config, spotter(config.Strip), spotter(config.Escape),
		!config.PlainText && isOne(config.Strip, StripUnsafe, Keep) && isOne(config.Escape, EscapeHTML, Keep)}
}

// spotter returns what tells whether a function has anything to do. That is
// known of our own ones.
func spotter(f func([]byte) []byte) func([]byte) bool {
	switch {
	case isOne(f, StripUnsafe):
		return sanitize.MayStrip
	case isOne(f, EscapeHTML):
		return sanitize.MayEscape
	case isOne(f, Keep):
		return func([]byte) bool { return false }
	}
	return func([]byte) bool { return true }
}

// isOne reports whether f is one of others. Two functions have one code pointer
// only if their code is one.
func isOne(f func([]byte) []byte, others ...func([]byte) []byte) bool {
	code := func(f func([]byte) []byte) uintptr { return reflect.ValueOf(f).Pointer() }
	for _, other := range others {
		if code(f) == code(other) {
			return true
		}
	}
	return false
}

func (s *sanitizer) apply(data []byte, f func([]byte) []byte, may func([]byte) bool) []byte {
	switch {
	case s.PlainText:
		return sanitize.Text(data, f)
	case may(data):
		return sanitize.Strings(data, f)
	}
	return data
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
// it, and must neither change nor keep data. The name appears in refusals. An error refuses
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
