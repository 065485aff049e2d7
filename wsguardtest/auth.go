package wsguardtest

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

var authVectors = []Vector{
	{Name: "auth/missing", Requirements: []string{"R10"}, CWE: 306, What: "There is no token.", run: withToken("")},
	{Name: "auth/garbage", Requirements: []string{"R15"}, CWE: 287, What: "The token is none.", run: withToken("garbage")},
	{Name: "auth/three-dots", Requirements: []string{"R15"}, CWE: 287, What: "The token is empty but for its dots.", run: withToken("...")},
	forged("alg-none", "R16", 347, "The token names no algorithm, and has no signature.", algorithm("none")),
	forged("alg-none-in-capitals", "R16", 347, "The same, written in a way that a list of forbidden names misses.", algorithm("nOnE")),
	forged("no-signature", "R15", 347, "The signature is left out.", func(s *Signer) string {
		return s.unsigned(nil, nil) + "."
	}),
	forged("broken-signature", "R15", 347, "A bit of the signature is another.", func(s *Signer) string {
		signed := s.unsigned(nil, nil)
		b := s.sign(signed)
		b[len(b)/2] ^= 1
		return signed + "." + encode(b)
	}),
	forged("zero-signature", "R15", 347, "The signature is zero, which a broken verifier of ECDSA takes.", func(s *Signer) string {
		return s.unsigned(nil, nil) + "." + encode(make([]byte, 64))
	}),
	forged("swapped-claims", "R15", 347, "The signature is that of another token.", func(s *Signer) string {
		good := s.Token("alice")
		return s.unsigned(nil, map[string]any{"sub": "root"}) + good[strings.LastIndexByte(good, '.'):]
	}),
	forged("foreign-key", "R17", 347, "The token is signed with another key of the same name.", func(s *Signer) string {
		return s.foreign().Sign(nil, nil)
	}),
	forged("public-key-as-secret", "R16", 327, "The token is signed with HS256 and the public key as the secret.", confused),
	forged("embedded-key", "R17", 347, "The token brings the key that it wants to be verified with.", func(s *Signer) string {
		own := s.foreign()
		return own.Sign(map[string]any{"jwk": own.jwk()}, nil)
	}),
	forged("kid-path", "R17", 22, "The name of the key is a path to a file that is empty.", func(s *Signer) string {
		signed := s.unsigned(map[string]any{"alg": "HS256", "kid": "../../../../../../dev/null"}, nil)
		return signed + "." + encode(mac(nil, signed))
	}),
	forged("unknown-critical", "R15", 347, "The header has a critical extension that nobody knows.", func(s *Signer) string {
		return s.Sign(map[string]any{"crit": []string{"x-unknown"}, "x-unknown": true}, nil)
	}),
	forged("expired", "R19", 613, "The token has expired an hour ago.", claim("exp", func() any { return time.Now().Add(-time.Hour).Unix() })),
	forged("not-yet", "R19", 613, "The token is good from in an hour on.", claim("nbf", func() any { return time.Now().Add(time.Hour).Unix() })),
	forged("no-expiry", "R19", 613, "The token never expires.", claim("exp", func() any { return nil })),
	forged("expiry-as-text", "R19", 20, "The expiry is a text.", claim("exp", func() any { return "9999999999" })),
	forged("other-audience", "R21", 287, "The token is for another service.", claim("aud", func() any { return "elsewhere" })),
	forged("no-audience", "R21", 287, "The token is for no service.", claim("aud", func() any { return nil })),
	forged("other-issuer", "R22", 287, "The token names another issuer.", claim("iss", func() any { return "https://evil.example" })),
	forged("no-subject", "R22", 287, "The token is nobody's.", claim("sub", func() any { return nil })),
	forged("other-type", "R20", 843, "The token is one for logging out.", func(s *Signer) string {
		return s.Sign(map[string]any{"typ": "logout+jwt"}, nil)
	}),
	forged("huge", "R18", 770, "The token has 16 KiB.", func(s *Signer) string {
		return s.Sign(nil, map[string]any{"padding": strings.Repeat("x", 12<<10)})
	}),
	{Name: "auth/key-address", Requirements: []string{"R17"}, CWE: 918,
		What: "The token says where its key is to be fetched from.", run: keyAddress},
	{Name: "auth/token-in-url", Requirements: []string{"R14"}, CWE: 598,
		What: "A good token is in the URL, where every log on the way keeps it.", run: tokenInURL},
	{Name: "auth/two-tokens", Requirements: []string{"R15"}, CWE: 287,
		What: "There are two tokens, of which one is good.", run: func(a *try) outcome {
			kind, name, _ := strings.Cut(a.p.TokenIn, ":")
			token, err := a.token()
			if err != nil || token == "" || kind == "cookie" || kind == "query" {
				return unjudged("the profile says no token in a header or subprotocol")
			}
			r := a.good(token)
			switch {
			case kind == "subprotocol":
				r.lines = append(r.lines, "Sec-WebSocket-Protocol: "+name+"garbage")
			case strings.EqualFold(name, "Authorization"):
				r.lines = append(r.lines, "Authorization: Bearer garbage")
			default:
				r.lines = append(r.lines, name+": garbage")
			}
			return a.refused(r)
		}},
}

// withToken is a row with a token that needs no signer.
func withToken(token string) func(*try) outcome {
	return func(a *try) outcome {
		if a.p.Token == nil && a.p.Ticket == nil {
			return unjudged("the profile says no token")
		}
		return a.refused(a.good(token))
	}
}

// forged is a row with a token that is made from the profile's signer. That the
// signer's good token is accepted is seen first.
func forged(name, requirement string, cwe int, what string, make func(*Signer) string) Vector {
	return Vector{Name: "auth/" + name, Requirements: []string{requirement}, CWE: cwe, What: what, run: func(a *try) outcome {
		if why := a.signs(); why != nil {
			return *why
		}
		token := make(a.p.Signer)
		if token == "" {
			return unjudged("the profile's signer has a secret, and no public key")
		}
		return a.refused(a.good(token))
	}}
}

// signs says why the profile's signer is of no use, or nothing.
func (a *try) signs() *outcome {
	if a.p.Signer == nil {
		o := unjudged("the profile has no signer")
		return &o
	}
	p, err := a.ask(a.good(a.p.Signer.Token("alice")))
	if err != nil || p.resp.StatusCode != http.StatusSwitchingProtocols {
		o := unjudged("the signer's good token is not accepted")
		return &o
	}
	_ = p.conn.Close()
	return nil
}

func algorithm(name string) func(*Signer) string {
	return func(s *Signer) string { return s.unsigned(map[string]any{"alg": name}, nil) + "." }
}

func claim(name string, value func() any) func(*Signer) string {
	return func(s *Signer) string { return s.Sign(nil, map[string]any{name: value()}) }
}

func confused(s *Signer) string {
	if s.key == nil {
		return ""
	}
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		return ""
	}
	signed := s.unsigned(map[string]any{"alg": "HS256"}, nil)
	secret := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	return signed + "." + encode(mac(secret, signed))
}

// keyAddress names a JWK set on a listener of the kit's own, and looks whether
// somebody came for it.
func keyAddress(a *try) outcome {
	if why := a.signs(); why != nil {
		return *why
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return unjudged("nothing can listen on 127.0.0.1")
	}
	own := a.p.Signer.foreign()
	var fetched atomic.Bool
	server := &http.Server{ReadHeaderTimeout: a.p.Patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fetched.Store(true)
		own.ServeHTTP(w, r)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	defer func() { _ = server.Close(); <-done }()
	at := "http://" + l.Addr().String() + "/jwks.json"
	o := a.refused(a.good(own.Sign(map[string]any{"jku": at, "x5u": at}, nil)))
	if fetched.Load() {
		return failed("the key was fetched from where the token said")
	}
	return o
}

func tokenInURL(a *try) outcome {
	kind, _, _ := strings.Cut(a.p.TokenIn, ":")
	if a.p.Token == nil {
		return unjudged("the profile says no token")
	}
	if kind == "query" {
		return failed("the profile itself sends tokens in the URL")
	}
	for _, name := range []string{"token", "access_token", "jwt", "auth"} {
		token, err := a.token()
		if err != nil {
			return unjudged("%v", err)
		}
		if o := a.refused(a.good("").query(name, token)); o.verdict != Withstood {
			return o
		}
	}
	return passed("refused under four usual names")
}
