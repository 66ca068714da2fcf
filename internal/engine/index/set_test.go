package index

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestSetEqual: two sets are equal when their ordinals are, in whatever form and however many words.
func TestSetEqual(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func(name string) *Set {
			list := rapid.SliceOfNDistinct(rapid.Uint32Range(0, 6), 0, 4, rapid.ID).Draw(rt, name)
			slices.Sort(list)
			if len(list) == 0 {
				return emptySet
			}
			if rapid.Bool().Draw(rt, "bits") {
				words := make([]uint64, rapid.IntRange(1, 3).Draw(rt, "words"))
				markAll(words, list)
				return &Set{words: words, size: len(list)}
			}
			return newList(list)
		}
		a, b := draw("a"), draw("b")
		if want := slices.Equal(a.Ordinals(), b.Ordinals()); a.Equal(b) != want || !a.Equal(a) || (*Set)(nil).Equal(a) != (a.Len() == 0) {
			rt.Fatalf("%v and %v: %v", a.Ordinals(), b.Ordinals(), a.Equal(b))
		}
	})
}
