package wsguardtest

import (
	"crypto/tls"
	"net/http"
	"strings"
)

var transportVectors = []Vector{
	{Name: "transport/plaintext", Requirements: []string{"R01", "R02"}, CWE: 319,
		What: "The handshake comes over plain HTTP to an endpoint of TLS.", run: inPlaintext()},
	{Name: "transport/plaintext-forged-proxy", Requirements: []string{"R01", "R52"}, CWE: 290,
		What: "The handshake comes over plain HTTP, with forwarding headers that say that it was TLS.",
		run:  inPlaintext("X-Forwarded-Proto: https", "X-Forwarded-Ssl: on", "Forwarded: for=192.0.2.1;proto=https")},
	{Name: "transport/tls-1.1", Requirements: []string{"R03"}, CWE: 327,
		What: "The client speaks no TLS above 1.1.", run: func(a *try) outcome {
			if a.h.tls == nil {
				return unjudged("the target has no TLS")
			}
			old := a.h.tls.Clone()
			old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
			nc, err := a.dial(a.h.addr, old)
			if silent(err) {
				return unjudged("there was no response in time")
			}
			if err == nil {
				_ = nc.Close()
				token, err := a.token()
				if err != nil {
					return unjudged("%v", err)
				}
				return judge(a.knockAt(a.h.addr, old, a.good(token).bytes()))
			}
			return passed("there is no TLS of that version")
		}},
	{Name: "transport/plain-get", Requirements: []string{"R45"}, CWE: 444,
		What: "A request asks for no upgrade.", run: changed(func(_ *try, r *request) {
			r.set("Connection").set("Upgrade").set("Sec-WebSocket-Key").set("Sec-WebSocket-Version")
		})},
	{Name: "transport/post", Requirements: []string{"R53"}, CWE: 650,
		What: "The handshake is a POST.", run: changed(func(_ *try, r *request) { r.method = "POST"; r.set("Content-Length", "0") })},
	{Name: "transport/http-1.0", Requirements: []string{"R51"}, CWE: 444,
		What: "The handshake is one of HTTP/1.0, which has no upgrade.", run: changed(func(_ *try, r *request) { r.proto = "HTTP/1.0" })},
	{Name: "transport/version-8", Requirements: []string{"R51"}, CWE: 757,
		What: "The handshake asks for a draft of the protocol.", run: changed(header1("Sec-WebSocket-Version", "8"))},
	{Name: "transport/no-version", Requirements: []string{"R51"}, CWE: 757,
		What: "The handshake names no version, as Hixie-76 did not.", run: changed(header1("Sec-WebSocket-Version"))},
	{Name: "transport/no-key", Requirements: []string{"R51"}, CWE: 444,
		What: "The handshake has no key.", run: changed(header1("Sec-WebSocket-Key"))},
	{Name: "transport/short-key", Requirements: []string{"R51"}, CWE: 20,
		What: "The handshake's key has eight bytes where it needs sixteen.", run: changed(header1("Sec-WebSocket-Key", "AAECAwQFBgc="))},
	{Name: "transport/two-keys", Requirements: []string{"R51"}, CWE: 444,
		What: "The handshake has two keys.", run: changed(header1("Sec-WebSocket-Key", key, "//////////////////////8="))},
	{Name: "transport/deflate", Requirements: []string{"R50"}, CWE: 409,
		What: "The client offers compression, which lets small frames become large messages and leaks secrets by length.", run: noDeflate},
}

func header1(name string, values ...string) func(*try, *request) {
	return func(_ *try, r *request) { r.set(name, values...) }
}

func inPlaintext(lines ...string) func(*try) outcome {
	return func(a *try) outcome {
		if a.h.plain == "" {
			return unjudged("only a Handler with TLS can be asked both with and without it")
		}
		token, err := a.token()
		if err != nil {
			return unjudged("%v", err)
		}
		r := a.good(token)
		r.lines = append(r.lines, lines...)
		return judge(a.knockAt(a.h.plain, nil, r.bytes()))
	}
}

func noDeflate(a *try) outcome {
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	p, err := a.knock(a.good(token).set("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits"))
	switch {
	case err != nil:
		return unjudged("there was no response")
	case p.resp.StatusCode != http.StatusSwitchingProtocols:
		return unjudged("the handshake with the offer was answered with %d", p.resp.StatusCode)
	case strings.Contains(p.resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"):
		return failed("it was negotiated")
	}
	return passed("the offer was ignored")
}
