package wsguardtest_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"testing/synctest"
	"time"

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

// The names of the attacks, as wsattack -list prints them.
func ExampleAttacks() {
	groups := map[string]int{}
	for _, v := range wsguardtest.Attacks() {
		groups[v.Group()]++
	}
	fmt.Println(len(groups), groups["origin"])
	fmt.Println(wsguardtest.Attacks()[0].Name)
	// Output:
	// 10 14
	// transport/plaintext
}

// A report as a file for CI, besides what the test says.
func ExampleReport() {
	_ = func(t *testing.T) {
		report := wsguardtest.Attack(t, wsguardtest.Target{URL: "wss://staging.example.com/ws", ThisHostIsMine: true},
			wsguardtest.Profile{Origin: "https://app.example.com", Flood: 200 * time.Millisecond})
		if n := report.Count(wsguardtest.NotJudged); n > 0 {
			t.Logf("%d attacks need more of the profile", n)
		}
		f, err := os.Create("attacks.xml")
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(report.WriteJUnit(f), f.Close()); err != nil { // or WriteJSON, WriteHTML
			t.Error(err)
		}
	}
	var empty wsguardtest.Report
	fmt.Println(empty.OK(), empty.String())
	// Output: true 0 attacks: 0 passed, 0 failed, 0 not judged, 0 skipped
}

// An endpoint behind AllowHosts wants its own name in the handshake. What a
// result says is there while the attacks run.
func ExampleTarget() {
	guarded := wsguard.Chain(wsguard.AllowHosts("app.example.com"), wsguard.AllowOrigins("https://app.example.com"))(wsguard.Handler(echo))
	_, err := wsguardtest.Run(context.Background(), wsguardtest.Target{Handler: guarded, Host: "app.example.com"},
		wsguardtest.Profile{Origin: "https://app.example.com", Only: []string{"origin/rebinding"}},
		func(r wsguardtest.Result) { fmt.Println(r.Name, r.Verdict == wsguardtest.Withstood, r.Seen) })
	fmt.Println(err)
	// Output:
	// origin/rebinding true refused with 421
	// <nil>
}

// An endpoint that fetches its keys is given those of the signer.
func ExampleNewSigner() {
	signer := wsguardtest.NewSigner("https://id.example.com", "chat")
	keys := httptest.NewServer(signer) // a Signer serves its JWK set
	defer keys.Close()
	verifier, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: "https://id.example.com", Audience: []string{"chat"}, JWKS: keys.URL})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := verifier.Verify(context.Background(), signer.Token("alice"))
	fmt.Println(p.Subject, err)
	// Output: alice <nil>
}

// An endpoint that signs its own tokens lends its key, and says what else is in
// them.
func ExampleNewKeySigner() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		fmt.Println(err)
		return
	}
	signer := wsguardtest.NewKeySigner("https://id.example.com", "chat", key).With(
		map[string]any{"typ": "at+jwt"}, map[string]any{"client_id": "web", "scope": "chat:write"})
	verifier, err := wsguard.NewJWT(wsguard.JWTConfig{Issuer: "https://id.example.com", Audience: []string{"chat"},
		Types: []string{"at+jwt"}, Keys: []crypto.PublicKey{signer.PublicKey()}})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, err := verifier.Verify(context.Background(), signer.Token("alice"))
	fmt.Println(p.Claims["client_id"], err)
	// Output: web <nil>
}

// An hour passes in no time: within testing/synctest a timer of the guard's is
// one of the test's own clock. Nothing may then use a real socket.
func Example_fakeHour() {
	_ = func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			guarded := wsguard.Chain(wsguard.AllowOrigins("https://app.example.com"), wsguard.MaxLifetime(time.Hour))(wsguard.Handler(echo))
			server := &http.Server{Handler: guarded, ReadHeaderTimeout: time.Second}
			go func() { _ = server.Serve(&once{conn: theirs}) }()
			fmt.Fprint(ours, "GET / HTTP/1.1\r\nHost: app.example.com\r\nOrigin: https://app.example.com\r\nConnection: Upgrade\r\n",
				"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n")
			started := time.Now()
			_, _ = io.Copy(io.Discard, ours) // until the server closes
			if lived := time.Since(started).Round(time.Minute); lived != time.Hour {
				t.Errorf("it lived for %v", lived)
			}
		})
	}
}

// once is a listener of one connection.
type once struct{ conn net.Conn }

func (l *once) Accept() (net.Conn, error) {
	if c := l.conn; c != nil {
		l.conn = nil
		return c, nil
	}
	return nil, net.ErrClosed
}
func (l *once) Close() error   { return nil }
func (l *once) Addr() net.Addr { return &net.TCPAddr{} }

// A token of another audience, and one that was good for a second.
func ExampleSigner_Sign() {
	signer := wsguardtest.NewSecretSigner("https://id.example.com", "chat", make([]byte, 32))
	_ = signer.Token("alice")
	_ = signer.Sign(nil, map[string]any{"aud": "elsewhere"})
	_ = signer.Sign(map[string]any{"kid": nil}, map[string]any{"exp": 1})
}
