package schema_test

import (
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
	"github.com/wsguard/wsguard/internal/schema"
)

// The verdict is that of v5 on everything that the scan lets through, and the
// steps stay within their bound. R35, R36
func FuzzAgree(f *testing.F) {
	f.Add([]byte("0"), []byte("1"))
	f.Add([]byte{1, 3, 28, 1, 4, 2, 1, 0, 1, 9, 9, 6, 33, 3, 28, 50, 1, 2, 3}, []byte{6, 2, 0, 0, 1, 2})
	for i := range 64 {
		seed := []byte(strings.Repeat(string(rune(i))+"b\x03c\x07\x05e\x11g", 20))
		f.Add(seed[i%5:], seed[i%7:])
	}
	f.Fuzz(func(t *testing.T, src, message []byte) {
		m := maker{bytes: src}
		text := m.root()
		compiled, err := schema.Compile([]byte(text), nil)
		if err != nil || compiled.Program() == nil {
			return
		}
		m.bytes = message
		for range 8 {
			agree(t, compiled, text, m.value(4))
		}
		agree(t, compiled, text, string(message))
	})
}

// agree compares a schema that runs in one pass with itself on v5, within the
// limits in which v5 can be asked.
func agree(t *testing.T, compiled *schema.Schema, text, message string) {
	t.Helper()
	v5, err := compiled.OnV5()
	if err != nil {
		return
	}
	compiled = compiled.WithLimits(v5.Limits())
	want := v5.Check([]byte(message))
	got, _ := compiled.Check([]byte(message)).(*schema.Violation)
	if v, ok := want.(*schema.Violation); ok && (v.Reason == schema.ReasonInternal || v.Reason == jsonscan.ReasonCase) {
		return // it knows nothing, or not where a name is declared
	}
	withinSteps(t, compiled.Program(), compiled.Limits(), text, message)
	if got != nil && got.Reason == jsonscan.ReasonCase {
		return // of which v5 knows nothing
	}
	if (want == nil) != (got == nil) {
		t.Fatalf("%+v, want %v\n%s\n%s", got, want, text, message)
	}
	if got == nil {
		return
	}
	scanned, _ := compiled.Scan([]byte(message)).(*schema.Violation)
	if got.Reason != schema.ReasonSchema && (scanned == nil || got.Reason != scanned.Reason) {
		t.Fatalf("%+v, but the scan says %v\n%s\n%s", got, scanned, text, message)
	}
}

// A message takes no more steps than its bytes and the size of the schema
// allow, whatever both are. R35, R36
func FuzzSteps(f *testing.F) {
	for _, row := range []struct{ src, message string }{
		{"0", "1"},
		{"\x01\x03\x1c\x01\x04\x02\x01", "[[[[[]]]]]"},
		{strings.Repeat("\x1d\x02\x21", 30), `[{"a":[1,1.0]},{"a":[1.0,1]}]`},
	} {
		f.Add([]byte(row.src), []byte(row.message))
	}
	f.Fuzz(func(t *testing.T, src, message []byte) {
		m := maker{bytes: src}
		text := m.root()
		compiled, err := schema.Compile([]byte(text), nil)
		if err != nil || compiled.Program() == nil {
			return
		}
		withinSteps(t, compiled.Program(), compiled.Limits(), text, string(message))
		m.bytes = message
		for range 4 {
			// Wide and deep, of whatever the fuzzer finds dear.
			item := m.value(3)
			for _, whole := range []string{
				"[" + item + strings.Repeat(","+item, 100) + "]",
				strings.Repeat("[", 25) + item + strings.Repeat("]", 25),
				strings.Repeat(`{"a":`, 25) + item + strings.Repeat("}", 25),
				`{"a":` + item + `,"b":` + item + `,"c":` + item + `,"ab":` + item + `}`,
			} {
				withinSteps(t, compiled.Program(), compiled.Limits(), text, whole)
			}
		}
	})
}

func withinSteps(t *testing.T, p *onepass.Program, limits jsonscan.Limits, text, message string) {
	t.Helper()
	if steps, most := p.Steps([]byte(message), limits), onepass.StepsPerByte*(len(message)+1)*p.Size(); steps > most {
		t.Fatalf("%d steps, more than %d\n%s\n%s", steps, most, text, message)
	}
}
