// Package interop shows that the safeguards hold in front of other WebSocket
// libraries and under routers, over real sockets. It holds tests only, and is a
// module of its own so that none of these reaches the core's go.mod.
package interop

import (
	"context"
	"net/http"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
	"github.com/olahol/melody"
)

// A library makes an upgrade handler that echoes, written as the library's
// README writes it, with compression switched on. coder/websocket's reads one
// message under a context of ten seconds; one that waits for messages has none,
// nor has this.
type library struct {
	name    string
	handler func(testing.TB, app) http.Handler
}

var libraries = []library{
	{"coder", coderHandler},
	{"gorilla", gorillaHandler},
	{"gws", gwsHandler},
	{"gobwas", gobwasHandler},
	{"melody", melodyHandler},
}

// byeCode is what a library closes with when a client asks for it.
const byeCode = 4000

// libraryLimit is the most that the libraries let a message have. It is far
// above the limits of the tests, so that it is wsguard who refuses.
const libraryLimit = 1 << 20

func coderHandler(_ testing.TB, a app) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.left()
		c, err := coder.Accept(w, r, &coder.AcceptOptions{InsecureSkipVerify: !a.sameOrigin, CompressionMode: coder.CompressionContextTakeover})
		if err != nil {
			return
		}
		a.opened(r)
		defer c.CloseNow()
		if a.limit > 0 {
			c.SetReadLimit(a.limit)
		}
		ctx := context.Background()
		s := socket{
			write: func(binary bool, p []byte) error {
				if binary {
					return c.Write(ctx, coder.MessageBinary, p)
				}
				return c.Write(ctx, coder.MessageText, p)
			},
			close: func() { _ = c.Close(byeCode, "bye") },
			leave: func() {},
		}
		for {
			typ, p, err := c.Read(ctx)
			if err != nil || !a.message(s, typ == coder.MessageBinary, p) {
				return
			}
		}
	})
}

func gorillaHandler(_ testing.TB, a app) http.Handler {
	upgrader := gorilla.Upgrader{EnableCompression: true}
	if !a.sameOrigin {
		upgrader.CheckOrigin = func(*http.Request) bool { return true }
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.left()
		c, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		a.opened(r)
		defer c.Close()
		if a.limit > 0 {
			c.SetReadLimit(a.limit)
		}
		s := socket{
			write: func(binary bool, p []byte) error {
				if binary {
					return c.WriteMessage(gorilla.BinaryMessage, p)
				}
				return c.WriteMessage(gorilla.TextMessage, p)
			},
			close: func() {
				_ = c.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(byeCode, "bye"), time.Now().Add(time.Second))
			},
			leave: func() {},
		}
		for {
			typ, p, err := c.ReadMessage()
			if err != nil || !a.message(s, typ == gorilla.BinaryMessage, p) {
				return
			}
		}
	})
}

// gwsEvents is the handler of the README: it moves the deadline at each sign
// of life.
type gwsEvents struct {
	gws.BuiltinEventHandler
	app app
}

const gwsWait = 15 * time.Second

func (gwsEvents) OnOpen(c *gws.Conn) { _ = c.SetDeadline(time.Now().Add(gwsWait)) }

func (gwsEvents) OnPing(c *gws.Conn, _ []byte) {
	_ = c.SetDeadline(time.Now().Add(gwsWait))
	_ = c.WritePong(nil)
}

func (e gwsEvents) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	s := socket{
		write: func(binary bool, p []byte) error {
			if binary {
				return c.WriteMessage(gws.OpcodeBinary, p)
			}
			return c.WriteMessage(gws.OpcodeText, p)
		},
		close: func() { _ = c.WriteClose(byeCode, []byte("bye")) },
		leave: func() { _ = c.NetConn().Close() },
	}
	e.app.message(s, m.Opcode == gws.OpcodeBinary, m.Bytes())
}

func gwsHandler(_ testing.TB, a app) http.Handler {
	upgrader := gws.NewUpgrader(gwsEvents{app: a}, &gws.ServerOption{
		ParallelEnabled:    true,
		Recovery:           gws.Recovery,
		ReadMaxPayloadSize: int(a.limit), // 0 is 16 MiB
		// A deflater is a megabyte, and the default is 32 of them for each upgrader.
		PermessageDeflate: gws.PermessageDeflate{Enabled: true, PoolSize: 1, ServerContextTakeover: true, ClientContextTakeover: true},
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := upgrader.Upgrade(w, r)
		if err != nil {
			a.left()
			return
		}
		a.opened(r)
		go func() {
			defer a.survive()
			defer a.left()
			c.ReadLoop()
		}()
	})
}

func gobwasHandler(_ testing.TB, a app) http.Handler {
	wsutil.SetMaxMessageSize(libraryLimit) // the README's value, too, and one for the process
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		deflate := wsflate.Extension{Parameters: wsflate.DefaultParameters}
		c, _, _, err := ws.HTTPUpgrader{Negotiate: deflate.Negotiate}.Upgrade(r, w)
		if err != nil {
			a.left()
			return
		}
		a.opened(r)
		s := socket{
			write: func(binary bool, p []byte) error {
				if binary {
					return wsutil.WriteServerBinary(c, p)
				}
				return wsutil.WriteServerText(c, p)
			},
			close: func() { _ = ws.WriteFrame(c, ws.NewCloseFrame(ws.NewCloseFrameBody(byeCode, "bye"))) },
			leave: func() {},
		}
		go func() {
			defer a.left()
			defer c.Close()
			for {
				p, op, err := wsutil.ReadClientData(c)
				if err != nil || !a.message(s, op == ws.OpBinary, p) {
					return
				}
			}
		}()
	})
}

func melodyHandler(t testing.TB, a app) http.Handler {
	m := melody.New()
	if a.limit > 0 {
		m.Config.MaxMessageSize = a.limit // else 512
	}
	m.Upgrader.EnableCompression = true
	socketOf := func(s *melody.Session) socket {
		return socket{
			write: func(binary bool, p []byte) error {
				if binary {
					return s.WriteBinary(p)
				}
				return s.Write(p)
			},
			close: func() { _ = s.CloseWithMsg(melody.FormatCloseMessage(byeCode, "bye")) },
			leave: func() { _ = s.Close() },
			// Its queue drops what does not fit: the next goes in when one is out.
			stream: func(next func() ([]byte, bool)) {
				s.Set("next", next)
				p, _ := next()
				_ = s.Write(p)
			},
		}
	}
	m.HandleConnect(func(s *melody.Session) { a.opened(s.Request) })
	m.HandleMessage(func(s *melody.Session, p []byte) { a.message(socketOf(s), false, p) })
	m.HandleMessageBinary(func(s *melody.Session, p []byte) { a.message(socketOf(s), true, p) })
	m.HandleSentMessage(func(s *melody.Session, _ []byte) {
		if next, ok := s.Get("next"); ok {
			p, more := next.(func() ([]byte, bool))()
			if !more {
				s.UnSet("next")
			}
			_ = s.Write(p)
		}
	})
	t.Cleanup(func() { _ = m.Close() })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer a.left()
		_ = m.HandleRequest(w, r)
	})
}
