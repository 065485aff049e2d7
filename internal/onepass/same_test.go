package onepass_test

import (
	"testing"

	"github.com/wsguard/wsguard/internal/onepass"
)

// Hashes do not tell all of this, as two values may have one by accident.
func TestSame(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{`1`, `1.0`, true},
		{`1`, `-1`, false},
		{`0`, `-0e5`, true},
		{`1e2`, `100`, true},
		{`true`, `false`, false},
		{`null`, `0`, false},
		{`"1"`, `1`, false},
		{`"a"`, `"\u0061"`, true},
		{`"a"`, `"\u0061b"`, false},
		{`"\u0061b"`, `"a"`, false},
		{`"\ud83d\ude00"`, `"😀"`, true},
		{`[]`, `{}`, false},
		{`[]`, `[ ]`, true},
		{`[1,2]`, `[1]`, false},
		{`[1]`, `[1,2]`, false},
		{`[1,[2]]`, `[1 , [ 2.0 ]]`, true},
		{`{}`, `{"a":1}`, false},
		{`{"a":1}`, `{}`, false},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`{"a":1,"b":[2,{"c":"]"}],"d":4}`, `{"d":4, "b":[2,{"c":"]"}], "\u0061":1}`, true},
		{`{"a":1,"b":2}`, `{"b":1,"a":2}`, false},
		{`{"a":{"x":1},"b":{"x":2}}`, `{"b":{"x":2},"a":{"x":1}}`, true},
		{`{"a":"\"}"}`, `{"a":"\"}"}`, true},
	} {
		if got := onepass.Same(row.a, row.b); got != row.want {
			t.Errorf("%s and %s: %v", row.a, row.b, got)
		}
	}
}
