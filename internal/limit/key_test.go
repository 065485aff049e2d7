package limit_test

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/wsguard/wsguard/internal/limit"
)

// R47
func TestKeysOfOneNetworkAreEqual(t *testing.T) {
	tests := []struct {
		name string
		a, b netip.Prefix
		want bool
	}{
		{"same address", netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.1/32"), true},
		{"neighbours", netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("192.0.2.2/32"), false},
		{"bits beyond the length", netip.MustParsePrefix("2001:db8::1/64"), netip.MustParsePrefix("2001:db8::2/64"), true},
		{"same bits, other length", netip.MustParsePrefix("2001:db8::/64"), netip.MustParsePrefix("2001:db8::/48"), false},
		{"IPv4-mapped", netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("::ffff:192.0.2.1/128"), true},
		{"IPv4-mapped network", netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:192.0.2.9/120"), true},
		{"IPv4 digits in IPv6", netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("::192.0.2.1/128"), false},
		{"all of IPv4 and of IPv6", netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), false},
		{"two kinds of invalid", netip.Prefix{}, netip.PrefixFrom(netip.MustParseAddr("192.0.2.1"), 33), true},
		{"invalid and everything", netip.Prefix{}, netip.MustParsePrefix("::/0"), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := limit.AddrKey(tt.a) == limit.AddrKey(tt.b); got != tt.want {
				t.Errorf("keys of %v and %v equal: %v, want %v", tt.a, tt.b, got, tt.want)
			}
		})
	}
}

// R47
func TestKeysOfDifferentNamesDiffer(t *testing.T) {
	// length is how the length of a part of three bytes is written, so that
	// names which look like two parts are among those that must differ.
	length := string(binary.AppendUvarint(nil, 3))
	keys := map[string]limit.Key{
		"everyone":             limit.Everyone,
		"no user":              limit.UserKey("", ""),
		"no name":              limit.StringKey(""),
		"a, bc":                limit.UserKey("a", "bc"),
		"ab, c":                limit.UserKey("ab", "c"),
		"abc, nothing":         limit.UserKey("abc", ""),
		"nothing, abc":         limit.UserKey("", "abc"),
		"name abc":             limit.StringKey("abc"),
		"user with a length":   limit.UserKey("abc"+length+"abc", ""),
		"two users":            limit.UserKey("abc", "abc"),
		"name with a length":   limit.StringKey("abc" + length + "abc"),
		"NUL between":          limit.UserKey("a\x00", "b"),
		"NUL after":            limit.UserKey("a", "\x00b"),
		"address as a name":    limit.StringKey("192.0.2.1/32"),
		"address":              limit.AddrKey(netip.MustParsePrefix("192.0.2.1/32")),
		"address as its bytes": limit.UserKey(strings.Repeat("\x00", 10)+"\xff\xff\xc0\x00\x02\x01", "\x80"),
		"no address":           limit.AddrKey(netip.Prefix{}),
		"one megabyte":         limit.StringKey(strings.Repeat("x", 1<<20)),
		"one megabyte and one": limit.StringKey(strings.Repeat("x", 1<<20) + "x"),
	}
	seen := make(map[limit.Key]string)
	for name, k := range keys {
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have the same key", name, other)
		}
		seen[k] = name
	}
}

func FuzzUserKey(f *testing.F) {
	f.Add("a", "bc", "ab", "c")
	f.Add("", "", "", "\x00")
	f.Add("abc\x03abc", "", "abc", "abc")
	f.Fuzz(func(t *testing.T, issuer1, subject1, issuer2, subject2 string) {
		same := issuer1 == issuer2 && subject1 == subject2
		if got := limit.UserKey(issuer1, subject1) == limit.UserKey(issuer2, subject2); got != same {
			t.Errorf("keys equal: %v, users equal: %v", got, same)
		}
	})
}

func TestKeysAllocateNothing(t *testing.T) {
	p := netip.MustParsePrefix("2001:db8:1:2::/64")
	if n := testing.AllocsPerRun(100, func() {
		limit.AddrKey(p)
		limit.UserKey("https://id.example.com", "5f1c3a9e-user")
	}); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

func BenchmarkAddrKey(b *testing.B) {
	p := netip.MustParsePrefix("2001:db8:1:2::/64")
	b.ReportAllocs()
	for b.Loop() {
		limit.AddrKey(p)
	}
}
