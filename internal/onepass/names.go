package onepass

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// seed makes the hashes of this process unknown to a peer, who could
// otherwise choose names or items that all fall on one slot.
var seed = maphash.MakeSeed()

// names finds the entry of a member by its name. Peers cannot choose what is
// in it, so that a quick hash does.
type names struct {
	table  []*entry // open addressing; nil is free
	factor uint64   // of the hash: one with which few names meet, or none
	shift  int
	folded map[uint64]int // the bits of names without regard to case, by foldHash
	folds  int
}

func newNames(entries []entry) *names {
	n := &names{folded: map[uint64]int{}}
	size := 4 << bits.Len(uint(len(entries)))
	n.shift = 64 - bits.Len(uint(size-1))
	fewest := len(entries) + 1
	for try := uint64(0); try < 50 && fewest > 0; try++ {
		factor := golden * (2*try + 1)
		if table, met := fill(entries, factor, n.shift, size); met < fewest {
			n.table, n.factor, fewest = table, factor, met
		}
	}
	for i := range entries {
		e := &entries[i]
		e.hash = foldHash([]byte(e.name), nil)
		fold, ok := n.folded[e.hash]
		if !ok {
			fold = n.folds
			n.folds++
			n.folded[e.hash] = fold
		}
		e.fold = fold
		e.hash = stringHash([]byte(e.name))
		e.short = shortHash(e.name)
	}
	return n
}

// golden is odd, and has no pattern in its bits.
const golden = 0x9e3779b97f4a7c15

// fill makes a table, and counts the names that met another one's.
func fill(entries []entry, factor uint64, shift, size int) (table []*entry, met int) {
	table = make([]*entry, size)
	for i := range entries {
		e := &entries[i]
		slot := quickHash([]byte(e.name)) * factor >> shift
		if table[slot] != nil {
			met++
		}
		for table[slot] != nil {
			slot = (slot + 1) & uint64(size-1)
		}
		table[slot] = e
	}
	return table, met
}

// find returns the entry of a name, or nil.
func (n *names) find(name []byte) *entry {
	mask := uint64(len(n.table) - 1)
	for slot := quickHash(name) * n.factor >> n.shift; ; slot = (slot + 1) & mask {
		if e := n.table[slot&mask]; e == nil || e.name == string(name) {
			return e
		}
	}
}

// short returns the entry of the name that has a shortHash, or nil.
func (n *names) short(h uint64) *entry {
	mask := uint64(len(n.table) - 1)
	for slot := h * n.factor >> (n.shift & 63); ; slot++ {
		if e := n.table[slot&mask]; e == nil || e.short == h {
			return e
		}
	}
}

// quickHash looks at both ends of a name. It wants a factor.
func quickHash(name []byte) uint64 {
	n := len(name)
	if n < 8 {
		h := uint64('"') << (8 * n)
		for i, c := range name {
			h |= uint64(c) << (8 * i)
		}
		return h
	}
	return uint64(n) ^ binary.LittleEndian.Uint64(name) ^ bits.RotateLeft64(binary.LittleEndian.Uint64(name[n-8:]), 29)
}

// shortHash returns the quickHash of a name of less than 8 bytes that a message
// may hold without escapes. It is the name with the quotation mark behind it,
// as no such name has one, so that no other name has the same. Other names have
// 0, which is the shortHash of none.
func shortHash(name string) uint64 {
	isOdd := func(r rune) bool { return r < ' ' || r == '"' || r == '\\' }
	if len(name) >= 8 || !utf8.ValidString(name) || strings.ContainsFunc(name, isOdd) {
		return 0
	}
	return quickHash([]byte(name))
}

// foldHash returns the same for names that encoding/json takes for the same
// field, whatever their case (strings.EqualFold). It folds into buf.
func foldHash(name, buf []byte) uint64 {
	buf = buf[:0]
	for len(name) > 0 {
		if c := name[0]; c < utf8.RuneSelf {
			if 'a' <= c && c <= 'z' {
				c -= 'a' - 'A'
			}
			buf, name = append(buf, c), name[1:]
			continue
		}
		r, size := utf8.DecodeRune(name)
		buf, name = utf8.AppendRune(buf, jsonscan.Fold(r)), name[size:]
	}
	return maphash.Bytes(seed, buf)
}

// mix joins two hashes into one that depends on their order.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^golden, b^0xc2b2ae3d27d4eb4f)
	return hi ^ lo
}

// stringHash returns the hash of a string, or of a name.
func stringHash(text []byte) uint64 { return maphash.Bytes(seed, text) ^ 0x53 }
