package jose

import (
	"fmt"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// Verify verifies the signature with key under the algorithm that the header
// names, and returns the payload that was signed (R15). A key that does not suit
// that algorithm is refused with [ErrAlgorithm] before anything is computed
// (R16), a signature that does not fit with [ErrSignature].
func (t Token) Verify(key Key) ([]byte, error) {
	if !key.Suits(t.Alg) {
		return nil, fmt.Errorf("%w: the key is not for this algorithm", ErrAlgorithm)
	}
	payload, err := jws.Verify([]byte(t.compact),
		jws.WithKey(jwa.SignatureAlgorithm(t.Alg), key.material), jws.WithCompact())
	if err != nil {
		// The error of jwx may quote the token.
		return nil, ErrSignature
	}
	return payload, nil
}
