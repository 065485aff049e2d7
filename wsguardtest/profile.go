package wsguardtest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// A Profile says what a good client of an endpoint does, and what the endpoint
// claims to withstand. What it leaves out cannot be judged, and the attacks that
// need it say so.
type Profile struct {
	// Origin is that of a good page: "https://app.example.com". Default: the
	// client sends none, and no attack on origins is judged.
	Origin string

	// Header is what the good client sends besides, in lines such as
	// "X-Api-Version: 2".
	Header []string

	// Subprotocols are what the good client offers, without a token.
	Subprotocols []string

	// Token returns a token that the endpoint accepts, a fresh one if it has to
	// be. Default: one of Signer, if that is set. It is called by several
	// goroutines.
	Token func(context.Context) (string, error)

	// TokenIn says where the token goes: "header:Authorization" (after
	// "Bearer "), "header:X-Token", "query:token", "cookie:session" or
	// "subprotocol:bearer.", the last with the prefix of the token. Default:
	// "header:Authorization".
	TokenIn string

	// Signer signs tokens that the endpoint accepts. Bad ones are made with it;
	// without it no attack that forges a token is judged.
	Signer *Signer

	// Ticket returns a ticket for one connection, which goes where TicketIn says
	// in the place of the token. Both are nil and "" where there are no tickets.
	Ticket   func(context.Context) (string, error)
	TicketIn string

	// Message is a text message that the endpoint accepts and answers. Default:
	// none, and nothing about messages is judged.
	Message string

	// Accepted reports whether an answer says that a message was accepted.
	// Default: every answer does, as it does of an echo.
	Accepted func(answer []byte) bool

	// Invalid are text messages, by the name of what is wrong with each, that
	// the endpoint has to refuse.
	Invalid map[string]string

	// Logout ends the session of the good client, whose connections have to end
	// with it. It is called once, after every other attack.
	Logout func(context.Context) error

	// Log returns what the endpoint has logged since it started.
	Log func() string

	// Claims are the limits that the endpoint says it has.
	Claims Claims

	// Skip are the attacks that do not apply, by name or by group ("tickets"),
	// and why.
	Skip map[string]string

	// Only are the attacks or groups to run. Default: all.
	Only []string

	// Patience is how long an answer is waited for. Default: 2 seconds.
	Patience time.Duration

	// Flood is how long a flood lasts that nobody stops. Default: 1.5 seconds.
	Flood time.Duration

	// Parallel is how many attacks run at once. Default: 8, or one fewer than
	// Claims.ConnsPerUser if that is less.
	Parallel int
}

// Claims are limits that an endpoint says it has. An attack on a limit of zero
// is not judged, nor is one that would have to wait for more than 20 seconds.
type Claims struct {
	MessageBytes   int           // a text message that is longer is refused
	MessageBurst   int           // so many messages at once are too many
	HandshakeBurst int           // so many handshakes at once are too many
	ConnsPerUser   int           // so many connections of the good client, and no more
	DeadPeer       time.Duration // after which a peer that answers no ping is gone
	Idle           time.Duration // after which one that sends no message is gone
	FirstMessage   time.Duration // the same, for the first message
	Lifetime       time.Duration // after which every connection ends
	Stall          time.Duration // after which half a frame, or a peer that does not read, ends it
	Handshake      time.Duration // after which half a request ends it
	TokenLeeway    time.Duration // of the expiry of a token; 30 seconds are usual
	TicketLife     time.Duration // after which a ticket is worth nothing
}

// longest is how long an attack waits for a claim.
const longest = 20 * time.Second

// check completes a profile, or says all that is wrong with it.
func (p Profile) check() (Profile, error) {
	var problems []error
	p.Patience = cmp.Or(p.Patience, 2*time.Second)
	p.Flood = cmp.Or(p.Flood, 1500*time.Millisecond)
	if p.Parallel == 0 {
		p.Parallel = 8
		if n := p.Claims.ConnsPerUser; n > 0 {
			p.Parallel = max(1, min(p.Parallel, n-1))
		}
	}
	p.TokenIn = cmp.Or(p.TokenIn, "header:Authorization")
	if p.Token == nil && p.Signer != nil {
		p.Token = func(context.Context) (string, error) { return p.Signer.Token("alice"), nil }
	}
	for _, in := range []string{p.TokenIn, cmp.Or(p.TicketIn, "query:ticket")} {
		kind, name, _ := strings.Cut(in, ":")
		if !strings.Contains(" header query cookie subprotocol ", " "+kind+" ") || name == "" {
			problems = append(problems, fmt.Errorf(
				`wsguardtest: %q is no place for a token: write "header:Authorization", "query:token", "cookie:session" or "subprotocol:bearer."`, in))
		}
	}
	if p.Ticket != nil && p.TicketIn == "" {
		problems = append(problems, errors.New(`wsguardtest: Profile.Ticket is set, and TicketIn is not: write where it goes, such as "query:ticket"`))
	}
	if u, err := url.Parse(p.Origin); p.Origin != "" && (err != nil || u.Scheme == "" || u.Host == "" || u.Path != "") {
		problems = append(problems, errors.New(`wsguardtest: Profile.Origin is no origin: write "https://app.example.com", without a path`))
	}
	for name, why := range p.Skip {
		if why == "" {
			problems = append(problems, fmt.Errorf("wsguardtest: Profile.Skip[%q] says no reason: write why the attack does not apply", name))
		}
		if !names(name) {
			problems = append(problems, fmt.Errorf("wsguardtest: Profile.Skip[%q] is no attack and no group: see Attacks", name))
		}
	}
	for _, name := range p.Only {
		if !names(name) {
			problems = append(problems, fmt.Errorf("wsguardtest: Profile.Only has %q, which is no attack and no group: see Attacks", name))
		}
	}
	if p.Patience < 0 || p.Flood < 0 || p.Parallel < 0 {
		problems = append(problems, errors.New("wsguardtest: Patience, Flood and Parallel must not be negative: leave them out for the defaults"))
	}
	return p, errors.Join(problems...)
}

// names reports whether a name is that of an attack or a group.
func names(name string) bool {
	for _, v := range vectors {
		if v.is(name) {
			return true
		}
	}
	return false
}

func (p *Profile) accepts(answer []byte) bool {
	return p.Accepted == nil || p.Accepted(answer)
}

// acceptedContains is Accepted for profiles that are data.
func acceptedContains(part string) func([]byte) bool {
	return func(answer []byte) bool { return bytes.Contains(answer, []byte(part)) }
}
