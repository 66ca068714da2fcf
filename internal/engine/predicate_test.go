package engine

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// PM-9: a comparison of many values with many means what it means pair by pair.
func TestHoldsOfMany(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	draw := func(from int) []string {
		out := make([]string, 1+r.IntN(90))
		for i := range out {
			out[i] = strconv.Itoa(r.IntN(from)) + []string{"", ".0", "e1", "x"}[r.IntN(4)]
		}
		return out
	}
	for range 5_000 {
		rule := &rule{src: model.Rule{Op: model.OpEqual + model.Operator(r.IntN(11))}}
		rule.numeric = !rule.src.Op.IsText() && (rule.src.Op.IsOrder() || r.IntN(2) == 0)
		from := 1 + r.IntN(20_000)
		p, ok := rule.operands(draw(from), nil)
		if !ok {
			continue
		}
		values := draw(from)
		if r.IntN(4) == 0 {
			values = []string{"x", "y"} // no numbers
		}
		present, hit := false, false
		for _, v := range values {
			one := p.holds([]string{v})
			_, number := model.ParseNumber(v)
			present = present || !p.numeric || number
			hit = hit || (one != p.op.IsNegative()) && (!p.numeric || number)
		}
		if got, want := p.holdsOfMany(values), present && hit != p.op.IsNegative(); got != want || p.holds(values) != want {
			t.Fatalf("operator %d (numbers: %v) of %q and %q: %v, want %v", p.op, p.numeric, values, p.texts, got, want)
		}
	}
}

// A request may bring hundreds of thousands of values for both sides of a line: comparing them ends with the question, and
// what need not compare every pair does not.
func TestManyValuesEnd(t *testing.T) {
	many := func(prefix string) []string {
		out := make([]string, 300_000)
		for i := range out {
			out[i] = prefix + strconv.Itoa(i)
		}
		return out
	}
	done := make(chan struct{})
	time.AfterFunc(200*time.Millisecond, func() { close(done) })
	q := &Question{Done: done, Environment: map[string][]string{"x": many("-1")}}
	for op := model.OpEqual; op <= model.OpGreaterEqual; op++ {
		for _, numeric := range []bool{false, true} {
			if numeric && op.IsText() || !numeric && op.IsOrder() {
				continue
			}
			rule := &rule{numeric: numeric, src: model.Rule{Op: op, Ref: model.Ref{Side: model.SideRequest, Attribute: "x"}}}
			p, ok := (&subject{question: q}).bind(rule, nil)
			start := time.Now()
			if got := p.holds(many("2")); !ok || !op.IsText() && got != (op.IsNegative() || op == model.OpGreater || op == model.OpGreaterEqual) {
				t.Errorf("operator %d holds: %v", op, got)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("operator %d (numbers: %v) took %s", op, numeric, took)
			}
		}
	}
}
