package wsguard

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/wsguard/wsguard/internal/clientip"
)

// RequireTLS refuses plaintext with 403 (tls_required), and TLS below 1.2 with
// 403 (tls_too_old). It never redirects: a client that sent its token in the
// clear must be told, not helped. (R01, R02, R03)
//
// The server's own TLS counts. Behind a proxy that ends TLS, the scheme is
// believed only from a proxy that TrustProxies names, and only if every
// X-Forwarded-Proto (or proto of Forwarded) that came with the request says
// https.
func RequireTLS() func(http.Handler) http.Handler {
	const name = "RequireTLS"
	return safeguard(rule{name: name, follows: factClient}, func(s *session, r *http.Request) *Refusal {
		switch {
		case r.TLS != nil && r.TLS.Version < tls.VersionTLS12:
			return refuse(name, "tls_too_old", fmt.Errorf("%s", tls.VersionName(r.TLS.Version)))
		case r.TLS != nil, s.https != nil && s.https(r.Header):
			return nil
		}
		return refuse(name, "tls_required", nil)
	})
}

// TrustProxies believes the proxies whose addresses lie in the prefixes about
// the client's address, which limits and logs use and Conn.ClientIP returns,
// and about its scheme, which RequireTLS uses. It reads X-Forwarded-For from
// the right and stops at the first address that is no trusted proxy.
// [TrustProxyHeader] reads another header. (R52)
//
// A request whose header is malformed where it had to be read is refused with
// 400 (address_malformed). Request.RemoteAddr is never written. Without this
// safeguard no header is believed.
func TrustProxies(prefixes ...netip.Prefix) func(http.Handler) http.Handler {
	return trustProxies("TrustProxies", ProxyConfig{Prefixes: prefixes})
}

// A ProxyConfig says which proxies are believed, and in what.
type ProxyConfig struct {
	// Prefixes are the addresses of the proxies. Required, unless UnixPeer is
	// set; a prefix of length zero is refused.
	Prefixes []netip.Prefix

	// Header is the one header that is read: "X-Forwarded-For" (the default)
	// and "Forwarded" (RFC 7239) are lists; any other, such as
	// "CF-Connecting-IP", holds one address, which every proxy must overwrite.
	Header string

	// UnixPeer trusts whoever connects through a Unix socket.
	UnixPeer bool
}

// TrustProxyHeader is [TrustProxies] for another header or a Unix socket.
func TrustProxyHeader(config ProxyConfig) func(http.Handler) http.Handler {
	return trustProxies("TrustProxyHeader", config)
}

func trustProxies(name string, config ProxyConfig) func(http.Handler) http.Handler {
	if len(config.Prefixes) == 0 && !config.UnixPeer {
		panic("wsguard: " + name + `: no prefix is given, so nobody is trusted: write netip.MustParsePrefix("10.0.0.0/8") or leave ` + name + " out")
	}
	resolver, err := clientip.New(clientip.Config{Trusted: config.Prefixes, Header: config.Header, TrustUnixPeer: config.UnixPeer})
	if err != nil {
		panic(fmt.Sprintf("wsguard: %s: %v", name, err))
	}
	return safeguard(rule{name: name, provides: factClient}, func(s *session, r *http.Request) *Refusal {
		c, err := resolver.Resolve(s.info.PeerAddr, r.Header)
		s.https = func(h http.Header) bool { return resolver.HTTPS(c, h) }
		if err != nil {
			return refuse(name, "address_malformed", err)
		}
		s.located(c)
		return nil
	})
}

// ErrNotGuarded is returned for a request that no safeguard has seen.
var ErrNotGuarded = errors.New("wsguard: no safeguard has seen this request: put one, such as TrustProxies, around the handler")

// ClientAddress returns the client's address as the safeguards around the
// handler know it, and where it was found ("peer", or a header's name).
func ClientAddress(r *http.Request) (addr netip.Addr, source string, err error) {
	s := sessionOf(r)
	if s == nil {
		return netip.Addr{}, "", ErrNotGuarded
	}
	if addr, err = s.locate(); err != nil {
		return netip.Addr{}, "", fmt.Errorf("wsguard: %w", err)
	}
	return addr, s.info.ClientIPSource, nil
}
