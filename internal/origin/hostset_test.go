package origin_test

import (
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/origin"
)

var hostTable = []struct {
	name, header string
	want         bool
}{
	{"no port", "ws.example.com", true},
	{"upper case", "WS.Example.com", true},
	{"port 443", "ws.example.com:443", true},
	{"port 80", "ws.example.com:80", true},
	{"listed port", "dev.example.com:8443", true},
	{"wildcard", "a.b.wild.example.org", true},
	{"wildcard, port 443", "a.wild.example.org:443", true},
	{"IPv6", "[::1]", true},
	{"IPv6, long form and port 80", "[0:0::1]:80", true},
	{"IPv6 with the listed port", "[2001:db8::1]:8080", true},
	{"IPv4", "127.0.0.1", true},

	{"rebound name", "attacker.com", false},
	{"another port", "ws.example.com:8443", false},
	{"listed port missing", "dev.example.com", false},
	{"listed port differs", "dev.example.com:443", false},
	{"wildcard's own suffix", "wild.example.org", false},
	{"wildcard, another port", "a.wild.example.org:8443", false},
	{"longer name", "evilws.example.com", false},
	{"suffix appended", "ws.example.com.evil.com", false},
	{"trailing dot", "ws.example.com.", false},
	{"absent", "", false},
	{"port alone", ":443", false},
	{"port empty", "ws.example.com:", false},
	{"port 0", "ws.example.com:0", false},
	{"port with leading zeros", "ws.example.com:0443", false},
	{"scheme", "https://ws.example.com", false},
	{"path", "ws.example.com/", false},
	{"user information", "x@ws.example.com", false},
	{"list", "ws.example.com,attacker.com", false},
	{"white space", "ws.example.com ", false},
	{"null byte", "ws.example.com\x00", false},
	{"IPv6 without brackets", "::1", false},
	{"IPv6 without its port", "[2001:db8::1]", false},
	{"IPv6 with a zone", "[::1%lo]", false},
	{"IPv4, short", "127.1", false},
	{"hostile size", strings.Repeat("a.", 1<<20) + "wild.example.org", false},
}

func newHostSet(t testing.TB) *origin.HostSet {
	t.Helper()
	s, err := origin.NewHostSet([]string{
		"WS.example.com", "dev.example.com:8443", "*.wild.example.org", "[0::1]", "[2001:db8::1]:8080", "127.0.0.1",
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// R05
func TestHostSetContains(t *testing.T) {
	s := newHostSet(t)
	for _, row := range hostTable {
		t.Run(row.name, func(t *testing.T) {
			if got := s.Contains(row.header); got != row.want {
				t.Errorf("Contains(%.80q) = %v", row.header, got)
			}
		})
	}
	const want = "ws.example.com, dev.example.com:8443, *.wild.example.org, [::1], [2001:db8::1]:8080, 127.0.0.1"
	if s.String() != want {
		t.Errorf("String = %q", s)
	}
}

func TestEmptyHostSetContainsNothing(t *testing.T) {
	var none *origin.HostSet
	if none.Contains("ws.example.com") || new(origin.HostSet).Contains("ws.example.com") || none.String() != "" {
		t.Error("an empty set contains a host")
	}
	if _, err := origin.NewHostSet(nil); err == nil {
		t.Error("an empty list is accepted")
	}
}

func TestNewHostSetRefuses(t *testing.T) {
	rows := []struct{ name, host, write string }{
		{"empty", "", `write one as in "ws.example.com"`},
		{"everything", "*", `write one as in "ws.example.com"`},
		{"top-level domain", "*.com", `write one as in "ws.example.com"`},
		{"wildcard within a label", "*example.com", `write "*.example.com"`},
		{"scheme", "https://ws.example.com:8443/chat", `write "ws.example.com:8443"`},
		{"path", "ws.example.com/", `write "ws.example.com"`},
		{"trailing dot", "ws.example.com.", `write "ws.example.com"`},
		{"user information", "me@ws.example.com", `write "ws.example.com"`},
		{"not ASCII", "bücher.example", `"xn--"`},
		{"IPv6 without brackets", "::1", `write one as in "ws.example.com"`},
		{"any port", "ws.example.com:*", `write one as in "ws.example.com"`},
		{"hostile size", strings.Repeat("a", 600), `write one as in "ws.example.com"`},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := origin.NewHostSet([]string{row.host})
			checkPattern(t, err, row.host, row.write)
		})
	}
	if _, err := origin.NewHostSet([]string{"a.example.com:80", "a.example.com", "A.example.com"}); err == nil ||
		strings.Count(err.Error(), "repeated") != 1 {
		t.Errorf("error %v", err)
	}
}

func TestHostSetContainsAllocations(t *testing.T) {
	s := newHostSet(t)
	for _, header := range []string{"ws.example.com", "a.wild.example.org:443", "[::1]", "attacker.com"} {
		if n := testing.AllocsPerRun(100, func() { s.Contains(header) }); n != 0 {
			t.Errorf("Contains(%q): %v allocations", header, n)
		}
	}
}

func FuzzHostSet(f *testing.F) {
	for _, row := range hostTable {
		if len(row.header) < 1000 {
			f.Add(row.header)
		}
	}
	s := newHostSet(f)
	f.Fuzz(func(t *testing.T, header string) {
		// A host that is in the set is that of a good URL, and no other.
		if s.Contains(header) {
			if _, err := origin.Parse("https://" + header); err != nil {
				t.Fatalf("Contains(%q), %v", header, err)
			}
		}
		if own, err := origin.NewHostSet([]string{header}); err == nil && !strings.HasPrefix(header, "*") && !own.Contains(header) {
			t.Fatalf("%q does not match itself", header)
		}
	})
}
