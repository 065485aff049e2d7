package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"

	"github.com/wsguard/wsguard"
)

// guard is every safeguard around the endpoint.
func (s *server) guard() (func(http.Handler) http.Handler, error) {
	chain, err := s.safeguards()
	return wsguard.Chain(chain...), err
}

// safeguards are in their order, the first outermost.
func (s *server) safeguards() ([]func(http.Handler) http.Handler, error) {
	c := s.config
	origins, err := s.origins()
	if err != nil {
		return nil, err
	}
	allowed, err := s.allowedOrigins()
	if err != nil {
		return nil, err
	}
	chain := []func(http.Handler) http.Handler{
		wsguard.RedactQuery("token", "ticket"),
		wsguard.Observe(s.observer),
	}
	if len(c.proxies) > 0 {
		chain = append(chain, wsguard.TrustProxies(c.proxies...))
	}
	if c.tls {
		chain = append(chain, wsguard.RequireTLS())
	}
	if hosts := s.hosts(origins); hosts != nil {
		chain = append(chain, wsguard.AllowHosts(hosts...))
	}
	chain = append(chain,
		wsguard.CheckOrigins(wsguard.OriginConfig{Allow: allowed}),
		wsguard.LimitConns(c.maxConns, wsguard.Everyone),
		wsguard.LimitConns(c.maxConnsPerIP, wsguard.PerIP),
		wsguard.LimitHandshakes(c.handshakeRate, c.handshakeBurst, wsguard.PerIP),
		wsguard.Authenticate(s.access,
			wsguard.FromTicket(s.tickets, wsguard.FromQuery("ticket")),
			wsguard.FromAuthorization(), wsguard.FromQuery("token"), wsguard.FromSubprotocol("bearer")),
		wsguard.LimitConns(c.maxConnsPerUser, wsguard.PerUser),
		s.registry.Track(),
		wsguard.Revalidate(time.Minute, s.sessions.stillOn),
		wsguard.WarnExpiry(min(time.Minute, c.tokenTTL/2), warn),

		wsguard.MaxMessageSize(int64(c.maxMessageBytes)),
		wsguard.LimitMessages(c.messageRate, c.messageBurst, wsguard.PerConn),
		wsguard.LimitBytes(c.byteRate(), c.byteBurst(), wsguard.PerUser),
		wsguard.ValidateMessages(messages),
		wsguard.SanitizeMessages(wsguard.Sanitizer{}),

		wsguard.KeepAlive(c.pingInterval, c.pongTimeout),
		wsguard.IdleTimeout(c.idleTimeout),
		wsguard.MaxLifetime(c.maxLifetime),
	)
	return chain, nil
}

// limitRequests is what stands before the requests that a page makes besides:
// logging in and out, and asking for tickets. It allows five for each handshake.
func (s *server) limitRequests(origins []string) func(http.Handler) http.Handler {
	c := s.config
	var chain []func(http.Handler) http.Handler
	if len(c.proxies) > 0 {
		chain = append(chain, wsguard.TrustProxies(c.proxies...))
	}
	if hosts := s.hosts(origins); hosts != nil {
		chain = append(chain, wsguard.AllowHosts(hosts...))
	}
	return wsguard.Chain(append(chain, wsguard.LimitHandshakes(5*c.handshakeRate, 5*c.handshakeBurst, wsguard.PerIP))...)
}

// warn asks a client for a new token while there is time.
func warn(_ context.Context, c *wsguard.Conn) {
	c.TrySend(websocket.MessageText, marshal(serverMessage{Type: "expiring"}))
}

// byteRate is what all connections of a user may send together: as much as
// one of them may with the longest messages, and never less than ordinary
// messages on all of them need.
func (c config) byteRate() rate.Limit {
	return max(256<<10, c.messageRate*rate.Limit(c.maxMessageBytes))
}

func (c config) byteBurst() int { return max(1<<20, c.messageBurst*c.maxMessageBytes) }

func (s *server) allowedOrigins() (wsguard.Origins, error) {
	origins, err := s.origins()
	if err != nil {
		return wsguard.Origins{}, err
	}
	return wsguard.ParseOrigins(origins...)
}

// origins returns the chat's own origins and those of the flags, each once.
func (s *server) origins() ([]string, error) {
	own, err := url.Parse(s.base)
	if err != nil {
		return nil, err
	}
	hosts := []string{own.Hostname(), "localhost"}
	if unspecified(s.config.host) {
		hosts = append(hosts, "127.0.0.1", "::1")
	}
	if s.config.host != "" {
		hosts = append(hosts, s.config.host)
	}
	var list []string
	for _, host := range hosts {
		list = addOrigin(list, own.Scheme+"://"+net.JoinHostPort(host, own.Port()))
	}
	for _, o := range s.config.origins {
		list = addOrigin(list, o)
	}
	return list, nil
}

// addOrigin adds what is not in the list yet, in whatever spelling.
func addOrigin(list []string, o string) []string {
	longer := append(slices.Clone(list), o)
	if _, err := wsguard.ParseOrigins(longer...); err != nil {
		return list
	}
	return longer
}

// hosts returns the names by which the chat is known, or nil if it cannot
// know them all: behind a proxy, which is the one to judge the Host header, or
// on all addresses of the machine.
func (s *server) hosts(origins []string) []string {
	if len(s.config.proxies) > 0 || unspecified(s.config.host) {
		return nil
	}
	var hosts []string
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" {
			continue
		}
		for _, host := range []string{strings.ToLower(u.Host), strings.ToLower(bare(u))} {
			if !slices.Contains(hosts, host) {
				hosts = append(hosts, host)
			}
		}
	}
	return hosts
}

// bare returns the host as a URL writes it, without a port.
func bare(u *url.URL) string { return strings.TrimSuffix(u.Host, ":"+u.Port()) }

// unspecified reports whether a host to listen on stands for all addresses.
func unspecified(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "" || err == nil && addr.IsUnspecified()
}
