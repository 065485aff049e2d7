// Package schema checks messages against JSON Schema, drafts 4 to 2020-12.
//
// It is a wall around github.com/santhosh-tekuri/jsonschema/v5: nothing else
// imports that module, and none of its types are seen outside. v5 compiles a
// schema and defines what it means. Messages are checked by a program of
// package onepass made from what v5 compiled, in a single pass over their bytes.
// A schema that has no program, [Schema.Apart] says why, is left to v5: behind
// the wall it reads no file and no network, is asked only what it answers in
// bounded time, and cannot panic into the caller. A schema that would be
// enforced in part, because a keyword is misspelt or ignored, does not compile.
//
// It answers R35, R36 and, with additionalProperties, R40.
package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/jsonscan"
	"github.com/wsguard/wsguard/internal/onepass"
)

// A Schema is compiled and ready to check messages. It never changes and may
// be used concurrently.
type Schema struct {
	compiled *jsonschema.Schema
	names    map[string]bool  // of members, as the schema's properties declare them
	folded   map[string]bool  // these without regard to case
	program  *onepass.Program // nil if v5 checks messages
	apart    error            // why
	bounds   bounds
	limits   jsonscan.Limits
}

// WithLimits returns the schema with other limits for messages. Fields that
// are zero stand for jsonscan.Default. A schema that is left to v5 and refers
// to itself keeps Depth and Nodes at or below what [Schema.Limits] documents.
func (s *Schema) WithLimits(l jsonscan.Limits) *Schema {
	limited := *s
	limited.limits = s.bounds.apply(l.OrDefault())
	return &limited
}

// Limits returns what messages are held to.
//
// A schema that is left to v5 and refers to itself is held to a depth of 32, as
// the validator's errors cost the cube of the depth. If it does so in several
// places that apply to the same value, say in two branches of an anyOf, then
// each level multiplies the work, and the depth is the greatest at which a value
// is checked at most 256 times: 6 levels for two branches, 3 for three. The nodes
// of a message are then limited to 2^14 checks in all. A lower Depth in
// [Schema.WithLimits] leaves room for more nodes.
func (s *Schema) Limits() jsonscan.Limits { return s.limits }

// Program returns the program that checks messages, or nil if v5 does.
func (s *Schema) Program() *onepass.Program { return s.program }

// Apart returns why the schema is left to v5, or nil if it runs in one pass.
func (s *Schema) Apart() error { return s.apart }

// Check returns a [*Violation] if the message is not a JSON text within the
// limits, or does not have the form that the schema describes.
func (s *Schema) Check(message []byte) error {
	if s.program != nil {
		return s.run(message)
	}
	if err := s.Scan(message); err != nil {
		return err
	}
	return s.askV5(message)
}

// Scan returns a [*Violation] if the message is not a JSON text within the
// limits. It does not ask the schema.
func (s *Schema) Scan(message []byte) error {
	if err := jsonscan.Scan(message, s.limits); err != nil {
		return &Violation{Reason: err.(*jsonscan.Error).Reason}
	}
	return nil
}

func (s *Schema) run(message []byte) error {
	if r := s.program.Check(message, s.limits); r != nil {
		return &Violation{Reason: r.Reason, Keyword: r.Keyword, Path: r.Path}
	}
	return nil
}

// askV5 asks v5 about a message that has passed [Schema.Scan]. One that has not
// could take any time and memory, but is never accepted by a panic.
func (s *Schema) askV5(message []byte) (err error) {
	defer func() {
		if recover() != nil {
			err = internal()
		}
	}()
	decoder := json.NewDecoder(bytes.NewReader(message))
	decoder.UseNumber() // a float64 would round before the schema is asked
	var value any
	if err := decoder.Decode(&value); err != nil {
		return &Violation{Reason: jsonscan.ReasonSyntax}
	}
	if s.misnamed(value) {
		return &Violation{Reason: jsonscan.ReasonCase}
	}
	switch err := s.compiled.Validate(value).(type) {
	case nil:
		return nil
	case *jsonschema.ValidationError:
		return s.violation(value, err)
	default: // it lost its way in the schema
		return internal()
	}
}

// misnamed reports whether a member has a name that the schema declares only in
// another case. Which object a declaration is about, v5 alone would know: it
// counts for all.
func (s *Schema) misnamed(value any) bool {
	switch v := value.(type) {
	case []any:
		return slices.ContainsFunc(v, s.misnamed)
	case map[string]any:
		for name, value := range v {
			if !s.names[name] && s.folded[fold(name)] || s.misnamed(value) {
				return true
			}
		}
	}
	return false
}

func fold(name string) string { return strings.Map(jsonscan.Fold, name) }
