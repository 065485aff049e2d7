package jose_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"reflect"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

const (
	es256  = `{"alg":"ES256"}`
	claims = `{"sub":"ada"}`
)

// tokenRows are tokens that Parse judges without a key. Each is signed well, so
// that nothing but its form can be why it is refused.
func tokenRows() []struct {
	name, token string
	want        error
} {
	sign := func(header string) string {
		return josetest.Sign("ES256", josetest.P256(), header, claims)
	}
	good := sign(es256)
	parts := strings.Split(good, ".")
	with := func(i int, part string) string {
		p := append([]string(nil), parts...)
		p[i] = part
		return strings.Join(p, ".")
	}
	// A 64-byte signature leaves four unused bits in its last character.
	last := strings.IndexByte(alphabet, good[len(good)-1])
	nonCanonical := good[:len(good)-1] + string(alphabet[last|1])
	std := josetest.Encode([]byte{0xfb, 0xff, 0xfe})
	deep := func(n int) string {
		return sign(`{"alg":"ES256","x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	return []struct {
		name, token string
		want        error
	}{
		{"good", good, nil},
		{"kid and typ", sign(`{"alg":"ES256","kid":"k1","typ":"JWT"}`), nil},
		{"empty kid", sign(`{"alg":"ES256","kid":""}`), nil},
		{"kid of 256 bytes", sign(`{"alg":"ES256","kid":"` + strings.Repeat("k", 256) + `"}`), nil},
		{"jku, jwk, x5u", sign(`{"alg":"ES256","jku":"https://evil.example","x5u":"https://evil.example","jwk":{"kty":"oct","k":"AA"}}`), nil},
		{"nested to the bound", deep(3), nil},

		{"absent", "", jose.ErrMalformed},
		{"no dots", "abcd", jose.ErrMalformed},
		{"one dot", parts[0] + "." + parts[1], jose.ErrMalformed},
		{"three dots", good + ".", jose.ErrMalformed},
		{"four parts", good + ".AAAA", jose.ErrMalformed},
		{"JWE with five parts", good + ".AAAA.AAAA", jose.ErrMalformed},
		{"empty header", with(0, ""), jose.ErrMalformed},
		{"empty payload", with(1, ""), jose.ErrMalformed},
		{"empty signature", with(2, ""), jose.ErrMalformed},
		{"JSON serialization", `{"payload":"` + parts[1] + `","signatures":[{"protected":"` + parts[0] + `","signature":"` + parts[2] + `"}]}`, jose.ErrMalformed},
		{"flattened JSON serialization", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, jose.ErrMalformed},
		{"space before", " " + good, jose.ErrMalformed},
		{"space after", good + " ", jose.ErrMalformed},
		{"line break in the signature", good[:len(good)-5] + "\n" + good[len(good)-5:], jose.ErrMalformed},
		{"carriage return at the end", good + "\r", jose.ErrMalformed},
		{"padding", good + "==", jose.ErrMalformed},
		{"standard alphabet", with(2, strings.NewReplacer("-", "+", "_", "/").Replace(std)), jose.ErrMalformed},
		{"trailing bits", nonCanonical, jose.ErrMalformed},
		{"length that no bytes have", with(2, "AAAAA"), jose.ErrMalformed},
		{"NUL", good + "\x00", jose.ErrMalformed},
		{"not ASCII", good + "é", jose.ErrMalformed},
		{"16 MB", good + strings.Repeat("A", 16<<20), jose.ErrMalformed},
		{"16 MB of dots", strings.Repeat(".", 16<<20), jose.ErrMalformed},
		{"one character too long", strings.Repeat("A", jose.MaxTokenSize+1), jose.ErrMalformed},

		{"header no JSON", sign(`alg`), jose.ErrMalformed},
		{"header cut off", sign(`{"alg":"ES256"`), jose.ErrMalformed},
		{"header with more after it", sign(es256 + es256), jose.ErrMalformed},
		{"header an array", sign(`["ES256"]`), jose.ErrMalformed},
		{"header null", sign(`null`), jose.ErrMalformed},
		{"header not UTF-8", sign("{\"alg\":\"ES256\",\"x\":\"\xff\"}"), jose.ErrMalformed},
		{"header longer than 4 KiB", sign(`{"alg":"ES256","x":"` + strings.Repeat("x", 4<<10) + `"}`), jose.ErrMalformed},
		{"header too deep", deep(4), jose.ErrMalformed},
		{"header very deep", deep(2000), jose.ErrMalformed},
		{"alg twice", sign(`{"alg":"ES256","alg":"ES256"}`), jose.ErrMalformed},
		{"alg twice, once escaped", sign(`{"alg":"ES256","\u0061lg":"none"}`), jose.ErrMalformed},
		{"member twice further in", sign(`{"alg":"ES256","x":{"a":1,"a":1}}`), jose.ErrMalformed},
		{"crit", sign(`{"alg":"ES256","crit":["exp"],"exp":1}`), jose.ErrMalformed},
		{"crit null", sign(`{"alg":"ES256","crit":null}`), jose.ErrMalformed},
		{"b64 false", sign(`{"alg":"ES256","b64":false}`), jose.ErrMalformed},
		{"b64 true", sign(`{"alg":"ES256","b64":true}`), jose.ErrMalformed},
		{"zip", sign(`{"alg":"ES256","zip":"DEF"}`), jose.ErrMalformed},
		{"cty", sign(`{"alg":"ES256","cty":"JWT"}`), jose.ErrMalformed},
		{"alg a number", sign(`{"alg":256}`), jose.ErrMalformed},
		{"alg null", sign(`{"alg":null}`), jose.ErrMalformed},
		{"kid a number", sign(`{"alg":"ES256","kid":1}`), jose.ErrMalformed},
		{"kid of 257 bytes", sign(`{"alg":"ES256","kid":"` + strings.Repeat("k", 257) + `"}`), jose.ErrMalformed},
		{"typ an array", sign(`{"alg":"ES256","typ":["JWT"]}`), jose.ErrMalformed},

		{"alg missing", sign(`{}`), jose.ErrAlgorithm},
		{"alg in other case", sign(`{"ALG":"ES256"}`), jose.ErrAlgorithm},
		{"alg empty", sign(`{"alg":""}`), jose.ErrAlgorithm},
		{"alg none", sign(`{"alg":"none"}`), jose.ErrAlgorithm},
		{"alg None", sign(`{"alg":"None"}`), jose.ErrAlgorithm},
		{"alg unknown", sign(`{"alg":"ES256K"}`), jose.ErrAlgorithm},
		{"alg of encryption", sign(`{"alg":"RSA-OAEP","enc":"A128GCM"}`), jose.ErrAlgorithm},
	}
}

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// R15, R16, R17, R24
func TestParse(t *testing.T) {
	for _, row := range tokenRows() {
		t.Run(row.name, func(t *testing.T) {
			token, err := jose.Parse(row.token)
			if !errors.Is(err, row.want) {
				t.Fatalf("Parse: %v, want %v", err, row.want)
			}
			if err != nil && !reflect.DeepEqual(token, jose.Token{}) {
				t.Errorf("Parse returned a token with its error")
			}
		})
	}
}

// Parse and the base64 decoder of the standard library must agree that the
// table's odd spellings would otherwise be read.
func TestOddSpellingsDecode(t *testing.T) {
	for _, row := range tokenRows() {
		if row.name != "trailing bits" && row.name != "line break in the signature" {
			continue
		}
		signature := row.token[strings.LastIndexByte(row.token, '.')+1:]
		if _, err := base64.RawURLEncoding.DecodeString(signature); err != nil {
			t.Errorf("%s: the row shows nothing: %v", row.name, err)
		}
	}
}

func TestParseFields(t *testing.T) {
	token, err := jose.Parse(josetest.Sign("ES256", josetest.P256(), `{"alg":"ES256","kid":"k1","typ":"Application/AT+jwt"}`, claims))
	if err != nil {
		t.Fatal(err)
	}
	if token.Alg != "ES256" || token.Kid != "k1" || token.Typ != "at+jwt" {
		t.Errorf("got alg %q, kid %q, typ %q", token.Alg, token.Kid, token.Typ)
	}
}

// privates are the signing keys by the algorithms that they suit.
func privates() map[string]any {
	m := map[string]any{
		"ES256": josetest.P256(), "ES384": josetest.P384(), "ES512": josetest.P521(), "EdDSA": josetest.Ed25519(),
	}
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		m[alg] = josetest.RSA()
	}
	for _, alg := range jose.Symmetric {
		m[alg] = josetest.Secret()
	}
	return m
}

// family is the name of the kind of key that alg takes.
func family(alg string) string {
	if alg[:2] == "RS" || alg[:2] == "PS" {
		return "RSA"
	}
	if alg[:2] == "HS" {
		return "HS"
	}
	return alg
}

// Every algorithm verifies with its own kind of key and with no other.
//
// R15, R16
func TestVerifyMatrix(t *testing.T) {
	for _, alg := range append(jose.Asymmetric, jose.Symmetric...) {
		token := mustParse(t, josetest.Sign(alg, privates()[alg], `{"alg":"`+alg+`"}`, claims))
		for other, private := range privates() {
			payload, err := token.Verify(mustKey(t, private))
			if family(alg) == family(other) {
				if err != nil || string(payload) != claims {
					t.Errorf("%s with its key: payload %q, %v", alg, payload, err)
				}
			} else if !errors.Is(err, jose.ErrAlgorithm) || payload != nil {
				t.Errorf("%s with the key of %s: payload %q, %v", alg, other, payload, err)
			}
		}
	}
}

// R15
func TestVerifyRefuses(t *testing.T) {
	good := josetest.Sign("ES256", josetest.P256(), es256, claims)
	parts := strings.Split(good, ".")
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustDER(t, &josetest.RSA().PublicKey)})
	key := mustKey(t, josetest.P256())
	rows := []struct {
		name, token string
		key         jose.Key
		want        error
	}{
		{"another key of the kind", good, mustKey(t, josetest.NewP256()), jose.ErrSignature},
		{"another payload", parts[0] + "." + josetest.Encode([]byte(`{"sub":"eve"}`)) + "." + parts[2], key, jose.ErrSignature},
		{"another header", josetest.Encode([]byte(`{"alg":"ES256","typ":"JWT"}`)) + "." + parts[1] + "." + parts[2], key, jose.ErrSignature},
		{"signature of zeros", parts[0] + "." + parts[1] + "." + josetest.Encode(make([]byte, 64)), key, jose.ErrSignature},
		{"signature too short", parts[0] + "." + parts[1] + "." + josetest.Encode(make([]byte, 63)), key, jose.ErrSignature},
		{"signature too long", parts[0] + "." + parts[1] + "." + josetest.Encode(make([]byte, 96)), key, jose.ErrSignature},
		{"header says another algorithm of the key", josetest.Sign("RS256", josetest.RSA(), `{"alg":"PS256"}`, claims), mustKey(t, josetest.RSA()), jose.ErrSignature},
		{"public key as the secret", josetest.Sign("HS256", publicPEM, `{"alg":"HS256"}`, claims), mustKey(t, josetest.RSA()), jose.ErrAlgorithm},
		{"zero key", good, jose.Key{}, jose.ErrAlgorithm},
		{"embedded jwk that is no key", josetest.Sign("ES256", josetest.NewP256(), `{"alg":"ES256","jwk":{"kty":"oct"}}`, claims), key, jose.ErrSignature},
		{"embedded jwk of the signer", josetest.Sign("RS256", josetest.NewRSA(2048), `{"alg":"RS256","jwk":`+josetest.JWK(josetest.RSA())+`}`, claims), mustKey(t, josetest.RSA()), jose.ErrSignature},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			payload, err := mustParse(t, row.token).Verify(row.key)
			if !errors.Is(err, row.want) || payload != nil {
				t.Errorf("payload %q, %v, want %v", payload, err, row.want)
			}
		})
	}
	if _, err := (jose.Token{}).Verify(key); !errors.Is(err, jose.ErrAlgorithm) {
		t.Errorf("zero token: %v", err)
	}
}

// TestMalleability shows what Parse documents: the twin of an ECDSA signature is
// valid too, so that the text of a token is no name for it.
func TestMalleability(t *testing.T) {
	input := josetest.Encode([]byte(es256)) + "." + josetest.Encode([]byte(claims))
	sig := josetest.Signature("ES256", josetest.P256(), input)
	n := elliptic.P256().Params().N
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	twin := josetest.RawECDSA(elliptic.P256(), r, s.Sub(n, s))
	a, b := input+"."+josetest.Encode(sig), input+"."+josetest.Encode(twin)
	for _, token := range []string{a, b} {
		if _, err := mustParse(t, token).Verify(mustKey(t, josetest.P256())); err != nil {
			t.Error(err)
		}
	}
	if jose.Fingerprint(a) == jose.Fingerprint(b) {
		t.Error("the fingerprint is not of the text")
	}
}

// R55
func TestFingerprint(t *testing.T) {
	if got := jose.Fingerprint("abc"); got != "ba7816bf" {
		t.Errorf("got %s", got)
	}
}

// FuzzParse holds that what is accepted has one spelling, that no input makes a
// panic in any of the parsers behind it, and that nothing unsigned verifies.
func FuzzParse(f *testing.F) {
	for _, row := range tokenRows() {
		if len(row.token) <= jose.MaxTokenSize {
			f.Add(row.token)
			header, _, _ := strings.Cut(row.token, ".")
			decoded, _ := base64.RawURLEncoding.DecodeString(header)
			f.Add(string(decoded))
		}
	}
	key, err := jose.PublicKey("", &josetest.NewP256().PublicKey)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		// The text is tried as a token and as the header of one.
		for _, text := range []string{s, josetest.Encode([]byte(s)) + ".e30." + josetest.Encode(make([]byte, 64))} {
			token, err := jose.Parse(text)
			if err != nil {
				if !errors.Is(err, jose.ErrMalformed) && !errors.Is(err, jose.ErrAlgorithm) {
					t.Fatalf("untyped error: %v", err)
				}
				continue
			}
			for part := range strings.SplitSeq(text, ".") {
				decoded, err := base64.RawURLEncoding.DecodeString(part)
				if err != nil || josetest.Encode(decoded) != part {
					t.Fatalf("accepted a second spelling: %q", part)
				}
			}
			if _, err := token.Verify(key); err == nil {
				t.Fatal("verified what nobody signed")
			}
		}
	})
}

func mustParse(tb testing.TB, text string) jose.Token {
	tb.Helper()
	token, err := jose.Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	return token
}

// mustKey returns the key that verifies what private signs.
func mustKey(tb testing.TB, private any) jose.Key {
	tb.Helper()
	var key jose.Key
	var err error
	switch private := private.(type) {
	case []byte:
		key, err = jose.SecretKey(private)
	case crypto.Signer:
		key, err = jose.PublicKey("", private.Public())
	}
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func mustDER(tb testing.TB, public any) []byte {
	tb.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return der
}
