package wsguard_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsguard/wsguard"
)

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")
	tenNet   = netip.MustParsePrefix("10.0.0.0/8")
)

// R01, R02: plaintext is refused and never redirected, and no header of a
// client's makes it TLS.
func TestRequireTLSRefusesPlaintext(t *testing.T) {
	runKnocks(t, []knockRow{
		{"upgrade", nil, 403, "tls_required"},
		{"page", []string{"Connection", "Upgrade"}, 403, "tls_required"},
		{"https in the request line", []string{"GET https://chat.example.com/ HTTP/1.1"}, 403, "tls_required"},
		{"forged X-Forwarded-Proto", []string{"X-Forwarded-Proto: https"}, 403, "tls_required"},
		{"forged Forwarded", []string{"Forwarded: for=192.0.2.1;proto=https"}, 403, "tls_required"},
		{"forged others", []string{"X-Forwarded-Ssl: on", "Front-End-Https: on", "X-Url-Scheme: https"}, 403, "tls_required"},
		{"hostile size", []string{"X-Forwarded-Proto: " + strings.Repeat("https,", 50<<10)}, 403, "tls_required"},
	}, wsguard.RequireTLS())
	p := knock(t, newServer(t, wsguard.RequireTLS()(wsguard.Handler(echo))), "X-Forwarded-Proto: https")
	if p.resp.Header.Get("Location") != "" {
		t.Errorf("redirected to %q", p.resp.Header.Get("Location"))
	}
}

// R03: whatever the server's configuration lets in, RequireTLS wants 1.2.
func TestRequireTLSVersions(t *testing.T) {
	rec := newRecorder()
	srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.RequireTLS())(wsguard.Handler(echo)))
	srv.TLS = &tls.Config{MinVersion: tls.VersionTLS10}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	for _, row := range []struct {
		version uint16
		status  int
		reason  string
	}{
		{tls.VersionTLS10, 403, "tls_too_old"},
		{tls.VersionTLS11, 403, "tls_too_old"},
		{tls.VersionTLS12, 101, ""},
		{tls.VersionTLS13, 101, ""},
	} {
		t.Run(tls.VersionName(row.version), func(t *testing.T) {
			config := srv.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			config.MinVersion, config.MaxVersion = row.version, row.version
			nc, err := tls.Dial("tcp", srv.Listener.Addr().String(), config)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			p, err := knockOn(nc, "X-Forwarded-Proto: http")
			if err != nil {
				t.Fatal(err)
			}
			wantOutcome(t, rec, p, row.status, row.reason)
		})
	}
}

// R01, R52: behind a proxy the scheme is believed from a trusted one alone.
func TestRequireTLSBehindProxies(t *testing.T) {
	rows := []knockRow{
		{"https", []string{"X-Forwarded-Proto: https"}, 101, ""},
		{"https, upper case", []string{"X-Forwarded-Proto: HTTPS"}, 101, ""},
		{"https at two proxies", []string{"X-Forwarded-Proto: https, https"}, 101, ""},
		{"http", []string{"X-Forwarded-Proto: http"}, 403, "tls_required"},
		{"absent", nil, 403, "tls_required"},
		{"empty", []string{"X-Forwarded-Proto: "}, 403, "tls_required"},
		{"http to the first proxy", []string{"X-Forwarded-Proto: http, https"}, 403, "tls_required"},
		{"http between proxies", []string{"X-Forwarded-Proto: https, http"}, 403, "tls_required"},
		{"duplicated, one http", []string{"X-Forwarded-Proto: https", "X-Forwarded-Proto: http"}, 403, "tls_required"},
		{"malformed", []string{"X-Forwarded-Proto: https;"}, 403, "tls_required"},
		{"the other header", []string{"Forwarded: for=192.0.2.1;proto=https"}, 403, "tls_required"},
		{"hostile size", []string{"X-Forwarded-Proto: " + strings.Repeat("https,", 50<<10) + "https"}, 403, "tls_required"},
	}
	t.Run("trusted", func(t *testing.T) {
		runKnocks(t, rows, wsguard.TrustProxies(loopback), wsguard.RequireTLS())
	})
	t.Run("not trusted", func(t *testing.T) {
		none := append([]knockRow(nil), rows...)
		for i := range none {
			none[i].status, none[i].reason = 403, "tls_required"
		}
		runKnocks(t, none, wsguard.TrustProxies(tenNet), wsguard.RequireTLS())
	})
	t.Run("Forwarded", func(t *testing.T) {
		runKnocks(t, []knockRow{
			{"https", []string{"Forwarded: for=192.0.2.1;proto=https"}, 101, ""},
			{"https, quoted", []string{`Forwarded: for="[2001:db8::1]:5";proto="https"`}, 101, ""},
			{"http", []string{"Forwarded: for=192.0.2.1;proto=http"}, 403, "tls_required"},
			{"absent", []string{"Forwarded: for=192.0.2.1"}, 403, "tls_required"},
			{"the other header", []string{"X-Forwarded-Proto: https"}, 403, "tls_required"},
			{"malformed", []string{`Forwarded: for=192.0.2.1;proto="https`}, 400, "address_malformed"},
		}, wsguard.TrustProxyHeader(wsguard.ProxyConfig{Prefixes: []netip.Prefix{loopback}, Header: "Forwarded"}), wsguard.RequireTLS())
	})
}

// Traefik and others write the scheme of the WebSocket URL.
func TestRequireTLSBehindProxiesThatSayWSS(t *testing.T) {
	runKnocks(t, []knockRow{
		{"wss", []string{"X-Forwarded-Proto: wss"}, 101, ""},
		{"ws", []string{"X-Forwarded-Proto: ws"}, 403, "tls_required"},
	}, wsguard.TrustProxies(loopback), wsguard.RequireTLS())
}

// R52: whom observers and the application take for the client.
func TestTrustProxies(t *testing.T) {
	list := wsguard.TrustProxies(loopback, tenNet)
	forwarded := wsguard.TrustProxyHeader(wsguard.ProxyConfig{Prefixes: []netip.Prefix{loopback, tenNet}, Header: "Forwarded"})
	single := wsguard.TrustProxyHeader(wsguard.ProxyConfig{Prefixes: []netip.Prefix{loopback}, Header: "CF-Connecting-IP"})
	foreign := wsguard.TrustProxies(tenNet)
	for _, row := range []struct {
		name   string
		guard  func(http.Handler) http.Handler
		lines  []string
		client string // "" is refused with 400
		source string
	}{
		{"no safeguard", nil, []string{"X-Forwarded-For: 203.0.113.7"}, "127.0.0.1", "peer"},
		{"not trusted", foreign, []string{"X-Forwarded-For: 203.0.113.7"}, "127.0.0.1", "peer"},
		{"not trusted, malformed", foreign, []string{"X-Forwarded-For: x"}, "127.0.0.1", "peer"},
		{"trusted", list, []string{"X-Forwarded-For: 203.0.113.7"}, "203.0.113.7", "x-forwarded-for"},
		{"with a port", list, []string{"X-Forwarded-For: 203.0.113.7:5555"}, "203.0.113.7", "x-forwarded-for"},
		{"mapped", list, []string{"X-Forwarded-For: ::ffff:203.0.113.7"}, "203.0.113.7", "x-forwarded-for"},
		{"forged on the left", list, []string{"X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.1.1"}, "203.0.113.7", "x-forwarded-for"},
		{"forged line", list, []string{"X-Forwarded-For: 198.51.100.1", "X-Forwarded-For: 203.0.113.7"}, "203.0.113.7", "x-forwarded-for"},
		{"garbage on the left", list, []string{"X-Forwarded-For: <script>, 203.0.113.7"}, "203.0.113.7", "x-forwarded-for"},
		{"empty element", list, []string{"X-Forwarded-For: 203.0.113.7,"}, "203.0.113.7", "x-forwarded-for"},
		{"absent", list, nil, "127.0.0.1", "trusted-hop"},
		{"all trusted", list, []string{"X-Forwarded-For: 10.0.0.9, 10.0.0.8"}, "10.0.0.9", "trusted-hop"},
		{"malformed", list, []string{"X-Forwarded-For: 203.0.113.7, x"}, "", ""},
		{"unknown", list, []string{"X-Forwarded-For: unknown"}, "", ""},
		{"nobody's address", list, []string{"X-Forwarded-For: 0.0.0.0"}, "", ""},
		{"hostile size", list, []string{"X-Forwarded-For: " + strings.Repeat("10.0.0.1, ", 20<<10) + "10.0.0.1"}, "", ""},
		{"another header is not read", list, []string{"X-Real-IP: 203.0.113.7", "Forwarded: for=203.0.113.8"}, "127.0.0.1", "trusted-hop"},
		{"Forwarded", forwarded, []string{`Forwarded: for=198.51.100.1, for="[2001:db8::1]:99"`}, "2001:db8::1", "forwarded"},
		{"Forwarded, hidden", forwarded, []string{"Forwarded: for=_hidden"}, "", ""},
		{"single", single, []string{"CF-Connecting-IP: 203.0.113.7"}, "203.0.113.7", "cf-connecting-ip"},
		{"single, duplicated", single, []string{"CF-Connecting-IP: 198.51.100.1", "CF-Connecting-IP: 203.0.113.7"}, "203.0.113.7", "cf-connecting-ip"},
		{"single, list", single, []string{"CF-Connecting-IP: 198.51.100.1, 203.0.113.7"}, "203.0.113.7", "cf-connecting-ip"},
		{"single, malformed", single, []string{"CF-Connecting-IP: 203.0.113.7 203.0.113.8"}, "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			rec := newRecorder()
			guards := []func(http.Handler) http.Handler{wsguard.Observe(rec.Observer)}
			if row.guard != nil {
				guards = append(guards, row.guard)
			}
			url := newServer(t, wsguard.Chain(guards...)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				addr, source, err := wsguard.ClientAddress(r)
				if err != nil || addr.String() != row.client || source != row.source {
					t.Errorf("ClientAddress = %v, %q, %v, want %q, %q", addr, source, err, row.client, row.source)
				}
				if !strings.HasPrefix(r.RemoteAddr, "127.0.0.1:") {
					t.Errorf("RemoteAddr was written: %q", r.RemoteAddr)
				}
				wsguard.Handler(echo).ServeHTTP(w, r)
			})))
			p := knock(t, url, row.lines...)
			if row.client == "" {
				wantOutcome(t, rec, p, 400, "address_malformed")
				return
			}
			e := next(t, rec.handshakes)
			if e.Refusal != nil || e.Conn.ClientIP.String() != row.client || e.Conn.ClientIPSource != row.source ||
				!strings.HasPrefix(e.Conn.PeerAddr, "127.0.0.1:") {
				t.Errorf("observed %v, %q, %q, %v", e.Conn.ClientIP, e.Conn.ClientIPSource, e.Conn.PeerAddr, e.Refusal)
			}
		})
	}
}

// R52, R58: who cannot be located is not let in by a limit on addresses, and
// ClientAddress says so.
func TestClientAddress(t *testing.T) {
	if _, _, err := wsguard.ClientAddress(httptest.NewRequest("GET", "/", nil)); !errors.Is(err, wsguard.ErrNotGuarded) {
		t.Errorf("outside of a chain: %v", err)
	}
	var err error
	h := wsguard.AllowHosts("example.com")(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _, err = wsguard.ClientAddress(r)
	}))
	h.ServeHTTP(httptest.NewRecorder(), requestFrom("@")())
	if err == nil || !strings.HasPrefix(err.Error(), "wsguard: ") {
		t.Errorf("of a Unix socket: %v", err)
	}
	if n := freeSlots(wsguard.LimitConns(3, wsguard.PerIP), requestFrom("@")); n != 0 {
		t.Errorf("%d slots for a client without an address", n)
	}
}

// R52: a Unix socket is a proxy where it is said to be one.
func TestUnixPeer(t *testing.T) {
	var got string
	h := wsguard.TrustProxyHeader(wsguard.ProxyConfig{UnixPeer: true})(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		addr, source, err := wsguard.ClientAddress(r)
		got = fmt.Sprint(addr, source, err)
	}))
	r := requestFrom("@")()
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	h.ServeHTTP(httptest.NewRecorder(), r)
	if want := fmt.Sprint(netip.MustParseAddr("203.0.113.7"), "x-forwarded-for", nil); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func ExampleRequireTLS() {
	h := wsguard.RequireTLS()(wsguard.Handler(echo))
	fmt.Println(answer(h))
	fmt.Println(answer(h, "X-Forwarded-Proto", "https")) // from nobody who is trusted
	// Output:
	// 403 Forbidden
	// 403 Forbidden
}

func ExampleTrustProxies() {
	guard := wsguard.Chain(
		wsguard.TrustProxies(netip.MustParsePrefix("192.0.2.0/24")), // the address of httptest's requests is in it
		wsguard.RequireTLS(),
	)
	h := guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(wsguard.ClientAddress(r))
	}))
	answer(h, "X-Forwarded-For", "198.51.100.1, 203.0.113.7", "X-Forwarded-Proto", "https")
	fmt.Println(answer(h, "X-Forwarded-For", "unknown", "X-Forwarded-Proto", "https"))
	// Output:
	// 203.0.113.7 x-forwarded-for <nil>
	// 400 Bad Request
}

// RequireTLS could not know whom to believe about the scheme.
func ExampleTrustProxies_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.Chain(
		wsguard.RequireTLS(),
		wsguard.TrustProxies(netip.MustParsePrefix("10.0.0.0/8")),
	)(wsguard.Handler(echo))
	// Output: wsguard: RequireTLS stands outside TrustProxies and would not see what it establishes: put TrustProxies before RequireTLS
}

func ExampleTrustProxyHeader() {
	guard := wsguard.TrustProxyHeader(wsguard.ProxyConfig{
		Prefixes: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		Header:   "Forwarded",
	})
	answer(guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(wsguard.ClientAddress(r))
	})), "Forwarded", `for="[2001:db8::7]:1234"`)
	// Output: 2001:db8::7 forwarded <nil>
}

func ExampleClientAddress() {
	_, _, err := wsguard.ClientAddress(httptest.NewRequest(http.MethodGet, "/", nil))
	fmt.Println(err)
	// Output: wsguard: no safeguard has seen this request: put one, such as TrustProxies, around the handler
}
