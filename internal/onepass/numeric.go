package onepass

import (
	"errors"
	"math/big"
)

// numeric adds what a slot asks of a number.
func (p *planner) numeric(n *node) {
	if n.integers() {
		p.question(n, "type", op{code: opInteger})
	}
	for _, v := range n.values {
		p.question(n, v.keyword, op{code: opNumbers, values: v})
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
		o := op{code: bound.code, number: &d}
		if bound.value.IsInt() && bound.value.Num().IsInt64() {
			o.isInt, o.n = true, bound.value.Num().Int64()
		}
		if o.code == opMultipleOf && (d.long != nil || d.sign() <= 0) {
			p.fail(errors.New("multipleOf has more than 18 digits"))
			return
		}
		p.question(n, bound.keyword, o)
	}
}
