package interop

import (
	"testing"
	"time"

	"github.com/wsguard/wsguard/wsguardtest"
)

// The attack kit finds on bare libraries what they lack. R64
func TestKitOnBareLibraries(t *testing.T) {
	lacks := map[string][]string{
		"coder":   {"wire/invalid-utf8"},
		"gorilla": {"wire/invalid-utf8", "wire/deflate-bomb"}, // its check of origins is off here
		"gws":     {"wire/invalid-utf8", "origin/foreign"},
		"gobwas":  {"origin/foreign"},
		"melody":  {"wire/invalid-utf8", "wire/deflate-bomb", "origin/foreign"},
	}
	for _, l := range libraries {
		t.Run(l.name, func(t *testing.T) {
			stop := make(chan struct{})
			defer close(stop)
			h := l.handler(t, app{stop: stop, limit: 0})
			names := append([]string{"wire/empty-continuations", "wire/ping-flood", "origin/rebinding", "wire/unmasked"}, lacks[l.name]...)
			claims := wsguardtest.Claims{}
			if l.name == "melody" {
				claims.MessageBytes = 512 // its default, which counts compressed bytes
			}
			report, err := wsguardtest.Run(t.Context(), wsguardtest.Target{Handler: h}, wsguardtest.Profile{Origin: home, Message: `{"text":"hi"}`,
				Patience: 2 * time.Second, Flood: 500 * time.Millisecond, Only: names, Claims: claims}, nil)
			if err != nil || report.Baseline != "" {
				t.Fatal(err, report.Baseline)
			}
			for _, r := range report.Results {
				want := wsguardtest.NotWithstood
				if r.Name == "wire/unmasked" {
					want = wsguardtest.Withstood
				}
				if r.Verdict != want {
					t.Errorf("%s is %s, want %s: %s", r.Name, r.Verdict, want, r.Seen)
				}
			}
		})
	}
}
