package prometheus_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/wsguard/wsguard"
	adapter "github.com/wsguard/wsguard/adapters/prometheus"
)

func ExampleNewCollector() {
	observer := wsguard.NewObserver("chat", nil)
	registry := prometheus.NewRegistry()
	registry.MustRegister(adapter.NewCollector(observer))
	families, _ := registry.Gather()
	fmt.Println(families[0].GetName())
	// Output: wsguard_anomaly_active
}

func series(t *testing.T, r prometheus.Gatherer) (n int, text string) {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		n += len(f.GetMetric())
		text += f.String()
	}
	return n, text
}

// TestSeriesAreBounded has strangers of many origins, and one client that
// closes with many codes. R54
func TestSeriesAreBounded(t *testing.T) {
	o := wsguard.NewObserver("chat", nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(adapter.NewCollector(o))
	guard := wsguard.Chain(wsguard.Observe(o), wsguard.AllowOrigins("https://app.example.com"))
	h := guard(wsguard.Handler(func(ctx context.Context, c *wsguard.Conn) error {
		_, _, err := c.Read(ctx)
		return err
	}))
	for i := range 10_000 {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
			"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": fmt.Sprintf("https://o%d.example", i)} {
			r.Header.Set(k, v)
		}
		r.RemoteAddr = fmt.Sprintf("10.0.%d.%d:1", i/256, i%256)
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	srv := httptest.NewServer(h)
	defer srv.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 100 {
		c, _, err := websocket.Dial(ctx, srv.URL, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://app.example.com"}}})
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close(websocket.StatusCode(4000+i), "")
	}
	n, text := series(t, registry)
	if n > 64 || strings.Contains(text, ".example") || strings.Contains(text, "10.0.") {
		t.Errorf("%d series: %s", n, text)
	}
	if got := o.Stats().Refusals["origin_not_allowed"].Handshakes; got != 10_000 {
		t.Errorf("%d refused", got)
	}
}

type unhelpful struct{}

func (unhelpful) Verify(context.Context, string) (wsguard.Principal, error) {
	return wsguard.Principal{}, &wsguard.Refusal{Reason: "accepted", Status: http.StatusUnauthorized}
}

// TestReasonNamedAccepted has a verifier that refuses with the name of success.
func TestReasonNamedAccepted(t *testing.T) {
	o := wsguard.NewObserver("chat", nil)
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(adapter.NewCollector(o))
	h := wsguard.Chain(wsguard.Observe(o), wsguard.Authenticate(unhelpful{}, wsguard.FromAuthorization()))(
		wsguard.Handler(func(context.Context, *wsguard.Conn) error { return nil }))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Authorization": "Bearer t"} {
		r.Header.Set(k, v)
	}
	h.ServeHTTP(httptest.NewRecorder(), r)
	if o.Stats().Refusals["accepted"].Handshakes != 1 {
		t.Fatalf("the verifier's reason is not kept: %v", o.Stats().Refusals)
	}
	series(t, registry)
}

func TestNewCollectorMisuse(t *testing.T) {
	o := wsguard.NewObserver("chat", nil)
	for want, observers := range map[string][]*wsguard.Observer{"leave it out": {nil}, "a name of its own": {o, o}} {
		func() {
			defer func() {
				if s, _ := recover().(string); !strings.Contains(s, want) {
					t.Errorf("got %q, want %q", s, want)
				}
			}()
			adapter.NewCollector(observers...)
		}()
	}
}
