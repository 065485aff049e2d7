package wsguard_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// The first program of the README is complete, short, and compiles.
func TestReadmeProgram(t *testing.T) {
	_, rest, _ := strings.Cut(readme(t), "```go\n")
	program, _, ok := strings.Cut(rest, "```")
	if !ok || !strings.HasPrefix(program, "package main") {
		t.Fatal("the README does not begin with a program")
	}
	if n := strings.Count(program, "\n"); n > 45 {
		t.Errorf("the program has %d lines, more than 45", n)
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("go vet: %v\n%s", err, out)
	}
	if out, err := exec.Command("gofmt", "-l", file).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("gofmt: %v %s", err, out)
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(readme(t), "\n"); n > 150 {
		t.Errorf("%d lines, more than 150", n)
	}
}

// Every requirement from R01 to R61 is named by a test, or said in the README
// to be the application's own or not yet there.
func TestRequirements(t *testing.T) {
	named := map[int]bool{}
	number := regexp.MustCompile(`\bR(\d\d)\b`)
	span := regexp.MustCompile(`\bR(\d\d)(?: to |–)R(\d\d)\b`)
	note := func(text string) {
		for _, m := range span.FindAllStringSubmatch(text, -1) {
			from, _ := strconv.Atoi(m[1])
			to, _ := strconv.Atoi(m[2])
			for i := from; i <= to; i++ {
				named[i] = true
			}
		}
		for _, m := range number.FindAllStringSubmatch(text, -1) {
			i, _ := strconv.Atoi(m[1])
			named[i] = true
		}
	}
	_, section, _ := strings.Cut(readme(t), "Not named there are:")
	note(section)
	err := filepath.WalkDir(".", func(path string, d os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || path == "readme_test.go" {
			return err
		}
		data, err := os.ReadFile(path)
		for line := range strings.Lines(string(data)) {
			if _, comment, ok := strings.Cut(line, "//"); ok {
				note(comment)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var missing []string
	for i := 1; i <= 61; i++ {
		if !named[i] {
			missing = append(missing, fmt.Sprintf("R%02d", i))
		}
	}
	if len(missing) > 0 {
		t.Errorf("named by no test and not in the README: %s", strings.Join(missing, ", "))
	}
}

// The core stands on four modules and what they pull in.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{with .Module}}{{.Path}}{{end}}", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := map[string]bool{
		"github.com/wsguard/wsguard":                true,
		"github.com/coder/websocket":                true,
		"github.com/santhosh-tekuri/jsonschema/v5":  true,
		"github.com/lestrrat-go/jwx/v2":             true,
		"golang.org/x/time":                         true,
		"github.com/decred/dcrd/dcrec/secp256k1/v4": true, // of jwx, as are those below
		"github.com/goccy/go-json":                  true,
		"github.com/lestrrat-go/blackmagic":         true,
		"github.com/lestrrat-go/httpcc":             true,
		"github.com/lestrrat-go/httprc":             true,
		"github.com/lestrrat-go/iter":               true,
		"github.com/lestrrat-go/option":             true,
		"github.com/segmentio/asm":                  true,
		"golang.org/x/crypto":                       true,
		"golang.org/x/sys":                          true,
	}
	for path := range strings.FieldsSeq(string(out)) {
		if !allowed[path] {
			t.Errorf("the root package depends on %s", path)
		}
	}
	data, err := os.ReadFile("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	direct := regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(string(data), -1)
	if len(direct) != 4 {
		t.Errorf("go.mod requires %d modules directly, want the four: %v", len(direct), direct)
	}
}
