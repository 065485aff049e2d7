package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// R17
func TestNewJWKS(t *testing.T) {
	for _, row := range []struct {
		name, url string
		config    wsguard.JWKSConfig
		want      []string
	}{
		{"https", "https://id.example.com/keys", wsguard.JWKSConfig{}, nil},
		{"times", "https://id.example.com/keys", wsguard.JWKSConfig{RefreshEvery: time.Minute, MaxStale: time.Hour}, nil},
		{"absent", "", wsguard.JWKSConfig{}, []string{"NewJWKS: the URL cannot be read: write https://"}},
		{"http", "http://id.example.com/keys", wsguard.JWKSConfig{}, []string{"NewJWKS: the URL must begin with https://"}},
		{"everything", "ftp://u:p@id.example.com", wsguard.JWKSConfig{RefreshEvery: -1}, []string{
			"NewJWKS: the URL must not have a user", "NewJWKS: RefreshEvery must be above zero",
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			set, err := wsguard.NewJWKS(row.url, row.config)
			if (set == nil) != (err != nil) {
				t.Fatalf("got %v, %v", set, err)
			}
			wantJWTProblems(t, err, row.want)
		})
	}
}

// jwtServer serves a key set, and counts what is asked for elsewhere.
func jwtServer(tb testing.TB, set *atomic.Value) (url string, elsewhere *atomic.Int32) {
	tb.Helper()
	elsewhere = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/keys" {
			elsewhere.Add(1)
		}
		if body, _ := set.Load().(string); body != "" {
			_, _ = io.WriteString(w, body)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
	}))
	tb.Cleanup(server.Close)
	return server.URL, elsewhere
}

// R16, R17, R58
func TestJWTWithKeySet(t *testing.T) {
	var set atomic.Value
	set.Store(josetest.Set(
		josetest.JWK(josetest.P256(), "kid", "a", "use", "sig", "alg", "ES256"),
		josetest.JWK(josetest.P384(), "kid", "b"),
		josetest.JWK(josetest.P521(), "kid", "c", "use", "enc"),
		josetest.JWK(josetest.Secret(), "kid", "s", "alg", "HS256"),
		`{"kty":"AKP","kid":"q"}`,
	))
	url, elsewhere := jwtServer(t, &set)
	config := jwtConfig()
	config.Keys, config.JWKS = nil, url+"/keys"
	verifier := newJWT(t, config)
	foreign := func(alg string, key any, header string) string {
		return josetest.Sign(alg, key, header, jwtPayload(nil))
	}
	points := func(name string) string { return `{"alg":"ES256","kid":"z","` + name + `":"` + url + `/evil"}` }
	for _, row := range []jwtRow{
		{"by name", jwtToken(jwtHeader, nil), ""},
		{"by another name", foreign("ES384", josetest.P384(), `{"alg":"ES384","kid":"b"}`), ""},
		{"without a name", jwtToken(`{"alg":"ES256"}`, nil), ""},
		{"unknown name", jwtToken(`{"alg":"ES256","kid":"z"}`, nil), "token_key_unknown"},
		{"name that is a path", jwtToken(`{"alg":"ES256","kid":"../../keys"}`, nil), "token_key_unknown"},
		{"name of a key on another curve", jwtToken(`{"alg":"ES256","kid":"b"}`, nil), "token_algorithm"},
		{"name of a key for encryption", foreign("ES512", josetest.P521(), `{"alg":"ES512","kid":"c"}`), "token_key_unknown"},
		{"secret out of the set", foreign("HS256", josetest.Secret(), `{"alg":"HS256","kid":"s"}`), "token_algorithm"},
		{"name of another key", foreign("ES384", josetest.P384(), `{"alg":"ES256","kid":"a"}`), "token_signature"},
		{"jku", jwtToken(points("jku"), nil), "token_key_unknown"},
		{"x5u", jwtToken(points("x5u"), nil), "token_key_unknown"},
		{"kid a URL", jwtToken(`{"alg":"ES256","kid":"`+url+`/evil"}`, nil), "token_key_unknown"},
		{"jwk", foreign("ES384", josetest.P384(), `{"alg":"ES384","kid":"z","jwk":`+josetest.JWK(josetest.P384())+`}`), "token_key_unknown"},
	} {
		t.Run(row.name, func(t *testing.T) {
			p, err := verifier.Verify(t.Context(), row.token)
			wantJWTRefusal(t, row.token, p, err, row.reason)
		})
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("%d requests to where a token pointed", n)
	}
}

// R58
func TestJWTKeysUnavailable(t *testing.T) {
	var set atomic.Value
	url, _ := jwtServer(t, &set)
	keys, err := wsguard.NewJWKS(url+"/keys", wsguard.JWKSConfig{})
	if err != nil {
		t.Fatal(err)
	}
	config := jwtConfig()
	config.Keys, config.KeySet = nil, keys
	verifier := newJWT(t, config)
	token := jwtToken(jwtHeader, nil)
	p, err := verifier.Verify(t.Context(), token)
	wantJWTRefusal(t, token, p, err, "keys_unavailable")
	// What is refused without a key needs no key set.
	p, err = verifier.Verify(t.Context(), "x")
	wantJWTRefusal(t, "x", p, err, "token_malformed")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	keys, err = wsguard.NewJWKS(url+"/keys", wsguard.JWKSConfig{Client: &http.Client{Transport: jwtHung{t.Context().Done()}}})
	if err != nil {
		t.Fatal(err)
	}
	config.KeySet = keys
	p, err = newJWT(t, config).Verify(ctx, token)
	wantJWTRefusal(t, token, p, err, "keys_unavailable")
	var r *wsguard.Refusal
	if !errors.As(err, &r) || !errors.Is(r.Err, context.Canceled) {
		t.Errorf("the cause is lost: %v", err)
	}
}

// jwtHung does not answer before the test ends.
type jwtHung struct{ end <-chan struct{} }

func (h jwtHung) RoundTrip(*http.Request) (*http.Response, error) {
	<-h.end
	return nil, errors.New("the test has ended")
}

// Two endpoints with rules of their own share the keys of one issuer.
func ExampleNewJWKS() {
	keys, err := wsguard.NewJWKS("https://id.example.com/.well-known/jwks.json", wsguard.JWKSConfig{
		MaxStale: 6 * time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, audience := range []string{"chat", "admin"} {
		_, err := wsguard.NewJWT(wsguard.JWTConfig{
			Issuer:   "https://id.example.com",
			Audience: []string{audience},
			KeySet:   keys,
		})
		fmt.Println(audience, err)
	}
	// Output:
	// chat <nil>
	// admin <nil>
}
