package wsguardtest

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// key is the Sec-WebSocket-Key of every handshake: what it is does not matter.
const key = "AAECAwQFBgcICQoLDA0ODw=="

// A request is a handshake in the making, line by line, so that any of them can
// be wrong.
type request struct {
	method, target, proto string
	lines                 []string // "Name: value"
}

// good returns the handshake of the good client with a token in its place, or
// without one if it is "".
func (a *try) good(token string) *request { return a.with(a.p.TokenIn, token) }

func (a *try) with(place, token string) *request {
	r := &request{method: "GET", target: a.h.path, proto: "HTTP/1.1"}
	r.lines = []string{"Host: " + a.h.name, "Connection: Upgrade", "Upgrade: websocket",
		"Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + key}
	if a.p.Origin != "" {
		r.lines = append(r.lines, "Origin: "+a.p.Origin)
	}
	r.lines = append(r.lines, a.p.Header...)
	protocols := slices.Clone(a.p.Subprotocols)
	kind, name, _ := strings.Cut(place, ":")
	switch {
	case token == "":
	case kind == "header" && strings.EqualFold(name, "Authorization"):
		r.lines = append(r.lines, "Authorization: Bearer "+token)
	case kind == "header":
		r.lines = append(r.lines, name+": "+token)
	case kind == "cookie":
		r.lines = append(r.lines, "Cookie: "+name+"="+token)
	case kind == "subprotocol":
		protocols = append(protocols, name+token)
	case kind == "query":
		r.query(name, token)
	}
	if len(protocols) > 0 {
		r.lines = append(r.lines, "Sec-WebSocket-Protocol: "+strings.Join(protocols, ", "))
	}
	return r
}

func (r *request) query(name, value string) *request {
	mark := "?"
	if strings.Contains(r.target, "?") {
		mark = "&"
	}
	r.target += mark + url.QueryEscape(name) + "=" + url.QueryEscape(value)
	return r
}

// set replaces all lines of a name with the values, of which there may be none.
func (r *request) set(name string, values ...string) *request {
	r.lines = slices.DeleteFunc(r.lines, func(line string) bool {
		n, _, _ := strings.Cut(line, ":")
		return strings.EqualFold(n, name)
	})
	for _, v := range values {
		r.lines = append(r.lines, name+": "+v)
	}
	return r
}

func (r *request) bytes() []byte {
	return []byte(r.method + " " + r.target + " " + r.proto + "\r\n" + strings.Join(r.lines, "\r\n") + "\r\n\r\n")
}

// token asks the profile for a good token, "" if there are none.
func (a *try) token() (string, error) {
	if a.p.Token == nil {
		return "", nil
	}
	ctx, cancel := context.WithTimeout(a.ctx, a.p.Patience)
	defer cancel()
	token, err := a.p.Token(ctx)
	if err != nil {
		return "", fmt.Errorf("the profile's Token: %w", err)
	}
	return token, nil
}
