package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
	"github.com/wsguard/wsguard/wsguardtest"
)

// chain names the safeguards of the quick chat in their order. Those without a
// row in TestMutants are no defence that an attacker sees from outside: Observe
// and RedactQuery are about what the chat's operators see, WarnExpiry is a
// courtesy, LimitBytes, Revalidate and SanitizeMessages stand behind
// LimitMessages, Track and ValidateMessages, or change what others are shown.
var chain = strings.Fields(`RedactQuery Observe RequireTLS AllowHosts CheckOrigins LimitConns/all LimitConns/address LimitHandshakes
	Authenticate LimitConns/user Track Revalidate WarnExpiry MaxMessageSize LimitMessages LimitBytes ValidateMessages SanitizeMessages
	KeepAlive IdleTimeout MaxLifetime`)

// A hoard is a store of tickets that gives each out again and again.
type hoard struct{ m sync.Map }

func (h *hoard) Put(_ context.Context, hash [32]byte, payload []byte, _ time.Duration) error {
	h.m.Store(hash, payload)
	return nil
}

func (h *hoard) Redeem(_ context.Context, hash [32]byte) ([]byte, error) {
	payload, ok := h.m.Load(hash)
	if !ok {
		return nil, errors.New("no such ticket")
	}
	return payload.([]byte), nil
}

// without is the endpoint without some of its safeguards. Its upgrader refuses
// an origin that nobody has judged, and the chat panics where nobody has logged
// in: without CheckOrigins every origin is taken for the chat's own, and without
// Authenticate every token for alice's.
func (v *victim) without(names ...string) http.Handler {
	v.t.Helper()
	if slices.Contains(names, "Tickets") {
		var err error
		if v.tickets, err = v.newTickets(&hoard{}); err != nil {
			v.t.Fatal(err)
		}
		if v.pages, err = v.server.handler(); err != nil {
			v.t.Fatal(err)
		}
	}
	all, err := v.safeguards()
	if err != nil || len(all) != len(chain) {
		v.t.Fatalf("%d safeguards, %v: name each in chain", len(all), err)
	}
	var rest []func(http.Handler) http.Handler
	for i, s := range all {
		switch without := slices.Contains(names, chain[i]); {
		case without && chain[i] == "Authenticate":
			rest = append(rest, wsguard.Authenticate(credulous{v}, wsguard.FromSubprotocol("bearer")))
		case !without || chain[i] == "CheckOrigins":
			rest = append(rest, s)
		}
	}
	h := wsguard.Chain(rest...)(wsguard.Upgrader{Subprotocols: []string{"chat.v1"}, QueueMessages: 1024}.Handler(v.serve))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if slices.Contains(names, "CheckOrigins") {
			r.Header.Set("Origin", v.base)
		}
		h.ServeHTTP(w, r)
	})
}

// credulous is a verifier that verifies nothing.
type credulous struct{ *victim }

func (c credulous) Verify(context.Context, string) (wsguard.Principal, error) {
	return wsguard.Principal{Issuer: c.issuer.name, Subject: "alice", TokenID: "kit", IssuedAt: time.Now(), Expires: time.Now().Add(10 * time.Minute)}, nil
}

// Without a safeguard attacks of its group are not withstood, which are with it
// (TestAttack). R64
func TestMutants(t *testing.T) {
	manyConns := func(flag string) []string {
		flags := []string{"-max-conns", "1000", "-max-conns-per-ip", "1000", "-max-conns-per-user", "1000"}
		return append(flags, flag, "8")
	}
	long := []string{"-idle-timeout", "1m", "-max-lifetime", "1m"}
	for _, row := range []struct {
		without string // the first is the safeguard, the others would panic or stop the attack late
		attacks string
		flags   []string
	}{
		{"RequireTLS", "transport/plaintext", nil},
		{"CheckOrigins", "origin/foreign origin/null origin/suffix", nil},
		{"AllowHosts CheckOrigins", "origin/rebinding", nil},
		{"LimitConns/all", "limits/slot-race limits/forged-addresses", manyConns("-max-conns")},
		{"LimitConns/address", "limits/slot-race limits/forged-addresses", manyConns("-max-conns-per-ip")},
		{"LimitConns/user", "limits/slot-race limits/forged-addresses", nil},
		{"LimitHandshakes", "limits/handshake-flood", []string{"-handshake-rate", "5", "-handshake-burst", "20"}},
		{"Authenticate", "auth/garbage auth/alg-none auth/foreign-key auth/expired auth/other-audience", nil},
		{"Tickets", "tickets/replayed tickets/raced", nil},
		{"Track", "lifecycle/logout", nil},
		{"MaxMessageSize", "limits/message-too-big limits/fragments-too-big", nil},
		{"LimitMessages", "limits/message-flood", nil},
		{"ValidateMessages SanitizeMessages", "message/unknown-member message/prototype message/invalid", nil},
		{"KeepAlive", "time/half-open", long},
		{"IdleTimeout", "time/idle time/first-message", []string{"-max-lifetime", "1m"}},
		{"MaxLifetime", "time/lifetime", nil},
	} {
		names := strings.Fields(row.without)
		t.Run(names[0], func(t *testing.T) {
			t.Parallel()
			v := newVictim(t, row.flags...)
			v.verdicts(t, wsguardtest.Withstood, row.attacks)
			v = newVictim(t, row.flags...)
			v.handler = v.without(names...)
			v.verdicts(t, wsguardtest.NotWithstood, row.attacks)
		})
	}
}

func (v *victim) verdicts(t *testing.T, want wsguardtest.Verdict, attacks string) {
	t.Helper()
	p := v.profile()
	p.Only, p.Skip, p.Patience = strings.Fields(attacks), nil, 1500*time.Millisecond
	report, err := wsguardtest.Run(t.Context(), v.target(), p, nil)
	if err != nil || report.Baseline != "" {
		t.Fatal(err, report.Baseline, v.log.String())
	}
	for _, r := range report.Results {
		if r.Verdict != want {
			t.Errorf("%s is %s, want %s: %s", r.Name, r.Verdict, want, r.Seen)
		}
	}
}
