package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	coder "github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// limits are the numbers of a chain.
type limits struct {
	conns         int // in all, of an address and of a user
	handshakes    int // of an address in an hour, and at once
	messages      int // of a connection or a user in a second, and at once
	bytes         int // the same
	messageSize   int64
	ping, pong    time.Duration
	firstMessage  time.Duration
	idle          time.Duration
	life          time.Duration
	revalidate    time.Duration
	messageSchema wsguard.MessageSpec
}

// generous limits are in force, but nobody reaches them.
func generous(schema string) limits {
	const many = 1 << 30
	return limits{conns: many, handshakes: many, messages: many, bytes: many, messageSize: 24 << 10,
		ping: 30 * time.Second, pong: 10 * time.Second, firstMessage: time.Minute,
		idle: 5 * time.Minute, life: 8 * time.Hour, revalidate: time.Minute, messageSchema: wsguard.MustCompileSchema(schema)}
}

// fullChain is the chat's chain (examples/chat/guard.go). It differs from it
// where it says so: in what a load generator on plain loopback lacks, and in
// more that is checked, never in less.
func fullChain(o *wsguard.Observer, verifier wsguard.Verifier, l limits) func(http.Handler) http.Handler {
	return ticketChain(o, verifier, newTickets(), l)
}

// ticketChain is fullChain where tickets are known.
func ticketChain(o *wsguard.Observer, verifier wsguard.Verifier, tickets *wsguard.Tickets, l limits) func(http.Handler) http.Handler {
	var registry wsguard.Registry
	return wsguard.Chain(
		wsguard.RedactQuery("token", "ticket"),
		wsguard.Observe(o),
		// No TrustProxies and no RequireTLS, as in the chat on plain http: the
		// load comes directly, and TLS would cost every contender the same.
		wsguard.AllowHosts(host),
		wsguard.AllowOrigins(origin),
		wsguard.LimitConns(l.conns, wsguard.Everyone),
		wsguard.LimitConns(l.conns, wsguard.PerIP),
		wsguard.LimitHandshakes(rate.Limit(l.handshakes)/3600, l.handshakes, wsguard.PerIP),
		wsguard.Authenticate(verifier, wsguard.FromTicket(tickets, wsguard.FromQuery("ticket")),
			wsguard.FromAuthorization(), wsguard.FromQuery("token"), wsguard.FromSubprotocol("bearer")),
		wsguard.LimitConns(l.conns, wsguard.PerUser),
		registry.Track(),
		wsguard.Revalidate(l.revalidate, func(context.Context, wsguard.Principal) error { return nil }),
		wsguard.WarnExpiry(time.Minute, func(context.Context, *wsguard.Conn) {}),

		// More than the chat: a pace for the bytes of the wire, a message rate
		// also for each user, a byte rate also for each connection.
		wsguard.LimitFrames(wsguard.FrameLimits{ByteRate: 1 << 30, ByteBurst: 1 << 30}),
		wsguard.MaxMessageSize(l.messageSize),
		wsguard.LimitMessages(rate.Limit(l.messages), l.messages, wsguard.PerConn),
		wsguard.LimitMessages(rate.Limit(l.messages), l.messages, wsguard.PerUser),
		wsguard.LimitBytes(rate.Limit(l.bytes), l.bytes, wsguard.PerConn),
		wsguard.LimitBytes(rate.Limit(l.bytes), l.bytes, wsguard.PerUser),
		// One schema, which those who do it by hand check too, where the chat
		// has one for each type of message; what types cost is the part growth.
		wsguard.ValidateMessages(l.messageSchema),
		wsguard.CheckMessages("forbidden", notForbidden),
		wsguard.SanitizeMessages(wsguard.Sanitizer{}),

		wsguard.KeepAlive(l.ping, l.pong),
		wsguard.IdleTimeout(l.idle),
		wsguard.FirstMessageTimeout(l.firstMessage),
		wsguard.MaxLifetime(l.life),
	)
}

// observer logs at info to nowhere, counts, and has every hook.
func observer() *wsguard.Observer {
	var seen atomic.Int64
	return wsguard.NewObserver("bench", slog.New(slog.NewJSONHandler(io.Discard, nil)), wsguard.Hooks{
		HandshakeDone: func(context.Context, wsguard.HandshakeEvent) { seen.Add(1) },
		ConnClosed:    func(context.Context, wsguard.CloseEvent) { seen.Add(1) },
		Message:       func(context.Context, wsguard.MessageEvent) { seen.Add(1) },
		Violation:     func(context.Context, wsguard.ViolationEvent) { seen.Add(1) },
		Anomaly:       func(context.Context, wsguard.AnomalyEvent) { seen.Add(1) },
	})
}

// forbidden is what the check of the chain does not let pass.
const forbidden = `{"type":"say","room":"lobby","text":"forbidden"}`

func notForbidden(_ context.Context, _ *wsguard.Conn, _ coder.MessageType, data []byte) error {
	if string(data) == forbidden {
		return &wsguard.Refusal{Reason: "message_rejected"}
	}
	return nil
}

// guardedServer has the full chain with generous limits.
func guardedServer(i *issuer, s sample) (http.Handler, error) {
	return fullServer(func(*limits) {})(i, s)
}

// newTickets are for pages of the origin of the load, as many as anybody wants.
func newTickets() *wsguard.Tickets {
	const many = 1 << 20
	origins, err := wsguard.ParseOrigins(origin)
	if err != nil {
		panic(err) // a constant
	}
	return wsguard.NewTickets(wsguard.NewMemoryTickets(many), wsguard.TicketOptions{
		Path: "/ws", Origins: origins, PerUser: many, InsecurePlaintext: true})
}

// ticketServer gives tickets to everybody, at /ticket.
func ticketServer(i *issuer, s sample) (http.Handler, error) {
	verifier, err := i.verifier()
	if err != nil {
		return nil, err
	}
	tickets := newTickets()
	mux := http.NewServeMux()
	mux.Handle("POST /ticket", tickets.Issue(func(*http.Request) (wsguard.Principal, error) {
		return wsguard.Principal{Issuer: issuerName, Subject: user, Expires: time.Now().Add(time.Hour), IssuedAt: time.Now()}, nil
	}))
	mux.Handle("GET /ws", ticketChain(observer(), verifier, tickets, generous(s.schema))(wsguard.Handler(guardedEcho)))
	return mux, nil
}

// fullServer has the full chain with some of the limits made small.
func fullServer(small func(*limits)) func(*issuer, sample) (http.Handler, error) {
	return func(i *issuer, s sample) (http.Handler, error) {
		verifier, err := i.verifier()
		if err != nil {
			return nil, err
		}
		l := generous(s.schema)
		small(&l)
		return fullChain(observer(), verifier, l)(wsguard.Handler(guardedEcho)), nil
	}
}

// strangersServer knows another key than the one that signs the tokens.
func strangersServer(i *issuer, s sample) (http.Handler, error) {
	other, err := newIssuer(i.alg)
	if err != nil {
		return nil, err
	}
	return guardedServer(other, s)
}

// keptServer also leaves connections open on which it has refused, as nobody
// should who is not measuring what that saves.
func keptServer(i *issuer, s sample) (http.Handler, error) {
	guarded, err := guardedServer(i, s)
	return wsguard.InsecureKeepRefused()(guarded), err
}
