package wsguardtest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"time"
)

// A Signer makes tokens for tests, JSON Web Tokens of RFC 7519, good and bad,
// and serves its public key as a JWK set. Make one with [NewSigner] or
// [NewSecretSigner]. It is immutable, and may be used by several goroutines.
type Signer struct {
	issuer, audience string
	key              *ecdsa.PrivateKey // nil for a secret
	secret           []byte
}

// NewSigner returns a Signer with a new key on P-256, whose tokens are ES256.
func NewSigner(issuer, audience string) *Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("wsguardtest: NewSigner: the system gives no random bytes")
	}
	return &Signer{issuer: issuer, audience: audience, key: key}
}

// NewSecretSigner returns a Signer of HS256 with a secret that is shared with
// the endpoint, of at least 32 bytes.
func NewSecretSigner(issuer, audience string, secret []byte) *Signer {
	if len(secret) < 32 {
		panic("wsguardtest: NewSecretSigner: the secret has fewer than 32 bytes: write the endpoint's own")
	}
	return &Signer{issuer: issuer, audience: audience, secret: append([]byte(nil), secret...)}
}

// PublicKey is what the endpoint verifies tokens with, nil for a secret.
func (s *Signer) PublicKey() crypto.PublicKey {
	if s.key == nil {
		return nil
	}
	return &s.key.PublicKey
}

const keyID = "kit"

// ServeHTTP serves the public key as a JWK set (RFC 7517), empty for a secret.
func (s *Signer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	set := map[string]any{"keys": []any{}}
	if s.key != nil {
		set["keys"] = []any{s.jwk()}
	}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	_ = json.NewEncoder(w).Encode(set)
}

func (s *Signer) jwk() map[string]any {
	point, err := s.key.PublicKey.Bytes()
	if err != nil {
		panic("wsguardtest: the key of a Signer is none on P-256")
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": keyID, "alg": "ES256", "use": "sig",
		"x": encode(point[1:33]), "y": encode(point[33:])}
}

// Token returns a token that is good for ten minutes.
func (s *Signer) Token(subject string) string { return s.Sign(nil, map[string]any{"sub": subject}) }

// Sign returns a token with a good signature and any content: what is in header
// and claims replaces the good values, and nil takes one out. An alg in the
// header changes what the token says, not how it is signed.
func (s *Signer) Sign(header, claims map[string]any) string {
	signed := s.unsigned(header, claims)
	return signed + "." + encode(s.sign(signed))
}

func (s *Signer) unsigned(header, claims map[string]any) string {
	now := time.Now()
	h := map[string]any{"alg": "ES256", "typ": "JWT", "kid": keyID}
	if s.key == nil {
		h["alg"] = "HS256"
	}
	c := map[string]any{"iss": s.issuer, "aud": s.audience, "sub": "alice",
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(), "jti": rand.Text()}
	return encode(merged(h, header)) + "." + encode(merged(c, claims))
}

func merged(good, changes map[string]any) []byte {
	maps.Copy(good, changes)
	maps.DeleteFunc(good, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(good)
	if err != nil {
		panic(fmt.Sprintf("wsguardtest: Signer.Sign: %v: give values that JSON has", err))
	}
	return b
}

func (s *Signer) sign(text string) []byte {
	if s.key == nil {
		return mac(s.secret, text)
	}
	sum := sha256.Sum256([]byte(text))
	r, v, err := ecdsa.Sign(rand.Reader, s.key, sum[:])
	if err != nil {
		panic("wsguardtest: the system gives no random bytes")
	}
	b := make([]byte, 64)
	r.FillBytes(b[:32])
	v.FillBytes(b[32:])
	return b
}

func mac(key []byte, text string) []byte {
	m := hmac.New(sha256.New, key)
	m.Write([]byte(text))
	return m.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
