package jsonscan_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// R35, R36, R43
func FuzzScan(f *testing.F) {
	for _, row := range rows {
		if len(row.text) < 1<<10 {
			f.Add([]byte(row.text))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := jsonscan.Scan(text, jsonscan.Limits{})
		agree(t, text, err)
		if err != nil {
			return
		}
		if !utf8.Valid(text) {
			t.Fatalf("accepted what is not UTF-8: %q", text)
		}
		if n := duplicates(json.NewDecoder(bytes.NewReader(text))); n != 0 {
			t.Fatalf("accepted %d duplicates: %q", n, text)
		}
	})
}

// duplicates counts, by another way, the names that are one to encoding/json.
func duplicates(d *json.Decoder) int {
	found := 0
	var names [][]string // of the objects that are open; nil is an array
	name := false        // a name is due
	for {
		token, err := d.Token()
		if err != nil {
			return found
		}
		top := len(names) - 1
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				names = append(names, []string{})
			case '[':
				names = append(names, nil)
			default:
				names = names[:top]
			}
			top = len(names) - 1
			name = top >= 0 && names[top] != nil
			continue
		case string:
			if name {
				if slices.ContainsFunc(names[top], func(s string) bool { return strings.EqualFold(s, token) }) {
					found++
				}
				names[top] = append(names[top], token)
				name = false
				continue
			}
		}
		name = top >= 0 && names[top] != nil
	}
}
