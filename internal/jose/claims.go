package jose

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Bounds of what is believed of a verified payload.
const (
	maxClaimsDepth = 16
	maxDate        = 253402300799 // 9999-12-31T23:59:59Z; milliseconds lie beyond
)

// Rules says what the claims of a verified token must be. Rules are read only
// and may be used from several goroutines. The zero Rules refuse every token.
type Rules struct {
	Issuer        string        // iss must be exactly this (R22)
	Audience      []string      // aud must name at least one of these (R21)
	Leeway        time.Duration // allowance for clocks that differ
	MaxLifetime   time.Duration // 0 for any
	AllowNoExpiry bool          // exp may be missing
}

// Claims are the claims of a token that was accepted.
type Claims struct {
	Issuer  string
	Subject string
	TokenID string         // jti, "" where there is none
	Expires time.Time      // exp plus the leeway, zero where there is no exp
	Scopes  []string       // scope, or scp where there is no scope
	All     map[string]any // every claim; numbers are json.Number
}

// Check judges payload, which [Token.Verify] returned, at the time now. An error
// wraps one of the sentinels from [ErrClaims] to [ErrLifetime].
func (r Rules) Check(payload []byte, now time.Time) (Claims, error) {
	all, err := decodeObject(payload, maxClaimsDepth)
	if err != nil {
		return Claims{}, fmt.Errorf("%w: payload: %w", ErrClaims, err)
	}
	c := Claims{All: all}
	for _, check := range []func(*Claims, time.Time) error{
		r.checkIssuer, r.checkAudience, r.checkSubject, r.checkDates, r.checkOptional,
	} {
		if err := check(&c, now); err != nil {
			return Claims{}, err
		}
	}
	return c, nil
}

func (r Rules) checkIssuer(c *Claims, _ time.Time) error {
	iss, _ := c.All["iss"].(string)
	if iss == "" || iss != r.Issuer {
		return fmt.Errorf("%w: iss is missing or another", ErrIssuer)
	}
	c.Issuer = iss
	return nil
}

func (r Rules) checkAudience(c *Claims, _ time.Time) error {
	audience, ok := stringList(c.All["aud"])
	if one, single := c.All["aud"].(string); single {
		audience, ok = []string{one}, true
	}
	if !ok || !slices.ContainsFunc(audience, func(aud string) bool {
		return aud != "" && slices.Contains(r.Audience, aud)
	}) {
		return fmt.Errorf("%w: aud is missing or names others", ErrAudience)
	}
	return nil
}

func (r Rules) checkSubject(c *Claims, _ time.Time) error {
	sub, _ := c.All["sub"].(string)
	if !isIdentifier(sub) {
		return fmt.Errorf("%w: sub is missing, empty or no clean string", ErrSubject)
	}
	c.Subject = sub
	return nil
}

// isIdentifier reports whether s can tell one thing from all others. The decoder
// puts the replacement character where an escape was half of a surrogate pair,
// which makes different strings equal.
func isIdentifier(s string) bool {
	return s != "" && !strings.ContainsRune(s, utf8.RuneError)
}

// checkDates judges exp, nbf and iat (R19) and the time between them.
func (r Rules) checkDates(c *Claims, now time.Time) error {
	exp, hasExp, expErr := dateClaim(c.All, "exp")
	nbf, hasNbf, nbfErr := dateClaim(c.All, "nbf")
	iat, hasIat, iatErr := dateClaim(c.All, "iat")
	for _, err := range []error{expErr, nbfErr, iatErr} {
		if err != nil {
			return err
		}
	}
	switch {
	case !hasExp && !r.AllowNoExpiry:
		return fmt.Errorf("%w: exp is missing", ErrClaims)
	case hasExp && exp.Unix() < 1:
		// Zero means no expiry to many a library, and must not here.
		return fmt.Errorf("%w: exp is not above zero", ErrClaims)
	case hasExp && !now.Before(exp.Add(r.Leeway)):
		return ErrExpired
	case hasNbf && now.Add(r.Leeway).Before(nbf):
		return fmt.Errorf("%w: nbf is in the future", ErrNotYetValid)
	case hasIat && now.Add(r.Leeway).Before(iat):
		return fmt.Errorf("%w: iat is in the future", ErrNotYetValid)
	}
	if !hasExp {
		return nil
	}
	start := now
	if hasIat {
		start = iat
	}
	if r.MaxLifetime > 0 && exp.Sub(start) > r.MaxLifetime {
		return fmt.Errorf("%w: exp is too long after the issue", ErrLifetime)
	}
	c.Expires = exp.Add(r.Leeway)
	return nil
}

// dateClaim returns the NumericDate called name (RFC 7519 section 2): seconds,
// perhaps with a fraction, between 1970 and 9999.
func dateClaim(all map[string]any, name string) (date time.Time, present bool, err error) {
	v, present := all[name]
	if !present {
		return time.Time{}, false, nil
	}
	number, _ := v.(json.Number)
	seconds, err := number.Float64()
	if err != nil || seconds < 0 || seconds > maxDate {
		return time.Time{}, true, fmt.Errorf("%w: %s is no number of seconds between the years 1970 and 9999", ErrClaims, name)
	}
	whole, fraction := math.Modf(seconds)
	return time.Unix(int64(whole), int64(fraction*1e9)), true, nil
}

func (r Rules) checkOptional(c *Claims, _ time.Time) error {
	if v, present := c.All["jti"]; present {
		if c.TokenID, _ = v.(string); !isIdentifier(c.TokenID) {
			return fmt.Errorf("%w: jti is empty or no clean string", ErrClaims)
		}
	}
	var ok bool
	if c.Scopes, ok = scopes(c.All); !ok {
		return fmt.Errorf("%w: scope is no string, or scp no string or array of strings", ErrClaims)
	}
	return nil
}

// scopes returns the values of scope (RFC 9068 section 2.2.3) or, where there is
// none, of scp, which some issuers write instead.
func scopes(all map[string]any) ([]string, bool) {
	v, present := all["scope"]
	if !present {
		if v, present = all["scp"]; !present {
			return nil, true
		}
		if list, ok := stringList(v); ok {
			return list, true
		}
	}
	s, ok := v.(string)
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' }), ok
}
