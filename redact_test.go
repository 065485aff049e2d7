package wsguard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/wsguard/wsguard"
)

// urls says in how many ways the query of a request can be read.
func urls(r *http.Request) string {
	form := "" // as it is, for somebody outside may have parsed it
	if r.Form != nil {
		form = r.Form.Encode()
	}
	return fmt.Sprintf("%s|%s|%s|%s", r.URL.RawQuery, r.URL.Query().Encode(), r.RequestURI, form)
}

// spying takes down what it sees of a request before it passes it on.
func spying(seen *string, parse bool) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if parse {
				_ = r.ParseForm()
			}
			*seen = urls(r)
			next.ServeHTTP(w, r)
		})
	}
}

var queryRows = []struct{ name, target, after string }{
	{"alone", "/ws?token=good", "/ws"},
	{"before", "/ws?token=good&a=1", "/ws?a=1"},
	{"after", "/ws?a=1&token=good", "/ws?a=1"},
	{"between, order kept", "/ws?z=1&token=good&a=2", "/ws?z=1&a=2"},
	{"escaped name", "/ws?a=1&%74oken=good", "/ws?a=1"},
	{"escaped value", "/ws?a=1&token=g%6Fod", "/ws?a=1"},
	{"escapes of others kept", "/ws?b=%41+%2f&token=good", "/ws?b=%41+%2f"},
	{"malformed others kept", "/ws?b=%zz&&c&token=good", "/ws?b=%zz&&c"},
	{"names that begin alike", "/ws?tokens=1&token=good&mytoken=2", "/ws?tokens=1&mytoken=2"},
	{"escaped path kept", "/ws%2Fa?token=good", "/ws%2Fa"},
}

// R14: nothing inside the chain sees the token, in whatever field it looks, and
// also where somebody outside has parsed the form.
func TestQueryTokenIsRemoved(t *testing.T) {
	for _, redact := range []bool{false, true} {
		for _, row := range queryRows {
			t.Run(fmt.Sprintf("redact=%v/%s", redact, row.name), func(t *testing.T) {
				var outside, between, inside string
				chain := []func(http.Handler) http.Handler{spying(&outside, true)}
				if redact {
					chain = append(chain, wsguard.RedactQuery("token"), spying(&between, false))
				}
				chain = append(chain, wsguard.Authenticate(known, wsguard.FromQuery("token")), spying(&inside, false))
				r := httptest.NewRequest(http.MethodGet, row.target, nil)
				w := httptest.NewRecorder()
				wsguard.Chain(chain...)(whoami).ServeHTTP(w, r)
				if w.Code != http.StatusOK {
					t.Fatalf("status %d", w.Code)
				}
				want := httptest.NewRequest(http.MethodGet, row.after, nil)
				_ = want.ParseForm()
				if inside != urls(want) {
					t.Errorf("inside it was %s, want %s", inside, urls(want))
				}
				if redact && between != inside {
					t.Errorf("between it was %s", between)
				}
				if !strings.Contains(outside, "good") || r.URL.String() != row.target {
					t.Errorf("who stands outside sees %s, and the URL %s", outside, r.URL)
				}
			})
		}
	}
}

// R14, R10: RedactQuery hides the token from whoever writes down the URL, and
// not from Authenticate; it makes one token of two neither.
func TestRedactQuery(t *testing.T) {
	runKnocks(t, []knockRow{
		{"one", []string{"GET /?token=good HTTP/1.1"}, 101, ""},
		{"another name of the list", []string{"GET /?access_token=x&token=good HTTP/1.1"}, 101, ""},
		{"absent", []string{"GET /?a=1 HTTP/1.1"}, 401, "token_missing"},
		{"empty", []string{"GET /?token= HTTP/1.1"}, 401, "token_invalid"},
		{"malformed", []string{"GET /?token=%zz HTTP/1.1"}, 401, "token_invalid"},
		{"duplicated", []string{"GET /?token=good&token=good HTTP/1.1"}, 400, "token_ambiguous"},
		{"duplicated in two spellings", []string{"GET /?token=good&%74oken=good HTTP/1.1"}, 400, "token_ambiguous"},
		{"two sources", []string{"GET /?token=good HTTP/1.1", "Authorization: Bearer good"}, 400, "token_ambiguous"},
		{"hostile size", []string{"GET /?token=" + strings.Repeat("x", hostile) + " HTTP/1.1"}, 401, "token_invalid"},
		{"hostile number", []string{"GET /?" + strings.Repeat("token=good&", 50<<10) + " HTTP/1.1"}, 400, "token_ambiguous"},
	}, wsguard.RedactQuery("token", "access_token"), wsguard.Authenticate(known, wsguard.FromQuery("token"), wsguard.FromAuthorization()))
}

// FuzzRedactQuery holds that the token is gone for whoever parses the query
// inside, that nothing else is, and that Authenticate has seen it. (R14)
func FuzzRedactQuery(f *testing.F) {
	for _, row := range queryRows {
		_, query, _ := strings.Cut(row.target, "?")
		f.Add(query)
	}
	f.Add("token=%zz&token;a=1&=token&token==")
	f.Fuzz(func(t *testing.T, query string) {
		want, _ := url.ParseQuery(query)
		tokens := want["token"]
		delete(want, "token")
		r := httptest.NewRequest(http.MethodGet, "/ws", nil)
		r.URL.RawQuery = query
		var got url.Values
		var verified []string
		v := verifierFunc(func(token string) (wsguard.Principal, error) {
			verified = append(verified, token)
			return userOf("i", "s"), nil
		})
		wsguard.Chain(wsguard.RedactQuery("token"), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				got, _ = url.ParseQuery(r.URL.RawQuery)
				next.ServeHTTP(w, r)
			})
		}, wsguard.Authenticate(v, wsguard.FromQuery("token")))(whoami).ServeHTTP(httptest.NewRecorder(), r)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: inside it is %q, want %q", query, got, want)
		}
		if len(verified) > 1 || len(tokens) > 1 && len(verified) != 0 || len(verified) == 1 && len(tokens) == 1 && verified[0] != tokens[0] {
			t.Errorf("%q: verified %q, want one of %q", query, verified, tokens)
		}
	})
}

// RedactQuery refuses nothing, and lets what is no upgrade pass.
func TestRedactQueryPasses(t *testing.T) {
	var seen string
	h := wsguard.RedactQuery("token")(spying(&seen, false)(whoami))
	for target, want := range map[string]string{"/page?token=x&a=1": "a=1", "/page": "", "/page?": "", "/page?a=%zz": "a=%zz"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, target, nil))
		if query, _, _ := strings.Cut(seen, "|"); w.Code != http.StatusOK || query != want {
			t.Errorf("%s: status %d, query %q, want %q", target, w.Code, query, want)
		}
	}
}

// R55: no observer is told a query.
func TestQueryIsNotObserved(t *testing.T) {
	rec := newRecorder()
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.Authenticate(known, wsguard.FromQuery("token")))(wsguard.Handler(echo)))
	knock(t, url, "GET /?token=secret HTTP/1.1")
	e := next(t, rec.handshakes)
	if text := fmt.Sprintf("%+v %v", e, e.Refusal); strings.Contains(text, "secret") {
		t.Errorf("observed %s", text)
	}
}

func ExampleFromQuery() {
	h := wsguard.Authenticate(known, wsguard.FromQuery("token"))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Println(r.URL)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/ws?room=go&token=good", nil))
	// Output: /ws?room=go
}

func ExampleRedactQuery() {
	accessLog := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Println(r.Method, r.RequestURI)
			next.ServeHTTP(w, r)
		})
	}
	guard := wsguard.Chain(
		wsguard.RedactQuery("token"), // outermost, or the log would have it
		accessLog,
		wsguard.Authenticate(known, wsguard.FromQuery("token")),
	)
	guard(whoami).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/ws?room=go&token=good", nil))
	// Output: GET /ws?room=go
}
