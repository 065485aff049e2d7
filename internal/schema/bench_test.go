package schema_test

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/schema"
)

// A duel is a message that costs as much as its sender can make it, and one of
// about the same size that passes the same schema.
type duel struct{ name, schema, hostile, passing string }

func array(item string, n int) string { return "[" + item + strings.Repeat(","+item, n-1) + "]" }

// oneHash returns n different items that have one hash under v5, as each is
// made of sixteen arrays, and the last of them again.
func oneHash(n int, again bool) string {
	var items []string
	for i := 0; len(items) < n; i++ {
		if bits.OnesCount(uint(i)) != 6 {
			continue
		}
		var parts []string
		for bit := range 12 {
			parts = append(parts, []string{"[]", "[[]]"}[i>>bit&1])
		}
		items = append(items, "["+strings.Join(parts, ",")+"]")
	}
	if again {
		items[n-1] = items[n-2]
	}
	return "[" + strings.Join(items, ",") + "]"
}

var duels = func() []duel {
	const (
		recursive = `{"anyOf":[{"type":"array","items":{"$ref":"#"}},{"type":"array","prefixItems":[{"$ref":"#"}]},{"type":"null"}]}`
		inBranch  = `{"anyOf":[{"type":"null"},{"items":{"anyOf":[{"type":"string","maxLength":3},{"type":"object","maxProperties":1}]}}]}`
	)
	digits := strings.Repeat("9", 64)
	nested := strings.Repeat("[", 32) + "%s" + strings.Repeat("]", 32)
	return []duel{
		{"depth bomb", `{}`, strings.Repeat("[", 16<<10), array(`"ordinary text"`, 1<<10)},
		{"depth bomb of objects", `{}`, strings.Repeat(`{"a":`, 4<<10), array(`"ordinary text"`, 1<<10)},
		{"wide object", `{}`, wide(257), wide(256)},
		{"wide object, its last name twice", `{}`, strings.Replace(wide(256), `"m255"`, `"M254"`, 1), wide(256)},
		{"wide object, its last value wrong", `{"additionalProperties":{"maximum":1}}`, strings.Replace(wide(256), `"m255":1`, `"m255":2`, 1), wide(256)},
		{"long number", `{"multipleOf":0.03}`, "1" + strings.Repeat("0", 63), digits},
		{"long numbers", `{"items":{"multipleOf":0.03}}`, strings.Replace(array(digits, 500), "9]", "8]", 1), array(digits, 500)},
		{"number of 30 KB", `{"multipleOf":0.03,"items":{"multipleOf":0.03}}`, strings.Repeat("9", 30_000), array(digits, 460)},
		{"colliding items", `{"uniqueItems":true}`, oneHash(200, true), oneHash(200, false)},
		{"many items, the last one twice", `{"uniqueItems":true}`, numbered(1024, 1022), numbered(1024, 1023)},
		{"32 KB of wrong items", inBranch, array(`"abcdefghijklmnopqrstuvwxyzabc"`, 1000), array(`"abc","abc","abc","abc","abc","a"`, 170)},
		{"32 KB of items, the last one wrong", `{"items":{"maxLength":29}}`, strings.Replace(array(`"abcdefghijklmnopqrstuvwxyzabc"`, 1000), `c"]`, `cd"]`, 1), array(`"abcdefghijklmnopqrstuvwxyzabc"`, 1000)},
		{"recursive anyOf", recursive, fmt.Sprintf(nested, "1"), fmt.Sprintf(nested, "null")},
	}
}()

// numbered returns n items, the last of which says last.
func numbered(n, last int) string {
	var items []string
	for i := range n - 1 {
		items = append(items, fmt.Sprint(i+1000))
	}
	return "[" + strings.Join(append(items, fmt.Sprint(last+1000)), ",") + "]"
}

// A message that is refused takes at most twice the steps of one of its size
// that passes. BenchmarkHostile has the time. R35, R36
func TestRefusalIsCheap(t *testing.T) {
	for _, d := range duels {
		s := compile(t, d.schema)
		if err := s.Check([]byte(d.passing)); err != nil {
			t.Errorf("%s: %v", d.name, err)
		}
		if err := s.Check([]byte(d.hostile)); err == nil {
			t.Errorf("%s: passes", d.name)
		}
		steps := func(message string) int { return s.Program().Steps([]byte(message), s.Limits()) }
		if hostile, passing := steps(d.hostile), steps(d.passing); hostile > 2*passing {
			t.Errorf("%s: %d steps, but %d for a message that passes", d.name, hostile, passing)
		}
	}
}

// A message that passes takes no memory, with a machine that has seen it before:
// one run of some finds it in the pool, which loses machines under -race. R35
func TestNoAllocations(t *testing.T) {
	for _, d := range append(slices.Clone(duels), duel{name: "chat", schema: chatSchema, passing: chat}) {
		s, message := compile(t, d.schema), []byte(d.passing)
		least := math.Inf(1)
		for range 30 {
			least = min(least, testing.AllocsPerRun(1, func() { _ = s.Check(message) }))
		}
		if least != 0 {
			t.Errorf("%s: %v allocations", d.name, least)
		}
	}
}

func benchmark(b *testing.B, name string, s *schema.Schema, message string) float64 {
	each := 0.0
	b.Run(name, func(b *testing.B) {
		text := []byte(message)
		b.SetBytes(int64(len(text)))
		b.ReportAllocs()
		for b.Loop() {
			_ = s.Check(text)
		}
		each = float64(b.Elapsed()) / float64(b.N)
	})
	return each
}

// What the sender of a hostile message gains, as a ratio.
func BenchmarkHostile(b *testing.B) {
	for _, d := range duels {
		s := compile(b, d.schema)
		passing := benchmark(b, d.name+"/passes", s, d.passing)
		hostile := benchmark(b, d.name+"/refused", s, d.hostile)
		b.Logf("%s: %.2f times a message that passes", d.name, hostile/passing)
	}
}

// The worst that is found to fit through the scan to v5, where a schema has no
// program: the documentation of Schema in the root package has the figures.
func BenchmarkWorstOnV5(b *testing.B) {
	for _, row := range []struct{ name, schema, message string }{
		{"chat message", chatSchema, chat},
		{"wrong items", `{"items":{"type":"string"}}`, array("1", 1024)},
		{"wrong items in branches", `{"items":{"items":{"oneOf":[{"type":"string"},{"type":"object"},{"type":"array"},{"minimum":2}]}}}`, array(array("1", 1000), 4)},
		{"wrong members", `{"items":{"additionalProperties":{"type":"string"}}}`, array(wide(250), 16)},
		{"colliding items", `{"uniqueItems":true}`, oneHash(200, false)},
		{"long numbers", `{"items":{"multipleOf":0.03}}`, array(strings.Repeat("9", 64), 1024)},
		{"deepest recursion", `{"properties":{"a":{"$ref":"#"}},"type":"object"}`, strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32)},
		{"deepest branches", branches(2), strings.Repeat("[", 6) + "1" + strings.Repeat("]", 6)},
		{"widest branches", branches(2), strings.Repeat("[", 5) + array("1", 50) + strings.Repeat("]", 5)},
		{"one branch of several", `{"anyOf":[{"type":"string"},{"minLength":2,"type":"string"},{"items":{"$ref":"#"}}]}`, array(array("1", 1000), 3)},
		{"deep branch of several", `{"anyOf":[{"type":"string"},{"minLength":2,"type":"string"},{"items":{"$ref":"#"}}]}`, strings.Repeat("[", 30) + array("1", 1000) + strings.Repeat("]", 30)},
		{"numbers of an enum", `{"items":{"enum":[1,2,3,4,5,6,7,8,9,10,11,12]}}`, array("13", 1024)},
		{"pattern", `{"pattern":"^(a+)+$"}`, `"` + strings.Repeat("a", 16<<10-1) + `!"`},
	} {
		benchmark(b, row.name, onV5(b, row.schema), row.message)
	}
}
