package wsguard_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// patience bounds every wait of a test. Nothing waits as long if it is right.
const patience = 20 * time.Second

// TestMain fails if a test has left a goroutine behind.
func TestMain(m *testing.M) {
	code := m.Run()
	http.DefaultClient.CloseIdleConnections()
	if left := leaked(); code == 0 && left != "" {
		fmt.Fprintf(os.Stderr, "goroutines were left behind:\n\n%s\n", left)
		code = 1
	}
	os.Exit(code)
}

// leaked returns the stacks of the goroutines that do not end by themselves.
func leaked() string {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		left := others()
		if left == "" {
			return ""
		}
		select {
		case <-tick.C:
		case <-late:
			return left
		}
	}
}

// others returns the stacks of all goroutines but this one and those of the
// testing package's own signals.
func others() string {
	buf := make([]byte, 1<<20)
	stacks := bytes.Split(buf[:runtime.Stack(buf, true)], []byte("\n\n"))
	var left [][]byte
	for _, s := range stacks[1:] { // the first is this one
		if !bytes.Contains(s, []byte("os/signal.")) {
			left = append(left, s)
		}
	}
	return string(bytes.Join(left, []byte("\n\n")))
}

// echo sends back what it reads until the connection ends.
func echo(ctx context.Context, c *wsguard.Conn) error {
	for {
		typ, data, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, data); err != nil {
			return err
		}
	}
}

// wantEcho checks that a connection to echo is well.
func wantEcho(tb testing.TB, c *websocket.Conn) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.Write(ctx, websocket.MessageText, []byte("hi")); err != nil {
		tb.Fatal(err)
	}
	if _, data, err := c.Read(ctx); err != nil || string(data) != "hi" {
		tb.Fatalf("%q, %v", data, err)
	}
}

// newServer serves a handler until the test ends, and returns its URL.
func newServer(tb testing.TB, h http.Handler) string {
	tb.Helper()
	srv := httptest.NewServer(h)
	tb.Cleanup(srv.Close)
	return srv.URL
}

// dial connects with header lines such as "Origin: https://a.example". The
// connection ends with the test.
func dial(tb testing.TB, url string, lines ...string) (*websocket.Conn, *http.Response, error) {
	tb.Helper()
	options := &websocket.DialOptions{HTTPHeader: make(http.Header)}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimSpace(value); http.CanonicalHeaderKey(name) == "Sec-Websocket-Protocol" {
			options.Subprotocols = append(options.Subprotocols, value)
		} else {
			options.HTTPHeader.Add(name, value)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, resp, err := websocket.Dial(ctx, url, options)
	if err == nil {
		tb.Cleanup(func() { _ = c.CloseNow() })
	}
	return c, resp, err
}

// mustDial is dial for a handshake that has to be accepted.
func mustDial(tb testing.TB, url string, lines ...string) *websocket.Conn {
	tb.Helper()
	c, _, err := dial(tb, url, lines...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// goodHandshake is what knock sends where it is not told otherwise.
var goodHandshake = []string{
	"GET / HTTP/1.1",
	"Host: chat.example.com",
	"Connection: Upgrade",
	"Upgrade: websocket",
	"Sec-WebSocket-Version: 13",
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
	"Sec-WebSocket-Extensions: permessage-deflate", // to be ignored (R50)
}

// A peer is a client that writes what it likes.
type peer struct {
	net.Conn
	br   *bufio.Reader
	resp *http.Response // the body is read
	body string
}

// knock sends a handshake over a bare socket and reads the response. A line
// "Name: value" replaces that of goodHandshake, or is added, as often as it is
// given; a line "Name" takes it out; a line that ends in "HTTP/1.1" or
// "HTTP/1.0" is the request line.
func knock(tb testing.TB, url string, lines ...string) *peer {
	tb.Helper()
	p, err := tryKnock(url, lines...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// tryKnock is knock for goroutines other than the test's.
func tryKnock(url string, lines ...string) (*peer, error) {
	nc, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		return nil, err
	}
	return knockOn(nc, lines...)
}

func knockOn(nc net.Conn, lines ...string) (*peer, error) {
	_ = nc.SetDeadline(time.Now().Add(patience))
	p := &peer{Conn: nc, br: bufio.NewReader(nc)}
	var err error
	if _, err = nc.Write([]byte(handshakeText(lines...))); err == nil {
		if p.resp, err = http.ReadResponse(p.br, &http.Request{Method: http.MethodGet}); err == nil {
			var body bytes.Buffer
			_, err = body.ReadFrom(p.resp.Body)
			p.body = body.String()
		}
	}
	if err != nil {
		_ = nc.Close()
		return nil, err
	}
	return p, nil
}

// handshakeText is the request that knock sends.
func handshakeText(lines ...string) string {
	request, extra := goodHandshake[0], []string(nil)
	given := make(map[string]bool)
	for _, line := range lines {
		if strings.HasSuffix(line, " HTTP/1.1") || strings.HasSuffix(line, " HTTP/1.0") {
			request = line
			continue
		}
		name, _, isHeader := strings.Cut(line, ":")
		given[name] = true
		if isHeader {
			extra = append(extra, line)
		}
	}
	text := request + "\r\n"
	for _, line := range goodHandshake[1:] {
		if name, _, _ := strings.Cut(line, ":"); !given[name] {
			text += line + "\r\n"
		}
	}
	for _, line := range extra {
		text += line + "\r\n"
	}
	return text + "\r\n"
}

// A recorder is an Observer whose events a test can wait for.
type recorder struct {
	*wsguard.Observer
	handshakes chan wsguard.HandshakeEvent
	closes     chan wsguard.CloseEvent
	messages   chan wsguard.MessageEvent
	violations chan wsguard.ViolationEvent
}

func newRecorder() *recorder {
	const many = 1 << 12
	r := &recorder{
		handshakes: make(chan wsguard.HandshakeEvent, many),
		closes:     make(chan wsguard.CloseEvent, many),
		messages:   make(chan wsguard.MessageEvent, many),
		violations: make(chan wsguard.ViolationEvent, many),
	}
	r.Observer = wsguard.NewObserver("test", nil, wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) { r.handshakes <- e },
		ConnClosed:    func(_ context.Context, e wsguard.CloseEvent) { r.closes <- e },
		Message:       func(_ context.Context, e wsguard.MessageEvent) { r.messages <- e },
		Violation:     func(_ context.Context, e wsguard.ViolationEvent) { r.violations <- e },
	})
	return r
}

// next waits for the next event of a recorder, or anything else.
func next[E any](tb testing.TB, events <-chan E) E {
	tb.Helper()
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case e := <-events:
		return e
	case <-t.C:
		var none E
		tb.Fatalf("no %T came", none)
		return none
	}
}

// fixedTokens is a Verifier of the tokens that it holds.
type fixedTokens map[string]wsguard.Principal

func (f fixedTokens) Verify(_ context.Context, token string) (wsguard.Principal, error) {
	p, ok := f[token]
	if !ok {
		return wsguard.Principal{}, errors.New("no such token")
	}
	return p, nil
}

// userOf is a Principal with what is required.
func userOf(issuer, subject string) wsguard.Principal {
	return wsguard.Principal{Issuer: issuer, Subject: subject, Expires: time.Now().Add(time.Hour)}
}

// A knockRow is one handshake and what has to become of it: 101, or a refusal
// with a reason.
type knockRow struct {
	name   string
	lines  []string // for knock
	status int
	reason string
}

// runKnocks puts the safeguards before a handler, with a recorder outside, and
// tries each row against them.
func runKnocks(t *testing.T, rows []knockRow, safeguards ...func(http.Handler) http.Handler) {
	t.Helper()
	rec := newRecorder()
	guard := wsguard.Chain(append([]func(http.Handler) http.Handler{wsguard.Observe(rec.Observer)}, safeguards...)...)
	url := newServer(t, guard(wsguard.Upgrader{Subprotocols: []string{"chat.v1"}}.Handler(echo)))
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			wantOutcome(t, rec, knock(t, url, row.lines...), row.status, row.reason)
		})
	}
	if n := len(rec.handshakes); n != 0 {
		t.Errorf("%d handshakes were observed twice", n)
	}
}

// wantOutcome checks everything that a handshake's end looks like from outside.
// (R06, R45, R53, R57, R61)
func wantOutcome(t *testing.T, rec *recorder, p *peer, status int, reason string) {
	t.Helper()
	e := next(t, rec.handshakes)
	if p.resp.StatusCode != status || reasonOf(e.Refusal) != reason {
		t.Errorf("status %d, reason %q (%v), want %d, %q", p.resp.StatusCode, reasonOf(e.Refusal), e.Refusal, status, reason)
	}
	h := p.resp.Header
	if p.resp.StatusCode == http.StatusSwitchingProtocols {
		if x := h["Sec-Websocket-Extensions"]; x != nil {
			t.Errorf("extensions %q were negotiated", x)
		}
		_ = p.Close()
		next(t, rec.closes)
		return
	}
	for name, want := range map[string]string{
		"Cache-Control":         "no-store",
		"Content-Type":          "text/plain; charset=utf-8",
		"Allow":                 map[int]string{405: "GET"}[status],
		"Upgrade":               map[int]string{426: "websocket"}[status],
		"Sec-Websocket-Version": map[int]string{426: "13"}[status],
		"Www-Authenticate":      map[int]string{401: "Bearer"}[status],
		"Sec-Websocket-Accept":  "",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if wait, _ := strconv.Atoi(h.Get("Retry-After")); (wait > 0) != (status == 429 || reason == "connections_total") {
		t.Errorf("Retry-After: %q", h.Get("Retry-After"))
	}
	if want := http.StatusText(status) + "\n"; p.body != want {
		t.Errorf("body %q, want %q", p.body, want)
	}
	if _, err := p.br.ReadByte(); err != io.EOF || !p.resp.Close {
		t.Errorf("the socket was left open: %v, Connection: close is %v", err, p.resp.Close)
	}
}

// reasonOf is the Reason of a refusal, or "" for none.
func reasonOf(r *wsguard.Refusal) string {
	if r == nil {
		return ""
	}
	return r.Reason
}

// freeSlots counts the slots that a LimitConns (or a chain with one) has left
// for a request, by taking all of them at once, without a socket. The slots of
// a connection are back when its ConnClosed event has come.
func freeSlots(limit func(http.Handler) http.Handler, request func() *http.Request) int {
	free := 0
	var h http.Handler
	h = limit(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		free++
		h.ServeHTTP(httptest.NewRecorder(), request())
	}))
	h.ServeHTTP(httptest.NewRecorder(), request())
	return free
}

// requestFrom makes requests as they come from an address.
func requestFrom(remoteAddr string) func() *http.Request {
	return func() *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = remoteAddr
		return r
	}
}

// wantPanic runs f, which has to panic with a text of ours that contains want.
func wantPanic(tb testing.TB, want string, f func()) {
	tb.Helper()
	defer func() {
		tb.Helper()
		switch p := recover(); {
		case p == nil:
			tb.Errorf("no panic, want one with %q", want)
		case !strings.HasPrefix(fmt.Sprint(p), "wsguard: ") || !strings.Contains(fmt.Sprint(p), want):
			tb.Errorf("panic %q does not contain %q", p, want)
		}
	}()
	f()
}
