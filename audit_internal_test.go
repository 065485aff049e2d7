package wsguard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// logAttrs are what a line of the log has besides time, level and msg.
type logAttrs map[string]any

var userAttrs = logAttrs{
	"conn_id": "c1", "endpoint": "chat", "user.id": "u1", "user.issuer": "https://id.example.com",
	"client.address": "192.0.2.1", "client.address.source": "X-Forwarded-For", "network.peer.address": "10.0.0.1:80",
	"origin": "https://app.example.com", "user_agent": "curl", "jti": "j1",
}

// userAnd returns the attributes of userConn and more.
func userAnd(more logAttrs) logAttrs {
	all := maps.Clone(userAttrs)
	maps.Copy(all, more)
	return all
}

// R54, R55
func TestAuditLog(t *testing.T) {
	anonymous := ConnInfo{ID: "c2", TokenFingerprint: "0a1b2c3d", Subprotocol: "bearer-secret"}
	rows := []struct {
		name       string
		call       func(*Observer) error
		level, msg string
		want       logAttrs
	}{
		{"accepted", func(o *Observer) error {
			return o.handshake(background, HandshakeEvent{Conn: userConn, Took: 5})
		}, "INFO", "websocket handshake accepted", userAnd(logAttrs{"event": "handshake", "outcome": "accepted", "duration": 5.0})},

		{"refused", func(o *Observer) error {
			return o.handshake(background, HandshakeEvent{Conn: userConn, Refusal: refusedExpired, Took: 5})
		}, "WARN", "websocket handshake refused", userAnd(logAttrs{"event": "handshake", "outcome": "refused", "duration": 5.0,
			"reason": "token_expired", "stage": "Authenticate", "detail": "kid is not in the key set"})},

		{"refused before anything is known", func(o *Observer) error {
			return o.handshake(background, HandshakeEvent{Refusal: refusedOrigin})
		}, "WARN", "websocket handshake refused", logAttrs{"event": "handshake", "outcome": "refused", "duration": 0.0,
			"endpoint": "chat", "reason": "origin_not_allowed", "stage": "AllowOrigins"}},

		{"token without an id", func(o *Observer) error {
			return o.handshake(background, HandshakeEvent{Conn: anonymous})
		}, "INFO", "websocket handshake accepted", logAttrs{"event": "handshake", "outcome": "accepted", "duration": 0.0,
			"endpoint": "chat", "conn_id": "c2", "token_fp": "0a1b2c3d"}},

		{"closed by the peer", func(o *Observer) error {
			return o.closed(background, CloseEvent{Conn: userConn, Code: 1000, Initiator: InitiatorPeer, Reason: "bye", Duration: 7})
		}, "INFO", "websocket closed", userAnd(logAttrs{"event": "close", "outcome": "normal", "code": 1000.0, "initiator": "peer",
			"detail": "bye", "duration": 7.0})},

		{"closed by a safeguard", func(o *Observer) error {
			return o.closed(background, CloseEvent{Conn: userConn, Code: 3000, Initiator: InitiatorServer, Reason: "token expired", Refusal: refusedExpired})
		}, "WARN", "websocket closed", userAnd(logAttrs{"event": "close", "outcome": "abnormal", "code": 3000.0, "initiator": "server",
			"reason": "token_expired", "stage": "Authenticate", "detail": "kid is not in the key set", "duration": 0.0})},

		{"violation that closes", func(o *Observer) error {
			return o.violation(background, ViolationEvent{Conn: userConn, Refusal: refusedRate, Action: "close"})
		}, "WARN", "websocket violation", userAnd(logAttrs{"event": "violation", "outcome": "close", "code": 1008.0,
			"reason": "message_rate", "stage": "LimitMessages"})},

		{"violation that is dropped", func(o *Observer) error {
			return o.violation(background, ViolationEvent{Conn: userConn, Refusal: refusedRate, Action: "drop"})
		}, "WARN", "websocket violation", userAnd(logAttrs{"event": "violation", "outcome": "drop",
			"reason": "message_rate", "stage": "LimitMessages"})},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			logger, read := captureLog(t)
			if err := row.call(NewObserver("chat", logger)); err != nil {
				t.Fatal(err)
			}
			all := read()
			if len(all) != 1 {
				t.Fatalf("%d lines", len(all))
			}
			got := logAttrs(all[0])
			if got["level"] != row.level || got["msg"] != row.msg {
				t.Errorf("got %v %v, want %v %v", got["level"], got["msg"], row.level, row.msg)
			}
			for _, key := range []string{"time", "level", "msg"} {
				delete(got, key)
			}
			if !maps.Equal(got, row.want) {
				t.Errorf("got  %v\nwant %v", got, row.want)
			}
		})
	}
}

// R54
func TestAuditLevels(t *testing.T) {
	rows := []struct {
		name string
		got  slog.Level
		want slog.Level
	}{
		{"refused origin", refusalLevel(refusedOrigin), slog.LevelWarn},
		{"no capacity", refusalLevel(&Refusal{Status: 503, CloseCode: 1013}), slog.LevelWarn},
		{"internal error in a handshake", refusalLevel(&Refusal{Status: 500}), slog.LevelError},
		{"internal error later", refusalLevel(&Refusal{CloseCode: 1011}), slog.LevelError},
		{"normal", closeLevel(&CloseEvent{Code: 1000}), slog.LevelInfo},
		{"going away", closeLevel(&CloseEvent{Code: 1001}), slog.LevelInfo},
		{"no status", closeLevel(&CloseEvent{Code: 1005}), slog.LevelInfo},
		{"shutdown", closeLevel(&CloseEvent{Code: 1001, Refusal: refusedShutdown}), slog.LevelInfo},
		{"lost", closeLevel(&CloseEvent{Code: 1006, Initiator: InitiatorNetwork}), slog.LevelWarn},
		{"code of the application", closeLevel(&CloseEvent{Code: 4000, Initiator: InitiatorPeer}), slog.LevelWarn},
		{"peer claims an internal error", closeLevel(&CloseEvent{Code: 1011, Initiator: InitiatorPeer}), slog.LevelWarn},
		{"server has one", closeLevel(&CloseEvent{Code: 1011, Initiator: InitiatorServer}), slog.LevelError},
		{"server has one and the peer was gone", closeLevel(&CloseEvent{Code: 1006, Initiator: InitiatorNetwork, Refusal: refusedInternal}), slog.LevelError},
		{"peer answers a refusal with normal", closeLevel(&CloseEvent{Code: 1000, Initiator: InitiatorPeer, Refusal: refusedRate}), slog.LevelWarn},
	}
	for _, row := range rows {
		if row.got != row.want {
			t.Errorf("%s is %v, want %v", row.name, row.got, row.want)
		}
	}
}

// TestAuditNeverLogs puts a secret where there is one to be found. R55
func TestAuditNeverLogs(t *testing.T) {
	const secret = "bearer-secret"
	c := userConn
	c.Subprotocol, c.TokenFingerprint = secret, secret // the jti is logged instead
	var buf bytes.Buffer
	o := NewObserver("chat", slog.New(slog.NewTextHandler(&buf, nil)))
	_ = o.handshake(background, HandshakeEvent{Conn: c, Refusal: refusedExpired})
	_ = o.handshake(background, HandshakeEvent{Conn: c})
	_ = o.message(background, MessageEvent{Conn: &c, Refusal: refusedRate})
	_ = o.violation(background, ViolationEvent{Conn: c, Refusal: refusedRate})
	_ = o.closed(background, CloseEvent{Conn: c, Refusal: refusedExpired})
	if n := strings.Count(buf.String(), "\n"); n != 4 || strings.Contains(buf.String(), secret) {
		t.Errorf("%d lines: %s", n, buf.String())
	}
}

// TestAuditInjection puts hostile text into everything that a peer, a proxy or
// a verifier has a say in. R56
func TestAuditInjection(t *testing.T) {
	payloads := map[string]string{
		"line feed":      "x\nlevel=INFO msg=forged",
		"return":         "x\rforged",
		"escape":         "x\x1b[2Jx",
		"bidi override":  "x\u202ex",
		"DEL":            "x\x7fx",
		"C1":             "x\u009bx",
		"C1 as a byte":   "x\x9bx",
		"line separator": "x\u2028x",
		"not UTF-8":      "x\xff\xfex",
		"quote":          `x","level":"INFO`,
		"hostile size":   strings.Repeat("x", 1<<16),
	}
	handlers := map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	}
	for name, p := range payloads {
		for kind, handler := range handlers {
			t.Run(name+" to "+kind, func(t *testing.T) {
				zone := netip.MustParseAddr("fe80::1").WithZone(p)
				c := ConnInfo{p, p, zone, p, p, p, p, p, p, p, p, p, time.Time{}}
				anonymous := c
				anonymous.TokenID = ""
				r := &Refusal{Safeguard: p, Reason: p, Err: errors.New(p)}
				var buf bytes.Buffer
				o := NewObserver(p, slog.New(handler(&buf)), Hooks{
					Message: func(context.Context, MessageEvent) { panic(p) },
				})
				_ = o.handshake(background, HandshakeEvent{Conn: anonymous, Refusal: r})
				_ = o.handshake(background, HandshakeEvent{Conn: c})
				_ = o.violation(background, ViolationEvent{Conn: c, Refusal: r, Action: p})
				_ = o.closed(background, CloseEvent{Conn: c, Reason: p, Initiator: Initiator(p)})
				_ = o.closed(background, CloseEvent{Conn: c, Refusal: r})
				o.anomaly(0, true, 2, 1)
				out := buf.String()
				if n := strings.Count(out, "\n"); n != 6 {
					t.Errorf("%d lines instead of 6", n)
				}
				if !utf8.ValidString(out) || len(out) > 6*16*300 {
					t.Errorf("%d bytes, valid %v", len(out), utf8.ValidString(out))
				}
				for _, c := range out {
					if c != '\n' && !strconv.IsPrint(c) {
						t.Fatalf("%U in %q", c, out)
					}
				}
				for line := range strings.Lines(out) {
					var m struct{ Level string }
					if err := json.Unmarshal([]byte(line), &m); kind == "JSON" && (err != nil || m.Level == "") {
						t.Errorf("%v in %q", err, line)
					}
				}
				buf.Reset()
				_ = o.message(background, eventIn)
				if n := strings.Count(buf.String(), "\n"); n != 1 {
					t.Errorf("%d lines for a panic", n)
				}
			})
		}
	}
}

// recordHandler is a handler that keeps what it is given.
type recordHandler struct {
	slog.Handler
	all *[]slog.Record
}

func (h recordHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }

func (h recordHandler) Handle(_ context.Context, r slog.Record) error {
	*h.all = append(*h.all, r)
	return nil
}

// R56
func TestAuditTimeIsUTC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []slog.Record
		o := NewObserver("chat", slog.New(recordHandler{all: &all}))
		for _, r := range observerCalls {
			_ = r.call(o)
		}
		if len(all) != 4 {
			t.Fatalf("%d records", len(all))
		}
		for _, r := range all {
			if r.Time.Location() != time.UTC || !r.Time.Equal(time.Now()) {
				t.Errorf("%s at %v", r.Message, r.Time)
			}
		}
		<-time.After(time.Hour)
	})
}

// TestAuditSampling has a flood for one reason and one refusal for another. R54
func TestAuditSampling(t *testing.T) {
	refuse := func(r *Refusal) func(*Observer) error {
		return func(o *Observer) error { return o.handshake(background, HandshakeEvent{Refusal: r}) }
	}
	violate := func(r *Refusal) func(*Observer) error {
		return func(o *Observer) error { return o.violation(background, ViolationEvent{Refusal: r}) }
	}
	panics := func(o *Observer) error { return o.message(background, eventIn) }
	rows := []struct {
		name         string
		flood, other func(*Observer) error
		count        func(Stats) int64
	}{
		{"refusals", refuse(refusedOrigin), refuse(refusedExpired), func(s Stats) int64 { return s.Refusals["origin_not_allowed"].Handshakes }},
		{"violations", violate(refusedRate), violate(refusedExpired), func(s Stats) int64 { return s.Refusals["message_rate"].Violations }},
		{"refusals do not hide violations", refuse(refusedExpired), violate(refusedExpired), func(s Stats) int64 { return s.Refusals["token_expired"].Handshakes }},
		{"panics", panics, refuse(refusedExpired), func(s Stats) int64 { return s.HookPanics }},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, read := captureLog(t)
				o := NewObserver("chat", logger, Hooks{Message: func(context.Context, MessageEvent) { panic("oops") }})
				for range 1000 {
					_ = row.flood(o)
				}
				if n := len(read()); n != 10 {
					t.Errorf("%d lines for the flood", n)
				}
				_ = row.other(o)
				if n := len(read()); n != 1 {
					t.Errorf("%d lines for what is not the flood", n)
				}
				<-time.After(3 * time.Second)
				for range 2 {
					_ = row.flood(o)
				}
				if all := read(); len(all) != 1 || all[0]["suppressed"] != 990.0 {
					t.Errorf("3 seconds later: %v", all)
				}
				if n := row.count(o.Stats()); n != 1002 {
					t.Errorf("counted %d", n)
				}
				<-time.After(time.Hour)
			})
		})
	}
}

// TestAuditSamplingIsBounded makes up a reason for every refusal.
func TestAuditSamplingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, read := captureLog(t)
		o := NewObserver("chat", logger)
		for i := range 5000 {
			_ = o.handshake(background, HandshakeEvent{Refusal: &Refusal{Reason: fmt.Sprint("made_up_", i)}})
		}
		if n := len(read()); n > maxReasons+logBurst {
			t.Errorf("%d lines", n)
		}
		<-time.After(time.Hour)
	})
}

// TestAuditLevelOff shows that a line nobody wants does not use up the burst.
func TestAuditLevelOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var level slog.LevelVar
		level.Set(slog.LevelError)
		var buf bytes.Buffer
		o := NewObserver("chat", slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: &level})))
		refuse := func(r *Refusal) int {
			buf.Reset()
			_ = o.handshake(background, HandshakeEvent{Refusal: r})
			return strings.Count(buf.String(), "\n")
		}
		var got []int
		for range 100 {
			got = append(got, refuse(refusedOrigin))
		}
		level.Set(slog.LevelWarn)
		got = append(got, refuse(refusedOrigin), refuse(refusedInternal))
		if want := append(make([]int, 100), 1, 1); !slices.Equal(got, want) {
			t.Errorf("lines: %v", got)
		}
		<-time.After(time.Hour)
	})
}
