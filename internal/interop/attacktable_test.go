package interop

import (
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"text/template"
	"time"
)

var attackFile = flag.String("attacks", "", "run TestAttackTable, and write its table to this file")

//go:embed ATTACKS.md.tmpl
var attackPage string

// A page is what ATTACKS.md.tmpl gets.
type page struct {
	Date, Go, System string
	CPUs             int
	Modules          []string // of the libraries, with their versions
	Libraries        []string
	Attacks          []pageRow
	Cells            int // attacks on libraries
	Bare, Guarded    int // of them not stopped
	Stall            time.Duration
	Fragments        int
	Rate, Burst      int // KiB
	Windows          [3]string
}

type pageRow struct {
	Name, What, Source string
	Summary            []string // for each library
	Cells              []pageCell
}

type pageCell struct {
	Library                       string
	BareVerdict, Bare             string
	GuardedVerdict, GuardedResult string
}

// A cell is one place of the table.
type cell struct {
	attack, library string
	inside          bool
}

// TestAttackTable measures every attack on every library, bare and inside a
// chain, and writes the table. Nothing is wanted of the bare libraries.
func TestAttackTable(t *testing.T) {
	if *attackFile == "" {
		t.Skip("make interop runs this: it takes minutes")
	}
	var mu sync.Mutex
	outcomes := make(map[cell]outcome)
	measure := func(t *testing.T, at *attack, l library, inside bool) {
		o, _ := at.perform(t, stack{library: l, mount: noRouter[0]}, inside, at.window)
		where := map[bool]string{false: "bare", true: "guarded"}[inside]
		mu.Lock()
		defer mu.Unlock()
		outcomes[cell{at.name, l.name, inside}] = o
		fmt.Printf("%-31s %-8s %-8s %s: %s\n", at.name, l.name, where, o.verdict(), o)
		if inside && o.verdict() == "not stopped" {
			t.Error("not stopped inside the chain")
		}
	}
	// What waits can wait at once; what keeps the processors busy comes after
	// that, one at a time.
	each := func(busy, parallel bool) func(*testing.T) {
		return func(t *testing.T) {
			for i := range attacks {
				if (attacks[i].window == burst) != busy {
					continue
				}
				for _, l := range libraries {
					for _, inside := range []bool{false, true} {
						t.Run(attacks[i].name+"/"+l.name, func(t *testing.T) {
							if parallel {
								t.Parallel()
							}
							measure(t, &attacks[i], l, inside)
						})
					}
				}
			}
		}
	}
	t.Run("waiting", each(false, true))
	t.Run("busy", each(true, false))
	if len(outcomes) != 2*len(attacks)*len(libraries) {
		t.Fatalf("%d outcomes of %d attacks on %d libraries: nothing is written", len(outcomes), len(attacks), len(libraries))
	}
	writePage(t, outcomes)
}

func writePage(t *testing.T, outcomes map[cell]outcome) {
	p := page{
		Date: time.Now().UTC().Format(time.DateOnly), Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		CPUs: runtime.NumCPU(), Modules: versions(t), Stall: guardedStall, Fragments: guardedFragments,
		Rate: guardedRate >> 10, Burst: guardedBurst >> 10, Windows: [3]string{inWords(burst), inWords(brief), inWords(long)},
	}
	for _, l := range libraries {
		p.Libraries = append(p.Libraries, l.name)
	}
	for _, at := range attacks {
		row := pageRow{Name: at.name, What: at.what, Source: at.source}
		for _, l := range libraries {
			bare, guarded := outcomes[cell{at.name, l.name, false}], outcomes[cell{at.name, l.name, true}]
			row.Summary = append(row.Summary, bare.verdict()+" → "+guarded.verdict())
			row.Cells = append(row.Cells, pageCell{l.name, bare.verdict(), bare.String(), guarded.verdict(), guarded.String()})
			p.Cells++
			if bare.verdict() == "not stopped" {
				p.Bare++
			}
			if guarded.verdict() == "not stopped" {
				p.Guarded++
			}
		}
		p.Attacks = append(p.Attacks, row)
	}
	f, err := os.Create(*attackFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := template.Must(template.New("").Parse(attackPage)).Execute(f, p); err != nil {
		t.Error(err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	fmt.Printf("not stopped: %d of %d bare, %d guarded; written to %s\n", p.Bare, p.Cells, p.Guarded, *attackFile)
}

// versions asks the go command for those of the libraries, which a test's
// build information does not have.
func versions(t *testing.T) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Path}} {{.Version}}",
		"github.com/coder/websocket", "github.com/gorilla/websocket", "github.com/lxzan/gws",
		"github.com/gobwas/ws", "github.com/olahol/melody").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	return strings.Split(strings.TrimSpace(string(out)), "\n")
}
