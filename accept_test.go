package wsguard_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/coder/websocket"

	"github.com/wsguard/wsguard"
)

// An Accept on a goroutine that outlives the handler is a refusal, and not the
// end of the process. R59
func TestAcceptAfterTheHandlerHasReturned(t *testing.T) {
	for name, guard := range map[string]func(http.Handler) http.Handler{
		"in a chain":     wsguard.LimitConns(1, wsguard.Everyone),
		"by RedactQuery": wsguard.RedactQuery("token"),
	} {
		t.Run(name, func(t *testing.T) {
			returned, got := make(chan struct{}), make(chan error, 1)
			url := newServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				defer close(returned)
				guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					go func() {
						<-returned
						_, err := wsguard.Accept(w, r)
						got <- err
					}()
				})).ServeHTTP(w, r)
			}))
			_, _ = tryKnock(url)
			var refusal *wsguard.Refusal
			if err := next(t, got); !errors.As(err, &refusal) {
				t.Errorf("error %v, want a refusal", err)
			}
		})
	}
}

// Only text and binary are messages: anything else would be a control frame,
// or none at all.
func TestTypesThatAreNoMessages(t *testing.T) {
	url := newServer(t, wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		for _, typ := range []websocket.MessageType{0, 3, 8, 9, 99, -1} {
			if err := c.Write(ctx, typ, []byte("x")); err == nil || c.TrySend(typ, []byte("x")) {
				t.Errorf("a message of type %d was sent", typ)
			}
		}
		return c.Write(ctx, websocket.MessageText, []byte("the first"))
	}))
	if _, data, err := mustDial(t, url).Read(t.Context()); err != nil || string(data) != "the first" {
		t.Errorf("%q, %v", data, err)
	}
}
