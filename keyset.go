package wsguard

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/wsguard/wsguard/internal/jwks"
)

// JWKSConfig configures [NewJWKS]. The zero value is the safe choice.
type JWKSConfig struct {
	// Client fetches the set; give one for a private certificate authority or a
	// proxy. Redirects are not followed and a fetch ends after 10 seconds,
	// whatever it says. Default: a client that keeps no connection open.
	Client *http.Client

	// RefreshEvery is the age at which the set is fetched anew when it is next
	// used, give or take a tenth. Default: 15 minutes. It bounds for how long a
	// key that its issuer has withdrawn is still accepted while there is traffic
	// and the issuer can be reached.
	RefreshEvery time.Duration

	// MaxStale is the age at which the set is used no longer if it cannot be
	// fetched anew, at least RefreshEvery. Default: 24 hours. Longer survives
	// longer outages of the issuer, and trusts a withdrawn key longer.
	MaxStale time.Duration
}

// KeySet is the public keys of an issuer, fetched from a URL. Several [JWT] may
// share one. Its zero value is refused by [NewJWT]. It may be used from several
// goroutines, has none of its own but while it fetches, and needs no closing.
type KeySet struct {
	source *jwks.Source
}

// NewJWKS returns the JWK set (RFC 7517) at an https URL, or an error that joins
// all that is wrong with the arguments. Plain http is for loopback addresses.
//
// Nothing is fetched before the first token is verified. From then on the set is
// fetched anew in the background when it is due, and in the foreground when a
// token names a key that it does not have, at most once in 30 seconds however
// many do. Handshakes share a fetch, and each waits no longer than its context
// lasts. In an outage the last good set serves until MaxStale; then, as before
// the first fetch, tokens are refused with keys_unavailable. (R17, R58)
//
// An answer must be 200 and at most 1 MiB with at most 256 keys. Keys of no use
// here are skipped: unknown types, keys for encryption, weak, private and
// symmetric ones. (R18)
func NewJWKS(url string, config JWKSConfig) (*KeySet, error) {
	source, err := jwks.New(jwks.Config{
		URL:          url,
		Client:       config.Client,
		RefreshEvery: config.RefreshEvery,
		MaxStale:     config.MaxStale,
	})
	if err != nil {
		return nil, errors.Join(prefixed("wsguard: NewJWKS: ", err)...)
	}
	return &KeySet{source}, nil
}

// NewOIDC returns the keys of an OpenID Connect provider, found through its
// discovery document (OpenID Connect Discovery 1.0), for JWTConfig.KeySet. The
// issuer is an https URL, as in JWTConfig.Issuer; plain http is for loopback
// addresses. The document is fetched now and once, within ctx and 10 seconds;
// it must name the issuer to the letter. Redirects are not followed. The keys
// are fetched as [NewJWKS] says. (R17, R22)
//
// Configuration mistakes and a provider that cannot be reached are errors. At a
// start that must not depend on the provider, use NewJWKS with its jwks_uri.
func NewOIDC(ctx context.Context, issuer string, config JWKSConfig) (*KeySet, error) {
	url, err := jwks.Discover(ctx, issuer, config.Client)
	if err != nil {
		return nil, errors.Join(prefixed("wsguard: NewOIDC: ", err)...)
	}
	return NewJWKS(url, config)
}
