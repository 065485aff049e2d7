package wsguard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// known are the tokens of these tests.
var known = fixedTokens{
	"good":      userOf("https://id.example.com", "ada"),
	"other":     userOf("https://id.example.com", "bob"),
	"nobody":    {Issuer: "https://id.example.com", Expires: time.Now().Add(time.Hour)},
	"boundless": {Subject: "ada"},
	"expired":   {Subject: "ada", Expires: time.Now().Add(-time.Second)},
	"epoch":     {Subject: "ada", Expires: time.Unix(0, 0)},
}

const hostile = 900 << 10 // close to what net/http takes of a header

// R10, R13: one token, from one explicit source, once.
func TestAuthenticate(t *testing.T) {
	rows := []knockRow{
		{"absent", nil, 401, "token_missing"},
		{"page", []string{"Connection", "Upgrade"}, 401, "token_missing"},

		{"Authorization", []string{"Authorization: Bearer good"}, 101, ""},
		{"Authorization, lower case", []string{"authorization: bearer good"}, 101, ""},
		{"Authorization, two spaces", []string{"Authorization: BEARER  good"}, 101, ""},
		{"Authorization, another scheme", []string{"Authorization: Basic good"}, 401, "token_missing"},
		{"Authorization, another scheme beside", []string{"Authorization: Basic x", "Authorization: Bearer good"}, 101, ""},
		{"Authorization, no scheme", []string{"Authorization: good"}, 401, "token_missing"},
		{"Authorization, scheme alone", []string{"Authorization: Bearer"}, 401, "token_invalid"},
		{"Authorization, unknown token", []string{"Authorization: Bearer bad"}, 401, "token_invalid"},
		{"Authorization, something after", []string{"Authorization: Bearer good, x=y"}, 401, "token_invalid"},
		{"Authorization, duplicated", []string{"Authorization: Bearer good", "Authorization: Bearer good"}, 400, "token_ambiguous"},
		{"Authorization, hostile size", []string{"Authorization: Bearer " + strings.Repeat("x", hostile)}, 401, "token_invalid"},

		{"header", []string{"X-Token: good"}, 101, ""},
		{"header, empty", []string{"X-Token: "}, 401, "token_invalid"},
		{"header, with a scheme", []string{"X-Token: Bearer good"}, 401, "token_invalid"},
		{"header, duplicated", []string{"X-Token: good", "X-Token: good"}, 400, "token_ambiguous"},
		{"header, hostile size", []string{"X-Token: " + strings.Repeat("x", hostile)}, 401, "token_invalid"},

		{"query", []string{"GET /?a=1&token=good HTTP/1.1"}, 101, ""},
		{"query, escaped", []string{"GET /?%74oken=g%6fod HTTP/1.1"}, 101, ""},
		{"query, empty", []string{"GET /?token= HTTP/1.1"}, 401, "token_invalid"},
		{"query, without a value", []string{"GET /?token HTTP/1.1"}, 401, "token_invalid"},
		{"query, malformed", []string{"GET /?token=%zz HTTP/1.1"}, 401, "token_invalid"},
		{"query, another case", []string{"GET /?Token=good HTTP/1.1"}, 401, "token_missing"},
		{"query, duplicated", []string{"GET /?token=good&token=good HTTP/1.1"}, 400, "token_ambiguous"},
		{"query, hostile size", []string{"GET /?token=" + strings.Repeat("x", hostile) + " HTTP/1.1"}, 401, "token_invalid"},

		{"subprotocol", []string{"Sec-WebSocket-Protocol: chat.v1, bearer.good"}, 101, ""},
		{"subprotocol, lines", []string{"Sec-WebSocket-Protocol: bearer.good", "Sec-WebSocket-Protocol: chat.v1"}, 101, ""},
		{"subprotocol, alone", []string{"Sec-WebSocket-Protocol: bearer.good"}, 101, ""},
		{"subprotocol, empty", []string{"Sec-WebSocket-Protocol: bearer., chat.v1"}, 401, "token_invalid"},
		{"subprotocol, without a dot", []string{"Sec-WebSocket-Protocol: bearer, good"}, 401, "token_missing"},
		{"subprotocol, another case", []string{"Sec-WebSocket-Protocol: Bearer.good"}, 401, "token_missing"},
		{"subprotocol, duplicated", []string{"Sec-WebSocket-Protocol: bearer.good, bearer.good"}, 400, "token_ambiguous"},
		{"subprotocol, hostile size", []string{"Sec-WebSocket-Protocol: bearer." + strings.Repeat("x", hostile)}, 401, "token_invalid"},
		{"subprotocol, hostile number", []string{"Sec-WebSocket-Protocol: " + strings.Repeat("bearer.good,", 50<<10)}, 400, "token_ambiguous"},

		{"two sources", []string{"Authorization: Bearer good", "X-Token: good"}, 400, "token_ambiguous"},
		{"two sources, one empty", []string{"Authorization: Bearer good", "GET /?token= HTTP/1.1"}, 400, "token_ambiguous"},
		{"two sources, one bad", []string{"Sec-WebSocket-Protocol: bearer.bad", "GET /?token=good HTTP/1.1"}, 400, "token_ambiguous"},

		{"cookie", []string{"Cookie: session=good"}, 101, ""},
		{"cookie, unknown", []string{"Cookie: session=bad"}, 401, "token_invalid"},
		{"cookie, empty", []string{"Cookie: session="}, 401, "token_invalid"},
		{"cookie, another name", []string{"Cookie: Session=good"}, 401, "token_missing"},
		{"cookie, duplicated", []string{"Cookie: session=good; session=other"}, 400, "token_ambiguous"},
		{"cookie, beside an explicit one", []string{"Cookie: session=bad", "Authorization: Bearer good"}, 101, ""},
		{"cookie, two beside an explicit one", []string{"Cookie: session=a; session=b", "X-Token: good"}, 101, ""},
		{"no falling back from a bad one", []string{"Cookie: session=good", "Authorization: Bearer bad"}, 401, "token_invalid"},
		{"no falling back from an empty one", []string{"Cookie: session=good", "Authorization: Bearer"}, 401, "token_invalid"},
		{"cookie, hostile size", []string{"Cookie: session=" + strings.Repeat("x", hostile)}, 401, "token_invalid"},

		{"no subject", []string{"X-Token: nobody"}, 401, "principal_incomplete"},
		{"no expiry", []string{"X-Token: boundless"}, 401, "principal_incomplete"},
		{"expired", []string{"X-Token: expired"}, 401, "token_expired"},
		{"expired in 1970", []string{"X-Token: epoch"}, 401, "token_expired"},
	}
	for i := range rows {
		rows[i].lines = append(rows[i].lines, "Origin: "+home)
	}
	// R09: the cookie is the browser's from whatever page, and only the Origin
	// says from which.
	rows = append(rows, knockRow{"cookie from a foreign page", []string{"Cookie: session=good", "Origin: https://evil.example.com"}, 403, "origin_not_allowed"})
	runKnocks(t, rows, wsguard.AllowOrigins(home), wsguard.Authenticate(known, wsguard.FromAuthorization(),
		wsguard.FromHeader("x-token"), wsguard.FromQuery("token"), wsguard.FromSubprotocol("bearer"), wsguard.FromCookie("session")))
}

// R10: a source that is not named is not looked at.
func TestAuthenticateOtherSources(t *testing.T) {
	runKnocks(t, []knockRow{
		{"all but the one", []string{"X-Token: good", "GET /?token=good HTTP/1.1", "Cookie: session=good", "Sec-WebSocket-Protocol: bearer.good"}, 401, "token_missing"},
		{"the one beside others", []string{"Authorization: Bearer good", "GET /?token=bad HTTP/1.1", "Cookie: session=bad"}, 101, ""},
	}, wsguard.Authenticate(known, wsguard.FromAuthorization()))
}

// R10, R54: who it is, as observers are told. An explicit token counts, not
// the cookie beside it.
func TestPrincipalIsObserved(t *testing.T) {
	rec := newRecorder()
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home),
		wsguard.Authenticate(known, wsguard.FromCookie("session"), wsguard.FromAuthorization()))(wsguard.Handler(echo)))
	mustDial(t, url, "Origin: "+home, "Cookie: session=other", "Authorization: Bearer good")
	e := next(t, rec.handshakes)
	if e.Conn.Subject != "ada" || e.Conn.Issuer != "https://id.example.com" || e.Conn.TokenFingerprint != "770e607624d689265ca6c44884d0807d9b054d23c473c106c72be9de08b7376c"[:8] {
		t.Errorf("observed %q of %q, fingerprint %q", e.Conn.Subject, e.Conn.Issuer, e.Conn.TokenFingerprint)
	}
}

// R10: the entry with the token is gone before anybody could echo it, and the
// real subprotocol is negotiated.
func TestSubprotocolTokenIsStripped(t *testing.T) {
	seen := make(chan []string, 1)
	spy := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen <- r.Header["Sec-Websocket-Protocol"]
			next.ServeHTTP(w, r)
		})
	}
	outside := func(next http.Handler) http.Handler { // whose request is its own
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			before := fmt.Sprint(r.Header)
			next.ServeHTTP(w, r)
			if after := fmt.Sprint(r.Header); after != before {
				t.Errorf("outside of the chain the header was %s and is %s", before, after)
			}
		})
	}
	url := newServer(t, wsguard.Chain(outside, wsguard.Authenticate(known, wsguard.FromSubprotocol("bearer")), spy)(
		wsguard.Upgrader{Subprotocols: []string{"bearer.good", "chat.v2", "chat.v1"}}.Handler(echo)))
	for _, row := range []struct {
		name    string
		lines   []string
		inside  string
		echoed  string
		present bool
	}{
		{"beside the real one", []string{"Sec-WebSocket-Protocol: chat.v1, bearer.good"}, "[chat.v1]", "chat.v1", true},
		{"between real ones", []string{"Sec-WebSocket-Protocol: chat.v1,bearer.good ,\tchat.v2"}, "[chat.v1, chat.v2]", "chat.v2", true},
		{"in lines", []string{"Sec-WebSocket-Protocol: chat.v1", "Sec-WebSocket-Protocol: bearer.good"}, "[chat.v1]", "chat.v1", true},
		{"alone", []string{"Sec-WebSocket-Protocol: bearer.good"}, "[]", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := knock(t, url, row.lines...)
			if got := fmt.Sprint(next(t, seen)); got != row.inside {
				t.Errorf("inside the chain it was %s, want %s", got, row.inside)
			}
			echoed, present := p.resp.Header["Sec-Websocket-Protocol"]
			if p.resp.StatusCode != 101 || present != row.present || strings.Join(echoed, "|") != row.echoed {
				t.Errorf("%s, echoed %q, want %q", p.resp.Status, echoed, row.echoed)
			}
		})
	}
}

// FuzzSubprotocolToken holds that no entry with a token is left, and no other is
// lost. (R10)
func FuzzSubprotocolToken(f *testing.F) {
	f.Add("chat.v1, bearer.good", "")
	f.Add("chat.v1,bearer.good ,\tchat.v2", "bearer.other")
	f.Add(",bearer., ,Bearer.x", " bearer.bearer.x")
	f.Fuzz(func(t *testing.T, first, second string) {
		var want []string
		tokens := 0
		for entry := range strings.SplitSeq(first+","+second, ",") {
			entry = strings.Trim(entry, " \t")
			switch {
			case strings.HasPrefix(entry, "bearer."):
				tokens++
			case entry != "":
				want = append(want, entry)
			}
		}
		r := requestFrom(away)()
		r.Header["Sec-Websocket-Protocol"] = []string{first, second}
		accepting := verifierFunc(func(string) (wsguard.Principal, error) { return userOf("i", "s"), nil })
		in := false
		wsguard.Authenticate(accepting, wsguard.FromSubprotocol("bearer"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			in = true
			if got := strings.Join(r.Header["Sec-Websocket-Protocol"], "|"); got != strings.Join(want, ", ") {
				t.Errorf("inside it is %q, want %q", got, want)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
		if in != (tokens == 1) {
			t.Errorf("%d tokens, let in: %v", tokens, in)
		}
	})
}

func ExampleAuthenticate() {
	guard := wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.Authenticate(known, // what NewJWT returned
			wsguard.FromSubprotocol("bearer"),    // browsers
			wsguard.FromAuthorization(),          // others
			wsguard.FromCookie("__Host-session"), // browsers, where there is neither
		),
	)
	h := guard(wsguard.Handler(echo))
	fmt.Println(answer(h, "Origin", "https://app.example.com"))
	fmt.Println(answer(h, "Origin", "https://app.example.com", "Authorization", "Bearer bad", "Cookie", "__Host-session=good"))
	fmt.Println(answer(h, "Origin", "https://app.example.com", "Authorization", "Bearer good", "Sec-WebSocket-Protocol", "bearer.good"))
	fmt.Println(answer(h, "Origin", "https://evil.example.com", "Cookie", "__Host-session=good"))
	// Output:
	// 401 Unauthorized
	// 401 Unauthorized
	// 400 Bad Request
	// 403 Forbidden
}

// A limit for each user cannot know users before they are authenticated.
func ExampleAuthenticate_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.Chain(
		wsguard.LimitConns(5, wsguard.PerUser),
		wsguard.Authenticate(known, wsguard.FromAuthorization()),
	)(wsguard.Handler(echo))
	// Output: wsguard: LimitConns(PerUser) stands outside Authenticate and would not see what it establishes: put Authenticate before LimitConns(PerUser)
}

func ExampleFromAuthorization() {
	h := wsguard.Authenticate(known, wsguard.FromAuthorization())(whoami)
	fmt.Println(answer(h, "Authorization", "Bearer good"))
	// Output: 200 OK
}

func ExampleFromHeader() {
	h := wsguard.Authenticate(known, wsguard.FromHeader("X-Api-Token"))(whoami)
	fmt.Println(answer(h, "X-Api-Token", "good"))
	// Output: 200 OK
}

func ExampleFromSubprotocol() {
	// new WebSocket(url, ["chat.v1", "bearer." + token])
	h := wsguard.Authenticate(known, wsguard.FromSubprotocol("bearer"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Header.Get("Sec-WebSocket-Protocol"))
	}))
	answer(h, "Sec-WebSocket-Protocol", "chat.v1, bearer.good")
	// Output: chat.v1
}

func ExampleFromCookie() {
	guard := wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"), // or every page could use the cookie
		wsguard.Authenticate(known, wsguard.FromCookie("__Host-session")),
	)
	fmt.Println(answer(guard(whoami), "Cookie", "__Host-session=good", "Origin", "https://app.example.com"))
	// Output: 200 OK
}

// Without an origin check before it, a cookie is refused: any page could have
// made the browser send it.
func ExampleFromCookie_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.Chain(
		wsguard.Authenticate(known, wsguard.FromCookie("__Host-session")),
		wsguard.AllowOrigins("https://app.example.com"),
	)(whoami)
	// Output: wsguard: Authenticate stands outside AllowOrigins and would not see what it establishes: put AllowOrigins before Authenticate
}

// whoami stands for a handler behind safeguards.
var whoami = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
