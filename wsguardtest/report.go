package wsguardtest

import (
	"fmt"
	"time"
)

// A Verdict is what an attack came to.
type Verdict string

// The verdicts. NotJudged is never to be read as Withstood.
const (
	Withstood    Verdict = "passed"
	NotWithstood Verdict = "failed"
	NotJudged    Verdict = "not judged"
	Skipped      Verdict = "skipped"
)

// A Result is what became of one attack.
type Result struct {
	Vector
	Verdict Verdict       `json:"verdict"`
	Seen    string        `json:"seen"` // a sentence without anything that a peer sent
	Took    time.Duration `json:"took_ns"`
}

// A Report is what [Run] returns: a Result for each attack, in the order of
// [Attacks].
type Report struct {
	Target  string        `json:"target"`
	Started time.Time     `json:"started"`
	Took    time.Duration `json:"took_ns"`
	// Baseline is empty, or says why the good client was not served, so that
	// nothing could be judged.
	Baseline string   `json:"baseline,omitempty"`
	Results  []Result `json:"results"`
}

// Count is how many results have a verdict.
func (r *Report) Count(v Verdict) (n int) {
	for _, one := range r.Results {
		if one.Verdict == v {
			n++
		}
	}
	return n
}

// OK reports whether the good client was served and no attack failed. It says
// nothing of what was not judged.
func (r *Report) OK() bool { return r.Baseline == "" && r.Count(NotWithstood) == 0 }

// String is the report in one line.
func (r *Report) String() string {
	if r.Baseline != "" {
		return "nothing could be judged: " + r.Baseline
	}
	return fmt.Sprintf("%d attacks: %d passed, %d failed, %d not judged, %d skipped", len(r.Results),
		r.Count(Withstood), r.Count(NotWithstood), r.Count(NotJudged), r.Count(Skipped))
}

// An outcome is a verdict with what was seen.
type outcome struct {
	verdict Verdict
	seen    string
	slow    bool // nothing came in time, which may be the machine's fault
}

func passed(format string, args ...any) outcome {
	return outcome{verdict: Withstood, seen: fmt.Sprintf(format, args...)}
}

func failed(format string, args ...any) outcome {
	return outcome{verdict: NotWithstood, seen: fmt.Sprintf(format, args...)}
}

func unjudged(format string, args ...any) outcome {
	return outcome{verdict: NotJudged, seen: fmt.Sprintf(format, args...)}
}

func closeName(code int) string {
	if code == 1005 {
		return "no code"
	}
	return fmt.Sprint(code)
}
