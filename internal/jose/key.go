package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
)

// The families of keys. An algorithm goes with exactly one of them, which keeps
// a public key from ever serving as a secret (R16).
const (
	rsaKey     = "RSA"
	p256Key    = "P-256"
	p384Key    = "P-384"
	p521Key    = "P-521"
	ed25519Key = "Ed25519"
	secretKey  = "secret"
)

// algorithms says what key each supported algorithm takes, and how many bytes a
// secret needs for it (RFC 7518 section 3.2).
var algorithms = map[string]struct {
	family    string
	minSecret int
}{
	"ES256": {family: p256Key},
	"ES384": {family: p384Key},
	"ES512": {family: p521Key},
	"EdDSA": {family: ed25519Key},
	"RS256": {family: rsaKey},
	"RS384": {family: rsaKey},
	"RS512": {family: rsaKey},
	"PS256": {family: rsaKey},
	"PS384": {family: rsaKey},
	"PS512": {family: rsaKey},
	"HS256": {family: secretKey, minSecret: 32},
	"HS384": {family: secretKey, minSecret: 48},
	"HS512": {family: secretKey, minSecret: 64},
}

// The supported algorithms, by the kind of key that they take. Read only.
var (
	Asymmetric = []string{
		"ES256", "ES384", "ES512", "EdDSA",
		"RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
	}
	Symmetric = []string{"HS256", "HS384", "HS512"}
)

// Bounds of key material (R18).
const (
	minRSABits       = 2048
	maxRSABits       = 8192
	minSecretSize    = 32
	minDistinctBytes = 8 // fewer in a secret is a fill pattern, not randomness
)

// Key is a public key or a shared secret that verifies tokens. It is immutable.
// The zero Key suits no algorithm.
type Key struct {
	kid      string
	alg      string // the one algorithm that the key is for, "" for any of its family
	family   string
	material any // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or []byte
}

// Suits reports whether the key may verify signatures made with alg.
func (k Key) Suits(alg string) bool {
	a, known := algorithms[alg]
	if !known || a.family != k.family || k.alg != "" && k.alg != alg {
		return false
	}
	secret, _ := k.material.([]byte)
	return len(secret) >= a.minSecret
}

// SecretKey returns the key for HS256 and, if it is long enough, HS384 (48
// bytes) and HS512 (64 bytes). It refuses what is no random secret of at least
// 32 bytes: RFC 8725 sections 3.4 and 3.5 (R18).
func SecretKey(secret []byte) (Key, error) {
	if bytes.Contains(secret, []byte("-----BEGIN")) {
		return Key{}, errors.New("this is PEM, which is no secret: give it as a key instead")
	}
	if len(secret) < minSecretSize {
		return Key{}, fmt.Errorf("%d bytes are too few: give at least %d random bytes", len(secret), minSecretSize)
	}
	var seen [256]bool
	distinct := 0
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			distinct++
		}
	}
	if distinct < minDistinctBytes {
		return Key{}, errors.New("the same few bytes over and over are no secret: give random bytes")
	}
	// A caller may wipe its copy.
	return Key{family: secretKey, material: bytes.Clone(secret)}, nil
}

// PublicKey returns the key called kid, "" for a key without a name. It takes an
// *rsa.PublicKey of 2048 to 8192 bits, an *ecdsa.PublicKey on P-256, P-384 or
// P-521, or an ed25519.PublicKey (R18).
func PublicKey(kid string, key crypto.PublicKey) (Key, error) {
	if _, private := key.(crypto.Signer); private {
		return Key{}, errors.New("this is a private key: give the public one, as its method Public returns it")
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if err := checkRSA(key); err != nil {
			return Key{}, err
		}
		return Key{kid: kid, family: rsaKey, material: key}, nil
	case *ecdsa.PublicKey:
		//lint:ignore SA1019 a key put together by hand may lack its point, on which Bytes and ECDH panic
		if key == nil || key.Curve == nil || key.X == nil || key.Y == nil {
			return Key{}, errors.New("this ECDSA key is empty")
		}
		family := key.Params().Name
		if _, known := curves[family]; !known {
			return Key{}, errors.New("ECDSA keys must be on P-256, P-384 or P-521")
		}
		if _, err := key.ECDH(); err != nil { // checks the point
			return Key{}, errors.New("this ECDSA key is no point of its curve")
		}
		return Key{kid: kid, family: family, material: key}, nil
	case ed25519.PublicKey:
		if len(key) != ed25519.PublicKeySize {
			return Key{}, fmt.Errorf("an Ed25519 key has %d bytes, not %d", ed25519.PublicKeySize, len(key))
		}
		return Key{kid: kid, family: ed25519Key, material: slices.Clone(key)}, nil
	}
	return Key{}, fmt.Errorf("a %T is no key that is supported: give an *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey", key)
}

// checkRSA refuses moduli too small to be safe or so large that verification
// becomes a burden, and exponents that are no RSA exponent.
func checkRSA(key *rsa.PublicKey) error {
	if key == nil || key.N == nil {
		return errors.New("this RSA key is empty")
	}
	if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
		return fmt.Errorf("an RSA key of %d bits is refused: give one of %d to %d bits", bits, minRSABits, maxRSABits)
	}
	if key.N.Bit(0) == 0 || key.E < 3 || key.E&1 == 0 || key.E > 1<<31-1 {
		return errors.New("this RSA key has an even modulus or an exponent that is even, below 3 or above 31 bits")
	}
	return nil
}

// MaxCandidates is how many keys are tried for one token at most, so that a
// token that names no key costs a bounded number of signature checks.
const MaxCandidates = 8

// Select returns the keys of the set that may have signed a token whose header
// has kid and alg, at most [MaxCandidates]. A key with a name is for the tokens
// that name it or name none; a key without one is for any token that names no
// other key of the set.
//
// It returns [ErrAlgorithm] where the named key does not suit alg, which fresher
// keys would not mend, and [ErrKeyUnknown] where fresher keys might.
func Select(set []Key, kid, alg string) ([]Key, error) {
	var exact, rest []Key
	named := false
	for _, k := range set {
		match := kid != "" && k.kid == kid
		named = named || match
		switch {
		case !k.Suits(alg):
		case match:
			exact = append(exact, k)
		case kid == "" || k.kid == "":
			rest = append(rest, k)
		}
	}
	found := rest
	if named {
		found = exact
	}
	switch {
	case named && len(found) == 0:
		return nil, fmt.Errorf("%w: the key that the token names is not for this algorithm", ErrAlgorithm)
	case len(found) == 0:
		return nil, ErrKeyUnknown
	case len(found) > MaxCandidates:
		return nil, fmt.Errorf("%w: more than %d keys suit, and the token names none", ErrKeyUnknown, MaxCandidates)
	}
	return found, nil
}
