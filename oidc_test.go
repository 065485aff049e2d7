package wsguard_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// R17, R22: only the issuer's own document, from where it is, within bounds.
func TestNewOIDC(t *testing.T) {
	var base string
	var answer func(http.ResponseWriter, *http.Request)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/.well-known/openid-configuration" {
			answer(w, r)
			return
		}
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	base = server.URL
	says := func(text string) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
	}
	good := fmt.Sprintf(`{"issuer":%q,"jwks_uri":"%s/keys"}`, base, base)
	for _, row := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request)
		want   string
	}{
		{"good", says(good), ""},
		{"another issuer", says(`{"issuer":"https://evil.example.com","jwks_uri":"` + base + `/keys"}`), "another issuer"},
		{"a slash more", says(fmt.Sprintf(`{"issuer":"%s/","jwks_uri":"%s/keys"}`, base, base)), "another issuer"},
		{"in another case", says(fmt.Sprintf(`{"Issuer":%q,"jwks_uri":"%s/keys"}`, base, base)), "another issuer"},
		{"no keys", says(fmt.Sprintf(`{"issuer":%q}`, base)), "no jwks_uri"},
		{"keys in the clear", says(fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://id.example.com/keys"}`, base)), "https://"},
		{"no JSON", says("<html>"), "no JSON"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "status 302"},
		{"outage", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }, "status 503"},
		{"1 GB", func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 10 {
				if _, err := io.WriteString(w, strings.Repeat(" ", 1<<20)); err != nil {
					return
				}
			}
		}, "longer than"},
		{"hangs", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "unavailable"},
	} {
		t.Run(row.name, func(t *testing.T) {
			answer = row.answer
			wait := patience
			if row.name == "hangs" {
				wait = 50 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), wait)
			defer cancel()
			set, err := wsguard.NewOIDC(ctx, base, wsguard.JWKSConfig{})
			if (err == nil) != (row.want == "") || (set == nil) != (err != nil) || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("got %v, %v, want %q", set, err, row.want)
			}
		})
	}
	for _, issuer := range []string{"", "http://id.example.com", "https://id.example.com?x", "https://u:p@id.example.com"} {
		if _, err := wsguard.NewOIDC(t.Context(), issuer, wsguard.JWKSConfig{}); err == nil {
			t.Errorf("%q was taken", issuer)
		}
	}
}

func ExampleNewOIDC() {
	const issuer = "https://id.example.com"
	start := func() (*wsguard.JWT, error) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		keys, err := wsguard.NewOIDC(ctx, issuer, wsguard.JWKSConfig{})
		if err != nil {
			return nil, err
		}
		return wsguard.NewJWT(wsguard.JWTConfig{Issuer: issuer, Audience: []string{"chat"}, KeySet: keys})
	}
	_ = start
}
