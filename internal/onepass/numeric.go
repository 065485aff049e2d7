package onepass

import (
	"errors"
	"math/big"
)

// numeric adds what a slot asks of a number.
func (p *planner) numeric(n *node, at func(keyword string) op) {
	if n.integers() {
		o := at("type")
		o.code = opInteger
		p.ops = append(p.ops, o)
	}
	for _, v := range n.values {
		o := at(v.keyword)
		o.code, o.values = opNumbers, v
		p.ops = append(p.ops, o)
	}
	for _, bound := range []struct {
		keyword string
		code    opcode
		value   *big.Rat
	}{
		{"minimum", opMinimum, n.Minimum},
		{"exclusiveMinimum", opExclusiveMinimum, n.ExclusiveMinimum},
		{"maximum", opMaximum, n.Maximum},
		{"exclusiveMaximum", opExclusiveMaximum, n.ExclusiveMaximum},
		{"multipleOf", opMultipleOf, n.MultipleOf},
	} {
		if bound.value == nil {
			continue
		}
		d, ok := ofRat(bound.value)
		if !ok {
			p.fail(errors.New(bound.keyword + " has no decimal form"))
			return
		}
		o := at(bound.keyword)
		o.code, o.number = bound.code, &d
		if bound.value.IsInt() && bound.value.Num().IsInt64() {
			o.isInt, o.n = true, bound.value.Num().Int64()
		}
		if o.code == opMultipleOf {
			if d.long != nil || d.sign() <= 0 {
				p.fail(errors.New("multipleOf has more than 18 digits"))
				return
			}
		}
		p.ops = append(p.ops, o)
	}
}
