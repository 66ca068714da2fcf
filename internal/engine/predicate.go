package engine

import (
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// predicate is what remains of a rule once its right side is known: attribute op operands over the values of one
// record. It is the only thing that is ever evaluated: on a record by holds, on all records through the index.
type predicate struct {
	attribute model.AttributeID
	op        model.Operator
	numeric   bool
	texts     []string       // STRING operands
	numbers   []model.Number // NUMERIC operands
	keys      []string       // of numbers, for the index
	rule      *rule          // where it comes from
	// done, once it is closed, ends a comparison of very many texts; what holds is then of no account. nil = never
	done <-chan struct{}
}

// operands makes a predicate of a rule and the values of its right side. ok is false when the right side is missing
// (V3, V7): then the rule holds for no record.
func (r *rule) operands(values []string, made *shared) (p predicate, ok bool) {
	p = predicate{attribute: r.src.Left.Attribute, op: r.src.Op, numeric: r.numeric, rule: r}
	if !r.numeric {
		p.texts = values
		return p, len(values) > 0
	}
	p.numbers, p.keys = made.numbers(values)
	return p, len(p.numbers) > 0
}

// holds judges the values of the attribute on one record (V3 to V7).
func (p *predicate) holds(values []string) bool {
	if len(values)*(len(p.texts)+len(p.numbers)) > manyComparisons && len(values) > 1 {
		return p.holdsOfMany(values)
	}
	present, hit := false, false
	for _, v := range values {
		if p.numeric {
			n, ok := model.ParseNumber(v)
			if !ok {
				continue
			}
			present = true
			hit = slices.ContainsFunc(p.numbers, func(m model.Number) bool { return compareNumbers(p.op, n, m) })
		} else {
			present = true
			hit = slices.ContainsFunc(p.texts, func(w string) bool { return compareTexts(p.op, v, w) })
		}
		if hit {
			break
		}
	}
	return present && hit != p.op.IsNegative()
}

// manyComparisons is how many comparisons are made pair by pair. A request may bring hundreds of thousands of values for
// both sides.
const manyComparisons = 4096

// holdsOfMany is holds in time that grows with the values, not with the pairs of them, but for the text operators, which
// end when nobody waits any more.
func (p *predicate) holdsOfMany(values []string) bool {
	if p.numeric {
		return p.holdsOfNumbers(values)
	}
	var hit bool
	if p.op.IsText() {
		hit = slices.ContainsFunc(values, func(v string) bool {
			select {
			case <-p.done:
				return true
			default:
				return slices.ContainsFunc(p.texts, func(w string) bool { return compareTexts(p.op, v, w) })
			}
		})
	} else {
		known := setOf(p.texts)
		hit = slices.ContainsFunc(values, func(v string) bool { return known[v] })
	}
	return hit != p.op.IsNegative()
}

func (p *predicate) holdsOfNumbers(values []string) bool {
	var easiest model.Number // operand of an order
	var known map[model.Number]bool
	switch {
	case p.op == model.OpLess || p.op == model.OpLessEqual:
		easiest = slices.MaxFunc(p.numbers, model.Number.Compare)
	case p.op.IsOrder():
		easiest = slices.MinFunc(p.numbers, model.Number.Compare)
	default:
		known = setOf(p.numbers)
	}
	present, hit := false, false
	for _, v := range values {
		n, ok := model.ParseNumber(v)
		present = present || ok
		hit = hit || ok && (known[n] || p.op.IsOrder() && compareNumbers(p.op, n, easiest))
	}
	return present && hit != p.op.IsNegative()
}

func setOf[V comparable](values []V) map[V]bool {
	out := make(map[V]bool, len(values))
	for _, v := range values {
		out[v] = true
	}
	return out
}

func compareTexts(op model.Operator, v, w string) bool {
	switch op {
	case model.OpContains:
		return strings.Contains(v, w)
	case model.OpStartsWith:
		return strings.HasPrefix(v, w)
	case model.OpEndsWith:
		return strings.HasSuffix(v, w)
	}
	return v == w
}

func compareNumbers(op model.Operator, n, m model.Number) bool {
	switch op {
	case model.OpLess:
		return n.Compare(m) < 0
	case model.OpLessEqual:
		return n.Compare(m) <= 0
	case model.OpGreater:
		return n.Compare(m) > 0
	case model.OpGreaterEqual:
		return n.Compare(m) >= 0
	}
	return n == m
}

// indexed is the predicate as the index understands it.
func (p *predicate) indexed(column int) index.Predicate {
	out := index.Predicate{Column: column, Op: index.Equal, Negate: p.op.IsNegative(), Operands: p.texts, Done: p.done}
	if p.numeric {
		out.Operands = p.keys
	}
	switch p.op {
	case model.OpContains:
		out.Op = index.Substring
	case model.OpStartsWith:
		out.Op = index.Prefix
	case model.OpEndsWith:
		out.Op = index.Suffix
	case model.OpLess:
		out.Op = index.Less
	case model.OpLessEqual:
		out.Op = index.LessEqual
	case model.OpGreater:
		out.Op = index.Greater
	case model.OpGreaterEqual:
		out.Op = index.GreaterEqual
	}
	return out
}
