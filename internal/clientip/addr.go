package clientip

import (
	"net/netip"
	"strconv"
	"strings"
)

// parseAddr reads ip, [ip], ip:port or [ip]:port, and returns the address
// unmapped and without its zone. It refuses the unspecified address, which is
// nobody's.
func parseAddr(s string) (netip.Addr, bool) {
	host, port := s, ""
	if inner, ok := strings.CutPrefix(s, "["); ok {
		if host, port, ok = strings.Cut(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	} else if i := strings.IndexByte(s, ':'); i >= 0 && i == strings.LastIndexByte(s, ':') {
		// An IPv6 address has two colons at least.
		host, port = s[:i], s[i:]
	}
	addr, err := netip.ParseAddr(host)
	if err != nil || port != "" && !isPort(port) {
		return netip.Addr{}, false
	}
	addr = addr.Unmap().WithZone("")
	return addr, !addr.IsUnspecified()
}

// isPort reports whether s is ":" and a port in decimal.
func isPort(s string) bool {
	digits, ok := strings.CutPrefix(s, ":")
	_, err := strconv.ParseUint(digits, 10, 16)
	return ok && err == nil
}

var (
	nat64 = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052, section 2.1
	sixto = netip.MustParsePrefix("2002::/16")    // RFC 3056, section 2
)

// Keys returns the prefixes under which an address is counted: the narrow one
// for a single client, the wide one for a site that holds many. They are /64
// and /48 for IPv6, since a client chooses its address within its /64 at will.
// For IPv4 both are the /32.
//
// IPv4 addresses that are mapped to IPv6, translated (64:ff9b::/96) or tunnelled
// (2002::/16) count as the IPv4 address that they hold; otherwise one prefix
// would hold the whole of IPv4. The zone does not count. If a is not valid, nor
// are the prefixes; they are comparable, and all such clients share them.
func Keys(a netip.Addr) (narrow, wide netip.Prefix) {
	a = a.Unmap().WithZone("")
	b := a.As16()
	switch {
	case nat64.Contains(a):
		a = netip.AddrFrom4([4]byte(b[12:16]))
	case sixto.Contains(a):
		a = netip.AddrFrom4([4]byte(b[2:6]))
	}
	if a.Is4() {
		narrow = netip.PrefixFrom(a, 32)
		return narrow, narrow
	}
	// The error is that of an address that is not valid.
	narrow, _ = a.Prefix(64)
	wide, _ = a.Prefix(48)
	return narrow, wide
}
