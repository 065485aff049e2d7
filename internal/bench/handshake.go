package main

import (
	"bufio"
	"encoding/json"
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

// A step is what one contender does for a figure, in each round.
type step struct {
	f     *figure
	title string // of the row
	of    string // the contender
	do    func(*server, int) error

	prepare func(s *server, n int) error // for n of them, or nil
}

// measureHandshakes is the CPU time of a server for a handshake on a connection
// of its own, with the connection's end, and for one that is refused.
func measureHandshakes(p *plan) []Row {
	steps := append(acceptances(), refusals()...)
	for round := range p.rounds {
		for _, step := range steps {
			if step.f.problems[step.title] != nil {
				continue
			}
			p.progress("round %d of %d: handshake %s: %s", round+1, p.rounds, step.f.name, step.title)
			micros, err := handshakeCPU(p, step)
			step.f.add(step.title, micros, err)
		}
	}
	var rows []Row
	var done *figure
	for _, step := range steps {
		if step.f != done {
			rows = append(rows, step.f.rows()...)
			done = step.f
		}
	}
	return inPart("handshake", rows)
}

const handshakeUnit = "µs of server CPU a handshake"

// acceptances are handshakes that are accepted, with tokens and tickets.
func acceptances() (steps []step) {
	withToken := func(s *server, n int) error { return onFresh(s, n, request(s.token), http.StatusSwitchingProtocols) }
	for _, alg := range algorithms {
		base := "coder-" + alg.String()
		f := newFigure("accepted with "+alg.String(), handshakeUnit, title(base))
		if alg == jwa.ES256 { // as the chat's are
			f.beside(title("full"), title(base), 1.15)
		}
		steps = append(steps, step{f: f, title: title(base), of: base, do: withToken},
			step{f: f, title: title("full"), of: "full-" + alg.String(), do: withToken})
	}
	f := newFigure("accepted with a ticket", handshakeUnit, title("coder"))
	return append(steps, step{f: f, title: title("coder"), of: "coder", do: withToken},
		step{f: f, title: title("full-ticket"), of: "full-ticket", do: withTickets, prepare: askForTickets})
}

// withTickets spends a ticket on each connection.
func withTickets(s *server, n int) error {
	for range n {
		ask := strings.Replace(instead(s, "/ws", "/ws?ticket="+s.tickets[0]), "Authorization", "X-Nothing", 1)
		s.tickets = s.tickets[1:]
		if err := onFresh(s, 1, ask, http.StatusSwitchingProtocols); err != nil {
			return err
		}
	}
	return nil
}

// askForTickets asks on one connection, beforehand: it is another endpoint.
func askForTickets(s *server, n int) error {
	s.tickets = make([]string, 0, n)
	for range n {
		r, err := http.NewRequest(http.MethodPost, "http://"+s.addr+"/ticket", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Origin", origin)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		var given struct{ Ticket string }
		err = json.NewDecoder(answer.Body).Decode(&given)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || given.Ticket == "" {
			return fmt.Errorf("no ticket: %s, %v", answer.Status, err)
		}
		s.tickets = append(s.tickets, given.Ticket)
	}
	return nil
}

// handshakeCPU is one contender in one round.
func handshakeCPU(p *plan, step step) (micros float64, err error) {
	s, err := startServer(step.of, 0, p)
	if err != nil {
		return 0, err
	}
	defer s.stop()
	warm := p.handshakes/10 + 1
	if step.prepare != nil {
		if err := step.prepare(s, warm+p.handshakes); err != nil {
			return 0, err
		}
	}
	if err := step.do(s, warm); err != nil {
		return 0, err
	}
	before, err := s.usage()
	if err != nil {
		return 0, err
	}
	if err := step.do(s, p.handshakes); err != nil {
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
