package main

import (
	"context"
	"net/http"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"

	"github.com/wsguard/wsguard"
)

// What the load says of itself in its handshake.
const (
	host   = "ws.example.com"
	origin = "https://app.example.com"
	token  = "t"
)

// A contender is a server that echoes.
type contender struct {
	name    string // as -serve takes it
	title   string
	handler func() http.Handler
}

var contenders = []contender{
	{"coder", "bare coder/websocket", coderEcho},
	{"gws", "bare gws", gwsEcho},
	{"gorilla", "bare gorilla", gorillaEcho},
	{"wire", "wsguard wire", func() http.Handler {
		return wsguard.Chain(wsguard.AllowOrigins(origin))(wsguard.Handler(guardedEcho))
	}},
	{"full", "wsguard full", func() http.Handler { return fullChain()(wsguard.Handler(guardedEcho)) }},
}

func title(name string) string {
	for _, c := range contenders {
		if c.name == name {
			return c.title
		}
	}
	return name
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

// anybody accepts the token of the load: what a verifier costs is paid in the
// handshake.
type anybody struct{}

func (anybody) Verify(context.Context, string) (wsguard.Principal, error) {
	return wsguard.Principal{Issuer: "id", Subject: "alice", Expires: time.Now().Add(time.Hour)}, nil
}

// fullChain is every safeguard that works over plain HTTP and without a proxy,
// with limits that nobody reaches and the schema of the load's message.
func fullChain() func(http.Handler) http.Handler {
	const many = 1 << 30
	return wsguard.Chain(
		wsguard.Observe(wsguard.NewObserver("bench", nil)),
		wsguard.AllowHosts(host),
		wsguard.AllowOrigins(origin),
		wsguard.LimitConns(many, wsguard.Everyone),
		wsguard.LimitConns(many, wsguard.PerIP),
		wsguard.LimitHandshakes(many, many, wsguard.PerIP),
		wsguard.Authenticate(anybody{}, wsguard.FromAuthorization()),
		wsguard.LimitConns(many, wsguard.PerUser),
		wsguard.LimitFrames(wsguard.FrameLimits{ByteRate: many, ByteBurst: many}),
		wsguard.MaxMessageSize(16<<10),
		wsguard.LimitMessages(many, many, wsguard.PerConn),
		wsguard.LimitMessages(many, many, wsguard.PerUser),
		wsguard.LimitBytes(many, many, wsguard.PerConn),
		wsguard.ValidateMessages(wsguard.MustCompileSchema(chatSchema)),
		wsguard.CheckMessages("any", anything),
		wsguard.SanitizeMessages(wsguard.Sanitizer{}),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
		wsguard.IdleTimeout(5*time.Minute),
		wsguard.FirstMessageTimeout(time.Minute),
		wsguard.MaxLifetime(8*time.Hour),
	)
}

func anything(context.Context, *wsguard.Conn, coder.MessageType, []byte) error { return nil }
