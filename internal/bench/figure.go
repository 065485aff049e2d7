package main

import "slices"

// A Row is what was measured of one contender.
type Row struct {
	Part      string    `json:"part"`
	Figure    string    `json:"figure"`
	Unit      string    `json:"unit"`
	Contender string    `json:"contender"`
	Rounds    []float64 `json:"rounds,omitempty"` // one value of each
	Median    float64   `json:"median"`
	Base      string    `json:"base,omitempty"`   // the contender that ratios are against
	Ratios    []float64 `json:"ratios,omitempty"` // one of each round
	Ratio     *float64  `json:"ratio,omitempty"`  // their median
	Target    *target   `json:"target,omitempty"`
	Holds     *bool     `json:"holds,omitempty"`   // nil without a target, or if it is unknown
	Problem   string    `json:"problem,omitempty"` // why there is no value
}

// A target is what a median, or a median ratio, is to be at most; or the least
// value of all rounds, where a time alone counts and others who use the machine
// can only add to it.
type target struct {
	Limit   float64 `json:"limit"`
	Ratio   bool    `json:"ratio,omitempty"`
	Least   bool    `json:"least,omitempty"`
	Exactly bool    `json:"exactly,omitempty"`
}

func (t *target) holds(v float64) bool { return v == t.Limit || v < t.Limit && !t.Exactly }

// A figure is something that is measured of several contenders in turn.
type figure struct {
	name, unit string
	base       string // the contender that ratios are against; "" is none
	contenders []string
	values     map[string][]float64
	problems   map[string]error
	target     map[string]*target
}

func newFigure(name, unit, base string) *figure {
	return &figure{name: name, unit: unit, base: base,
		values: map[string][]float64{}, problems: map[string]error{}, target: map[string]*target{}}
}

// add notes what one round has found of a contender. One error is enough to
// leave it without a value, and it need not be asked again.
func (f *figure) add(contender string, value float64, err error) {
	if !slices.Contains(f.contenders, contender) {
		f.contenders = append(f.contenders, contender)
	}
	f.values[contender] = append(f.values[contender], value)
	if err != nil && f.problems[contender] == nil {
		f.problems[contender] = err
	}
}

func (f *figure) rows() (rows []Row) {
	for _, contender := range f.contenders {
		row := Row{Figure: f.name, Unit: f.unit, Contender: contender, Target: f.target[contender]}
		if err := f.problems[contender]; err != nil {
			row.Problem = err.Error()
			rows = append(rows, row)
			continue
		}
		row.Rounds = f.values[contender]
		row.Median = median(row.Rounds)
		if ratios := f.ratios(contender); ratios != nil {
			ratio := median(ratios)
			row.Base, row.Ratios, row.Ratio = f.base, ratios, &ratio
		}
		row.judge()
		rows = append(rows, row)
	}
	return rows
}

// ratios are those of each round, or nil where there is nothing to compare with.
func (f *figure) ratios(contender string) (ratios []float64) {
	if f.problems[f.base] != nil {
		return nil
	}
	for i, base := range f.values[f.base] {
		if base <= 0 {
			return nil // too little was measured to show
		}
		ratios = append(ratios, f.values[contender][i]/base)
	}
	return ratios
}

// judge says whether a row holds what was aimed at.
func (r *Row) judge() {
	t, v := r.Target, r.Median
	switch {
	case t == nil || t.Ratio && r.Ratio == nil:
		return
	case t.Ratio:
		v = *r.Ratio
	case t.Least:
		v = slices.Min(r.Rounds)
	}
	holds := t.holds(v)
	r.Holds = &holds
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	return (v[(n-1)/2] + v[n/2]) / 2
}

// middle is where the middle half of v is.
func middle(v []float64) (low, high float64) {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/4], v[len(v)-1-len(v)/4]
}

// inPart puts rows together under the name of a part.
func inPart(part string, groups ...[]Row) []Row {
	rows := slices.Concat(groups...)
	for i := range rows {
		rows[i].Part = part
	}
	return rows
}
