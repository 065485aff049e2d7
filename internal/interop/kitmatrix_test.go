package interop

import (
	_ "embed"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"text/template"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

var (
	kitFile  = flag.String("kit", "", "run TestKitMatrix, and write its matrix to this file")
	chatFile = flag.String("chat", "", "the chat's report in JSON, which is a column of the matrix")
)

//go:embed KIT.md.tmpl
var kitPage string

// A column is an endpoint's.
type column struct {
	Name                 string
	Report               wsguardtest.Report
	Passed, Failed, Rest int
}

func newColumn(name string, r wsguardtest.Report) column {
	passed, failed := r.Count(wsguardtest.Withstood), r.Count(wsguardtest.NotWithstood)
	return column{name, r, passed, failed, len(r.Results) - passed - failed}
}

// kitLimit is what the libraries' READMEs leave the length of a message at;
// gorilla's has no limit.
var kitLimit = map[string]int{"coder": 32 << 10, "gws": 16 << 20, "gobwas": 1 << 20, "melody": 512}

// byItself is an attack that is measured with an application of its own, which
// sees a panic.
const byItself = "wire/negative-length"

const kitClaim = 5 * time.Second

// TestKitMatrix runs the whole kit against the bare libraries, and writes the
// matrix of it and the chat's report. Nothing is wanted of the libraries.
func TestKitMatrix(t *testing.T) {
	if *kitFile == "" {
		t.Skip("make attack runs this: it takes minutes")
	}
	var chat wsguardtest.Report
	data, err := os.ReadFile(*chatFile)
	if err == nil {
		err = json.Unmarshal(data, &chat)
	}
	if err != nil || len(chat.Results) != len(wsguardtest.Attacks()) {
		t.Fatalf("the chat's report has %d attacks, %v: write -chat with the file that examples/chat wrote", len(chat.Results), err)
	}
	columns := []column{newColumn("chat", chat)}
	for _, l := range libraries {
		stop := make(chan struct{})
		n := 0
		target := wsguardtest.Target{Handler: l.handler(t, app{stop: stop, sameOrigin: true}), Host: "app.example.com"}
		report, err := wsguardtest.Run(t.Context(), target,
			wsguardtest.Profile{Origin: "http://app.example.com", Message: `{"text":"hi"}`, Flood: 500 * time.Millisecond, Parallel: 24,
				Claims: wsguardtest.Claims{MessageBytes: kitLimit[l.name], DeadPeer: kitClaim, Stall: kitClaim},
				Skip:   map[string]string{"time/reader-that-stops": "ATTACKS.md has it", byItself: "comes last"}},
			func(r wsguardtest.Result) {
				n++
				fmt.Fprintf(os.Stderr, "%-8s [%3d/%3d] %-34s %-10s %s\n", l.name, n, len(chat.Results), r.Name, r.Verdict, r.Seen)
			})
		if err != nil || report.Baseline != "" {
			t.Fatal(l.name, err, report.Baseline)
		}
		var died atomic.Bool
		target.Handler = l.handler(t, app{stop: stop, sameOrigin: true, died: func() { died.Store(true) }})
		last, err := wsguardtest.Run(t.Context(), target, wsguardtest.Profile{Origin: "http://app.example.com", Only: []string{byItself}}, nil)
		if err != nil || last.Baseline != "" {
			t.Fatal(l.name, err, last.Baseline)
		}
		result := last.Results[0]
		if died.Load() {
			result.Verdict, result.Seen = wsguardtest.NotWithstood, "a panic"
		}
		fmt.Fprintf(os.Stderr, "%-8s %s %s %s\n", l.name, result.Name, result.Verdict, result.Seen)
		for i := range report.Results {
			if report.Results[i].Name == byItself {
				report.Results[i] = result
			}
		}
		close(stop)
		columns = append(columns, newColumn(l.name, report))
	}
	writeMatrix(t, columns)
}

type matrixRow struct {
	Name  string
	Cells []string
}

func writeMatrix(t *testing.T, columns []column) {
	var rows []matrixRow
	var skipped []string
	for i, v := range wsguardtest.Attacks() {
		row := matrixRow{Name: v.Name}
		for _, c := range columns {
			r := c.Report.Results[i]
			cell := string(r.Verdict)
			switch r.Verdict {
			case wsguardtest.NotWithstood:
				cell = "**failed**"
			case wsguardtest.NotJudged:
				cell = "–"
			case wsguardtest.Skipped:
				skipped = append(skipped, fmt.Sprintf("%s, %s: %s", r.Name, c.Name, r.Seen))
			}
			row.Cells = append(row.Cells, cell)
		}
		rows = append(rows, row)
	}
	f, err := os.Create(*kitFile)
	if err != nil {
		t.Fatal(err)
	}
	err = template.Must(template.New("").Parse(kitPage)).Execute(f, map[string]any{
		"Date": time.Now().UTC().Format(time.DateOnly), "Go": runtime.Version(), "System": runtime.GOOS + "/" + runtime.GOARCH,
		"CPUs": runtime.NumCPU(), "Modules": versions(t), "Columns": columns, "Rows": rows, "Skipped": skipped, "Claim": "5 seconds",
	})
	if err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}
