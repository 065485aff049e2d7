package main

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
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
	for rows := range r.figures() {
		rounds, bases := 0, basesOf(rows)
		for _, row := range rows {
			rounds = max(rounds, len(row.Rounds))
		}
		fmt.Fprintf(t, "\n%s: %s\n  \tmedian\tof %d rounds", rows[0].Figure, rows[0].Unit, rounds)
		for _, base := range bases {
			fmt.Fprintf(t, "\t/ %s", base)
		}
		fmt.Fprintln(t)
		for _, row := range rows {
			fmt.Fprintln(t, row.line(bases))
		}
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\n%v\n", r.Machine)
}

// figures yields the rows of one figure after the other.
func (r result) figures() iter.Seq[[]Row] {
	return func(yield func([]Row) bool) {
		for rows := r.Rows; len(rows) > 0; {
			n := 1
			for n < len(rows) && rows[n].Figure == rows[0].Figure && rows[n].Unit == rows[0].Unit {
				n++
			}
			if !yield(rows[:n]) {
				return
			}
			rows = rows[n:]
		}
	}
}

// basesOf is what any of the rows is compared with, in their order.
func basesOf(rows []Row) (bases []string) {
	for _, row := range rows {
		for _, ratio := range row.Beside {
			if !slices.Contains(bases, ratio.Base) {
				bases = append(bases, ratio.Base)
			}
		}
	}
	return bases
}

// line is a line of the table, with a column for each base.
func (r Row) line(bases []string) string {
	if r.Problem != "" {
		return fmt.Sprintf("  %s\tNOT MEASURED: %s", r.Contender, r.Problem)
	}
	s := fmt.Sprintf("  %s\t%s\t%s to %s", r.Contender, number(r.Median), number(slices.Min(r.Rounds)), number(slices.Max(r.Rounds)))
	if r.Target != nil {
		s += " " + verdict(r.Target, r.Holds)
	}
	for _, base := range bases {
		s += "\t" + r.beside(base)
	}
	return s
}

// beside is what a row says about a base, if anything.
func (r Row) beside(base string) string {
	for _, ratio := range r.Beside {
		if ratio.Base == base {
			if ratio.Rounds == nil {
				return verdict(ratio.Target, nil)
			}
			low, high := middle(ratio.Rounds)
			s := fmt.Sprintf("%.3f (half of them %.2f to %.2f)", ratio.Median, low, high)
			if ratio.Target != nil {
				s += " " + verdict(ratio.Target, ratio.Holds)
			}
			return s
		}
	}
	return ""
}

func verdict(t *target, holds *bool) string {
	switch {
	case holds == nil:
		return fmt.Sprintf("%v: unknown", t)
	case *holds:
		return fmt.Sprintf("%v: holds", t)
	}
	return fmt.Sprintf("%v: missed", t)
}

func (t *target) String() string {
	s := "≤ "
	if t.Exactly {
		s = "= "
	}
	s += strconv.FormatFloat(t.Limit, 'g', 4, 64)
	if t.Least {
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
