package wsguard_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/wsguard/wsguard"
)

// A stranger's server is one whose token comes as the first message.
func strangers(t *testing.T, verifier wsguard.Verifier, serve func(context.Context, *wsguard.Conn) error, more ...safeguard) (*recorder, string) {
	t.Helper()
	rec := newRecorder()
	return rec, newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.AllowOrigins(home),
		wsguard.Authenticate(verifier, wsguard.FromHeader("X-Token"), wsguard.FromFirstMessage(20*time.Second)),
		wsguard.Chain(more...))(wsguard.Handler(serve)))
}

// wantRejected checks what is told of a connection that was nobody's: a
// handshake that was refused, and no connection.
func (r *recorder) wantRejected(tb testing.TB, reason string) *wsguard.Refusal {
	tb.Helper()
	e := next(tb, r.handshakes)
	if reasonOf(e.Refusal) != reason {
		tb.Errorf("refused as %v, want %s", e.Refusal, reason)
	}
	if n := len(r.closes) + len(r.violations) + len(r.messages) + len(r.handshakes); n != 0 {
		tb.Errorf("%d more events are told of what was no connection", n)
	}
	return e.Refusal
}

// in cuts a text message into so many frames.
func in(fragments int, text string) (frames []byte) {
	for i := range fragments {
		first := byte(opContinuation)
		if i == 0 {
			first = opText
		}
		if i == fragments-1 {
			first |= final
		}
		frames = append(frames, clientFrame(first, text[len(text)*i/fragments:len(text)*(i+1)/fragments])...)
	}
	return frames
}

// Whatever a client sends before it is somebody reaches no application, within
// tight limits, and is told as a handshake that was refused. (R10, R13, R47)
func TestFirstMessageRefused(t *testing.T) {
	long := strings.Repeat("t", 8<<10)
	verifier := asVerifier(func(_ context.Context, token string) (wsguard.Principal, error) {
		p := userOf(issuer, "ada")
		switch token {
		case "good", long:
		case "expired":
			p.Expires = time.Now().Add(-time.Second)
		case "nobody":
			p.Subject = ""
		case "panic":
			panic(token)
		case "unavailable":
			return p, &wsguard.Refusal{Safeguard: "NewJWKS", Reason: "keys_unavailable", Status: 503, CloseCode: 1013}
		default:
			return p, fmt.Errorf("%s is bad", token)
		}
		return p, nil
	})
	rec, url := strangers(t, verifier, func(context.Context, *wsguard.Conn) error {
		t.Error("the handler was begun")
		return nil
	})
	for _, row := range []struct {
		name   string
		send   []byte
		code   uint16 // of the close frame; 0 for none
		text   string
		reason string
	}{
		{"a bad token", textFrame("bad"), 3000, "token invalid", "token_invalid"},
		{"an expired token", textFrame("expired"), 3000, "token expired", "token_expired"},
		{"a token of nobody", textFrame("nobody"), 3000, "principal incomplete", "principal_incomplete"},
		{"a verifier that panics", textFrame("panic"), 1011, "internal error", "internal_error"},
		{"keys that cannot be had", textFrame("unavailable"), 1013, "keys unavailable", "keys_unavailable"},
		{"nothing", textFrame(""), 3000, "token invalid", "token_invalid"},
		{"binary", clientFrame(final|opBinary, "good"), 3000, "token missing", "token_missing"},
		{"a byte too many", textFrame(long + "t"), 1009, "message too big", "message_too_big"},
		{"a megabyte declared", frameHeader(final|opText, 1<<20), 1009, "message too big", "message_too_big"},
		{"8 KiB in 17 fragments", in(17, long), 1008, "frame flood", "frame_flood"},
		{"empty fragments", append(clientFrame(opText, ""), []byte(strings.Repeat(string(clientFrame(opContinuation, "")), 5))...), 1008, "frame flood", "frame_flood"},
		{"a flood of pings", []byte(strings.Repeat(string(clientFrame(final|opPing, "")), 9)), 1008, "frame flood", "frame_flood"},
		{"no UTF-8", textFrame("\xff"), 1007, "invalid utf8", "invalid_utf8"},
		{"an unmasked frame", []byte{final | opText, 4, 'g', 'o', 'o', 'd'}, 1002, "protocol error", "protocol_error"},
		{"a close frame", closeFrame(1000, ""), 1000, "", "token_missing"},
		{"half a token", clientFrame(opText, "go"), 0, "", "token_missing"},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := rawDial(t, url, "Origin: "+home)
			c.send(row.send)
			if row.code == 0 {
				_ = c.Close()
			} else {
				c.untilClose(row.code, row.text)
				_, _ = c.Write(closeFrame(row.code, ""))
				c.discard()
			}
			if r := rec.wantRejected(t, row.reason); strings.Contains(r.Error(), "bad is bad") {
				t.Errorf("the refusal quotes the token: %v", r)
			}
		})
	}
	// A token in the handshake is judged there, and never falls back.
	wantOutcome(t, rec, knock(t, url, "Origin: "+home, "X-Token: bad"), 401, "token_invalid")
	if stats := rec.Stats(); stats.HandshakesAccepted != 0 || stats.Connections != 0 {
		t.Errorf("%+v", stats)
	}
}

// Once the token is found good the connection is as any other: it was accepted,
// whose it is is known, and what came behind the token is judged by its rules
// and not by the token's. (R10)
func TestFirstMessage(t *testing.T) {
	long := strings.Repeat("t", 8<<10)
	people := fixedTokens{"good": userOf(issuer, "ada"), long: userOf(issuer, "ada")}
	for _, row := range []struct {
		name, token string
		send        []byte
		limit       safeguard
		answers     []string
		code        uint16
		reason      string
	}{
		{name: "alone", token: "good", send: textFrame("good")},
		{name: "of 8 KiB in 16 fragments", token: long, send: in(16, long)},
		{name: "longer than messages may be", token: long, send: textFrame(long), limit: wsguard.MaxMessageSize(10)},
		{name: "behind pings", token: "good", send: append([]byte(strings.Repeat(string(clientFrame(final|opPing, "")), 3)), textFrame("good")...)},
		{name: "with messages behind it", token: "good", send: append(textFrame("good"), append(textFrame("one"), textFrame("two")...)...), answers: []string{"one", "two"}},
		{name: "with more behind it than a token has", token: "good", send: append(textFrame("good"), textFrame(long+long)...), answers: []string{long + long}},
		{name: "with more behind it than a message may have", token: "good", send: append(textFrame("good"), textFrame("12345678901")...),
			limit: wsguard.MaxMessageSize(10), code: 1009, reason: "message_too_big"},
		{name: "with too many behind it", token: "good", send: append(textFrame("good"), append(textFrame("one"), textFrame("two")...)...),
			limit: wsguard.LimitMessages(0.001, 1, wsguard.PerUser), answers: []string{"one"}, code: 1008, reason: "message_rate"},
		{name: "as a token again", token: "good", send: append(textFrame("good"), textFrame("good")...), answers: []string{"good"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if row.limit == nil {
				row.limit = wsguard.KeepAlive(time.Hour, time.Hour)
			}
			rec, url := strangers(t, people, echo, row.limit)
			c := rawDial(t, url, "Origin: "+home)
			c.send(row.send)
			for _, want := range row.answers {
				for {
					first, payload := c.frame()
					if first == final|opPong {
						continue
					}
					if string(payload) != want {
						t.Errorf("answered %.20q, want %.20q", payload, want)
					}
					break
				}
			}
			e := next(t, rec.handshakes)
			if e.Refusal != nil || e.Conn.Subject != "ada" || e.Conn.Issuer != issuer || len(e.Conn.TokenFingerprint) != 8 {
				t.Fatalf("%+v", e)
			}
			if row.code == 0 {
				_ = c.Close()
			} else {
				c.untilClose(row.code, strings.ReplaceAll(row.reason, "_", " "))
			}
			end := next(t, rec.closes)
			if reasonOf(end.Refusal) != row.reason || end.Conn.Subject != "ada" || end.MessagesIn != int64(len(row.answers)) && row.code == 0 {
				t.Errorf("closed: %+v", end)
			}
		})
	}
	// In the handshake it is as it was.
	_, url := strangers(t, people, echo)
	wantEcho(t, mustDial(t, url, "Origin: "+home, "X-Token: good"))
}

// Every attack on tokens is refused in the first message for the reason that it
// is in a handshake.
//
// R10, R11, R13, R15, R16, R17, R18, R19, R20, R21, R22, R24
func TestTokenAttacksInFirstMessage(t *testing.T) {
	for _, row := range tokenAttacks(t) {
		t.Run(row.name, func(t *testing.T) {
			rec, url := strangers(t, row.by, echo)
			c := rawDial(t, url, "Origin: "+home)
			_, _ = c.Write(textFrame(row.token))
			go func() { // or the server would wait for it for a second
				_, _, _ = c.tryFrame()
				_ = c.Close()
			}()
			e := next(t, rec.handshakes)
			_ = c.Close()
			reason := row.reason
			if len(row.token) > 8<<10 {
				reason = "message_too_big" // which is all that is read of it
			}
			if reasonOf(e.Refusal) != reason {
				t.Errorf("%v, want %q", e.Refusal, reason)
			}
		})
	}
}

// What needs to know who it is waits for it, and refuses then as it would have
// in the handshake. (R30, R31, R33, R34)
func TestFirstMessagePostpones(t *testing.T) {
	ada := userOf(issuer, "ada")
	ada.TokenID, ada.IssuedAt = "1", time.Now()
	people := fixedTokens{"ada": ada}
	var revoked, live wsguard.Registry
	if _, err := revoked.Revoke(wsguard.Revocation{Issuer: issuer, TokenID: "1"}); err != nil {
		t.Fatal(err)
	}
	one := wsguard.LimitConns(1, wsguard.PerUser)
	for name, row := range map[string]struct {
		guard  safeguard
		code   uint16
		reason string
	}{
		"a slot of the user":       {one, 0, ""},
		"no slot of the user left": {one, 1013, "connections_per_key"}, // the first is still there
		"a revoked token":          {revoked.Track(), 3000, "token_revoked"},
		"a token that is not":      {live.Track(), 0, ""},
		"types need their size":    {wsguard.ValidateMessages(wsguard.Messages{Types: map[string]wsguard.MessageType{"a": {Schema: typed("a"), MaxSize: 1 << 20, Scopes: []string{"x"}}}}), 1011, "safeguard_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			rec, url := strangers(t, people, echo, row.guard)
			if name == "no slot of the user left" {
				first := rawDial(t, url, "Origin: "+home)
				first.send(textFrame("ada"))
				next(t, rec.handshakes)
				defer func() { _ = first.Close(); next(t, rec.closes) }()
			}
			c := rawDial(t, url, "Origin: "+home)
			c.send(textFrame("ada"))
			if row.code != 0 {
				c.untilClose(row.code, strings.ReplaceAll(row.reason, "_", " "))
				_ = c.Close()
			}
			if e := next(t, rec.handshakes); reasonOf(e.Refusal) != row.reason {
				t.Errorf("%v, want %q", e.Refusal, row.reason)
			}
			if row.code == 0 {
				_ = c.Close()
				next(t, rec.closes)
			}
		})
	}
	if n := freeSlots(wsguard.Chain(wsguard.Authenticate(people, wsguard.FromHeader("X-Token")), one), func() *http.Request {
		r := requestFrom("192.0.2.1:1")()
		r.Header.Set("X-Token", "ada")
		return r
	}); n != 1 {
		t.Errorf("%d slots of the user are free, want 1", n)
	}
	if n := len(live.Connections(wsguard.AllConns())); n != 0 {
		t.Errorf("%d connections are in the registry", n)
	}
}

// A registry that shuts down lets no stranger in, and one that revokes a user
// ends those who have become one. (R34)
func TestFirstMessageIsTracked(t *testing.T) {
	ada := userOf(issuer, "ada")
	ada.IssuedAt = time.Now()
	var r wsguard.Registry
	rec, url := strangers(t, fixedTokens{"ada": ada}, echo, r.Track())
	c, late := rawDial(t, url, "Origin: "+home), rawDial(t, url, "Origin: "+home)
	c.send(textFrame("ada"))
	next(t, rec.handshakes)
	if found := r.Connections(wsguard.ConnsOfUser(issuer, "ada")); len(found) != 1 || found[0].Conn.Subject != "ada" {
		t.Errorf("%+v", found)
	}
	if n, err := r.Revoke(wsguard.Revocation{Issuer: issuer, Subject: "ada", IssuedBefore: time.Now().Add(time.Second)}); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	c.untilClose(3000, "token revoked")
	_ = c.Close()
	next(t, rec.closes)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if cut, err := r.Shutdown(ctx); cut != 0 || err != nil {
		t.Errorf("%d, %v", cut, err)
	}
	late.send(textFrame("ada"))
	late.untilClose(1001, "shutting down")
	_ = late.Close()
	rec.wantRejected(t, "shutting_down")
}

// There is room for so many strangers, of one address and in all, and each
// place is free again when they are somebody, or gone. (R47)
func TestFirstMessageWaiting(t *testing.T) {
	rec := newRecorder()
	source := wsguard.FromFirstMessage(20*time.Second).Waiting(3, 2)
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.TrustProxies(netip.MustParsePrefix("127.0.0.0/8")),
		wsguard.AllowOrigins(home), wsguard.Authenticate(fixedTokens{"good": userOf(issuer, "ada")}, source))(wsguard.Handler(echo)))
	from := func(addr string, status int, reason string) *peer {
		t.Helper()
		p := knock(t, url, "Origin: "+home, "X-Forwarded-For: "+addr, "X-Forwarded-Proto: https")
		if status != 101 {
			wantOutcome(t, rec, p, status, reason)
		} else if p.resp.StatusCode != 101 {
			t.Fatalf("%s, %v", p.resp.Status, next(t, rec.handshakes).Refusal)
		}
		return p
	}
	for range 3 {
		a, b := from("192.0.2.1", 101, ""), from("192.0.2.1", 101, "")
		from("192.0.2.1", 429, "connections_per_key")
		c := from("2001:db8::1", 101, "")
		from("192.0.2.9", 503, "connections_total")
		if _, err := a.Write(textFrame("good")); err != nil { // is somebody, and stays
			t.Fatal(err)
		}
		if e := next(t, rec.handshakes); e.Refusal != nil {
			t.Fatal(e.Refusal)
		}
		d := from("192.0.2.1", 101, "")
		for _, p := range []*peer{b, c, d} {
			_ = p.Close()
			rec.wantRejected(t, "token_missing")
		}
	}
}

// Failures in the first message are counted as those in a handshake are. (R46)
func TestFirstMessageAttempts(t *testing.T) {
	rec := newRecorder()
	url := newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer),
		wsguard.LimitAttempts(wsguard.AttemptLimit{Rate: 0.001, Burst: 20, FailureCost: 10, Key: wsguard.PerIP}),
		wsguard.Authenticate(fixedTokens{}, wsguard.FromFirstMessage(20*time.Second)))(wsguard.Handler(echo)))
	for range 2 {
		c := rawDial(t, url)
		c.send(textFrame("guess"))
		c.untilClose(3000, "token invalid")
		_ = c.Close()
		rec.wantRejected(t, "token_invalid")
	}
	wantOutcome(t, rec, knock(t, url), 429, "handshake_rate")
}
