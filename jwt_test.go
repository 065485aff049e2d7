package wsguard_test

import (
	"crypto"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

const (
	jwtIssuer = "https://id.example.com"
	jwtHeader = `{"alg":"ES256","kid":"a"}`
)

// jwtConfig accepts what jwtToken makes.
func jwtConfig() wsguard.JWTConfig {
	return wsguard.JWTConfig{
		Issuer:   jwtIssuer,
		Audience: []string{"chat", "api"},
		Keys:     []crypto.PublicKey{&josetest.P256().PublicKey},
	}
}

// jwtPayload is a good payload, with members over those that it has. A member
// that is nil is left out, one of type json.RawMessage stands as it is.
func jwtPayload(members map[string]any) string {
	payload := map[string]any{
		"iss": jwtIssuer, "aud": "chat", "sub": "ada", "jti": "t1",
		"exp": time.Now().Add(time.Minute).Unix(),
	}
	for name, v := range members {
		payload[name] = v
		if v == nil {
			delete(payload, name)
		}
	}
	text, err := json.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// jwtToken is a token that is good but for its header and members.
func jwtToken(header string, members map[string]any) string {
	return josetest.Sign("ES256", josetest.P256(), header, jwtPayload(members))
}

func newJWT(tb testing.TB, config wsguard.JWTConfig) *wsguard.JWT {
	tb.Helper()
	verifier, err := wsguard.NewJWT(config)
	if err != nil {
		tb.Fatal(err)
	}
	return verifier
}

// wantJWTRefusal fails the test unless the refusal is for the reason, whole, and
// tells nothing of the token.
func wantJWTRefusal(t *testing.T, token string, p wsguard.Principal, err error, reason string) {
	t.Helper()
	if reason == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	if !reflect.DeepEqual(p, wsguard.Principal{}) {
		t.Errorf("a principal beside the refusal: %+v", p)
	}
	var r *wsguard.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("got %v, want a refusal for %s", err, reason)
	}
	status, code, retry := http.StatusUnauthorized, websocket.StatusCode(3000), time.Duration(0)
	if reason == "keys_unavailable" {
		status, code, retry = http.StatusServiceUnavailable, websocket.StatusTryAgainLater, 10*time.Second
	}
	if r.Reason != reason || r.Safeguard != "Authenticate" || r.Status != status || r.CloseCode != code || r.RetryAfter != retry || r.Err == nil {
		t.Errorf("got %+v (%v), want reason %s, status %d, code %d", r, r.Err, reason, status, code)
	}
	for _, part := range strings.Split(token, ".") {
		if len(part) > 8 && len(part) < 8<<10 && strings.Contains(err.Error(), part[:8]) {
			t.Errorf("the error quotes the token: %v", err)
		}
	}
}

// jwtRow is a token and why it is refused, "" where it is accepted.
type jwtRow struct{ name, token, reason string }

func TestJWTPrincipal(t *testing.T) {
	exp := time.Now().Add(time.Minute).Truncate(time.Second)
	token := jwtToken(jwtHeader, map[string]any{
		"exp": exp.Unix(), "scope": "read write", "tenant": json.RawMessage("9007199254740993"),
	})
	p, err := newJWT(t, jwtConfig()).Verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if p.Subject != "ada" || p.Issuer != jwtIssuer || p.TokenID != "t1" || !reflect.DeepEqual(p.Scopes, []string{"read", "write"}) {
		t.Errorf("got %+v", p)
	}
	if want := exp.Add(30 * time.Second); !p.Expires.Equal(want) {
		t.Errorf("expires %v, want %v", p.Expires, want)
	}
	if p.Claims["tenant"] != json.Number("9007199254740993") || p.Claims["aud"] != "chat" {
		t.Errorf("claims %v", p.Claims)
	}
}

// What a token may be, as the configuration says.
//
// R16, R19, R20, R23
func TestJWTOptions(t *testing.T) {
	with := func(change func(*wsguard.JWTConfig)) wsguard.JWTConfig {
		config := jwtConfig()
		change(&config)
		return config
	}
	secret := with(func(c *wsguard.JWTConfig) { c.Keys, c.Secret = nil, josetest.Secret() })
	types := with(func(c *wsguard.JWTConfig) { c.Types = []string{"application/AT+JWT"} })
	two := with(func(c *wsguard.JWTConfig) { c.Keys = append(c.Keys, &josetest.RSA().PublicKey) })
	one := with(func(c *wsguard.JWTConfig) {
		c.Keys, c.Algorithms = append(c.Keys, &josetest.RSA().PublicKey), []string{"ES256"}
	})
	lifetime := with(func(c *wsguard.JWTConfig) { c.MaxLifetime = time.Hour })
	leeway := with(func(c *wsguard.JWTConfig) { c.Leeway = 5 * time.Minute })
	open := with(func(c *wsguard.JWTConfig) { c.InsecureAllowNoExpiry = true })
	rs256 := josetest.Sign("RS256", josetest.RSA(), `{"alg":"RS256"}`, jwtPayload(nil))
	now := time.Now().Unix()
	rows := []struct {
		config wsguard.JWTConfig
		jwtRow
	}{
		{secret, jwtRow{"secret", josetest.Sign("HS256", josetest.Secret(), `{"alg":"HS256"}`, jwtPayload(nil)), ""}},
		{secret, jwtRow{"secret, another algorithm", josetest.Sign("HS512", josetest.Secret(), `{"alg":"HS512"}`, jwtPayload(nil)), "token_algorithm"}},
		{secret, jwtRow{"secret, another secret", josetest.Sign("HS256", josetest.Secret()[1:], `{"alg":"HS256"}`, jwtPayload(nil)), "token_signature"}},
		{secret, jwtRow{"secret, asymmetric token", jwtToken(jwtHeader, nil), "token_algorithm"}},
		{types, jwtRow{"types", jwtToken(`{"alg":"ES256","typ":"at+jwt"}`, nil), ""}},
		{types, jwtRow{"types, another", jwtToken(`{"alg":"ES256","typ":"JWT"}`, nil), "token_type"}},
		{types, jwtRow{"types, none", jwtToken(jwtHeader, nil), "token_type"}},
		{two, jwtRow{"two keys, the first", jwtToken(jwtHeader, nil), ""}},
		{two, jwtRow{"two keys, the second", rs256, ""}},
		{one, jwtRow{"two keys, the algorithm of one", rs256, "token_algorithm"}},
		{lifetime, jwtRow{"lifetime", jwtToken(jwtHeader, map[string]any{"iat": now - 60, "exp": now + 3540}), ""}},
		{lifetime, jwtRow{"lifetime, longer", jwtToken(jwtHeader, map[string]any{"iat": now - 60, "exp": now + 3541}), "token_lifetime"}},
		{lifetime, jwtRow{"lifetime, longer from now", jwtToken(jwtHeader, map[string]any{"exp": now + 3700}), "token_lifetime"}},
		{leeway, jwtRow{"leeway", jwtToken(jwtHeader, map[string]any{"exp": now - 290}), ""}},
		{leeway, jwtRow{"leeway over", jwtToken(jwtHeader, map[string]any{"exp": now - 301}), "token_expired"}},
		{open, jwtRow{"no expiry", jwtToken(jwtHeader, map[string]any{"exp": nil}), ""}},
		{open, jwtRow{"no expiry, exp 0", jwtToken(jwtHeader, map[string]any{"exp": 0}), "token_claims"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p, err := newJWT(t, row.config).Verify(t.Context(), row.token)
			wantJWTRefusal(t, row.token, p, err, row.reason)
			if row.name == "no expiry" && !p.Expires.IsZero() {
				t.Errorf("expires %v", p.Expires)
			}
		})
	}
	var zero wsguard.JWT
	_, err := zero.Verify(t.Context(), jwtToken(jwtHeader, nil))
	wantJWTRefusal(t, "", wsguard.Principal{}, err, "token_algorithm")
}

// The option of the verifier is enough for Authenticate, which asks for an
// expiry too.
//
// R10, R25, R57
func TestJWTThroughAuthenticate(t *testing.T) {
	for _, row := range []struct {
		allow  bool
		token  string
		status int
	}{
		{false, jwtToken(jwtHeader, nil), http.StatusNoContent},
		{false, jwtToken(jwtHeader, map[string]any{"exp": nil}), http.StatusUnauthorized},
		{true, jwtToken(jwtHeader, map[string]any{"exp": nil}), http.StatusNoContent},
	} {
		config := jwtConfig()
		config.InsecureAllowNoExpiry = row.allow
		guard := wsguard.Authenticate(newJWT(t, config), wsguard.FromAuthorization())
		handler := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": "Bearer " + row.token,
		} {
			r.Header.Set(name, value)
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != row.status || strings.Contains(w.Body.String(), "exp") {
			t.Errorf("allowed %t: %d %q, want %d", row.allow, w.Code, w.Body, row.status)
		}
	}
}

// Time passes between two uses of one token.
//
// R19
func TestJWTExpires(t *testing.T) {
	verifier := newJWT(t, jwtConfig())
	synctest.Test(t, func(t *testing.T) {
		token := jwtToken(jwtHeader, map[string]any{"nbf": time.Now().Unix() + 60, "exp": time.Now().Unix() + 120})
		for _, step := range []struct {
			wait   time.Duration
			reason string
		}{
			{0, "token_not_yet_valid"},
			{30 * time.Second, ""},
			{119 * time.Second, ""},
			{time.Second, "token_expired"},
		} {
			<-time.After(step.wait)
			p, err := verifier.Verify(t.Context(), token)
			wantJWTRefusal(t, token, p, err, step.reason)
			if err == nil && !p.Expires.After(time.Now()) {
				t.Errorf("accepted, but expired at %v", p.Expires)
			}
		}
	})
}

func BenchmarkJWTVerify(b *testing.B) {
	verifier := newJWT(b, jwtConfig())
	rows := []jwtRow{
		{"good", jwtToken(jwtHeader, map[string]any{"exp": time.Now().Add(time.Hour).Unix()}), ""},
		{"bad signature", josetest.Sign("ES256", josetest.NewP256(), jwtHeader, jwtPayload(nil)), ""},
		{"8 KiB of letters", strings.Repeat("A", 8<<10), ""},
		{"16 MB of dots", strings.Repeat(".", 16<<20), ""},
	}
	for _, row := range rows {
		b.Run(row.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = verifier.Verify(b.Context(), row.token)
			}
		})
	}
}
