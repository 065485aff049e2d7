package wsguard_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// closeStatus connects to a handler, lets the client do something, and returns
// the code with which the server closes the connection.
func closeStatus(h http.Handler, do func(context.Context, *websocket.Conn) error) int {
	srv := httptest.NewServer(h)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		return -1
	}
	defer func() { _ = c.CloseNow() }()
	for err = do(ctx, c); err == nil; {
		_, _, err = c.Read(ctx)
	}
	return int(websocket.CloseStatus(err))
}

func ExampleLimitFrames() {
	// For a protocol whose messages come in one frame, and with few pings.
	guard := wsguard.LimitFrames(wsguard.FrameLimits{
		ControlRate:  0.2, // one in five seconds
		ControlBurst: 3,
		Fragments:    1,
		ByteRate:     64 << 10, // what comes faster waits in the peer
		ByteBurst:    256 << 10,
	})
	h := guard(wsguard.Handler(echo))
	fmt.Println(closeStatus(h, func(ctx context.Context, c *websocket.Conn) error {
		w, err := c.Writer(ctx, websocket.MessageText) // writes fragments
		if err != nil {
			return err
		}
		for range 2 {
			_, _ = w.Write([]byte("part of a message"))
		}
		return w.Close()
	}))
	// Output: 1008
}

func ExampleFirstMessageTimeout() {
	// A client of this protocol begins by saying who it is; here, it has little
	// time for it.
	h := wsguard.FirstMessageTimeout(20 * time.Millisecond)(wsguard.Handler(echo))
	fmt.Println(closeStatus(h, func(context.Context, *websocket.Conn) error { return nil }))
	// Output: 3008
}

func ExampleMessageTimeout() {
	// No pause in a message of more than 20 ms, and a message of 8 KiB in at
	// most a second and 20 ms.
	h := wsguard.MessageTimeout(20*time.Millisecond, 8<<10)(wsguard.Handler(echo))
	fmt.Println(closeStatus(h, func(ctx context.Context, c *websocket.Conn) error {
		w, err := c.Writer(ctx, websocket.MessageText)
		if err != nil {
			return err
		}
		_, err = w.Write([]byte(strings.Repeat("a beginning, and then nothing. ", 1000)))
		return err
	}))
	// Output: 3008
}

func ExampleWriteTimeout() {
	ended := make(chan error, 1)
	guard := wsguard.WriteTimeout(50 * time.Millisecond)
	h := guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		var err error
		for err == nil { // until the buffers between here and there are full
			err = c.Write(ctx, websocket.MessageBinary, make([]byte, 1<<20))
		}
		ended <- err
		return err
	}))
	closeStatus(h, func(context.Context, *websocket.Conn) error {
		var refusal *wsguard.Refusal
		if err := <-ended; errors.As(err, &refusal) { // and nothing was read
			fmt.Println(refusal.Reason)
		}
		return errors.New("enough")
	})
	// Output: slow_reader
}

func ExampleInsecureKeepRefused() {
	for _, guard := range []func(http.Handler) http.Handler{
		wsguard.AllowOrigins("https://app.example.com"),
		wsguard.Chain(wsguard.InsecureKeepRefused(), wsguard.AllowOrigins("https://app.example.com")),
	} {
		connections := 0
		srv := httptest.NewUnstartedServer(guard(wsguard.Handler(echo)))
		srv.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections++
			}
		}
		// The server's limit is what is left to refused clients.
		srv.Config.IdleTimeout = 10 * time.Second
		srv.Start()
		for range 3 { // refused: no origin is given
			if resp, err := srv.Client().Get(srv.URL); err == nil {
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		}
		srv.Close()
		fmt.Println(connections)
	}
	// Output:
	// 3
	// 1
}
