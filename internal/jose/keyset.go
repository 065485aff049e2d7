package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
)

// Bounds of a key set.
const (
	maxKeys     = 256 // keys, counted before any is skipped
	maxKeyDepth = 4   // levels of one key
	maxExponent = 4   // bytes of an RSA exponent
)

// curves are the curves that ECDSA keys may be on, by their name in RFC 7518
// section 6.2.1.1 and in crypto/elliptic.
var curves = map[string]elliptic.Curve{
	p256Key: elliptic.P256(),
	p384Key: elliptic.P384(),
	p521Key: elliptic.P521(),
}

// privateMembers are the members that only a private or a symmetric key has.
var privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// ParseJWKS reads a JWK set, or one bare JWK (RFC 7517), of at most 256 keys.
//
// Keys stand alone: one that is of no use here is skipped and counted, and the
// others are returned, so that an issuer may publish key types of the future. Of
// no use are unknown types, curves and algorithms, keys for encryption, keys
// whose key_ops lack verify, RSA keys below 2048 or above 8192 bits, points off
// their curve, and keys with a member twice; and, since a set is public, private
// and symmetric keys, which are no secret any more (R16, R18).
//
// A set without a usable key is no error: an issuer may withdraw all keys.
func ParseJWKS(data []byte) (keys []Key, skipped int, err error) {
	var envelope map[string]json.RawMessage // a map, as names differ by case
	if err := json.Unmarshal(data, &envelope); err != nil {
		return nil, 0, errors.New("no JWK set: not a JSON object")
	}
	var members []json.RawMessage
	if list, ok := envelope["keys"]; ok {
		if err := json.Unmarshal(list, &members); err != nil || members == nil {
			return nil, 0, errors.New("no JWK set: keys is not an array")
		}
	} else if _, ok := envelope["kty"]; ok {
		members = []json.RawMessage{data}
	} else {
		return nil, 0, errors.New(`no JWK set: neither "keys" nor "kty" is there`)
	}
	if len(members) > maxKeys {
		return nil, 0, fmt.Errorf("a JWK set of %d keys is refused: the bound is %d", len(members), maxKeys)
	}
	for _, member := range members {
		if key, err := parseJWK(member); err == nil {
			keys = append(keys, key)
		} else {
			skipped++
		}
	}
	return keys, skipped, nil
}

// parseJWK reads one public signature key.
func parseJWK(data []byte) (Key, error) {
	jwk, err := decodeObject(data, maxKeyDepth)
	if err != nil {
		return Key{}, err
	}
	for _, name := range privateMembers {
		if _, present := jwk[name]; present {
			return Key{}, errors.New("not a public key")
		}
	}
	use, useOK := stringMember(jwk, "use")
	alg, algOK := stringMember(jwk, "alg")
	kid, kidOK := stringMember(jwk, "kid")
	if !useOK || !algOK || !kidOK || len(kid) > maxKid {
		return Key{}, errors.New("use, alg or kid is no string or too long")
	}
	if use != "" && use != "sig" {
		return Key{}, errors.New("not for signatures")
	}
	if v, present := jwk["key_ops"]; present {
		if ops, ok := stringList(v); !ok || !slices.Contains(ops, "verify") {
			return Key{}, errors.New("not for verification")
		}
	}
	public, err := publicMaterial(jwk)
	if err != nil {
		return Key{}, err
	}
	key, err := PublicKey(kid, public)
	if err != nil {
		return Key{}, err
	}
	key.alg = alg
	if alg != "" && !key.Suits(alg) {
		return Key{}, errors.New("alg does not fit the key")
	}
	return key, nil
}

// publicMaterial returns the public key that the members of jwk spell (RFC 7518
// section 6, RFC 8037 section 2). PublicKey judges its quality.
func publicMaterial(jwk map[string]any) (crypto.PublicKey, error) {
	bytesOf := func(name string) []byte {
		s, _ := jwk[name].(string)
		b, err := base64url.DecodeString(s)
		if err != nil {
			return nil // which PublicKey refuses, in any place
		}
		return b
	}
	crv, _ := jwk["crv"].(string)
	switch jwk["kty"] {
	case "RSA":
		e := bytesOf("e")
		if len(e) > maxExponent {
			return nil, errors.New("the exponent is too long")
		}
		return &rsa.PublicKey{
			N: new(big.Int).SetBytes(bytesOf("n")),
			E: int(new(big.Int).SetBytes(e).Int64()),
		}, nil
	case "EC":
		if curve, ok := curves[crv]; ok {
			return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, bytesOf("x"), bytesOf("y")))
		}
	case "OKP":
		if crv == ed25519Key {
			return ed25519.PublicKey(bytesOf("x")), nil
		}
	}
	return nil, errors.New("unknown key type or curve")
}

// ParsePEM reads the public keys of a PEM file: blocks PUBLIC KEY, RSA PUBLIC
// KEY and CERTIFICATE, at most 256, and at least one. Of a certificate only the
// key counts: who wrote it into the configuration vouches for it, not its dates
// or its issuer. Unlike in a JWK set nothing is skipped, as a person chose these
// keys: one that cannot be used is an error.
func ParsePEM(data []byte) ([]Key, error) {
	var keys []Key
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("more than %d keys are refused", maxKeys)
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, err
		}
		keys, data = append(keys, key), rest
	}
	if bytes.Contains(data, []byte("-----BEGIN")) {
		return nil, errors.New("a PEM block is damaged")
	}
	if len(keys) == 0 {
		return nil, errors.New("no PEM block is there: give a block PUBLIC KEY")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (Key, error) {
	var public crypto.PublicKey
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var certificate *x509.Certificate
		if certificate, err = x509.ParseCertificate(block.Bytes); err == nil {
			public = certificate.PublicKey
		}
	default:
		if strings.HasSuffix(block.Type, "PRIVATE KEY") {
			return Key{}, errors.New("this is a private key, which a verifier must not have: give the public one, block PUBLIC KEY")
		}
		return Key{}, errors.New("a PEM block is of another type than PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE")
	}
	if err != nil {
		return Key{}, fmt.Errorf("a PEM block cannot be read: %w", err)
	}
	return PublicKey("", public)
}
