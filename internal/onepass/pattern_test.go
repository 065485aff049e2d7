package onepass_test

import (
	"regexp"
	"testing"

	"github.com/wsguard/wsguard/internal/onepass"
)

var expressions = []struct {
	expr  string
	table bool
}{
	{`^[a-z0-9-]{1,32}$`, true},
	{`^[0-9a-f]{16}$`, true},
	{`^v[0-9]+\.[0-9]+$`, true},
	{`^a?b*c+$`, true},
	{`^(room)-([a-z]{2,3})$`, true},
	{`^$`, true},
	{`^a{0}b$`, true},
	{`^a*a$`, false},      // the star must leave one
	{`^a?[ab]?b$`, false}, // so must these
	{`^a{1,2}b?a$`, false},
	{`^[a-z]+`, false},
	{`[a-z]+$`, false},
	{`^[^a]$`, false}, // beyond ASCII
	{`^é$`, false},
	{`^(?i)k$`, false}, // also the Kelvin sign
	{`^(?i)[k]+$`, false},
	{`(?m)^a$`, false},
	{`^(a|b)c$`, true},
	{`^(ab|c)$`, false},
	{`^(ab)+$`, false},
	{`^.$`, false},
	{`^a+?b$`, true},
}

func TestPatternTables(t *testing.T) {
	for _, row := range expressions {
		if _, table := onepass.Match(regexp.MustCompile(row.expr), ""); table != row.table {
			t.Errorf("%s: by a table %v, want %v", row.expr, table, row.table)
		}
	}
}

// A table matches what the regular expression does.
func FuzzPattern(f *testing.F) {
	for _, row := range expressions {
		for _, text := range []string{"", "a", "b", "aa", "ab", "aab", "abc", "aba", "bc", "K", "\u212a", "é", "room-ab", "v1.20", "0123456789abcdef", "0123456789abcdef0", "a\n", "abab"} {
			f.Add(row.expr, text)
		}
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		re, err := regexp.Compile(expr)
		if err != nil {
			return
		}
		if got, table := onepass.Match(re, text); got != re.MatchString(text) {
			t.Errorf("%q %q: %v by a table %v", expr, text, got, table)
		}
	})
}
