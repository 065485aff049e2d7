package wsguardtest

import (
	"net/http"
	"strings"
)

var leakVectors = []Vector{
	{Name: "leaks/refused-token", Requirements: []string{"R57"}, CWE: 209,
		What: "A bad token is refused, and must not be in the response.", run: func(a *try) outcome {
			if a.p.Token == nil {
				return unjudged("the profile says no token")
			}
			return a.unquoted(a.good(canary), canary)
		}},
	{Name: "leaks/accepted-token", Requirements: []string{"R57"}, CWE: 200,
		What: "A good token is accepted, and must not be in the response.", run: func(a *try) outcome {
			token, err := a.token()
			if err != nil || token == "" {
				return unjudged("the profile says no token")
			}
			return a.unquoted(a.good(token), token)
		}},
	{Name: "leaks/refused-origin", Requirements: []string{"R57"}, CWE: 79,
		What: "A foreign origin is refused, and must not be in the response.", run: func(a *try) outcome {
			if a.p.Origin == "" {
				return unjudged("the profile says no origin")
			}
			token, err := a.token()
			if err != nil {
				return unjudged("%v", err)
			}
			return a.unquoted(a.good(token).set("Origin", "https://"+page+".example"), page)
		}},
	{Name: "leaks/internals", Requirements: []string{"R57"}, CWE: 209,
		What: "Broken handshakes are refused, and nothing of the inside is in the responses.", run: internals},
	{Name: "leaks/close-reason", Requirements: []string{"R57"}, CWE: 209,
		What: "A broken message is refused, and is not in the close reason.", run: closeReason},
	{Name: "leaks/token-in-log", Requirements: []string{"R55", "R14"}, CWE: 532, alone: true,
		What: "Good and bad tokens are not in the log.", run: tokenInLog},
	{Name: "leaks/message-in-log", Requirements: []string{"R55"}, CWE: 532, alone: true,
		What: "A broken message is not in the log.", run: messageInLog},
	{Name: "leaks/log-injection", Requirements: []string{"R56"}, CWE: 117, alone: true,
		What: "A URL has an escaped line break in it, and no line of the log is forged.", run: logInjection},
}

// What is looked for where it must not be: a token, and the name of a page,
// which a log may well have.
const (
	canary = "kitcanary7f3a9c51d2"
	page   = "kitpage50b2e7"
)

// unquoted judges whether a response quotes something.
func (a *try) unquoted(r *request, secret string) outcome {
	p, err := a.ask(r)
	switch {
	case silent(err):
		return unjudged("there was no response in time")
	case err != nil:
		return passed("there was no response")
	}
	var all strings.Builder
	_ = p.resp.Header.Write(&all)
	all.WriteString(p.body)
	if strings.Contains(all.String(), secret) {
		return failed("the response of status %d quotes it", p.resp.StatusCode)
	}
	return passed("it is not in the response of status %d", p.resp.StatusCode)
}

func internals(a *try) outcome {
	for _, edit := range []func(*request) *request{
		func(r *request) *request { return r.set("Sec-WebSocket-Version", "8") },
		func(r *request) *request { return r.set("Sec-WebSocket-Key", "%%%") },
		func(r *request) *request { return r.set("Origin", "http://[::1") },
		func(r *request) *request { return r.set("Authorization", "Bearer a.b.c") },
	} {
		p, err := a.ask(edit(a.good("")))
		if silent(err) {
			return unjudged("there was no response in time")
		}
		if err != nil || p.resp.StatusCode == http.StatusSwitchingProtocols {
			continue
		}
		for _, inside := range []string{".go:", "goroutine ", "runtime error", "panic:", "jwt:", "jwx"} {
			if strings.Contains(p.body, inside) {
				return failed("a response of status %d tells of the inside (%q)", p.resp.StatusCode, inside)
			}
		}
	}
	return passed("no response tells of the inside")
}

func closeReason(a *try) outcome {
	p, why := a.connect()
	if why != nil {
		return *why
	}
	_ = p.send(frame(fin|opText, `{"`+canary+`":`))
	if !p.ended(a.ctx, a.p.Patience/2) {
		return unjudged("the server does not end a connection for a broken message")
	}
	p.how() // waits for nothing
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.Contains(p.reason, canary) {
		return failed("the close reason quotes the message")
	}
	return passed("the close reason does not quote it")
}

func tokenInLog(a *try) outcome {
	if a.p.Log == nil || a.p.Token == nil {
		return unjudged("the profile has no log, or no token")
	}
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	for _, r := range []*request{a.good(token), a.good(canary), a.good("").query("token", canary)} {
		p, err := a.ask(r)
		if silent(err) {
			return unjudged("there was no response in time")
		}
		if err == nil {
			_ = p.conn.Close()
		}
	}
	a.pause(a.p.Patience / 10)
	if log := a.p.Log(); strings.Contains(log, token) || strings.Contains(log, canary) {
		return failed("the log has a token in it")
	}
	return passed("the log has no token in it")
}

func messageInLog(a *try) outcome {
	if a.p.Log == nil {
		return unjudged("the profile has no log")
	}
	p, why := a.connect()
	if why != nil {
		return *why
	}
	const secret = "kitsecret41b8e0"
	_ = p.send(frame(fin|opText, `{"`+secret+`":`))
	if !p.ended(a.ctx, a.p.Patience/4) && a.exchange(p) != nil && !p.gone() {
		return unjudged("neither was it refused, nor a good message after it answered")
	}
	a.pause(a.p.Patience / 10)
	if strings.Contains(a.p.Log(), secret) {
		return failed("the log has the message in it")
	}
	return passed("the log does not have the message in it")
}

func logInjection(a *try) outcome {
	if a.p.Log == nil {
		return unjudged("the profile has no log")
	}
	const line = "\nlevel=INFO msg=forged"
	if _, err := a.ask(a.good("").query("x", line).set("User-Agent", "x\tlevel=INFO")); silent(err) {
		return unjudged("there was no response in time")
	}
	a.pause(a.p.Patience / 10)
	if strings.Contains(a.p.Log(), line) {
		return failed("the log has a forged line")
	}
	return passed("the log has no forged line")
}
