// Package utf8stream judges whether a text is UTF-8 while its bytes arrive:
// masked, in any pieces, over any number of frames.
package utf8stream

import (
	"encoding/binary"
	"math/bits"
)

// A Checker judges a text as its bytes arrive, so that one that is not UTF-8
// is refused at the byte that makes it so and not at its end (RFC 6455,
// section 8.1). Its zero value is at the beginning of a text. It is not safe
// for concurrent use.
type Checker struct {
	state uint8
}

// Masked judges the next bytes of a text, which are masked with key (RFC 6455,
// section 5.3); at is the offset of p[0] within its frame's payload. It reports
// whether the text can still become valid: it is false as soon as no
// continuation could make it so (RFC 3629, section 4: no overlong forms, no
// surrogates, nothing above U+10FFFF), and stays false until Complete. It
// neither changes nor keeps p.
func (c *Checker) Masked(p []byte, key [4]byte, at int64) bool {
	k := uint64(binary.LittleEndian.Uint32(key[:]))
	return c.judge(p, bits.RotateLeft64(k|k<<32, -8*int(at&3)))
}

// Plain is Masked for bytes that are not masked.
func (c *Checker) Plain(p []byte) bool { return c.judge(p, 0) }

// Complete reports whether the text may end here, and begins a new one.
func (c *Checker) Complete() bool {
	complete := c.state == between
	c.state = between
	return complete
}

// The states of a text, each the place of its six bits in an entry of steps.
const (
	between = 6 * iota // between two characters
	refused            // whatever follows
	tail1              // a character lacks one byte
	tail2
	tail3
	afterE0 // as tail2 or tail3, but the next byte has bounds of its own
	afterED
	afterF0
	afterF4
	end
)

// grammar is the syntax of RFC 3629, section 4. What it does not name is
// refused: 80 to BF between characters, C0 and C1, which could only begin an
// overlong form, and F5 to FF.
var grammar = []struct {
	from   int
	lo, hi byte
	to     uint64
}{
	{between, 0x00, 0x7F, between},
	{between, 0xC2, 0xDF, tail1},
	{between, 0xE0, 0xE0, afterE0},
	{between, 0xE1, 0xEC, tail2},
	{between, 0xED, 0xED, afterED},
	{between, 0xEE, 0xEF, tail2},
	{between, 0xF0, 0xF0, afterF0},
	{between, 0xF1, 0xF3, tail3},
	{between, 0xF4, 0xF4, afterF4},
	{afterE0, 0xA0, 0xBF, tail1}, // less is overlong
	{afterED, 0x80, 0x9F, tail1}, // more is a surrogate
	{afterF0, 0x90, 0xBF, tail2}, // less is overlong
	{afterF4, 0x80, 0x8F, tail2}, // more is above U+10FFFF
	{tail3, 0x80, 0xBF, tail2},
	{tail2, 0x80, 0xBF, tail1},
	{tail1, 0x80, 0xBF, between},
}

// steps has an entry for each byte: where a state's six bits are stands the
// state that follows it. A step is one load and one shift, whatever the bytes,
// so that a peer cannot choose bytes that are slow to judge by mixing them.
var steps = func() (table [256]uint64) {
	var all uint64
	for from := 0; from < end; from += 6 {
		all |= refused << from
	}
	for b := range table {
		table[b] = all
	}
	for _, rule := range grammar {
		for b := int(rule.lo); b <= int(rule.hi); b++ {
			table[b] ^= (refused ^ rule.to) << rule.from
		}
	}
	return table
}()

// high has the bits that no ASCII byte has.
const high = 0x8080808080808080

// judge takes the key as it lies over the first eight bytes of p; it lies in
// the same way over every eight that follow.
func (c *Checker) judge(p []byte, key uint64) bool {
	// With no capacity to keep, cutting p is cheaper, and more so if it never
	// becomes empty: hence also > and not >= below.
	p = p[:len(p):len(p)]
	state := uint64(c.state)
	for len(p) > 8 {
		if state == between {
			for len(p) > 32 && fourWords(p, key)&high == 0 {
				p = p[32:]
			}
			for len(p) > 8 && (word(p)^key)&high == 0 {
				p = p[8:]
			}
			if len(p) <= 8 {
				break
			}
		}
		w := word(p) ^ key
		state = steps[byte(w)] >> (state & 63)
		state = steps[byte(w>>8)] >> (state & 63)
		state = steps[byte(w>>16)] >> (state & 63)
		state = steps[byte(w>>24)] >> (state & 63)
		state = steps[byte(w>>32)] >> (state & 63)
		state = steps[byte(w>>40)] >> (state & 63)
		state = steps[byte(w>>48)] >> (state & 63)
		state = steps[byte(w>>56)] >> (state & 63) & 63
		if state == refused {
			c.state = refused
			return false
		}
		p = p[8:]
	}
	if n := len(p); n > 0 {
		w := (last(p) ^ key) & (1<<(8*n) - 1) // the key is longer than p
		if state != between || w&high != 0 {
			for range n {
				state = steps[byte(w)] >> (state & 63)
				w >>= 8
			}
			state &= 63
		}
	}
	c.state = uint8(state)
	return state != refused
}

// word is the first eight bytes of p, the first in the lowest bits.
func word(p []byte) uint64 { return binary.LittleEndian.Uint64(p) }

// fourWords has the bits that any of the first four words of p has unmasked.
func fourWords(p []byte, key uint64) uint64 {
	return ((word(p) ^ key) | (word(p[8:]) ^ key)) | ((word(p[16:]) ^ key) | (word(p[24:]) ^ key))
}

// last is word for one to eight bytes. It reads some of them twice instead of
// asking how many there are.
func last(p []byte) uint64 {
	n := len(p)
	if n >= 4 {
		return uint64(binary.LittleEndian.Uint32(p)) | uint64(binary.LittleEndian.Uint32(p[n-4:]))<<(8*(n-4))
	}
	return uint64(p[0]) | uint64(p[n/2])<<(8*(n/2)) | uint64(p[n-1])<<(8*(n-1))
}
