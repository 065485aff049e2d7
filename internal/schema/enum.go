package schema

import (
	"encoding/json"
	"math/big"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// An enum is the set of the scalars that an enum allows. v5 compares a value
// with one after the other and parses numbers anew each time: 50 numbers for
// each item of an array of 30 KB took a second.
type enum map[any]bool

// indexEnum replaces v5's enum of a schema, unless it has arrays or objects.
func indexEnum(s *jsonschema.Schema) {
	e := enum{}
	for _, v := range s.Enum {
		e[scalar(v)] = true
	}
	if len(e) > 0 && !e[composite{}] {
		s.Enum = nil
		s.Extensions = map[string]jsonschema.ExtSchema{"enum": e}
	}
}

// Validate is called by v5.
func (e enum) Validate(ctx jsonschema.ValidationContext, v any) error {
	if !e[scalar(v)] {
		return ctx.Error("enum", "enum failed")
	}
	return nil
}

// A composite stands for all arrays and objects.
type composite struct{}

// scalar returns what is the same for scalars that JSON Schema takes for the
// same, as 1, 1.0 and 10e-1.
func scalar(v any) any {
	switch v := v.(type) {
	case json.Number:
		r, _ := new(big.Rat).SetString(string(v))
		return json.Number(r.RatString())
	case []any, map[string]any:
		return composite{}
	}
	return v
}
