package main

import (
	"context"
	"net/http"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lestrrat-go/jwx/v2/jwa"
	"github.com/lxzan/gws"

	"github.com/wsguard/wsguard"
)

// What the load says of itself in its handshake.
const (
	host   = "ws.example.com"
	origin = "https://app.example.com"
)

// A contender is a server that echoes messages like the sample's.
type contender struct {
	name    string // as -serve takes it
	title   string
	handler func(*issuer, sample) (http.Handler, error)
	alg     jwa.SignatureAlgorithm // of its tokens; "" is ES256
}

var contenders = []contender{
	{"coder", "bare coder/websocket", bare(coderEcho), ""},
	{"coder-timeouts", "coder/websocket, a timeout on each call", coderTimeouts, ""},
	{"gws", "bare gws", bare(gwsEcho), ""},
	{"gorilla", "bare gorilla", bare(gorillaEcho), ""},
	{"coder-by-hand", "by hand on coder/websocket", coderByHand, ""},
	{"gorilla-by-hand", "by hand on gorilla", gorillaByHand, ""},
	{"wire", "wsguard wire", bare(func() http.Handler {
		return wsguard.Chain(wsguard.AllowOrigins(origin))(wsguard.Handler(guardedEcho))
	}), ""},
	{"full", "wsguard full", guardedServer, ""},
	{"full-kept", "wsguard full, refused connections kept", keptServer, ""},
	{"full-ticket", "wsguard full, with a ticket", ticketServer, ""},
	{"full-conns", "wsguard full", fullServer(func(l *limits) { l.conns = 1 }), ""},
	{"full-rate", "wsguard full", fullServer(func(l *limits) { l.handshakes = 1 }), ""},
	{"full-stranger", "wsguard full", strangersServer, ""},
	{"forbids", "net/http that answers 403", bare(forbids), ""},
	{"full-ES256", "wsguard full", guardedServer, jwa.ES256},
	{"full-RS256", "wsguard full", guardedServer, jwa.RS256},
	{"full-EdDSA", "wsguard full", guardedServer, jwa.EdDSA},
	{"full-HS256", "wsguard full", guardedServer, jwa.HS256},
	{"coder-ES256", "coder/websocket and jws.Verify", coderVerified, jwa.ES256},
	{"coder-RS256", "coder/websocket and jws.Verify", coderVerified, jwa.RS256},
	{"coder-EdDSA", "coder/websocket and jws.Verify", coderVerified, jwa.EdDSA},
	{"coder-HS256", "coder/websocket and jws.Verify", coderVerified, jwa.HS256},
	{"idlers", "wsguard full", inMemoryIdlers(idlers), ""},
	{"few-idlers", "wsguard full", inMemoryIdlers(fewIdlers), ""},
}

// bare is a contender that asks nobody for a token and checks no message.
func bare(handler func() http.Handler) func(*issuer, sample) (http.Handler, error) {
	return func(*issuer, sample) (http.Handler, error) { return handler(), nil }
}

func title(name string) string {
	for _, c := range contenders {
		if c.name == name {
			return c.title
		}
	}
	return name
}

// forbids is what no refusal can cost less than: net/http reads the request,
// nobody judges it, and an answer of one word goes out.
func forbids() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "forbidden", http.StatusForbidden) })
}

// coderEcho is the cheapest way to read and write whole messages: with a
// context that cannot end.
func coderEcho() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer func() { _ = c.CloseNow() }()
		ctx := context.Background()
		for {
			typ, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			if err := c.Write(ctx, typ, p); err != nil {
				return
			}
		}
	})
}

// gwsEvents echoes as the README of gws does, without its deadlines, which
// would end idle connections.
type gwsEvents struct{ gws.BuiltinEventHandler }

func (gwsEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	defer func() { _ = m.Close() }()
	_ = c.WriteMessage(m.Opcode, m.Bytes())
}

// gwsEcho leaves out what makes gws dearer here: a goroutine for each message
// (ParallelEnabled), and compression, which the load does not offer.
func gwsEcho() http.Handler {
	upgrader := gws.NewUpgrader(gwsEvents{}, &gws.ServerOption{Recovery: gws.Recovery})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err != nil {
			return
		}
		go c.ReadLoop() // so that the server's goroutine ends, and its memory goes
	})
}

func gorillaEcho() http.Handler {
	upgrader := gorilla.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		for {
			typ, p, err := c.ReadMessage()
			if err != nil {
				return
			}
			if err := c.WriteMessage(typ, p); err != nil {
				return
			}
		}
	})
}

func guardedEcho(ctx context.Context, c *wsguard.Conn) error {
	for {
		typ, p, err := c.Read(ctx)
		if err != nil {
			return err
		}
		if err := c.Write(ctx, typ, p); err != nil {
			return err
		}
	}
}
