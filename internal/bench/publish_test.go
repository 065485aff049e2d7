package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is published has each row with a target, and the plot is well-formed.
func TestPublish(t *testing.T) {
	f := newFigure("a <figure> | of two", "µs")
	f.beside("ours", "theirs", 1)
	f.target["ours"] = &target{Limit: 3}
	for _, v := range []float64{1, 2, 3} {
		f.add("theirs", v, nil)
		f.add("ours", 2*v, nil)
	}
	r := result{Rows: f.rows()}
	dir := t.TempDir()
	for _, tc := range []struct {
		file  string
		write func(string) error
		want  []string
	}{
		{"table.md", r.writeMarkdown, []string{`a <figure> \| of two, ours`, "| theirs | 2.00 |", "≤ 1: missed", "≤ 3: missed"}},
		{"plot.svg", r.writeSVG, []string{"a &lt;figure&gt;", "ours / theirs", "#c43"}},
	} {
		file := filepath.Join(dir, tc.file)
		if err := tc.write(file); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range tc.want {
			if !strings.Contains(string(b), want) {
				t.Errorf("%s lacks %q:\n%s", tc.file, want, b)
			}
		}
		if tc.file == "plot.svg" {
			for d := xml.NewDecoder(strings.NewReader(string(b))); ; {
				if _, err := d.Token(); errors.Is(err, io.EOF) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}
