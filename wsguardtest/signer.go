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
	header, claims   map[string]any // that differ in its good tokens
}

// NewSigner returns a Signer with a new key on P-256, whose tokens are ES256.
func NewSigner(issuer, audience string) *Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic("wsguardtest: NewSigner: the system gives no random bytes")
	}
	return NewKeySigner(issuer, audience, key)
}

// NewKeySigner returns a Signer of ES256 with the private key, on P-256, with
// which the endpoint's own tokens are signed.
func NewKeySigner(issuer, audience string, key *ecdsa.PrivateKey) *Signer {
	if key == nil || key.Curve != elliptic.P256() {
		panic("wsguardtest: NewKeySigner: the key is not on P-256: write one of ecdsa.GenerateKey(elliptic.P256(), rand.Reader)")
	}
	return &Signer{issuer: issuer, audience: audience, key: key}
}

// With returns a Signer whose good tokens have other headers and claims, as
// [Signer.Sign] has for one token: {"typ": "at+jwt"}, {"scope": "chat"}.
func (s *Signer) With(header, claims map[string]any) *Signer {
	other := *s
	other.header, other.claims = maps.Clone(header), maps.Clone(claims)
	return &other
}

// foreign is a Signer of the same tokens, with another key of the same name.
func (s *Signer) foreign() *Signer {
	return NewSigner(s.issuer, s.audience).With(s.header, s.claims)
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
	kid := any(keyID)
	if other, ok := s.header["kid"]; ok {
		kid = other
	}
	return map[string]any{"kty": "EC", "crv": "P-256", "kid": kid, "alg": "ES256", "use": "sig",
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
	return encode(merged(h, s.header, header)) + "." + encode(merged(c, s.claims, claims))
}

func merged(good map[string]any, changes ...map[string]any) []byte {
	for _, c := range changes {
		maps.Copy(good, c)
	}
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
