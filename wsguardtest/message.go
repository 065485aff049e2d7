package wsguardtest

import (
	"encoding/json"
	"slices"
	"strings"
)

var messageVectors = []Vector{
	text("not-json", 20, "A message is no JSON.", func(string) string { return `{"` }),
	text("empty", 20, "A message is empty.", func(string) string { return "" }),
	text("trailing-data", 20, "Another value comes after the message.", func(m string) string { return m + ` {"x":1}` }),
	text("byte-order-mark", 20, "A byte order mark comes before the message.", func(m string) string { return "\uFEFF" + m }),
	text("duplicate-member", 436, "A member stands twice, and two parsers take two values.", func(m string) string {
		name := firstMember(m)
		return member(m, name, `"forged"`)
	}),
	text("unknown-member", 915, "A member is added that the schema does not know.", func(m string) string {
		return member(m, "isAdmin", "true")
	}),
	text("prototype", 1321, "A member is named __proto__.", func(m string) string {
		return member(m, "__proto__", `{"isAdmin":true}`)
	}),
	text("number-bomb", 1333, "A number has an exponent that takes minutes to compute with.", func(m string) string {
		return member(m, "n", "1e999999999")
	}),
	text("deep-nesting", 674, "Arrays stand in arrays, five hundred deep.", func(m string) string {
		return member(m, "n", strings.Repeat("[", 500)+strings.Repeat("]", 500))
	}),
	text("lone-surrogate", 176, "A text has an escaped half of a character.", func(m string) string {
		return member(m, "s", `"\ud800"`)
	}),
	text("other-case", 178, "A member is written in capitals, which encoding/json takes for the same.", func(m string) string {
		name := firstMember(m)
		return strings.Replace(m, `"`+name+`"`, `"`+strings.ToUpper(name)+`"`, 1)
	}),
	text("array", 843, "The message is an array of itself.", func(m string) string { return "[" + m + "]" }),
	text("null", 843, "The message is null.", func(string) string { return "null" }),
	{Name: "message/binary", Requirements: []string{"R35"}, CWE: 436,
		What: "The valid message comes as a binary one.", run: func(a *try) outcome {
			return a.unanswered(frame(fin|opBinary, a.p.Message))
		}},
	{Name: "message/invalid", Requirements: []string{"R35", "R40"}, CWE: 20,
		What: "Messages come that the profile says are invalid.", run: invalid},
}

// text is a row that makes a hostile message out of the valid one.
func text(name string, cwe int, what string, make func(message string) string) Vector {
	return Vector{Name: "message/" + name, Requirements: []string{"R35"}, CWE: cwe, What: what, run: func(a *try) outcome {
		var object map[string]any
		if json.Unmarshal([]byte(a.p.Message), &object) != nil || len(object) == 0 {
			return unjudged("the profile's message is no JSON object with members")
		}
		return a.unanswered(frame(fin|opText, make(a.p.Message)))
	}}
}

// unanswered judges a message that must not be accepted, after a good one was.
func (a *try) unanswered(message []byte) outcome {
	if a.p.Message == "" {
		return unjudged("the profile has no message")
	}
	p, why := a.connect()
	if why != nil {
		return *why
	}
	if why := a.exchange(p); why != nil {
		return *why
	}
	_ = p.send(message)
	for {
		answer, ok := p.answer(a.ctx, a.p.Patience/2)
		switch {
		case ok && a.p.accepts(answer):
			return failed("it was answered as accepted")
		case ok:
			continue
		case p.ended(a.ctx, 0) || p.gone():
			return passed("%s", p.how())
		}
		return a.silence(p)
	}
}

// silence judges a message that nothing answered. That is only a refusal if the
// server answers at all: a good message after it has to be answered, and once.
func (a *try) silence(p *peer) outcome {
	if a.exchange(p) != nil {
		if p.gone() {
			return passed("%s", p.how())
		}
		return unjudged("neither it nor a good message after it was answered")
	}
	for {
		answer, ok := p.answer(a.ctx, a.p.Patience/4)
		if !ok {
			return passed("it was not answered as accepted, and a good message after it was")
		}
		if a.p.accepts(answer) {
			return failed("it was answered as accepted, late")
		}
	}
}

// gone reports whether the connection has ended, without waiting.
func (p *peer) gone() bool {
	select {
	case <-p.told:
	case <-p.over:
	default:
		return false
	}
	return true
}

func invalid(a *try) outcome {
	if len(a.p.Invalid) == 0 {
		return unjudged("the profile has no invalid messages")
	}
	names := make([]string, 0, len(a.p.Invalid))
	for name := range a.p.Invalid {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		if o := a.unanswered(frame(fin|opText, a.p.Invalid[name])); o.verdict != Withstood {
			o.seen = name + ": " + o.seen
			return o
		}
	}
	return passed("none of %d was accepted", len(names))
}

// member adds a member to an object.
func member(object, name, value string) string {
	i := strings.LastIndexByte(object, '}')
	return object[:i] + `,"` + name + `":` + value + object[i:]
}

// firstMember is the name of the first member of an object as it is written.
func firstMember(object string) string {
	_, rest, _ := strings.Cut(object, `"`)
	name, _, _ := strings.Cut(rest, `"`)
	return name
}
