// Package schema checks messages against JSON Schema, drafts 4 to 2020-12.
//
// It is a wall around github.com/santhosh-tekuri/jsonschema/v5: nothing else
// imports that module, and none of its types are seen outside. Behind the wall
// the validator reads no file and no network, is asked only what it answers in
// bounded time, and cannot panic into the caller. A schema that it would
// enforce in part, because a keyword is misspelt or ignored, does not compile.
//
// It answers R35, R36 and, with additionalProperties, R40.
package schema

import (
	"bytes"
	"encoding/json"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// A Schema is compiled and ready to check messages. It never changes and may
// be used concurrently.
type Schema struct {
	compiled *jsonschema.Schema
	names    map[string]bool // of members, as the schema's properties declare them
	bounds   bounds
	limits   jsonscan.Limits
}

// WithLimits returns the schema with other limits for messages. Fields that
// are zero stand for jsonscan.Default. A schema that refers to itself keeps
// Depth and Nodes at or below what [Schema.Limits] documents.
func (s *Schema) WithLimits(l jsonscan.Limits) *Schema {
	limited := *s
	limited.limits = s.bounds.apply(l.OrDefault())
	return &limited
}

// Limits returns what [Schema.Scan] holds messages to.
//
// A schema that refers to itself is held to a depth of 32, as the validator's
// errors cost the cube of the depth. If it does so in several places that
// apply to the same value, say in two branches of an anyOf, then each level
// multiplies the work, and the depth is the greatest at which a value is
// checked at most 1,024 times: 8 levels for two branches, 4 for three. The
// nodes of a message are then limited to 2^16 checks in all. A lower Depth in
// [Schema.WithLimits] leaves room for more nodes.
func (s *Schema) Limits() jsonscan.Limits { return s.limits }

// Check is [Schema.Scan] followed by [Schema.Validate].
func (s *Schema) Check(message []byte) error {
	if err := s.Scan(message); err != nil {
		return err
	}
	return s.Validate(message)
}

// Scan returns a [*Violation] if the message is not a JSON text within the
// limits. It does not ask the schema.
func (s *Schema) Scan(message []byte) error {
	if err := jsonscan.Scan(message, s.limits); err != nil {
		return &Violation{Reason: err.(*jsonscan.Error).Reason}
	}
	return nil
}

// Validate returns a [*Violation] if the message does not have the form that
// the schema describes. The message must have passed [Schema.Scan]; one that
// has not can take any time and memory, but is never accepted by a panic.
func (s *Schema) Validate(message []byte) (err error) {
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
	switch err := s.compiled.Validate(value).(type) {
	case nil:
		return nil
	case *jsonschema.ValidationError:
		return s.violation(value, err)
	default: // it lost its way in the schema
		return internal()
	}
}
