package wsguard_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// observed is a chain with a recorder outermost, around serve.
func observed(serve func(context.Context, *wsguard.Conn) error, safeguards ...func(http.Handler) http.Handler) (*recorder, http.Handler) {
	rec := newRecorder()
	return rec, wsguard.Observe(rec.Observer)(wsguard.Chain(safeguards...)(wsguard.Handler(serve)))
}

// wantClosed checks the event of a connection's end.
func (r *recorder) wantClosed(tb testing.TB, code websocket.StatusCode, by wsguard.Initiator, reason string) wsguard.CloseEvent {
	tb.Helper()
	e := next(tb, r.closes)
	if e.Code != code || e.Initiator != by || reasonOf(e.Refusal) != reason {
		tb.Errorf("closed with %d by the %s for %v, want %d, %s, %q", e.Code, e.Initiator, e.Refusal, code, by, reason)
	}
	return e
}

// wantViolation checks the event of a violation.
func (r *recorder) wantViolation(tb testing.TB, safeguard, reason, action string) *wsguard.Refusal {
	tb.Helper()
	e := next(tb, r.violations)
	if e.Refusal.Safeguard != safeguard || e.Refusal.Reason != reason || e.Action != action {
		tb.Errorf("violation %v, %s; want %s: %s, %s", e.Refusal, e.Action, safeguard, reason, action)
	}
	return e.Refusal
}

// Messages of every size come back as they were sent.
func TestReadAndWrite(t *testing.T) {
	c := mustDial(t, newServer(t, wsguard.Handler(echo)))
	c.SetReadLimit(-1)
	for _, size := range []int{0, 1, 125, 126, 4096, 32 << 10} {
		for _, typ := range []websocket.MessageType{websocket.MessageText, websocket.MessageBinary} {
			sent := bytes.Repeat([]byte("x"), size)
			if err := c.Write(t.Context(), typ, sent); err != nil {
				t.Fatal(err)
			}
			gotType, got, err := c.Read(t.Context())
			if err != nil || gotType != typ || !bytes.Equal(got, sent) {
				t.Fatalf("%d bytes of %v came back as %d bytes of %v, %v", size, typ, len(got), gotType, err)
			}
		}
	}
}

// The bytes of a message belong to who has read it.
func TestReadGivesTheBytesAway(t *testing.T) {
	result := make(chan string, 1)
	c := mustDial(t, newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, first, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if _, _, err := c.Read(ctx); err != nil {
			return err
		}
		result <- string(first)
		return nil
	})))
	for _, text := range []string{"first", "other"} {
		if err := c.Write(t.Context(), websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if got := next(t, result); got != "first" {
		t.Errorf("the first message became %q when the second was read", got)
	}
}

// R54: a connection knows whose it is, as its events do.
func TestWhoseConnection(t *testing.T) {
	type facts struct {
		principal *wsguard.Principal
		text      string
	}
	got := make(chan facts, 1)
	rec, h := observed(func(_ context.Context, c *wsguard.Conn) error {
		got <- facts{c.Principal(), fmt.Sprint(c.ClientIP(), c.Subprotocol(), c.ID())}
		return nil
	}, wsguard.Authenticate(fixedTokens{"good": userOf("https://id.example.com", "alice")}, wsguard.FromAuthorization()))
	mustDial(t, newServer(t, h), "Authorization: Bearer good")
	f, e := next(t, got), next(t, rec.handshakes)
	if f.principal == nil || f.principal.Subject != "alice" || e.Conn.Subject != "alice" {
		t.Errorf("the principal is %+v, observed %q", f.principal, e.Conn.Subject)
	}
	if want := "127.0.0.1" + e.Conn.ID; f.text != want || len(e.Conn.ID) < 16 {
		t.Errorf("address, subprotocol and ID are %s, want %s", f.text, want)
	}
}

// Without Authenticate there is nobody.
func TestNobodysConnection(t *testing.T) {
	got := make(chan *wsguard.Principal, 1)
	mustDial(t, newServer(t, wsguard.Handler(func(_ context.Context, c *wsguard.Conn) error {
		got <- c.Principal()
		return nil
	})))
	if p := next(t, got); p != nil {
		t.Errorf("principal %+v", p)
	}
}

// What serve returns decides how the peer hears of the end, and says nothing
// else to it. R45, R57, R59
func TestResultOfServe(t *testing.T) {
	forbidden := &wsguard.Refusal{Safeguard: "Rooms", Reason: "not_a_member", CloseCode: wsguard.StatusForbidden, Err: errors.New("secret")}
	for _, tc := range []struct {
		name   string
		serve  func() error
		code   uint16
		reason string
		event  string // of the refusal
	}{
		{"nil", func() error { return nil }, 1000, "", ""},
		{"an error", func() error { return errors.New("secret") }, 1011, "internal error", "internal_error"},
		{"a refusal", func() error { return forbidden }, 3003, "not a member", "not_a_member"},
		{"a wrapped refusal", func() error { return fmt.Errorf("secret: %w", forbidden) }, 3003, "not a member", "not_a_member"},
		{"a refusal without a code", func() error { return &wsguard.Refusal{Reason: "own"} }, 1011, "own", "own"},
		{"a refusal with 1005", func() error { return &wsguard.Refusal{Reason: "own", CloseCode: 1005} }, 1011, "own", "own"},
		{"a refusal with 2^16+1000", func() error { return &wsguard.Refusal{Reason: "own", CloseCode: 1<<16 + 1000} }, 1011, "own", "own"},
		{"a nil refusal", func() error { var r *wsguard.Refusal; return r }, 1011, "internal error", "internal_error"},
		{"a panic", func() error { panic("secret") }, 1011, "internal error", "internal_error"},
		{"a panic with nil", func() error { panic(nil) }, 1011, "internal error", "internal_error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			rec, h := observed(func(context.Context, *wsguard.Conn) error { return tc.serve() })
			url := newServer(t, h)
			c := rawDial(t, url)
			c.wantClose(tc.code, tc.reason)
			c.wantEOF()
			rec.wantClosed(t, websocket.StatusCode(tc.code), wsguard.InitiatorServer, tc.event)
			rawDial(t, url) // the process lives
		})
	}
}

// A serve that ends its goroutine leaves no connection behind.
func TestGoexitInServe(t *testing.T) {
	rec, h := observed(func(context.Context, *wsguard.Conn) error {
		runtime.Goexit()
		return nil
	})
	c := rawDial(t, newServer(t, h))
	next(t, rec.closes)
	for _, _, err := c.tryFrame(); err == nil; _, _, err = c.tryFrame() {
	}
}

// Close sends what may be sent, in the room that there is. R45
func TestCloseCode(t *testing.T) {
	long, wide := strings.Repeat("x", 200), strings.Repeat("é", 100)
	for _, tc := range []struct {
		code   websocket.StatusCode
		reason string
		ok     bool
		want   uint16
		text   string
	}{
		{1000, "", true, 1000, ""},
		{1000, "bye", true, 1000, "bye"},
		{1001, "", true, 1001, ""},
		{1013, "", true, 1013, ""},
		{3000, "", true, 3000, ""},
		{4999, long, true, 4999, long[:123]},
		{4000, long[:123], true, 4000, long[:123]},
		{4000, wide, true, 4000, wide[:122]},            // no half of a rune
		{4000, "a\xff", true, 4000, "a\uFFFD"},          // RFC 6455, section 5.5.1: the reason is UTF-8
		{1004, "x", false, 1011, ""},                    // reserved
		{1005, "x", false, 1011, ""},                    // must not be sent
		{1006, "x", false, 1011, ""},                    // must not be sent
		{1015, "x", false, 1011, ""},                    // must not be sent
		{0, "x", false, 1011, ""},                       // out of range
		{999, "x", false, 1011, ""},                     // out of range
		{2000, "x", false, 1011, ""},                    // reserved
		{5000, "x", false, 1011, ""},                    // out of range
		{1<<16 + 1000, "x", false, 1011, ""},            // 1000 in 16 bits
		{-1<<16 + 1000, "x", false, 1011, ""},           // also
		{websocket.StatusCode(-1), "", false, 1011, ""}, // the library's "no code"
	} {
		t.Run(fmt.Sprintf("%d %.10s", tc.code, tc.reason), func(t *testing.T) {
			result := make(chan error, 2)
			c := rawDial(t, newServer(t, wsguard.Handler(func(_ context.Context, c *wsguard.Conn) error {
				result <- c.Close(tc.code, tc.reason)
				result <- c.Close(1000, "")
				return nil
			})))
			c.wantClose(tc.want, tc.text)
			c.wantEOF()
			if err := next(t, result); (err == nil) != tc.ok {
				t.Errorf("Close returned %v", err)
			}
			if err := next(t, result); err != nil {
				t.Errorf("the second Close returned %v", err)
			}
		})
	}
}

// Whatever the peer does, Close returns within two seconds.
func TestCloseIsBounded(t *testing.T) {
	for name, peer := range map[string]func(*rawClient){
		"answers":     func(c *rawClient) { c.untilClose(1001, "bye"); c.send(closeFrame(1001, "")) },
		"is silent":   func(c *rawClient) { c.untilClose(1001, "bye") },
		"never reads": func(*rawClient) {},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				closed := make(chan time.Duration, 1)
				m := newMemoryServer(t, wsguard.Handler(func(_ context.Context, c *wsguard.Conn) error {
					if !c.TrySend(websocket.MessageText, []byte("queued")) {
						t.Error("nothing was queued")
					}
					began := time.Now()
					_ = c.Close(1001, "bye")
					closed <- time.Since(began)
					return nil
				}))
				peer(m.raw())
				if took := <-closed; took > 2*time.Second || name == "answers" && took > 0 {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}

// The contract of Conn: one reader, and everybody else at once. R60
func TestConcurrentUse(t *testing.T) {
	const writers, each = 8, 25
	rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				ctx, cancel := context.WithCancel(ctx)
				defer cancel()
				for i := range each {
					text := fmt.Sprintf("%d:%d", w, i)
					switch w % 3 {
					case 0:
						if err := c.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
							t.Error(err)
						}
					case 1:
						if err := c.WriteJSON(ctx, text); err != nil {
							t.Error(err)
						}
					default:
						for !c.TrySend(websocket.MessageText, []byte(text)) {
							runtime.Gosched() // the queue is full
						}
					}
					_, _, _, _ = c.ID(), c.Principal(), c.ClientIP(), c.Subprotocol()
				}
			})
		}
		_, _, err := c.Read(ctx)
		wg.Wait()
		for range 3 {
			wg.Go(func() { _ = c.Close(4000, "done") })
		}
		wg.Wait()
		return err
	})
	c := mustDial(t, newServer(t, h))
	got := make(map[string]bool)
	last := make(map[string]int)
	for range writers * each {
		_, data, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Trim(string(data), `"`)
		var w, i int
		if _, err := fmt.Sscanf(text, "%d:%d", &w, &i); err != nil || got[text] {
			t.Fatalf("message %q: %v", text, err)
		}
		name := fmt.Sprint(w)
		if i != last[name] {
			t.Errorf("writer %d: message %d came when %d was due", w, i, last[name])
		}
		got[text], last[name] = true, i+1
	}
	if err := c.Write(t.Context(), websocket.MessageText, []byte("end")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 4000 {
		t.Errorf("the end is %v, want 4000", err)
	}
	rec.wantClosed(t, 4000, wsguard.InitiatorServer, "")
}

// Once a connection is over, its methods say so and why.
func TestAfterTheEnd(t *testing.T) {
	done := make(chan struct{})
	rec, h := observed(func(ctx context.Context, c *wsguard.Conn) error {
		defer close(done)
		if _, _, err := c.Read(ctx); err == nil {
			t.Error("a binary message was delivered")
		}
		var refusal *wsguard.Refusal
		_, _, err := c.Read(ctx)
		if !errors.As(err, &refusal) || refusal.Reason != "invalid_data" {
			t.Errorf("Read: %v", err)
		}
		if err := c.Write(ctx, websocket.MessageText, []byte("x")); !errors.As(err, &refusal) || refusal.Reason != "invalid_data" {
			t.Errorf("Write: %v", err)
		}
		if c.TrySend(websocket.MessageText, []byte("x")) {
			t.Error("TrySend: true")
		}
		return err
	}, wsguard.ValidateMessages(wsguard.MustCompileSchema(`{}`)))
	c := rawDial(t, newServer(t, h))
	c.send(clientFrame(final|opBinary, "{}"))
	c.wantClose(1003, "invalid data")
	next(t, done)
	rec.wantViolation(t, "ValidateMessages", "invalid_data", "close")
	rec.wantClosed(t, 1003, wsguard.InitiatorServer, "invalid_data")
}
