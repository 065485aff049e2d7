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
	Target    *target   `json:"target,omitempty"`
	Holds     *bool     `json:"holds,omitempty"`   // nil without a target
	Beside    []Ratio   `json:"beside,omitempty"`  // one for each base that has a value or a target
	Problem   string    `json:"problem,omitempty"` // why there is no value
}

// A Ratio is a contender beside another one of the same rounds.
type Ratio struct {
	Base   string    `json:"base"`
	Rounds []float64 `json:"rounds,omitempty"` // the ratio of each; none if the base has no value
	Median float64   `json:"median"`
	Target *target   `json:"target,omitempty"`
	Holds  *bool     `json:"holds,omitempty"` // nil without a target, or if it is unknown
}

// A target is what a median is to be at most; or the least value of all rounds,
// where a time alone counts and others who use the machine can only add to it.
type target struct {
	Limit   float64 `json:"limit"`
	Least   bool    `json:"least,omitempty"`
	Exactly bool    `json:"exactly,omitempty"`
}

// judge says whether rounds hold what was aimed at, or nil if nothing was.
func (t *target) judge(rounds []float64) *bool {
	if t == nil {
		return nil
	}
	v := median(rounds)
	if t.Least {
		v = slices.Min(rounds)
	}
	holds := v == t.Limit || v < t.Limit && !t.Exactly
	return &holds
}

// A figure is something that is measured of several contenders in turn.
type figure struct {
	name, unit string
	bases      []string // the contenders that ratios are against
	contenders []string
	values     map[string][]float64
	problems   map[string]error
	target     map[string]*target
	ratio      map[pair]*target
}

// A pair is a contender and the base that it is held against.
type pair struct{ contender, base string }

func newFigure(name, unit string, bases ...string) *figure {
	return &figure{name: name, unit: unit, bases: bases, values: map[string][]float64{},
		problems: map[string]error{}, target: map[string]*target{}, ratio: map[pair]*target{}}
}

// beside sets what the ratio of a contender and a base is to be at most.
func (f *figure) beside(contender, base string, limit float64) {
	if !slices.Contains(f.bases, base) {
		f.bases = append(f.bases, base)
	}
	f.ratio[pair{contender, base}] = &target{Limit: limit}
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
		row.Holds = row.Target.judge(row.Rounds)
		for _, base := range f.bases {
			t := f.ratio[pair{contender, base}]
			if ratios := f.ratios(contender, base); ratios != nil {
				row.Beside = append(row.Beside, Ratio{base, ratios, median(ratios), t, t.judge(ratios)})
			} else if t != nil {
				row.Beside = append(row.Beside, Ratio{Base: base, Target: t})
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// ratios are those of each round, or nil where there is nothing to compare with.
func (f *figure) ratios(contender, base string) (ratios []float64) {
	if f.problems[base] != nil {
		return nil
	}
	for i, b := range f.values[base] {
		if b <= 0 {
			return nil // too little was measured to show
		}
		ratios = append(ratios, f.values[contender][i]/b)
	}
	return ratios
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
