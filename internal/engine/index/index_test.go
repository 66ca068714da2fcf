package index_test

import (
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine/index"
)

// number is a key function for small whole numbers: fixed width, so that keys compare as numbers.
func number(text string) (string, bool) {
	var n int
	if _, err := fmt.Sscanf(strings.TrimSpace(text), "%d", &n); err != nil || n < 0 {
		return "", false
	}
	return fmt.Sprintf("%09d", n), true
}

func columns() []index.Column {
	return []index.Column{{Name: "id"}, {Name: "colour"}, {Name: "size", Key: number}, {Name: "note"}}
}

func rows(rs ...index.Row) iter.Seq2[index.Row, error] {
	return func(yield func(index.Row, error) bool) {
		for _, r := range rs {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// brute judges a record value by value: the meaning of a predicate, without an index.
func brute(defs []index.Column, values [][]string, p index.Predicate) bool {
	present, hit := false, false
	for _, v := range values[p.Column] {
		key, ok := v, true
		if f := defs[p.Column].Key; f != nil {
			key, ok = f(v)
		}
		if !ok {
			continue
		}
		present = true
		for _, o := range p.Operands {
			switch p.Op {
			case index.Equal:
				hit = hit || key == o
			case index.Less:
				hit = hit || key < o
			case index.LessEqual:
				hit = hit || key <= o
			case index.Greater:
				hit = hit || key > o
			case index.GreaterEqual:
				hit = hit || key >= o
			case index.Prefix:
				hit = hit || strings.HasPrefix(v, o)
			case index.Suffix:
				hit = hit || strings.HasSuffix(v, o)
			case index.Substring:
				hit = hit || strings.Contains(v, o)
			}
		}
	}
	return present && len(p.Operands) > 0 && hit != p.Negate
}

var colours = []string{"", "red", "green", "blue", "grey", "reddish", "日本", "r"}

func drawValues(t *rapid.T, label string) [][]string {
	texts := func(pool []string, n int) []string {
		return slices.Compact(slices.Sorted(slices.Values(rapid.SliceOfN(rapid.SampledFrom(pool), 0, n).Draw(t, label))))
	}
	return [][]string{nil, texts(colours, 3), texts([]string{"1", "01", "2", "3", "10", "x", " 7 "}, 2), texts([]string{"a", "ab", "b", ""}, 1)}
}

func drawPredicates(t *rapid.T) []index.Predicate {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) index.Predicate {
		p := index.Predicate{Column: rapid.IntRange(0, 3).Draw(t, "column"), Negate: rapid.Bool().Draw(t, "negate")}
		if p.Column == 2 {
			p.Op = rapid.SampledFrom([]index.Op{index.Equal, index.Less, index.LessEqual, index.Greater, index.GreaterEqual}).Draw(t, "op")
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 11), 0, 3).Draw(t, "operands") {
				p.Operands = append(p.Operands, fmt.Sprintf("%09d", n))
			}
			return p
		}
		p.Op = rapid.SampledFrom([]index.Op{index.Equal, index.Prefix, index.Suffix, index.Substring, index.Less, index.GreaterEqual}).Draw(t, "op")
		p.Operands = rapid.SliceOfN(rapid.SampledFrom(append([]string{"a", "k1", "k"}, colours...)), 0, 3).Draw(t, "operands")
		return p
	}), 0, 4).Draw(t, "predicates")
}

// state is what a table should hold: keys in insertion order with their values.
type state struct {
	keys   []string
	values map[string][][]string
}

func (s *state) remove(key string) {
	delete(s.values, key)
	s.keys = slices.DeleteFunc(s.keys, func(k string) bool { return k == key })
}

func (s *state) put(key string, v [][]string) {
	if _, ok := s.values[key]; !ok {
		s.keys = append(s.keys, key)
	}
	s.values[key] = v
}

// TestRandomChanges compares a chain of tables with a plain map after every change: contents, order, and selections.
func TestRandomChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		defs := columns()
		table := index.New(defs)
		want := state{values: map[string][][]string{}}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			change := index.Change{Clear: rapid.IntRange(0, 19).Draw(t, "clear") == 0}
			if change.Clear {
				want = state{values: map[string][][]string{}}
			}
			key := rapid.Map(rapid.IntRange(0, 30), func(n int) string { return fmt.Sprintf("k%d", n) })
			change.Removed = rapid.SliceOfN(key, 0, 4).Draw(t, "removed")
			for _, k := range change.Removed {
				want.remove(k)
			}
			var put []index.Row
			for _, k := range rapid.SliceOfN(key, 0, 8).Draw(t, "put") {
				v := drawValues(t, "values")
				v[0] = []string{k}
				want.put(k, v)
				put = append(put, index.Row{Values: v, Blob: []byte("blob of " + k)})
			}
			change.Put = rows(put...)
			var err error
			if table, err = table.Next(change); err != nil {
				t.Fatal(err)
			}
			check(t, table, &want, drawPredicates(t))
		}
	})
}

func check(t *rapid.T, table *index.Table, want *state, predicates []index.Predicate) {
	if table.Len() != len(want.keys) {
		t.Fatalf("Len = %d, want %d", table.Len(), len(want.keys))
	}
	all := table.All().Ordinals()
	if len(all) != len(want.keys) {
		t.Fatalf("All has %d records, want %d", len(all), len(want.keys))
	}
	if keys := table.Keys(nil, all); !slices.Equal(keys, want.keys) {
		t.Fatalf("keys %q, want %q", keys, want.keys)
	}
	for i, o := range all {
		r := table.Record(o)
		key := r.Values(nil, 0)[0]
		if key != want.keys[i] {
			t.Fatalf("record %d is %s, want %s", i, key, want.keys[i])
		}
		if string(r.Blob()) != "blob of "+key {
			t.Fatalf("blob of %s is %q", key, r.Blob())
		}
		for c := range want.values[key] {
			if got := r.Values(nil, c); !slices.Equal(got, want.values[key][c]) {
				t.Fatalf("%s column %d is %q, want %q", key, c, got, want.values[key][c])
			}
		}
		if found, ok := table.Find(key); !ok || found != o {
			t.Fatalf("Find(%s) = %d %v, want %d", key, found, ok, o)
		}
	}
	var expected []string
	for _, k := range want.keys {
		holds := true
		for _, p := range predicates {
			holds = holds && brute(table.Columns(), want.values[k], p)
		}
		if holds {
			expected = append(expected, k)
		}
	}
	var got []string
	for _, o := range table.Select(predicates, nil).Ordinals() {
		got = append(got, table.Record(o).Values(nil, 0)[0])
	}
	if !slices.Equal(got, expected) {
		t.Fatalf("Select(%+v) = %q, want %q", predicates, got, expected)
	}
	var sets []*index.Set
	for _, p := range predicates[:min(2, len(predicates))] {
		sets = append(sets, table.Select([]index.Predicate{p}, nil))
	}
	within := index.Union(sets...)
	narrowed := index.Intersect(table.Select(predicates, nil), within)
	if got := table.Select(predicates, within); !slices.Equal(got.Ordinals(), narrowed.Ordinals()) {
		t.Fatalf("Select(%+v) within %v = %v, want %v", predicates, within.Ordinals(), got.Ordinals(), narrowed.Ordinals())
	}
}

// TestManyRows crosses the bounds at which lists become bit sets, with removals.
func TestManyRows(t *testing.T) {
	for _, n := range []int{0, 1, 255, 256, 257, 4095, 4097, 65535, 65536, 65537, 200_000} {
		rng := rand.New(rand.NewPCG(1, uint64(n)))
		values := make([][][]string, n)
		for i := range values {
			values[i] = [][]string{
				{fmt.Sprintf("k%07d", i)}, {colours[rng.IntN(len(colours))]}, {fmt.Sprint(rng.IntN(n + 1))}, nil,
			}
			if rng.IntN(3) == 0 {
				values[i][3] = []string{fmt.Sprint("note", rng.IntN(5)), "both"}
			}
		}
		table, err := index.New(columns()).Next(index.Change{Put: func(yield func(index.Row, error) bool) {
			for _, v := range values {
				if !yield(index.Row{Values: v}, nil) {
					return
				}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		removed := []string{}
		for i := range values {
			if i%7 == 3 {
				removed = append(removed, values[i][0][0])
			}
		}
		if table, err = table.Next(index.Change{Removed: removed}); err != nil {
			t.Fatal(err)
		}
		var left []string
		for i := range values {
			if i%7 != 3 {
				left = append(left, values[i][0][0])
			}
		}
		if keys := table.Keys([]string{"before"}, table.All().Ordinals()); keys[0] != "before" || !slices.Equal(keys[1:], left) {
			t.Errorf("%d rows: %d keys, want %d", n, len(keys)-1, len(left))
		}
		for _, predicates := range [][]index.Predicate{
			{},
			{{Column: 1, Op: index.Equal, Operands: []string{"red"}}},
			{{Column: 1, Op: index.Equal, Negate: true, Operands: []string{"red", "blue"}}},
			{{Column: 1, Op: index.Prefix, Operands: []string{"re"}}, {Column: 2, Op: index.Less, Operands: []string{fmt.Sprintf("%09d", n/3)}}},
			{{Column: 2, Op: index.GreaterEqual, Operands: []string{fmt.Sprintf("%09d", n-n/50)}}, {Column: 3, Op: index.Equal, Negate: true, Operands: []string{"note1"}}},
			{{Column: 3, Op: index.Suffix, Operands: []string{"3", "4"}}, {Column: 1, Op: index.Substring, Operands: []string{"e"}}},
			{{Column: 0, Op: index.Equal, Operands: []string{"k0000005", "k0000008", "nobody"}}},
		} {
			want := 0
			for i, v := range values {
				holds := i%7 != 3
				for _, p := range predicates {
					holds = holds && brute(columns(), v, p)
				}
				if holds {
					want++
				}
			}
			found := table.Select(predicates, nil)
			if got := found.Len(); got != want {
				t.Errorf("%d rows, %+v: %d records, want %d", n, predicates, got, want)
			}
			odd := table.Select([]index.Predicate{{Column: 1, Op: index.Prefix, Operands: []string{"r", "g"}}}, nil)
			if got := table.Select(predicates, odd); !slices.Equal(got.Ordinals(), index.Intersect(odd, found).Ordinals()) {
				t.Errorf("%d rows, %+v within a half: %d records", n, predicates, got.Len())
			}
		}
	}
}

func TestPutErrorEndsNext(t *testing.T) {
	table := index.New(columns())
	broken := fmt.Errorf("broken")
	next, err := table.Next(index.Change{Put: func(yield func(index.Row, error) bool) { yield(index.Row{}, broken) }})
	if !errors.Is(err, broken) || next != nil || table.Len() != 0 {
		t.Fatalf("Next = %v, %v", next, err)
	}
}

// TestReplacedInOneChange: a text that only a replaced row had is in no dictionary: nothing has it, and everything else is
// unequal to it.
func TestReplacedInOneChange(t *testing.T) {
	row := func(key, colour string) index.Row { return index.Row{Values: [][]string{{key}, {colour}, nil, nil}} }
	table, err := index.New(columns()).Next(index.Change{Put: rows(row("a", "red"), row("b", "blue"), row("a", "blue"))})
	if err != nil {
		t.Fatal(err)
	}
	for _, op := range []index.Op{index.Equal, index.Prefix, index.Suffix, index.Substring} {
		p := index.Predicate{Column: 1, Op: op, Operands: []string{"red"}}
		if got := table.Select([]index.Predicate{p}, nil); got.Len() != 0 {
			t.Errorf("%d: red is found in %v", op, got.Ordinals())
		}
		p.Negate = true
		if got := table.Select([]index.Predicate{p}, nil); got.Len() != 2 {
			t.Errorf("%d: not red is found in %v", op, got.Ordinals())
		}
	}
	if o, ok := table.Find("a"); !ok || o != 0 {
		t.Errorf("a is found at %d %v", o, ok)
	}
}

// TestSearchForManyTextsEnds: reliability 3 (parser bombs): a search for very many texts among very many is given up once nobody
// waits for it. Until then, and for few texts, it finds what there is.
func TestSearchForManyTextsEnds(t *testing.T) {
	put := func(yield func(index.Row, error) bool) {
		for i := range 1000 {
			if !yield(index.Row{Values: [][]string{{fmt.Sprint("key ", i)}, {fmt.Sprint("colour ", i)}, nil, nil}}, nil) {
				return
			}
		}
	}
	table, err := index.New(columns()).Next(index.Change{Put: put})
	if err != nil {
		t.Fatal(err)
	}
	few, many := []string{"our 7"}, []string{"our 7"}
	for i := range 100 {
		many = append(many, fmt.Sprint("none ", i))
	}
	closed := make(chan struct{})
	close(closed)
	for _, op := range []index.Op{index.Suffix, index.Substring} {
		found := func(operands []string, done <-chan struct{}) int {
			return table.Select([]index.Predicate{{Column: 1, Op: op, Operands: operands, Done: done}}, nil).Len()
		}
		want := found(few, nil)
		if want == 0 || found(many, nil) != want || found(many, make(chan struct{})) != want || found(few, closed) != want {
			t.Errorf("%d: %d of few, %d of many texts", op, want, found(many, nil))
		}
		if n := found(many, closed); n != 0 {
			t.Errorf("%d: the search goes on: %d", op, n)
		}
	}
}
