package wsguard_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/internal/jose/josetest"
)

// R16, R17, R18, R21, R22
func TestNewJWT(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	block := func(kind string, der []byte, err error) string {
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	der, err := x509.MarshalPKIXPublicKey(&josetest.P256().PublicKey)
	publicPEM := block("PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(josetest.P256())
	privatePEM := block("PRIVATE KEY", der, err)
	set := josetest.Set(josetest.JWK(josetest.P256(), "kid", "a"), josetest.JWK(josetest.Secret()))
	good := &josetest.P256().PublicKey
	nine := make([]crypto.PublicKey, 9)
	for i := range nine {
		nine[i] = good
	}
	type config = wsguard.JWTConfig
	keyless := func(change func(*config)) func(*config) {
		return func(c *config) { c.Keys = nil; change(c) }
	}
	rows := []struct {
		name   string
		change func(*config)
		want   []string // parts of the error, one for each problem; none where the configuration is good
	}{
		{"keys", func(*config) {}, nil},
		{"JWKS", keyless(func(c *config) { c.JWKS = "https://id.example.com/keys" }), nil},
		{"PEM file", keyless(func(c *config) { c.KeyFile = file("good.pem", publicPEM) }), nil},
		{"JWK set file", keyless(func(c *config) { c.KeyFile = file("good.json", " \n"+set) }), nil},
		{"secret", keyless(func(c *config) { c.Secret = josetest.Secret() }), nil},
		{"secret with algorithms", keyless(func(c *config) { c.Secret, c.Algorithms = josetest.Secret(), []string{"HS256", "HS512"} }), nil},
		{"types", func(c *config) { c.Types = []string{""} }, nil},
		{"eight keys", func(c *config) { c.Keys = nine[1:] }, nil},
		{"largest leeway", func(c *config) { c.Leeway = 5 * time.Minute }, nil},

		{"zero", func(c *config) { *c = config{} }, []string{
			"JWTConfig.Issuer: is empty: write", "JWTConfig.Audience: is empty", "JWTConfig.JWKS: 0 sources of keys are set: set exactly one",
		}},
		{"everything", func(c *config) {
			*c = config{
				Audience: []string{""}, JWKS: "http://id.example.com", Algorithms: []string{"none", "HS256"},
				Types: []string{}, Leeway: time.Hour, MaxLifetime: -1,
			}
		}, []string{
			"JWTConfig.Issuer: ", "JWTConfig.Audience: ", "JWTConfig.JWKS: the URL must begin with https://",
			`JWTConfig.Algorithms: "none" `, `JWTConfig.Algorithms: "HS256" `, "JWTConfig.Types: allows nothing",
			"JWTConfig.Leeway: is 1h0m0s: write a time up to 5m0s", "JWTConfig.MaxLifetime: is -1ns",
		}},
		{"empty audience", func(c *config) { c.Audience = []string{"chat", ""} }, []string{"JWTConfig.Audience: "}},
		{"two sources", func(c *config) { c.Secret = josetest.Secret() }, []string{"JWTConfig.JWKS: 2 sources"}},
		{"URL no URL", keyless(func(c *config) { c.JWKS = "id.example.com" }), []string{"JWTConfig.JWKS: the URL cannot be read: write https://"}},
		{"empty key set", keyless(func(c *config) { c.KeySet = new(wsguard.KeySet) }), []string{"JWTConfig.KeySet: is empty: write what NewJWKS returned"}},
		{"no keys", func(c *config) { c.Keys = []crypto.PublicKey{} }, []string{"JWTConfig.Keys: has no key"}},
		{"nine keys", func(c *config) { c.Keys = nine }, []string{"JWTConfig.Keys: has 9 keys"}},
		{"several bad keys", func(c *config) { c.Keys = []crypto.PublicKey{good, josetest.P256(), nil} }, []string{
			"JWTConfig.Keys: key 1: this is a private key: give the public one", "JWTConfig.Keys: key 2: ",
		}},
		{"PEM in place of a key", func(c *config) { c.Keys = []crypto.PublicKey{publicPEM} }, []string{"JWTConfig.Keys: key 0: a string is no key"}},
		{"weak key", func(c *config) {
			c.Keys = []crypto.PublicKey{&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), 1023), E: 65537}}
		}, []string{"JWTConfig.Keys: key 0: an RSA key of 1024 bits"}},
		{"empty key", func(c *config) { c.Keys = []crypto.PublicKey{&ecdsa.PublicKey{}} }, []string{"JWTConfig.Keys: key 0: "}},
		{"no file", keyless(func(c *config) { c.KeyFile = filepath.Join(dir, "none") }), []string{"JWTConfig.KeyFile: open "}},
		{"empty file", keyless(func(c *config) { c.KeyFile = file("empty", "") }), []string{"JWTConfig.KeyFile: no PEM block"}},
		{"private file", keyless(func(c *config) { c.KeyFile = file("private.pem", privatePEM) }), []string{"JWTConfig.KeyFile: this is a private key"}},
		{"file of nine keys", keyless(func(c *config) { c.KeyFile = file("nine.pem", strings.Repeat(publicPEM, 9)) }), []string{"JWTConfig.KeyFile: has 9 keys"}},
		{"JWK set without a usable key", keyless(func(c *config) { c.KeyFile = file("secret.json", josetest.Set(josetest.JWK(josetest.Secret()))) }), []string{"JWTConfig.KeyFile: has no key that can be used"}},
		{"damaged JWK set", keyless(func(c *config) { c.KeyFile = file("bad.json", "{") }), []string{"JWTConfig.KeyFile: no JWK set"}},
		{"empty secret", keyless(func(c *config) { c.Secret = []byte("") }), []string{"JWTConfig.Secret: 0 bytes are too few"}},
		{"password", keyless(func(c *config) { c.Secret = []byte("correct horse") }), []string{"JWTConfig.Secret: 13 bytes are too few"}},
		{"PEM as the secret", keyless(func(c *config) { c.Secret = []byte(publicPEM) }), []string{"JWTConfig.Secret: this is PEM"}},
		{"symmetric algorithm of a public key", func(c *config) { c.Algorithms = []string{"ES256", "HS256"} }, []string{`JWTConfig.Algorithms: "HS256" does not go with this source`}},
		{"asymmetric algorithm of a secret", keyless(func(c *config) { c.Secret, c.Algorithms = josetest.Secret(), []string{"RS256"} }), []string{`JWTConfig.Algorithms: "RS256" does not go with this source of keys: write some of HS256`}},
		{"unknown algorithm", func(c *config) { c.Algorithms = []string{"es256"} }, []string{`JWTConfig.Algorithms: "es256"`}},
		{"no algorithms", func(c *config) { c.Algorithms = []string{} }, []string{"JWTConfig.Algorithms: allows nothing"}},
		{"algorithm of no key", func(c *config) { c.Algorithms = []string{"ES256", "RS256"} }, []string{"JWTConfig.Algorithms: no key is for RS256"}},
		{"secret too short for its algorithm", keyless(func(c *config) { c.Secret, c.Algorithms = josetest.Secret()[:32], []string{"HS512"} }), []string{"JWTConfig.Algorithms: no key is for HS512, by its kind or its size"}},
		{"negative leeway", func(c *config) { c.Leeway = -1 }, []string{"JWTConfig.Leeway: "}},
		{"leeway too large", func(c *config) { c.Leeway = 5*time.Minute + 1 }, []string{"JWTConfig.Leeway: "}},
		{"lifetime without expiry", func(c *config) { c.MaxLifetime, c.InsecureAllowNoExpiry = time.Hour, true }, []string{"JWTConfig.MaxLifetime: bounds nothing"}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			c := jwtConfig()
			row.change(&c)
			verifier, err := wsguard.NewJWT(c)
			if (verifier == nil) != (err != nil) {
				t.Fatalf("got %v, %v", verifier, err)
			}
			wantJWTProblems(t, err, row.want)
		})
	}
}

// wantJWTProblems fails the test unless err joins one problem for each part.
func wantJWTProblems(t *testing.T, err error, want []string) {
	t.Helper()
	if len(want) == 0 {
		if err != nil {
			t.Errorf("got %v", err)
		}
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || len(joined.Unwrap()) != len(want) {
		t.Fatalf("want %d problems, got %v", len(want), err)
	}
	for i, problem := range joined.Unwrap() {
		if !strings.HasPrefix(problem.Error(), "wsguard: "+want[i]) {
			t.Errorf("got  %v\nwant wsguard: %s…", problem, want[i])
		}
	}
}

// The key file decides what verifies, whatever its form.
func TestJWTKeyFile(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(&josetest.P256().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		josetest.Set(josetest.JWK(josetest.P256(), "kid", "a")),
	} {
		name := filepath.Join(t.TempDir(), "keys")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		config := jwtConfig()
		config.Keys, config.KeyFile = nil, name
		verifier := newJWT(t, config)
		for token, reason := range map[string]string{
			jwtToken(jwtHeader, nil): "",
			josetest.Sign("ES256", josetest.NewP256(), jwtHeader, jwtPayload(nil)): "token_signature",
		} {
			p, err := verifier.Verify(t.Context(), token)
			wantJWTRefusal(t, token, p, err, reason)
		}
	}
}

func ExampleNewJWT() {
	verifier, err := wsguard.NewJWT(wsguard.JWTConfig{
		Issuer:   "https://id.example.com",
		Audience: []string{"chat"},
		JWKS:     "https://id.example.com/.well-known/jwks.json",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = verifier.Verify(context.Background(), "not-a-token")
	var refusal *wsguard.Refusal
	if errors.As(err, &refusal) {
		fmt.Println(refusal.Status, refusal.Reason)
	}
	// Output: 401 token_malformed
}

// Every mistake is reported at once, with what to write instead.
func ExampleNewJWT_mistakes() {
	_, err := wsguard.NewJWT(wsguard.JWTConfig{
		Issuer:     "https://id.example.com",
		JWKS:       "http://id.example.com/keys",
		Algorithms: []string{"none"},
		Leeway:     time.Hour,
	})
	fmt.Println(err)
	// Output:
	// wsguard: JWTConfig.Audience: is empty or has an empty one: write the name of this service in aud, such as []string{"chat"}
	// wsguard: JWTConfig.JWKS: the URL must begin with https://; http:// is for loopback addresses alone
	// wsguard: JWTConfig.Algorithms: "none" does not go with this source of keys: write some of ES256, ES384, ES512, EdDSA, RS256, RS384, RS512, PS256, PS384, PS512
	// wsguard: JWTConfig.Leeway: is 1h0m0s: write a time up to 5m0s, and set the clocks if that is not enough
}
