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
	// A verifier sees the signature and the bytes that it is over, as they came.
	// jws.Verify would read the token once more, in its own way.
	verifier, err := jws.NewVerifier(jwa.SignatureAlgorithm(t.Alg))
	if err != nil {
		return nil, fmt.Errorf("%w: jwx does not know it", ErrAlgorithm)
	}
	if err := verifier.Verify([]byte(t.signed), t.signature, key.material); err != nil {
		return nil, ErrSignature // the error of jwx may quote the token
	}
	return t.payload, nil
}
