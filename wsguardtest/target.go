package wsguardtest

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
)

// A Target is the endpoint that is attacked: a Handler or a URL, exactly one.
type Target struct {
	// Handler is served on a loopback address for as long as the attacks run.
	Handler http.Handler

	// Path is the path and query of the endpoint of Handler. Default: "/".
	Path string

	// Host is what Handler takes for its own name and port in the header Host,
	// such as "app.example.com". Default: the address that it is served on.
	Host string

	// TLS serves Handler over TLS, and, for the attacks that come without it,
	// over plain HTTP too.
	TLS bool

	// URL is the endpoint of a server that runs: "ws://127.0.0.1:8080/ws". A
	// certificate of wss is not verified on a loopback address.
	URL string

	// ThisHostIsMine attacks a URL that is not on a loopback address. Attacking
	// a host that is not yours is a crime in most places.
	ThisHostIsMine bool
}

// A host is where a target is listening.
type host struct {
	addr  string // host and port to dial
	name  string // of the header Host
	path  string
	tls   *tls.Config // nil is plain
	plain string      // address of the same handler without TLS, if there is one
}

// start makes a target listen. What it returns is closed by stop.
func (t Target) start() (h host, stop func(), err error) {
	switch {
	case (t.Handler == nil) == (t.URL == ""):
		return host{}, nil, errors.New("wsguardtest: Target has both or neither of Handler and URL: set exactly one")
	case t.Host != "" && (t.Handler == nil || strings.ContainsAny(t.Host, " /\r\n")):
		return host{}, nil, errors.New(`wsguardtest: Target.Host is for a Handler, and is a name with or without a port: write "app.example.com"`)
	case t.Handler != nil:
		h, stop = t.serve()
		return h, stop, nil
	}
	h, err = t.locate()
	return h, func() {}, err
}

func (t Target) serve() (host, func()) {
	quiet := func() *httptest.Server {
		s := httptest.NewUnstartedServer(t.Handler)
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // panics and broken TLS are part of it
		return s
	}
	s := quiet()
	h := host{path: cmp.Or(t.Path, "/")}
	if !t.TLS {
		s.Start()
		h.addr = s.Listener.Addr().String()
		h.name = cmp.Or(t.Host, h.addr)
		return h, s.Close
	}
	plain := quiet()
	plain.Start()
	s.StartTLS()
	h.addr, h.plain = s.Listener.Addr().String(), plain.Listener.Addr().String()
	h.name = cmp.Or(t.Host, h.addr)
	h.tls = &tls.Config{InsecureSkipVerify: true} // the certificate was made a moment ago, on this machine
	return h, func() { s.Close(); plain.Close() }
}

func (t Target) locate() (host, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return host{}, fmt.Errorf("wsguardtest: Target.URL: %w", err)
	}
	port, secure := "80", false
	switch u.Scheme {
	case "ws", "http":
	case "wss", "https":
		port, secure = "443", true
	default:
		return host{}, errors.New(`wsguardtest: Target.URL has no scheme of a WebSocket: write "ws://127.0.0.1:8080/ws"`)
	}
	loopback := u.Hostname() == "localhost"
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil {
		loopback = addr.Unmap().IsLoopback()
	}
	if !loopback && !t.ThisHostIsMine {
		return host{}, errors.New("wsguardtest: Target.URL is not on a loopback address: set ThisHostIsMine if the host is yours")
	}
	h := host{
		addr: net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), port)),
		name: u.Host,
		path: u.RequestURI(),
	}
	if secure {
		h.tls = &tls.Config{ServerName: u.Hostname(), InsecureSkipVerify: loopback}
	}
	return h, nil
}
