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
//
// A message is checked in one pass over its bytes, which ends at the first
// violation. It takes no memory for a message that passes, but for what package
// regexp takes and where an object has more than 64 names, or names of more than
// 64 bytes, that the schema does not know. The meaning of a schema is that of
// jsonschema/v5. But before it comes the hardening, which refuses what JSON
// Schema does not speak of. Of a message that is JSON, the keyword of
// the [SchemaError] is one of these:
//
//	duplicate_member  a name twice in one object, also in another case or with
//	                  escapes: decoders keep the first, the last, or merge them,
//	                  and Go's takes NAME for name
//	utf8              bytes that are not UTF-8, and lone surrogates as \ud800:
//	                  decoders make one character of all of them
//	trailing_data     a second text: some decoders read it, some do not
//	depth             more than 32 arrays and objects in each other: decoders
//	                  and validators recurse
//	number            more than 64 bytes, an exponent beyond 308, or what a
//	                  float64 makes infinity or 0 of: exact arithmetic on it
//	                  takes megabytes or panics, and decoders disagree
//	member_case       a name that differs from one in properties only in case:
//	                  Go's decoder takes it for that one, past its schema
//	string_length     more than 16 KiB as it is written, names too: expressions
//	                  and decoders read it again and again
//	items             more than 1,024 in an array: uniqueItems compares them
//	members           more than 256 in an object: more than a type has fields
//	nodes             more than 4,096 values in all: each costs the application
//	                  memory
//
// and syntax where it is not JSON (RFC 8259), which includes a byte order mark
// and NaN. Numbers are judged as they are written: a decoder that rounds to a
// float64 makes 1 of 0.99999999999999999, which is below 1, and an even number
// of 9007199254740993. With two violations in one message, the one that is met first is
// named, and a member that is absent is met at the end of its object.
//
// What one pass cannot express ([Schema.Explain] tells) is left to jsonschema/v5
// behind the same hardening and a recover. If such a schema refers to itself,
// messages are also held to the depth at which v5 checks a value 256 times, and
// to 16,384 checks in all: 6 levels and 64 values for two branches over one
// value. The dearest messages found within all that took v5 36 ms: 4,000 wrong
// items of four branches (8 KB, for which it allocated 15 MB), and 1,000 wrong
// items 30 levels deep in a schema that refers to itself (2 KB, 63 MB).
type Schema struct{ compiled *schema.Schema }

// SchemaOptions are what a schema needs besides its text.
type SchemaOptions struct {
	// Documents are the other schemas that $ref may name, by URL. Nothing is
	// ever loaded from a file or the network.
	Documents map[string][]byte
}

// CompileSchema compiles a JSON Schema (drafts 4 to 2020-12; the last without
// $schema). Formats are asserted. The error names every problem. (R35)
//
// What would not be enforced is an error, although jsonschema/v5 accepts it:
// keywords and formats that the draft does not know, unless they begin with x-;
// what stands ignored beside $ref, or without the keyword that it belongs to,
// as then without if; an empty enum, which v5 takes for none; metaschemas of
// one's own, and $ref to what is no schema. So is what cannot be checked in
// bounded time: the format regex, as expressions of strangers take any memory
// to compile; $recursiveRef, and $dynamicRef where its anchor stands twice, as
// what they lead to is known only when a message comes; references without end.
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
	s.mustBeCompiled("Check")
	if err := s.compiled.Check(message); err != nil {
		return schemaError(err)
	}
	return nil
}

// Explain says, for a reader, how messages are checked and what could be
// better: whether the schema runs in one pass over the bytes or is left to
// jsonschema/v5, and why; what a single pass asks others about, whose steps are
// not counted and can be hundreds for each byte of a string that a costly
// pattern is matched against; and what makes the schema weak or costly. Show it in a test or once at start. Nothing of it
// is for programs.
func (s *Schema) Explain() string {
	s.mustBeCompiled("Explain")
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

// mustBeCompiled panics for what neither CompileSchema nor MustCompileSchema has
// returned.
func (s *Schema) mustBeCompiled(name string) {
	if s == nil || s.compiled == nil {
		panic("wsguard: " + name + ": the schema is empty: write what CompileSchema returned")
	}
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
