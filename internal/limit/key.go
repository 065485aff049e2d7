// Package limit counts connections and rates events per key, in tables of
// bounded size.
//
// The keys of a table are chosen by peers (addresses, users, tokens), so a
// table that only grows is a way to exhaust memory, and one that forgets is a
// way to be let in again. Here neither happens: [Slots] never drops a live
// count, [Buckets] drops a bucket only when it is full again and so the same as
// a new one, and at capacity all new keys share one strict overflow entry.
package limit

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// A Key says whose slots or tokens are counted. It is 128 bits of SHA-256 over
// what the peer chose, so that long names cost no memory and nobody can find
// two names with one key; the kinds of keys never meet. The zero value is
// [Everyone]: a key that was left out shares its limit with all others that were.
type Key [16]byte

// Everyone is the key of a limit that all peers share. It must not be changed.
var Everyone Key

// AddrKey returns the key of a network. Bits beyond the prefix length do not
// count, an IPv4 network and its IPv4-mapped spelling are the same, and all
// invalid prefixes share one key.
func AddrKey(p netip.Prefix) Key {
	p = p.Masked()
	bits := p.Bits()
	if p.Addr().Is4() {
		bits += 96
	}
	addr := p.Addr().As16()
	return hash('a', string(addr[:]), string([]byte{byte(bits)}))
}

// UserKey returns the key of a user, who is issuer and subject together: two
// issuers may give the same subject to different people.
func UserKey(issuer, subject string) Key { return hash('u', issuer, subject) }

// StringKey returns the key of any other name.
func StringKey(s string) Key { return hash('s', s) }

// hash delimits each part by its length: ("a", "bc") is not ("ab", "c").
func hash(kind byte, parts ...string) Key {
	b := append(make([]byte, 0, 256), kind)
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	sum := sha256.Sum256(b)
	return Key(sum[:len(Key{})])
}
