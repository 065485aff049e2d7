package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// wantHostile sends a message that has to be refused for a keyword, soon, and
// never to reach the application.
func wantHostile(t *testing.T, schema, text, keyword string) {
	t.Helper()
	in := newInbox(wsguard.MaxMessageSize(1<<20), wsguard.ValidateMessages(wsguard.MustCompileSchema(schema)))
	url := newServer(t, in.h)
	bystander := rawDial(t, url)
	c := rawDial(t, url)
	began := time.Now()
	c.send(textFrame(text))
	c.wantClose(1003, "invalid data")
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	refusal := in.wantViolation(t, "ValidateMessages", "invalid_data", "close")
	var e *wsguard.SchemaError
	if !errors.As(refusal, &e) || e.Keyword != keyword {
		t.Errorf("refused for %v, want %s", refusal.Err, keyword)
	}
	if len(refusal.Error()) > 400 {
		t.Errorf("observers are told %d bytes", len(refusal.Error()))
	}
	in.wantMessages(t)
	bystander.send(clientFrame(final|opPing, "there?"))
	if first, payload := bystander.frame(); first != final|opPong || string(payload) != "there?" {
		t.Errorf("another connection suffers: frame %08b with %q", first, payload)
	}
}

// Numbers that panic in the validator, or keep it busy: facts 2.1, 1 and 2.
// R35, R36, R59
func TestHostileNumbers(t *testing.T) {
	schemas := map[string]string{
		"type":        `{"properties":{"n":{"type":"integer"}}}`,
		"minimum":     `{"properties":{"n":{"minimum":3}}}`,
		"multipleOf":  `{"properties":{"n":{"multipleOf":3}}}`,
		"const":       `{"properties":{"n":{"const":3}}}`,
		"enum":        `{"properties":{"n":{"enum":[3]}}}`,
		"uniqueItems": `{"properties":{"n":{"uniqueItems":true}}}`,
		"nothing":     `{}`,
	}
	for keyword, schema := range schemas {
		for _, n := range []string{
			"1e1000001", "1e-1000001", "-1E+1000001", "1e999999999", "1e99999999999999999999", // panics
			"1e1000000", "1e-1000000", // 30 ms and 3.5 MB each
			"1" + strings.Repeat("0", 30_000), "0." + strings.Repeat("1", 30_000), // 2 ms each
		} {
			t.Run(fmt.Sprintf("%s %.20s", keyword, n), func(t *testing.T) {
				if keyword == "uniqueItems" {
					n = "[1," + n + "]"
				}
				wantHostile(t, schema, `{"n":`+n+`}`, "number")
			})
		}
	}
	t.Run("many", func(t *testing.T) {
		wantHostile(t, `{"items":{"type":"integer"}}`, "["+strings.Repeat("1e1000000,", 300)+"1]", "number")
	})
}

// Structures whose validation costs the cube, the square or an exponent of
// their size: facts 2.1, 3 to 6. R35, R36
func TestHostileStructure(t *testing.T) {
	const (
		recursive = `{"properties":{"a":{"$ref":"#"}},"additionalProperties":false}`
		choice    = `{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["a"]},{"properties":{"a":{"$ref":"#"}},"required":["a"]}]}`
		exclusive = `{"oneOf":[{"properties":{"a":{"$ref":"#"}},"required":["a"]},{"properties":{"a":{"$ref":"#"}},"required":["a"]}]}`
	)
	nest := func(depth int) string { return strings.Repeat(`{"a":`, depth) + `{"b":1}` + strings.Repeat("}", depth) }
	list := func(n int, item string) string { return "[" + strings.Repeat(item+",", n) + item + "]" }
	for _, tc := range []struct{ name, schema, text, keyword string }{
		{"3000 levels", recursive, nest(3000), "depth"},
		{"33 levels", recursive, nest(33), "depth"},
		{"18 levels of anyOf", choice, nest(18), "anyOf"},
		{"9 levels of oneOf", exclusive, nest(9), "oneOf"},
		{"33 levels of oneOf", exclusive, nest(33), "depth"},
		{"20000 levels", `{}`, strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000), "depth"},
		{"20000 levels that are open", `{}`, strings.Repeat(`[{"a":`, 10_000), "depth"},
		{"8000 items that collide", `{"uniqueItems":true,"maxItems":10}`, list(8000, "[[],[[]],[]]"), "uniqueItems"},
		{"16000 wrong items", `{"items":{"type":"string"}}`, list(16_000, "1"), "type"},
		{"16000 items", `{}`, list(16_000, "1"), "items"},
		{"8000 items that hold others", `{}`, list(1000, "[1,[1],1,1]"), "nodes"},
		{"1000 items that are wrong in many ways", `{"items":{"oneOf":[{"type":"string"},{"type":"null"},{"type":"boolean"},{"type":"object"}]}}`, list(1000, "[1,1,1,1]"), "oneOf"},
		{"1000 members", `{}`, "{" + members(1000) + "}", "members"},
		{"a long name", `{}`, `{"` + strings.Repeat("a", 20_000) + `":1}`, "string_length"},
		{"a long string", `{"pattern":"^(a+)+$"}`, `"` + strings.Repeat("a", 20_000) + `!"`, "string_length"},
	} {
		t.Run(tc.name, func(t *testing.T) { wantHostile(t, tc.schema, tc.text, tc.keyword) })
	}
}

func members(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf(`"m%d":1`, i))
	}
	return strings.Join(all, ",")
}

// What a schema sees otherwise than the application's decoder would: facts 2.2.
// R35, R36, R40
func TestHostileDifferentials(t *testing.T) {
	const user = `{"type":"object","properties":{"role":{"const":"user"},
		"a":{"type":"object","properties":{"x":{"type":"integer"}}}}}`
	for _, tc := range []struct{ name, text, keyword string }{
		{"a name twice", `{"role":"admin","role":"user"}`, "const"},
		{"a name twice, the right one first", `{"role":"user","role":"admin"}`, "duplicate_member"},
		{"an object twice, which decoders merge", `{"a":{"admin":true},"a":{"x":1}}`, "duplicate_member"},
		{"in another case", `{"role":"user","ROLE":"admin"}`, "duplicate_member"},
		{"with an escape", `{"role":"user","\u0072ole":"admin"}`, "duplicate_member"},
		{"with a letter that folds", `{"tasks":1,"ta` + "\u017f" + `ks":2}`, "duplicate_member"}, // long s
		{"deep inside", `{"a":{"b":[{"c":1,"C":2}]}}`, "duplicate_member"},
		{"trailing data", `{"role":"user"} {"role":"admin"}`, "trailing_data"},
		{"a lone surrogate", `{"role":"user","x":"\ud800"}`, "utf8"},
		{"a lone low surrogate", `{"role":"user","x":"\udc00a"}`, "utf8"},
		{"a lone surrogate in a name", `{"role":"user","\udfff":1}`, "utf8"},
		{"a comment", `{"role":"user"/**/}`, "syntax"},
		{"NaN", `{"role":"user","x":NaN}`, "syntax"},
		{"a trailing comma", `{"role":"user",}`, "syntax"},
		{"a leading zero", `{"x":01}`, "syntax"},
		{"NUL", "{\"role\":\"user\",\"x\":\"\x00\"}", "syntax"},
	} {
		t.Run(tc.name, func(t *testing.T) { wantHostile(t, user, tc.text, tc.keyword) })
	}
}

// R43: text that is not UTF-8 ends with 1007, however it is cut into frames,
// with rules or without; other data may be anything.
func TestUTF8(t *testing.T) {
	for _, tc := range []struct {
		name   string
		frames [][]byte
		want   string // "" is refused
	}{
		{"good", [][]byte{textFrame("aé€😀")}, "aé€😀"},
		{"a rune in two frames", [][]byte{clientFrame(opText, "a\xc3"), clientFrame(final, "\xa9")}, "aé"},
		{"with a ping in between", [][]byte{clientFrame(opText, "a\xc3"), clientFrame(final|opPing, "\xff"), clientFrame(final, "\xa9")}, "aé"},
		{"binary", [][]byte{clientFrame(final|opBinary, "\xff\xfe")}, "\xff\xfe"},
		{"no UTF-8", [][]byte{textFrame("a\xff\xfe")}, ""},
		{"half a rune", [][]byte{textFrame("a\xc3")}, ""},
		{"half a rune in two frames", [][]byte{clientFrame(opText, "a\xc3"), clientFrame(final, "b")}, ""},
		{"overlong", [][]byte{textFrame("\xc0\xaf")}, ""},
		{"a surrogate", [][]byte{textFrame("\xed\xa0\x80")}, ""},
		{"above U+10FFFF", [][]byte{textFrame("\xf4\x90\x80\x80")}, ""},
	} {
		for name, more := range map[string]func(context.Context, *wsguard.Conn, websocket.MessageType, []byte) error{
			"bare": nil,
			"a rule": func(_ context.Context, _ *wsguard.Conn, _ websocket.MessageType, data []byte) error {
				if string(data) != tc.want {
					t.Errorf("the rule saw %q", data)
				}
				return nil
			},
		} {
			t.Run(tc.name+" "+name, func(t *testing.T) {
				in := newInbox()
				if more != nil {
					in = newInbox(wsguard.CheckMessages("sees it", more))
				}
				c := rawDial(t, newServer(t, in.h))
				c.send(tc.frames...)
				if tc.want != "" {
					in.wantMessages(t, tc.want)
					return
				}
				c.wantClose(1007, "invalid utf8")
				in.wantClosed(t, 1007, wsguard.InitiatorServer, "invalid_utf8")
				in.wantMessages(t)
			})
		}
	}
}
