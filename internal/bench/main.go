// Command bench measures what a guarded connection costs beside what other
// libraries cost bare, all in one run, and prints medians and ratios.
//
//	go run -C internal/bench . -only wire
//
// and what it costs to check a message beside what other validators cost, for
// which AJV is installed on Node first:
//
//	npm --prefix internal/bench/ajv ci
//	go run -C internal/bench . -only schema
//
// The part handshake is what a handshake costs, accepted and refused. What
// README shows is written by
//
//	go run -C internal/bench . -svg bench.svg -md bench.md
//
// Each contender of wire and handshake is a server process of its own on loopback;
// this process is the load. CPU time and memory are what the operating system
// says of the server alone. Contenders take turns (A B C A B C …), so that what
// slows the machine for a while slows them all, and a ratio is the median of the
// ratios of single rounds. A target in nanoseconds is held against the least
// round: whatever else the machine does only adds to it.
//
// It judges nothing: it exits with 0 when it could measure, whatever came out,
// and with 1 when it could not measure everything. Memory needs Linux, the rest
// any Unix.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// parts are what -only picks from.
var parts = []part{
	{"wire", measureWire},
	{"handshake", measureHandshakes},
	{"keepalive", measureKeepAlive},
	{"storm", measureStorm},
	{"growth", measureGrowth},
	{"schema", measureSchema},
}

// A part is a group of rows that are measured together. Its function returns
// rows also for what it could not measure.
type part struct {
	name    string
	measure func(*plan) []Row
}

// A plan is how much is measured, and where progress goes.
type plan struct {
	only       string        // a part; "" is all
	rounds     int           // of what takes time
	idleRounds int           // of what takes memory
	messages   int           // of one contender in one round
	handshakes int           // the same
	storm      int           // messages of one client in a storm
	profiles   string        // a directory for profiles of contenders; "" is none
	users      int           // with a connection each, in memory
	idlers     int           // connections in memory
	settle     time.Duration // until they are watched: their first pings are to be out
	watch      time.Duration // for how long
	conns      []int         // idle connections of one contender in one round, one figure each
	benchtime  string
	log        io.Writer
}

// Many short rounds say more than a few long ones while others use the machine.
var (
	wholePlan = plan{rounds: 5, idleRounds: 3, messages: 20_000, handshakes: 1_000, storm: 50,
		users: 10_000, idlers: idlers, settle: 35 * time.Second, watch: 30 * time.Second, conns: []int{1_000, 5_000, 18_000}, benchtime: "100ms"}
	quickPlan = plan{rounds: 2, idleRounds: 1, messages: 4_000, handshakes: 100, storm: 5,
		users: 1_000, idlers: fewIdlers, settle: 0, watch: time.Second, conns: []int{500}, benchtime: "10ms"}
)

func (p *plan) progress(format string, args ...any) { fmt.Fprintf(p.log, format+"\n", args...) }

// measure runs the parts that are wanted.
func (p *plan) measure() (rows []Row) {
	for _, part := range parts {
		if p.only == "" || p.only == part.name {
			rows = append(rows, part.measure(p)...)
		}
	}
	return rows
}

// errUsage is a wrong argument, which was explained.
var errUsage = errors.New("wrong arguments")

func main() {
	switch err := run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run is the command.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var names []string
	for _, part := range parts {
		names = append(names, part.name)
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "the `part` to measure: "+strings.Join(names, ", "))
	quick := flags.Bool("quick", false, "measure little: shows that the command works, not what things cost")
	rounds := flags.Int("rounds", 0, "`number` of rounds of everything (0: 5 of what takes time, 3 of what takes memory)")
	file := flags.String("json", "", "write the rows to this `file`")
	plot := flags.String("svg", "", "plot the ratios that have a target into this `file`")
	markdown := flags.String("md", "", "write the rows that have a target to this `file`, as a table in Markdown")
	profiles := flags.String("profile", "", "keep a CPU and a heap profile of each contender in this `directory`")
	serve := flags.String("serve", "", "be the server of this `contender`, for the command itself")
	of := flags.Int("sample", 0, "serve messages like this `sample`, for the command itself")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errUsage
	}
	if flags.NArg() > 0 || *rounds < 0 || *of < 0 || *of >= len(samples) || *only != "" && !slices.Contains(names, *only) {
		fmt.Fprintf(stderr, "bench cannot use %q\n", args)
		flags.Usage()
		return errUsage
	}
	if *serve != "" {
		return serveContender(*serve, samples[*of], *profiles, stdin, stdout)
	}
	p := wholePlan
	if *quick {
		p = quickPlan
	}
	if *rounds > 0 {
		p.rounds, p.idleRounds = *rounds, *rounds
	}
	p.only, p.profiles, p.log = *only, *profiles, stderr

	machine := watchMachine()
	result := result{Rows: p.measure(), Machine: machine()}
	result.print(stdout)
	if *quick {
		fmt.Fprintln(stdout, "This was -quick: too little to say what anything costs.")
	}
	for _, out := range []struct {
		file  string
		write func(string) error
	}{{*file, result.writeJSON}, {*plot, result.writeSVG}, {*markdown, result.writeMarkdown}} {
		if out.file == "" {
			continue
		}
		if err := out.write(out.file); err != nil {
			return err
		}
	}
	return result.complete()
}
