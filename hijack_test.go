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
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// messageRules are the safeguards that only a Conn applies.
var messageRules = map[string]safeguard{
	"LimitMessages":    wsguard.LimitMessages(1, 1, wsguard.PerConn),
	"PaceMessages":     wsguard.PaceMessages(1, 1, wsguard.PerConn),
	"LimitBytes":       wsguard.LimitBytes(1, 1, wsguard.PerConn),
	"PaceBytes":        wsguard.PaceBytes(1, 1, wsguard.PerIP),
	"ValidateMessages": wsguard.ValidateMessages(wsguard.MustCompileSchema(`{"type":"object"}`)),
	"OutgoingMessages": wsguard.OutgoingMessages(wsguard.MustCompileSchema(`{"type":"object"}`)),
	"SanitizeMessages": wsguard.SanitizeMessages(wsguard.Sanitizer{Strip: wsguard.StripUnsafe}),
	"CheckMessages": wsguard.CheckMessages("mine", func(context.Context, *wsguard.Conn, websocket.MessageType, []byte) error {
		return nil
	}),
}

// bareLibraries are handlers that take the socket without knowing of rules.
var bareLibraries = map[string]http.HandlerFunc{
	"101, then hijack": acceptBare, // as coder/websocket
	"hijack, then 101": func(w http.ResponseWriter, _ *http.Request) { // as gorilla
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			http.Error(w, "gorilla: "+err.Error(), http.StatusNotImplemented)
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_ = nc.Close()
	},
	"through http.ResponseController": func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusSwitchingProtocols)
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			_, _ = fmt.Fprint(w, err)
			return
		}
		_ = nc.Close()
	},
	"panics at an error": func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); err != nil {
			panic(err)
		}
	},
}

// R58: rules that nobody claimed end in a real 500, whatever a library has
// written before and writes after, and the observer is told what to do.
func TestRulesUnclaimed(t *testing.T) {
	for library, h := range bareLibraries {
		for name, rule := range messageRules {
			t.Run(library+"/"+name, func(t *testing.T) {
				if library == "panics at an error" && name != "LimitMessages" {
					t.Skip("one is enough")
				}
				rec := newRecorder()
				recoverer := func(next http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						defer func() { _ = recover() }()
						next.ServeHTTP(w, r)
					})
				}
				url := newServer(t, wsguard.Chain(recoverer, wsguard.Observe(rec.Observer), rule)(h))
				p := knock(t, url, "Sec-WebSocket-Protocol: chat.v1")
				if e := next(t, rec.handshakes); e.Refusal == nil || !strings.Contains(e.Refusal.Error(), "use wsguard.Handler or wsguard.Accept, or leave") {
					t.Errorf("observed %v", e.Refusal)
				} else {
					rec.handshakes <- e // for wantOutcome
				}
				wantOutcome(t, rec, p, 500, "rules_unclaimed")
				if len(p.resp.Header["Upgrade"])+len(p.resp.Header["Sec-Websocket-Protocol"]) != 0 || len(rec.handshakes) != 0 {
					t.Errorf("header %v, %d events more", p.resp.Header, len(rec.handshakes))
				}
			})
		}
	}
}

// R50: what only concerns handshake, framing and time needs nobody to claim it,
// and no library negotiates an extension, even if it wants to.
func TestBareLibraryWithoutRules(t *testing.T) {
	compressing := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err == nil {
			_ = c.CloseNow()
		}
	})
	guard := wsguard.Chain(wsguard.AllowOrigins(home), wsguard.MaxMessageSize(100), wsguard.KeepAlive(time.Minute, time.Minute), wsguard.IdleTimeout(time.Minute))
	p := knock(t, newServer(t, guard(compressing)), "Origin: "+home)
	if p.resp.StatusCode != http.StatusSwitchingProtocols || p.resp.Header.Get("Sec-WebSocket-Extensions") != "" {
		t.Errorf("%s %v", p.resp.Status, p.resp.Header)
	}
}

// A handler that promises to switch and does not has failed, and what it says
// instead is no response to an upgrade.
func TestHalfAnUpgrade(t *testing.T) {
	for name, then := range map[string]func(http.ResponseWriter){
		"returns": func(http.ResponseWriter) {},
		"writes":  func(w http.ResponseWriter) { _, _ = io.WriteString(w, "hello") },
		"flushes": func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"errs":    func(w http.ResponseWriter) { http.Error(w, "hello", http.StatusBadGateway) },
		"hijacks too late": func(w http.ResponseWriter) {
			_, _ = io.WriteString(w, "hello")
			if nc, _, err := w.(http.Hijacker).Hijack(); err == nil {
				_ = nc.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			rec := newRecorder()
			url := newServer(t, wsguard.Observe(rec.Observer)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Upgrade", "websocket")
				w.Header().Set("Sec-WebSocket-Accept", "x")
				w.WriteHeader(http.StatusSwitchingProtocols)
				then(w)
			})))
			wantOutcome(t, rec, knock(t, url), 500, "upgrade_failed")
		})
	}
}

// R57, R58: a connection that cannot be had is a refusal of ours, not a text of
// the library's.
func TestNotHijackable(t *testing.T) {
	hide := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
	}
	broken := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(unhijackable{w}, r) })
	}
	wrap := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(wrapped{w}, r) })
	}
	rec := newRecorder()
	observe := wsguard.Observe(rec.Observer)
	for _, row := range []struct {
		name   string
		chain  []safeguard
		h      http.Handler
		status int
		reason string
	}{
		{"hidden outside, Handler", []safeguard{hide, observe}, wsguard.Handler(echo), 500, "not_hijackable"},
		{"hidden outside, a library", []safeguard{hide, observe}, http.HandlerFunc(acceptBare), 500, "not_hijackable"},
		{"hidden inside, Handler", []safeguard{observe, hide}, wsguard.Handler(echo), 500, "not_hijackable"},
		{"failing, Handler", []safeguard{broken, observe}, bareLibraries["hijack, then 101"], 500, "not_hijackable"},
		{"wrapped with Unwrap", []safeguard{wrap, observe, wrap}, wsguard.Handler(echo), 101, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			wantOutcome(t, rec, knock(t, newServer(t, wsguard.Chain(row.chain...)(row.h))), row.status, row.reason)
		})
	}
}

type wrapped struct{ http.ResponseWriter }

func (w wrapped) Unwrap() http.ResponseWriter { return w.ResponseWriter }

type unhijackable struct{ http.ResponseWriter }

func (unhijackable) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return nil, nil, errors.New("a secret of the server's")
}

// A connection is handed out once.
func TestHijackTwice(t *testing.T) {
	second := make(chan error, 1)
	url := newServer(t, wsguard.MaxMessageSize(100)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer nc.Close()
		_, _, err = w.(http.Hijacker).Hijack()
		second <- err
		if n, err := w.Write([]byte("lost")); n != 4 || err != nil {
			t.Errorf("Write after Hijack: %d, %v", n, err)
		}
	})))
	if p, err := tryKnock(url); err == nil {
		t.Errorf("answered %s", p.resp.Status)
	}
	if err := next(t, second); !errors.Is(err, http.ErrHijacked) {
		t.Errorf("the second Hijack: %v", err)
	}
}

// Some clients send before they have read the response. What came with the
// handshake is the connection's, metered like the rest.
func TestBytesThatCameWithTheHandshake(t *testing.T) {
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow()
		typ, data, err := c.Read(context.Background())
		if err == nil {
			_ = c.Write(context.Background(), typ, data)
		}
	})
	for name, h := range map[string]http.Handler{"Handler": wsguard.Handler(echo), "bare library": bare} {
		for _, early := range []int{1, 5, 8, 1 << 20} {
			t.Run(fmt.Sprintf("%s/%d bytes", name, early), func(t *testing.T) {
				rec := newRecorder()
				nc, err := net.Dial("tcp", strings.TrimPrefix(newServer(t, wsguard.Observe(rec.Observer)(h)), "http://"))
				if err != nil {
					t.Fatal(err)
				}
				defer nc.Close()
				_ = nc.SetDeadline(time.Now().Add(patience))
				frame := textFrame("hello")
				early = min(early, len(frame))
				_, _ = nc.Write(append([]byte(handshakeText()), frame[:early]...))
				br := bufio.NewReader(nc)
				if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
					t.Fatal(resp, err)
				}
				_, _ = nc.Write(frame[early:])
				got := make([]byte, 7)
				if _, err := io.ReadFull(br, got); err != nil || !bytes.Equal(got, append([]byte{0x81, 5}, "hello"...)) {
					t.Errorf("read %q, %v", got, err)
				}
				_ = nc.Close()
				if e := next(t, rec.closes); e.BytesIn != int64(len(frame)) || e.MessagesIn != 1 {
					t.Errorf("%d bytes in %d messages were counted", e.BytesIn, e.MessagesIn)
				}
			})
		}
	}
	t.Run("too much for the meter", func(t *testing.T) {
		rec := newRecorder()
		nc, err := net.Dial("tcp", strings.TrimPrefix(newServer(t, wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.MaxMessageSize(4))(bare)), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		_, _ = nc.Write(append([]byte(handshakeText()), textFrame("hello")...))
		if e := next(t, rec.violations); e.Refusal.Reason != "message_too_big" {
			t.Errorf("violation %v", e.Refusal)
		}
	})
}

// What is no upgrade passes through a chain as it is: status, header, stream
// and deadlines.
func TestOrdinaryResponses(t *testing.T) {
	rec := newRecorder()
	release := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Page", "1")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	mux.HandleFunc("/stream", func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience)); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, "first\n")
		w.(http.Flusher).Flush()
		<-release
		_, _ = io.WriteString(w, "second\n")
	})
	srv := httptest.NewServer(wsguard.Observe(rec.Observer)(mux))
	t.Cleanup(srv.Close)

	resp, err := srv.Client().Get(srv.URL + "/page")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Page") != "1" || string(body) != "short and stout" {
		t.Errorf("%s %v %q", resp.Status, resp.Header, body)
	}
	if e := next(t, rec.handshakes); reasonOf(e.Refusal) != "upgrade_failed" || !strings.Contains(e.Refusal.Error(), "418") {
		t.Errorf("observed %v", e.Refusal)
	}

	resp, err = srv.Client().Get(srv.URL + "/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	br := bufio.NewReader(resp.Body)
	if line, err := br.ReadString('\n'); line != "first\n" || err != nil {
		t.Errorf("%q, %v", line, err)
	}
	close(release)
	if rest, err := io.ReadAll(br); string(rest) != "second\n" || err != nil {
		t.Errorf("%q, %v", rest, err)
	}
}

// R51: HTTP/2 has no such upgrade.
func TestHTTP2(t *testing.T) {
	rec := newRecorder()
	srv := httptest.NewUnstartedServer(wsguard.Chain(wsguard.Observe(rec.Observer), wsguard.RequireTLS())(wsguard.Handler(echo)))
	srv.EnableHTTP2 = true
	srv.StartTLS()
	t.Cleanup(srv.Close)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if e := next(t, rec.handshakes); resp.ProtoMajor != 2 || resp.StatusCode != http.StatusUpgradeRequired || reasonOf(e.Refusal) != "not_an_upgrade" {
		t.Errorf("%s %s, %v", resp.Proto, resp.Status, e.Refusal)
	}
}
