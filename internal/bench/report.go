package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
)

// A result is what one run has measured.
type result struct {
	Machine
	Rows []Row `json:"rows"`
}

// print writes a table for each figure.
func (r result) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for rows := r.Rows; len(rows) > 0; {
		n, rounds, base := 0, 0, ""
		for n < len(rows) && rows[n].Figure == rows[0].Figure && rows[n].Unit == rows[0].Unit {
			rounds, base = max(rounds, len(rows[n].Rounds)), max(base, rows[n].Base)
			n++
		}
		if base != "" {
			base = "\t/ " + base
		}
		fmt.Fprintf(t, "\n%s: %s\n  \tmedian\tof %d rounds%s\n", rows[0].Figure, rows[0].Unit, rounds, base)
		for _, row := range rows[:n] {
			fmt.Fprintln(t, row)
		}
		rows = rows[n:]
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%v\n", r.Machine)
}

// String is a line of the table.
func (r Row) String() string {
	if r.Problem != "" {
		return fmt.Sprintf("  %s\tNOT MEASURED: %s", r.Contender, r.Problem)
	}
	s := fmt.Sprintf("  %s\t%s\t%s to %s", r.Contender, number(r.Median), number(slices.Min(r.Rounds)), number(slices.Max(r.Rounds)))
	if r.Ratio != nil {
		low, high := middle(r.Ratios)
		s += fmt.Sprintf("\t%.3f (half of them %.2f to %.2f)", *r.Ratio, low, high)
	}
	if r.Target == nil {
		return s
	}
	verdict := "unknown"
	if r.Holds != nil {
		verdict = map[bool]string{true: "holds", false: "missed"}[*r.Holds]
	}
	return s + fmt.Sprintf("\t%v: %s", r.Target, verdict)
}

func (t *target) String() string {
	s := "≤ "
	if t.Exactly {
		s = "= "
	}
	s += strconv.FormatFloat(t.Limit, 'g', 4, 64)
	switch {
	case t.Ratio:
		s = "ratio " + s
	case t.Least:
		s = "least " + s
	}
	return s
}

// number writes v with as many digits as mean something.
func number(v float64) string {
	digits := 2
	switch size := math.Abs(v); {
	case size < 2:
		digits = 4
	case size >= 100:
		digits = 0
	}
	return strconv.FormatFloat(v, 'f', digits, 64)
}

// writeJSON keeps the rows, and where they come from.
func (r result) writeJSON(file string) error {
	b, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// complete is an error if there are rows without a value.
func (r result) complete() error {
	missing := 0
	for _, row := range r.Rows {
		if row.Problem != "" {
			missing++
		}
	}
	if missing > 0 {
		return fmt.Errorf("%d of %d rows could not be measured", missing, len(r.Rows))
	}
	return nil
}
