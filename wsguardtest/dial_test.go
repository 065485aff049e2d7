package wsguardtest_test

import (
	"crypto"
	"net/http/httptest"
	"testing"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/wsguardtest"
)

func TestDial(t *testing.T) {
	guarded := wsguard.Chain(wsguard.AllowOrigins(home), wsguard.MaxMessageSize(10))(wsguard.Handler(echo))
	if status := wsguardtest.Refused(t, guarded, "Origin: https://evil.example"); status != 403 {
		t.Errorf("status %d", status)
	}
	c := wsguardtest.Dial(t, guarded, "Origin: "+home)
	c.Send("hi")
	if got := c.Receive(); got != "hi" {
		t.Errorf("got %q", got)
	}
	c.Send("longer than ten bytes")
	if code := c.CloseCode(); code != 1009 {
		t.Errorf("closed with %d", code)
	}
}

// The key set that a signer serves verifies its tokens, and the secret does. R15
func TestSigner(t *testing.T) {
	signer := wsguardtest.NewSigner("https://id.example.com", "chat")
	server := httptest.NewServer(signer)
	t.Cleanup(server.Close)
	secret := wsguardtest.NewSecretSigner("https://id.example.com", "chat", []byte("0123456789abcdef0123456789ABCDEF"))
	for name, row := range map[string]struct {
		signer *wsguardtest.Signer
		config wsguard.JWTConfig
	}{
		"key set": {signer, wsguard.JWTConfig{JWKS: server.URL}},
		"key":     {signer, wsguard.JWTConfig{Keys: []crypto.PublicKey{signer.PublicKey()}}},
		"secret":  {secret, wsguard.JWTConfig{Secret: []byte("0123456789abcdef0123456789ABCDEF")}},
	} {
		t.Run(name, func(t *testing.T) {
			row.config.Issuer, row.config.Audience = "https://id.example.com", []string{"chat"}
			verifier, err := wsguard.NewJWT(row.config)
			if err != nil {
				t.Fatal(err)
			}
			if p, err := verifier.Verify(t.Context(), row.signer.Token("alice")); err != nil || p.Subject != "alice" {
				t.Errorf("%v, %v", p.Subject, err)
			}
			if _, err := verifier.Verify(t.Context(), row.signer.Sign(nil, map[string]any{"exp": nil})); err == nil {
				t.Error("a token without an expiry is accepted")
			}
		})
	}
}
