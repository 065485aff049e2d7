package schema_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"

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

// The required cases of the official suite get the verdicts that they ask for,
// or are refused for a reason that is named here, and nearly all run in one
// pass. Those and the optional cases, too, get the verdict of v5. R35
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
			for _, cases := range []string{"*.json", "optional/*.json", "optional/format/*.json"} {
				required := cases == "*.json"
				files, err := filepath.Glob(filepath.Join(root, "tests", draft.folder, filepath.FromSlash(cases)))
				if err != nil || required && len(files) == 0 {
					t.Fatalf("no cases in %s (%v)", draft.folder, err)
				}
				s := suite{remotes: filepath.Join(root, "remotes"), required: required, apart: map[string]int{}}
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
				t.Logf("%s: %d cases: %d in one pass, %d on v5, %d of schemas that do not compile; %d verdicts compared with v5; %d are those of the suite",
					cases, s.total, s.onePass, s.onV5, s.total-s.onePass-s.onV5, s.compared, s.agree)
				if !required {
					continue
				}
				if s.agree*10 < s.total*9 || s.onePass*10 < s.total*9 {
					t.Error("less than 90 % run in one pass, or get the verdict of the suite")
				}
				for _, reason := range slices.Sorted(maps.Keys(s.apart)) {
					t.Logf("%4d apart: %s", s.apart[reason], reason)
				}
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
	remotes       string
	required      bool
	total, agree  int
	onePass, onV5 int
	compared      int
	apart         map[string]int
}

func (s *suite) run(t *testing.T, file string, group suiteGroup) {
	s.total += len(group.Tests)
	compiled, err := s.compile(group.Schema)
	if err != nil {
		s.apart["schema: "+refusal(err)] += len(group.Tests)
		return
	}
	if compiled.Apart() == nil {
		s.onePass += len(group.Tests)
	} else {
		s.onV5 += len(group.Tests)
		s.apart["on v5: "+compiled.Apart().Error()] += len(group.Tests)
	}
	v5, v5Err := compiled.OnV5()
	for _, test := range group.Tests {
		err := compiled.Check(test.Data)
		if v5Err == nil {
			s.compared++
			if want := v5.Check(test.Data); (err == nil) != (want == nil) {
				t.Errorf("%s, %s, %s: %v, but v5 says %v", file, group.Description, test.Description, err, want)
			}
		}
		violation, _ := err.(*schema.Violation)
		switch {
		case violation != nil && violation.Reason != schema.ReasonSchema:
			s.apart["message: "+violation.Reason]++
		case (err == nil) == test.Valid:
			s.agree++
		case s.validator(group.Schema, true)(test.Data) != test.Valid:
			if s.validator(group.Schema, false)(test.Data) == test.Valid {
				s.apart["message: formats are asserted"]++
			} else {
				s.apart["message: wrong verdict of the validator itself: "+file+", "+group.Description+", "+test.Description]++
			}
		case s.required:
			t.Errorf("%s, %s, %s: %v, want valid %v", file, group.Description, test.Description, err, test.Valid)
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

// refusal is what an error of Compile says, without the place.
func refusal(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	if i := strings.LastIndex(first, ": "); i >= 0 {
		return first[i+2:]
	}
	return first
}

// validator is the validator as it comes, told to assert formats or not.
func (s *suite) validator(text []byte, assertFormat bool) func([]byte) bool {
	c := jsonschema.NewCompiler()
	c.AssertFormat = assertFormat
	c.LoadURL = func(uri string) (io.ReadCloser, error) {
		return os.Open(filepath.Join(s.remotes, strings.TrimPrefix(uri, "http://localhost:1234/")))
	}
	if err := c.AddResource("mem:///schema", bytes.NewReader(text)); err != nil {
		return func([]byte) bool { return false }
	}
	compiled, err := c.Compile("mem:///schema")
	return func(message []byte) bool {
		var v any
		d := json.NewDecoder(bytes.NewReader(message))
		d.UseNumber()
		return err == nil && d.Decode(&v) == nil && compiled.Validate(v) == nil
	}
}
