package main

import (
	"fmt"
	"html"
	"os"
	"slices"
	"strings"
)

// A verdictRow is a row that has a target, as it is published.
type verdictRow struct {
	figure, contender, base string // base is "" for a value that is held against nothing
	value                   float64
	low, high               float64 // where the middle half of the rounds is
	unit                    string  // "×" for a ratio
	target                  *target
	holds                   *bool
}

// verdicts are all rows with a target, in their order.
func (r result) verdicts() (all []verdictRow) {
	for _, row := range r.Rows {
		if row.Problem != "" {
			continue
		}
		if row.Target != nil {
			low, high := middle(row.Rounds)
			all = append(all, verdictRow{row.Figure, row.Contender, "", row.Median, low, high, row.Unit, row.Target, row.Holds})
		}
		for _, ratio := range row.Beside {
			if ratio.Target != nil && ratio.Rounds != nil {
				low, high := middle(ratio.Rounds)
				all = append(all, verdictRow{row.Figure, row.Contender, ratio.Base, ratio.Median, low, high, "×", ratio.Target, ratio.Holds})
			}
		}
	}
	return all
}

func (v verdictRow) label() string { return v.figure + ": " + v.contender + " / " + v.base }

// writeMarkdown keeps the rows with a target as a table, and the machine.
func (r result) writeMarkdown(file string) error {
	var b strings.Builder
	b.WriteString("| measured | beside | median | half of the rounds | target |\n|---|---|---|---|---|\n")
	for _, v := range r.verdicts() {
		base := v.base
		if base == "" {
			base = v.unit
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s to %s | %s |\n", cell(v.figure), cell(v.contender), cell(base),
			number(v.value), number(v.low), number(v.high), verdict(v.target, v.holds))
	}
	fmt.Fprintf(&b, "\n%v\n", r.Machine)
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

// cell is text that ends no cell of a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// writeSVG draws each ratio that has a target: a bar to its median, a line over
// the middle half of its rounds, and a mark at the target. Lengths are shares of
// the longest.
func (r result) writeSVG(file string) error {
	const width, height = 300, 22
	rows := slices.DeleteFunc(r.verdicts(), func(v verdictRow) bool { return v.base == "" })
	longest, label := 1., 0.
	for _, v := range rows {
		longest = max(longest, v.high, v.target.Limit)
		label = max(label, 6.2*float64(len(v.label()))) // of the widest letters that are common
	}
	at := func(v float64) float64 { return label + v/longest*width }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%d" font-family="sans-serif" font-size="11">`+"\n",
		label+width+80, height*(len(rows)+2))
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="#fff"/><text x="8" y="15">Shorter is better; | is the target.</text>`+"\n")
	for i, v := range rows {
		y := float64(height * (i + 1))
		color := "#2a7"
		if v.holds != nil && !*v.holds {
			color = "#c43"
		}
		fmt.Fprintf(&b, `<text x="%.0f" y="%.0f" text-anchor="end">%s</text>`, label-6, y+14,
			html.EscapeString(v.label()))
		fmt.Fprintf(&b, `<rect x="%.0f" y="%.0f" width="%.1f" height="12" fill="%s"/>`, label, y+4, at(v.value)-label, color)
		fmt.Fprintf(&b, `<path d="M%.1f %.0fH%.1f" stroke="#333"/>`, at(v.low), y+10, at(v.high))
		fmt.Fprintf(&b, `<path d="M%.1f %.0fv18" stroke="#000" stroke-width="2"/>`, at(v.target.Limit), y+1)
		fmt.Fprintf(&b, `<text x="%.1f" y="%.0f">%s</text>`+"\n", max(at(v.high), at(v.target.Limit))+6, y+14, number(v.value))
	}
	fmt.Fprintf(&b, `<text x="8" y="%d">%s</text></svg>`+"\n", height*(len(rows)+1)+15, html.EscapeString(r.Machine.String()))
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
