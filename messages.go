package wsguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard/internal/discriminator"
	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/limit"
)

// A MessageSpec says which messages there are: a [*Schema] for all of them, or
// [Messages] for each type its own.
type MessageSpec interface {
	// table panics in the name of a safeguard if the spec cannot be meant.
	table(safeguard string) *messageTable
}

// Messages says of each type of message what it looks like, who may send it and
// when. A type that is not listed is refused, as is a message that does not say
// its type in so many words: one that is no object, has the member not at all,
// twice, in another case, or as something other than a string.
//
//	wsguard.Messages{Start: "new", Types: map[string]wsguard.MessageType{
//		"join": {Schema: join, In: []string{"new"}, To: "joined"},
//		"say":  {Schema: say, In: []string{"joined"}, Rate: 2, Burst: 5},
//		"ban":  {Schema: ban, In: []string{"joined"}, Scopes: []string{"moderate"}, Cost: 5},
//	}}
//
// It is read when the chain is built, and may be shared. (R33, R35, R39, R40)
type Messages struct {
	// Discriminator is the member of the message's object that names its type.
	// The default is "type". It is found fastest where it comes first.
	Discriminator string

	// Types are the types that there are, by name. A name has at most 128 bytes.
	Types map[string]MessageType

	// Start is the state in which a connection begins. It is required where a
	// type says In or To.
	Start string
}

// A MessageType is what [Messages] says of one type. But for Schema, a field
// that is zero limits nothing.
type MessageType struct {
	// Schema is what the whole message satisfies, the discriminator included.
	// It is required.
	Schema *Schema

	// MaxSize is the greatest length of the message in bytes. A longer one ends
	// the connection with 1009 (message_too_big). It may not exceed what
	// MaxMessageSize allows every message, which is the default.
	MaxSize int

	// Rate is how many messages of the type may come a second on average on one
	// connection, Burst how many at once. One more ends the connection with 1008
	// (message_rate). Both or none must be set.
	Rate  rate.Limit
	Burst int

	// Cost is how many messages it counts as in every LimitMessages and
	// PaceMessages of the chain, of which there must be one where it is above
	// the default of 1.
	Cost int

	// Scopes are what the Principal of the connection must hold, all of them, at
	// the time of the message. If not, the connection ends with 3003
	// (scope_missing). They need Authenticate before.
	Scopes []string

	// In are the states of the connection in which the message may come; the
	// default is all. In another it is refused with 1008
	// (message_out_of_order), or as the policy says.
	In []string

	// To is the state that the message leads to, once every check has accepted
	// it. The default is to stay.
	To string
}

// A messageTable is a spec that was found good. It never changes.
type messageTable struct {
	name  []byte       // of the discriminator
	one   *messageRule // for every message, if there are no types
	types map[string]*messageRule
	rated int  // types with a rate
	rule  rule // what the chain has to know
}

// A messageRule is a MessageType of a table.
type messageRule struct {
	MessageType
	bucket int // among the rated ones
	in     []bool
	to     int
}

// stay is where a message leads that leads nowhere.
const stay = -1

func (s *Schema) table(safeguard string) *messageTable {
	s.mustBeCompiled(safeguard)
	return &messageTable{one: &messageRule{MessageType: MessageType{Schema: s, Cost: 1}, to: stay}}
}

func (m Messages) table(safeguard string) *messageTable {
	wrong := func(format string, a ...any) {
		panic("wsguard: " + safeguard + ": Messages" + fmt.Sprintf(format, a...))
	}
	if m.Discriminator == "" {
		m.Discriminator = "type"
	}
	if n := m.Discriminator; len(n) > discriminator.MaxLength || !utf8.ValidString(n) {
		wrong(".Discriminator has %d bytes or is not UTF-8: write a name of at most %d, such as \"type\"", len(n), discriminator.MaxLength)
	}
	if len(m.Types) == 0 {
		wrong(".Types is empty, so that every message would be refused: list the types there are")
	}
	t := &messageTable{name: []byte(m.Discriminator), types: make(map[string]*messageRule, len(m.Types))}
	states := m.states(wrong)
	for _, name := range slices.Sorted(maps.Keys(m.Types)) {
		of := m.Types[name]
		if name == "" || len(name) > discriminator.MaxLength || !utf8.ValidString(name) {
			wrong(".Types has the name %.40q of %d bytes: write one of 1 to %d bytes of UTF-8", name, len(name), discriminator.MaxLength)
		}
		of.check(func(format string, a ...any) { wrong(".Types[%q]"+format, append([]any{name}, a...)...) })
		if of.refusesItself(m.Discriminator, name) {
			wrong(".Types[%q].Schema refuses every message of the type, for its member %q: list it in properties, without a const or enum that leaves %[1]q out", name, m.Discriminator)
		}
		r := &messageRule{MessageType: of, bucket: t.rated, to: stay}
		r.Cost, r.Scopes = max(of.Cost, 1), slices.Clone(of.Scopes)
		if of.Rate != 0 {
			t.rated++
		}
		for _, state := range of.In {
			if r.in == nil {
				r.in = make([]bool, len(states))
			}
			r.in[states[state]] = true
		}
		if of.To != "" {
			r.to = states[of.To]
		}
		if len(of.Scopes) > 0 {
			t.rule.needs |= factPrincipal
		}
		t.types[name] = r
		t.rule.typeSize, t.rule.cost = max(t.rule.typeSize, int64(of.MaxSize)), max(t.rule.cost, r.Cost)
	}
	return t
}

// check reports the first thing that is wrong with a type by itself.
func (t MessageType) check(wrong func(string, ...any)) {
	switch {
	case t.Schema == nil || t.Schema.compiled == nil:
		wrong(".Schema is empty: write what CompileSchema returned")
	case t.MaxSize < 0:
		wrong(".MaxSize is %d: write how many bytes it may have, or leave it out for what MaxMessageSize allows", t.MaxSize)
	case t.Cost < 0:
		wrong(".Cost is %d: write how many messages it counts as, or leave it out for 1", t.Cost)
	case t.Rate == 0 && t.Burst != 0:
		wrong(".Burst is set without Rate and would limit nothing: write both, such as Rate: 2, Burst: 5")
	case slices.Contains(t.Scopes, ""):
		wrong(".Scopes has an empty one, which nobody holds: leave it out")
	}
	if t.Rate != 0 {
		if err := limit.CheckRate(t.Rate, t.Burst); err != nil {
			wrong(".Rate: %v", err)
		}
	}
}

// refusesItself reports whether the schema has no room for the member that
// names the type, which is easily forgotten: additionalProperties false is the
// usual reason.
func (t MessageType) refusesItself(discriminator, name string) bool {
	message, _ := json.Marshal(map[string]string{discriminator: name}) // strings cannot fail
	var e *SchemaError
	if !errors.As(t.Schema.Check(message), &e) {
		return false
	}
	switch e.Keyword {
	case "additionalProperties", "unevaluatedProperties", "propertyNames":
		return e.Path == ""
	}
	return e.Path == "/"+pointers.Replace(discriminator)
}

// states numbers the states: Start is 0. Every state that a type asks for must
// be one that the connection can get into.
func (m Messages) states(wrong func(string, ...any)) map[string]int {
	states := map[string]int{}
	named := false
	for name, t := range m.Types {
		named = named || len(t.In) > 0 || t.To != ""
		if slices.Contains(t.In, "") {
			wrong(".Types[%q].In has a state without a name: write the one that Start or a To names", name)
		}
	}
	switch {
	case named && m.Start == "":
		wrong(".Start is missing, so that no state is ever reached: write the one in which a connection begins")
	case !named && m.Start != "":
		wrong(".Start is %q, but no type says In or To: leave it out, or write In: []string{%[1]q}", m.Start)
	}
	states[m.Start] = 0
	for grown := true; grown; {
		grown = false
		for _, t := range m.Types {
			may := len(t.In) == 0
			for _, in := range t.In {
				_, reached := states[in]
				may = may || reached
			}
			if _, known := states[t.To]; may && t.To != "" && !known {
				states[t.To], grown = len(states), true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.Types)) {
		for _, in := range m.Types[name].In {
			if _, reached := states[in]; !reached {
				wrong(".Types[%q].In asks for the state %q, which nothing leads to from %q: write it as the To of a type that may come before", name, in, m.Start)
			}
		}
	}
	return states
}

// The keywords of a SchemaError for a message that is of no type, or longer than
// its type may be.
const (
	keywordNoType   = "type_missing"
	keywordUnlisted = "type_not_listed"
	keywordSize     = "message_size"
)

// Check says whether a message is of a listed type, not too long for it and
// good by its schema: what ValidateMessages and OutgoingMessages say, but for
// who sends it and when. The error is a *SchemaError. It is for the tests of a
// protocol, as it reads the whole of m each time, and panics as they do.
func (m Messages) Check(message []byte) error {
	return m.table("Check").check(websocket.MessageText, message)
}

// of returns what holds for a message.
func (t *messageTable) of(data []byte) (*messageRule, *SchemaError) {
	if t.one != nil {
		return t.one, nil
	}
	var buf discriminator.Buffer
	name, ok := discriminator.Find(data, t.name, &buf)
	if ok {
		if r := t.types[string(name)]; r != nil {
			return r, nil
		}
	}
	// It is refused; this is only about what to call it.
	switch err := jsonscan.Scan(data, jsonscan.Default()); {
	case err != nil:
		return nil, schemaError(err)
	case !ok:
		return nil, &SchemaError{Keyword: keywordNoType}
	}
	return nil, &SchemaError{Keyword: keywordUnlisted, Path: "/" + pointers.Replace(string(t.name))}
}

// pointers writes a member name into a JSON Pointer (RFC 6901).
var pointers = strings.NewReplacer("~", "~0", "/", "~1")

// check says whether a message is one of the table, apart from who sends it
// and when.
func (t *messageTable) check(typ websocket.MessageType, data []byte) error {
	if typ != websocket.MessageText {
		return errBinary
	}
	r, wrong := t.of(data)
	switch {
	case wrong != nil:
		return wrong
	case r.MaxSize > 0 && len(data) > r.MaxSize:
		return &SchemaError{Keyword: keywordSize}
	}
	return r.Schema.Check(data)
}

// lacks says what the types need and the chain does not have. Where a chain
// ends is known only when it is asked for a connection.
func (m *messageRules) lacks(maxMessage int64) *Refusal {
	if m.table == nil {
		return nil
	}
	if size := m.table.rule.typeSize; size > maxMessage {
		return refuse("ValidateMessages", "safeguard_missing",
			fmt.Errorf("a type has a MaxSize of %d, above the %d that a message may have: put MaxMessageSize(%[1]d) into the chain, or lower it", size, maxMessage))
	}
	counted := slices.ContainsFunc(m.rates, func(r rateRule) bool { return !r.bytes })
	if m.table.rule.cost > 1 && !counted {
		return refuse("ValidateMessages", "safeguard_missing",
			errors.New("a type has a Cost, but no limit counts it: put LimitMessages or PaceMessages into the chain"))
	}
	return nil
}

// typesConflict says what is wrong with the types of one of two safeguards and
// the other, or "".
func typesConflict(outer, inner rule) string {
	if most, size := max(outer.maxMessage, inner.maxMessage), max(outer.typeSize, inner.typeSize); most > 0 && size > most {
		return fmt.Sprintf("a type of ValidateMessages has a MaxSize of %d bytes, above the %d of MaxMessageSize, so that it bounds nothing: lower it, or write MaxMessageSize(%[1]d)", size, most)
	}
	if burst, cost := max(outer.messageBurst, inner.messageBurst), max(outer.cost, inner.cost); burst > 0 && cost > burst {
		return fmt.Sprintf("a type of ValidateMessages has a Cost of %d, above the burst of %d in LimitMessages, so that it never passes: raise the burst to %[1]d", cost, burst)
	}
	for _, pair := range [][2]rule{{outer, inner}, {inner, outer}} {
		for _, reply := range pair[0].replies {
			if pair[1].outgoing != nil && pair[1].outgoing.check(websocket.MessageText, reply) != nil {
				return fmt.Sprintf("OutgoingMessages refuses what PolicyReply sends: list %s, to which a keyword and a path of 256 bytes may be added, or write PolicyDrop", pair[0].replies[0])
			}
		}
	}
	return ""
}
