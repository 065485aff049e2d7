package origin_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/origin"
)

func newSet(t testing.TB, patterns ...string) *origin.Set {
	t.Helper()
	s, err := origin.NewSet(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// contains is what a guard does with the value of an Origin header.
func contains(s *origin.Set, header string) bool {
	o, err := origin.Parse(header)
	return err == nil && s.Contains(o)
}

var setTable = []struct {
	name, header string
	want         bool
}{
	{"exact", "https://example.com", true},
	{"exact with the default port", "https://example.com:443", true},
	{"exact in upper case", "https://EXAMPLE.com", true},
	{"exact with a port", "https://example.com:8443", true},
	{"localhost", "http://localhost:3000", true},
	{"browser extension", "chrome-extension://abc", true},
	{"app", "capacitor://localhost", true},
	{"IPv6", "http://[0:0::1]:8080", true},
	{"subdomain of a wildcard", "https://a.wild.example.org", true},
	{"deep subdomain of a wildcard", "https://c.b.a.wild.example.org", true},
	{"subdomain with a port", "https://a.wild.example.org:8443", true},

	{"http for https", "http://example.com", false},
	{"https for http", "https://localhost:3000", false},
	{"http on port 443", "http://example.com:443", false},
	{"another port", "https://example.com:444", false},
	{"subdomain of an exact origin", "https://a.example.com", false},
	{"longer name", "https://evilexample.com", false},
	{"suffix appended", "https://example.com.evil.com", false},
	{"prefix cut", "https://xample.com", false},
	{"parent", "https://com", false},
	{"trailing dot", "https://example.com.", false},
	{"two dots", "https://a..wild.example.org", false},
	{"leading dot", "https://.wild.example.org", false},
	{"user information", "https://example.com@evil.com", false},
	{"user information before an allowed host", "https://x@example.com", false},
	{"extension with an allowed host", "chrome-extension://example.com", false},
	{"another extension", "chrome-extension://abcd", false},
	{"app over http", "http://localhost", false},
	{"null", "null", false},
	{"absent", "", false},
	{"two origins", "https://example.com, https://evil.com", false},
	{"wildcard's own suffix", "https://wild.example.org", false},
	{"longer name than the suffix", "https://evilwild.example.org", false},
	{"suffix of the wildcard within", "https://a.wild.example.org.evil.com", false},
	{"wildcard over http", "http://a.wild.example.org", false},
	{"wildcard on another port", "https://a.wild.example.org:444", false},
	{"the pattern itself", "https://*.wild.example.org", false},
	{"IPv6 on another port", "http://[::1]", false},
	{"IPv4 for IPv6", "http://127.0.0.1:8080", false},
	{"homograph", "https://ex\u0430mple.com", false},
	{"many labels", "https://" + strings.Repeat("a.", 200) + "evil.com", false},
}

// R05, R06
func TestSetContains(t *testing.T) {
	s := newSet(t,
		"https://example.com", "https://example.com:8443", "http://localhost:3000", "chrome-extension://abc",
		"capacitor://localhost", "http://[::1]:8080",
		"https://*.wild.example.org", "https://*.wild.example.org:8443", "https://*.long.suffix.example.org")
	for _, row := range setTable {
		t.Run(row.name, func(t *testing.T) {
			if got := contains(s, row.header); got != row.want {
				t.Errorf("Contains(%q) = %v", row.header, got)
			}
		})
	}
}

// R05
func TestSetString(t *testing.T) {
	s := newSet(t, "HTTPS://B.example.com:443", "https://*.Example.com:8443", "http://[0::1]")
	if got, want := s.String(), "https://b.example.com, https://*.example.com:8443, http://[::1]"; got != want {
		t.Errorf("String = %q, want %q", got, want)
	}
}

// R05
func TestEmptySetContainsNothing(t *testing.T) {
	var none *origin.Set
	o, err := origin.Parse("https://a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	if none.Contains(o) || new(origin.Set).Contains(o) || newSet(t, "https://a.example.com").Contains(origin.Origin{}) {
		t.Error("an origin is contained")
	}
	if none.String() != "" {
		t.Error("an empty set lists something")
	}
}

var patternTable = []struct{ name, pattern, write string }{
	{"empty", "", `write one as in "https://app.example.com"`},
	{"null", "null", `write one as in "https://app.example.com"`},
	{"null with a scheme forgotten", " null ", `write one as in "https://app.example.com"`},
	{"everybody", "*", `write one as in "https://app.example.com"`},
	{"everybody over https", "https://*", `write one as in "https://app.example.com"`},
	{"any scheme", "*://app.example.com", `write one as in "https://app.example.com"`},
	{"top-level domain", "https://*.com", `write one as in "https://app.example.com"`},
	{"top-level domain without a scheme", "*.com", `write one as in "https://app.example.com"`},
	{"wildcard over nothing", "https://*.", `write one as in "https://app.example.com"`},
	{"wildcard over a wildcard", "https://*.*.example.com", `write one as in "https://app.example.com"`},
	{"wildcard over an IPv4 address", "https://*.127.0.0.1", `write one as in "https://app.example.com"`},
	{"wildcard over part of an IPv4 address", "https://*.0.0.1", `write one as in "https://app.example.com"`},
	{"wildcard over an IPv6 address", "https://*.[::1]", `write one as in "https://app.example.com"`},
	{"wildcard in the middle", "https://app.*.com", `write one as in "https://app.example.com"`},
	{"wildcard at the end", "https://example.*", `write one as in "https://app.example.com"`},
	{"wildcard port", "https://example.com:*", `write one as in "https://app.example.com"`},
	{"wildcard within a label", "https://*example.com", `write "https://*.example.com"`},
	{"no scheme", "app.example.com", `write "https://app.example.com"`},
	{"no scheme, wildcard", "*.example.com", `write "https://*.example.com"`},
	{"trailing slash", "https://app.example.com/", `write "https://app.example.com"`},
	{"trailing slash, wildcard", "https://*.example.com/", `write "https://*.example.com"`},
	{"path", "http://localhost:3000/chat?x#y", `write "http://localhost:3000"`},
	{"user information", "https://me@app.example.com", `write "https://app.example.com"`},
	{"white space", " https://app.example.com\n", `write "https://app.example.com"`},
	{"trailing dot", "https://app.example.com.", `write "https://app.example.com"`},
	{"list", "https://a.example.com, https://b.example.com", `write one as in "https://app.example.com"`},
	{"not ASCII", "https://bücher.example", `"xn--"`},
	{"percent-escape", "https://b%C3%BCcher.example", `write one as in "https://app.example.com"`},
	{"port 0", "https://app.example.com:0", `write one as in "https://app.example.com"`},
	{"port with leading zeros", "https://app.example.com:0443", `write one as in "https://app.example.com"`},
	{"regular expression", `https://.*\.example\.com`, `write one as in "https://app.example.com"`},
	{"hostile size", "https://" + strings.Repeat("a", 600), `write one as in "https://app.example.com"`},
}

// R05
func TestNewSetRefuses(t *testing.T) {
	for _, row := range patternTable {
		t.Run(row.name, func(t *testing.T) {
			_, err := origin.NewSet([]string{row.pattern})
			checkPattern(t, err, row.pattern, row.write)
		})
	}
}

func checkPattern(t *testing.T, err error, pattern, write string) {
	t.Helper()
	var p *origin.PatternError
	if !errors.As(err, &p) || p.Pattern != pattern {
		t.Fatalf("error %v", err)
	}
	if !strings.HasSuffix(p.Reason, "; "+write) && !strings.HasSuffix(p.Reason, write) {
		t.Errorf("reason %q does not end in %q", p.Reason, write)
	}
	if strings.Index(p.Reason, ";") <= 0 || !strings.Contains(p.Error(), p.Reason) {
		t.Errorf("error %q", p)
	}
	for _, b := range []byte(p.Error()) {
		if b < ' ' || b > '~' {
			t.Errorf("error %q holds byte %#x", p, b)
		}
	}
}

// R05
func TestNewSetReportsEverything(t *testing.T) {
	set, err := origin.NewSet([]string{
		"https://a.example.com", "null", "https://A.example.com:443", "https://*.example.com", "https://*.example.com", "x",
	})
	if set != nil || err == nil {
		t.Fatalf("NewSet = %v, %v", set, err)
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != 4 {
		t.Fatalf("error %v", err)
	}
	for i, want := range []string{`"null"`, "repeated", "repeated", `"x"`} {
		if got := joined.Unwrap()[i].Error(); !strings.Contains(got, want) {
			t.Errorf("error %d is %q", i, got)
		}
	}
}

func TestNewSetWithoutPatterns(t *testing.T) {
	if _, err := origin.NewSet(nil); err == nil {
		t.Error("an empty list is accepted")
	}
}

func TestSetContainsAllocations(t *testing.T) {
	s := newSet(t, "https://app.example.com", "https://*.example.com")
	for _, header := range []string{"https://app.example.com", "https://b.example.com", "https://b.evil.com"} {
		o, err := origin.Parse(header)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { s.Contains(o) }); n != 0 {
			t.Errorf("Contains(%q): %v allocations", header, n)
		}
	}
}

// R05
func FuzzNewSet(f *testing.F) {
	for _, row := range patternTable {
		f.Add(row.pattern, "https://app.example.com")
	}
	for _, row := range setTable {
		f.Add("https://*.example.com", row.header)
		f.Add(row.header, row.header)
	}
	f.Fuzz(func(t *testing.T, pattern, header string) {
		s, err := origin.NewSet([]string{pattern})
		if err != nil {
			checkPattern(t, err, pattern, "")
			return
		}
		// Another way to the same answer: whole labels in front of a suffix.
		o, err := origin.Parse(header)
		want := err == nil && o.String() == s.String()
		if before, after, ok := strings.Cut(s.String(), "*."); ok && err == nil {
			rest, hasScheme := strings.CutPrefix(o.String(), before)
			label, hasSuffix := strings.CutSuffix(rest, "."+after)
			want = hasScheme && hasSuffix && label != "" && !strings.HasPrefix(label, "[")
		}
		if got := contains(s, header); got != want {
			t.Fatalf("pattern %q, header %q: %v", pattern, header, got)
		}
	})
}

func BenchmarkSetContains(b *testing.B) {
	s := newSet(b, "https://app.example.com", "https://*.example.com", "https://*.a.very.long.suffix.example.org")
	rows := []struct{ name, header string }{
		{"exact", "https://app.example.com"},
		{"wildcard", "https://a.b.example.com"},
		{"foreign", "https://evil.com"},
		{"hostile labels", "https://" + strings.Repeat("a.", 250) + "com"},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			o, err := origin.Parse(row.header)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Contains(o)
			}
		})
	}
}
