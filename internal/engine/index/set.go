package index

import (
	"math/bits"
	"slices"
	"sort"
)

// Set is a set of ordinals: a sorted list when it holds few of a table's ordinals, a bit set when it holds many, so that
// every operation costs the smaller of its members and a sixty-fourth of the table. A Set that has been returned is
// never changed again. The nil Set is empty.
type Set struct {
	list  []Ordinal
	words []uint64 // not nil = the bit set; what lies beyond it is not in the set
	size  int
}

// sparse is the density, one in so many ordinals, below which a set is a list: there both forms need the same memory.
const sparse = 32

// isFew reports whether n of the ordinals below span make a list.
func isFew(n int, span Ordinal) bool { return n*sparse <= int(span) }

var emptySet = &Set{} //nolint:gochecknoglobals // never changed

func newList(list []Ordinal) *Set { return &Set{list: list, size: len(list)} }

// newWords adopts a bit set; a sparse one becomes a list.
func newWords(words []uint64) *Set {
	s := &Set{words: words}
	for _, w := range words {
		s.size += bits.OnesCount64(w)
	}
	if isFew(s.size, Ordinal(len(words)*64)) {
		return newList(s.AppendTo(make([]Ordinal, 0, s.size)))
	}
	return s
}

// Len is the number of ordinals.
func (s *Set) Len() int {
	if s == nil {
		return 0
	}
	return s.size
}

// Contains reports whether o is in the set.
func (s *Set) Contains(o Ordinal) bool {
	if s == nil {
		return false
	}
	if s.words != nil {
		return hasBit(s.words, o)
	}
	_, found := slices.BinarySearch(s.list, o)
	return found
}

func hasBit(words []uint64, o Ordinal) bool {
	return int(o>>6) < len(words) && words[o>>6]>>(o&63)&1 != 0
}

// Equal reports whether two sets of one table hold the same ordinals. It costs little when they do not.
func (s *Set) Equal(b *Set) bool {
	switch {
	case s == b || s.Len() == 0 || s.Len() != b.Len():
		return s.Len() == b.Len()
	case s.words == nil && b.words == nil:
		return slices.Equal(s.list, b.list)
	case s.words == nil || b.words == nil:
		return slices.Equal(s.Ordinals(), b.Ordinals())
	}
	n := min(len(s.words), len(b.words)) // of as many ordinals none is left beyond
	return slices.Equal(s.words[:n], b.words[:n])
}

// AppendTo appends the ordinals, ascending.
func (s *Set) AppendTo(dst []Ordinal) []Ordinal {
	if s == nil {
		return dst
	}
	if s.words == nil {
		return append(dst, s.list...)
	}
	for i, w := range s.words {
		for base := Ordinal(i) << 6; w != 0; w &= w - 1 {
			dst = append(dst, base+Ordinal(bits.TrailingZeros64(w)))
		}
	}
	return dst
}

// Ordinals lists the set, ascending. The list must not be changed.
func (s *Set) Ordinals() []Ordinal {
	if s == nil || s.words == nil && s.list == nil {
		return nil
	}
	if s.words == nil {
		return s.list
	}
	return s.AppendTo(make([]Ordinal, 0, s.size))
}

// Mark adds bits to masks[i] for every ordinals[i] that is in the set. ordinals is ascending and holds all of the set.
func (s *Set) Mark(masks []uint64, ordinals []Ordinal, bits uint64) {
	switch {
	case s == nil:
		return
	case s.size == len(ordinals): // it holds them all
		for i := range ordinals {
			masks[i] |= bits
		}
		return
	case s.words != nil:
		for i, o := range s.within(ordinals) {
			masks[i] |= -(s.words[o>>6] >> (o & 63) & 1) & bits
		}
		return
	}
	at := 0
	for _, o := range s.list {
		at = Seek(ordinals, at, o)
		masks[at] |= bits
	}
}

// Unmark takes bits from masks like Mark adds them.
func (s *Set) Unmark(masks []uint64, ordinals []Ordinal, bits uint64) {
	if s == nil {
		return
	}
	if s.words != nil {
		for i, o := range s.within(ordinals) {
			masks[i] &^= -(s.words[o>>6] >> (o & 63) & 1) & bits
		}
		return
	}
	at := 0
	for _, o := range s.list {
		at = Seek(ordinals, at, o)
		masks[at] &^= bits
	}
}

// within cuts off the ordinals that lie beyond the bit set.
func (s *Set) within(ordinals []Ordinal) []Ordinal {
	return ordinals[:sort.Search(len(ordinals), func(i int) bool { return int(ordinals[i]>>6) >= len(s.words) })]
}

// Union joins sets.
func Union(sets ...*Set) *Set {
	total, span := 0, Ordinal(0)
	var last *Set
	filled := 0
	for _, s := range sets {
		if s.Len() == 0 {
			continue
		}
		filled++
		last = s
		total += s.size
		if s.words != nil {
			span = max(span, Ordinal(len(s.words)*64))
		} else {
			span = max(span, s.list[len(s.list)-1]+1)
		}
	}
	switch {
	case filled == 0:
		return emptySet
	case filled == 1:
		return last
	case isFew(total, span):
		return newList(merge(sets, total))
	}
	words := make([]uint64, (span+63)/64)
	for _, s := range sets {
		s.mark(words)
	}
	return newWords(words)
}

// merge joins sets that together are few, pair by pair.
func merge(sets []*Set, total int) []Ordinal {
	lists := make([][]Ordinal, 0, len(sets))
	for _, s := range sets {
		if s.Len() > 0 {
			lists = append(lists, s.Ordinals())
		}
	}
	space, spare := make([]Ordinal, 0, total), make([]Ordinal, 0, total)
	for len(lists) > 1 {
		merged := lists[:0]
		space = space[:0]
		for i := 0; i < len(lists); i += 2 {
			start := len(space)
			if i+1 < len(lists) {
				space = mergeTwo(space, lists[i], lists[i+1])
			} else {
				space = append(space, lists[i]...)
			}
			merged = append(merged, space[start:])
		}
		lists = merged
		space, spare = spare, space
	}
	return lists[0]
}

// mergeTwo appends what is in a or b, both ascending.
func mergeTwo(dst, a, b []Ordinal) []Ordinal {
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			dst = append(dst, a[0])
			a = a[1:]
		case a[0] > b[0]:
			dst = append(dst, b[0])
			b = b[1:]
		default:
			dst = append(dst, a[0])
			a, b = a[1:], b[1:]
		}
	}
	dst = append(dst, a...)
	return append(dst, b...)
}

// mark adds the set to a bit set that is long enough.
func (s *Set) mark(words []uint64) {
	if s == nil {
		return
	}
	for i, w := range s.words {
		words[i] |= w
	}
	markAll(words, s.list)
}

func markAll(words []uint64, list []Ordinal) {
	for _, o := range list {
		words[o>>6] |= 1 << (o & 63)
	}
}

// Subtract is a without b.
func Subtract(a, b *Set) *Set { return a.restrict(b, false) }

// Intersect is what a and b share.
func Intersect(a, b *Set) *Set {
	if a.Len() > b.Len() {
		a, b = b, a
	}
	return a.restrict(b, true)
}

// restrict keeps what is (or, with in false, is not) in b.
func (s *Set) restrict(b *Set, in bool) *Set {
	if s.Len() == 0 || b.Len() == 0 {
		if in || s == nil {
			return emptySet
		}
		return s
	}
	if s.words == nil {
		return newList(s.keep(b, in))
	}
	words := make([]uint64, len(s.words))
	if in {
		b.markUpTo(words)
		for i := range words {
			words[i] &= s.words[i]
		}
		return newWords(words)
	}
	copy(words, s.words)
	if b.words == nil {
		for _, o := range b.list {
			if int(o>>6) < len(words) {
				words[o>>6] &^= 1 << (o & 63)
			}
		}
		return newWords(words)
	}
	for i := range words[:min(len(words), len(b.words))] {
		words[i] &^= b.words[i]
	}
	return newWords(words)
}

// markUpTo adds the set to a bit set, as far as that goes.
func (s *Set) markUpTo(words []uint64) {
	copy(words, s.words)
	for _, o := range s.list {
		if int(o>>6) >= len(words) {
			return
		}
		words[o>>6] |= 1 << (o & 63)
	}
}

// keep filters a list.
func (s *Set) keep(b *Set, in bool) []Ordinal {
	out := make([]Ordinal, 0, len(s.list))
	at := 0
	for _, o := range s.list {
		var has bool
		if b.words != nil {
			has = hasBit(b.words, o)
		} else {
			at = Seek(b.list, at, o)
			has = at < len(b.list) && b.list[at] == o
		}
		if has == in {
			out = append(out, o)
		}
	}
	return out
}

// Seek finds the first place at or after at in an ascending list whose ordinal is at least o, quickly when it is near.
func Seek(list []Ordinal, at int, o Ordinal) int {
	if at >= len(list) || list[at] >= o {
		return at
	}
	step := 1
	for at+step < len(list) && list[at+step] < o {
		at += step
		step *= 2
	}
	low, high := at+1, min(at+step, len(list))
	return low + sort.Search(high-low, func(i int) bool { return list[low+i] >= o })
}
