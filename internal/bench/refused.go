package main

import (
	"net/http"
	"strings"
)

// refusals are handshakes that are refused: at the origin, on connections of
// their own and where others were refused on the same one before; and by the
// other safeguards.
func refusals() []step {
	const (
		accepted   = "bare coder/websocket, accepted"
		leastFresh = "net/http that answers 403, fresh connection"
		leastKept  = "net/http that answers 403, kept-alive connection"
		fresh      = "wsguard full, fresh connection"
		kept       = "wsguard full, kept-alive connection"
	)
	f := newFigure("refused at the origin", handshakeUnit)
	f.beside(fresh, accepted, 0.90)
	f.beside(kept, accepted, 0.35)
	foreign := func(do func(*server, int, string, int) error) func(*server, int) error {
		return func(s *server, n int) error {
			return do(s, n, instead(s, origin, "https://evil.example"), http.StatusForbidden)
		}
	}
	good := func(s *server, n int) error { return onFresh(s, n, request(s.token), http.StatusSwitchingProtocols) }
	steps := []step{
		{f: f, title: accepted, of: "coder", do: good},
		{f: f, title: leastFresh, of: "forbids", do: foreign(onFresh)},
		{f: f, title: fresh, of: "full", do: foreign(onFresh)},
		{f: f, title: leastKept, of: "forbids", do: foreign(onOne)},
		{f: f, title: kept, of: "full-kept", do: foreign(onOne)},
	}

	f = newFigure("refused by other safeguards, on a fresh connection", handshakeUnit, accepted)
	steps = append(steps, step{f: f, title: accepted, of: "coder", do: good})
	for _, row := range []struct {
		title, of  string
		prepare    func(*server, int) error
		old, other string
		status     int
	}{
		{"AllowHosts", "full", nil, host, "evil.example", http.StatusMisdirectedRequest},
		{"LimitConns", "full-conns", holdOne, "", "", http.StatusServiceUnavailable},
		{"LimitHandshakes", "full-rate", holdOne, "", "", http.StatusTooManyRequests},
		{"Authenticate, no token", "full", nil, "Authorization", "X-Nothing", http.StatusUnauthorized},
		{"Authenticate, what is no JWT", "full", nil, "Bearer ", "Bearer x", http.StatusUnauthorized},
		{"Authenticate, signed by another", "full-stranger", nil, "", "", http.StatusUnauthorized},
	} {
		steps = append(steps, step{f: f, title: row.title, of: row.of, prepare: row.prepare, do: func(s *server, n int) error {
			return onFresh(s, n, instead(s, row.old, row.other), row.status)
		}})
	}
	return steps
}

// holdOne opens a connection that stays.
func holdOne(s *server, _ int) error {
	c, err := dial(s, chatMessage, 1)
	s.held = c
	return err
}

// instead is a request with something else in it.
func instead(s *server, old, other string) string {
	return strings.Replace(request(s.token), old, other, 1)
}
