package wsguard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/wsguard/wsguard/internal/jose"
)

// A Principal is who a connection belongs to. A user is Issuer and Subject
// together. It is shared by whoever asks, and must not be changed.
type Principal struct {
	Subject string // required
	Issuer  string
	TokenID string // the token's jti, for logs and revocation

	// Expires is when the connection ends with 3000 (token_expired): when the
	// verifier would no longer accept the token, its leeway included, as NewJWT
	// does. A verifier must set it; see [InsecureNoExpiry]. (R25)
	Expires time.Time

	// IssuedAt is when the token was issued. A principal without it counts as
	// older than every [Revocation].
	IssuedAt time.Time

	Scopes []string
	Claims map[string]any // as the verifier decoded them
}

// HasScope reports whether the principal holds a scope.
func (p *Principal) HasScope(scope string) bool {
	if p != nil {
		for _, s := range p.Scopes {
			if s == scope {
				return true
			}
		}
	}
	return false
}

// A Verifier finds out whom a token belongs to. [NewJWT] makes one; any other
// (an introspection endpoint, a session store) needs this one method. Several
// goroutines call it at once, once for each handshake.
//
// An error refuses the handshake: a *Refusal as it is, any other with 401
// (token_invalid). The error must not quote the token. A panic refuses too.
type Verifier interface {
	Verify(ctx context.Context, token string) (Principal, error)
}

// InsecureNoExpiry accepts principals without an expiry from a verifier. What
// is lost: a connection outlives the session or token that it was opened with,
// for as long as the client likes; add MaxLifetime.
func InsecureNoExpiry(v Verifier) Verifier {
	if v == nil {
		panic("wsguard: InsecureNoExpiry: the verifier is nil: write what NewJWT returned, or a Verifier of your own")
	}
	return noExpiry{v}
}

type noExpiry struct{ Verifier }

func (noExpiry) allowsNoExpiry() bool { return true }

// A TokenSource says where in the handshake a token is. The explicit ones are
// there because the client put them there on purpose; a cookie is sent by every
// browser from every page.
type TokenSource struct {
	name   string
	cookie bool
	// take returns what is there, and removes it where it could leak.
	take func(*session, *http.Request) []string
	// spend takes the place of the verifier, where it is not nil.
	spend func(*session, *http.Request, string) (Principal, error)
	late  *lateToken // of FromFirstMessage
}

// FromAuthorization takes the token from "Authorization: Bearer <token>"
// (RFC 6750), for clients that are not browsers. The scheme may be in any case.
func FromAuthorization() TokenSource {
	return TokenSource{name: "FromAuthorization", take: func(_ *session, r *http.Request) (found []string) {
		for _, value := range r.Header["Authorization"] {
			if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") {
				found = append(found, strings.Trim(token, " "))
			}
		}
		return found
	}}
}

// FromHeader takes the token from a header of its own. The header's whole value
// is the token.
func FromHeader(name string) TokenSource {
	if !isToken(name) {
		panic(fmt.Sprintf(`wsguard: FromHeader: %q is no name of a header: write FromHeader("X-Token")`, name))
	}
	if instead, ok := notAToken[textproto.CanonicalMIMEHeaderKey(name)]; ok {
		panic(fmt.Sprintf(`wsguard: FromHeader: %s holds no token by itself: write %s`, name, instead))
	}
	return TokenSource{name: "FromHeader", take: func(_ *session, r *http.Request) []string {
		return r.Header[textproto.CanonicalMIMEHeaderKey(name)]
	}}
}

// notAToken are headers that FromHeader must not read, and what to write
// instead. A browser fills most of them in by itself, from any page.
var notAToken = map[string]string{
	"Authorization":          "FromAuthorization()",
	"Cookie":                 `FromCookie("session")`,
	"Sec-Websocket-Protocol": `FromSubprotocol("bearer")`,
	"Sec-Websocket-Key":      "a header of your own",
	"Origin":                 "a header of your own",
	"Host":                   "a header of your own",
	"User-Agent":             "a header of your own",
	"Referer":                "a header of your own",
}

// FromSubprotocol takes the token from an entry "<prefix>.<token>" of
// Sec-WebSocket-Protocol. It is the way for browsers that leaves no trace in
// URLs and logs:
//
//	new WebSocket(url, ["chat.v1", "bearer." + token])
//
// The entry is removed before anything inside the chain sees it, so that the
// real subprotocol is negotiated and the token never echoed; offer a real one
// beside it, because browsers fail a connection whose offer is not answered.
func FromSubprotocol(prefix string) TokenSource {
	if !isToken(prefix) {
		panic(fmt.Sprintf(`wsguard: FromSubprotocol: prefix %q is no token of RFC 9110: write FromSubprotocol("bearer")`, prefix))
	}
	const header = "Sec-Websocket-Protocol"
	return TokenSource{name: "FromSubprotocol", take: func(_ *session, r *http.Request) (found []string) {
		var rest []string
		for _, line := range r.Header[header] {
			for entry := range strings.SplitSeq(line, ",") {
				entry = strings.Trim(entry, " \t")
				if token, ok := strings.CutPrefix(entry, prefix+"."); ok {
					found = append(found, token)
				} else if entry != "" {
					rest = append(rest, entry)
				}
			}
		}
		if len(rest) > 0 {
			r.Header[header] = []string{strings.Join(rest, ", ")}
		} else {
			delete(r.Header, header)
		}
		return found
	}}
}

// FromQuery takes the token from a query parameter, and removes it from the
// request before anything inside the chain sees it. Prefer FromSubprotocol:
// URLs end up in the logs of proxies, in browser histories and in Referer
// headers. Where it must be, mount [RedactQuery] outside of the access log.
// (R14)
func FromQuery(name string) TokenSource {
	if name == "" {
		panic(`wsguard: FromQuery: the name is empty: write FromQuery("token")`)
	}
	return TokenSource{name: "FromQuery", take: func(s *session, r *http.Request) []string {
		return append(s.redacted[name], takeQuery(r, name)...)
	}}
}

// FromCookie takes the token from a cookie. It counts only where no explicit
// source has a token and the request has an Origin, and needs an origin check
// before it: a browser sends the cookie from whatever page opens the
// connection. Set it Secure, HttpOnly and SameSite. (R09)
func FromCookie(name string) TokenSource {
	if !isToken(name) {
		panic(fmt.Sprintf(`wsguard: FromCookie: %q is no name of a cookie: write FromCookie("session")`, name))
	}
	return TokenSource{name: "FromCookie", cookie: true, take: func(_ *session, r *http.Request) (found []string) {
		for _, c := range r.CookiesNamed(name) {
			found = append(found, c.Value)
		}
		return found
	}}
}

// isToken reports whether s is a token of RFC 9110, section 5.6.2, as names of
// headers, cookies and subprotocols are.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7F || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

// Authenticate admits a handshake only with a token for which the verifier
// vouches. Of the explicit sources exactly one may have a token, once: none is
// 401 (token_missing, unless a cookie source has one), two are 400
// (token_ambiguous). An invalid token is 401 and never falls back to another
// source. The principal must have a subject and an expiry
// (principal_incomplete) that has not passed (token_expired); when it passes,
// the connection ends with 3000. With [FromFirstMessage], an upgrade without a
// token waits for one. (R10, R25)
func Authenticate(verifier Verifier, source TokenSource, more ...TokenSource) func(http.Handler) http.Handler {
	const name = "Authenticate"
	if verifier == nil {
		panic("wsguard: Authenticate: the verifier is nil: write what NewJWT returned, or a Verifier of your own")
	}
	if j, ok := verifier.(*JWT); ok && (j == nil || j.keys == nil) {
		panic("wsguard: Authenticate: the verifier is an empty JWT, which refuses everybody: write what NewJWT returned")
	}
	ru := rule{name: name, provides: factPrincipal}
	sources := append([]TokenSource{source}, more...)
	var late *lateToken
	for i, src := range sources {
		if src.late != nil && late != nil {
			panic("wsguard: Authenticate: there is only one first message: leave out all FromFirstMessage but one")
		}
		if src.late != nil {
			late = src.late
			ru.follows |= factClient // whose places are counted
		}
		if src.take == nil {
			panic(fmt.Sprintf(`wsguard: Authenticate: source %d is empty: write FromSubprotocol("bearer") or another From…`, i+1))
		}
		if src.cookie {
			ru.needs |= factOrigin
		}
	}
	unlimited, _ := verifier.(interface{ allowsNoExpiry() bool })
	mayLast := unlimited != nil && unlimited.allowsNoExpiry()
	return safeguard(ru, func(s *session, r *http.Request) *Refusal {
		s.verifier, s.mayLast = verifier, mayLast
		token, src, reason := findToken(s, r, sources)
		switch {
		case reason == "token_missing" && late != nil && IsUpgrade(r):
			return late.wait(s, r)
		case reason != "":
			return refuse(name, reason, nil)
		}
		s.info.TokenFingerprint = jose.Fingerprint(token)
		ask := verification(verifier.Verify)
		if src.spend != nil {
			ask = func(_ context.Context, token string) (Principal, error) { return src.spend(s, r, token) }
		}
		p, refusal := s.vouch(r.Context(), name, ask, token)
		if refusal != nil {
			return refusal
		}
		s.principal.Store(p)
		s.identified(p, token)
		return nil
	})
}

// identified writes down whose the connection is.
func (s *session) identified(p *Principal, token string) {
	s.info.TokenFingerprint = jose.Fingerprint(token)
	s.info.Subject, s.info.Issuer, s.info.TokenID = p.Subject, p.Issuer, p.TokenID
}

// vouch finds out whom a token belongs to, now.
func (s *session) vouch(ctx context.Context, name string, ask verification, token string) (*Principal, *Refusal) {
	p, err := verify(ctx, ask, token)
	if err != nil {
		return nil, tokenRefusal(name, token, err)
	}
	if r := p.complete(name, s.mayLast); r != nil {
		return nil, r
	}
	return &p, nil
}

// complete refuses a principal that could not be told from others, or whose
// connection would not end.
func (p *Principal) complete(name string, mayLast bool) *Refusal {
	switch {
	case p.Subject == "":
		return refuse(name, "principal_incomplete", errors.New("the verifier returned a principal without a subject"))
	case p.Expires.IsZero() && !mayLast:
		return refuse(name, "principal_incomplete",
			errors.New("the verifier returned a principal without an expiry: set Principal.Expires, or wrap the verifier in InsecureNoExpiry"))
	case !p.Expires.IsZero() && !p.Expires.After(time.Now()):
		return refuse(name, "token_expired", nil)
	}
	return nil
}

// verification is what a Verifier does.
type verification func(ctx context.Context, token string) (Principal, error)

// verify calls the verifier. A panic is a refusal here and does not go on up:
// its text may hold the token, and would be logged by whoever recovers it.
func verify(ctx context.Context, ask verification, token string) (p Principal, err error) {
	defer func() {
		if text := recover(); text != nil {
			err = panicked("the verifier", text)
		}
	}()
	return ask(ctx, token)
}

// findToken returns the one token of a request and where it was, or the reason
// why there is none. Every source is asked, so that each removes what must not
// go further.
func findToken(s *session, r *http.Request, sources []TokenSource) (token string, from *TokenSource, reason string) {
	type place struct {
		token string
		from  *TokenSource
	}
	var explicit, cookies []place
	for i := range sources {
		src := &sources[i]
		for _, token := range src.take(s, r) {
			if src.cookie {
				cookies = append(cookies, place{token, src})
			} else {
				explicit = append(explicit, place{token, src})
			}
		}
	}
	if _, judged := r.Header["Origin"]; len(explicit) == 0 && judged {
		explicit = cookies // without an Origin, nobody knows which page sent them
	}
	switch len(explicit) {
	case 0:
		return "", nil, "token_missing"
	case 1:
		return explicit[0].token, explicit[0].from, ""
	}
	return "", nil, "token_ambiguous"
}

// tokenRefusal makes the refusal for a verifier's error, which must not quote
// the token, but might.
func tokenRefusal(name, token string, err error) *Refusal {
	var r *Refusal
	if !errors.As(err, &r) || r == nil {
		r = refuse(name, "token_invalid", err)
	}
	const word = 16 // what is shorter may stand in a reason by chance
	if len(token) > word && strings.Contains(r.Reason, token) {
		return refuse(name, "token_invalid", errors.New("the reason that the verifier gave is left out, because it quotes the token"))
	}
	if r.Err != nil && token != "" && strings.Contains(r.Err.Error(), token) {
		c := *r
		c.Err = errors.New("what the verifier said is left out, because it quotes the token")
		r = &c
	}
	return r
}

// RedactQuery takes query parameters out of the request and keeps them for
// FromQuery. Mount it outside of access logs and tracing, which write down the
// URL. It refuses nothing, and lets requests that are no upgrade pass. (R14)
func RedactQuery(names ...string) func(http.Handler) http.Handler {
	if len(names) == 0 || slices.Contains(names, "") {
		panic(`wsguard: RedactQuery: a name is missing: write RedactQuery("token")`)
	}
	return safeguard(rule{name: "RedactQuery", passive: true}, func(s *session, r *http.Request) *Refusal {
		for _, name := range names {
			if found := takeQuery(r, name); found != nil {
				if s.redacted == nil {
					s.redacted = make(url.Values)
				}
				s.redacted[name] = append(s.redacted[name], found...)
			}
		}
		return nil
	})
}

// takeQuery removes a parameter from everywhere in the request, and returns its
// values: of many, two, which are one too many. The rest of the query stays as
// it was written.
func takeQuery(r *http.Request, name string) (found []string) {
	rest, kept := make([]byte, 0, len(r.URL.RawQuery)), 0
	for pair := range strings.SplitSeq(r.URL.RawQuery, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if k, err := url.QueryUnescape(key); err != nil || k != name {
			if kept > 0 {
				rest = append(rest, '&')
			}
			rest = append(rest, pair...)
			kept++
			continue
		}
		v, err := url.QueryUnescape(value)
		if err != nil {
			v = value // not a token, and refused as one
		}
		if len(found) < 2 {
			found = append(found, v)
		}
	}
	if found == nil {
		return nil
	}
	r.URL.RawQuery = string(rest)
	r.RequestURI = r.URL.RequestURI()
	r.Form.Del(name)
	return found
}
