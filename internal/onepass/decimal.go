package onepass

import (
	"bytes"
	"math/big"
	"math/bits"
	"strconv"
)

// A decimal is a number exactly as it is written, in one form: digits times a
// power of ten, without zeros at either end.
type decimal struct {
	neg  bool
	n    int    // number of digits; 0 is the number zero
	mant uint64 // the digits, up to maxMant of them
	long []byte // the digits, if there are more
	exp  int
}

// maxMant is how many digits a decimal keeps as an integer.
const maxMant = 18

// maxExponent is the exponent beyond which numbers are not told apart. No text
// within the limits comes near it.
const maxExponent = 1 << 24

// parseDecimal reads a JSON number. Digits that are too many for an integer
// are kept in buf, which is returned with what it has grown to.
func parseDecimal(raw, buf []byte) (d decimal, _ []byte) {
	buf = buf[:0]
	if raw[0] == '-' {
		d.neg, raw = true, raw[1:]
	}
	fraction := false
	for i, c := range raw {
		switch {
		case c == '.':
			fraction = true
			continue
		case c|0x20 == 'e':
			d.exp += parseExponent(raw[i+1:])
		case c != '0' || len(buf) > 0:
			buf = append(buf, c)
			fallthrough
		default:
			if fraction {
				d.exp--
			}
			continue
		}
		break
	}
	for len(buf) > 0 && buf[len(buf)-1] == '0' {
		buf = buf[:len(buf)-1]
		d.exp++
	}
	d.n = len(buf)
	switch {
	case d.n == 0:
		return decimal{}, buf
	case d.n > maxMant:
		d.long = buf
	default:
		for _, c := range buf {
			d.mant = d.mant*10 + uint64(c-'0')
		}
	}
	return d, buf
}

func parseExponent(raw []byte) int {
	neg := raw[0] == '-'
	if neg || raw[0] == '+' {
		raw = raw[1:]
	}
	e := 0
	for _, c := range raw {
		e = min(e*10+int(c-'0'), maxExponent)
	}
	if neg {
		return -e
	}
	return e
}

// ofRat returns the decimal of a constant, and false if it has none.
func ofRat(r *big.Rat) (decimal, bool) {
	ten, five := big.NewInt(10), big.NewInt(5)
	denom, mod := new(big.Int).Set(r.Denom()), new(big.Int)
	exp := 0
	num := new(big.Int).Set(r.Num())
	for denom.Cmp(big.NewInt(1)) != 0 {
		// Times ten above, and what of ten is below taken away there.
		exp--
		switch {
		case mod.Mod(denom, ten).Sign() == 0:
			denom.Div(denom, ten)
		case denom.Bit(0) == 0:
			denom.Rsh(denom, 1)
			num.Mul(num, five)
		case mod.Mod(denom, five).Sign() == 0:
			denom.Div(denom, five)
			num.Lsh(num, 1)
		default:
			return decimal{}, false
		}
	}
	d, _ := parseDecimal([]byte(num.String()+"e"+strconv.Itoa(exp)), nil)
	return d, true
}

func (d *decimal) isInteger() bool { return d.exp >= 0 }

// cmp returns -1, 0 or 1 as d is below, at or above e.
func (d *decimal) cmp(e *decimal) int {
	switch {
	case d.sign() != e.sign():
		return sign(d.sign() - e.sign())
	case d.n == 0:
		return 0
	case d.neg:
		return -d.cmpSize(e)
	}
	return d.cmpSize(e)
}

func (d *decimal) sign() int {
	switch {
	case d.n == 0:
		return 0
	case d.neg:
		return -1
	}
	return 1
}

// cmpSize compares the absolute values, of which none is zero.
func (d *decimal) cmpSize(e *decimal) int {
	if a, b := d.n+d.exp, e.n+e.exp; a != b {
		return sign(a - b) // the places before the point
	}
	if d.long == nil && e.long == nil {
		a, b := d.mant, e.mant
		for i := d.n; i < e.n; i++ {
			a *= 10
		}
		for i := e.n; i < d.n; i++ {
			b *= 10
		}
		switch {
		case a < b:
			return -1
		case a > b:
			return 1
		}
		return 0
	}
	var x, y [maxMant + 2]byte
	return bytes.Compare(d.digits(x[:0]), e.digits(y[:0]))
}

func (d *decimal) digits(buf []byte) []byte {
	if d.long != nil {
		return d.long
	}
	return strconv.AppendUint(buf, d.mant, 10)
}

// isMultipleOf reports whether d is an integer times m, which is not zero and
// not long.
func (d *decimal) isMultipleOf(m *decimal) bool {
	switch {
	case d.n == 0:
		return true
	case d.exp < m.exp:
		// An integer times m would end in at least as many zeros as m has.
		return false
	}
	rest := uint64(0)
	if d.long == nil {
		rest = d.mant % m.mant
	} else {
		for _, c := range d.long {
			rest = (rest*10 + uint64(c-'0')) % m.mant // below 10^19
		}
	}
	power := 10 % m.mant
	for e := d.exp - m.exp; e > 0 && rest != 0; e >>= 1 {
		if e&1 == 1 {
			rest = mulMod(rest, power, m.mant)
		}
		power = mulMod(power, power, m.mant)
	}
	return rest == 0
}

// mulMod returns a times b modulo m, for a and b below m.
func mulMod(a, b, m uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	_, rest := bits.Div64(hi, lo, m)
	return rest
}

func sign(n int) int {
	switch {
	case n < 0:
		return -1
	case n > 0:
		return 1
	}
	return 0
}
