package wsguardtest

import (
	"strings"
	"testing"
)

// A Vector is a row of the table of attacks. Its name is stable; it begins with
// the group: "origin/foreign".
type Vector struct {
	Name         string   `json:"name"`
	Requirements []string `json:"requirements"` // of wsguard's list of requirements: "R05"
	CWE          int      `json:"cwe"`
	What         string   `json:"what"` // the attack in a sentence

	run   func(*try) outcome
	waits bool // takes long, and does little
	alone bool // would disturb others, or be disturbed
	last  bool // nothing can be judged after it
}

// Group is the first part of the name.
func (v Vector) Group() string {
	group, _, _ := strings.Cut(v.Name, "/")
	return group
}

func (v Vector) is(name string) bool { return v.Name == name || v.Group() == name }

var vectors []Vector

func init() {
	for _, group := range [][]Vector{transportVectors, originVectors, authVectors, ticketVectors, limitVectors,
		wireVectors, messageVectors, timeVectors, lifecycleVectors, leakVectors} {
		vectors = append(vectors, group...)
	}
}

// Attacks returns all attacks, in the order in which they are reported.
func Attacks() []Vector { return append([]Vector(nil), vectors...) }

// Attack runs every attack against a target, and reports each as a subtest of
// its name. One that is not withstood fails; one that is not judged, or that the
// profile skips, is a skipped subtest that says why. Where the good client
// itself is not served, the test fails and nothing is judged. It returns the
// report for whoever wants to count.
func Attack(t *testing.T, target Target, p Profile) Report {
	t.Helper()
	report, err := Run(t.Context(), target, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Baseline != "" {
		t.Fatalf("the good client is not served, so nothing was judged: %s", report.Baseline)
	}
	groups := map[string][]Result{}
	var order []string
	for _, r := range report.Results {
		if groups[r.Group()] == nil {
			order = append(order, r.Group())
		}
		groups[r.Group()] = append(groups[r.Group()], r)
	}
	for _, group := range order {
		t.Run(group, func(t *testing.T) {
			for _, r := range groups[group] {
				t.Run(strings.TrimPrefix(r.Name, group+"/"), r.tell)
			}
		})
	}
	return report
}

func (r Result) tell(t *testing.T) {
	switch r.Verdict {
	case Withstood:
		t.Log(r.Seen)
	case NotWithstood:
		t.Errorf("%s (%s, CWE-%d)\nseen: %s", r.What, strings.Join(r.Requirements, ", "), r.CWE, r.Seen)
	default:
		t.Skipf("%s: %s", r.Verdict, r.Seen)
	}
}
