package wsguardtest_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// Without a safeguard the attacks on what it guards fail, which succeed with
// it (TestGuarded). Other safeguards that would stop them late are left out,
// too, and said. R64
func TestWithout(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		without string
		fails   []string
	}{
		{"origin", []string{"origin"}}, // coder/websocket's own check is off, too
		{"conns", []string{"limits/slot-race", "limits/forged-addresses"}},
		{"size", []string{"limits/message-too-big", "limits/fragments-too-big"}},
		{"rate", []string{"limits/message-flood"}},
		{"schema", []string{"message"}},
		{"keepalive idle first lifetime", []string{"time/half-open"}},
		{"idle first lifetime", []string{"time/idle", "time/first-message", "time/lifetime"}},
		{"stall idle first lifetime keepalive", []string{"time/half-header", "time/half-control", "time/half-message", "time/dripped-message"}},
		{"write rate stall idle first lifetime keepalive", []string{"time/reader-that-stops"}},
		{"track", []string{"lifecycle/logout"}},
	} {
		t.Run(row.without, func(t *testing.T) {
			t.Parallel()
			e := newEndpoint(t)
			p := e.profile()
			p.Only, p.Patience = row.fails, 700*time.Millisecond
			report, err := wsguardtest.Run(t.Context(), wsguardtest.Target{Handler: e.handler(t, strings.Fields(row.without)...), Path: "/ws"}, p, nil)
			if err != nil || report.Baseline != "" {
				t.Fatal(err, report.Baseline)
			}
			for _, r := range report.Results {
				if r.Verdict != wsguardtest.NotWithstood {
					t.Errorf("%s is %s: %s", r.Name, r.Verdict, r.Seen)
				}
			}
		})
	}
}

// withstands runs some of the attacks, and wants every one withstood.
func (e *endpoint) withstands(t *testing.T, target wsguardtest.Target, only ...string) {
	t.Helper()
	p := e.profile()
	p.Only, p.Patience = only, e.patience
	report, err := wsguardtest.Run(t.Context(), target, p, nil)
	if err != nil || report.Count(wsguardtest.Withstood) != len(report.Results) {
		t.Errorf("%v, %s", err, report.String())
		for _, r := range report.Results {
			t.Log(r.Name, r.Verdict, r.Seen)
		}
	}
}

// R01, R02, R03
func TestTransport(t *testing.T) {
	e := newEndpoint(t)
	e.tls = true
	e.withstands(t, wsguardtest.Target{Handler: e.handler(t), Path: "/ws", TLS: true}, "transport")
}

// The endpoint that takes any number of messages ends a connection that does
// not read. R49
func TestReaderThatStops(t *testing.T) {
	t.Parallel()
	e := newEndpoint(t)
	e.patience = 10 * time.Second // the system's buffers are filled slowly where others need the processor
	e.withstands(t, wsguardtest.Target{Handler: e.handler(t, "rate", "lifetime"), Path: "/ws"}, "time/reader-that-stops")
}

// What is wrong with a target or a profile is an error, and says what to write.
func TestMistakes(t *testing.T) {
	for _, row := range []struct {
		name   string
		target wsguardtest.Target
		p      wsguardtest.Profile
		want   string
	}{
		{"no target", wsguardtest.Target{}, wsguardtest.Profile{}, "set exactly one"},
		{"two targets", wsguardtest.Target{Handler: bare(false), URL: "ws://127.0.0.1/"}, wsguardtest.Profile{}, "set exactly one"},
		{"a stranger", wsguardtest.Target{URL: "ws://192.0.2.1/"}, wsguardtest.Profile{}, "ThisHostIsMine"},
		{"a stranger by name", wsguardtest.Target{URL: "ws://127.0.0.1.example.com/"}, wsguardtest.Profile{}, "ThisHostIsMine"},
		{"no scheme", wsguardtest.Target{URL: "127.0.0.1"}, wsguardtest.Profile{}, "ws://127.0.0.1:8080/ws"},
		{"a host with a path", wsguardtest.Target{Handler: bare(false), Host: "app.example.com/ws"}, wsguardtest.Profile{}, "is a name"},
		{"a path in the origin", wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{Origin: home + "/"}, "without a path"},
		{"no place", wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{TokenIn: "body"}, "header:Authorization"},
		{"a skip without a reason", wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{Skip: map[string]string{"origin": ""}}, "says no reason"},
		{"a skip of nothing", wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{Skip: map[string]string{"orign": "x"}}, "no attack and no group"},
		{"only nothing", wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{Only: []string{"orign"}}, "no attack and no group"},
	} {
		t.Run(row.name, func(t *testing.T) {
			if _, err := wsguardtest.Run(t.Context(), row.target, row.p, nil); err == nil || !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

// A good client that is not served means that nothing is judged.
func TestBaseline(t *testing.T) {
	report, err := wsguardtest.Run(t.Context(), wsguardtest.Target{Handler: http.NotFoundHandler()}, wsguardtest.Profile{
		Skip: map[string]string{"tickets": "there are none"}}, nil)
	if err != nil || report.OK() || report.Baseline == "" {
		t.Fatal(err, report.String())
	}
	for _, r := range report.Results {
		want := wsguardtest.NotJudged
		if r.Group() == "tickets" {
			want = wsguardtest.Skipped
		}
		if r.Verdict != want {
			t.Errorf("%s is %s", r.Name, r.Verdict)
		}
	}
}

// The table is what it is said to be: names are unique, and every row has its
// requirements, its CWE and a sentence.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	groups := map[string]bool{}
	for _, v := range wsguardtest.Attacks() {
		if seen[v.Name] || len(v.Requirements) == 0 || v.CWE == 0 || !strings.HasSuffix(v.What, ".") || v.Group() == v.Name {
			t.Errorf("%+v", v)
		}
		seen[v.Name], groups[v.Group()] = true, true
	}
	if len(seen) < 60 || len(groups) != 10 {
		t.Errorf("%d attacks in %d groups", len(seen), len(groups))
	}
}
