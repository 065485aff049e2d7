package interop

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

const (
	providerClient   = "page"
	providerRedirect = "http://127.0.0.1/callback"
	providerAudience = "chat"
)

// A provider is an OpenID provider with one client and one user, whose login is
// a form. What it does not need of the library's interface is nil, and would
// panic.
type provider struct {
	op.Storage
	issuer string
	login  string // cookie that the form sets

	mu       sync.Mutex
	requests map[string]*authorization
	codes    map[string]string
	keys     []*providerKey // the last one signs
}

// newProvider serves a provider on a loopback address.
func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{login: rand.Text(), requests: map[string]*authorization{}, codes: map[string]string{}}
	p.addKey(t)
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	p.issuer = srv.URL
	library, err := op.NewProvider(&op.Config{
		CryptoKey:      sha256.Sum256([]byte(rand.Text())),
		CodeMethodS256: true,
	}, p, op.StaticIssuer(p.issuer), op.WithAllowInsecure()) // http, on loopback
	if err != nil {
		t.Fatal(err)
	}
	back := op.AuthCallbackURL(library)
	mux.Handle("/", library)
	mux.HandleFunc("GET /login", func(w http.ResponseWriter, _ *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "login", Value: p.login, HttpOnly: true})
	})
	mux.HandleFunc("POST /login", func(w http.ResponseWriter, r *http.Request) {
		c, err := r.Cookie("login")
		if err != nil || c.Value != p.login || r.PostFormValue("password") != "correct horse" || !p.loggedIn(r.PostFormValue("id")) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		http.Redirect(w, r, back(op.ContextWithIssuer(r.Context(), p.issuer), r.PostFormValue("id")), http.StatusFound)
	})
	return p
}

func (p *provider) loggedIn(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.requests[id]
	if a != nil {
		a.done = true
	}
	return a != nil
}

// addKey makes the provider sign with a new key, and show it beside the others.
func (p *provider) addKey(t *testing.T) {
	t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, &providerKey{id: rand.Text(), private: private})
}

// dropOldKeys leaves only the key that signs.
func (p *provider) dropOldKeys() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = p.keys[len(p.keys)-1:]
}

// A providerKey is shown, and a signingKey signs.
type providerKey struct {
	id      string
	private *rsa.PrivateKey
}

func (k *providerKey) ID() string                         { return k.id }
func (k *providerKey) Use() string                        { return "sig" }
func (k *providerKey) Algorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k *providerKey) Key() any                           { return &k.private.PublicKey }

type signingKey struct{ *providerKey }

func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }
func (k signingKey) Key() any                                    { return k.private }

func (p *provider) SigningKey(context.Context) (op.SigningKey, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return signingKey{p.keys[len(p.keys)-1]}, nil
}

func (p *provider) SignatureAlgorithms(context.Context) ([]jose.SignatureAlgorithm, error) {
	return []jose.SignatureAlgorithm{jose.RS256}, nil
}

func (p *provider) KeySet(context.Context) (keys []op.Key, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		keys = append(keys, k)
	}
	return keys, nil
}

// An authorization is what a client has asked for.
type authorization struct {
	op.AuthRequest
	id      string
	request oidc.AuthRequest
	done    bool
	began   time.Time
}

func (a *authorization) GetID() string                      { return a.id }
func (a *authorization) GetACR() string                     { return "" }
func (a *authorization) GetAMR() []string                   { return []string{"pwd"} }
func (a *authorization) GetAudience() []string              { return []string{providerAudience} }
func (a *authorization) GetAuthTime() time.Time             { return a.began }
func (a *authorization) GetClientID() string                { return a.request.ClientID }
func (a *authorization) GetNonce() string                   { return a.request.Nonce }
func (a *authorization) GetRedirectURI() string             { return a.request.RedirectURI }
func (a *authorization) GetResponseType() oidc.ResponseType { return a.request.ResponseType }
func (a *authorization) GetResponseMode() oidc.ResponseMode { return a.request.ResponseMode }
func (a *authorization) GetScopes() []string                { return a.request.Scopes }
func (a *authorization) GetState() string                   { return a.request.State }
func (a *authorization) GetSubject() string                 { return "ada" }
func (a *authorization) Done() bool                         { return a.done }
func (a *authorization) GetCodeChallenge() *oidc.CodeChallenge {
	return &oidc.CodeChallenge{Challenge: a.request.CodeChallenge, Method: a.request.CodeChallengeMethod}
}

func (p *provider) CreateAuthRequest(_ context.Context, request *oidc.AuthRequest, _ string) (op.AuthRequest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := &authorization{id: rand.Text(), request: *request, began: time.Now()}
	p.requests[a.id] = a
	return a, nil
}

func (p *provider) AuthRequestByID(_ context.Context, id string) (op.AuthRequest, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.requests[id]; a != nil {
		b := *a // which a login may change
		return &b, nil
	}
	return nil, errors.New("no such request")
}

func (p *provider) AuthRequestByCode(ctx context.Context, code string) (op.AuthRequest, error) {
	p.mu.Lock()
	id := p.codes[code]
	p.mu.Unlock()
	return p.AuthRequestByID(ctx, id)
}

func (p *provider) SaveAuthCode(_ context.Context, id, code string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.codes[code] = id
	return nil
}

func (p *provider) DeleteAuthRequest(_ context.Context, id string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.requests, id)
	return nil
}

func (p *provider) CreateAccessToken(context.Context, op.TokenRequest) (string, time.Time, error) {
	return rand.Text(), time.Now().Add(10 * time.Minute), nil
}

func (p *provider) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return nil, nil
}

func (p *provider) SetUserinfoFromScopes(context.Context, *oidc.UserInfo, string, string, []string) error {
	return nil
}

func (p *provider) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	if id != providerClient {
		return nil, errors.New("no such client")
	}
	return pageClient{}, nil
}

// A pageClient has no secret, and proves with PKCE that it asked. Its access
// tokens are JWTs, which they are not by default.
type pageClient struct{ op.Client }

func (pageClient) GetID() string                       { return providerClient }
func (pageClient) RedirectURIs() []string              { return []string{providerRedirect} }
func (pageClient) ApplicationType() op.ApplicationType { return op.ApplicationTypeNative }
func (pageClient) AuthMethod() oidc.AuthMethod         { return oidc.AuthMethodNone }
func (pageClient) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode}
}
func (pageClient) GrantTypes() []oidc.GrantType         { return []oidc.GrantType{oidc.GrantTypeCode} }
func (pageClient) LoginURL(id string) string            { return "/login?id=" + id }
func (pageClient) AccessTokenType() op.AccessTokenType  { return op.AccessTokenTypeJWT }
func (pageClient) IDTokenLifetime() time.Duration       { return time.Minute }
func (pageClient) DevMode() bool                        { return false }
func (pageClient) IsScopeAllowed(string) bool           { return false }
func (pageClient) IDTokenUserinfoClaimsAssertion() bool { return false }
func (pageClient) ClockSkew() time.Duration             { return 0 }

func (pageClient) RestrictAdditionalIdTokenScopes() func([]string) []string     { return same }
func (pageClient) RestrictAdditionalAccessTokenScopes() func([]string) []string { return same }

func same(scopes []string) []string { return scopes }
