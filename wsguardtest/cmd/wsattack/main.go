// Command wsattack attacks a WebSocket endpoint and prints what it withstood.
//
//	wsattack -url ws://127.0.0.1:8080/ws -profile profile.json
//	wsattack -list
//
// A profile is what wsguardtest.ParseProfile reads. The command exits with 1 if
// an attack was not withstood or the good client was not served, and with 2 if
// it was called wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"

	"github.com/wsguard/wsguard/wsguardtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// outputs are the files that a report can be written to, and how.
type outputs map[string]func(*wsguardtest.Report, io.Writer) error

func run(ctx context.Context, args []string, out, problems io.Writer) int {
	flags := flag.NewFlagSet("wsattack", flag.ContinueOnError)
	flags.SetOutput(problems)
	list := flags.Bool("list", false, "print the names of all attacks, one a line")
	url := flags.String("url", "", "the endpoint, such as ws://127.0.0.1:8080/ws")
	profileFile := flags.String("profile", "", "JSON `file` that says what a good client does")
	mine := flags.Bool("this-host-is-mine", false, "attack a host that is not on a loopback address; do so only if it is yours")
	only := flags.String("only", "", "names or groups of attacks to run, with commas between them")
	jsonFile := flags.String("json", "", "write the report to this `file` as JSON")
	junitFile := flags.String("junit", "", "write the report to this `file` as JUnit XML")
	htmlFile := flags.String("html", "", "write the report to this `file` as a page")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	wrong := func(err error) int {
		fmt.Fprintln(problems, "wsattack:", err)
		return 2
	}
	if *list {
		for _, v := range wsguardtest.Attacks() {
			fmt.Fprintln(out, v.Name)
		}
		return 0
	}
	if *url == "" || flags.NArg() > 0 {
		return wrong(errors.New("write wsattack -url ws://127.0.0.1:8080/ws -profile profile.json"))
	}
	p, err := readProfile(*profileFile)
	if err != nil {
		return wrong(err)
	}
	if *only != "" {
		p.Only = strings.Split(*only, ",")
	}
	report, err := wsguardtest.Run(ctx, wsguardtest.Target{URL: *url, ThisHostIsMine: *mine}, p, table(out, p.Only))
	if err != nil {
		return wrong(err)
	}
	fmt.Fprintf(out, "\n%s, in %.1f s\n", report.String(), report.Took.Seconds())
	for file, write := range (outputs{*jsonFile: (*wsguardtest.Report).WriteJSON,
		*junitFile: (*wsguardtest.Report).WriteJUnit, *htmlFile: (*wsguardtest.Report).WriteHTML}) {
		if err := save(file, &report, write); err != nil {
			return wrong(err)
		}
	}
	if !report.OK() || ctx.Err() != nil {
		return 1
	}
	return 0
}

func readProfile(name string) (wsguardtest.Profile, error) {
	if name == "" {
		return wsguardtest.Profile{}, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return wsguardtest.Profile{}, err
	}
	return wsguardtest.ParseProfile(data)
}

// table returns a function that prints a row, with how many there were, and the
// head of the table before the first.
func table(out io.Writer, only []string) func(wsguardtest.Result) {
	n, all := 0, 0
	for _, v := range wsguardtest.Attacks() {
		if len(only) == 0 {
			all++
		}
		for _, o := range only {
			if v.Name == o || v.Group() == o {
				all++
				break
			}
		}
	}
	return func(r wsguardtest.Result) {
		if n == 0 {
			fmt.Fprintf(out, "%9s %-34s %-11s %-9s %s\n", "", "attack", "verdict", "requires", "seen")
		}
		n++
		fmt.Fprintf(out, "[%3d/%3d] %-34s %-11s %-9s %s\n", n, all, r.Name, r.Verdict, strings.Join(r.Requirements, ","), r.Seen)
	}
}

func save(name string, r *wsguardtest.Report, write func(*wsguardtest.Report, io.Writer) error) error {
	if name == "" {
		return nil
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(r, f), f.Close())
}
