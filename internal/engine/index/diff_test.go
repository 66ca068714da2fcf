package index_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine/index"
)

// contents is a table by ordinal, read record by record.
func contents(table *index.Table) map[index.Ordinal]string {
	out := map[index.Ordinal]string{}
	for _, o := range table.All().Ordinals() {
		r := table.Record(o)
		text := string(r.Blob())
		for c := range table.Columns() {
			text += fmt.Sprintf("|%q", r.Values(nil, c))
		}
		out[o] = text
	}
	return out
}

// TestDiffer: PM-34: for any two tables of a line, however often parts were merged between them, Differ names exactly the
// records that differ.
func TestDiffer(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tables := []*index.Table{index.New(columns())}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			change := index.Change{Clear: rapid.IntRange(0, 19).Draw(t, "clear") == 0}
			for range rapid.IntRange(0, 3).Draw(t, "removed") {
				change.Removed = append(change.Removed, fmt.Sprint(rapid.IntRange(0, 400).Draw(t, "key")))
			}
			var put []index.Row
			first, n := rapid.IntRange(0, 300).Draw(t, "first"), rapid.SampledFrom([]int{0, 1, 1, 2, 9, 100}).Draw(t, "put")
			value := fmt.Sprint(rapid.IntRange(0, 2).Draw(t, "value"))
			for i := range n {
				put = append(put, index.Row{Values: [][]string{{fmt.Sprint(first + i)}, {value}, {fmt.Sprint(i % 3)}, nil}, Blob: []byte(value)})
			}
			change.Put = rows(put...)
			next, err := tables[len(tables)-1].Next(change)
			if err != nil {
				t.Fatal(err)
			}
			tables = append(tables, next)
		}
		from := rapid.IntRange(0, len(tables)-1).Draw(t, "from")
		a, b := tables[from], tables[len(tables)-1]
		if !a.SameLine(b) || a.SameLine(index.New(columns())) {
			t.Fatal("lines")
		}
		was, now := contents(a), contents(b)
		onlyA, onlyB := index.Differ(a, b)
		for i, side := range []struct {
			got        *index.Set
			own, other map[index.Ordinal]string
		}{{onlyA, was, now}, {onlyB, now, was}} {
			var want []index.Ordinal
			for _, o := range slices.Sorted(maps.Keys(side.own)) {
				if text, ok := side.other[o]; !ok || text != side.own[o] {
					want = append(want, o)
				}
			}
			if got := side.got.Ordinals(); !slices.Equal(got, want) {
				t.Fatalf("side %d: %v differ, want %v", i, got, want)
			}
		}
		for o := range index.Ordinal(500) {
			if _, ok := now[o]; b.Holds(o) != ok {
				t.Fatalf("Holds(%d) = %v", o, !ok)
			}
		}
		if n := a.Beyond(b); n < 0 || a == b && n != 0 {
			t.Fatalf("%d bytes beyond", n)
		}
	})
}
