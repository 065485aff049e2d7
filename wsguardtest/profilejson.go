package wsguardtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// duration is a time.Duration as text: "1.5s".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = duration(v)
	return err
}

type profileJSON struct {
	Origin           string            `json:"origin"`
	Header           []string          `json:"header"`
	Subprotocols     []string          `json:"subprotocols"`
	Token            string            `json:"token"`
	TokenIn          string            `json:"token_in"`
	Message          string            `json:"message"`
	AcceptedContains string            `json:"accepted_contains"`
	Invalid          map[string]string `json:"invalid"`
	Skip             map[string]string `json:"skip"`
	Only             []string          `json:"only"`
	Patience         duration          `json:"patience"`
	Flood            duration          `json:"flood"`
	Parallel         int               `json:"parallel"`
	Signer           *struct {
		Issuer   string `json:"issuer"`
		Audience string `json:"audience"`
		Secret   string `json:"secret"`
	} `json:"signer"`
	Claims struct {
		MessageBytes   int      `json:"message_bytes"`
		MessageBurst   int      `json:"message_burst"`
		HandshakeBurst int      `json:"handshake_burst"`
		ConnsPerUser   int      `json:"conns_per_user"`
		DeadPeer       duration `json:"dead_peer"`
		Idle           duration `json:"idle"`
		FirstMessage   duration `json:"first_message"`
		Lifetime       duration `json:"lifetime"`
		Stall          duration `json:"stall"`
		Handshake      duration `json:"handshake"`
		TokenLeeway    duration `json:"token_leeway"`
		TicketLife     duration `json:"ticket_life"`
	} `json:"claims"`
}

// ParseProfile reads a profile from JSON, as the command wsattack does. Its
// members are the fields of [Profile] and [Claims] in lower case with
// underscores; durations are texts such as "1.5s"; what is a function in a
// Profile is data here: "token" is one token for every connection,
// "accepted_contains" is a part of every answer that accepts, and "signer" has
// "issuer", "audience" and a "secret" of HS256. An unknown member is an error.
func ParseProfile(data []byte) (Profile, error) {
	var j profileJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return Profile{}, fmt.Errorf("wsguardtest: ParseProfile: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return Profile{}, errors.New("wsguardtest: ParseProfile: something comes after the profile: write one object")
	}
	c := j.Claims
	p := Profile{Origin: j.Origin, Header: j.Header, Subprotocols: j.Subprotocols, TokenIn: j.TokenIn, Message: j.Message,
		Invalid: j.Invalid, Skip: j.Skip, Only: j.Only, Patience: time.Duration(j.Patience), Flood: time.Duration(j.Flood), Parallel: j.Parallel,
		Claims: Claims{MessageBytes: c.MessageBytes, MessageBurst: c.MessageBurst, HandshakeBurst: c.HandshakeBurst, ConnsPerUser: c.ConnsPerUser,
			DeadPeer: time.Duration(c.DeadPeer), Idle: time.Duration(c.Idle), FirstMessage: time.Duration(c.FirstMessage),
			Lifetime: time.Duration(c.Lifetime), Stall: time.Duration(c.Stall), Handshake: time.Duration(c.Handshake),
			TokenLeeway: time.Duration(c.TokenLeeway), TicketLife: time.Duration(c.TicketLife)}}
	if j.AcceptedContains != "" {
		p.Accepted = acceptedContains(j.AcceptedContains)
	}
	if j.Token != "" {
		p.Token = func(context.Context) (string, error) { return j.Token, nil }
	}
	if s := j.Signer; s != nil {
		if len(s.Secret) < 32 {
			return Profile{}, errors.New("wsguardtest: ParseProfile: signer.secret has fewer than 32 bytes: write the endpoint's own")
		}
		p.Signer = NewSecretSigner(s.Issuer, s.Audience, []byte(s.Secret))
	}
	_, err := p.check()
	return p, err
}
