package onepass

import (
	"bytes"

	"github.com/wsguard/wsguard/internal/jsonscan"
)

// same reports whether two JSON texts are one value: numbers are compared as
// numbers, strings after unescaping, objects without regard to order. Both
// must have passed the machine. It is asked only of texts with one hash, and
// so finds them the same except by accident.
func same(a, b []byte) bool {
	x, y := cursor{a, 0}, cursor{b, 0}
	return x.same(&y)
}

// A cursor reads a JSON text that is known to be right.
type cursor struct {
	text []byte
	pos  int
}

// next returns the byte that begins the next token.
func (c *cursor) next() byte {
	for c.pos < len(c.text) {
		switch b := c.text[c.pos]; b {
		case ' ', '\t', '\n', '\r', ',', ':':
			c.pos++
		default:
			return b
		}
	}
	return 0
}

// scalar returns the string with its quotation marks, number or literal that
// is next.
func (c *cursor) scalar() []byte {
	start := c.pos
	if c.text[c.pos] == '"' {
		for c.pos++; c.text[c.pos] != '"'; c.pos++ {
			if c.text[c.pos] == '\\' {
				c.pos++
			}
		}
		c.pos++
		return c.text[start:c.pos]
	}
	for c.pos < len(c.text) {
		switch c.text[c.pos] {
		case ' ', '\t', '\n', '\r', ',', ']', '}':
			return c.text[start:c.pos]
		}
		c.pos++
	}
	return c.text[start:c.pos]
}

// skip passes a value.
func (c *cursor) skip() {
	depth := 0
	for {
		switch c.next() {
		case '[', '{':
			depth++
			c.pos++
		case ']', '}':
			depth--
			c.pos++
		default:
			c.scalar()
		}
		if depth == 0 {
			return
		}
	}
}

func (c *cursor) same(d *cursor) bool {
	switch a, b := c.next(), d.next(); {
	case a == '[' || b == '[':
		return a == b && c.sameArray(d)
	case a == '{' || b == '{':
		return a == b && c.sameObject(d)
	case a == '"' || b == '"':
		return a == b && sameString(c.scalar(), d.scalar())
	case isLetter(a) || isLetter(b):
		return bytes.Equal(c.scalar(), d.scalar())
	}
	var left, right [64]byte
	x, _ := parseDecimal(c.scalar(), left[:0])
	y, _ := parseDecimal(d.scalar(), right[:0])
	return x.cmp(&y) == 0
}

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' }

func (c *cursor) sameArray(d *cursor) bool {
	c.pos++
	d.pos++
	for {
		a, b := c.next(), d.next()
		if a == ']' || b == ']' {
			c.pos++
			d.pos++
			return a == b
		}
		if !c.same(d) {
			return false
		}
	}
}

// sameObject looks for each member of c in d, from where the one before was
// found, as most objects with the same members have them in one order.
func (c *cursor) sameObject(d *cursor) bool {
	c.pos++
	d.pos++
	first, members := d.pos, 0
	for ; c.next() != '}'; members++ {
		name := c.scalar()
		if !d.find(name, first) {
			return false
		}
		c.next()
		d.next()
		if !c.same(d) {
			return false
		}
	}
	c.pos++
	for d.pos = first; d.next() != '}'; members-- {
		d.scalar()
		d.next()
		d.skip()
	}
	d.pos++
	return members == 0
}

// find leads to the value of a member of the object whose members begin at
// first. It looks once around, from where it stands.
func (c *cursor) find(name []byte, first int) bool {
	start := c.pos
	for again := false; ; {
		switch {
		case again && c.pos >= start:
			return false
		case c.next() == '}':
			if again {
				return false
			}
			again, c.pos = true, first
			continue
		}
		if sameString(name, c.scalar()) {
			return true
		}
		c.next()
		c.skip()
	}
}

// sameString compares two strings with their quotation marks.
func sameString(a, b []byte) bool {
	a, b = a[1:len(a)-1], b[1:len(b)-1]
	if bytes.IndexByte(a, '\\') < 0 && bytes.IndexByte(b, '\\') < 0 {
		return bytes.Equal(a, b)
	}
	for len(a) > 0 && len(b) > 0 {
		r, n := jsonscan.DecodeRune(a)
		s, m := jsonscan.DecodeRune(b)
		if r != s {
			return false
		}
		a, b = a[n:], b[m:]
	}
	return len(a) == len(b)
}
