package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// upgradeRequest is a handshake that is in order.
func upgradeRequest() *http.Request {
	r := httptest.NewRequest(http.MethodGet, "http://chat.example.com/ws", nil)
	r.Header = http.Header{
		"Connection": {"Upgrade"}, "Upgrade": {"websocket"},
		"Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}
	return r
}

// answer is the status with which a handler answers a handshake that has some
// more headers, given as names and values.
func answer(h http.Handler, headers ...string) string {
	r := upgradeRequest()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
		if headers[i] == "Host" {
			r.Host = headers[i+1]
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return fmt.Sprintf("%d %s", w.Code, http.StatusText(w.Code))
}

func ExampleChain() {
	observer := wsguard.NewObserver("chat", slog.New(slog.NewJSONHandler(os.Stderr, nil)))
	guard := wsguard.Chain(
		wsguard.Observe(observer), // first, so that it sees every refusal
		wsguard.RequireTLS(),
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.LimitConns(50, wsguard.PerIP),                          // cheap and anonymous before
		wsguard.Authenticate(known, wsguard.FromSubprotocol("bearer")), // what is expensive
		wsguard.LimitConns(5, wsguard.PerUser),
		wsguard.LimitMessages(10, 20, wsguard.PerConn),
		wsguard.KeepAlive(30*time.Second, 10*time.Second),
		wsguard.IdleTimeout(5*time.Minute),
	)
	http.Handle("GET /chat", guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for {
			typ, data, err := c.Read(ctx)
			if err != nil {
				return err
			}
			if err := c.Write(ctx, typ, data); err != nil {
				return err
			}
		}
	})))
}

// One buffer does for all messages of a connection, as each is sent before the
// next one is asked for.
func ExampleConn_ReadInto() {
	http.Handle("GET /echo", wsguard.AllowOrigins("https://app.example.com")(
		wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
			var buf []byte
			for {
				typ, data, err := c.ReadInto(ctx, buf)
				if err != nil {
					return err
				}
				if err := c.Write(ctx, typ, data); err != nil {
					return err
				}
				buf = data
			}
		})))
}

// Observe would miss what AllowOrigins refuses, so the chain is not built.
func ExampleChain_mistake() {
	defer func() { fmt.Println(recover()) }()
	wsguard.Chain(
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.Observe(wsguard.NewObserver("chat", nil)),
	)(wsguard.Handler(echo))
	// Output: wsguard: Observe stands inside AllowOrigins and would miss what it refuses: put Observe first
}

func ExampleObserve() {
	observer := wsguard.NewObserver("chat", nil, wsguard.Hooks{
		HandshakeDone: func(_ context.Context, e wsguard.HandshakeEvent) {
			if e.Refusal != nil {
				fmt.Println("refused:", e.Refusal.Reason)
			}
		},
	})
	h := wsguard.Chain(wsguard.Observe(observer), wsguard.AllowOrigins("https://app.example.com"))(wsguard.Handler(echo))
	answer(h, "Origin", "https://evil.example.com")
	fmt.Println(observer.Stats().Refusals["origin_not_allowed"].Handshakes)
	// Output:
	// refused: origin_not_allowed
	// 1
}

// A verifier of one's own says with a Refusal what a client is told.
func ExampleRefusal() {
	err := fmt.Errorf("session store: %w", &wsguard.Refusal{
		Safeguard:  "sessions",
		Reason:     "store_down",
		Status:     http.StatusServiceUnavailable,
		RetryAfter: 5 * time.Second,
		Err:        errors.New("dial tcp: connection refused"), // for observers alone
	})
	var refusal *wsguard.Refusal
	if errors.As(err, &refusal) && refusal.Reason == "store_down" {
		fmt.Println(refusal)
	}
	// Output: wsguard: sessions: store_down: dial tcp: connection refused
}

func ExampleCloseCodes() {
	// For clients that were written for codes of their own.
	guard := wsguard.Chain(
		wsguard.CloseCodes(map[string]websocket.StatusCode{"idle": 4000, "token_expired": 4001}),
		wsguard.IdleTimeout(5*time.Minute),
	)
	http.Handle("GET /codes", guard(wsguard.Handler(echo)))
}

func ExampleHandler() {
	h := wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, data, err := c.Read(ctx) // whole, checked, of at most 32 KiB
		if err != nil {
			return err // the reason, for observers
		}
		return c.Write(ctx, websocket.MessageText, data) // then the connection closes with 1000
	})
	fmt.Println(answer(h, "Upgrade", "h2c"))
	fmt.Println(answer(h, "Origin", "https://app.example.com")) // no safeguard has judged it
	// Output:
	// 426 Upgrade Required
	// 403 Forbidden
}

func ExampleUpgrader() {
	type tenant struct{}
	u := wsguard.Upgrader{
		Subprotocols: []string{"chat.v2", "chat.v1"},
		Context: func(r *http.Request) context.Context {
			return context.WithValue(context.Background(), tenant{}, r.PathValue("tenant"))
		},
	}
	http.Handle("GET /tenants/{tenant}", u.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		hello := fmt.Sprintf("%v speaks %s", ctx.Value(tenant{}), c.Subprotocol())
		return c.Write(ctx, websocket.MessageText, []byte(hello))
	}))
}

func ExampleAccept() {
	http.HandleFunc("GET /accept", func(w http.ResponseWriter, r *http.Request) {
		c, err := wsguard.Accept(w, r)
		if err != nil {
			return // the client has its answer
		}
		defer c.Close(websocket.StatusInternalError, "")
		if err := echo(context.Background(), c); err != nil {
			return
		}
	})
}

func ExampleIsUpgrade() {
	latency := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if began := time.Now(); !wsguard.IsUpgrade(r) {
				defer func() { _ = time.Since(began) }() // a connection is no slow request
			}
			next.ServeHTTP(w, r)
		})
	}
	http.Handle("/app/", latency(http.NotFoundHandler()))
}
