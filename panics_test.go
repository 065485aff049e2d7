package wsguard_test

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// mistakes are calls that cannot be meant, and the sentences that say so: each
// names the constructor, the reason and what to write instead.
var mistakes = []struct {
	name string
	call func()
	want string
}{
	{"Chain, nil safeguard", func() { wsguard.Chain(foreign, nil)(whoami) }, "Chain: safeguard 2 is nil: leave it out"},
	{"Chain, nil handler", func() { wsguard.Chain(foreign)(nil) }, "Chain: the handler is nil: write guard(wsguard.Handler(serve))"},
	{"safeguard, nil handler", func() { wsguard.RequireTLS()(nil) }, "RequireTLS: the handler is nil: write guard(wsguard.Handler(serve))"},
	{"Observe, nil", func() { wsguard.Observe(nil) }, `Observe: the observer was not made by NewObserver: write NewObserver("chat", slog.Default())`},
	{"Observe, zero", func() { wsguard.Observe(&wsguard.Observer{}) }, `Observe: the observer was not made by NewObserver`},
	{"FromHeader, Cookie", func() { wsguard.FromHeader("cookie") }, `FromHeader: cookie holds no token by itself: write FromCookie("session")`},
	{"FromHeader, Origin", func() { wsguard.FromHeader("Origin") }, "write a header of your own"},
	{"Authenticate, empty JWT", func() { wsguard.Authenticate(&wsguard.JWT{}, wsguard.FromAuthorization()) }, "write what NewJWT returned"},
	{"ValidateMessages, zero", func() { wsguard.ValidateMessages(&wsguard.Schema{}) }, "write what CompileSchema returned"},
	{"IdleTimeout, no unit", func() { wsguard.IdleTimeout(5) }, "write a time with its unit such as 30*time.Second"},

	{"AllowOrigins, none", func() { wsguard.AllowOrigins() }, "AllowOrigins: nothing is listed; write at least one"},
	{"AllowOrigins, no scheme", func() { wsguard.AllowOrigins("app.example.com") }, `write "https://app.example.com"`},
	{"AllowOrigins, path", func() { wsguard.AllowOrigins(home + "/") }, `write "https://app.example.com"`},
	{"AllowOrigins, null", func() { wsguard.AllowOrigins("null") }, `AllowOrigins: pattern "null"`},
	{"AllowOrigins, everybody", func() { wsguard.AllowOrigins("*") }, `AllowOrigins: pattern "*"`},
	{"AllowOrigins, glob", func() { wsguard.AllowOrigins("https://*example.com") }, `write "https://*.example.com"`},
	{"AllowOrigins, top-level domain", func() { wsguard.AllowOrigins("https://*.com") }, `AllowOrigins: pattern "https://*.com"`},
	{"AllowOrigins, not ASCII", func() { wsguard.AllowOrigins("https://bücher.example") }, "write the A-label"},
	{"AllowOrigins, user information", func() { wsguard.AllowOrigins("https://user@example.com") }, "AllowOrigins: pattern"},
	{"AllowOrigins, repeated", func() { wsguard.AllowOrigins(home, home+":443") }, `repeated; write "https://app.example.com" once`},
	{"CheckOrigins", func() { wsguard.CheckOrigins(wsguard.OriginConfig{InsecureAllowMissing: true}) }, "CheckOrigins: OriginConfig.Allow is empty, so nobody could connect: set it to what ParseOrigins returned"},
	{"AllowHosts, none", func() { wsguard.AllowHosts() }, "AllowHosts: nothing is listed"},
	{"AllowHosts, URL", func() { wsguard.AllowHosts("https://chat.example.com") }, "AllowHosts: pattern"},

	{"TrustProxies, none", func() { wsguard.TrustProxies() }, `TrustProxies: no prefix is given, so nobody is trusted: write netip.MustParsePrefix("10.0.0.0/8") or leave TrustProxies out`},
	{"TrustProxies, zero prefix", func() { wsguard.TrustProxies(netip.Prefix{}) }, "TrustProxies: trusted[0]: not a valid prefix"},
	{"TrustProxies, everybody", func() { wsguard.TrustProxies(loopback, netip.MustParsePrefix("0.0.0.0/0")) }, "TrustProxies: trusted[1]: 0.0.0.0/0 holds every address; list the proxies"},
	{"TrustProxies, everybody by IPv6", func() { wsguard.TrustProxies(netip.MustParsePrefix("::/0")) }, "holds every address"},
	{"TrustProxyHeader, none", func() { wsguard.TrustProxyHeader(wsguard.ProxyConfig{Header: "Forwarded"}) }, "TrustProxyHeader: no prefix is given"},
	{"TrustProxyHeader, header", func() {
		wsguard.TrustProxyHeader(wsguard.ProxyConfig{Prefixes: []netip.Prefix{loopback}, Header: "X Y"})
	}, "TrustProxyHeader: header \"X Y\": not a field name"},

	{"Authenticate, verifier", func() { wsguard.Authenticate(nil, wsguard.FromAuthorization()) }, "Authenticate: the verifier is nil: write what NewJWT returned, or a Verifier of your own"},
	{"Authenticate, source", func() { wsguard.Authenticate(known, wsguard.TokenSource{}) }, `Authenticate: source 1 is empty: write FromSubprotocol("bearer") or another From…`},
	{"Authenticate, second source", func() { wsguard.Authenticate(known, wsguard.FromAuthorization(), wsguard.TokenSource{}) }, "Authenticate: source 2 is empty"},
	{"InsecureNoExpiry", func() { wsguard.InsecureNoExpiry(nil) }, "InsecureNoExpiry: the verifier is nil"},
	{"FromHeader", func() { wsguard.FromHeader("") }, `FromHeader: "" is no name of a header: write FromHeader("X-Token")`},
	{"FromHeader, no field name", func() { wsguard.FromHeader("X Token") }, `FromHeader: "X Token" is no name of a header`},
	{"FromQuery", func() { wsguard.FromQuery("") }, `FromQuery: the name is empty: write FromQuery("token")`},
	{"FromCookie", func() { wsguard.FromCookie("") }, `FromCookie: "" is no name of a cookie: write FromCookie("session")`},
	{"FromCookie, no name", func() { wsguard.FromCookie("a;b") }, `FromCookie: "a;b" is no name of a cookie`},
	{"FromSubprotocol", func() { wsguard.FromSubprotocol("") }, `FromSubprotocol: prefix "" is no token of RFC 9110: write FromSubprotocol("bearer")`},
	{"FromSubprotocol, list", func() { wsguard.FromSubprotocol("a, b") }, `FromSubprotocol: prefix "a, b" is no token of RFC 9110`},
	{"FromSubprotocol, separator", func() { wsguard.FromSubprotocol("a/b") }, `FromSubprotocol: prefix "a/b" is no token of RFC 9110`},
	{"RedactQuery", func() { wsguard.RedactQuery() }, `RedactQuery: a name is missing: write RedactQuery("token")`},
	{"RedactQuery, empty name", func() { wsguard.RedactQuery("token", "") }, `RedactQuery: a name is missing: write RedactQuery("token")`},

	{"Revalidate, no unit", func() { wsguard.Revalidate(30, func(context.Context, wsguard.Principal) error { return nil }) }, "Revalidate: every is 30ns and would ask all the time: write a time with its unit such as 30*time.Minute"},
	{"Revalidate, negative", func() { wsguard.Revalidate(-time.Hour, func(context.Context, wsguard.Principal) error { return nil }) }, "Revalidate: every is -1h0m0s"},
	{"Revalidate, nil", func() { wsguard.Revalidate(time.Hour, nil) }, "Revalidate: ask is nil: write func(ctx context.Context, p wsguard.Principal) error"},
	{"WarnExpiry, no unit", func() { wsguard.WarnExpiry(60, func(context.Context, *wsguard.Conn) {}) }, "WarnExpiry: before is 60ns, which is too late: write a time with its unit such as time.Minute"},
	{"WarnExpiry, nil", func() { wsguard.WarnExpiry(time.Minute, nil) }, "WarnExpiry: warn is nil: write func(ctx context.Context, c *wsguard.Conn)"},

	{"LimitConns, zero", func() { wsguard.LimitConns(0, wsguard.PerIP) }, "LimitConns: a limit of 0 lets nobody in: write at least 1"},
	{"LimitConns, negative", func() { wsguard.LimitConns(-1, wsguard.Everyone) }, "LimitConns: a limit of -1 lets nobody in: write at least 1"},
	{"LimitConns, no key", func() { wsguard.LimitConns(1, wsguard.Key{}) }, "LimitConns counts by Everyone, PerIP, PerUser or PerKey"},
	{"LimitConns, PerConn", func() { wsguard.LimitConns(1, wsguard.PerConn) }, `LimitConns counts by Everyone, PerIP, PerUser or PerKey, not by "PerConn"`},
	{"LimitHandshakes, PerConn", func() { wsguard.LimitHandshakes(1, 1, wsguard.PerConn) }, `LimitHandshakes counts by Everyone, PerIP, PerUser or PerKey, not by "PerConn"`},
	{"LimitHandshakes, zero", func() { wsguard.LimitHandshakes(0, 1, wsguard.PerIP) }, "LimitHandshakes: rate 0 is no limit"},
	{"LimitHandshakes, infinite", func() { wsguard.LimitHandshakes(rate.Inf, 1, wsguard.PerIP) }, "LimitHandshakes: rate"},
	{"LimitHandshakes, no number", func() { wsguard.LimitHandshakes(rate.Limit(math.NaN()), 1, wsguard.PerIP) }, "LimitHandshakes: rate NaN is no limit"},
	{"LimitHandshakes, burst", func() { wsguard.LimitHandshakes(1, 0, wsguard.PerIP) }, "LimitHandshakes: burst 0 allows nothing: write how many events may come at once, at least 1"},
	{"LimitMessages, negative", func() { wsguard.LimitMessages(-1, 1, wsguard.PerConn) }, "LimitMessages: rate -1 is no limit"},
	{"LimitMessages, no key", func() { wsguard.LimitMessages(1, 1, wsguard.Key{}) }, "LimitMessages: the key is missing: write PerConn, PerUser, PerIP, Everyone or PerKey"},
	{"PaceMessages, burst", func() { wsguard.PaceMessages(1, 0, wsguard.PerConn) }, "PaceMessages: burst 0 allows nothing"},
	{"LimitBytes, burst", func() { wsguard.LimitBytes(1, -1, wsguard.PerConn) }, "LimitBytes: burst -1 allows nothing"},
	{"PaceBytes, zero", func() { wsguard.PaceBytes(0, 1, wsguard.PerConn) }, "PaceBytes: rate 0 is no limit"},
	{"PerKey, name", func() { wsguard.PerKey("", func(*http.Request) (string, error) { return "", nil }) }, `PerKey: name or function is missing: write PerKey("tenant", tenantOf)`},
	{"PerKey, function", func() { wsguard.PerKey("tenant", nil) }, "PerKey: name or function is missing"},

	{"CloseCodes, unknown reason", func() { closeCode("bored", 4000) }, `CloseCodes: "bored" closes no connection: write a Reason such as "idle" or "message_rate"`},
	{"CloseCodes, handshake", func() { closeCode("origin_missing", 4000) }, `CloseCodes: "origin_missing" closes no connection`},
	{"CloseCodes, 0", func() { closeCode("idle", 0) }, `CloseCodes: 0 for "idle" must not be sent: write a code from 3000 to 4999`},
	{"CloseCodes, 1005", func() { closeCode("idle", 1005) }, `CloseCodes: 1005 for "idle" must not be sent`},
	{"CloseCodes, 1006", func() { closeCode("idle", 1006) }, `CloseCodes: 1006 for "idle" must not be sent`},
	{"CloseCodes, 1015", func() { closeCode("idle", 1015) }, `CloseCodes: 1015 for "idle" must not be sent`},
	{"CloseCodes, reserved", func() { closeCode("idle", 2999) }, `CloseCodes: 2999 for "idle" must not be sent`},
	{"CloseCodes, too large", func() { closeCode("idle", 5000) }, `CloseCodes: 5000 for "idle" must not be sent`},
	{"CloseCodes, wraps round", func() { closeCode("idle", 1<<16+4000) }, `CloseCodes: 69536 for "idle" must not be sent`},

	{"Handler", func() { wsguard.Handler(nil) }, "Handler: serve is nil: write func(ctx context.Context, c *wsguard.Conn) error"},
}

func closeCode(reason string, code websocket.StatusCode) {
	wsguard.CloseCodes(map[string]websocket.StatusCode{reason: code})
}

// What cannot be meant is a panic at start-up that says what to write.
func TestMistakes(t *testing.T) {
	for _, row := range mistakes {
		t.Run(row.name, func(t *testing.T) { wantPanic(t, row.want, row.call) })
	}
}

// R45: a code of one's own for a reason, on the wire and for observers; the
// map is the caller's again.
func TestCloseCodes(t *testing.T) {
	rec := newRecorder()
	codes := map[string]websocket.StatusCode{"lifetime_over": 4001, "message_rate": 4002}
	guard := wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.CloseCodes(codes))
	rate := newServer(t, wsguard.Chain(guard, wsguard.LimitMessages(1, 1, wsguard.PerConn))(wsguard.Handler(echo)))
	life := newServer(t, wsguard.Chain(guard, wsguard.MaxLifetime(20*time.Millisecond))(wsguard.Handler(echo)))
	clear(codes)
	for url, want := range map[string]websocket.StatusCode{rate: 4002, life: 4001} {
		c := mustDial(t, url)
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		for range 2 {
			_ = c.Write(ctx, websocket.MessageText, []byte("x"))
		}
		var err error
		for err == nil {
			_, _, err = c.Read(ctx)
		}
		cancel()
		if e := next(t, rec.closes); websocket.CloseStatus(err) != want || e.Code != want || e.Refusal.CloseCode != want {
			t.Errorf("closed with %v, observed %d, %v, want %d", err, e.Code, e.Refusal, want)
		}
	}
}
