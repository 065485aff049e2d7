package jwks_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/wsguard/wsguard/internal/jose/josetest"
	"github.com/wsguard/wsguard/internal/jwks"
)

// setOf returns a set of one key with each name.
func setOf(kids ...string) string {
	keys := make([]string, len(kids))
	for i, kid := range kids {
		keys[i] = josetest.JWK(josetest.P256(), "kid", kid)
	}
	return josetest.Set(keys...)
}

// issuer is an httptest server in memory, so that it lives in a bubble of
// testing/synctest, where a goroutine that is left over fails the test.
type issuer struct {
	hits   atomic.Int32
	open   atomic.Int32 // response bodies not yet closed
	handle atomic.Pointer[http.HandlerFunc]
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (i *issuer) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.closed:
		return nil, net.ErrClosed
	}
}

func (i *issuer) Close() error {
	i.once.Do(func() { close(i.closed) })
	return nil
}

func (i *issuer) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (i *issuer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case i.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serves makes the issuer answer with the status and body from now on.
func (i *issuer) serves(status int, body string) {
	i.does(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

func (i *issuer) does(h http.HandlerFunc) { i.handle.Store(&h) }

// RoundTrip counts the bodies that are open.
func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := &http.Transport{DialContext: i.dial, DisableKeepAlives: true}
	resp, err := transport.RoundTrip(r)
	if err == nil {
		i.open.Add(1)
		resp.Body = &countedBody{ReadCloser: resp.Body, open: &i.open}
	}
	return resp, err
}

type countedBody struct {
	io.ReadCloser
	open *atomic.Int32
	once sync.Once
}

func (b *countedBody) Close() error {
	b.once.Do(func() { b.open.Add(-1) })
	return b.ReadCloser.Close()
}

// inBubble runs the test in a bubble with an issuer, and a source of its keys.
func inBubble(t *testing.T, config jwks.Config, test func(*testing.T, *issuer, *jwks.Source)) {
	t.Helper()
	josetest.P256() // made outside
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{conns: make(chan net.Conn), closed: make(chan struct{})}
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			i.hits.Add(1)
			(*i.handle.Load())(w, r)
		}))
		_ = server.Listener.Close()
		server.Listener = i
		server.Start()
		defer server.Close()
		i.serves(http.StatusOK, setOf("a"))
		config.URL, config.Client = server.URL, &http.Client{Transport: i}
		source, err := jwks.New(config)
		if err != nil {
			t.Fatal(err)
		}
		test(t, i, source)
		synctest.Wait()
		if open := i.open.Load(); open != 0 {
			t.Errorf("%d bodies left open", open)
		}
	})
}

// want fails the test unless asking for kid gives the error, or one key for nil.
func want(t *testing.T, s *jwks.Source, kid string, err error) {
	t.Helper()
	keys, got := s.Keys(t.Context(), kid, "ES256")
	if !errors.Is(got, err) || err == nil && len(keys) != 1 || err != nil && keys != nil {
		t.Fatalf("asked for %q after %d keys: %v, want %v", kid, len(keys), got, err)
	}
}

func wantHits(t *testing.T, i *issuer, hits int32) {
	t.Helper()
	synctest.Wait()
	if got := i.hits.Load(); got != hits {
		t.Fatalf("%d requests, want %d", got, hits)
	}
}
