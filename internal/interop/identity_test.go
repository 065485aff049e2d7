package interop

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	"github.com/wsguard/wsguard"
)

// R12, R17, R22, R58: a token that an OpenID provider gives through the flow of
// an authorization code opens a connection. When the provider has a new key, new
// tokens are accepted; when the old key is gone, old ones are not.
func TestIdentityProvider(t *testing.T) {
	p := newProvider(t)
	keys, err := wsguard.NewOIDC(t.Context(), p.issuer, wsguard.JWKSConfig{RefreshEvery: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: p.issuer, Audience: []string{providerAudience}, KeySet: keys})
	if err != nil {
		t.Fatal(err)
	}
	handshakes := make(chan string, 1)
	observer := wsguard.NewObserver("test", nil, wsguard.Hooks{HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
		if e.Refusal != nil {
			handshakes <- e.Refusal.Reason
			return
		}
		handshakes <- e.Conn.Subject + " of " + e.Conn.Issuer
	}})
	srv := httptest.NewServer(wsguard.Chain(wsguard.Observe(observer), wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer")))(
		wsguard.Upgrader{Subprotocols: []string{"chat.v1"}}.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			typ, data, err := c.Read(ctx)
			if err == nil {
				err = c.Write(ctx, typ, data)
			}
			return err
		})))
	defer srv.Close()
	// try says what becomes of a token.
	try := func(token string) string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{Subprotocols: []string{"chat.v1", "bearer." + token}})
		if err == nil {
			defer c.CloseNow()
			if err := c.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
				t.Error(err)
			}
			if _, data, err := c.Read(ctx); err != nil || string(data) != "hi" {
				t.Errorf("%q, %v", data, err)
			}
		}
		return get(t, handshakes)
	}
	// until tries a token until it has the outcome; key sets are fetched behind
	// those who use them.
	until := func(token, want string) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		late := time.After(patience)
		for got := try(token); got != want; got = try(token) {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}

	user := "ada of " + p.issuer
	old := login(t, p)
	if got := try(old.AccessToken); got != user {
		t.Fatal(got)
	}
	if got := try("x" + old.AccessToken[1:]); got != "token_malformed" {
		t.Errorf("another header: %s", got)
	}

	p.addKey(t)
	fresh := login(t, p)
	until(fresh.AccessToken, user) // at most RefreshEvery later
	if got := try(old.AccessToken); got != user {
		t.Errorf("while the old key is shown: %s", got)
	}
	p.dropOldKeys()
	until(old.AccessToken, "token_key_unknown")
	if got := try(fresh.AccessToken); got != user {
		t.Errorf("with the key that is left: %s", got)
	}
}

// login gets tokens as a page does: it is sent to the provider's form, logs in,
// comes back with a code, and exchanges that with the proof that it asked.
func login(t *testing.T, p *provider) (tokens oidc.AccessTokenResponse) {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{
		Jar:       jar,
		Timeout:   patience,
		Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			if r.URL.Path == "/callback" { // nobody is there
				return http.ErrUseLastResponse
			}
			return nil
		},
	}
	do := func(r *http.Request, err error) *http.Response {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		resp, err := browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}
	post := func(path string, form url.Values) *http.Response {
		t.Helper()
		resp, err := browser.PostForm(p.issuer+path, form)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = resp.Body.Close() })
		return resp
	}

	verifier, state := rand.Text()+rand.Text(), rand.Text()
	ask := url.Values{
		"client_id": {providerClient}, "redirect_uri": {providerRedirect}, "response_type": {"code"}, "scope": {"openid"},
		"state": {state}, "code_challenge": {oidc.NewSHACodeChallenge(verifier)}, "code_challenge_method": {"S256"},
	}
	form := do(http.NewRequestWithContext(t.Context(), http.MethodGet, p.issuer+"/authorize?"+ask.Encode(), nil))
	id := form.Request.URL.Query().Get("id")
	if form.StatusCode != http.StatusOK || form.Request.URL.Path != "/login" || id == "" {
		t.Fatalf("%s at %s", form.Status, form.Request.URL)
	}
	back := post("/login", url.Values{"id": {id}, "password": {"correct horse"}})
	at, err := back.Location()
	if err != nil || at.Query().Get("state") != state {
		t.Fatalf("%s, sent to %v, %v", back.Status, at, err)
	}
	exchange := url.Values{
		"grant_type": {"authorization_code"}, "client_id": {providerClient}, "redirect_uri": {providerRedirect},
		"code": {at.Query().Get("code")}, "code_verifier": {"a guess"},
	}
	if guess := post("/oauth/token", exchange); guess.StatusCode != http.StatusBadRequest {
		t.Errorf("a code without its proof: %s", guess.Status)
	}
	exchange.Set("code_verifier", verifier)
	given := post("/oauth/token", exchange)
	if err := json.NewDecoder(given.Body).Decode(&tokens); err != nil || tokens.AccessToken == "" {
		t.Fatalf("%s, %+v, %v", given.Status, tokens, err)
	}
	return tokens
}
