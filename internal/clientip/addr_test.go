package clientip_test

import (
	"net/netip"
	"testing"

	"github.com/wsguard/wsguard/internal/clientip"
)

var keysTable = []struct{ name, addr, narrow, wide string }{
	{"IPv4", "203.0.113.7", "203.0.113.7/32", "203.0.113.7/32"},
	{"mapped", "::ffff:203.0.113.7", "203.0.113.7/32", "203.0.113.7/32"},
	{"mapped with a zone", "::ffff:203.0.113.7%eth0", "203.0.113.7/32", "203.0.113.7/32"},
	{"IPv6", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64", "2001:db8:1::/48"},
	{"IPv6 with a zone", "fe80::1%eth0", "fe80::/64", "fe80::/48"},
	{"NAT64", "64:ff9b::203.0.113.7", "203.0.113.7/32", "203.0.113.7/32"},
	{"NAT64 with a zone", "64:ff9b::203.0.113.7%eth0", "203.0.113.7/32", "203.0.113.7/32"},
	{"beside NAT64", "64:ff9b:0:0:0:1:203.0.113.7", "64:ff9b::/64", "64:ff9b::/48"},
	{"6to4", "2002:cb00:7107:1::1", "203.0.113.7/32", "203.0.113.7/32"},
	{"beside 6to4", "2003:cb00:7107:1::1", "2003:cb00:7107:1::/64", "2003:cb00:7107::/48"},
	{"loopback", "::1", "::/64", "::/48"},
}

// R52
func TestKeys(t *testing.T) {
	for _, row := range keysTable {
		t.Run(row.name, func(t *testing.T) {
			narrow, wide := clientip.Keys(netip.MustParseAddr(row.addr))
			if narrow.String() != row.narrow || wide.String() != row.wide {
				t.Errorf("Keys = %v, %v, want %v, %v", narrow, wide, row.narrow, row.wide)
			}
		})
	}
	if narrow, wide := clientip.Keys(netip.Addr{}); narrow != (netip.Prefix{}) || wide != (netip.Prefix{}) {
		t.Errorf("the keys of no address are %v, %v", narrow, wide)
	}
}

func TestKeysAllocations(t *testing.T) {
	a := netip.MustParseAddr("2001:db8::1")
	if n := testing.AllocsPerRun(100, func() { clientip.Keys(a) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
