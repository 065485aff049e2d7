package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain is the command where the command runs itself, and fails on a
// goroutine that outlives the tests.
func TestMain(m *testing.M) {
	if slices.Contains(os.Args, "-serve") {
		main()
		return
	}
	code := m.Run()
	tick := time.NewTicker(10 * time.Millisecond)
	for giveUp := time.After(10 * time.Second); runtime.NumGoroutine() > 1; {
		select {
		case <-tick.C:
			continue
		case <-giveUp:
		}
		fmt.Fprintln(os.Stderr, "goroutines were left behind:")
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		code = 1
		break
	}
	os.Exit(code)
}

// The part runs from end to end. What comes out is not judged.
func TestWire(t *testing.T) {
	p := plan{only: "wire", rounds: 2, idleRounds: 1, messages: 2000, conns: []int{20, 50}, benchtime: "1ms", log: t.Output()}
	machine := watchMachine()
	result := result{Rows: p.measure(), Machine: machine()}
	if err := result.complete(); err != nil {
		t.Error(err)
	}
	wantRounds := map[string]int{"goroutines": p.idleRounds, "KiB resident": p.idleRounds}
	wantsMore := map[string]bool{"µs of server CPU": true, "KiB resident": true, "goroutines": true}
	seen := map[string]int{}
	for _, r := range result.Rows {
		seen[r.Unit]++
		want := wantRounds[r.Unit]
		if want == 0 {
			want = p.rounds
		}
		if r.Part != "wire" || len(r.Rounds) != want {
			t.Errorf("%q, %q: part %q, %d rounds, want wire, %d", r.Figure, r.Contender, r.Part, len(r.Rounds), want)
		}
		if wantsMore[r.Unit] && slices.Min(r.Rounds) <= 0 {
			t.Errorf("%q, %q: %v, want more than nothing", r.Figure, r.Contender, r.Rounds)
		}
		if r.Unit == "goroutines" && r.Contender == title("coder") && r.Median != 1 {
			t.Errorf("%v goroutines of a library that starts none, want the HTTP server's", r.Median)
		}
	}
	for unit, want := range map[string]int{"µs of server CPU": 2*8 + 4*3, "KiB resident": 2 * 4, "goroutines": 2 * 4, "ns of CPU a frame": 12, "allocations a frame": 12} {
		if seen[unit] != want {
			t.Errorf("%d rows of %s, want %d", seen[unit], unit, want)
		}
	}

	var table strings.Builder
	result.print(&table)
	t.Log(table.String())
	for _, name := range everybody {
		if c := title(name); !strings.Contains(table.String(), c) {
			t.Errorf("the table does not mention %s", c)
		}
	}
	file := filepath.Join(t.TempDir(), "rows.json")
	if err := result.writeJSON(file); err != nil {
		t.Fatal(err)
	}
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var back struct{ Rows []Row }
	if err := json.Unmarshal(written, &back); err != nil || len(back.Rows) != len(result.Rows) {
		t.Errorf("%d rows come back from the file, %v, want %d", len(back.Rows), err, len(result.Rows))
	}
}

// Handshakes are measured with every algorithm, and with profiles.
func TestHandshakes(t *testing.T) {
	p := plan{rounds: 2, handshakes: 20, profiles: t.TempDir(), log: t.Output()}
	rows := measureHandshakes(&p)
	if err := (result{Rows: rows}).complete(); err != nil {
		t.Error(err)
	}
	if len(rows) != 2*len(algorithms)+2+5+7 {
		t.Errorf("%d rows, want two for each algorithm and for tickets, five at the origin and seven elsewhere", len(rows))
	}
	for _, r := range rows {
		if r.Problem != "" {
			t.Errorf("%s, %s: %s", r.Figure, r.Contender, r.Problem)
		}
	}
	for _, kind := range []string{"cpu", "heap"} {
		file := filepath.Join(p.profiles, "full-ES256."+kind+".pprof")
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("no profile of the contender: %v", err)
		}
	}
}

// A server that does not start is said, and leaves the others their rows.
func TestNotMeasured(t *testing.T) {
	_, err := echoCPU(&plan{messages: 100, log: io.Discard}, "nobody", 0, 1, 1)
	if err == nil {
		t.Fatal("a contender that does not exist was measured")
	}
	f := newFigure("echo", "µs", "base")
	f.add("base", 2, nil)
	f.add("other", 0, err)
	f.add("other", 1, nil)
	result := result{Rows: f.rows()}
	if err := result.complete(); err == nil {
		t.Error("a row without a value counts as measured")
	}
	var table strings.Builder
	result.print(&table)
	if got := table.String(); strings.Count(got, "NOT MEASURED") != 1 || !strings.Contains(got, "2.00") {
		t.Errorf("the table is %s", got)
	}
}

// The schema of the full chain is enforced where it is measured.
func TestFullRefuses(t *testing.T) {
	for _, tc := range []struct {
		name, message string
		ok            bool
	}{
		{"message of the load", chatMessage, true},
		{"type that does not exist", strings.Replace(chatMessage, "say", "sey", 1), false},
		{"member that the schema lacks", strings.Replace(chatMessage, "urgent", "argent", 1), false},
		{"no JSON", chatMessage[1:], false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := startServer("full", 0, &plan{log: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			defer s.stop()
			c, err := dial(s, tc.message, 1)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.exchange(1); (err == nil) != tc.ok {
				t.Errorf("exchange: %v, want no error: %v", err, tc.ok)
			}
		})
	}
}

func TestWrongArguments(t *testing.T) {
	for _, args := range [][]string{{"-only", "nothing"}, {"-rounds", "-1"}, {"-unknown"}, {"wire"}} {
		if err := run(args, nil, io.Discard, io.Discard); !errors.Is(err, errUsage) {
			t.Errorf("%q: %v, want a wrong argument", args, err)
		}
	}
}

func TestFigure(t *testing.T) {
	one := &target{Limit: 1}
	for _, tc := range []struct {
		name        string
		base, value []float64
		ofRatio     *target
		ofValue     *target
		median      float64
		ratio       float64 // 0 is none
		holds       string
	}{
		{"ratio of each round, not of the medians", []float64{1, 10, 100}, []float64{2, 5, 400}, one, nil, 5, 2, "false"},
		{"ratio that is just reached", []float64{2, 2}, []float64{2, 2}, one, nil, 2, 1, "true"},
		{"even number of rounds", []float64{1, 1, 1, 1}, []float64{4, 1, 3, 2}, one, nil, 2.5, 2.5, "false"},
		{"base of nothing", []float64{0}, []float64{1}, one, nil, 1, 0, "unknown"},
		{"no target", []float64{1}, []float64{3}, nil, nil, 3, 3, "unknown"},
		{"value below its target", []float64{1}, []float64{39}, nil, &target{Limit: 40}, 39, 39, "true"},
		{"value above its target", []float64{1}, []float64{41}, nil, &target{Limit: 40}, 41, 41, "false"},
		{"least value below its target", []float64{1, 1, 1}, []float64{80, 39, 70}, nil, &target{Limit: 40, Least: true}, 70, 70, "true"},
		{"least value above its target", []float64{1, 1}, []float64{41, 42}, nil, &target{Limit: 40, Least: true}, 41.5, 41.5, "false"},
		{"exactly the target", []float64{2}, []float64{1}, nil, &target{Limit: 1, Exactly: true}, 1, 0.5, "true"},
		{"below an exact target", []float64{1}, []float64{0.5}, nil, &target{Limit: 1, Exactly: true}, 0.5, 0.5, "false"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFigure("figure", "unit", "base")
			f.target["value"] = tc.ofValue
			if tc.ofRatio != nil {
				f.beside("value", "base", tc.ofRatio.Limit)
			}
			for i := range tc.base {
				f.add("base", tc.base[i], nil)
				f.add("value", tc.value[i], nil)
			}
			r := f.rows()[1]
			ratio, verdict := 0.0, r.Holds
			if len(r.Beside) > 0 && r.Beside[0].Rounds != nil {
				ratio = r.Beside[0].Median
				if tc.ofRatio != nil {
					verdict = r.Beside[0].Holds
				}
			}
			holds := "unknown"
			if verdict != nil {
				holds = fmt.Sprint(*verdict)
			}
			if low, high := middle(r.Rounds); low > tc.median || high < tc.median {
				t.Errorf("the middle is from %v to %v, without the median %v", low, high, tc.median)
			}
			if r.Median != tc.median || ratio != tc.ratio || holds != tc.holds {
				t.Errorf("median %v, ratio %v, holds %s, want %v, %v, %s", r.Median, ratio, holds, tc.median, tc.ratio, tc.holds)
			}
		})
	}
}

// One contender is held against several, each with a target of its own, and
// what could not be measured takes away its own column alone.
func TestSeveralBases(t *testing.T) {
	f := newFigure("figure", "unit")
	f.beside("ours", "one", 2)
	f.beside("ours", "two", 0.5)
	f.beside("ours", "broken", 1)
	for _, v := range []float64{1, 10} {
		f.add("one", 4*v, nil)
		f.add("two", v, nil)
		f.add("broken", 0, io.ErrUnexpectedEOF)
		f.add("ours", 2*v, nil)
	}
	rows := f.rows()
	beside := rows[3].Beside
	if len(beside) != 3 || beside[2].Holds != nil || beside[0].Median != 0.5 || !*beside[0].Holds || beside[1].Median != 2 || *beside[1].Holds {
		t.Errorf("beside the bases: %+v", beside)
	}
	var table strings.Builder
	result{Rows: rows}.print(&table)
	for _, want := range []string{"/ one", "/ two", "≤ 2: holds", "≤ 0.5: missed", "≤ 1: unknown"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &table)
		}
	}
}

// The load counts echoes, and takes nothing else for one.
func TestExchange(t *testing.T) {
	good := append(header(text, len(chatMessage), false), chatMessage...)
	for _, tc := range []struct {
		name   string
		answer []byte // to three messages
		ok     bool
	}{
		{"three echoes", bytes.Repeat(good, 3), true},
		{"one echo too few", bytes.Repeat(good, 2), false},
		{"one byte too many", append(bytes.Repeat(good, 3), 0x81), false},
		{"shorter message", bytes.Repeat(append(header(text, 129, false), chatMessage[1:]...), 3), false},
		{"another opcode", bytes.Repeat(append(header(bin, 130, false), chatMessage...), 3), false},
		{"close frame", append(bytes.Repeat(good, 2), 0x88, 0x02, 0x03, 0xe8), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			c := newClient(ours, chatMessage, 3)
			got := make(chan []byte, 1)
			go func() {
				defer theirs.Close()
				sent := make([]byte, 3*c.size)
				_, _ = io.ReadFull(theirs, sent)
				got <- sent
				_, _ = theirs.Write(tc.answer)
			}()
			if err := c.exchange(3); (err == nil) != tc.ok {
				t.Errorf("exchange: %v, want no error: %v", err, tc.ok)
			}
			_ = ours.Close()
			if !bytes.Equal(<-got, c.frames) {
				t.Error("what was sent are not the frames")
			}
		})
	}
}
