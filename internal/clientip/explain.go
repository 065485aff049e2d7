package clientip

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// maxQuoted is the number of bytes of an entry that Explain shows.
const maxQuoted = 64

// Explain says in a few lines how [Resolver.Resolve] comes to its answer: each
// hop that is read, and why it is believed or not. It is meant for operators
// and is not to be shown to clients. What the request holds is quoted, with all
// that is not printable ASCII escaped, and cut after 64 bytes.
func (r *Resolver) Explain(remoteAddr string, h http.Header) string {
	t := new(trace)
	fmt.Fprintf(t, "header %s: %d lines\n", r.header, len(h[r.header]))
	c, err := r.resolve(remoteAddr, h, t)
	switch {
	case err != nil:
		fmt.Fprintf(t, "no client: %v", err)
	case !c.Addr.IsValid():
		fmt.Fprintf(t, "client: unknown, source %s", c.Source)
	default:
		fmt.Fprintf(t, "client: %s, source %s", c.Addr, c.Source)
	}
	return t.String()
}

// trace takes down the steps of a resolution. A nil trace takes down nothing.
type trace struct{ strings.Builder }

func (t *trace) step(what, text, verdict string) {
	if t == nil {
		return
	}
	rest := ""
	if len(text) > maxQuoted {
		text, rest = text[:maxQuoted], "..."
	}
	fmt.Fprintf(t, "%s %s%s: %s\n", what, strconv.QuoteToASCII(text), rest, verdict)
}
