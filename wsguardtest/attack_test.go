package wsguardtest_test

import (
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// A guarded endpoint withstands all. R64
func TestGuarded(t *testing.T) {
	e := newEndpoint(t)
	report := wsguardtest.Attack(t, wsguardtest.Target{Handler: e.handler(t), Path: "/ws"}, e.profile())
	t.Log(report.String(), report.Took.Round(time.Millisecond))
	mayNot := map[string]bool{"transport/plaintext": true, "transport/plaintext-forged-proxy": true, "transport/tls-1.1": true,
		"limits/handshake-flood": true, "time/slow-handshake": true,
		"time/reader-that-stops": true} // the limit on messages ends it before; see TestReaderThatStops
	for _, r := range report.Results {
		if r.Verdict == wsguardtest.NotJudged && !mayNot[r.Name] {
			t.Errorf("%s is not judged: %s", r.Name, r.Seen)
		}
		if r.Took > 5*time.Second {
			t.Logf("%s took %v", r.Name, r.Took)
		}
	}
}

// A bare endpoint is found to lack what its library does not do. R64
func TestBare(t *testing.T) {
	report, err := wsguardtest.Run(t.Context(), wsguardtest.Target{Handler: bare(false)},
		wsguardtest.Profile{Origin: home, Message: valid, Patience: time.Second, Parallel: 24, Flood: 500 * time.Millisecond}, nil)
	if err != nil || report.Baseline != "" {
		t.Fatal(err, report.Baseline)
	}
	t.Log(report.String(), report.Took.Round(time.Millisecond))
	got := results(report)
	for name, want := range map[string]wsguardtest.Verdict{
		"origin/foreign": wsguardtest.Withstood, "origin/rebinding": wsguardtest.NotWithstood,
		"origin/missing":           wsguardtest.NotWithstood,
		"wire/empty-continuations": wsguardtest.NotWithstood, "wire/ping-flood": wsguardtest.NotWithstood,
		"wire/invalid-utf8": wsguardtest.NotWithstood, "wire/unmasked": wsguardtest.Withstood,
		"wire/reserved-bit-2": wsguardtest.Withstood, "message/number-bomb": wsguardtest.NotWithstood,
		"auth/missing": wsguardtest.NotJudged, "time/half-open": wsguardtest.NotJudged,
		"limits/slot-race": wsguardtest.NotJudged, "lifecycle/logout": wsguardtest.NotJudged,
	} {
		if got[name].Verdict != want {
			t.Errorf("%s is %s, want %s: %s", name, got[name].Verdict, want, got[name].Seen)
		}
	}
	for _, r := range report.Results {
		t.Logf("%-32s %-10s %s", r.Name, r.Verdict, r.Seen)
	}
}
