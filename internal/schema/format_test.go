package schema_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
	"github.com/wsguard/wsguard/internal/schema"
)

// ordinary has texts that are seen to be right without asking v5, and others
// next to them.
var ordinary = []struct{ format, text string }{
	{"date-time", "2026-01-01T12:00:00Z"}, {"date-time", "2026-01-01T12:00:00.125+02:00"},
	{"date", "2024-02-29"}, {"date", "2026-12-31"},
	{"time", "23:59:59Z"}, {"time", "00:00:00.5-23:59"},
	{"email", "someone@example.com"}, {"email", "a.b+c_d-e@a-b.example"},
	{"hostname", "example.com"}, {"hostname", "a-1.b"},
	{"ipv4", "127.0.0.1"}, {"ipv4", "255.10.0.99"},
	{"uri", "https://example.com/a/b.html?c=d&e=f"}, {"uri", "http://a"},
	{"uri-reference", "https://example.com/"},
	{"uuid", "7f9c2ba4-e88f-827d-1111-22223333444f"},
}

// Ordinary texts are seen to be right without asking v5.
func TestFormats(t *testing.T) {
	for _, row := range ordinary {
		if !onepass.Formats[row.format]([]byte(row.text)) {
			t.Errorf("%s: %q is not seen to be right", row.format, row.text)
		}
	}
}

// No text is accepted that v5 refuses. R35
func FuzzFormats(f *testing.F) {
	for _, row := range ordinary {
		f.Add(row.text)
		for i := range row.text {
			f.Add(row.text[:i] + row.text[i+1:])
			f.Add(row.text[:i] + "." + row.text[i+1:])
			f.Add(row.text[:i] + "-" + row.text[i:])
			f.Add(row.text[:i] + "9" + row.text[i+1:])
			f.Add(row.text[:i] + "0" + row.text[i:])
		}
	}
	f.Add(strings.Repeat("a", 64) + "@b")
	f.Add(strings.Repeat("a", 63) + ".b")
	f.Add(strings.Repeat("a.", 127))
	schemas := map[string]*schema.Schema{}
	for name := range onepass.Formats {
		schemas[name] = onV5(f, `{"format":"`+name+`"}`)
	}
	f.Fuzz(func(t *testing.T, text string) {
		message, _ := json.Marshal(text)
		for name, sure := range onepass.Formats {
			if err := schemas[name].WithLimits(jsonscan.Limits{StringLength: 1 << 20}).Check(message); err != nil && sure([]byte(text)) {
				t.Errorf("%s: %q is taken for right, but: %v", name, text, err)
			}
		}
	})
}
