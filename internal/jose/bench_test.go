package jose_test

import (
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// A cost is something that a stranger can make this package do, and how much it
// may allocate.
type cost struct {
	name string
	most float64
	do   func() error
	good bool // nil is expected
}

func costs(tb testing.TB) (all []cost) {
	for alg, most := range map[string]float64{"ES256": 29, "EdDSA": 7, "RS256": 17, "HS256": 14} {
		text := josetest.Sign(alg, privates()[alg], `{"alg":"`+alg+`"}`, claims)
		key := mustKey(tb, privates()[alg])
		all = append(all, cost{"verify " + alg, most, func() error {
			token, err := jose.Parse(text)
			if err != nil {
				return err
			}
			_, err = token.Verify(key)
			return err
		}, true})
	}
	for _, hostile := range []struct {
		name  string
		most  float64
		token string
	}{
		{"8 KiB of A", 3, strings.Repeat("A", jose.MaxTokenSize)},
		{"16 MB of dots", 2, strings.Repeat(".", 16<<20)},
		{"8 KiB of dots", 3, strings.Repeat(".", jose.MaxTokenSize)},
		{"4 KiB deep", 26, josetest.Encode([]byte(strings.Repeat("[", 4000)+strings.Repeat("]", 96))) + ".AAAA.AAAA"},
		{"800 alg members", 1624, josetest.Encode([]byte("{"+strings.Repeat(`"":0,`, 800)+`"alg":0}`)) + ".AAAA.AAAA"},
	} {
		all = append(all, cost{"parse " + hostile.name, hostile.most, func() error {
			_, err := jose.Parse(hostile.token)
			return err
		}, false})
	}
	ordinary := []byte(`{"iss":"https://id.example","aud":["chat"],"sub":"ada","exp":1700000060,"iat":1700000000,"jti":"t1","scope":"read write"}`)
	objects := []byte(`{"x":[` + strings.Repeat("{},", 2000) + `{}],"iss":"x"}`) // as many as a token has room for
	return append(all,
		cost{"claims", 44, func() error { _, err := rules.Check(ordinary, now); return err }, true},
		cost{"claims of 2000 empty objects", 2039, func() error { _, err := rules.Check(objects, now); return err }, false})
}

// What a token makes us allocate is bounded by what it says, and its length.
func TestAllocates(t *testing.T) {
	for _, c := range costs(t) {
		if err := c.do(); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		// A pool forgets at random under the race detector, hence the tenth.
		if n := testing.AllocsPerRun(50, func() { _ = c.do() }); n > c.most*1.1+1 {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.most)
		}
	}
}

func BenchmarkToken(b *testing.B) {
	for _, c := range costs(b) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.do()
			}
		})
	}
}
