package wsguardtest

import (
	"bytes"
	"compress/flate"
	"net/http"
	"strings"
)

// deflateBomb sends a bomb where compression is negotiated. A server that takes
// the whole message, or does not end the connection, is not bounded by what it
// inflates.
func deflateBomb(a *try) outcome {
	token, err := a.token()
	if err != nil {
		return unjudged("%v", err)
	}
	p, err := a.knock(a.good(token).set("Sec-WebSocket-Extensions", "permessage-deflate; client_no_context_takeover; server_no_context_takeover"))
	switch {
	case err != nil || p.resp.StatusCode != http.StatusSwitchingProtocols:
		return unjudged("the handshake that offers compression is not accepted")
	case !strings.Contains(p.resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate"):
		return passed("no compression is negotiated")
	}
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return unjudged("the bomb cannot be made")
	}
	// Compressed, it has a fifth of what is claimed, so that a limit which
	// counts before inflating does not see it.
	size := 16 << 20
	if claim := a.p.Claims.MessageBytes; claim > 0 {
		size = max(claim+(64<<10), min(size, 200*claim)) // above the claim, too
	}
	_, _ = w.Write(bytes.Repeat([]byte("0"), size))
	_ = w.Flush()
	bomb := strings.TrimSuffix(b.String(), "\x00\x00\xff\xff") // RFC 7692, section 7.2.1
	p.listen()
	_ = p.send(frame(fin|0x40|opText, bomb))
	over, why := a.happens(a.p.Patience, p.ended)
	if why != nil {
		return *why
	}
	p.mu.Lock()
	huge := p.huge
	p.mu.Unlock()
	if over && !huge && len(p.answers) == 0 {
		return passed("%s", p.how())
	}
	return failed("%d bytes were inflated to %d", len(bomb), size)
}
