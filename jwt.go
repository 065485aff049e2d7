package wsguard

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/jwks"
)

// JWTConfig says which JSON Web Tokens [NewJWT] accepts. Issuer, Audience and
// exactly one source of keys are required; the zero value of every other field
// is the safe choice.
type JWTConfig struct {
	// Issuer is what the claim iss must be, to the letter:
	// "https://id.example.com". The keys must be this issuer's and nobody
	// else's; make one JWT for each issuer. (R22)
	Issuer string

	// Audience is what the claim aud must name at least one of. Write the name
	// of this service and not that of a client, which ID tokens carry. (R21)
	Audience []string

	// The source of keys, exactly one. Which keys a token may be verified with
	// is said here and nowhere in the token: of its header only kid is read,
	// to choose among them, and never jku, jwk, x5u or x5c. (R17)
	//
	// Public keys are *rsa.PublicKey with 2048 to 8192 bits, *ecdsa.PublicKey on
	// P-256, P-384 or P-521, and ed25519.PublicKey. (R18)
	JWKS    string             // URL of a JWK set, as NewJWKS takes it: the common case
	KeySet  *KeySet            // what NewJWKS returned, to share it or to configure it
	Keys    []crypto.PublicKey // at most 8, tried in turn
	KeyFile string             // file with a JWK set or with at most 8 PEM blocks, read once
	Secret  []byte             // at least 32 random bytes, which can also sign; copied

	// Algorithms is which algorithms the header may name. Default: HS256 for a
	// Secret, and for public keys ES256, ES384, ES512, EdDSA, RS256, RS384,
	// RS512, PS256, PS384 and PS512. A Secret takes HS256, HS384 (48 bytes)
	// and HS512 (64 bytes) alone, and public keys never do. (R16)
	Algorithms []string

	// Types is which types the header may name in typ, "" standing for none, in
	// any case and with or without "application/". Default: "", "JWT" and
	// "at+jwt" (RFC 9068). It keeps logout tokens, security events and other
	// kinds of the same issuer out; an issuer that names its access tokens'
	// type deserves []string{"at+jwt"}. (R20, R23)
	Types []string

	// Leeway is how far the clocks of the issuer and of this machine may differ,
	// at most 5 minutes. Default: 30 seconds. It is also added to exp in
	// [Principal], so that a connection ends when a new one would be refused.
	Leeway time.Duration

	// MaxLifetime is how long a token may be good for, from its iat, or from now
	// if it has none. Default: any time. It bounds the damage of a stolen token.
	MaxLifetime time.Duration

	// InsecureAllowNoExpiry accepts tokens without exp. What is lost: such a
	// token opens connections, and a connection lasts, for ever; add
	// [MaxLifetime]. Its Principal.Expires is zero.
	InsecureAllowNoExpiry bool
}

const (
	defaultLeeway = 30 * time.Second
	maxLeeway     = 5 * time.Minute
)

// JWT is a [Verifier] for signed JSON Web Tokens (RFC 7519), as strict as
// RFC 8725 asks for. Make one with [NewJWT]; the zero JWT refuses every token.
// It is immutable, and its methods may be called from several goroutines.
type JWT struct {
	algorithms []string
	types      []string
	rules      jose.Rules
	keys       func(ctx context.Context, kid, alg string) ([]jose.Key, error)
}

// NewJWT returns a verifier, or an error that joins all that is wrong with the
// configuration. It reads KeyFile, and fetches nothing: a key set is fetched when
// the first token is verified.
func NewJWT(config JWTConfig) (*JWT, error) {
	var problems []error
	bad := func(field string, err error) {
		problems = append(problems, prefixed("wsguard: JWTConfig."+field+": ", err)...)
	}
	if config.Issuer == "" {
		bad("Issuer", errors.New(`is empty: write the iss of the tokens, such as "https://id.example.com"`))
	}
	if len(config.Audience) == 0 || slices.Contains(config.Audience, "") {
		bad("Audience", errors.New(`is empty or has an empty one: write the name of this service in aud, such as []string{"chat"}`))
	}
	v := &JWT{
		algorithms: slices.Clone(config.Algorithms),
		rules: jose.Rules{
			Issuer:        config.Issuer,
			Audience:      slices.Clone(config.Audience),
			Leeway:        config.Leeway,
			MaxLifetime:   config.MaxLifetime,
			AllowNoExpiry: config.InsecureAllowNoExpiry,
		},
	}
	static := config.readKeys(v, bad)
	v.checkAlgorithms(config.Secret != nil, static, bad)
	if config.Types == nil {
		config.Types = []string{"", "JWT", "at+jwt"}
	}
	for _, typ := range config.Types {
		v.types = append(v.types, jose.MediaType(typ))
	}
	if len(v.types) == 0 {
		bad("Types", errors.New(`allows nothing: leave it nil for the default, or write []string{"at+jwt"}`))
	}
	switch {
	case config.Leeway == 0:
		v.rules.Leeway = defaultLeeway
	case config.Leeway < 0 || config.Leeway > maxLeeway:
		bad("Leeway", fmt.Errorf("is %v: write a time up to %v, and set the clocks if that is not enough", config.Leeway, maxLeeway))
	}
	if config.MaxLifetime < 0 {
		bad("MaxLifetime", fmt.Errorf("is %v: write a time above zero, or zero for any", config.MaxLifetime))
	}
	if config.MaxLifetime > 0 && config.InsecureAllowNoExpiry {
		bad("MaxLifetime", errors.New("bounds nothing for tokens without an expiry: leave it out, or InsecureAllowNoExpiry"))
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return v, nil
}

// prefixed returns the errors that err joins, or err alone, each with a prefix.
func prefixed(prefix string, err error) (list []error) {
	errs := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		errs = joined.Unwrap()
	}
	for _, err := range errs {
		list = append(list, fmt.Errorf("%s%w", prefix, err))
	}
	return list
}

// readKeys sets the source of keys of v, and returns the keys where they are
// known already.
func (config JWTConfig) readKeys(v *JWT, bad func(field string, err error)) (static []jose.Key) {
	var fields []string
	for _, source := range []struct {
		field string
		isSet bool
	}{
		{"JWKS", config.JWKS != ""},
		{"KeySet", config.KeySet != nil},
		{"Keys", config.Keys != nil},
		{"KeyFile", config.KeyFile != ""},
		{"Secret", config.Secret != nil},
	} {
		if source.isSet {
			fields = append(fields, source.field)
		}
	}
	if len(fields) != 1 {
		bad("JWKS", fmt.Errorf("%d sources of keys are set: set exactly one of JWKS, KeySet, Keys, KeyFile and Secret", len(fields)))
		return nil
	}
	var source *jwks.Source
	var err error
	switch fields[0] {
	case "JWKS":
		source, err = jwks.New(jwks.Config{URL: config.JWKS})
	case "KeySet":
		if source = config.KeySet.source; source == nil {
			err = errors.New("is empty: write what NewJWKS returned")
		}
	case "Keys":
		static, err = publicKeys(config.Keys)
	case "KeyFile":
		static, err = readKeyFile(config.KeyFile)
	case "Secret":
		static = make([]jose.Key, 1)
		static[0], err = jose.SecretKey(config.Secret)
	}
	if err == nil && source == nil && len(static) == 0 {
		err = errors.New("has no key that can be used: give a public key for signatures")
	}
	if err != nil {
		bad(fields[0], err)
		return nil
	}
	if source != nil {
		v.keys = source.Keys
		return nil
	}
	v.keys = func(_ context.Context, kid, alg string) ([]jose.Key, error) { return jose.Select(static, kid, alg) }
	return static
}

func publicKeys(list []crypto.PublicKey) ([]jose.Key, error) {
	keys := make([]jose.Key, len(list))
	var problems []error
	for i, public := range list {
		var err error
		if keys[i], err = jose.PublicKey("", public); err != nil {
			problems = append(problems, fmt.Errorf("key %d: %w", i, err))
		}
	}
	if len(keys) > jose.MaxCandidates {
		problems = append(problems, tooManyKeys(len(keys)))
	}
	return keys, errors.Join(problems...)
}

// readKeyFile reads a JWK set, which begins with a brace, or PEM.
func readKeyFile(name string) ([]jose.Key, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		keys, _, err := jose.ParseJWKS(data)
		return keys, err
	}
	keys, err := jose.ParsePEM(data)
	if len(keys) > jose.MaxCandidates {
		err = tooManyKeys(len(keys))
	}
	return keys, err
}

func tooManyKeys(n int) error {
	return fmt.Errorf("has %d keys without a name, which would all be tried: give at most %d, or a JWK set with kid", n, jose.MaxCandidates)
}

// checkAlgorithms sets the default, and refuses algorithms that the keys, where
// they are known, cannot verify.
func (v *JWT) checkAlgorithms(secret bool, static []jose.Key, bad func(field string, err error)) {
	fit, byDefault := jose.Asymmetric, jose.Asymmetric
	if secret {
		fit, byDefault = jose.Symmetric, jose.Symmetric[:1]
	}
	if v.algorithms == nil {
		v.algorithms = byDefault
		return
	}
	if len(v.algorithms) == 0 {
		bad("Algorithms", errors.New("allows nothing: leave it nil for the default"))
	}
	for _, alg := range v.algorithms {
		suits := func(k jose.Key) bool { return k.Suits(alg) }
		switch {
		case !slices.Contains(fit, alg):
			bad("Algorithms", fmt.Errorf("%q does not go with this source of keys: write some of %s", alg, strings.Join(fit, ", ")))
		case static != nil && !slices.ContainsFunc(static, suits):
			bad("Algorithms", fmt.Errorf("no key is for %s, by its kind or its size: leave it out, or give such a key", alg))
		}
	}
}

// jwtReasons is every Reason of a [Refusal] by [JWT.Verify], with the error of
// the internal packages that it stands for. An error that is not here would be
// token_malformed.
var jwtReasons = []struct {
	err    error
	reason string
}{
	{jose.ErrMalformed, "token_malformed"},
	{jose.ErrAlgorithm, "token_algorithm"},
	{jose.ErrType, "token_type"},
	{jose.ErrKeyUnknown, "token_key_unknown"},
	{jose.ErrSignature, "token_signature"},
	{jose.ErrClaims, "token_claims"},
	{jose.ErrIssuer, "token_issuer"},
	{jose.ErrAudience, "token_audience"},
	{jose.ErrSubject, "token_subject"},
	{jose.ErrExpired, "token_expired"},
	{jose.ErrNotYetValid, "token_not_yet_valid"},
	{jose.ErrLifetime, "token_lifetime"},
	{jwks.ErrUnavailable, keysUnavailable},
}

const (
	keysUnavailable = "keys_unavailable"
	// keysRetryAfter is about as long as a key set that cannot be fetched is
	// left alone.
	keysRetryAfter = 10 * time.Second
)

// Verify returns whom the token belongs to, or a [*Refusal] of "Authenticate":
//
//	token_malformed      not one token in canonical compact serialization of at most 8 KiB, or crit, b64, zip or cty in its header
//	token_algorithm      alg is not allowed, none, or does not go with the key
//	token_type           typ is not allowed
//	token_key_unknown    there is no such key
//	token_signature      the signature is not valid
//	token_claims         the payload is no JSON object without duplicates, exp is missing, or a claim is malformed
//	token_issuer         iss is another or missing
//	token_audience       aud names others or is missing
//	token_subject        sub is missing, empty or no string
//	token_expired        exp is past
//	token_not_yet_valid  nbf or iat is in the future
//	token_lifetime       the token lives longer than MaxLifetime
//	keys_unavailable     the key set cannot be fetched, or ctx ended first (503, 1013, with RetryAfter)
//
// All but the last are 401 and 3000. Err has the detail, and no byte of the
// token. (R13, R15, R16, R19, R57, R58)
//
// Claims holds every claim, decoded by encoding/json with numbers as
// [encoding/json.Number], so that large identifiers stay whole. Do not write a
// token out again from it.
//
// To accept something once per token, key it on Issuer and TokenID and never on
// the token's text: anybody can turn one ECDSA signature into another that is
// as valid.
func (v *JWT) Verify(ctx context.Context, token string) (Principal, error) {
	c, err := v.verify(ctx, token)
	if err != nil {
		return Principal{}, jwtRefusal(err)
	}
	return Principal{
		Subject: c.Subject,
		Issuer:  c.Issuer,
		TokenID: c.TokenID,
		Expires: c.Expires,
		Scopes:  c.Scopes,
		Claims:  c.All,

		IssuedAt: issuedAt(c.All),
	}, nil
}

// issuedAt is the claim iat (RFC 7519, section 4.1.6), or zero without a usable one.
func issuedAt(claims map[string]any) (t time.Time) {
	if n, ok := claims["iat"].(json.Number); ok {
		if s, err := n.Float64(); err == nil && s > 0 && s < 1<<40 {
			t = time.UnixMilli(int64(s * 1000))
		}
	}
	return t
}

func (v *JWT) verify(ctx context.Context, token string) (jose.Claims, error) {
	t, err := jose.Parse(token)
	if err != nil {
		return jose.Claims{}, err
	}
	if !slices.Contains(v.algorithms, t.Alg) {
		return jose.Claims{}, fmt.Errorf("%w: not one of JWTConfig.Algorithms", jose.ErrAlgorithm)
	}
	if !slices.Contains(v.types, t.Typ) {
		return jose.Claims{}, fmt.Errorf("%w: not one of JWTConfig.Types", jose.ErrType)
	}
	keys, err := v.keys(ctx, t.Kid, t.Alg)
	if err != nil {
		return jose.Claims{}, err
	}
	for _, key := range keys {
		if payload, err := t.Verify(key); err == nil {
			return v.rules.Check(payload, time.Now())
		}
	}
	return jose.Claims{}, jose.ErrSignature
}

// allowsNoExpiry tells Authenticate what InsecureNoExpiry would.
func (v *JWT) allowsNoExpiry() bool { return v.rules.AllowNoExpiry }

// jwtRefusal is the refusal for an error of verify.
func jwtRefusal(err error) *Refusal {
	reason := jwtReasons[0].reason
	for _, row := range jwtReasons {
		if errors.Is(err, row.err) {
			reason = row.reason
		}
	}
	r := refuse("Authenticate", reason, err)
	if reason == keysUnavailable {
		r.RetryAfter = keysRetryAfter
	}
	return r
}
