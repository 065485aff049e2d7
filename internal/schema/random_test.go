package schema_test

import (
	"math/rand/v2"
	"testing"

	"github.com/wsguard/wsguard/internal/schema"
)

// Schemas and messages at random get the verdict of v5. The fuzz target does
// the same for as long as it is given; this is what it would find at once. R35
func TestAgreeAtRandom(t *testing.T) {
	random := rand.New(rand.NewPCG(4, 2020))
	bytes := func() []byte {
		b := make([]byte, 16+random.IntN(112))
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	onePass, allowed, refused := 0, 0, 0
	for range schemasAtRandom {
		m := maker{bytes: bytes()}
		text := m.root()
		compiled, err := schema.Compile([]byte(text), nil)
		if err != nil || compiled.Program() == nil {
			continue
		}
		onePass++
		for range 20 {
			m.bytes = bytes()
			message := m.value(4)
			agree(t, compiled, text, message)
			if compiled.Check([]byte(message)) == nil {
				allowed++
			} else {
				refused++
			}
		}
	}
	t.Logf("%d of %d schemas in one pass, %d messages allowed, %d refused", onePass, schemasAtRandom, allowed, refused)
	if onePass < schemasAtRandom/3 || allowed < onePass || refused < onePass {
		t.Error("too little was compared")
	}
}

const schemasAtRandom = 1500
