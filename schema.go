package wsguard

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/schema"
)

// A Schema is a compiled JSON Schema. It is immutable, and safe for concurrent
// use. Make one with [CompileSchema].
type Schema struct{ compiled *schema.Schema }

// SchemaOptions are what a schema needs besides its text.
type SchemaOptions struct {
	// Documents are the other schemas that $ref may name, by URL. Nothing is
	// ever loaded from a file or the network.
	Documents map[string][]byte
}

// CompileSchema compiles a JSON Schema (drafts 4 to 2020-12; the last without
// $schema). Formats are asserted. What would not be enforced is an error:
// keywords and formats that the draft does not know, unless they begin with x-,
// what stands ignored beside $ref, $dynamicRef. The error names every problem.
// (R35)
func CompileSchema(src []byte, options SchemaOptions) (*Schema, error) {
	s, err := schema.Compile(src, options.Documents)
	if err != nil {
		return nil, fmt.Errorf("wsguard: CompileSchema: %w", err)
	}
	return &Schema{s}, nil
}

// MustCompileSchema is [CompileSchema] for a schema in the program's text. It
// panics where that returns an error.
func MustCompileSchema(src string) *Schema {
	s, err := CompileSchema([]byte(src), SchemaOptions{})
	if err != nil {
		panic(err.Error())
	}
	return s
}

// Check says whether a message satisfies the schema and the hardening: as
// ValidateMessages does it, away from a connection. The error is a
// *SchemaError.
func (s *Schema) Check(message []byte) error {
	if err := s.compiled.Check(message); err != nil {
		return schemaError(err)
	}
	return nil
}

// Explain says, for a reader, how messages are checked and what could be
// better: whether the schema runs in one pass over the bytes or is left to
// jsonschema/v5, and why; what a single pass asks others about; and what makes
// the schema weak or costly. Show it in a test or once at start. Nothing of it
// is for programs.
func (s *Schema) Explain() string {
	x := s.compiled.Explain()
	var b strings.Builder
	if x.Apart == nil {
		fmt.Fprintf(&b, "runs in one pass, in at most %d steps for each byte of a message\n", x.Steps)
	} else {
		fmt.Fprintf(&b, "runs on jsonschema/v5 behind a scan: %v\n", x.Apart)
	}
	for _, line := range x.Slow {
		b.WriteString("slower: " + line + "\n")
	}
	for _, line := range x.Warnings {
		b.WriteString("warning: " + line + "\n")
	}
	return b.String()
}

// A SchemaError says what a message violates: a keyword of the schema, or a
// limit of the hardening. It holds no value of the message, no member name that
// the schema does not have, and no constant of the schema.
type SchemaError struct {
	Keyword string // "maxLength", "duplicate_member", …
	Path    string // JSON Pointer (RFC 6901) to the value, at most 256 bytes
}

// Error returns the keyword and the path.
func (e *SchemaError) Error() string {
	if e.Path == "" {
		return "wsguard: message violates " + e.Keyword
	}
	return "wsguard: message violates " + e.Keyword + " at " + e.Path
}

func schemaError(err error) *SchemaError {
	var scan *jsonscan.Error
	if errors.As(err, &scan) {
		return &SchemaError{Keyword: scan.Reason}
	}
	var v *schema.Violation
	switch {
	case !errors.As(err, &v):
		return &SchemaError{Keyword: schema.ReasonInternal}
	case v.Keyword == "":
		return &SchemaError{Keyword: v.Reason, Path: v.Path}
	}
	return &SchemaError{Keyword: v.Keyword, Path: v.Path}
}
