package wsguardtest_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

var profiles = []struct{ name, json, want string }{ // want is part of the error
	{"nothing", `{}`, ""},
	{"all", `{"origin": "https://a.example", "token": "t", "token_in": "cookie:session", "claims": {"idle": "1.5s"}, "skip": {"tickets": "none"}}`, ""},
	{"an unknown member", `{"orign": "https://a.example"}`, "unknown field"},
	{"two profiles", `{} {}`, "write one object"},
	{"a short secret", `{"signer": {"secret": "short"}}`, "fewer than 32 bytes"},
	{"a number as a duration", `{"patience": 2}`, "ParseProfile"},
	{"a duration without a unit", `{"patience": "2"}`, "missing unit"},
	{"no place", `{"token_in": "body"}`, "no place for a token"},
	{"no JSON", `{`, "ParseProfile"},
}

func TestParseProfile(t *testing.T) {
	for _, row := range profiles {
		t.Run(row.name, func(t *testing.T) {
			_, err := wsguardtest.ParseProfile([]byte(row.json))
			if (err == nil) != (row.want == "") || err != nil && !strings.Contains(err.Error(), row.want) {
				t.Errorf("error %v, want %q", err, row.want)
			}
		})
	}
}

func ExampleParseProfile() {
	p, err := wsguardtest.ParseProfile([]byte(`{"origin": "https://app.example.com", "token_in": "subprotocol:bearer.",
		"message": "{\"text\":\"hi\"}", "claims": {"dead_peer": "3s"}}`))
	fmt.Println(p.Claims.DeadPeer == 3*time.Second, err)
	// Output: true <nil>
}

func FuzzParseProfile(f *testing.F) {
	for _, row := range profiles {
		f.Add([]byte(row.json))
	}
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = wsguardtest.ParseProfile(data) })
}
