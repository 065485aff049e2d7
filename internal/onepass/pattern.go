package onepass

import (
	"regexp"
	"regexp/syntax"
)

// A pattern is a regular expression. One that is anchored at both ends and
// made of ASCII characters and classes of them, each with a bound, such as
// ^[a-z0-9-]{1,32}$, is matched by a table of bytes.
type pattern struct {
	expr  *regexp.Regexp
	parts []part // nil if the table does not do
}

// A part is a class of bytes that stands between min and max times.
type part struct {
	class    [256]bool
	min, max int // max is -1 where there is none
}

// maxParts keeps the tables of one expression below 16 KB.
const maxParts = 64

func newPattern(expr *regexp.Regexp) *pattern {
	p := &pattern{expr: expr}
	re, err := syntax.Parse(expr.String(), syntax.Perl)
	if err != nil || re.Op != syntax.OpConcat || len(re.Sub) < 2 {
		return p
	}
	last := len(re.Sub) - 1
	if re.Sub[0].Op != syntax.OpBeginText || re.Sub[last].Op != syntax.OpEndText {
		return p
	}
	parts := []part{}
	for _, sub := range re.Sub[1:last] {
		var ok bool
		if parts, ok = appendParts(parts, sub); !ok {
			return p
		}
	}
	if isGreedy(parts) {
		p.parts = parts
	}
	return p
}

// IsTable reports whether an expression is matched by a table of bytes.
func IsTable(expr *regexp.Regexp) bool { return newPattern(expr).parts != nil }

// appendParts appends the parts of an expression, if it has that form.
func appendParts(parts []part, re *syntax.Regexp) ([]part, bool) {
	p := part{min: 1, max: 1}
	if re.Flags&syntax.FoldCase != 0 && re.Op == syntax.OpLiteral {
		return nil, false
	}
	switch re.Op {
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			if r > 0x7f || len(parts) == maxParts {
				return nil, false
			}
			one := p
			one.class[r] = true
			parts = append(parts, one)
		}
		return parts, true
	case syntax.OpStar:
		p.min, p.max = 0, -1
	case syntax.OpPlus:
		p.max = -1
	case syntax.OpQuest:
		p.min = 0
	case syntax.OpRepeat:
		p.min, p.max = re.Min, re.Max
	case syntax.OpCapture:
		return appendParts(parts, re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			var ok bool
			if parts, ok = appendParts(parts, sub); !ok {
				return nil, false
			}
		}
		return parts, true
	}
	class := re
	if re.Op != syntax.OpCharClass {
		if len(re.Sub) != 1 {
			return nil, false
		}
		class = re.Sub[0]
	}
	switch {
	case class.Op == syntax.OpLiteral && len(class.Rune) == 1 && class.Rune[0] <= 0x7f && class.Flags&syntax.FoldCase == 0:
		p.class[class.Rune[0]] = true
	case class.Op == syntax.OpCharClass:
		for i := 0; i < len(class.Rune); i += 2 {
			if class.Rune[i+1] > 0x7f {
				return nil, false
			}
			for r := class.Rune[i]; r <= class.Rune[i+1]; r++ {
				p.class[r] = true
			}
		}
	default:
		return nil, false
	}
	if len(parts) == maxParts {
		return nil, false
	}
	return append(parts, p), true
}

// isGreedy reports whether taking as much as each part allows, one after the
// other, finds a match if there is one: nothing that may follow a part whose
// length varies begins with a byte of it.
func isGreedy(parts []part) bool {
	for i, p := range parts {
		if p.min == p.max {
			continue
		}
		for _, next := range parts[i+1:] {
			for c := range next.class {
				if p.class[c] && next.class[c] && next.max != 0 {
					return false
				}
			}
			if next.min > 0 {
				break
			}
		}
	}
	return true
}

func (p *pattern) match(text []byte) bool {
	if p.parts == nil {
		return p.expr.Match(text)
	}
	for i := range p.parts {
		part := &p.parts[i]
		n := 0
		for n < len(text) && n != part.max && part.class[text[n]] {
			n++
		}
		if n < part.min {
			return false
		}
		text = text[n:]
	}
	return len(text) == 0
}
