package origin_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/origin"
)

type parseRow struct {
	name, in string
	want     string // want is the origin as String writes it, "" if it is refused.
	port     uint16
}

var parseTable = []parseRow{
	{"https", "https://app.example.com", "https://app.example.com", 443},
	{"http", "http://app.example.com", "http://app.example.com", 80},
	{"wss", "wss://app.example.com", "wss://app.example.com", 443},
	{"ws", "ws://app.example.com", "ws://app.example.com", 80},
	{"default port", "https://app.example.com:443", "https://app.example.com", 443},
	{"default port of the other scheme", "http://app.example.com:443", "http://app.example.com:443", 443},
	{"port", "https://app.example.com:8443", "https://app.example.com:8443", 8443},
	{"highest port", "https://app.example.com:65535", "https://app.example.com:65535", 65535},
	{"upper case", "HTTPS://App.Example.COM", "https://app.example.com", 443},
	{"underscore and hyphens", "https://my_app--1.example.com", "https://my_app--1.example.com", 443},
	{"A-label", "https://xn--bcher-kva.example", "https://xn--bcher-kva.example", 443},
	{"single label", "http://localhost:3000", "http://localhost:3000", 3000},
	{"browser extension", "chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop", 0},
	{"app", "capacitor://localhost", "capacitor://localhost", 0},
	{"app with a port", "capacitor://localhost:80", "capacitor://localhost:80", 80},
	{"UUID", "safari-web-extension://E5C9-0A", "safari-web-extension://e5c9-0a", 0},
	{"IPv4", "http://127.0.0.1:8080", "http://127.0.0.1:8080", 8080},
	{"IPv6", "http://[::1]:8080", "http://[::1]:8080", 8080},
	{"IPv6, long form", "https://[2001:DB8:0:0:0:0:0:1]", "https://[2001:db8::1]", 443},
	{"IPv6, mapped", "https://[::ffff:cb00:7107]", "https://[::ffff:203.0.113.7]", 443},
	{"512 bytes", "https://" + strings.Repeat("a", 504), "https://" + strings.Repeat("a", 504), 443},

	{"513 bytes", "https://" + strings.Repeat("a", 505), "", 0},
	{"hostile size", "https://" + strings.Repeat("a.", 1<<20), "", 0},
	{"empty", "", "", 0},
	{"null", "null", "", 0},
	{"scheme alone", "https://", "", 0},
	{"no scheme", "app.example.com", "", 0},
	{"empty scheme", "://app.example.com", "", 0},
	{"relative", "//app.example.com", "", 0},
	{"one slash", "https:/app.example.com", "", 0},
	{"scheme begins with a digit", "1a://app.example.com", "", 0},
	{"scheme with a space", "ht tps://app.example.com", "", 0},
	{"scheme not ASCII", "httpſ://app.example.com", "", 0},
	{"user information", "https://user@app.example.com", "", 0},
	{"user information and password", "https://app.example.com:443@evil.com", "", 0},
	{"empty user information", "https://@app.example.com", "", 0},
	{"trailing slash", "https://app.example.com/", "", 0},
	{"path", "https://app.example.com/chat", "", 0},
	{"query", "https://app.example.com?x", "", 0},
	{"fragment", "https://app.example.com#x", "", 0},
	{"backslash", `https://evil.com\.example.com`, "", 0},
	{"leading space", " https://app.example.com", "", 0},
	{"trailing space", "https://app.example.com ", "", 0},
	{"tab", "https://app.example.com\t", "", 0},
	{"line break", "https://app.example.com\n", "", 0},
	{"null byte", "https://app.example.com\x00.evil.com", "", 0},
	{"delete", "https://app.example.com\x7f", "", 0},
	{"list with spaces", "https://app.example.com https://evil.com", "", 0},
	{"list with commas", "https://app.example.com,https://evil.com", "", 0},
	{"percent-escape", "https://app%2eexample.com", "", 0},
	{"not ASCII", "https://bücher.example", "", 0},
	{"full stop that is not ASCII", "https://app。example.com", "", 0},
	{"invalid UTF-8", "https://app\xff.example.com", "", 0},
	{"wildcard", "https://*.example.com", "", 0},
	{"two dots", "https://app..example.com", "", 0},
	{"leading dot", "https://.example.com", "", 0},
	{"trailing dot", "https://app.example.com.", "", 0},
	{"dot alone", "https://.", "", 0},
	{"port 0", "https://app.example.com:0", "", 0},
	{"port too large", "https://app.example.com:65536", "", 0},
	{"port far too large", "https://app.example.com:99999999999999999999", "", 0},
	{"port that wraps round", "https://app.example.com:65979", "", 0},
	{"port with a plus", "https://app.example.com:+443", "", 0},
	{"port with a minus", "https://app.example.com:-1", "", 0},
	{"port with a leading zero", "https://app.example.com:0443", "", 0},
	{"port in hexadecimal", "https://app.example.com:1bb", "", 0},
	{"port empty", "https://app.example.com:", "", 0},
	{"two ports", "https://app.example.com:80:443", "", 0},
	{"port without host", "https://:443", "", 0},
	{"IPv4, decimal", "http://2130706433", "", 0},
	{"IPv4, hexadecimal", "http://0x7f000001", "", 0},
	{"IPv4, hexadecimal part", "http://127.0.0.0X1", "", 0},
	{"IPv4, octal", "http://0177.0.0.1", "", 0},
	{"IPv4, short", "http://127.1", "", 0},
	{"IPv4, five parts", "http://1.127.0.0.1", "", 0},
	{"IPv4 in brackets", "http://[127.0.0.1]", "", 0},
	{"IPv6 without brackets", "http://::1", "", 0},
	{"IPv6 with a zone", "http://[fe80::1%25eth0]", "", 0},
	{"IPv6 with a bare zone", "http://[fe80::1%eth0]", "", 0},
	{"IPv6, bracket not closed", "http://[::1", "", 0},
	{"IPv6, bracket not opened", "http://::1]", "", 0},
	{"IPv6, brackets empty", "http://[]", "", 0},
	{"IPv6, garbage after", "http://[::1]evil.com", "", 0},
	{"IPv6, port without a colon", "http://[::1]x80", "", 0},
	{"IPv6, two brackets", "http://[[::1]]", "", 0},
	{"hexadecimal digits without 0x", "http://cafe", "http://cafe", 80},
	{"0x and no digits", "http://a.0x", "", 0},
}

// R05
func TestParse(t *testing.T) {
	for _, row := range parseTable {
		t.Run(row.name, func(t *testing.T) {
			o, err := origin.Parse(row.in)
			if row.want == "" {
				if err == nil || o != (origin.Origin{}) {
					t.Fatalf("Parse(%.80q) = %+v, %v", row.in, o, err)
				}
				if strings.Contains(err.Error(), "example") {
					t.Errorf("the error quotes the header: %v", err)
				}
				return
			}
			if err != nil || o.String() != row.want || o.Port != row.port {
				t.Errorf("Parse(%q) = %+v, %v", row.in, o, err)
			}
		})
	}
}

// R05
func TestParseNormalizes(t *testing.T) {
	for _, pair := range [][2]string{
		{"https://app.example.com", "HTTPS://APP.example.com:443"},
		{"http://[::1]", "http://[0:0:0:0:0:0:0:1]:80"},
	} {
		a, errA := origin.Parse(pair[0])
		b, errB := origin.Parse(pair[1])
		if errA != nil || errB != nil || a != b {
			t.Errorf("%q and %q are %+v (%v) and %+v (%v)", pair[0], pair[1], a, errA, b, errB)
		}
	}
}

func TestParseAllocations(t *testing.T) {
	for _, in := range []string{
		"https://app.example.com", "http://localhost:3000", "http://[2001:db8::1]:8080", "http://127.0.0.1", "chrome-extension://abc",
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = origin.Parse(in) }); n != 0 {
			t.Errorf("Parse(%q): %v allocations", in, n)
		}
	}
}

// R05
func FuzzParse(f *testing.F) {
	for _, row := range parseTable {
		if len(row.in) < 1000 {
			f.Add(row.in)
		}
	}
	f.Fuzz(func(t *testing.T, in string) {
		o, err := origin.Parse(in)
		if err != nil {
			if o != (origin.Origin{}) {
				t.Fatalf("Parse(%q) = %+v, %v", in, o, err)
			}
			return
		}
		if o.Port == 0 && (o.Scheme == "http" || o.Scheme == "https" || o.Scheme == "ws" || o.Scheme == "wss") {
			t.Fatalf("Parse(%q) has no port", in)
		}
		// The normal form is stable, and the lenient parser sees nothing in
		// the header but scheme, host and port.
		again, err := origin.Parse(o.String())
		if err != nil || again != o {
			t.Fatalf("Parse(%q) = %+v; its String %q gives %+v, %v", in, o, o.String(), again, err)
		}
		u, err := url.Parse(in)
		if err != nil {
			t.Fatalf("Parse(%q) = %+v; net/url: %v", in, o, err)
		}
		if u.User != nil || u.Path+u.RawQuery+u.Fragment+u.Opaque != "" || u.Scheme != o.Scheme {
			t.Fatalf("Parse(%q) = %+v; net/url: %+v", in, o, u)
		}
		if !strings.Contains(o.Host, ":") && strings.ToLower(u.Hostname()) != o.Host {
			t.Fatalf("Parse(%q) = %+v; net/url: host %q", in, o, u.Hostname())
		}
	})
}

func BenchmarkParse(b *testing.B) {
	rows := []struct{ name, in string }{
		{"normal", "https://app.example.com"},
		{"IPv6", "http://[2001:db8::1]:8080"},
		{"upper case", "HTTPS://APP.EXAMPLE.COM"},
		{"hostile labels", "https://" + strings.Repeat("a.", 252)},
		{"hostile size", strings.Repeat("a", 1<<20)},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = origin.Parse(row.in)
			}
		})
	}
}
