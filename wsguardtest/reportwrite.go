package wsguardtest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html/template"
	"io"
	"strings"
)

// WriteJSON writes the report as JSON, durations in nanoseconds.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

type junitSuite struct {
	XMLName  xml.Name    `xml:"testsuite"`
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Time     string      `xml:"time,attr"`
	Stamp    string      `xml:"timestamp,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string     `xml:"classname,attr"`
	Name    string     `xml:"name,attr"`
	Time    string     `xml:"time,attr"`
	Error   *junitNote `xml:"error,omitempty"`
	Failure *junitNote `xml:"failure,omitempty"`
	Skipped *junitNote `xml:"skipped,omitempty"`
	Out     string     `xml:"system-out,omitempty"`
}

type junitNote struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// WriteJUnit writes the report as the XML that CI systems read. What is not
// judged is skipped there, with the reason; a good client that is not served is
// an error.
func (r *Report) WriteJUnit(w io.Writer) error {
	s := junitSuite{Name: "wsattack", Tests: len(r.Results), Failures: r.Count(NotWithstood),
		Skipped: r.Count(NotJudged) + r.Count(Skipped), Time: fmt.Sprintf("%.3f", r.Took.Seconds()),
		Stamp: r.Started.Format("2006-01-02T15:04:05")}
	if r.Baseline != "" {
		s.Errors++
		s.Tests++
		s.Cases = append(s.Cases, junitCase{Class: "baseline", Name: "good client", Time: "0", Error: &junitNote{Message: r.Baseline}})
	}
	for _, one := range r.Results {
		c := junitCase{Class: one.Group(), Name: one.Name, Time: fmt.Sprintf("%.3f", one.Took.Seconds())}
		switch one.Verdict {
		case Withstood:
			c.Out = one.Seen
		case NotWithstood:
			c.Failure = &junitNote{one.Seen, fmt.Sprintf("%s (%s, CWE-%d)", one.What, strings.Join(one.Requirements, ", "), one.CWE)}
		default:
			c.Skipped = &junitNote{Message: string(one.Verdict) + ": " + one.Seen}
		}
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	e := xml.NewEncoder(w)
	e.Indent("", "  ")
	if err := e.Encode(s); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

// WriteHTML writes the report as one page that needs nothing else: no script,
// no font, no image.
func (r *Report) WriteHTML(w io.Writer) error { return reportPage.Execute(w, r) }

var reportPage = template.Must(template.New("report").Funcs(template.FuncMap{
	"list":  func(s []string) string { return strings.Join(s, ", ") },
	"class": func(v Verdict) string { return strings.ReplaceAll(string(v), " ", "-") },
}).Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Attacks on {{.Target}}</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; color: #1b1f24; background: #fff }
h1 { font-size: 1.4rem } table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem; border-bottom: 1px solid #d8dee4 }
td small { color: #57606a; display: block } .verdict { font-weight: 600; white-space: nowrap }
.passed .verdict { color: #116329 } .failed .verdict { color: #a40e26 } .failed { background: #fff0f0 }
.not-judged .verdict, .skipped .verdict { color: #6a5600 } .baseline { border-left: 4px solid #a40e26; padding: .5rem 1rem }
@media (prefers-color-scheme: dark) {
 body { color: #e6edf3; background: #0d1117 } th, td { border-color: #30363d } td small { color: #9198a1 }
 .passed .verdict { color: #57d06f } .failed .verdict { color: #ff8b8b } .failed { background: #2d1214 }
 .not-judged .verdict, .skipped .verdict { color: #e0c050 } }
</style></head><body>
<h1>Attacks on {{.Target}}</h1>
<p>{{.String}}. Begun {{.Started.Format "2006-01-02 15:04:05 UTC"}}, {{printf "%.1f" .Took.Seconds}} s.</p>
{{with .Baseline}}<p class="baseline">The good client was not served: {{.}}</p>{{end}}
<table><thead><tr><th scope="col">Attack</th><th scope="col">Verdict</th><th scope="col">Seen</th><th scope="col">Requirements</th></tr></thead><tbody>
{{range .Results}}<tr class="{{class .Verdict}}"><td><code>{{.Name}}</code><small>{{.What}}</small></td><td class="verdict">{{.Verdict}}</td><td>{{.Seen}}</td><td>{{list .Requirements}}<small>CWE-{{.CWE}}</small></td></tr>
{{end}}</tbody></table></body></html>
`))
