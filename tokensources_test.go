package wsguard_test

import (
	"context"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/wsguard/wsguard"
)

// A carrier is a way for a token into a handshake.
type carrier struct {
	name   string
	source wsguard.TokenSource
	lines  func(token string) []string // for knock
	// unlike are the rows with another outcome, because the way changes the token
	// before the source has it: the reason, or notHTTP.
	unlike map[string]string
}

// notHTTP is the outcome of what net/http itself refuses, with 400.
const notHTTP = "not HTTP"

func carriers(tickets *wsguard.Tickets) []carrier {
	const (
		around = "space around"
		tab    = "tab after"
		broken = "line break in the signature"
	)
	behind := func(prefix string) func(string) []string {
		return func(token string) []string { return []string{prefix + token} }
	}
	query := func(token string) []string {
		return []string{"GET /?token=" + url.QueryEscape(token) + " HTTP/1.1"}
	}
	return []carrier{
		{"FromAuthorization", wsguard.FromAuthorization(), behind("Authorization: Bearer "), map[string]string{around: "", tab: "", broken: notHTTP}},
		{"FromHeader", wsguard.FromHeader("X-Token"), behind("X-Token: "), map[string]string{around: "", tab: "", broken: notHTTP}},
		{"FromSubprotocol", wsguard.FromSubprotocol("bearer"), behind("Sec-WebSocket-Protocol: chat.v1, bearer."), map[string]string{tab: "", broken: notHTTP}},
		{"FromQuery", wsguard.FromQuery("token"), query, nil},
		{"FromCookie", wsguard.FromCookie("session"), behind("Cookie: session="), map[string]string{tab: "", broken: notHTTP}},
		{"FromTicket", wsguard.FromTicket(tickets, wsguard.FromQuery("token")), query, nil},
	}
}

// Every attack on tokens, through every source, over a real handshake, with the
// reason that an observer is told.
//
// R10, R11, R13, R15, R16, R17, R18, R19, R20, R21, R22, R24, R57, R64
func TestTokenAttacks(t *testing.T) {
	rows := tokenAttacks(t)
	var by atomic.Pointer[wsguard.JWT]
	verifier := asVerifier(func(ctx context.Context, token string) (wsguard.Principal, error) {
		return by.Load().Verify(ctx, token)
	})
	for _, c := range carriers(wsguard.NewTickets(wsguard.NewMemoryTickets(1), ticketOptions())) {
		t.Run(c.name, func(t *testing.T) {
			rec := newRecorder()
			server := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home),
				wsguard.Authenticate(verifier, c.source))(wsguard.Upgrader{Subprotocols: []string{"chat.v1"}}.Handler(echo)))
			for _, row := range rows {
				t.Run(row.name, func(t *testing.T) {
					by.Store(row.by)
					reason := row.reason
					if other, ok := c.unlike[row.name]; ok {
						reason = other
					}
					switch {
					case c.name == "FromTicket":
						reason = "ticket_malformed" // a token is no ticket, however good
					case c.name == "FromCookie" && strings.Contains(row.token, `"`):
						reason = "token_missing" // quotes are in no cookie
					}
					p := knock(t, server, append(c.lines(row.token), "Origin: "+home)...)
					switch {
					case reason != notHTTP && reason != "":
						wantOutcome(t, rec, p, 401, reason)
					case reason == "":
						wantOutcome(t, rec, p, 101, "")
					case p.resp.StatusCode != 400 || len(rec.handshakes) != 0:
						t.Errorf("%s, %d handshakes were seen", p.resp.Status, len(rec.handshakes))
					}
				})
			}
			if n := len(rec.handshakes); n != 0 {
				t.Errorf("%d handshakes were observed twice", n)
			}
		})
	}
}

type asVerifier func(context.Context, string) (wsguard.Principal, error)

func (f asVerifier) Verify(ctx context.Context, token string) (wsguard.Principal, error) {
	return f(ctx, token)
}
