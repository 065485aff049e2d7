// Package clientip finds out from which address a request comes, when proxies
// may stand between.
//
// A forwarding header is what the client wrote, until a trusted proxy has added
// to it. It is therefore read from the right, where the nearest proxy wrote,
// and no further to the left than trust reaches. (R52)
package clientip

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Bounds on the work that a header can cause.
const (
	maxHops  = 32
	maxBytes = 8 << 10
)

// The errors of [Direct] and [Resolver.Resolve], for errors.Is. None quotes the
// request.
var (
	// ErrPeer means that RemoteAddr is no address, nor that of a Unix socket
	// which is trusted.
	ErrPeer = errors.New("the remote address is no IP address")
	// ErrMalformed means that an entry which had to be read is no address.
	ErrMalformed = errors.New("malformed forwarding header")
	// ErrHidden means that a trusted proxy does not say whom it forwards for:
	// "unknown", or an identifier that begins with an underscore (RFC 7239,
	// section 6).
	ErrHidden = errors.New("a proxy hides the client's address")
	// ErrTooLong means more than 32 hops, or more than 8 KiB.
	ErrTooLong = errors.New("forwarding header too long")
)

// Source says where a client's address was found. In single-value mode it is
// the name of the header in lower case.
type Source string

const (
	SourcePeer          Source = "peer"            // SourcePeer is a peer that is no trusted proxy.
	SourceXForwardedFor Source = "x-forwarded-for" // SourceXForwardedFor is the first entry from the right that is not trusted.
	SourceForwarded     Source = "forwarded"       // SourceForwarded is the same for the header of RFC 7239.
	SourceTrustedHop    Source = "trusted-hop"     // SourceTrustedHop is the last hop, all being trusted: an internal caller.
	SourceUnix          Source = "unix"            // SourceUnix is a trusted Unix socket that names nobody; Addr is not valid.
)

// Client is where a request comes from. Addresses are unmapped (an IPv4 address is
// never written as ::ffff:a.b.c.d) and have no zone.
type Client struct {
	// Addr is the client's address. It is not valid if Source is SourceUnix.
	Addr netip.Addr
	// Source says where Addr was found.
	Source Source
	// Peer is the other end of the TCP connection; not valid for a Unix socket.
	Peer netip.Addr
	// PeerTrusted says whether Peer is a trusted proxy. No forwarding header
	// may be believed, for whatever purpose, if it is not.
	PeerTrusted bool
}

// Config says which proxies are believed, and in what.
type Config struct {
	// Trusted are the addresses of the proxies. A prefix of IPv4 addresses
	// mapped to IPv6 is taken for the IPv4 prefix. A prefix of length 0 is
	// refused: if everybody is trusted, clients choose their own address.
	Trusted []netip.Prefix

	// Header is the one header that is read:
	//
	//   - "" or X-Forwarded-For: a list, read from the right;
	//   - Forwarded: the same, in the syntax of RFC 7239;
	//   - any other name, as in CF-Connecting-IP: one address, the last if there
	//     are several. Every trusted proxy must overwrite or append to it; one
	//     that passes it on unchanged lets clients choose their own address.
	Header string

	// TrustUnixPeer makes a trusted proxy of whoever connects through a Unix
	// socket, which is where RemoteAddr is empty or begins with "@" or "/".
	// Without it such a request is an error.
	TrustUnixPeer bool
}

// Resolver finds clients' addresses. It is immutable and may be used by several
// goroutines at once. The zero Resolver trusts nobody.
type Resolver struct {
	trusted []netip.Prefix
	header  string // Header is in the canonical form of net/http.
	source  Source
	unix    bool
}

// New checks a Config. The error joins all that is wrong with it.
func New(c Config) (*Resolver, error) {
	name := c.Header
	if name == "" {
		name = "X-Forwarded-For"
	}
	r := &Resolver{
		header: http.CanonicalHeaderKey(name),
		source: Source(strings.ToLower(name)),
		unix:   c.TrustUnixPeer,
	}
	var errs []error
	if !isToken(name) {
		errs = append(errs, fmt.Errorf("header %+q: not a field name", name))
	}
	if r.source == SourcePeer || r.source == SourceTrustedHop || r.source == SourceUnix {
		errs = append(errs, fmt.Errorf("header %+q: the name is taken by a source", name))
	}
	if len(c.Trusted) == 0 && !c.TrustUnixPeer {
		errs = append(errs, errors.New("trusted: no proxy is listed; without proxies, no header may be read"))
	}
	for i, p := range c.Trusted {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		switch {
		case !p.IsValid():
			errs = append(errs, fmt.Errorf("trusted[%d]: not a valid prefix", i))
		case p.Bits() == 0:
			errs = append(errs, fmt.Errorf("trusted[%d]: %s holds every address; list the proxies", i, c.Trusted[i]))
		}
		r.trusted = append(r.trusted, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return r, nil
}

// Direct returns the client of a request that came without proxies: the peer.
func Direct(remoteAddr string) (Client, error) {
	return new(Resolver).Resolve(remoteAddr, nil)
}

// Resolve returns the client of a request, given its RemoteAddr and headers.
// If there is an error, Addr is not valid, and Peer and PeerTrusted hold what
// is known. The request is then to be refused: the entry that cannot be read
// was written by a proxy, or stands where only a proxy can have written, and
// what is further to the left was written by anybody.
func (r *Resolver) Resolve(remoteAddr string, h http.Header) (Client, error) {
	return r.resolve(remoteAddr, h, nil)
}

// resolve is Resolve; it takes down each step if t is not nil.
func (r *Resolver) resolve(remoteAddr string, h http.Header, t *trace) (Client, error) {
	c, err := r.peer(remoteAddr)
	if err != nil {
		t.step("peer", remoteAddr, "no IP address, and no trusted Unix socket: refused")
		return c, err
	}
	if !c.PeerTrusted {
		t.step("peer", remoteAddr, "not trusted: it is the client, and no header is read")
		return c, nil
	}
	t.step("peer", remoteAddr, "trusted: the header is read, from the right")
	found, err := r.walk(c, h[r.header], t)
	if err != nil {
		return Client{Peer: c.Peer, PeerTrusted: c.PeerTrusted}, err
	}
	return found, nil
}

// walk reads the header's lines from the right. It starts with c as the last
// trusted hop.
func (r *Resolver) walk(c Client, lines []string, t *trace) (Client, error) {
	l, err := newList(lines, r.source == SourceForwarded)
	if err != nil {
		t.step("header", r.header, "too long: refused")
		return c, err
	}
	for hops := 0; ; {
		entry, ok, err := l.next()
		if err != nil {
			t.step("header", r.header, "a quoted string does not end: refused")
			return c, err
		}
		if !ok {
			return c, nil
		}
		if entry == "" && !r.isSingle() {
			continue
		}
		if hops++; hops > maxHops {
			t.step("entry", entry, "one hop too many: refused")
			return c, ErrTooLong
		}
		addr, err := r.entry(entry)
		if err != nil {
			t.step("entry", entry, "no address: refused, and nothing further left is read")
			return c, fmt.Errorf("%w: entry %d from the right", err, hops)
		}
		if r.isSingle() || !r.trusts(addr) {
			t.step("entry", entry, "not trusted, or the one address stated: it is the client, and nothing further left is read")
			c.Addr, c.Source = addr, r.source
			return c, nil
		}
		t.step("entry", entry, "trusted: the next to the left is read")
		c.Addr, c.Source = addr, SourceTrustedHop
	}
}

// peer returns the client as far as RemoteAddr tells.
func (r *Resolver) peer(remoteAddr string) (Client, error) {
	// What is neither an address nor looks like a Unix socket is trusted under
	// no configuration: some middleware has put it there.
	if r.unix && (remoteAddr == "" || remoteAddr[0] == '@' || remoteAddr[0] == '/') {
		return Client{Source: SourceUnix, PeerTrusted: true}, nil
	}
	addr, ok := parseAddr(remoteAddr)
	if !ok {
		return Client{}, ErrPeer
	}
	c := Client{Addr: addr, Source: SourcePeer, Peer: addr, PeerTrusted: r.trusts(addr)}
	if c.PeerTrusted {
		c.Source = SourceTrustedHop
	}
	return c, nil
}

func (r *Resolver) isSingle() bool {
	return r.source != SourceXForwardedFor && r.source != SourceForwarded
}

func (r *Resolver) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(r.trusted, func(p netip.Prefix) bool { return p.Contains(a) })
}

// entry returns the address in one element of the header.
func (r *Resolver) entry(s string) (netip.Addr, error) {
	if r.source == SourceForwarded {
		// An element without the parameter gives "", which is no address.
		node, _, err := param(s, "for")
		if err != nil {
			return netip.Addr{}, err
		}
		s = node
	}
	if strings.EqualFold(s, "unknown") || strings.HasPrefix(s, "_") {
		return netip.Addr{}, ErrHidden
	}
	addr, ok := parseAddr(s)
	if !ok {
		return netip.Addr{}, ErrMalformed
	}
	return addr, nil
}
