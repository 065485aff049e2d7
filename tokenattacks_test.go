package wsguard_test

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// A tokenAttack is a token and why it is refused, by a verifier of its own where
// it has one.
type tokenAttack struct {
	jwtRow
	by *wsguard.JWT
}

// tokenAttacks are the ways round a verifier, each otherwise a good token, signed
// with the key that is configured unless the row is about that. It is the list of
// all that a token was ever seen to be accepted for, in this library or another.
func tokenAttacks(tb testing.TB) (rows []tokenAttack) {
	tb.Helper()
	byKeys, bySet := newJWT(tb, jwtConfig()), newJWT(tb, jwtSetConfig(tb))
	for _, row := range keyAttacks(tb) {
		rows = append(rows, tokenAttack{row, byKeys})
	}
	for _, row := range setAttacks() {
		row.name = "key set, " + row.name
		rows = append(rows, tokenAttack{row, bySet})
	}
	return rows
}

// keyAttacks are on a verifier of jwtConfig.
func keyAttacks(tb testing.TB) []jwtRow {
	const malformed = "token_malformed"
	header := func(members string) string { return `{"alg":"ES256",` + members + `}` }
	claim := func(name string, v any) string { return jwtToken(jwtHeader, map[string]any{name: v}) }
	raw := func(name, v string) string { return claim(name, json.RawMessage(v)) }
	// payload appends members to a good payload, which can double its own.
	payload := func(members string) string {
		return josetest.Sign("ES256", josetest.P256(), jwtHeader, strings.TrimSuffix(jwtPayload(nil), "}")+","+members+"}")
	}
	now := time.Now().Unix()
	good := jwtToken(jwtHeader, nil)
	parts := strings.Split(good, ".")
	// The last of 86 characters has four bits that nothing uses, here set.
	nonCanonical := good[:len(good)-1] + string(good[len(good)-1]+1)
	der, err := x509.MarshalPKIXPublicKey(&josetest.P256().PublicKey)
	if err != nil {
		tb.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	nested := josetest.Sign("ES256", josetest.P256(), jwtHeader, good)
	jsonSignature := `{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`

	return []jwtRow{
		{"good", good, ""},
		{"typ JWT", jwtToken(header(`"typ":"JWT"`), nil), ""},
		{"typ at+jwt", jwtToken(header(`"typ":"at+jwt"`), nil), ""},
		{"typ with its prefix and in capitals", jwtToken(header(`"typ":"APPLICATION/AT+JWT"`), nil), ""},

		// Form.
		{"absent", "", malformed},
		{"garbage", "secret", malformed},
		{"space around", " " + good + " ", malformed},
		{"Bearer before", "Bearer " + good, malformed},
		{"padding", good + "==", malformed},
		{"standard alphabet", parts[0] + "." + parts[1] + "." + strings.Repeat("+/", 43), malformed},
		{"line break in the signature", good[:len(good)-9] + "\n" + good[len(good)-9:], malformed},
		{"trailing bits", nonCanonical, malformed},
		{"good, of 7 KiB", claim("x", strings.Repeat("A", 5000)), ""},
		{"good, but of 9 KiB", claim("x", strings.Repeat("A", 6700)), malformed},
		{"900 KiB", good + strings.Repeat("A", hostile), malformed},
		{"tab after", good + "\t", malformed},
		{"standard alphabet in the header", strings.Repeat("+/", 10) + "." + parts[1] + "." + parts[2], malformed},
		{"padding in the header", parts[0] + "=." + parts[1] + "." + parts[2], malformed},
		{"a dot more", good + ".", malformed},
		{"claims alone", jwtPayload(nil), malformed},
		{"JSON serialization", `{"payload":"` + parts[1] + `","signatures":[` + jsonSignature + `]}`, malformed},
		{"JSON serialization with 1000 signatures", `{"payload":"` + parts[1] + `","signatures":[` + strings.Repeat(jsonSignature+",", 1000) + jsonSignature + `]}`, malformed},
		{"JSON serialization, a bad signature before the good one", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"AAAA"},` + jsonSignature + `]}`, malformed},
		{"JSON serialization, flattened", `{"payload":"` + parts[1] + `",` + jsonSignature[1:], malformed},
		{"JSON serialization without a header", `{"payload":"` + parts[1] + `","signatures":[null,{}]}`, malformed},
		{"JWE with a password and a million rounds", josetest.Encode([]byte(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","zip":"DEF","p2c":1000000,"p2s":"AAAA"}`)) + ".AAAA.AAAA.AAAA.AAAA", malformed},
		{"JWE", good + ".AAAA.AAAA", malformed},
		{"detached payload", parts[0] + ".." + parts[2], malformed},
		{"no signature", parts[0] + "." + parts[1] + ".", malformed},

		// Header.
		{"crit", jwtToken(header(`"crit":["x"],"x":1`), nil), malformed},
		{"b64 false", jwtToken(header(`"b64":false,"crit":["b64"]`), nil), malformed},
		{"zip", jwtToken(header(`"zip":"DEF"`), nil), malformed},
		{"nested, as its header says", josetest.Sign("ES256", josetest.P256(), header(`"cty":"JWT"`), good), malformed},
		{"nested, as its header does not say", nested, "token_claims"},
		{"alg twice", jwtToken(`{"alg":"none","alg":"ES256"}`, nil), malformed},
		{"header very deep", jwtToken(header(`"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)), nil), malformed},
		{"kid of 300 bytes", jwtToken(header(`"kid":"`+strings.Repeat("k", 300)+`"`), nil), malformed},
		{"kid an object", jwtToken(header(`"kid":{"$ne":1}`), nil), malformed},
		{"b64 false without crit", jwtToken(header(`"b64":false`), nil), malformed},
		{"crit empty", jwtToken(header(`"crit":[]`), nil), malformed},
		{"crit null", jwtToken(header(`"crit":null`), nil), malformed},
		{"typ logout+jwt", jwtToken(header(`"typ":"logout+jwt"`), nil), "token_type"},
		{"typ secevent+jwt", jwtToken(header(`"typ":"secevent+jwt"`), nil), "token_type"},
		{"typ dpop+jwt", jwtToken(header(`"typ":"dpop+jwt"`), nil), "token_type"},

		// Algorithm and signature.
		{"alg none", jwtToken(`{"alg":"none"}`, nil), "token_algorithm"},
		{"alg none without a signature", josetest.Encode([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", malformed},
		{"alg nOnE", jwtToken(`{"alg":"nOnE"}`, nil), "token_algorithm"},
		{"alg missing", jwtToken(`{}`, nil), "token_algorithm"},
		{"public key as the secret", josetest.Sign("HS256", publicPEM, `{"alg":"HS256"}`, jwtPayload(nil)), "token_algorithm"},
		{"header says HS256, signature is ES256", jwtToken(`{"alg":"HS256"}`, nil), "token_algorithm"},
		{"header says RS256, signature is ES256", jwtToken(`{"alg":"RS256"}`, nil), "token_key_unknown"},
		{"wrong curve", josetest.Sign("ES384", josetest.P384(), `{"alg":"ES384"}`, jwtPayload(nil)), "token_key_unknown"},
		{"ES256 with a P-384 key", josetest.Sign("ES256", josetest.P384(), jwtHeader, jwtPayload(nil)), "token_signature"},
		{"another key", josetest.Sign("ES256", josetest.NewP256(), jwtHeader, jwtPayload(nil)), "token_signature"},
		{"its own key in jwk", josetest.Sign("ES256", josetest.P384(), header(`"jwk":`+josetest.JWK(josetest.P384())), jwtPayload(nil)), "token_signature"},
		{"jku", jwtToken(header(`"jku":"https://evil.example.com/keys"`), nil), ""}, // not looked at
		{"the other signature of the same key", otherSignature(good), ""},           // why a token's text is no key of replays
		{"signature of zeros", parts[0] + "." + parts[1] + "." + josetest.Encode(make([]byte, 64)), "token_signature"},
		{"signature cut", parts[0] + "." + parts[1] + "." + josetest.Encode(make([]byte, 63)), "token_signature"},
		{"another payload", parts[0] + "." + josetest.Encode([]byte(jwtPayload(map[string]any{"sub": "eve"}))) + "." + parts[2], "token_signature"},

		// Claims.
		{"payload no JSON", josetest.Sign("ES256", josetest.P256(), jwtHeader, "sub=ada"), "token_claims"},
		{"payload not UTF-8", josetest.Sign("ES256", josetest.P256(), jwtHeader, "{\"x\":\"\xff\"}"), "token_claims"},
		{"sub twice", payload(`"sub":"eve"`), "token_claims"},
		{"sub twice, once escaped", payload(`"\u0073ub":"eve"`), "token_claims"},
		{"exp twice", payload(`"exp":9999999999`), "token_claims"},
		{"twice further in", payload(`"x":{"admin":false,"admin":true}`), "token_claims"},
		{"name with quotes in it", payload(`"x\":0,\"sub\":\"eve\",\"z":0`), ""},

		{"iss missing", claim("iss", nil), "token_issuer"},
		{"iss null", raw("iss", "null"), "token_issuer"},
		{"iss empty", claim("iss", ""), "token_issuer"},
		{"iss another", claim("iss", "https://id.example.com.evil.example"), "token_issuer"},
		{"iss with a slash", claim("iss", jwtIssuer+"/"), "token_issuer"},
		{"iss an array", claim("iss", []string{jwtIssuer}), "token_issuer"},

		{"aud the second", claim("aud", "api"), ""},
		{"aud one of several", claim("aud", []string{"mail", "api"}), ""},
		{"aud missing", claim("aud", nil), "token_audience"},
		{"aud null", raw("aud", "null"), "token_audience"},
		{"aud none", claim("aud", []string{}), "token_audience"},
		{"aud another", claim("aud", []string{"mail", "Chat", "chatter"}), "token_audience"},
		{"aud an object", raw("aud", `{"chat":1}`), "token_audience"},

		{"sub missing", claim("sub", nil), "token_subject"},
		{"sub null", raw("sub", "null"), "token_subject"},
		{"sub empty", claim("sub", ""), "token_subject"},
		{"sub half a character", raw("sub", `"\ud800"`), "token_subject"},
		{"sub a number", claim("sub", 1), "token_subject"},

		{"exp missing", claim("exp", nil), "token_claims"},
		{"exp null", raw("exp", "null"), "token_claims"},
		{"exp 0", claim("exp", 0), "token_claims"},
		{"exp 0.5", claim("exp", 0.5), "token_claims"},
		{"exp negative", claim("exp", -1), "token_claims"},
		{"exp a string", claim("exp", "9999999999"), "token_claims"},
		{"exp in milliseconds", claim("exp", 1000*(now+60)), "token_claims"},
		{"exp huge", raw("exp", "1e999"), "token_claims"},
		{"exp past", claim("exp", now-60), "token_expired"},
		{"exp past, within the leeway", claim("exp", now-10), ""},
		{"nbf ahead", claim("nbf", now+60), "token_not_yet_valid"},
		{"nbf ahead, within the leeway", claim("nbf", now+10), ""},
		{"nbf a string", claim("nbf", "0"), "token_claims"},
		{"iat ahead", claim("iat", now+60), "token_not_yet_valid"},
		{"iat ahead, within the leeway", claim("iat", now+10), ""},
		{"jti a number", claim("jti", 1), "token_claims"},
		{"scope an array", claim("scope", []string{"a"}), "token_claims"},
	}
}

// otherSignature turns a token of P-256 into another that is as valid.
func otherSignature(token string) string {
	i := strings.LastIndexByte(token, '.')
	sig, err := base64.RawURLEncoding.DecodeString(token[i+1:])
	if err != nil {
		panic(err)
	}
	curve := josetest.P256().Curve
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	return token[:i+1] + josetest.Encode(josetest.RawECDSA(curve, r, s.Sub(curve.Params().N, s)))
}

var (
	weakRSA    = sync.OnceValue(func() *rsa.PrivateKey { return josetest.NewRSA(1024) })
	unknownKey = sync.OnceValue(josetest.NewP256)
)

// jwtSetConfig is jwtConfig with a key set, of which most cannot be used.
func jwtSetConfig(tb testing.TB) wsguard.JWTConfig {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "keys")
	set := josetest.Set(
		josetest.JWK(josetest.P256(), "kid", "a", "use", "sig", "alg", "ES256"),
		josetest.JWK(josetest.P384(), "kid", "b"),
		josetest.JWK(josetest.P521(), "kid", "c", "use", "enc"),
		josetest.JWK(josetest.Secret(), "kid", "s", "alg", "HS256"),
		josetest.JWK(weakRSA(), "kid", "w", "alg", "RS256"),
		josetest.JWK(josetest.RSA(), "kid", "p", "alg", "PS256"),
		`{"kty":"AKP","kid":"q","alg":"ML-DSA-44","pub":"AA"}`,
	)
	if err := os.WriteFile(file, []byte(set), 0o600); err != nil {
		tb.Fatal(err)
	}
	config := jwtConfig()
	config.Keys, config.KeyFile = nil, file
	return config
}

// setAttacks are on a verifier of jwtSetConfig.
func setAttacks() []jwtRow {
	sign := func(alg string, key any, header string) string {
		return josetest.Sign(alg, key, header, jwtPayload(nil))
	}
	return []jwtRow{
		{"by name", jwtToken(jwtHeader, nil), ""},
		{"another by name", sign("ES384", josetest.P384(), `{"alg":"ES384","kid":"b"}`), ""},
		{"unknown name", jwtToken(`{"alg":"ES256","kid":"z"}`, nil), "token_key_unknown"},
		{"name that is a path", jwtToken(`{"alg":"ES256","kid":"../../dev/null"}`, nil), "token_key_unknown"},
		{"name that is SQL", jwtToken(`{"alg":"ES256","kid":"a' OR '1'='1"}`, nil), "token_key_unknown"},
		{"empty name", jwtToken(`{"alg":"ES256","kid":""}`, nil), ""}, // as if there were none
		{"name of a key on another curve", jwtToken(`{"alg":"ES256","kid":"b"}`, nil), "token_algorithm"},
		{"name of another key", sign("ES384", josetest.P384(), `{"alg":"ES256","kid":"a"}`), "token_signature"},
		{"algorithm that the key is not for", sign("RS256", josetest.RSA(), `{"alg":"RS256","kid":"p"}`), "token_algorithm"},
		{"key for encryption", sign("ES512", josetest.P521(), `{"alg":"ES512","kid":"c"}`), "token_key_unknown"},
		{"secret out of the set", sign("HS256", josetest.Secret(), `{"alg":"HS256","kid":"s"}`), "token_algorithm"},
		{"weak key", sign("RS256", weakRSA(), `{"alg":"RS256","kid":"w"}`), "token_key_unknown"},
		{"key of an unknown type", jwtToken(`{"alg":"ES256","kid":"q"}`, nil), "token_key_unknown"},
		{"algorithm of an unknown type", jwtToken(`{"alg":"ML-DSA-44","kid":"q"}`, nil), "token_algorithm"},
		{"public key as the secret", sign("HS256", []byte(josetest.JWK(josetest.P256())), `{"alg":"HS256","kid":"a"}`), "token_algorithm"},
		{"jwk", sign("ES256", josetest.NewP256(), `{"alg":"ES256","kid":"a","jwk":`+josetest.JWK(josetest.NewP256())+`}`), "token_signature"},
		{"jwk without a name", sign("ES256", unknownKey(), `{"alg":"ES256","jwk":`+josetest.JWK(unknownKey())+`}`), "token_signature"},
	}
}

// R13, R15, R16, R17, R18, R19, R20, R21, R22, R24, R57, R64
func TestJWTVerify(t *testing.T) {
	rows := append(tokenAttacks(t), tokenAttack{jwtRow{"16 MB", strings.Repeat("A", 16<<20), "token_malformed"}, newJWT(t, jwtConfig())})
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			p, err := row.by.Verify(t.Context(), row.token)
			wantJWTRefusal(t, row.token, p, err, row.reason)
		})
	}
}
