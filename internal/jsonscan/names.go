package jsonscan

import (
	"hash/maphash"
	"unicode"
	"unicode/utf8"
)

// seed makes the hashes of this process unknown to a peer, who could
// otherwise choose names that all fall on one slot.
var seed = maphash.MakeSeed()

// smallSet is the number of slots that a scanner brings with it: 128 names
// fit without allocating.
const smallSet = 256

// A nameSet holds the member names of all objects of a text, each as a hash of
// object and name. Two different names that share a hash, at odds of 1 to 2^63
// a pair, get the message refused; no duplicate ever passes.
type nameSet struct {
	hash  maphash.Hash
	table []uint64 // open addressing, a power of two, at most half full; 0 is free
	used  int
	small [smallSet]uint64
}

func (n *nameSet) init() {
	n.hash.SetSeed(seed)
	n.table = n.small[:]
}

// reset forgets the names. A table that had to grow is left to the collector,
// so that one wide message does not make the next ones pay.
func (n *nameSet) reset() {
	if n.used > 0 {
		clear(n.small[:])
		n.table, n.used = n.small[:], 0
	}
}

// add reports whether the name, given as it is written, is new to the object.
// Names are the same if encoding/json takes them for the same field: after
// unescaping, and without regard to case (strings.EqualFold).
func (n *nameSet) add(object uint32, name []byte) bool {
	n.hash.Reset()
	var buf [utf8.UTFMax]byte
	buf[0], buf[1], buf[2], buf[3] = byte(object), byte(object>>8), byte(object>>16), byte(object>>24)
	n.hash.Write(buf[:])
	for len(name) > 0 {
		c, size := rune(name[0]), 1
		if c == '\\' || c >= utf8.RuneSelf {
			c, size = DecodeRune(name)
		}
		name = name[size:]
		if c = Fold(c); c < utf8.RuneSelf {
			n.hash.WriteByte(byte(c))
		} else {
			n.hash.Write(utf8.AppendRune(buf[:0], c))
		}
	}
	if 2*n.used >= len(n.table) {
		n.grow()
	}
	return n.insert(n.hash.Sum64() | 1) // never 0
}

func (n *nameSet) insert(key uint64) bool {
	mask := uint64(len(n.table) - 1)
	for i := key >> 1 & mask; ; i = (i + 1) & mask {
		switch n.table[i] {
		case 0:
			n.table[i] = key
			n.used++
			return true
		case key:
			return false
		}
	}
}

func (n *nameSet) grow() {
	old := n.table
	n.table, n.used = make([]uint64, 4*len(old)), 0
	for _, key := range old {
		if key != 0 {
			n.insert(key)
		}
	}
}

// Fold returns the least of the characters that are one but for case, so that
// ſ (U+017F) is S and K (U+212A) is K, as in encoding/json.
func Fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'a' <= r && r <= 'z' {
			r -= 'a' - 'A'
		}
		return r
	}
	for {
		next := unicode.SimpleFold(r)
		if next <= r {
			return next
		}
		r = next
	}
}
