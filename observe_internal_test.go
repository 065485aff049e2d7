package wsguard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

var (
	errKid          = errors.New("kid is not in the key set")
	refusedOrigin   = &Refusal{Safeguard: "AllowOrigins", Reason: "origin_not_allowed", Status: 403}
	refusedExpired  = &Refusal{Safeguard: "Authenticate", Reason: "token_expired", Status: 401, CloseCode: 3000, Err: errKid}
	refusedRate     = &Refusal{Safeguard: "LimitMessages", Reason: "message_rate", CloseCode: 1008}
	refusedInternal = &Refusal{Safeguard: "Handler", Reason: "internal_error", Status: 500, CloseCode: 1011}
	refusedShutdown = &Refusal{Safeguard: "Handler", Reason: "context_ended", CloseCode: 1001}
	background      = context.Background()
	userConn        = ConnInfo{"c1", "", netip.MustParseAddr("192.0.2.1"), "X-Forwarded-For", "10.0.0.1:80", "https://app.example.com", "curl", "bearer-secret", "u1", "https://id.example.com", "j1", "0a1b2c3d", time.Time{}}
	eventIn         = MessageEvent{Conn: &userConn, Direction: DirectionIn, Type: websocket.MessageText, Size: 5}
	eventOut        = MessageEvent{Conn: &userConn, Direction: DirectionOut, Type: websocket.MessageText, Size: 7}
	eventRefused    = MessageEvent{Conn: &userConn, Direction: DirectionIn, Type: websocket.MessageText, Size: 5, Refusal: refusedRate}
)

// observerCall is one call of an unexported method of the Observer.
type observerCall struct {
	name string
	call func(*Observer) error
}

// observerCalls is one event for each hook.
var observerCalls = []observerCall{
	{"HandshakeDone", func(o *Observer) error { return o.handshake(background, HandshakeEvent{Conn: userConn}) }},
	{"ConnClosed", func(o *Observer) error { return o.closed(background, CloseEvent{Conn: userConn, Code: 1000}) }},
	{"Message", func(o *Observer) error { return o.message(background, eventIn) }},
	{"Violation", func(o *Observer) error {
		return o.violation(background, ViolationEvent{Conn: userConn, Refusal: refusedRate, Action: "drop"})
	}},
	{"Anomaly", func(o *Observer) error { o.anomaly(0, true, 9, 1); return nil }},
}

// hooksCalling returns Hooks of which each calls f with its name and endpoint.
func hooksCalling(f func(name, endpoint string)) Hooks {
	return Hooks{
		HandshakeDone: func(_ context.Context, e HandshakeEvent) { f("HandshakeDone", e.Conn.Endpoint) },
		ConnClosed:    func(_ context.Context, e CloseEvent) { f("ConnClosed", e.Conn.Endpoint) },
		Message:       func(_ context.Context, e MessageEvent) { f("Message", e.Conn.Endpoint) },
		Violation:     func(_ context.Context, e ViolationEvent) { f("Violation", e.Conn.Endpoint) },
		Anomaly:       func(_ context.Context, e AnomalyEvent) { f("Anomaly", e.Endpoint) },
	}
}

// lockedBuffer may be read while a timer's goroutine writes.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// take returns what was written since the last call.
func (b *lockedBuffer) take() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.String()
	b.Reset()
	return s
}

// captureLog returns a logger and what it has written since the last call.
func captureLog(t *testing.T) (*slog.Logger, func() []map[string]any) {
	var buf lockedBuffer
	return slog.New(slog.NewJSONHandler(&buf, nil)), func() (all []map[string]any) {
		t.Helper()
		for line := range strings.Lines(buf.take()) {
			m := make(map[string]any)
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			all = append(all, m)
		}
		return all
	}
}

func TestNewObserverWithoutEndpoint(t *testing.T) {
	defer func() {
		if s, _ := recover().(string); !strings.Contains(s, `write NewObserver("chat"`) {
			t.Errorf("got %q", s)
		}
	}()
	NewObserver("", nil)
}

// R54
func TestCounters(t *testing.T) {
	accept := func(o *Observer) { o.handshake(background, HandshakeEvent{Conn: userConn}) }
	refuse := func(r *Refusal) func(*Observer) {
		return func(o *Observer) { o.handshake(background, HandshakeEvent{Refusal: r}) }
	}
	end := func(code websocket.StatusCode, by Initiator, r *Refusal) func(*Observer) {
		return func(o *Observer) { o.closed(background, CloseEvent{Code: code, Initiator: by, Refusal: r}) }
	}
	message := func(e MessageEvent) func(*Observer) { return func(o *Observer) { o.message(background, e) } }
	violate := func(o *Observer) { o.violation(background, ViolationEvent{Refusal: refusedRate, Action: "close"}) }

	rows := []struct {
		name string
		do   []func(*Observer)
		want Stats // but for Endpoint and Anomalies
	}{
		{"nothing", nil, Stats{}},
		{"accepted", []func(*Observer){accept, accept}, Stats{Connections: 2, HandshakesAccepted: 2}},
		{"refused", []func(*Observer){refuse(refusedOrigin), refuse(refusedOrigin), refuse(refusedExpired)},
			Stats{Refusals: map[string]RefusalStats{"origin_not_allowed": {Handshakes: 2}, "token_expired": {Handshakes: 1}}}},
		{"closed by the peer", []func(*Observer){accept, accept, end(1000, InitiatorPeer, nil)},
			Stats{Connections: 1, HandshakesAccepted: 2, Closes: map[string]CloseStats{"1000": {Peer: 1}}}},
		{"closed by nobody", []func(*Observer){accept, end(1006, InitiatorNetwork, nil)},
			Stats{HandshakesAccepted: 1, Closes: map[string]CloseStats{"1006": {Network: 1}}}},
		{"closed by a safeguard", []func(*Observer){accept, end(3000, InitiatorServer, refusedExpired)},
			Stats{HandshakesAccepted: 1, Closes: map[string]CloseStats{"3000": {Server: 1}}, Refusals: map[string]RefusalStats{"token_expired": {Closes: 1}}}},
		{"messages", []func(*Observer){message(eventIn), message(eventIn), message(eventOut)},
			Stats{In: TrafficStats{Text: MessageStats{Accepted: 2}, Bytes: 10}, Out: TrafficStats{Text: MessageStats{Accepted: 1}, Bytes: 7}}},
		{"binary messages", []func(*Observer){message(MessageEvent{Direction: DirectionOut, Type: websocket.MessageBinary, Size: 3}),
			message(MessageEvent{Direction: DirectionOut, Type: websocket.MessageBinary, Size: 4, Refusal: refusedRate})},
			Stats{Out: TrafficStats{Binary: MessageStats{Accepted: 1, Refused: 1}, Bytes: 3}, Refusals: map[string]RefusalStats{"message_rate": {Messages: 1}}}},
		{"refused message that is a violation", []func(*Observer){message(eventRefused), violate},
			Stats{In: TrafficStats{Text: MessageStats{Refused: 1}}, Refusals: map[string]RefusalStats{"message_rate": {Messages: 1, Violations: 1}}}},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			o := NewObserver("chat", nil)
			for _, do := range row.do {
				do(o)
			}
			got := o.Stats()
			row.want.Endpoint, row.want.Anomalies = "chat", got.Anomalies
			if row.want.Refusals == nil {
				row.want.Refusals = map[string]RefusalStats{}
			}
			if row.want.Closes == nil {
				row.want.Closes = map[string]CloseStats{}
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("got  %+v\nwant %+v", got, row.want)
			}
			if names := slices.Sorted(maps.Keys(got.Anomalies)); !slices.Equal(names, []string{"closes", "handshakes", "messages", "refusals"}) {
				t.Errorf("signals %v", names)
			}
		})
	}
}

// TestCountersAreBounded makes up more reasons and codes than there is room for.
func TestCountersAreBounded(t *testing.T) {
	o := NewObserver("chat", nil)
	for i := range 5000 {
		o.handshake(background, HandshakeEvent{Refusal: &Refusal{Reason: fmt.Sprint("made_up_", i)}})
		o.message(background, MessageEvent{Refusal: &Refusal{Reason: fmt.Sprint("invented_", i)}})
		o.closed(background, CloseEvent{Code: websocket.StatusCode(i), Initiator: InitiatorPeer})
		o.closed(background, CloseEvent{Code: websocket.StatusCode(i), Initiator: InitiatorServer})
	}
	o.handshake(background, HandshakeEvent{Refusal: refusedOrigin})
	s := o.Stats()
	var handshakes, closes int64
	for _, n := range s.Refusals {
		handshakes += n.Handshakes
	}
	for _, n := range s.Closes {
		closes += n.Peer + n.Server + n.Network
	}
	if len(s.Refusals) > maxReasons+1 || handshakes != 5001 || s.Refusals["other"].Messages == 0 {
		t.Errorf("%d reasons, %d handshakes, %+v other", len(s.Refusals), handshakes, s.Refusals["other"])
	}
	if s.Refusals["origin_not_allowed"].Handshakes != 1 {
		t.Error("a reason of wsguard's own lost its place to made-up ones")
	}
	if len(s.Closes) > maxCloses+1 || closes != 10000 || s.Closes["app"] != (CloseStats{Peer: 2000 - 3}) {
		t.Errorf("%d codes, %d closes, %+v app", len(s.Closes), closes, s.Closes["app"])
	}
}

func TestCloseLabel(t *testing.T) {
	rows := []struct {
		code websocket.StatusCode
		by   Initiator
		want string
	}{
		{1000, InitiatorPeer, "1000"},
		{1006, InitiatorNetwork, "1006"},
		{1015, InitiatorNetwork, "1015"},
		{3000, InitiatorPeer, "3000"},
		{3003, InitiatorPeer, "3003"},
		{3008, InitiatorPeer, "3008"},
		{3001, InitiatorPeer, "app"},
		{4999, InitiatorPeer, "app"},
		{4001, InitiatorServer, "4001"},
		{999, InitiatorServer, "other"},
		{1016, InitiatorServer, "other"},
		{2999, InitiatorPeer, "other"},
		{5000, InitiatorServer, "other"},
		{0, InitiatorNetwork, "other"},
		{-1, InitiatorPeer, "other"},
	}
	for _, row := range rows {
		if got := closeLabel(row.code, row.by); got != row.want {
			t.Errorf("%d by %s is %q, want %q", row.code, row.by, got, row.want)
		}
	}
}

func TestMessageDoesNotAllocate(t *testing.T) {
	logger, _ := captureLog(t)
	rows := []struct {
		name  string
		hooks []Hooks
		event MessageEvent
	}{
		{"in", nil, eventIn},
		{"out", nil, eventOut},
		{"refused", nil, eventRefused},
		{"a hook", []Hooks{{Message: func(context.Context, MessageEvent) {}}}, eventIn},
	}
	for _, row := range rows {
		o := NewObserver("chat", logger, row.hooks...)
		if n := testing.AllocsPerRun(1000, func() { _ = o.message(background, row.event) }); n != 0 {
			t.Errorf("%s: %v allocations", row.name, n)
		}
	}
}

func BenchmarkMessage(b *testing.B) {
	for _, row := range []struct {
		name  string
		hooks []Hooks
		event MessageEvent
	}{
		{"accepted", nil, eventIn},
		{"refused", nil, eventRefused},
		{"hook", []Hooks{{Message: func(context.Context, MessageEvent) {}}}, eventIn},
	} {
		b.Run(row.name, func(b *testing.B) {
			o := NewObserver("chat", nil, row.hooks...)
			b.ReportAllocs()
			for b.Loop() {
				_ = o.message(background, row.event)
			}
		})
	}
}

// R60
func TestObserverByMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen sync.Map
		logger := slog.New(slog.NewTextHandler(&bytes.Buffer{}, nil))
		o := NewObserver("chat", logger, hooksCalling(func(name, _ string) { seen.Store(name, true) }))
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 100 {
					for _, r := range observerCalls {
						_ = r.call(o)
					}
					if n := o.Stats().Connections; n < 0 {
						t.Errorf("%d connections", n)
					}
				}
			})
		}
		wg.Wait()
		s := o.Stats()
		if s.Connections != 0 || s.HandshakesAccepted != 800 || s.Closes["1000"] != (CloseStats{Network: 800}) || s.In.Accepted() != 800 || s.Refusals["message_rate"].Violations != 800 {
			t.Errorf("got %+v", s)
		}
		<-time.After(time.Hour)
	})
}

// TestAnomaly has a steady hour and then a storm of refused handshakes. R54
func TestAnomaly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger, read := captureLog(t)
		var mu sync.Mutex
		var events []AnomalyEvent
		o := NewObserver("chat", logger, Hooks{Anomaly: func(_ context.Context, e AnomalyEvent) {
			mu.Lock()
			defer mu.Unlock()
			// What is usual moves a little with each bucket.
			e.Expected = math.Round(e.Expected/10) * 10
			events = append(events, e)
		}})
		take := func() []AnomalyEvent {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := events
			events = nil
			return all
		}
		run := func(buckets, refusals int) {
			for range buckets {
				o.spikes.Wake()
				<-time.After(5 * time.Second)
				for range refusals {
					_ = o.handshake(background, HandshakeEvent{Refusal: refusedOrigin})
				}
				<-time.After(5 * time.Second)
			}
		}
		logged := func() (all []string) {
			for _, line := range read() {
				if line["event"] == "anomaly" {
					all = append(all, fmt.Sprintf("%v %v %v %v %v", line["level"], line["msg"], line["endpoint"], line["signal"], line["outcome"]))
				}
			}
			return all
		}

		expect := func(active bool, outcome string, want ...AnomalyEvent) {
			t.Helper()
			if got := take(); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			var lines []string
			for _, e := range want {
				lines = append(lines, "WARN websocket anomaly chat "+e.Signal+" "+outcome)
			}
			if got := logged(); !slices.Equal(got, lines) {
				t.Errorf("logged %q, want %q", got, lines)
			}
			anomalies := map[string]bool{"handshakes": active, "refusals": active, "messages": false, "closes": false}
			if got := o.Stats().Anomalies; !maps.Equal(got, anomalies) {
				t.Errorf("got %v, want %v", got, anomalies)
			}
		}

		run(400, 50)
		expect(false, "")
		run(1, 500)
		expect(true, "started", AnomalyEvent{"chat", "handshakes", true, 500, 50}, AnomalyEvent{"chat", "refusals", true, 500, 50})
		<-time.After(time.Hour)
		expect(false, "ended", AnomalyEvent{"chat", "handshakes", false, 0, 50}, AnomalyEvent{"chat", "refusals", false, 0, 50})
	})
}

// TestSignals shows what feeds which signal, and what keeps the watch awake.
func TestSignals(t *testing.T) {
	o := NewObserver("chat", nil)
	_ = o.handshake(background, HandshakeEvent{})
	if !o.busy() {
		t.Error("an open connection is nothing to watch")
	}
	_ = o.handshake(background, HandshakeEvent{Refusal: refusedOrigin})
	_ = o.violation(background, ViolationEvent{Refusal: refusedRate})
	_ = o.message(background, eventRefused)
	for range 5 {
		_ = o.message(background, eventIn)
		_ = o.message(background, eventOut)
	}
	_ = o.closed(background, CloseEvent{Code: 1000})
	if got, want := o.totals(), []int64{2, 2, 5, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v for %v", got, want, spikeSignals)
	}
	if o.busy() {
		t.Error("the watch stays awake for no connection")
	}
}
