package wsguardtest

import (
	"context"
	"net/http"
	"time"
)

var timeVectors = []Vector{
	timeRow("half-open", "R48", 772, "A client vanishes without a word, and answers no ping.", "DeadPeer",
		func(c Claims) time.Duration { return c.DeadPeer }, func(a *try, p *peer) { p.mute = true }),
	timeRow("idle", "R27", 613, "A client answers pings, and sends no message.", "Idle",
		func(c Claims) time.Duration { return c.Idle }, func(a *try, p *peer) {
			p.listen()
			_ = a.exchange(p)
		}),
	timeRow("first-message", "R27", 772, "A client connects, and says nothing.", "FirstMessage",
		func(c Claims) time.Duration { return c.FirstMessage }, func(*try, *peer) {}),
	timeRow("lifetime", "R27", 613, "A client sends messages, and stays.", "Lifetime",
		func(c Claims) time.Duration { return c.Lifetime }, func(a *try, p *peer) {
			p.listen()
			end := time.Now().Add(a.p.Claims.Lifetime)
			for every := max(a.p.Claims.Lifetime/10, 20*time.Millisecond); time.Now().Before(end) && !p.gone(); a.pause(every) {
				_ = p.send(frame(fin|opText, a.p.Message))
			}
		}),
	timeRow("half-header", "R49", 400, "The first byte of a frame comes, and no other.", "Stall", stall,
		func(_ *try, p *peer) { _ = p.send([]byte{fin | opText}) }),
	timeRow("half-control", "R49", 400, "Half of a ping comes, and no more.", "Stall", stall,
		func(_ *try, p *peer) { _ = p.send(frame(fin|opPing, "hello")[:8]) }),
	timeRow("half-message", "R49", 400, "A message is begun, and never continued.", "Stall", stall,
		func(_ *try, p *peer) { _ = p.send(frame(opText, "{")) }),
	timeRow("dripped-message", "R49", 400, "A message comes at ten bytes a second.", "Stall", stall,
		func(a *try, p *peer) {
			p.listen()
			_ = p.send(header(fin|opText, 400))
			for range int((a.p.Claims.Stall + a.p.Patience/2) / (100 * time.Millisecond)) {
				if p.gone() || p.send([]byte{0x5A}) != nil || !a.pause(100*time.Millisecond) {
					return
				}
			}
		}),
	{Name: "time/reader-that-stops", Requirements: []string{"R49"}, CWE: 400,
		What: "A client asks for much, and reads none of it.", run: stopsReading, alone: true},
	{Name: "time/token-expires", Requirements: []string{"R25"}, CWE: 613, waits: true,
		What: "The token of an open connection expires.", run: tokenExpires},
	{Name: "time/slow-handshake", Requirements: []string{"R49"}, CWE: 400, waits: true,
		What: "Half a request comes, and no more.", run: slowHandshake},
}

func stall(c Claims) time.Duration { return c.Stall }

func timeRow(name, requirement string, cwe int, what, claim string, of func(Claims) time.Duration, do func(*try, *peer)) Vector {
	return Vector{Name: "time/" + name, Requirements: []string{requirement}, CWE: cwe, What: what, waits: true, run: func(a *try) outcome {
		d := of(a.p.Claims)
		if why := claimed(claim, d); why != nil {
			return *why
		}
		p, why := a.deaf()
		if why != nil {
			return *why
		}
		started := time.Now()
		do(a, p)
		if !p.listening {
			p.listen()
		}
		return a.cut(p, d, started)
	}}
}

// stopsReading sends the good message until the server, which cannot get rid of
// its answers, takes no more; it has to end the connection within its claim.
func stopsReading(a *try) outcome {
	d := a.p.Claims.Stall
	if why := claimed("Stall", d); why != nil {
		return *why
	}
	if a.p.Message == "" {
		return unjudged("the profile has no message")
	}
	p, why := a.deaf()
	if why != nil {
		return *why
	}
	batch := frame(fin|opText, a.p.Message)
	for len(batch) < 32<<10 {
		batch = append(batch, batch...)
	}
	// What was taken just before may earn a second wait, and a close frame may be tried for a second.
	most := 2*d + time.Second + a.p.Patience
	for end := time.Now().Add(longest / 2); time.Now().Before(end); {
		began := time.Now()
		_ = p.conn.SetWriteDeadline(began.Add(most))
		_, err := p.conn.Write(batch)
		if err == nil {
			continue
		}
		waited := time.Since(began)
		if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
			if why := a.control(); why != nil {
				return *why
			}
			return failed("the server waits for a reader that has stopped for %v, where %v are claimed", most, d)
		}
		if waited < d/2 {
			return unjudged("the server ended the connection for its many requests, before it had to wait for its reader")
		}
		return passed("the socket was closed after %v", waited.Round(100*time.Millisecond))
	}
	return unjudged("the server never had to wait for its reader: its answers are too few")
}

// tokenExpires wants the connection to end with the token. What a leeway adds
// is waited for, too.
func tokenExpires(a *try) outcome {
	const life = 2 * time.Second
	if why := a.signs(); why != nil {
		return *why
	}
	if why := claimed("TokenLeeway", a.p.Claims.TokenLeeway); why != nil {
		return *why
	}
	token := a.p.Signer.Sign(nil, map[string]any{"exp": time.Now().Add(life).Unix()})
	p, err := a.ask(a.good(token))
	if err != nil || p.resp.StatusCode != http.StatusSwitchingProtocols {
		return unjudged("a token that is good for two seconds is not accepted")
	}
	return a.cut(p.listen(), life+a.p.Claims.TokenLeeway, time.Now())
}

func slowHandshake(a *try) outcome {
	d := a.p.Claims.Handshake
	if why := claimed("Handshake", d); why != nil {
		return *why
	}
	nc, err := a.dial(a.h.addr, a.h.tls)
	if err != nil {
		return unjudged("nothing answers")
	}
	_, _ = nc.Write([]byte("GET " + a.h.path + " HTTP/1.1\r\nHost: "))
	started := time.Now()
	switch over, why := a.happens(d+a.p.Patience, func(_ context.Context, wait time.Duration) bool {
		_ = nc.SetReadDeadline(time.Now().Add(wait))
		_, err := nc.Read(make([]byte, 1))
		return !silent(err)
	}); {
	case why != nil:
		return *why
	case !over:
		return failed("the server waits %v after the claimed %v", a.p.Patience, d)
	}
	return passed("the server ended it after %v", time.Since(started).Round(100*time.Millisecond))
}
