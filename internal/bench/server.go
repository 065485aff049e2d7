package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lestrrat-go/jwx/v2/jwa"
)

// serveContender is a server process for messages like a sample's. It prints
// its address and a token that opens a connection, answers each line that it is
// sent with one line, and ends with its standard input.
func serveContender(name string, s sample, profiles string, commands io.Reader, answers io.Writer) (err error) {
	if profiles != "" {
		finish, err := profile(profiles, name)
		if err != nil {
			return err
		}
		defer finish()
	}
	at := slices.IndexFunc(contenders, func(c contender) bool { return c.name == name })
	if at < 0 {
		return fmt.Errorf("no contender is called %q", name)
	}
	i, err := newIssuer(cmp.Or(contenders[at].alg, jwa.ES256))
	if err != nil {
		return err
	}
	token, err := i.token()
	if err != nil {
		return err
	}
	handler, err := contenders[at].handler(i, s)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: handler}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	defer func() { _ = srv.Close() }()
	fmt.Fprintln(answers, l.Addr(), token)

	lines := bufio.NewScanner(commands)
	for lines.Scan() {
		select {
		case err := <-failed:
			return err
		default:
		}
		switch lines.Text() {
		case "gc":
			// Twice, because what sync.Pools hold survives the first.
			debug.FreeOSMemory()
			debug.FreeOSMemory()
			fmt.Fprintln(answers, "done")
		case "stats":
			fmt.Fprintln(answers, ownCPU().Nanoseconds(), runtime.NumGoroutine())
		default:
			return fmt.Errorf("%q is no command", lines.Text())
		}
	}
	return lines.Err()
}

// A server is a contender in a process of its own.
type server struct {
	addr  string
	token string // opens a connection
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader

	held    net.Conn // a connection that stays
	tickets []string // that open connections
}

// startServer runs this command again as the server of a contender, for
// messages like those of samples[of].
func startServer(name string, of int, p *plan) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := []string{"-serve", name, "-sample", strconv.Itoa(of)}
	if p.profiles != "" {
		args = append(args, "-profile", p.profiles)
	}
	s, err := spawn(exec.Command(self, args...), p.log)
	if err != nil {
		return nil, err
	}
	line, err := s.line()
	if err == nil {
		_, err = fmt.Sscan(line, &s.addr, &s.token)
	}
	if err != nil {
		s.stop()
		return nil, fmt.Errorf("%s did not start: %w", name, err)
	}
	return s, nil
}

// spawn starts a process that answers lines with lines.
func spawn(cmd *exec.Cmd, stderr io.Writer) (*server, error) {
	s := &server{cmd: cmd}
	cmd.Stderr = stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReader(out)
	return s, cmd.Start()
}

func (s *server) line() (string, error) {
	defer s.impatiently()()
	line, err := s.out.ReadString('\n')
	if errors.Is(err, io.EOF) {
		err = errors.New("the server process has ended")
	}
	return strings.TrimSpace(line), err
}

func (s *server) ask(command string) (string, error) {
	if _, err := fmt.Fprintln(s.in, command); err != nil {
		return "", err
	}
	return s.line()
}

// freeMemory makes the server give back to the system what it does not use.
func (s *server) freeMemory() error {
	_, err := s.ask("gc")
	return err
}

// A usage is what a server has used so far.
type usage struct {
	cpu        time.Duration
	goroutines int
}

func (s *server) usage() (u usage, err error) {
	line, err := s.ask("stats")
	if err != nil {
		return u, err
	}
	_, err = fmt.Sscan(line, (*int64)(&u.cpu), &u.goroutines)
	return u, err
}

// stop ends the process and waits for it.
func (s *server) stop() {
	defer s.impatiently()()
	_ = s.in.Close()
	_ = s.cmd.Wait()
}

// impatiently kills a process that does not do its work in time. What it
// returns says that the work is done.
func (s *server) impatiently() (done func() bool) {
	return time.AfterFunc(patience, func() { _ = s.cmd.Process.Kill() }).Stop
}
