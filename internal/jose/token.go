package jose

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
)

// Bounds of what is read of a token before its signature is verified.
const (
	MaxTokenSize   = 8 << 10 // characters of the compact serialization
	maxHeaderSize  = 4 << 10 // bytes of the decoded header
	maxHeaderDepth = 4       // levels of the header
	maxKid         = 256     // bytes of a key identifier
)

// Token is a well-formed token whose signature has not been verified: what it
// holds is the sender's word. Its payload cannot be had but from [Token.Verify].
// The zero Token is refused by Verify.
type Token struct {
	Alg string // algorithm, never "none"
	Kid string // key identifier, at most 256 bytes, "" where the header has none
	Typ string // media type as MediaType gives it, "" where the header has none

	signed    string // what the signature is over: header, dot, payload, as they came
	payload   []byte
	signature []byte
}

// base64url accepts only the canonical form: no padding, no alphabet but that of
// RFC 4648 section 5, and trailing bits that are zero.
var base64url = base64.RawURLEncoding.Strict()

// refusedHeaders are the header parameters that change what is signed or what
// the payload is: extensions (R20), an unencoded payload, compression (R24), and
// a nested token.
var refusedHeaders = []string{"crit", "b64", "zip", "cty"}

// Parse reads a token in JWS compact serialization, at most 8 KiB. It refuses
// with [ErrMalformed] whatever is not exactly one canonical spelling: white
// space, padding, the standard alphabet, trailing bits, the JSON serialization,
// a header with a member twice, and the parameters crit, b64, zip and cty; and
// with [ErrAlgorithm] a token that is not signed (R16).
//
// The parameters jku, jwk, x5u and x5c are never looked at (R17).
//
// Do not key anything on the text of a token. An ECDSA signature (r, s) is as
// valid as (r, n-s), so that anybody can spell a second token from a first. What
// must happen once per token is keyed on its issuer and its jti claim.
func Parse(token string) (Token, error) {
	if len(token) > MaxTokenSize {
		return Token{}, fmt.Errorf("%w: longer than %d characters", ErrMalformed, MaxTokenSize)
	}
	parts := strings.SplitN(token, ".", 4)
	if len(parts) != 3 {
		return Token{}, fmt.Errorf("%w: not three parts with two dots between them", ErrMalformed)
	}
	var decoded [3][]byte
	for i, part := range parts {
		// The decoder of encoding/base64 skips line breaks.
		if part == "" || strings.ContainsAny(part, "\r\n") {
			return Token{}, fmt.Errorf("%w: an empty part or a line break", ErrMalformed)
		}
		var err error
		if decoded[i], err = base64url.DecodeString(part); err != nil {
			return Token{}, fmt.Errorf("%w: not canonical base64url without padding", ErrMalformed)
		}
	}
	t, err := parseHeader(decoded[0])
	if err != nil {
		return Token{}, err
	}
	t.signed = token[:len(parts[0])+1+len(parts[1])]
	t.payload, t.signature = decoded[1], decoded[2]
	return t, nil
}

// lastHeader is a header that was read before, with what it says. The tokens of
// an issuer have the same one until its key changes, and to read it takes as
// long as to read the claims.
var lastHeader atomic.Pointer[readHeader]

type readHeader struct {
	text string
	says Token
}

// maxRemembered bounds what a stranger can have us remember, in bytes.
const maxRemembered = 512

func parseHeader(data []byte) (Token, error) {
	if last := lastHeader.Load(); last != nil && last.text == string(data) {
		return last.says, nil
	}
	t, err := readNewHeader(data)
	if err == nil && len(data) <= maxRemembered {
		lastHeader.Store(&readHeader{string(data), t})
	}
	return t, err
}

func readNewHeader(data []byte) (Token, error) {
	if len(data) > maxHeaderSize {
		return Token{}, fmt.Errorf("%w: header longer than %d bytes", ErrMalformed, maxHeaderSize)
	}
	header, err := decodeObject(data, maxHeaderDepth)
	if err != nil {
		return Token{}, fmt.Errorf("%w: header: %w", ErrMalformed, err)
	}
	for _, name := range refusedHeaders {
		if _, present := header[name]; present {
			return Token{}, fmt.Errorf("%w: header parameter %s is not supported", ErrMalformed, name)
		}
	}
	alg, algOK := stringMember(header, "alg")
	kid, kidOK := stringMember(header, "kid")
	typ, typOK := stringMember(header, "typ")
	if !algOK || !kidOK || !typOK {
		return Token{}, fmt.Errorf("%w: header parameters alg, kid and typ must be strings", ErrMalformed)
	}
	if len(kid) > maxKid {
		return Token{}, fmt.Errorf("%w: header parameter kid longer than %d bytes", ErrMalformed, maxKid)
	}
	if _, known := algorithms[alg]; !known {
		return Token{}, fmt.Errorf("%w: header parameter alg names no signature that is supported", ErrAlgorithm)
	}
	return Token{Alg: alg, Kid: kid, Typ: MediaType(typ)}, nil
}

// MediaType returns typ as types are compared (RFC 7515 section 4.1.9): in lower
// case and without the prefix "application/".
func MediaType(typ string) string {
	return strings.TrimPrefix(strings.ToLower(typ), "application/")
}

// Fingerprint names a token in a log without telling it (R55): the first eight
// hexadecimal digits of the SHA-256 of its text. It tells tokens apart for a
// reader and must not decide anything; see [Parse] for why.
func Fingerprint(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:4])
}
