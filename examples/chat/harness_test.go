package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// A chat is one that runs for a test.
type chat struct {
	t      *testing.T
	base   string
	http   *http.Client
	log    *syncBuffer
	stop   context.CancelFunc
	status chan int // of the program, once it has ended

	dialRaw func(ctx context.Context, network, addr string) (net.Conn, error)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// start runs the program with flags, on a port of its own.
func start(t *testing.T, args ...string) *chat {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := &chat{t: t, log: new(syncBuffer), stop: stop, status: make(chan int, 1)}
	out, stdout := io.Pipe()
	go func() {
		status := run(ctx, append([]string{"-addr", "127.0.0.1:0"}, args...), stdout, c.log)
		stdout.Close()
		c.status <- status
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	base, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "listening on ")
	if !ok {
		t.Fatalf("the chat did not start: %q, %v, %s", line, err, c.log)
	}
	rest := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(out)
		rest <- string(b)
	}()
	c.base = base
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	c.http = &http.Client{Transport: transport}
	t.Cleanup(func() {
		stop()
		if status := <-c.status; status != 0 {
			t.Errorf("the chat ended with status %d", status)
		}
		if more := <-rest; more != "" {
			t.Errorf("more on standard output: %q", more)
		}
		transport.CloseIdleConnections()
	})
	return c
}

// A pipeListener accepts connections in memory, for tests in fake time.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (l *pipeListener) dial(context.Context, string, string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- pipeConn{theirs}:
		return ours, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

type pipeConn struct{ net.Conn }

func (pipeConn) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 40000} }

// startInMemory runs the chat within a bubble of testing/synctest, which also
// fails if one of its goroutines is left at the end.
func startInMemory(t *testing.T, args ...string) *chat {
	t.Helper()
	config, err := parseFlags(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &chat{t: t, log: new(syncBuffer), stop: stop, status: make(chan int, 1)}
	l := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
	ready := make(chan string, 1)
	go func() {
		err := serveChat(ctx, config, l, slog.New(slog.NewTextHandler(c.log, nil)), func(base string) { ready <- base })
		if err != nil {
			t.Error(err)
		}
		c.status <- 0
	}()
	c.base = <-ready
	c.dialRaw = l.dial
	transport := &http.Transport{DialContext: l.dial}
	c.http = &http.Client{Transport: transport}
	t.Cleanup(func() {
		stop()
		<-c.status
		transport.CloseIdleConnections()
	})
	return c
}

// login returns a token.
func (c *chat) login(user string) string {
	c.t.Helper()
	response, err := c.http.PostForm(c.base+"/login", url.Values{"user": {user}})
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct{ Token string }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || response.StatusCode != http.StatusOK {
		c.t.Fatalf("POST /login: %s, %v", response.Status, err)
	}
	return answer.Token
}

// A handshake is how a test connects. The zero handshake is refused.
type handshake struct {
	header    http.Header
	query     string
	protocols []string
}

func (c *chat) handshake(token string) handshake {
	return handshake{header: http.Header{"Origin": {c.base}}, protocols: []string{"chat.v1", "bearer." + token}}
}

func (c *chat) try(h handshake) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Second)
	defer cancel()
	host := h.header.Get("Host")
	return websocket.Dial(ctx, c.base+"/ws"+h.query, &websocket.DialOptions{
		HTTPClient: c.http, HTTPHeader: h.header, Host: host, Subprotocols: h.protocols,
	})
}

// A client is a connection of a user.
type client struct {
	t *testing.T
	*websocket.Conn
}

func (c *chat) dial(h handshake) *client {
	c.t.Helper()
	conn, response, err := c.try(h)
	if err != nil {
		c.t.Fatalf("%v, %v\n%s", err, response, c.log)
	}
	c.t.Cleanup(func() { conn.CloseNow() })
	return &client{c.t, conn}
}

// connect logs a user in, connects and joins a room.
func (c *chat) connect(user, room string) *client {
	c.t.Helper()
	cl := c.dial(c.handshake(c.login(user)))
	cl.send(`{"type":"join","room":"` + room + `"}`)
	cl.expect("joined", user)
	return cl
}

func (c *client) send(message string) {
	c.t.Helper()
	if err := c.Write(c.t.Context(), websocket.MessageText, []byte(message)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() (serverMessage, error) { return c.readWithin(time.Minute) }

func (c *client) readWithin(d time.Duration) (m serverMessage, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	_, data, err := c.Read(ctx)
	if err == nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

// expect reads the next message.
func (c *client) expect(typ, from string) serverMessage {
	c.t.Helper()
	m, err := c.read()
	if err != nil || m.Type != typ || m.From != from {
		c.t.Fatalf("got %+v, %v, want %s from %q", m, err, typ, from)
	}
	return m
}

// expectClose reads until the connection is closed.
func (c *client) expectClose(code websocket.StatusCode, reason string) {
	c.t.Helper()
	c.expectCloseWithin(time.Minute, code, reason)
}

func (c *client) expectCloseWithin(d time.Duration, code websocket.StatusCode, reason string) {
	c.t.Helper()
	for {
		_, err := c.readWithin(d)
		if err == nil {
			continue
		}
		var closed websocket.CloseError
		if !errors.As(err, &closed) || closed.Code != code || closed.Reason != reason {
			c.t.Fatalf("got %v, want close code %d %q", err, code, reason)
		}
		return
	}
}
