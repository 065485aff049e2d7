package wsguard

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/coder/websocket"
)

// OutgoingMessages checks what the application sends, with Write, WriteJSON or
// TrySend, as ValidateMessages checks what comes: an API that says what it
// sends, and does not leak what it was not meant to send. What of a MessageType
// is about the sender (Rate, Cost, Scopes, In, To) panics here.
//
// The policy is PolicyFail, for tests and wherever silence is better than a
// wrong message; PolicyDrop or PolicyReport for production. Observers are told
// of each with reason outgoing_invalid. Through TrySend, a message is checked
// when its turn comes. (R36)
func OutgoingMessages(spec MessageSpec, policy ...Policy) func(http.Handler) http.Handler {
	const name = "OutgoingMessages"
	if spec == nil {
		panic("wsguard: " + name + ": the schema is empty: write what CompileSchema returned, or Messages{…}")
	}
	if m, ok := spec.(Messages); ok {
		m.mustBeOutgoing(name)
	}
	out := &outgoingRule{table: spec.table(name), policy: onePolicy(name, policy, PolicyFail, PolicyDrop, PolicyReport)}
	if out.policy.strikes != 0 {
		panic("wsguard: " + name + ": Strikes are a peer's, and what is sent is the application's: leave them out")
	}
	ru := out.table.rule
	ru.name, ru.provides, ru.passive, ru.outgoing = name, factOutgoing, true, out.table
	ru.typeSize, ru.cost = 0, 0 // MaxMessageSize and limits are about what comes
	return safeguard(ru, func(s *session, _ *http.Request) *Refusal {
		s.rules.outgoing = out
		return nil
	})
}

func (m Messages) mustBeOutgoing(safeguard string) {
	for _, name := range slices.Sorted(maps.Keys(m.Types)) {
		t := m.Types[name]
		for _, field := range []struct {
			name string
			set  bool
		}{
			{"Rate", t.Rate != 0}, {"Burst", t.Burst != 0}, {"Cost", t.Cost != 0},
			{"Scopes", t.Scopes != nil}, {"In", t.In != nil}, {"To", t.To != ""},
		} {
			if field.set {
				panic(fmt.Sprintf("wsguard: %s: Messages.Types[%q].%s is about who sends, which is this server: leave it out", safeguard, name, field.name))
			}
		}
	}
	if m.Start != "" {
		panic("wsguard: " + safeguard + ": Messages.Start is about who sends, which is this server: leave it out")
	}
}

// An outgoingRule is what OutgoingMessages asks for.
type outgoingRule struct {
	table  *messageTable
	policy Policy
}

// withhold reports whether a message must not be sent, and what Write returns
// then.
func (m *messageRules) withhold(c *Conn, typ websocket.MessageType, data []byte) (withheld bool, err error) {
	if m.outgoing == nil {
		return false, nil
	}
	began := c.watched()
	wrong := m.outgoing.table.check(typ, data)
	if wrong == nil {
		return false, nil
	}
	r := refuse("OutgoingMessages", "outgoing_invalid", wrong)
	action := m.outgoing.policy.does
	if action != PolicyReport.does {
		err = c.observeMessage(DirectionOut, typ, len(data), r, began)
	}
	switch {
	case action == PolicyFail.does:
		return true, c.refused(r, "close")
	case err == nil:
		err = c.s.violation(r, action)
	}
	if err != nil {
		return true, c.refused(refuse("Observe", "internal_error", err), "close")
	}
	return action == PolicyDrop.does, nil
}
