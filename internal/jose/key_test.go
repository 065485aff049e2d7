package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/jose"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// R13, R18
func TestSecretKey(t *testing.T) {
	random := josetest.Secret()
	rows := []struct {
		name   string
		secret []byte
		want   []string // algorithms that it suits, nil where it is refused
	}{
		{"absent", nil, nil},
		{"one byte", []byte("x"), nil},
		{"31 bytes", random[:31], nil},
		{"32 bytes", random[:32], []string{"HS256"}},
		{"47 bytes", random[:47], []string{"HS256"}},
		{"48 bytes", random[:48], []string{"HS256", "HS384"}},
		{"64 bytes", random, []string{"HS256", "HS384", "HS512"}},
		{"zeros", make([]byte, 64), nil},
		{"a word over and over", []byte(strings.Repeat("secret", 10)), nil},
		{"hexadecimal", []byte("8f14e45fceea167a5a36dedd4bea2543"), []string{"HS256"}},
		{"PEM", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: mustDER(t, &josetest.RSA().PublicKey)}), nil},
		{"PEM after text", append([]byte("my key:\n"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: random})...), nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			key, err := jose.SecretKey(row.secret)
			if (err == nil) != (row.want != nil) {
				t.Fatalf("error %v, want one: %t", err, row.want == nil)
			}
			if got := suits(key); !slices.Equal(got, row.want) {
				t.Errorf("suits %v, want %v", got, row.want)
			}
		})
	}
}

// suits lists the algorithms that the key suits.
func suits(key jose.Key) (list []string) {
	for _, alg := range append(append([]string{"", "none"}, jose.Asymmetric...), jose.Symmetric...) {
		if key.Suits(alg) {
			list = append(list, alg)
		}
	}
	return list
}

func TestSecretKeyIsCopied(t *testing.T) {
	secret := slices.Clone(josetest.Secret())
	key := mustKey(t, secret)
	token := mustParse(t, josetest.Sign("HS256", secret, `{"alg":"HS256"}`, claims))
	clear(secret)
	if _, err := token.Verify(key); err != nil {
		t.Errorf("a wiped secret changed the key: %v", err)
	}
}

// R18
func TestPublicKey(t *testing.T) {
	modulus := func(bits int) *big.Int {
		return new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), uint(bits-1)), big.NewInt(1))
	}
	good := josetest.RSA().PublicKey
	rows := []struct {
		name string
		key  any
		want string // a part of the error, "" where the key is good
	}{
		{"RSA", &good, ""},
		{"ECDSA", &josetest.P521().PublicKey, ""},
		{"Ed25519", josetest.Ed25519().Public(), ""},
		{"RSA of 8192 bits", &rsa.PublicKey{N: modulus(8192), E: 65537}, ""},
		{"exponent 3", &rsa.PublicKey{N: good.N, E: 3}, ""},

		{"nil", nil, "no key that is supported"},
		{"text", "-----BEGIN PUBLIC KEY-----", "no key that is supported"},
		{"bytes", []byte("0123456789abcdef0123456789abcdef"), "no key that is supported"},
		{"RSA by value", good, "give an *rsa.PublicKey"},
		{"private RSA", josetest.RSA(), "private"},
		{"private ECDSA", josetest.P256(), "private"},
		{"private Ed25519", josetest.Ed25519(), "private"},
		{"no RSA key", (*rsa.PublicKey)(nil), "empty"},
		{"empty RSA key", &rsa.PublicKey{}, "empty"},
		{"RSA of 1024 bits", &rsa.PublicKey{N: modulus(1024), E: 65537}, "1024 bits"},
		{"RSA of 2047 bits", &rsa.PublicKey{N: modulus(2047), E: 65537}, "2047 bits"},
		{"RSA of 8193 bits", &rsa.PublicKey{N: modulus(8193), E: 65537}, "8193 bits"},
		{"even modulus", &rsa.PublicKey{N: new(big.Int).Sub(good.N, big.NewInt(1)), E: 65537}, "even"},
		{"exponent 0", &rsa.PublicKey{N: good.N}, "exponent"},
		{"exponent 1", &rsa.PublicKey{N: good.N, E: 1}, "exponent"},
		{"exponent 4", &rsa.PublicKey{N: good.N, E: 4}, "exponent"},
		{"exponent of 33 bits", &rsa.PublicKey{N: good.N, E: 1<<32 + 1}, "exponent"},
		{"no ECDSA key", (*ecdsa.PublicKey)(nil), "empty"},
		{"empty ECDSA key", &ecdsa.PublicKey{}, "empty"},
		{"ECDSA key without a point", &ecdsa.PublicKey{Curve: elliptic.P256()}, "empty"},
		//lint:ignore SA1019 keys put together by hand are the row
		{"point off its curve", &ecdsa.PublicKey{Curve: elliptic.P256(), X: big.NewInt(1), Y: big.NewInt(1)}, "no point"},
		//lint:ignore SA1019 keys put together by hand are the row
		{"P-224", &ecdsa.PublicKey{Curve: elliptic.P224(), X: big.NewInt(1), Y: big.NewInt(1)}, "P-256, P-384 or P-521"},
		{"short Ed25519", ed25519.PublicKey("short"), "32 bytes"},
		{"no Ed25519", ed25519.PublicKey(nil), "32 bytes"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			_, err := jose.PublicKey("", row.key)
			if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
				t.Errorf("got %v, want %q", err, row.want)
			}
		})
	}
}

// R16, R17
func TestSelect(t *testing.T) {
	named := func(kid string, private any) string { return josetest.JWK(private, "kid", kid) }
	nine := make([]string, jose.MaxCandidates+1)
	for i := range nine {
		nine[i] = named("k"+strconv.Itoa(i), josetest.P256())
	}
	rows := []struct {
		name     string
		set      []string
		kid, alg string
		found    int
		want     error
	}{
		{"by name", []string{named("a", josetest.P256()), named("b", josetest.P256())}, "b", "ES256", 1, nil},
		{"same name, other family", []string{named("a", josetest.P256()), named("a", josetest.RSA())}, "a", "RS256", 1, nil},
		{"token without a name", []string{named("a", josetest.P256()), named("b", josetest.P256()), named("c", josetest.RSA())}, "", "ES256", 2, nil},
		{"key without a name", []string{josetest.JWK(josetest.P256())}, "any", "ES256", 1, nil},
		{"a name goes before none", []string{josetest.JWK(josetest.P256()), named("a", josetest.P256())}, "a", "ES256", 1, nil},
		{"names differ by case", []string{named("a", josetest.P256())}, "A", "ES256", 0, jose.ErrKeyUnknown},
		{"empty set", nil, "a", "ES256", 0, jose.ErrKeyUnknown},
		{"unknown name", []string{named("a", josetest.P256())}, "../../etc/passwd", "ES256", 0, jose.ErrKeyUnknown},
		{"no name and nothing suits", []string{named("a", josetest.P256())}, "", "RS256", 0, jose.ErrKeyUnknown},
		{"named key of another family", []string{named("a", josetest.P256()), josetest.JWK(josetest.RSA())}, "a", "RS256", 0, jose.ErrAlgorithm},
		{"named key for another algorithm", []string{josetest.JWK(josetest.RSA(), "kid", "a", "alg", "RS256")}, "a", "PS256", 0, jose.ErrAlgorithm},
		{"wrong curve", []string{named("a", josetest.P384())}, "a", "ES256", 0, jose.ErrAlgorithm},
		{"as many as are tried", nine[1:], "", "ES256", jose.MaxCandidates, nil},
		{"more than are tried", nine, "", "ES256", 0, jose.ErrKeyUnknown},
		{"one of many", nine, "k3", "ES256", 1, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			set, skipped, err := jose.ParseJWKS([]byte(josetest.Set(row.set...)))
			if err != nil || skipped > 0 {
				t.Fatalf("%d skipped, %v", skipped, err)
			}
			found, err := jose.Select(set, row.kid, row.alg)
			if len(found) != row.found || !errors.Is(err, row.want) {
				t.Errorf("%d keys, %v, want %d, %v", len(found), err, row.found, row.want)
			}
		})
	}
}

// jwksRows are key sets, with the number of keys that are used and skipped.
func jwksRows() []struct {
	name, set     string
	used, skipped int
	bad           bool
} {
	ec := josetest.JWK(josetest.P256(), "kid", "a")
	with := func(members ...string) string { return josetest.Set(josetest.JWK(josetest.P256(), members...)) }
	raw := func(members string) string { return josetest.Set(strings.Replace(ec, "{", "{"+members+",", 1)) }
	rsaWith := func(members ...string) string { return josetest.Set(josetest.JWK(josetest.RSA(), members...)) }
	return []struct {
		name, set     string
		used, skipped int
		bad           bool
	}{
		{"one key", josetest.Set(ec), 1, 0, false},
		{"every family", josetest.Set(ec, josetest.JWK(josetest.P384()), josetest.JWK(josetest.P521()), josetest.JWK(josetest.RSA()), josetest.JWK(josetest.Ed25519())), 5, 0, false},
		{"bare key", ec, 1, 0, false},
		{"no keys", `{"keys":[]}`, 0, 0, false},
		{"other members", `{"issuer":"x","keys":[` + ec + `],"Keys":[]}`, 1, 0, false},
		{"256 keys", josetest.Set(slices.Repeat([]string{ec}, 256)...), 256, 0, false},
		{"unknown type among others", josetest.Set(`{"kty":"AKP","alg":"ML-DSA-44","pub":"AA"}`, ec), 1, 1, false},
		{"no objects among others", josetest.Set(`null`, `1`, `"x"`, `[]`, `{}`, ec), 1, 5, false},

		{"use sig", with("use", "sig"), 1, 0, false},
		{"use enc", with("use", "enc"), 0, 1, false},
		{"use unknown", with("use", "any"), 0, 1, false},
		{"use no string", raw(`"use":["sig"]`), 0, 1, false},
		{"key_ops verify", raw(`"key_ops":["sign","verify"]`), 1, 0, false},
		{"key_ops sign", raw(`"key_ops":["sign"]`), 0, 1, false},
		{"key_ops empty", raw(`"key_ops":[]`), 0, 1, false},
		{"key_ops no array", raw(`"key_ops":"verify"`), 0, 1, false},
		{"key_ops no strings", raw(`"key_ops":[1]`), 0, 1, false},
		{"alg fits", with("alg", "ES256"), 1, 0, false},
		{"alg of another curve", with("alg", "ES384"), 0, 1, false},
		{"alg of another family", with("alg", "HS256"), 0, 1, false},
		{"alg none", with("alg", "none"), 0, 1, false},
		{"alg of encryption", rsaWith("alg", "RSA-OAEP-256"), 0, 1, false},
		{"kid no string", raw(`"kty":"EC","kid":7`), 0, 1, false},
		{"kid of 257 bytes", with("kid", strings.Repeat("k", 257)), 0, 1, false},
		{"kty twice", raw(`"kty":"RSA"`), 0, 1, false},

		{"symmetric", josetest.Set(josetest.JWK(josetest.Secret(), "alg", "HS256")), 0, 1, false},
		{"private EC", with("d", "AAAA"), 0, 1, false},
		{"private RSA", rsaWith("p", "AAAA"), 0, 1, false},
		{"private member null", raw(`"d":null`), 0, 1, false},
		{"RSA of 1024 bits", rsaWith("n", josetest.Encode(slices.Repeat([]byte{0xff}, 128))), 0, 1, false},
		{"RSA of 8200 bits", rsaWith("n", josetest.Encode(slices.Repeat([]byte{0xff}, 1025))), 0, 1, false},
		{"RSA without n", rsaWith("n", ""), 0, 1, false},
		{"RSA without e", rsaWith("e", ""), 0, 1, false},
		{"RSA exponent 1", rsaWith("e", "AQ"), 0, 1, false},
		{"RSA exponent that wraps to 65537", rsaWith("e", josetest.Encode([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})), 0, 1, false},
		{"RSA exponent padded", rsaWith("e", "AQAB===="), 0, 1, false},
		{"off the curve", with("x", josetest.Encode(slices.Repeat([]byte{1}, 32))), 0, 1, false},
		{"short coordinate", with("x", "AAAA"), 0, 1, false},
		{"no coordinate", with("y", ""), 0, 1, false},
		{"curve of another key", with("crv", "P-384"), 0, 1, false},
		{"curve secp256k1", with("crv", "secp256k1"), 0, 1, false},
		{"X25519", josetest.Set(josetest.JWK(josetest.Ed25519(), "crv", "X25519")), 0, 1, false},
		{"short Ed25519", josetest.Set(josetest.JWK(josetest.Ed25519(), "x", "AAAA")), 0, 1, false},
		{"nested too deeply", raw(`"x5c":[[[[[]]]]]`), 0, 1, false},

		{"absent", ``, 0, 0, true},
		{"cut off", `{"keys":[`, 0, 0, true},
		{"null", `null`, 0, 0, true},
		{"array", `[]`, 0, 0, true},
		{"HTML", `<!DOCTYPE html>`, 0, 0, true},
		{"empty object", `{}`, 0, 0, true},
		{"Keys", `{"Keys":[]}`, 0, 0, true},
		{"keys null", `{"keys":null}`, 0, 0, true},
		{"keys an object", `{"keys":{}}`, 0, 0, true},
		{"PEM", "-----BEGIN PUBLIC KEY-----", 0, 0, true},
		{"257 keys", josetest.Set(slices.Repeat([]string{ec}, 257)...), 0, 0, true},
		{"257 keys of no use", josetest.Set(slices.Repeat([]string{"{}"}, 257)...), 0, 0, true},
	}
}

// R16, R17, R18
func TestParseJWKS(t *testing.T) {
	for _, row := range jwksRows() {
		t.Run(row.name, func(t *testing.T) {
			keys, skipped, err := jose.ParseJWKS([]byte(row.set))
			if len(keys) != row.used || skipped != row.skipped || (err != nil) != row.bad {
				t.Errorf("%d used, %d skipped, %v", len(keys), skipped, err)
			}
		})
	}
}

// A key out of a set verifies what its private half signs, and its alg narrows
// what it suits.
func TestParseJWKSVerifies(t *testing.T) {
	for alg, private := range privates() {
		if alg[:2] == "HS" {
			continue
		}
		keys, _, err := jose.ParseJWKS([]byte(josetest.JWK(private, "alg", alg)))
		if err != nil || len(keys) != 1 {
			t.Fatalf("%s: %d keys, %v", alg, len(keys), err)
		}
		token := mustParse(t, josetest.Sign(alg, private, `{"alg":"`+alg+`"}`, claims))
		if _, err := token.Verify(keys[0]); err != nil {
			t.Errorf("%s: %v", alg, err)
		}
		if got := suits(keys[0]); !slices.Equal(got, []string{alg}) {
			t.Errorf("%s: suits %v", alg, got)
		}
	}
}

// FuzzJWKS holds that no key set makes a panic, a secret, or more keys than are
// bounded.
func FuzzJWKS(f *testing.F) {
	for _, row := range jwksRows() {
		if len(row.set) < 4<<10 {
			f.Add([]byte(row.set))
		}
	}
	token, err := jose.Parse(josetest.Sign("ES256", josetest.NewP256(), es256, claims))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, skipped, err := jose.ParseJWKS(data)
		if err != nil && len(keys)+skipped > 0 || len(keys)+skipped > 256 {
			t.Fatalf("%d used, %d skipped, %v", len(keys), skipped, err)
		}
		for _, key := range keys {
			algs := suits(key)
			if len(algs) == 0 || slices.ContainsFunc(algs, func(alg string) bool { return alg[:2] == "HS" }) {
				t.Fatalf("a key suits %v", algs)
			}
			if _, err := token.Verify(key); err == nil {
				t.Fatal("verified what this key did not sign")
			}
		}
	})
}

// pemRows are PEM files, with the number of keys, or a part of the error.
func pemRows(tb testing.TB) []struct {
	name, file string
	keys       int
	want       string
} {
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	ec := block("PUBLIC KEY", mustDER(tb, &josetest.P256().PublicKey))
	pkcs8, err := x509.MarshalPKCS8PrivateKey(josetest.P256())
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(nil, template, template, josetest.Ed25519().Public(), josetest.Ed25519())
	if err != nil {
		tb.Fatal(err)
	}
	small, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537})
	if err != nil {
		tb.Fatal(err)
	}
	return []struct {
		name, file string
		keys       int
		want       string
	}{
		{"PUBLIC KEY", ec, 1, ""},
		{"RSA PUBLIC KEY", block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&josetest.RSA().PublicKey)), 1, ""},
		{"CERTIFICATE", block("CERTIFICATE", certificate), 1, ""},
		{"two keys with text between", "first\n" + ec + "second\n" + ec + "end\n", 2, ""},
		{"256 keys", strings.Repeat(ec, 256), 256, ""},

		{"absent", "", 0, "no PEM block"},
		{"text", "hello", 0, "no PEM block"},
		{"PRIVATE KEY", block("PRIVATE KEY", pkcs8), 0, "give the public one"},
		{"EC PRIVATE KEY", block("EC PRIVATE KEY", pkcs8), 0, "give the public one"},
		{"ENCRYPTED PRIVATE KEY", block("ENCRYPTED PRIVATE KEY", pkcs8), 0, "give the public one"},
		{"private key after a public one", ec + block("RSA PRIVATE KEY", pkcs8), 0, "give the public one"},
		{"EC PARAMETERS", block("EC PARAMETERS", []byte{6}), 0, "another type"},
		{"damaged DER", block("PUBLIC KEY", []byte("x")), 0, "cannot be read"},
		{"damaged PKCS 1", block("RSA PUBLIC KEY", []byte("x")), 0, "cannot be read"},
		{"damaged certificate", block("CERTIFICATE", []byte("x")), 0, "cannot be read"},
		{"cut off", ec[:40], 0, "damaged"},
		{"second block cut off", ec + ec[:40], 0, "damaged"},
		{"weak RSA", block("PUBLIC KEY", small), 0, "1024 bits"},
		{"257 keys", strings.Repeat(ec, 257), 0, "more than 256"},
	}
}

// R17, R18
func TestParsePEM(t *testing.T) {
	for _, row := range pemRows(t) {
		t.Run(row.name, func(t *testing.T) {
			keys, err := jose.ParsePEM([]byte(row.file))
			if len(keys) != row.keys || (err != nil) != (row.want != "") {
				t.Fatalf("%d keys, %v", len(keys), err)
			}
			if err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %q lacks %q", err, row.want)
			}
		})
	}
}

func FuzzParsePEM(f *testing.F) {
	for _, row := range pemRows(f) {
		if len(row.file) < 4<<10 {
			f.Add([]byte(row.file))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := jose.ParsePEM(data)
		if (err == nil) != (len(keys) > 0) {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
	})
}
