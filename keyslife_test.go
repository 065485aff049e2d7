package wsguard_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// An identityProvider answers for its discovery document, and for its keys as it
// is told.
type identityProvider struct {
	issuer string
	hits   atomic.Int32 // requests for keys
	keys   atomic.Pointer[http.HandlerFunc]
}

func (p *identityProvider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/.well-known/openid-configuration" {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":"%s/keys"}`, p.issuer, p.issuer)
		return
	}
	p.hits.Add(1)
	(*p.keys.Load())(w, r)
}

func (p *identityProvider) does(h http.HandlerFunc) { p.keys.Store(&h) }

func (p *identityProvider) serves(keys ...string) {
	p.does(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, josetest.Set(keys...)) })
}

// token is signed with the key that p256 names kid.
func (p *identityProvider) token(kid string) string {
	return jwtToken(fmt.Sprintf(`{"alg":"ES256","kid":%q}`, kid), map[string]any{"iss": p.issuer})
}

// verifier finds the keys as an application does.
func (p *identityProvider) verifier(t *testing.T, config wsguard.JWKSConfig) *wsguard.JWT {
	t.Helper()
	keys, err := wsguard.NewOIDC(t.Context(), p.issuer, config)
	if err != nil {
		t.Fatal(err)
	}
	c := jwtConfig()
	c.Issuer, c.Keys, c.KeySet = p.issuer, nil, keys
	return newJWT(t, c)
}

func p256(kid string) string { return josetest.JWK(josetest.P256(), "kid", kid, "alg", "ES256") }

// badAnswers are what a key server says that has no keys for anybody.
var badAnswers = map[string]http.HandlerFunc{
	"outage": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
	"hung":   func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
	"redirect": func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			_, _ = io.WriteString(w, josetest.Set(p256("b")))
			return
		}
		http.Redirect(w, r, "/moved", http.StatusFound)
	},
	"1 GB": func(w http.ResponseWriter, _ *http.Request) { // which would be good, but for its length
		_, _ = io.WriteString(w, josetest.Set(p256("b")))
		piece := strings.Repeat(" ", 1<<20)
		for range 1 << 10 {
			if _, err := io.WriteString(w, piece); err != nil {
				return
			}
		}
	},
	"no keys": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":1}`) },
}

// inLife runs a test in a bubble, with a provider that has the key a.
func inLife(t *testing.T, test func(t *testing.T, p *identityProvider, want func(kid, reason string))) {
	t.Helper()
	josetest.P256() // made outside
	synctest.Test(t, func(t *testing.T) {
		p := &identityProvider{issuer: "http://127.0.0.1"}
		p.serves(p256("a"))
		m := newMemoryServer(t, p)
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) { return m.pipe(), nil }}}
		verifier := p.verifier(t, wsguard.JWKSConfig{Client: client})
		test(t, p, func(kid, reason string) {
			t.Helper()
			token := p.token(kid)
			principal, err := verifier.Verify(t.Context(), token)
			wantJWTRefusal(t, token, principal, err, reason)
		})
	})
}

// R17, R58: the keys of a provider change, and it is not always there.
func TestKeysInLife(t *testing.T) {
	t.Run("rotation", func(t *testing.T) {
		inLife(t, func(t *testing.T, p *identityProvider, want func(kid, reason string)) {
			want("a", "")
			p.serves(p256("a"), p256("b")) // the new key is shown before it is used
			want("b", "token_key_unknown") // not asked for again so soon
			pass(30 * time.Second)
			want("b", "")
			want("a", "")
			p.serves(p256("b"))
			pass(17 * time.Minute) // more than RefreshEvery and its jitter
			want("b", "")          // and the set is fetched behind it
			synctest.Wait()
			want("a", "token_key_unknown")
			if n := p.hits.Load(); n != 3 {
				t.Errorf("%d requests, want 3", n)
			}
		})
	})
	t.Run("flood of unknown keys", func(t *testing.T) {
		inLife(t, func(t *testing.T, p *identityProvider, want func(kid, reason string)) {
			for n := range 1200 {
				want("x"+strconv.Itoa(n), "token_key_unknown")
				pass(100 * time.Millisecond)
			}
			if n := p.hits.Load(); n != 4 { // in two minutes
				t.Errorf("%d requests, want 4", n)
			}
			want("a", "")
		})
	})
	t.Run("key of an unknown type", func(t *testing.T) {
		inLife(t, func(_ *testing.T, p *identityProvider, want func(kid, reason string)) {
			p.serves(`{"kty":"AKP","kid":"q","alg":"ML-DSA-44","pub":"AA"}`, p256("a"))
			want("a", "")
			want("q", "token_key_unknown")
		})
	})
	for name, answer := range badAnswers {
		t.Run(name, func(t *testing.T) {
			inLife(t, func(_ *testing.T, p *identityProvider, want func(kid, reason string)) {
				want("a", "")
				p.does(answer)
				pass(time.Hour)
				want("b", "keys_unavailable")
				want("a", "") // the last good set
				pass(23*time.Hour - time.Minute)
				want("a", "")
				pass(time.Minute)
				want("a", "keys_unavailable") // too old to be trusted
				p.serves(p256("b"))
				pass(time.Minute)
				want("b", "")
				want("a", "token_key_unknown")
			})
		})
	}
}

// R17, R53, R58: over real sockets, whoever comes while the keys cannot be had
// is asked to come again, and costs the key server nothing.
func TestKeysUnavailableOverSockets(t *testing.T) {
	for name, answer := range badAnswers {
		t.Run(name, func(t *testing.T) {
			p := &identityProvider{}
			p.does(answer)
			p.issuer = newServer(t, p)
			var client *http.Client
			if name == "hung" {
				client = &http.Client{Timeout: 50 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
			}
			rec := newRecorder()
			url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
				wsguard.Authenticate(p.verifier(t, wsguard.JWKSConfig{Client: client}), wsguard.FromAuthorization()))(wsguard.Handler(echo)))
			got := knock(t, url, "Authorization: Bearer "+p.token("b"))
			e := next(t, rec.handshakes)
			if got.resp.StatusCode != 503 || got.resp.Header.Get("Retry-After") == "" || reasonOf(e.Refusal) != "keys_unavailable" {
				t.Errorf("%s, Retry-After %q, %v", got.resp.Status, got.resp.Header.Get("Retry-After"), e.Refusal)
			}
		})
	}
}

// R17: a thousand at once who name keys that do not exist make one request.
func TestUnknownKeysOverSockets(t *testing.T) {
	p := &identityProvider{}
	p.serves(p256("a"))
	p.issuer = newServer(t, p)
	verifier := p.verifier(t, wsguard.JWKSConfig{})
	var all sync.WaitGroup
	for n := range 1000 {
		all.Go(func() {
			token := p.token("x" + strconv.Itoa(n))
			principal, err := verifier.Verify(t.Context(), token)
			wantJWTRefusal(t, token, principal, err, "token_key_unknown")
		})
	}
	all.Wait()
	if n := p.hits.Load(); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
	url := newServer(t, wsguard.Authenticate(verifier, wsguard.FromAuthorization())(wsguard.Handler(echo)))
	wantEcho(t, mustDial(t, url, "Authorization: Bearer "+p.token("a")))
}

// R17, R22: what is known over TLS does not lead to keys that are not.
func TestOIDCKeepsTLS(t *testing.T) {
	var keys string
	p := &identityProvider{}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, p.issuer, keys)
	}))
	t.Cleanup(server.Close)
	p.issuer = server.URL
	for _, row := range []struct{ keys, want string }{
		{server.URL + "/keys", ""},
		{"http" + strings.TrimPrefix(server.URL, "https") + "/keys", "as the issuer does"}, // loopback, else it is refused anyway
		{"http://localhost/keys", "as the issuer does"},
		{"HTTPS" + strings.TrimPrefix(server.URL, "https") + "/keys", "as the issuer does"}, // spelled as nobody spells it
	} {
		keys = row.keys
		set, err := wsguard.NewOIDC(t.Context(), p.issuer, wsguard.JWKSConfig{Client: server.Client()})
		if (set != nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
			t.Errorf("%s: %v, want %q", row.keys, err, row.want)
		}
	}
}
