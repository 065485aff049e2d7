package clientip_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/clientip"
)

// R56
func TestExplain(t *testing.T) {
	rows := []struct {
		name, header, peer string
		lines              []string
		want               []string // want are parts of the lines, in order.
	}{
		{"client found", "", hop, []string{"6.6.6.6, 203.0.113.7", "10.0.0.2"}, []string{
			"header X-Forwarded-For: 2 lines",
			`peer "10.0.0.1:443": trusted`,
			`entry "10.0.0.2": trusted`,
			`entry "203.0.113.7": not trusted`,
			"client: 203.0.113.7, source x-forwarded-for",
		}},
		{"peer not trusted", "", "198.51.100.9:1", []string{"6.6.6.6"}, []string{
			"header", `peer "198.51.100.9:1": not trusted`, "client: 198.51.100.9, source peer",
		}},
		{"no address", "", "@", nil, []string{"header", `peer "@": no IP address`, "no client: "}},
		{"no header", "", hop, nil, []string{"header X-Forwarded-For: 0 lines", "peer", "client: 10.0.0.1, source trusted-hop"}},
		{"line break in the peer", "", "x\ny", nil, []string{"header", `peer "x\ny"`, "no client: "}},
		{"escape sequences", "", hop, []string{"\x1b[31m\r\nforged: line\u202e"}, []string{
			"header", "peer", `entry "\x1b[31m\r\nforged: line\u202e": no address`, "no client: malformed",
		}},
		{"not ASCII", "", hop, []string{"203.0.113.７"}, []string{"header", "peer", `entry "203.0.113.\uff17": no address`, "no client: "}},
		{"long entry", "", hop, []string{strings.Repeat("x", 5000)}, []string{
			"header", "peer", `entry "` + strings.Repeat("x", 64) + `"...: no address`, "no client: ",
		}},
		{"too long", "", hop, []string{strings.Repeat("x", 9000)}, []string{"header", "peer", "too long", "no client: "}},
		{"too many hops", "", hop, []string{strings.Repeat("10.0.0.2,", 33)}, append(append(
			[]string{"header", "peer"}, slices.Repeat([]string{`entry "10.0.0.2": trusted`}, 32)...),
			`entry "10.0.0.2": one hop too many`, "no client: ")},
		{"quote", fwd, hop, []string{`for="`}, []string{"header", "peer", "does not end", "no client: "}},
		{"commas leave no trace", "", hop, []string{strings.Repeat(",", 8000)}, []string{"header", "peer", "client: "}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := newResolver(t, clientip.Config{Trusted: trusted, Header: row.header})
			name := row.header
			if name == "" {
				name = xff
			}
			text := r.Explain(row.peer, header(name, row.lines...))
			got := strings.Split(text, "\n")
			if len(got) != len(row.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(got), len(row.want), text)
			}
			for i, part := range row.want {
				if !strings.Contains(got[i], part) {
					t.Errorf("line %d: %q does not hold %q", i, got[i], part)
				}
			}
		})
	}
}

func TestExplainUnix(t *testing.T) {
	r := newResolver(t, clientip.Config{TrustUnixPeer: true})
	if text := r.Explain("@", nil); !strings.HasSuffix(text, "client: unknown, source unix") {
		t.Error(text)
	}
}
