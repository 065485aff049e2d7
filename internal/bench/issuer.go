package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jwt"

	"github.com/wsguard/wsguard"
)

const (
	issuerName = "https://id.example.com"
	audience   = "chat"
	user       = "alice"
)

// An issuer signs tokens with one algorithm, with a key that lives as long as
// the server's process, which alone knows it.
type issuer struct {
	alg     jwa.SignatureAlgorithm
	private any
	public  any // the same secret, for HS256
}

func newIssuer(alg jwa.SignatureAlgorithm) (*issuer, error) {
	i := &issuer{alg: alg}
	var err error
	switch alg {
	case jwa.ES256:
		i.private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jwa.RS256:
		i.private, err = rsa.GenerateKey(rand.Reader, 2048)
	case jwa.EdDSA:
		_, i.private, err = ed25519.GenerateKey(rand.Reader)
	case jwa.HS256:
		secret := make([]byte, 32)
		_, err = rand.Read(secret)
		i.private, i.public = secret, secret
	default:
		err = fmt.Errorf("no tokens are signed with %q here", alg)
	}
	if err != nil {
		return nil, err
	}
	if key, ok := i.private.(crypto.Signer); ok {
		i.public = key.Public()
	}
	return i, nil
}

// token is one that is good for an hour, with the claims of the chat's.
func (i *issuer) token() (string, error) {
	now := time.Now()
	t, err := jwt.NewBuilder().Issuer(issuerName).Audience([]string{audience}).Subject(user).
		Claim("client_id", "chat").JwtID(rand.Text()).IssuedAt(now).Expiration(now.Add(time.Hour)).Build()
	if err != nil {
		return "", err
	}
	signed, err := jwt.Sign(t, jwt.WithKey(i.alg, i.private))
	return string(signed), err
}

// verifier is the real one, as strict as the chat's.
func (i *issuer) verifier() (*wsguard.JWT, error) {
	config := wsguard.JWTConfig{Issuer: issuerName, Audience: []string{audience}, Algorithms: []string{i.alg.String()}}
	if secret, ok := i.public.([]byte); ok {
		config.Secret = secret
	} else {
		config.Keys = []crypto.PublicKey{i.public}
	}
	return wsguard.NewJWT(config)
}
