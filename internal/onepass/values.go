package onepass

import (
	"encoding/json"
	"errors"
	"math/big"
	"slices"
)

// values is the set of constants of an enum or a const.
type values struct {
	keyword    string
	literals   [kinds]bool
	numbers    []decimal // in order
	few        []string  // of the strings, if they are few,
	many       map[string]bool
	composites [kinds]map[uint64][][]byte // arrays and objects by hash, as texts
}

// fewStrings is how many strings are compared one after the other.
const fewStrings = 8

func newValues(keyword string, constants []any) (*values, error) {
	v := &values{keyword: keyword}
	many := map[string]bool{}
	for _, c := range constants {
		switch c := c.(type) {
		case nil:
			v.literals[kNull] = true
		case bool:
			v.literals[kFalse] = v.literals[kFalse] || !c
			v.literals[kTrue] = v.literals[kTrue] || c
		case string:
			many[c] = true
		case json.Number:
			d, _ := parseDecimal([]byte(c), nil)
			v.numbers = append(v.numbers, d)
		case *big.Rat:
			d, ok := ofRat(c)
			if !ok {
				return nil, errors.New(keyword + " has a number without decimal form")
			}
			v.numbers = append(v.numbers, d)
		default:
			if err := v.composite(c); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(v.numbers, func(a, b decimal) int { return a.cmp(&b) })
	if len(many) > fewStrings {
		v.many = many
	} else {
		for s := range many {
			v.few = append(v.few, s)
		}
		slices.Sort(v.few)
	}
	return v, nil
}

func (v *values) composite(c any) error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	k := kArray
	if text[0] == '{' {
		k = kObject
	}
	if v.composites[k] == nil {
		v.composites[k] = map[uint64][][]byte{}
	}
	h := hashOf(text)
	v.composites[k][h] = append(v.composites[k][h], text)
	return nil
}

// has reports whether the set holds values of a kind.
func (v *values) has(k kind) bool {
	switch k {
	case kNumber:
		return len(v.numbers) > 0
	case kString:
		return len(v.few) > 0 || len(v.many) > 0
	case kArray, kObject:
		return len(v.composites[k]) > 0
	}
	return v.literals[k]
}

func (v *values) hasString(text []byte) bool {
	if v.many != nil {
		return v.many[string(text)]
	}
	for _, s := range v.few {
		if s == string(text) {
			return true
		}
	}
	return false
}

func (v *values) hasNumber(d *decimal) bool {
	low, high := 0, len(v.numbers)
	for low < high {
		middle := (low + high) / 2
		switch c := d.cmp(&v.numbers[middle]); {
		case c == 0:
			return true
		case c < 0:
			high = middle
		default:
			low = middle + 1
		}
	}
	return false
}

func (v *values) hasComposite(k kind, h uint64, text []byte) bool {
	for _, c := range v.composites[k][h] {
		if same(text, c) {
			return true
		}
	}
	return false
}
