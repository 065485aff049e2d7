package wsguard

import (
	"context"
	"errors"

	"github.com/wsguard/wsguard/internal/jwks"
)

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
