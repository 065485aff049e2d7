package wsguard_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

const home = "https://app.example.com"

// R05, R06: the refusals of AllowOrigins. How an origin is read is tested where
// that is done; here is one row of each kind, as it comes over a socket.
var originRows = []knockRow{
	{"allowed", []string{"Origin: " + home}, 101, ""},
	{"allowed, upper case", []string{"Origin: HTTPS://App.Example.COM"}, 101, ""},
	{"allowed, default port", []string{"Origin: https://app.example.com:443"}, 101, ""},
	{"allowed, name of the header in lower case", []string{"origin: " + home}, 101, ""},
	{"allowed, port", []string{"Origin: http://localhost:3000"}, 101, ""},
	{"allowed, IPv6 in another spelling", []string{"Origin: http://[0:0::1]:3000"}, 101, ""},
	{"allowed, subdomain", []string{"Origin: https://a.wild.example.com"}, 101, ""},
	{"allowed, subdomain of a subdomain", []string{"Origin: https://a.b.wild.example.com"}, 101, ""},
	{"allowed, browser extension", []string{"Origin: chrome-extension://abc"}, 101, ""},

	{"another host", []string{"Origin: https://evil.example.com"}, 403, "origin_not_allowed"},
	{"another scheme", []string{"Origin: http://app.example.com"}, 403, "origin_not_allowed"},
	{"another port", []string{"Origin: https://app.example.com:8443"}, 403, "origin_not_allowed"},
	{"wildcard's own name", []string{"Origin: https://wild.example.com"}, 403, "origin_not_allowed"},
	{"wildcard without the dot", []string{"Origin: https://evilwild.example.com"}, 403, "origin_not_allowed"},
	{"allowed name as a subdomain", []string{"Origin: https://app.example.com.evil.example"}, 403, "origin_not_allowed"},
	{"allowed name as a suffix", []string{"Origin: https://evil-app.example.com"}, 403, "origin_not_allowed"},
	{"its own host", []string{"Origin: https://chat.example.com", "Host: chat.example.com"}, 403, "origin_not_allowed"},
	{"DNS rebinding", []string{"Origin: http://attacker.example", "Host: attacker.example"}, 403, "origin_not_allowed"},

	{"absent", nil, 403, "origin_missing"},
	{"absent, but a Referer", []string{"Referer: " + home + "/"}, 403, "origin_missing"},
	{"absent, old header", []string{"Sec-WebSocket-Origin: " + home}, 403, "origin_missing"},

	{"duplicated, good first", []string{"Origin: " + home, "Origin: https://evil.example.com"}, 403, "origin_duplicated"},
	{"duplicated, good last", []string{"Origin: https://evil.example.com", "Origin: " + home}, 403, "origin_duplicated"},
	{"duplicated, both good", []string{"Origin: " + home, "origin: " + home}, 403, "origin_duplicated"},

	{"null", []string{"Origin: null"}, 403, "origin_malformed"},
	{"null and an empty Host", []string{"Origin: null", "Host: "}, 403, "origin_malformed"},
	{"empty", []string{"Origin: "}, 403, "origin_malformed"},
	{"user information", []string{"Origin: https://app.example.com@evil.example.com"}, 403, "origin_malformed"},
	{"path", []string{"Origin: " + home + "/"}, 403, "origin_malformed"},
	{"trailing garbage", []string{"Origin: " + home + " x"}, 403, "origin_malformed"},
	{"list", []string{"Origin: " + home + ", https://evil.example.com"}, 403, "origin_malformed"},
	{"not ASCII", []string{"Origin: https://bücher.example"}, 403, "origin_malformed"},
	{"wildcard as sent", []string{"Origin: https://*.wild.example.com"}, 403, "origin_malformed"},
	{"hostile size", []string{"Origin: https://" + strings.Repeat("a.", 100<<10) + "wild.example.com"}, 403, "origin_malformed"},
	{"no upgrade is no way past", []string{"GET / HTTP/1.1", "Upgrade", "Connection"}, 403, "origin_missing"},
}

// R05, R06
func TestAllowOrigins(t *testing.T) {
	runKnocks(t, originRows, wsguard.AllowOrigins(home, "http://localhost:3000", "http://[::1]:3000",
		"https://*.wild.example.com", "chrome-extension://abc"))
}

// R05, R07: CheckOrigins is the same for all that have an Origin, and only
// where it says so open for those that have none.
func TestCheckOrigins(t *testing.T) {
	allow, err := wsguard.ParseOrigins(home)
	if err != nil {
		t.Fatal(err)
	}
	rows := []knockRow{
		{"allowed", []string{"Origin: " + home}, 101, ""},
		{"another", []string{"Origin: https://evil.example.com"}, 403, "origin_not_allowed"},
		{"null", []string{"Origin: null"}, 403, "origin_malformed"},
		{"empty", []string{"Origin: "}, 403, "origin_malformed"},
		{"duplicated", []string{"Origin: " + home, "Origin: " + home}, 403, "origin_duplicated"},
	}
	t.Run("strict", func(t *testing.T) {
		runKnocks(t, append(rows, knockRow{"absent", nil, 403, "origin_missing"}),
			wsguard.CheckOrigins(wsguard.OriginConfig{Allow: allow}))
	})
	t.Run("InsecureAllowMissing", func(t *testing.T) {
		runKnocks(t, append(rows, knockRow{"absent", nil, 101, ""}),
			wsguard.CheckOrigins(wsguard.OriginConfig{Allow: allow, InsecureAllowMissing: true}))
	})
}

// R05: all that is wrong with a list from a file is said at once.
func TestParseOrigins(t *testing.T) {
	for _, list := range [][]string{
		nil,
		{"app.example.com"},
		{"https://*example.com"},
		{"*"},
		{"null"},
		{"https://bücher.example"},
		{home + "/"},
		{home, home},
	} {
		allow, err := wsguard.ParseOrigins(list...)
		if err == nil || !strings.HasPrefix(err.Error(), "wsguard: ParseOrigins: ") {
			t.Errorf("ParseOrigins(%q): error %v", list, err)
		}
		if allow != (wsguard.Origins{}) {
			t.Errorf("ParseOrigins(%q) returned a list beside the error", list)
		}
	}
	_, err := wsguard.ParseOrigins("app.example.com", home, "https://bücher.example")
	for _, want := range []string{`"app.example.com"`, "https://app.example.com", "the A-label"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q: %v", want, err)
		}
	}
}

// R05: AllowHosts is the guard against DNS rebinding for clients that send no
// Origin.
func TestAllowHosts(t *testing.T) {
	runKnocks(t, []knockRow{
		{"allowed", []string{"Host: chat.example.com"}, 101, ""},
		{"allowed, default port", []string{"Host: chat.example.com:443"}, 101, ""},
		{"allowed, upper case", []string{"Host: Chat.Example.Com"}, 101, ""},
		{"allowed, subdomain", []string{"Host: a.b.wild.example.com"}, 101, ""},
		{"allowed, IPv6", []string{"Host: [::1]:8080"}, 101, ""},
		{"another", []string{"Host: attacker.example"}, 421, "host_not_allowed"},
		{"another port", []string{"Host: chat.example.com:8443"}, 421, "host_not_allowed"},
		{"allowed name as a subdomain", []string{"Host: chat.example.com.attacker.example"}, 421, "host_not_allowed"},
		{"trailing dot", []string{"Host: chat.example.com."}, 421, "host_not_allowed"},
		{"absent", []string{"Host: "}, 421, "host_not_allowed"},
		{"absolute form", []string{"GET http://attacker.example/ HTTP/1.1", "Host: chat.example.com"}, 421, "host_not_allowed"},
		{"believed from no header", []string{"Host: attacker.example", "X-Forwarded-Host: chat.example.com"}, 421, "host_not_allowed"},
		{"hostile size", []string{"Host: " + strings.Repeat("a.", 50<<10) + "wild.example.com"}, 421, "host_not_allowed"},
	}, wsguard.AllowHosts("chat.example.com", "*.wild.example.com", "[::1]:8080"))
}

// R05: net/http's own protection lets every GET pass, and an upgrade is one.
func TestCrossOriginProtectionIsNotEnough(t *testing.T) {
	upgrade := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err == nil {
			_ = c.CloseNow()
		}
	})
	foreign := []string{"Origin: https://evil.example.com", "Sec-Fetch-Site: cross-site"}
	weak := newServer(t, http.NewCrossOriginProtection().Handler(upgrade))
	if p := knock(t, weak, foreign...); p.resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("CrossOriginProtection answered %s: it has learned of upgrades, and the documentation of AllowOrigins is to be changed", p.resp.Status)
	}
	both := wsguard.Chain(http.NewCrossOriginProtection().Handler, wsguard.AllowOrigins(home))
	if p := knock(t, newServer(t, both(upgrade)), foreign...); p.resp.StatusCode != http.StatusForbidden {
		t.Errorf("AllowOrigins behind CrossOriginProtection answered %s", p.resp.Status)
	}
}

// R05, R58: Handler takes no Origin on trust. Without a header no browser is in
// play; with one, somebody must have judged it.
func TestOriginUnchecked(t *testing.T) {
	runKnocks(t, []knockRow{
		{"absent", nil, 101, ""},
		{"foreign", []string{"Origin: https://evil.example.com"}, 403, "origin_unchecked"},
		{"its own host", []string{"Origin: http://chat.example.com"}, 403, "origin_unchecked"},
		{"null", []string{"Origin: null"}, 403, "origin_unchecked"},
		{"empty", []string{"Origin: "}, 403, "origin_unchecked"},
		{"hostile size", []string{"Origin: https://" + strings.Repeat("a", 200<<10)}, 403, "origin_unchecked"},
	})
	bare := newServer(t, wsguard.Handler(echo))
	if p := knock(t, bare, "Origin: https://evil.example.com"); p.resp.StatusCode != http.StatusForbidden {
		t.Errorf("without a chain: %s", p.resp.Status)
	}
}

// What observers are told of a header of the peer's is bounded. (R49)
func TestObservedOriginIsClipped(t *testing.T) {
	rec := newRecorder()
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home))(wsguard.Handler(echo)))
	long := strings.Repeat("x", 100<<10)
	knock(t, url, "Origin: "+long, "User-Agent: "+long)
	if e := next(t, rec.handshakes); len(e.Conn.Origin) != 256 || len(e.Conn.UserAgent) != 256 {
		t.Errorf("%d bytes of Origin and %d of User-Agent were kept", len(e.Conn.Origin), len(e.Conn.UserAgent))
	}
}

func ExampleAllowOrigins() {
	guard := wsguard.AllowOrigins(
		"https://app.example.com",
		"https://*.tenants.example.com", // any subdomain, not tenants.example.com itself
	)
	h := guard(wsguard.Handler(echo))
	fmt.Println(answer(h, "Origin", "https://evil.example.com"))
	fmt.Println(answer(h, "Origin", "null"))
	fmt.Println(answer(h, "Host", "app.example.com"))
	// Output:
	// 403 Forbidden
	// 403 Forbidden
	// 403 Forbidden
}

// An origin is a scheme, a host and a port, and nothing less.
func ExampleAllowOrigins_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.AllowOrigins("app.example.com", "https://*example.com")
	// Output:
	// wsguard: AllowOrigins: pattern "app.example.com": malformed scheme, or none; write "https://app.example.com"
	// pattern "https://*example.com": a wildcard that is not the whole first label with two or more labels after it; write "https://*.example.com"
}

func ExampleCheckOrigins() {
	allow, err := wsguard.ParseOrigins("https://app.example.com")
	if err != nil {
		fmt.Println(err)
		return
	}
	// Telemetry comes from devices, which send no Origin, and from one page.
	guard := wsguard.CheckOrigins(wsguard.OriginConfig{Allow: allow, InsecureAllowMissing: true})
	fmt.Println(answer(guard(wsguard.Handler(echo)), "Origin", "https://evil.example.com"))
	// Output: 403 Forbidden
}

func ExampleParseOrigins() {
	_, err := wsguard.ParseOrigins("https://app.example.com/", "https://bücher.example")
	fmt.Println(err)
	// Output:
	// wsguard: ParseOrigins: pattern "https://app.example.com/": a path, query or fragment, if only a slash; write "https://app.example.com"
	// pattern "https://b\u00fccher.example": not ASCII; write the A-label, which begins with "xn--"
}

func ExampleAllowHosts() {
	h := wsguard.AllowHosts("chat.example.com")(wsguard.Handler(echo))
	fmt.Println(answer(h, "Host", "attacker.example"))
	// Output: 421 Misdirected Request
}
