package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lestrrat-go/jwx/v2/jws"
)

// algorithms are those that tokens of the part handshake are signed with.
var algorithms = []jwa.SignatureAlgorithm{jwa.ES256, jwa.RS256, jwa.EdDSA, jwa.HS256}

// coderVerified is the least that a bare handshake with a token does: it
// verifies the signature, and none of the claims.
func coderVerified(i *issuer, _ sample) (http.Handler, error) {
	echo := coderEcho()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := jws.Verify([]byte(token), jws.WithKey(i.alg, i.public)); err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		echo.ServeHTTP(w, r)
	}), nil
}

// measureHandshakes is the CPU time of a server for a handshake on a connection
// of its own, with the connection's end, and for one that is refused, also
// where others were refused on the same connection before.
func measureHandshakes(p *plan) []Row {
	var figures []*figure
	accepted := func(s *server, n int) error { return onFresh(s, n, request(s.token), http.StatusSwitchingProtocols) }
	type step struct {
		f    *figure
		name string // of the row
		of   string // the contender
		do   func(*server, int) error
	}
	var steps []step
	const unit = "µs of server CPU a handshake"
	for _, alg := range algorithms {
		base := "coder-" + alg.String()
		f := newFigure("accepted with "+alg.String(), unit, title(base))
		if alg == jwa.ES256 { // as the chat's are
			f.beside(title("full"), title(base), 1.15)
		}
		figures = append(figures, f)
		steps = append(steps, step{f, title(base), base, accepted}, step{f, title("full"), "full-" + alg.String(), accepted})
	}
	f := newFigure("refused at the origin", unit)
	const fresh, kept, bareAccepted = "wsguard full, fresh connection", "wsguard full, kept-alive connection", "bare coder/websocket, accepted"
	f.beside(fresh, bareAccepted, 0.90)
	f.beside(kept, bareAccepted, 0.35)
	const leastFresh, leastKept = "net/http that answers 403, fresh connection", "net/http that answers 403, kept-alive connection"
	figures = append(figures, f)
	steps = append(steps,
		step{f, bareAccepted, "coder", accepted},
		step{f, leastFresh, "forbids", refusedFresh},
		step{f, fresh, "full", refusedFresh},
		step{f, leastKept, "forbids", refusedKept},
		step{f, kept, "full-kept", refusedKept})

	for round := range p.rounds {
		for _, step := range steps {
			if step.f.problems[step.name] != nil {
				continue
			}
			p.progress("round %d of %d: handshake %s: %s", round+1, p.rounds, step.f.name, step.name)
			micros, err := handshakeCPU(p, step.of, step.do)
			step.f.add(step.name, micros, err)
		}
	}
	var rows []Row
	for _, f := range figures {
		rows = append(rows, f.rows()...)
	}
	return inPart("handshake", rows)
}

func refusedFresh(s *server, n int) error { return onFresh(s, n, foreign(s), http.StatusForbidden) }
func refusedKept(s *server, n int) error  { return onOne(s, n, foreign(s), http.StatusForbidden) }

// foreign is a request from a page that nobody has allowed.
func foreign(s *server) string {
	return strings.Replace(request(s.token), origin, "https://evil.example", 1)
}

// handshakeCPU is one contender in one round.
func handshakeCPU(p *plan, name string, do func(*server, int) error) (micros float64, err error) {
	s, err := startServer(name, 0, p)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	if err := do(s, p.handshakes/10+1); err != nil { // warm
		return 0, err
	}
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	if err := do(s, p.handshakes); err != nil {
		return 0, err
	}
	after, err := s.usage()
	if err != nil {
		return 0, err
	}
	return float64(after.cpu-before.cpu) / 1e3 / float64(p.handshakes), nil
}

// onFresh sends a request n times, each on a connection of its own that is then
// reset.
func onFresh(s *server, n int, request string, want int) error {
	for range n {
		if err := onOne(s, 1, request, want); err != nil {
			return err
		}
	}
	return nil
}

// onOne sends a request n times on one connection, each after the answer to the
// one before it.
func onOne(s *server, n int, request string, want int) error {
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	_ = c.(*net.TCPConn).SetLinger(0)
	_ = c.SetDeadline(time.Now().Add(patience))
	answers := bufio.NewReader(c)
	for i := range n {
		if _, err := io.WriteString(c, request); err != nil {
			return err
		}
		r, err := http.ReadResponse(answers, nil)
		if err != nil {
			return fmt.Errorf("answer %d of %d: %w", i+1, n, err)
		}
		_, _ = io.Copy(io.Discard, r.Body)
		if r.StatusCode != want {
			return fmt.Errorf("answer %d of %d: %s, want %d", i+1, n, r.Status, want)
		}
	}
	return nil
}
