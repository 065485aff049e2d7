package wsguard

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Policy says what becomes of a message that [ValidateMessages] or
// [OutgoingMessages] refuses for what it says, or for when it says it: reasons
// invalid_data, message_out_of_order and outgoing_invalid. Sizes, rates and
// scopes end the connection whatever the policy is. The application never gets
// a message that was refused.
type Policy struct {
	does    string // the Action of a ViolationEvent
	strikes int
}

// The policies.
var (
	// PolicyClose ends the connection. It is the default for what comes.
	PolicyClose = Policy{does: "close"}

	// PolicyDrop drops the message.
	PolicyDrop = Policy{does: "drop"}

	// PolicyReply drops a message that came, and tells the peer the keyword and
	// the path: {"type":"error","reason":"invalid data","keyword":…,"path":…},
	// with the discriminator of Messages instead of "type".
	PolicyReply = Policy{does: "reply"}

	// PolicyFail does not send the message and ends the connection with 1011;
	// Write returns the *Refusal. It is the default for what is sent.
	PolicyFail = Policy{does: "fail"}

	// PolicyReport sends the message, and only tells observers.
	PolicyReport = Policy{does: "report"}
)

// Strikes returns PolicyDrop or PolicyReply for n messages of a connection; the
// next one ends it. Without it, they are 3.
func (p Policy) Strikes(n int) Policy {
	if p.does != PolicyDrop.does && p.does != PolicyReply.does {
		panic("wsguard: Policy.Strikes: only messages that are dropped or answered are counted: write PolicyDrop.Strikes(3) or PolicyReply.Strikes(3)")
	}
	if n < 1 {
		panic(fmt.Sprintf("wsguard: Policy.Strikes: %d lets no violation pass: write at least 1, or PolicyClose", n))
	}
	p.strikes = n
	return p
}

// onePolicy returns the policy that was written, or the first of those that may
// be.
func onePolicy(safeguard string, given []Policy, may ...Policy) Policy {
	if len(given) == 0 {
		return may[0]
	}
	names := map[string]string{"close": "PolicyClose", "drop": "PolicyDrop", "reply": "PolicyReply", "fail": "PolicyFail", "report": "PolicyReport"}
	isGiven := func(p Policy) bool { return p.does == given[0].does }
	if len(given) > 1 || !slices.ContainsFunc(may, isGiven) {
		panic(fmt.Sprintf("wsguard: %s takes one policy: write %s, %s or %s", safeguard, names[may[0].does], names[may[1].does], names[may[2].does]))
	}
	return given[0]
}

// incomingPolicy is the policy for what comes.
type incomingPolicy struct {
	Policy
	discriminator []byte // nil is "type"
}

// action says what to do with a message that was refused, and counts it.
func (p *incomingPolicy) action(c *Conn, r *Refusal) string {
	if p == nil || p.does == PolicyClose.does || r.Reason != "invalid_data" && r.Reason != "message_out_of_order" {
		return PolicyClose.does
	}
	if c.strikes++; c.strikes > p.strikes {
		return PolicyClose.does
	}
	return p.does
}

// reply is what PolicyReply sends.
func (p *incomingPolicy) reply(r *Refusal) []byte {
	name := p.discriminator
	if name == nil {
		name = []byte("type")
	}
	answer := struct {
		Reason  string `json:"reason"`
		Keyword string `json:"keyword,omitempty"`
		Path    string `json:"path,omitempty"`
	}{Reason: r.closeReason()}
	var e *SchemaError
	if errors.As(r, &e) {
		answer.Keyword, answer.Path = e.Keyword, e.Path
	}
	member, _ := json.Marshal(string(name)) // strings cannot fail
	rest, _ := json.Marshal(answer)
	return fmt.Appendf(nil, `{%s:"error",%s`, member, rest[1:])
}

// samples are the kinds of replies that there are, the shortest first.
func (p *incomingPolicy) samples() (all [][]byte) {
	longest := "/" + strings.Repeat("x", 255)
	for _, err := range []error{errBinary, &SchemaError{Keyword: "required"}, &SchemaError{Keyword: "unevaluatedProperties", Path: longest}} {
		all = append(all, p.reply(refuse("ValidateMessages", "invalid_data", err)))
	}
	return append(all, p.reply(refuse("ValidateMessages", "message_out_of_order", nil)))
}
