package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

func TestLogin(t *testing.T) {
	c := start(t)
	long := strings.Repeat("a", 32)
	for _, row := range []struct {
		name   string
		form   url.Values
		status int
	}{
		{"a name", url.Values{"user": {"alice"}}, 200},
		{"all characters", url.Values{"user": {"Al_ice.1-"}}, 200},
		{"the longest", url.Values{"user": {long}}, 200},
		{"too long", url.Values{"user": {long + "a"}}, 400},
		{"empty", url.Values{"user": {""}}, 400},
		{"absent", nil, 400},
		{"two", url.Values{"user": {"alice", "bob"}}, 400},
		{"a space", url.Values{"user": {"al ice"}}, 400},
		{"markup", url.Values{"user": {"<b>"}}, 400},
		{"a line feed", url.Values{"user": {"alice\n"}}, 400},
		{"not ASCII", url.Values{"user": {"älice"}}, 400},
		{"a large form", url.Values{"user": {"alice"}, "more": {strings.Repeat("x", 1<<20)}}, 400},
	} {
		response, err := c.http.PostForm(c.base+"/login", row.form)
		if err != nil || response.StatusCode != row.status {
			t.Errorf("%s: got %v, %v, want %d", row.name, response, err, row.status)
		}
	}
	response, err := c.http.Get(c.base + "/login")
	if err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %v, %v", response, err)
	}
	request, _ := http.NewRequest("POST", c.base+"/login", strings.NewReader("user=alice"))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Origin", "https://evil.example.com")
	if response, err := c.http.Do(request); err != nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("page of another site: %v, %v", response, err)
	}
}

func TestSession(t *testing.T) {
	c := start(t, "-token-ttl", "20m")
	do := func(method, cookie string) (*http.Response, map[string]any) {
		t.Helper()
		request, _ := http.NewRequest(method, c.base+"/session", nil)
		if cookie != "" {
			request.Header.Set("Cookie", cookie)
		}
		response, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		var answer map[string]any
		_ = json.NewDecoder(response.Body).Decode(&answer)
		return response, answer
	}
	cookie := "session=" + c.sessionOf("alice")
	if response, answer := do("POST", cookie); response.StatusCode != 200 || answer["user"] != "alice" || answer["expires_in"] != 1200. {
		t.Errorf("got %v, %v", response.Status, answer)
	} else {
		c.dial(c.handshake(answer["token"].(string)))
	}
	for name, wrong := range map[string]string{
		"none": "", "two": cookie + "; " + cookie, "an access token": "session=" + c.login("alice"), "nonsense": "session=x",
	} {
		if response, _ := do("POST", wrong); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %v", name, response.Status)
		}
	}
}

// Anybody can check a token with what is published.
func TestKeySet(t *testing.T) {
	c := start(t)
	var set struct {
		Keys []struct{ Kty, Crv, X, Y, Alg, Use, Kid string }
	}
	c.getJSON("/.well-known/jwks.json", &set)
	if len(set.Keys) != 1 {
		t.Fatalf("got %+v", set)
	}
	key := set.Keys[0]
	decode := func(s string) []byte {
		t.Helper()
		b, err := base64.RawURLEncoding.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	parts := strings.Split(c.login("alice"), ".")
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	signature := decode(parts[2])
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, decode(key.X), decode(key.Y)))
	if err != nil {
		t.Fatal(err)
	}
	if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		t.Error("the signature does not verify")
	}
	var header struct{ Alg, Kid, Typ string }
	if err := json.Unmarshal(decode(parts[0]), &header); err != nil || header.Alg != "ES256" || header.Kid != key.Kid || key.Alg != "ES256" {
		t.Errorf("header %+v, %v, key %+v", header, err, key)
	}
}

func TestPage(t *testing.T) {
	c := start(t)
	for path, kind := range map[string]string{
		"/": "text/html", "/app.js": "text/javascript", "/guard.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml",
	} {
		response, err := c.http.Get(c.base + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(response.Body)
		h := response.Header
		if response.StatusCode != 200 || !strings.HasPrefix(h.Get("Content-Type"), kind) || h.Get("X-Content-Type-Options") != "nosniff" ||
			!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("%s: %s, %v", path, response.Status, h)
		}
		if s := strings.ReplaceAll(body.String(), "http://www.w3.org/", ""); strings.Contains(s, "http://") || strings.Contains(s, "https://") || strings.Contains(s, "innerHTML") {
			t.Errorf("%s uses something from elsewhere, or innerHTML", path)
		}
	}
	for _, path := range []string{"/page/index.html", "/index.html/", "/schema.json", "/nothing"} {
		if response, err := c.http.Get(c.base + path); err != nil || response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %v, %v", path, response, err)
		}
	}
}
