// Package jose reads signed JSON Web Tokens (RFC 7519, RFC 7515), the keys that
// verify them (RFC 7517) and their claims, as strictly as RFC 8725 asks for.
//
// It is the only package that imports jwx, which sees nothing but the bytes that
// are signed, one signature, one algorithm and one key that were all judged here
// before. No type of jwx is part of an exported signature.
//
// The order of use is [Parse], [Select], [Token.Verify], [Rules.Check]. What a
// token says of itself before Verify returns is a hint for choosing a key and
// nothing else (R15).
//
// Every error about a token wraps exactly one of the sentinels below and holds
// no byte of the token.
package jose

import "errors"

// The ways in which a token is refused.
var (
	ErrMalformed   = errors.New("malformed token")
	ErrAlgorithm   = errors.New("algorithm not allowed")
	ErrType        = errors.New("token type not allowed")
	ErrKeyUnknown  = errors.New("unknown key")
	ErrSignature   = errors.New("signature not valid")
	ErrClaims      = errors.New("claims not valid")
	ErrIssuer      = errors.New("issuer not allowed")
	ErrAudience    = errors.New("audience not allowed")
	ErrExpired     = errors.New("token expired")
	ErrNotYetValid = errors.New("token not yet valid")
	ErrSubject     = errors.New("subject not valid")
	ErrLifetime    = errors.New("token lives too long")
)
