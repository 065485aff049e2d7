package wsguardtest_test

import (
	"context"
	"crypto"
	"fmt"
	"net/http"
	"testing"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/wsguardtest"
)

// In a test of one's own: TestEndpoint(t *testing.T).
func ExampleAttack() {
	_ = func(t *testing.T) {
		signer := wsguardtest.NewSigner("https://id.example.com", "chat")
		verifier, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: "https://id.example.com", Audience: []string{"chat"},
			Keys: []crypto.PublicKey{signer.PublicKey()}})
		if err != nil {
			t.Fatal(err)
		}
		mux := http.NewServeMux()
		mux.Handle("GET /ws", wsguard.Chain(
			wsguard.AllowOrigins("https://app.example.com"),
			wsguard.Authenticate(verifier, wsguard.FromSubprotocol("bearer")),
		)(wsguard.Handler(echo)))
		wsguardtest.Attack(t, wsguardtest.Target{Handler: mux, Path: "/ws"}, wsguardtest.Profile{
			Origin:  "https://app.example.com",
			Signer:  signer,
			TokenIn: "subprotocol:bearer.",
			Message: `{"text":"hi"}`,
			Claims:  wsguardtest.Claims{MessageBytes: 32 << 10},
			Skip:    map[string]string{"message": "this endpoint echoes whatever comes"},
		})
	}
}

// Without a test, for a program of one's own.
func ExampleRun() {
	report, err := wsguardtest.Run(context.Background(), wsguardtest.Target{Handler: bare(false)}, wsguardtest.Profile{
		Origin: "https://app.example.com",
		Only:   []string{"origin/foreign", "origin/rebinding"},
	}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, r := range report.Results {
		fmt.Println(r.Name, r.Verdict)
	}
	// Output:
	// origin/foreign passed
	// origin/rebinding failed
}

func ExampleDial() {
	_ = func(t *testing.T) {
		guarded := wsguard.Chain(wsguard.AllowOrigins("https://app.example.com"), wsguard.MaxMessageSize(10))(wsguard.Handler(echo))
		if status := wsguardtest.Refused(t, guarded, "Origin: https://evil.example"); status != http.StatusForbidden {
			t.Errorf("status %d", status)
		}
		c := wsguardtest.Dial(t, guarded, "Origin: https://app.example.com")
		c.Send("hi")
		if got := c.Receive(); got != "hi" {
			t.Errorf("got %q", got)
		}
		c.Send("longer than ten bytes")
		if code := c.CloseCode(); code != 1009 {
			t.Errorf("closed with %d", code)
		}
	}
}

// A token of another audience, and one that was good for a second.
func ExampleSigner_Sign() {
	signer := wsguardtest.NewSecretSigner("https://id.example.com", "chat", make([]byte, 32))
	_ = signer.Token("alice")
	_ = signer.Sign(nil, map[string]any{"aud": "elsewhere"})
	_ = signer.Sign(map[string]any{"kid": nil}, map[string]any{"exp": 1})
}
