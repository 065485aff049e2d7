package wsguard_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/wsguard/wsguard"
)

// The schema of each example, and of the README, runs in one pass and has
// nothing to be warned of. R35
func TestExamplesRunInOnePass(t *testing.T) {
	inline := regexp.MustCompile("(?s)MustCompileSchema\\(`(.*?)`\\)")
	schemas := map[string]string{}
	note := func(file string) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, ".schema.json") || filepath.Base(file) == "schema.json" {
			schemas[file] = string(data)
		}
		for _, m := range inline.FindAllStringSubmatch(string(data), -1) {
			schemas[file] = m[1]
		}
	}
	note("README.md")
	err := filepath.WalkDir("examples", func(file string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			note(file)
		}
		return err
	})
	if err != nil || len(schemas) < 3 {
		t.Fatalf("%d schemas found (%v)", len(schemas), err)
	}
	for file, text := range schemas {
		got := wsguard.MustCompileSchema(text).Explain()
		if !strings.HasPrefix(got, "runs in one pass") || strings.Contains(got, "warning") {
			t.Errorf("%s: %s", file, got)
		}
	}
}

// Check takes no memory for a message that passes. R35
func TestSchemaCheckTakesNoMemory(t *testing.T) {
	s, message := wsguard.MustCompileSchema(chatterSchema), []byte(chatter)
	least := 1.0
	for range 30 { // under -race, pools lose what is given back
		least = min(least, testing.AllocsPerRun(1, func() {
			if err := s.Check(message); err != nil {
				t.Error(err)
			}
		}))
	}
	if least != 0 {
		t.Errorf("%v allocations", least)
	}
}
