package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/wsguard/wsguard"
)

// The part runs from end to end. What comes out is not judged.
func TestSchema(t *testing.T) {
	needAJV(t)
	p := plan{only: "schema", rounds: 2, benchtime: "1ms", log: t.Output()}
	result := result{Rows: p.measure()}
	if err := result.complete(); err != nil {
		t.Error(err)
	}
	seen := map[string]int{}
	for _, r := range result.Rows {
		seen[r.Unit]++
		if r.Part != "schema" || len(r.Rounds) != p.rounds {
			t.Errorf("%q, %q: part %q, %d rounds, %s", r.Figure, r.Contender, r.Part, len(r.Rounds), r.Problem)
		}
	}
	for unit, want := range map[string]int{"ns of CPU a check": 4*5 + 6*2, "allocations a check": 4 * 4, "ns of CPU a byte": 3} {
		if seen[unit] != want {
			t.Errorf("%d rows of %s, want %d", seen[unit], unit, want)
		}
	}
}

func needAJV(t *testing.T) {
	t.Helper()
	_, noNode := exec.LookPath("node")
	_, noAJV := os.Stat("ajv/node_modules/ajv")
	if noNode == nil && noAJV == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("node or AJV is absent: run npm --prefix internal/bench/ajv ci")
	}
	t.Skip("node or AJV is absent: run npm --prefix internal/bench/ajv ci")
}

// Without AJV its rows say so, and the others are measured.
func TestSchemaWithoutAJV(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, r := range measurePassing(&plan{rounds: 1, benchtime: "1ms", log: t.Output()}) {
		if (r.Contender == ajv) != (r.Problem != "") {
			t.Errorf("%q, %q: problem %q", r.Figure, r.Contender, r.Problem)
		}
	}
}

// Messages are of the size that their names say, and an attack is as long as
// what it is compared with.
func TestCorpora(t *testing.T) {
	if len(chatMessage) != 130 {
		t.Errorf("the chat message has %d bytes, want 130", len(chatMessage))
	}
	sizes := []int{130, 2 << 10, 16 << 10, 200}
	for i, s := range samples {
		if n := len(s.message); n < sizes[i]*9/10 || n > sizes[i]*11/10 {
			t.Errorf("%s has %d bytes", s.name, n)
		}
		for _, c := range checkers {
			check, err := c.compile(s.schema)
			if err != nil {
				t.Fatal(err)
			}
			if err := check([]byte(s.message)); err != nil {
				t.Errorf("%s: %s: %v", s.name, c.name, err)
			}
		}
	}
	for _, a := range attacks {
		s := wsguard.MustCompileSchema(a.schema)
		if n, of := len(a.hostile), len(a.passing); n < of*9/10 || n > of*11/10 {
			t.Errorf("%s: %d bytes beside %d", a.name, n, of)
		}
		if err := s.Check([]byte(a.passing)); err != nil {
			t.Errorf("%s: what should pass: %v", a.name, err)
		}
		if err := s.Check([]byte(a.hostile)); err == nil {
			t.Errorf("%s passes", a.name)
		}
	}
}
