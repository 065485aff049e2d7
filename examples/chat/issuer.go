package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wsguard/wsguard"
)

// issuer makes the chat's tokens: JSON Web Tokens signed with ES256 by a key
// that lives as long as the process. A real service has an identity provider
// instead, and writes its URL into wsguard.JWTConfig.JWKS; asking itself over
// the network for a key that it holds would only be another thing that fails.
type issuer struct {
	name string // iss
	key  *ecdsa.PrivateKey
	kid  string
	jwks []byte // the public key as a JWK set (RFC 7517)
}

// A kind is one kind of token. Its type and its audience keep one kind from
// being taken for the other (RFC 8725, sections 3.9 and 3.11).
type kind struct{ typ, audience string }

var (
	accessToken  = kind{"at+jwt", "chat"}              // opens connections
	sessionToken = kind{"session+jwt", "chat-session"} // stays in the browser's cookie and opens none
)

func newIssuer(name string) (*issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	point, err := key.PublicKey.Bytes() // 4, x, y: SEC 1, section 2.3.3
	if err != nil {
		return nil, err
	}
	x, y := encode(point[1:33]), encode(point[33:])
	// The members of a thumbprint in their order: RFC 7638, section 3.2.
	thumbprint := sha256.Sum256(fmt.Appendf(nil, `{"crv":"P-256","kty":"EC","x":"%s","y":"%s"}`, x, y))
	i := &issuer{name: name, key: key, kid: encode(thumbprint[:])}
	i.jwks, err = json.Marshal(map[string]any{"keys": []map[string]string{{
		"kty": "EC", "crv": "P-256", "x": x, "y": y, "use": "sig", "alg": "ES256", "kid": i.kid,
	}}})
	return i, err
}

// issue returns a token of a session (sid, as in OpenID Connect) that is good
// until a time.
func (i *issuer) issue(k kind, user, session string, until time.Time) (string, error) {
	now := time.Now()
	header, err := json.Marshal(map[string]string{"alg": "ES256", "typ": k.typ, "kid": i.kid})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(map[string]any{
		"iss": i.name, "aud": k.audience, "sub": user, "client_id": "chat",
		"iat": now.Unix(), "jti": rand.Text(), "sid": session,
		// Rounded up, so that it is good for what the login promises.
		"exp": until.Add(time.Second - 1).Unix(),
	})
	if err != nil {
		return "", err
	}
	signed := encode(header) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, i.key, digest[:])
	if err != nil {
		return "", err
	}
	var signature [64]byte // r and s in 32 bytes each: RFC 7518, section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + encode(signature[:]), nil
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// verifier returns what checks tokens of a kind.
func (i *issuer) verifier(k kind) (*wsguard.JWT, error) {
	return wsguard.NewJWT(wsguard.JWTConfig{
		Issuer:     i.name,
		Audience:   []string{k.audience},
		Types:      []string{k.typ},
		Algorithms: []string{"ES256"},
		Keys:       []crypto.PublicKey{&i.key.PublicKey},
		Leeway:     time.Nanosecond, // the issuer's clock is this one
	})
}
