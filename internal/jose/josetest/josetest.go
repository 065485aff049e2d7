// Package josetest makes keys and tokens for tests, good ones and bad ones. It
// signs with the standard library alone, so that what is tested is not what made
// the test.
package josetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"

	_ "crypto/sha256" // the hashes that hashes refers to
	_ "crypto/sha512"
)

// The keys of tests, made once and at first use.
var (
	RSA     = sync.OnceValue(func() *rsa.PrivateKey { return NewRSA(2048) })
	P256    = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P256()) })
	P384    = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P384()) })
	P521    = sync.OnceValue(func() *ecdsa.PrivateKey { return newECDSA(elliptic.P521()) })
	Ed25519 = sync.OnceValue(func() ed25519.PrivateKey {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		must(err)
		return key
	})
	Secret = sync.OnceValue(func() []byte {
		secret := make([]byte, 64)
		_, _ = rand.Read(secret)
		return secret
	})
)

// NewRSA returns a new RSA key of the size.
func NewRSA(bits int) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, bits)
	must(err)
	return key
}

// NewP256 returns a new ECDSA key on P-256.
func NewP256() *ecdsa.PrivateKey { return newECDSA(elliptic.P256()) }

func newECDSA(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	must(err)
	return key
}

var hashes = map[string]crypto.Hash{"256": crypto.SHA256, "384": crypto.SHA384, "512": crypto.SHA512}

// Sign returns the compact serialization of the header and the payload, which
// may be any text, signed as alg says, whatever the header says.
func Sign(alg string, key any, header, payload string) string {
	input := Encode([]byte(header)) + "." + Encode([]byte(payload))
	return input + "." + Encode(Signature(alg, key, input))
}

// Signature returns the signature of the input as alg says.
func Signature(alg string, key any, input string) []byte {
	if alg == "EdDSA" {
		return ed25519.Sign(key.(ed25519.PrivateKey), []byte(input))
	}
	hash := hashes[alg[2:]]
	h := hash.New()
	h.Write([]byte(input))
	digest := h.Sum(nil)
	switch alg[:2] {
	case "HS":
		mac := hmac.New(hash.New, key.([]byte))
		mac.Write([]byte(input))
		return mac.Sum(nil)
	case "ES":
		key := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		must(err)
		return RawECDSA(key.Curve, r, s)
	case "PS":
		sig, err := rsa.SignPSS(rand.Reader, key.(*rsa.PrivateKey), hash, digest,
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		must(err)
		return sig
	case "RS":
		sig, err := rsa.SignPKCS1v15(rand.Reader, key.(*rsa.PrivateKey), hash, digest)
		must(err)
		return sig
	}
	panic("josetest: unknown algorithm " + alg)
}

// RawECDSA returns the signature (r, s) as RFC 7518 section 3.4 spells it.
func RawECDSA(curve elliptic.Curve, r, s *big.Int) []byte {
	size := (curve.Params().BitSize + 7) / 8
	sig := make([]byte, 2*size)
	r.FillBytes(sig[:size])
	s.FillBytes(sig[size:])
	return sig
}

// JWK returns the public JWK of the private key. Of members, "kid", "ES256" and
// so on, each pair is put in, also over one that the key has.
func JWK(private any, members ...string) string {
	jwk := map[string]any{}
	switch key := private.(type) {
	case *rsa.PrivateKey:
		jwk["kty"] = "RSA"
		jwk["n"] = Encode(key.N.Bytes())
		jwk["e"] = Encode(big.NewInt(int64(key.E)).Bytes())
	case *ecdsa.PrivateKey:
		point, err := key.PublicKey.Bytes()
		must(err)
		size := len(point) / 2
		jwk["kty"], jwk["crv"] = "EC", key.Params().Name
		jwk["x"], jwk["y"] = Encode(point[1:1+size]), Encode(point[1+size:])
	case ed25519.PrivateKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", Encode(key[32:])
	case []byte:
		jwk["kty"], jwk["k"] = "oct", Encode(key)
	default:
		panic(fmt.Sprintf("josetest: no JWK of a %T", private))
	}
	for i := 0; i < len(members); i += 2 {
		jwk[members[i]] = members[i+1]
	}
	text, err := json.Marshal(jwk)
	must(err)
	return string(text)
}

// Set returns the JWK set of the keys.
func Set(jwks ...string) string {
	set := `{"keys":[`
	for i, jwk := range jwks {
		if i > 0 {
			set += ","
		}
		set += jwk
	}
	return set + "]}"
}

// Encode returns base64url without padding.
func Encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func must(err error) {
	if err != nil {
		panic(err)
	}
}
