package wsguard

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard/internal/limit"
)

// saying is a message of 130 bytes, of the last of many types.
const saying = `{"type":"say","room":"lobby","text":"The quick brown fox jumps over the lazy dog, and the dog sleeps on, as old dogs do these days"}`

// manyTypes are n types with all that a type can have.
func manyTypes(n int) Messages {
	m := Messages{Start: "in", Types: map[string]MessageType{}}
	for i := range n {
		name := fmt.Sprintf("type%d", i)
		if i == 0 {
			name = "say"
		}
		m.Types[name] = MessageType{
			Schema: MustCompileSchema(`{"type":"object","required":["type","room"],"additionalProperties":false,"properties":{
				"type":{"const":"` + name + `"},"room":{"type":"string","maxLength":32},"text":{"type":"string","maxLength":2000}}}`),
			MaxSize: 4000, Rate: 1e9, Burst: 1e9, Cost: 2, Scopes: []string{"write"}, In: []string{"in"}, To: "in",
		}
	}
	return m
}

// rulesOf are the rules of a connection with a spec.
func rulesOf(spec MessageSpec) (*messageRules, *Conn) {
	c := &Conn{s: new(session)}
	c.s.principal.Store(&Principal{Scopes: []string{"read", "write"}})
	m := &c.s.rules
	*m = messageRules{
		rates:    []rateRule{{&rateKind{name: "LimitMessages"}, limit.NewBucket(1e9, 1e9)}},
		table:    spec.table("ValidateMessages"),
		sanitize: newSanitizer(Sanitizer{}),
		now:      time.Now(),
	}
	return m, c
}

// What a message of a type costs beyond its schema takes no memory, whatever
// the type has, whether it is found at once or in escapes, and though it is
// sanitized; nor does what is sent.
func TestMessagesDoNotAllocate(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("the race detector makes every sync.Pool forget at random")
	}
	spec := manyTypes(500)
	m, c := rulesOf(spec)
	schema := spec.Types["say"].Schema
	for _, text := range []string{saying, `{"text":"été 漢字","room":"lobby","type":"s\u0061y"}`} {
		data := []byte(text)
		if out, r := m.check(context.Background(), c, websocket.MessageText, data); r != nil || &out[0] != &data[0] {
			t.Fatalf("%s became %s, %v", text, out, r)
		}
		bare := testing.AllocsPerRun(100, func() { _ = schema.Check(data) })
		if n := testing.AllocsPerRun(100, func() { m.check(context.Background(), c, websocket.MessageText, data) }); n > bare {
			t.Errorf("%s: %v allocations, and its schema alone %v", text, n, bare)
		}
		if n := testing.AllocsPerRun(100, func() { _ = m.table.check(websocket.MessageText, data) }); n > bare {
			t.Errorf("%s: %v allocations when sent, and its schema alone %v", text, n, bare)
		}
	}
}

// BenchmarkMessages is a message that passes, by the number of types that there
// are, beside its schema alone and the search for its rule alone.
func BenchmarkMessages(b *testing.B) {
	data := []byte(saying)
	ctx := context.Background()
	for _, n := range []int{1, 500} {
		spec := manyTypes(n)
		m, c := rulesOf(spec)
		schema := spec.Types["say"].Schema
		run := func(name string, f func()) {
			b.Run(fmt.Sprintf("types=%d/%s", n, name), func(b *testing.B) {
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					f()
				}
			})
		}
		run("find", func() { m.table.of(data) })
		run("schema alone", func() { _ = schema.Check(data) })
		run("all rules", func() { m.check(ctx, c, websocket.MessageText, data) })
		m.sanitize = nil
		run("without sanitizing", func() { m.check(ctx, c, websocket.MessageText, data) })
	}
}
