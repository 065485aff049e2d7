package onepass_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/schema"
)

// A suiteGroup is a schema of the JSON-Schema-Test-Suite with its messages.
type suiteGroup struct {
	Description string
	Schema      json.RawMessage
	Tests       []struct {
		Description string
		Data        json.RawMessage
		Valid       bool
	}
}

// Every case of the official suite that compiles gets the verdict of v5, and
// most run in one pass. R35
func TestSuite(t *testing.T) {
	root := os.Getenv("WSGUARD_JSON_SCHEMA_SUITE")
	if root == "" {
		if os.Getenv("CI") != "" {
			t.Fatal("WSGUARD_JSON_SCHEMA_SUITE is not set, and CI must not skip this test")
		}
		t.Skip("WSGUARD_JSON_SCHEMA_SUITE does not name a checkout of the JSON-Schema-Test-Suite")
	}
	for _, draft := range []struct{ folder, uri string }{
		{"draft7", "http://json-schema.org/draft-07/schema#"},
		{"draft2020-12", "https://json-schema.org/draft/2020-12/schema"},
	} {
		t.Run(draft.folder, func(t *testing.T) {
			patterns := []string{"*.json", "optional/*.json", "optional/format/*.json"}
			s := suite{remotes: filepath.Join(root, "remotes"), apart: map[string]int{}}
			for i, pattern := range patterns {
				files, err := filepath.Glob(filepath.Join(root, "tests", draft.folder, filepath.FromSlash(pattern)))
				if err != nil || i == 0 && len(files) == 0 {
					t.Fatalf("no cases in %s (%v)", draft.folder, err)
				}
				s.onePass, s.left, s.refused = 0, 0, 0
				for _, file := range files {
					var groups []suiteGroup
					text, err := os.ReadFile(file)
					if err == nil {
						err = json.Unmarshal(text, &groups)
					}
					if err != nil {
						t.Fatal(err)
					}
					for _, group := range groups {
						group.Schema = declare(t, group.Schema, draft.uri)
						s.run(t, filepath.Base(file), group)
					}
				}
				t.Logf("%s: %d cases in one pass, %d left to v5, %d of schemas that do not compile", pattern, s.onePass, s.left, s.refused)
				if i == 0 && s.onePass*10 < (s.onePass+s.left+s.refused)*9 {
					t.Error("less than 90 % of the required cases run in one pass")
				}
			}
			for _, reason := range slices.Sorted(maps.Keys(s.apart)) {
				t.Logf("%4d left to v5: %s", s.apart[reason], reason)
			}
		})
	}
}

// declare adds $schema to a schema that has none.
func declare(t *testing.T, text json.RawMessage, uri string) json.RawMessage {
	var members map[string]json.RawMessage
	if json.Unmarshal(text, &members) != nil || members["$schema"] != nil {
		return text
	}
	members["$schema"], _ = json.Marshal(uri)
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

type suite struct {
	remotes                string
	onePass, left, refused int
	apart                  map[string]int
}

func (s *suite) run(t *testing.T, file string, group suiteGroup) {
	compiled, err := s.compile(group.Schema)
	if err != nil {
		s.refused += len(group.Tests)
		return
	}
	program, err := compiled.Program()
	if err != nil {
		s.left += len(group.Tests)
		s.apart[file+": "+err.Error()] += len(group.Tests)
		return
	}
	s.onePass += len(group.Tests)
	for _, test := range group.Tests {
		want := compiled.Check(test.Data)
		got := program.Check(test.Data, compiled.Limits())
		if (want == nil) != (got == nil) {
			t.Errorf("%s, %s, %s: %v, want %v\n%s\n%s", file, group.Description, test.Description, got, want, group.Schema, test.Data)
		}
	}
}

var missing = regexp.MustCompile(`http://localhost:1234/(\S+) is not among the documents given`)

// compile gives the schema the documents that it asks for, and only those.
func (s *suite) compile(text []byte) (*schema.Schema, error) {
	docs := map[string][]byte{}
	for {
		compiled, err := schema.Compile(text, docs)
		if err == nil {
			return compiled, nil
		}
		wanted := missing.FindStringSubmatch(err.Error())
		if wanted == nil {
			return nil, err
		}
		name, _, _ := strings.Cut(wanted[1], "#")
		doc, readErr := os.ReadFile(filepath.Join(s.remotes, filepath.FromSlash(name)))
		if uri := "http://localhost:1234/" + name; readErr == nil && docs[uri] == nil {
			docs[uri] = doc
			continue
		}
		return nil, err
	}
}
