package clientip_test

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/clientip"
)

const (
	xff  = "X-Forwarded-For"
	fwd  = "Forwarded"
	cfip = "CF-Connecting-IP"
)

var trusted = []netip.Prefix{
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("fe80::/10"),
	netip.MustParsePrefix("2001:db8:ffff::/48"),
}

func newResolver(t testing.TB, c clientip.Config) *clientip.Resolver {
	t.Helper()
	r, err := clientip.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func header(name string, lines ...string) http.Header {
	h := http.Header{}
	for _, l := range lines {
		h.Add(name, l)
	}
	return h
}

type resolveRow struct {
	name   string
	header string // header is the configured one, X-Forwarded-For if empty.
	peer   string // peer is "10.0.0.1:443" if empty.
	lines  []string
	addr   string
	source clientip.Source
	err    error
}

const hop = "10.0.0.1:443"

var resolveTable = []resolveRow{
	// The matrix of the design, row by row.
	{name: "forged left entry", lines: []string{"6.6.6.6, 203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "direct attacker", peer: "198.51.100.9:1234", lines: []string{"10.0.0.5"}, addr: "198.51.100.9", source: "peer"},
	{name: "two lines, the first forged", lines: []string{"6.6.6.6", "203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "entry with a port", lines: []string{"203.0.113.7:5555"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "peer in an unlisted private range", peer: "192.168.1.5:80", lines: []string{"6.6.6.6"}, addr: "192.168.1.5", source: "peer"},
	{name: "zone on a trusted hop", lines: []string{"203.0.113.7, fe80::1%eth0"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "zone on the trusted peer", peer: "[fe80::1%eth0]:443", lines: []string{"203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "all trusted", lines: []string{"10.9.9.9, 10.0.0.2"}, addr: "10.9.9.9", source: "trusted-hop"},
	{name: "no header", addr: "10.0.0.1", source: "trusted-hop"},
	{name: "garbage rightmost", lines: []string{"203.0.113.7, garbage"}, err: clientip.ErrMalformed},
	{name: "empty trailing element", lines: []string{"203.0.113.7,"}, addr: "203.0.113.7", source: "x-forwarded-for"},

	// The walk.
	{name: "two trusted hops, forged further left", lines: []string{"garbage, 203.0.113.7, 10.0.0.3", "10.0.0.2"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "a forged trusted address left of the client", lines: []string{"10.0.0.7, 203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "only empty elements", lines: []string{"", " , ,\t"}, addr: "10.0.0.1", source: "trusted-hop"},
	{name: "malformed behind a trusted hop", lines: []string{"203.0.113.7, garbage, 10.0.0.2"}, err: clientip.ErrMalformed},
	{name: "unknown", lines: []string{"203.0.113.7, Unknown"}, err: clientip.ErrHidden},
	{name: "hidden", lines: []string{"203.0.113.7, _hidden"}, err: clientip.ErrHidden},
	{name: "unspecified", lines: []string{"0.0.0.0"}, err: clientip.ErrMalformed},
	{name: "unspecified, mapped", lines: []string{"::ffff:0.0.0.0"}, err: clientip.ErrMalformed},
	{name: "unspecified IPv6", lines: []string{"[::]:80"}, err: clientip.ErrMalformed},
	{name: "mapped client", lines: []string{"::ffff:203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "mapped trusted hop", lines: []string{"203.0.113.7, ::ffff:10.0.0.2"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "mapped trusted peer", peer: "[::ffff:10.0.0.1]:443", lines: []string{"203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "IPv6", lines: []string{"2001:db8::7"}, addr: "2001:db8::7", source: "x-forwarded-for"},
	{name: "IPv6 in brackets", lines: []string{"[2001:db8::7]"}, addr: "2001:db8::7", source: "x-forwarded-for"},
	{name: "IPv6 with a port", lines: []string{"[2001:db8::7]:5555"}, addr: "2001:db8::7", source: "x-forwarded-for"},
	{name: "client with a zone", lines: []string{"2001:db8::7%6"}, addr: "2001:db8::7", source: "x-forwarded-for"},
	{name: "bracket not closed", lines: []string{"[2001:db8::7"}, err: clientip.ErrMalformed},
	{name: "garbage after bracket", lines: []string{"[2001:db8::7]x"}, err: clientip.ErrMalformed},
	{name: "port without a colon", lines: []string{"[2001:db8::7]80"}, err: clientip.ErrMalformed},
	{name: "port without digits", lines: []string{"203.0.113.7:"}, err: clientip.ErrMalformed},
	{name: "port with a sign", lines: []string{"203.0.113.7:+80"}, err: clientip.ErrMalformed},
	{name: "port too large", lines: []string{"203.0.113.7:65536"}, err: clientip.ErrMalformed},
	{name: "leading zeros", lines: []string{"203.0.113.007"}, err: clientip.ErrMalformed},
	{name: "two addresses without a comma", lines: []string{"203.0.113.7 203.0.113.8"}, err: clientip.ErrMalformed},
	{name: "32 hops", lines: []string{"203.0.113.7" + strings.Repeat(", 10.0.0.2", 31)}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "33 hops", lines: []string{"203.0.113.7" + strings.Repeat(", 10.0.0.2", 32)}, err: clientip.ErrTooLong},
	{name: "8 KiB", lines: []string{strings.Repeat(",", 8191-len("203.0.113.7")) + "203.0.113.7"}, addr: "203.0.113.7", source: "x-forwarded-for"},
	{name: "more than 8 KiB", lines: []string{strings.Repeat(",", 8192-len("203.0.113.7")) + "203.0.113.7"}, err: clientip.ErrTooLong},
	{name: "thousands of empty lines", lines: make([]string, 9000), err: clientip.ErrTooLong},
	{name: "hostile size from an untrusted peer", peer: "198.51.100.9:1", lines: []string{strings.Repeat("x", 1<<20)}, addr: "198.51.100.9", source: "peer"},

	// The peer.
	{name: "peer without a port", peer: "198.51.100.9", addr: "198.51.100.9", source: "peer"},
	{name: "mapped peer", peer: "[::ffff:198.51.100.9]:80", addr: "198.51.100.9", source: "peer"},
	{name: "peer is a Unix socket", peer: "@", lines: []string{"203.0.113.7"}, err: clientip.ErrPeer},
	{name: "peer is garbage", peer: "pipe", err: clientip.ErrPeer},
	{name: "peer is a name", peer: "localhost:80", err: clientip.ErrPeer},

	// Forwarded.
	{name: "forwarded", header: fwd, lines: []string{"for=6.6.6.6, for=203.0.113.7;proto=https;by=10.0.0.1"}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, case and white space", header: fwd, lines: []string{`proto=https ; FOR="[2001:db8::7]:5555";`}, addr: "2001:db8::7", source: "forwarded"},
	{name: "forwarded, quoted comma and semicolon", header: fwd, lines: []string{`for=203.0.113.7;ext="a,b;for=6.6.6.6, for=6.6.6.6"`}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, escaped quote", header: fwd, lines: []string{`for=203.0.113.7;ext="\", for=6.6.6.6"`}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, escaped digit", header: fwd, lines: []string{`for="203.0.113.\7"`}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, trusted hop", header: fwd, lines: []string{"for=203.0.113.7", `for="[fe80::1]", for=10.0.0.2`}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, all trusted", header: fwd, lines: []string{"for=10.0.0.3, for=10.0.0.2"}, addr: "10.0.0.3", source: "trusted-hop"},
	{name: "forwarded, X-Forwarded-For is ignored", header: fwd, lines: nil, addr: "10.0.0.1", source: "trusted-hop"},
	{name: "forwarded, the client opens a quote", header: fwd, lines: []string{`for="6.6.6.6, for=203.0.113.7`}, err: clientip.ErrMalformed},
	{name: "forwarded, the client opens a quote that the proxy closes", header: fwd, lines: []string{`for="6.6.6.6, for="[2001:db8::7]"`}, err: clientip.ErrMalformed},
	{name: "forwarded, backslash at the end", header: fwd, lines: []string{`for="203.0.113.7\`}, err: clientip.ErrMalformed},
	{name: "forwarded, text after the quote", header: fwd, lines: []string{`for="203.0.113.7"x`}, err: clientip.ErrMalformed},
	{name: "forwarded, control byte", header: fwd, lines: []string{"for=203.0.113.7;ext=\"\x01\""}, err: clientip.ErrMalformed},
	{name: "forwarded, unquoted port", header: fwd, lines: []string{"for=203.0.113.7:80"}, err: clientip.ErrMalformed},
	{name: "forwarded, no for", header: fwd, lines: []string{"for=203.0.113.7, proto=https"}, err: clientip.ErrMalformed},
	{name: "forwarded, for twice", header: fwd, lines: []string{"for=203.0.113.7;for=6.6.6.6"}, err: clientip.ErrMalformed},
	{name: "forwarded, bare address", header: fwd, lines: []string{"203.0.113.7"}, err: clientip.ErrMalformed},
	{name: "forwarded, space before the equals sign", header: fwd, lines: []string{"for =203.0.113.7"}, err: clientip.ErrMalformed},
	{name: "forwarded, another name malformed", header: fwd, lines: []string{"e xt=1;for=203.0.113.7"}, err: clientip.ErrMalformed},
	{name: "forwarded, empty pair", header: fwd, lines: []string{";;for=203.0.113.7"}, addr: "203.0.113.7", source: "forwarded"},
	{name: "forwarded, no name", header: fwd, lines: []string{"=1;for=203.0.113.7"}, err: clientip.ErrMalformed},
	{name: "forwarded, empty value", header: fwd, lines: []string{"for="}, err: clientip.ErrMalformed},
	{name: "forwarded, empty quoted value", header: fwd, lines: []string{`for=""`}, err: clientip.ErrMalformed},
	{name: "forwarded, unknown", header: fwd, lines: []string{"for=unknown"}, err: clientip.ErrHidden},
	{name: "forwarded, hidden", header: fwd, lines: []string{`for="_gazonk"`}, err: clientip.ErrHidden},
	{name: "forwarded, 33 hops", header: fwd, lines: []string{"for=203.0.113.7" + strings.Repeat(", for=10.0.0.2", 32)}, err: clientip.ErrTooLong},
	{name: "forwarded, hostile size", header: fwd, lines: []string{strings.Repeat(`"`, 9000)}, err: clientip.ErrTooLong},

	// One value.
	{name: "single", header: cfip, lines: []string{"203.0.113.7"}, addr: "203.0.113.7", source: "cf-connecting-ip"},
	{name: "single, two lines", header: cfip, lines: []string{"6.6.6.6", "203.0.113.7"}, addr: "203.0.113.7", source: "cf-connecting-ip"},
	{name: "single, a list", header: cfip, lines: []string{"6.6.6.6, 203.0.113.7"}, addr: "203.0.113.7", source: "cf-connecting-ip"},
	{name: "single, a trusted address ends it", header: cfip, lines: []string{"6.6.6.6, 10.0.0.9"}, addr: "10.0.0.9", source: "cf-connecting-ip"},
	{name: "single, peer not trusted", header: cfip, peer: "198.51.100.9:1", lines: []string{"6.6.6.6"}, addr: "198.51.100.9", source: "peer"},
	{name: "single, absent", header: cfip, addr: "10.0.0.1", source: "trusted-hop"},
	{name: "single, the last one is empty", header: cfip, lines: []string{"6.6.6.6", ""}, err: clientip.ErrMalformed},
	{name: "single, garbage", header: cfip, lines: []string{"x"}, err: clientip.ErrMalformed},
}

// R52
func TestResolve(t *testing.T) {
	for _, row := range resolveTable {
		t.Run(row.name, func(t *testing.T) {
			r := newResolver(t, clientip.Config{Trusted: trusted, Header: row.header})
			name, peer := row.header, row.peer
			if name == "" {
				name = xff
			}
			if peer == "" {
				peer = hop
			}
			h := header(name, row.lines...)
			if name != xff {
				h.Set(xff, "9.9.9.9") // A header that is not the configured one.
			}
			c, err := r.Resolve(peer, h)
			check(t, c, err, row.addr, row.source, row.err)
			if wantTrusted := row.source != "peer" && row.err != clientip.ErrPeer; c.PeerTrusted != wantTrusted {
				t.Errorf("PeerTrusted = %v", c.PeerTrusted)
			}
		})
	}
}

func check(t *testing.T, c clientip.Client, err error, addr string, source clientip.Source, wantErr error) {
	t.Helper()
	if !errors.Is(err, wantErr) || (err != nil) != (wantErr != nil) {
		t.Fatalf("error %v, want %v", err, wantErr)
	}
	want := netip.Addr{}
	if addr != "" {
		want = netip.MustParseAddr(addr)
	}
	if c.Addr != want || c.Source != source {
		t.Errorf("got %v from %q, want %v from %q", c.Addr, c.Source, want, source)
	}
}

// R52
func TestResolveUnix(t *testing.T) {
	rows := []struct {
		name, peer, line, addr string
		source                 clientip.Source
		trusted                bool
		err                    error
	}{
		{"unnamed", "@", "203.0.113.7", "203.0.113.7", "x-forwarded-for", true, nil},
		{"empty", "", "203.0.113.7", "203.0.113.7", "x-forwarded-for", true, nil},
		{"path", "/run/proxy.sock", "6.6.6.6, 203.0.113.7", "203.0.113.7", "x-forwarded-for", true, nil},
		{"no header", "@", "", "", "unix", true, nil},
		{"malformed header", "@", "garbage", "", "", true, clientip.ErrMalformed},
		{"TCP is not trusted for it", "198.51.100.9:1", "6.6.6.6", "198.51.100.9", "peer", false, nil},
		{"an address without a port is no socket", "198.51.100.9", "6.6.6.6", "198.51.100.9", "peer", false, nil},
		{"garbage is no socket", "pipe", "6.6.6.6", "", "", false, clientip.ErrPeer},
	}
	r := newResolver(t, clientip.Config{TrustUnixPeer: true})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c, err := r.Resolve(row.peer, header(xff, row.line))
			check(t, c, err, row.addr, row.source, row.err)
			if c.PeerTrusted != row.trusted {
				t.Errorf("PeerTrusted = %v", c.PeerTrusted)
			}
		})
	}
}

// R52
func TestDirect(t *testing.T) {
	c, err := clientip.Direct("[::ffff:203.0.113.7]:5555")
	check(t, c, err, "203.0.113.7", clientip.SourcePeer, nil)
	if c.PeerTrusted || c.Peer != c.Addr {
		t.Errorf("got %+v", c)
	}
	c, err = clientip.Direct("@")
	check(t, c, err, "", "", clientip.ErrPeer)
}

// R52
func TestResolveLeavesTheRequestAlone(t *testing.T) {
	h := header(xff, "6.6.6.6", "203.0.113.7, 10.0.0.2")
	want := h.Clone()
	if _, err := newResolver(t, clientip.Config{Trusted: trusted}).Resolve(hop, h); err != nil {
		t.Fatal(err)
	}
	for i, line := range h[xff] {
		if line != want[xff][i] {
			t.Errorf("line %d has become %q", i, line)
		}
	}
}

func TestNew(t *testing.T) {
	rows := []struct {
		name   string
		config clientip.Config
		want   []string // want are parts of the error, none if it is nil.
	}{
		{"list", clientip.Config{Trusted: trusted}, nil},
		{"Unix socket alone", clientip.Config{TrustUnixPeer: true, Header: "forwarded"}, nil},
		{"mapped prefix", clientip.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}}, nil},
		{"nobody trusted", clientip.Config{}, []string{"no proxy is listed"}},
		{"everything wrong", clientip.Config{
			Header: "X Real IP",
			Trusted: []netip.Prefix{
				{}, netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("::ffff:0.0.0.0/96"),
			},
		}, []string{`"X Real IP"`, "trusted[0]", "trusted[2]", "trusted[3]"}},
		{"name of a source", clientip.Config{Header: "Peer", TrustUnixPeer: true}, []string{`"Peer"`}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r, err := clientip.New(row.config)
			if (err == nil) != (row.want == nil) || (r == nil) != (err != nil) {
				t.Fatalf("New = %v, %v", r, err)
			}
			for _, part := range row.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not hold %q", err, part)
				}
			}
		})
	}
}

func TestNewMappedPrefix(t *testing.T) {
	r := newResolver(t, clientip.Config{Trusted: []netip.Prefix{netip.MustParsePrefix("::ffff:10.0.0.0/104")}})
	c, err := r.Resolve(hop, header(xff, "203.0.113.7"))
	check(t, c, err, "203.0.113.7", "x-forwarded-for", nil)
}

func TestNewCopiesTrusted(t *testing.T) {
	list := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	r := newResolver(t, clientip.Config{Trusted: list})
	list[0] = netip.MustParsePrefix("198.51.100.0/24")
	c, err := r.Resolve("198.51.100.9:1", header(xff, "6.6.6.6"))
	check(t, c, err, "198.51.100.9", "peer", nil)
}

func TestResolveAllocations(t *testing.T) {
	r := newResolver(t, clientip.Config{Trusted: trusted})
	h := header(xff, "6.6.6.6", "203.0.113.7:5555, [fe80::1], 10.0.0.2")
	if n := testing.AllocsPerRun(100, func() { _, _ = r.Resolve(hop, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// R52
func FuzzResolve(f *testing.F) {
	for _, row := range resolveTable {
		if line := strings.Join(row.lines, "\n"); len(line) < 1000 {
			f.Add(row.header, line, "203.0.113.7")
		}
	}
	f.Fuzz(func(t *testing.T, name, lines, appended string) {
		if name != fwd && name != cfip {
			name = xff
		}
		r := newResolver(t, clientip.Config{Trusted: trusted, Header: name})
		h := header(name, strings.Split(lines, "\n")...)
		c, err := r.Resolve(hop, h)
		if c.Addr.IsValid() == (err != nil) || c.Addr.Is4In6() || c.Addr.Zone() != "" || !c.PeerTrusted {
			t.Fatalf("%+v, %v", c, err)
		}
		for _, b := range []byte(r.Explain(lines, h)) {
			if b != '\n' && (b < ' ' || b > '~') {
				t.Fatalf("Explain holds byte %#x", b)
			}
		}
		r.HTTPS(c, h)

		// Whatever the client wrote, what the proxy appends decides, or the
		// request is refused.
		real, err := netip.ParseAddr(appended)
		if err != nil || real.Zone() != "" || real.IsUnspecified() || real.Is4In6() {
			return
		}
		entry := appended
		if name == fwd {
			entry = `for="` + appended + `";proto=http`
		}
		for _, p := range trusted {
			if p.Contains(real) {
				return
			}
		}
		values := h[http.CanonicalHeaderKey(name)]
		values[len(values)-1] += ", " + entry
		if c, err := r.Resolve(hop, h); err == nil && c.Addr != real {
			t.Fatalf("%q: got %v", values, c.Addr)
		}
		if r.HTTPS(c, h) && name == fwd {
			t.Fatalf("%q: HTTPS", values)
		}
	})
}

func BenchmarkResolve(b *testing.B) {
	rows := []struct{ name, header, line string }{
		{"ordinary", xff, "203.0.113.7, 10.0.0.2"},
		{"forwarded", fwd, `for=203.0.113.7;proto=https, for="[fe80::1]"`},
		{"hostile commas", xff, strings.Repeat(",", 8000)},
		{"hostile hops", fwd, strings.Repeat(`for="10.0.0.2";ext=";,",`, 300)},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			r := newResolver(b, clientip.Config{Trusted: trusted, Header: row.header})
			h := header(row.header, row.line)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = r.Resolve(hop, h)
			}
		})
	}
}
