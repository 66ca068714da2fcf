package engine

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

// TestTurnedTexts: the parts of texts are exactly the operands with which the texts compare true; very many are refused, so
// that the line is judged on every identity instead.
func TestTurnedTexts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		texts := rapid.SliceOfN(rapid.StringMatching(`[abé日]{0,6}`), 1, 3).Draw(rt, "texts")
		op := rapid.SampledFrom([]model.Operator{model.OpContains, model.OpStartsWith, model.OpEndsWith}).Draw(rt, "op")
		word := rapid.StringMatching(`[abé日]{0,3}`).Draw(rt, "word")
		p := predicate{op: op, texts: texts}
		if !p.turn() {
			rt.Fatal("refused")
		}
		want := slices.ContainsFunc(texts, func(v string) bool { return compareTexts(op, v, word) })
		if got := p.op == model.OpIn && slices.Contains(p.texts, word); got != want {
			rt.Fatalf("%q %s %q: %v, the parts say %v", texts, op, word, want, got)
		}
	})
	for op, length := range map[model.Operator]int{model.OpContains: 200, model.OpStartsWith: 5000, model.OpEndsWith: 5000} {
		p := predicate{op: op, texts: []string{"short", strings.Repeat("é", length)}}
		if p.turn() {
			t.Errorf("%s of %d characters makes %d parts", op, length, len(p.texts))
		}
	}
	if parts := appendParts(nil, strings.Repeat("a", 100_000), model.OpContains); len(parts) > 2*mostParts {
		t.Errorf("%d parts were made to be refused", len(parts))
	}
}
