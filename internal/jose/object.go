package jose

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// decodeObject decodes the JSON object that is all of data, with numbers as
// [json.Number]. It refuses what two parsers may read in two ways (R15): text
// that is not UTF-8 (R24), a member name that stands twice in one object, at any
// level, and nesting deeper than depth. Its errors quote nothing.
func decodeObject(data []byte, depth int) (map[string]any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("not UTF-8")
	}
	// Decoder.Token is not as strict as a whole-document check.
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	v, err := decodeValue(dec, depth)
	if err != nil {
		return nil, err
	}
	object, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	return object, nil
}

// decodeValue decodes the next value of dec, whose text is known to be valid, so
// that the errors of Token cannot occur.
func decodeValue(dec *json.Decoder, depth int) (any, error) {
	token, _ := dec.Token()
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	if depth == 0 {
		return nil, errors.New("nested too deeply")
	}
	if delim == '[' {
		array := []any{}
		for dec.More() {
			v, err := decodeValue(dec, depth-1)
			if err != nil {
				return nil, err
			}
			array = append(array, v)
		}
		_, _ = dec.Token() // the closing bracket
		return array, nil
	}
	object := map[string]any{}
	for dec.More() {
		token, _ := dec.Token()
		name, _ := token.(string)
		if _, twice := object[name]; twice {
			return nil, errors.New("a member name stands twice")
		}
		v, err := decodeValue(dec, depth-1)
		if err != nil {
			return nil, err
		}
		object[name] = v
	}
	_, _ = dec.Token() // the closing brace
	return object, nil
}

// stringMember returns the string called name, "" where there is none. It
// reports false for a member of any other kind, null included.
func stringMember(object map[string]any, name string) (string, bool) {
	v, present := object[name]
	if !present {
		return "", true
	}
	s, ok := v.(string)
	return s, ok
}

// stringList returns v, an array of strings, as a slice.
func stringList(v any) ([]string, bool) {
	array, ok := v.([]any)
	if !ok {
		return nil, false
	}
	list := make([]string, len(array))
	for i, v := range array {
		if list[i], ok = v.(string); !ok {
			return nil, false
		}
	}
	return list, true
}
