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
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	members, levels := census(data)
	if levels > depth {
		return nil, errors.New("nested too deeply")
	}
	var object map[string]any
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	if err := dec.Decode(&object); err != nil || object == nil {
		return nil, errors.New("not a JSON object")
	}
	if countMembers(object) != members {
		return nil, errors.New("a member name stands twice")
	}
	return object, nil
}

// census counts the members of all objects in a valid JSON text, each of which
// has a colon, and the levels of its nesting.
func census(data []byte) (members, levels int) {
	level := 0
	for i := 0; i < len(data); i++ {
		switch data[i] {
		case '"':
			for i++; data[i] != '"'; i++ {
				if data[i] == '\\' {
					i++
				}
			}
		case ':':
			members++
		case '{', '[':
			level++
			levels = max(levels, level)
		case '}', ']':
			level--
		}
	}
	return members, levels
}

// countMembers counts the members of all objects in a decoded value. Of two with
// one name, the decoder has kept one, and nothing of the other.
func countMembers(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, member := range v {
			n += countMembers(member)
		}
	case []any:
		for _, item := range v {
			n += countMembers(item)
		}
	}
	return n
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
