package index

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

// Select finds the records, among those of within when it is not nil, for which all predicates hold. Without predicates
// it is every record.
func (t *Table) Select(predicates []Predicate, within *Set) *Set {
	if len(t.parts) == 1 {
		return t.parts[0].find(predicates, within, t.next)
	}
	found := make([]*Set, len(t.parts))
	for i := range t.parts {
		found[i] = t.parts[i].find(predicates, within, t.next)
	}
	return Union(found...)
}

// find selects among the part's own records.
func (p *part) find(predicates []Predicate, within *Set, span Ordinal) *Set {
	switch {
	case within == nil:
		within = p.live
	case p.count < int(span):
		within = Intersect(within, p.ordinals())
	}
	return p.seg.find(predicates, within, span)
}

// leaf is a predicate resolved against a segment.
type leaf struct {
	column *column
	negate bool
	ranges []codeRange // ascending, disjoint
	scan   []string    // operands of Suffix and Substring, while ranges are not worked out
	done   <-chan struct{}
	op     Op
	size   int // upper bound of the ordinals that match, before Negate
}

// listShare is the share of a table, one in so many ordinals, up to which candidates are judged one by one: reading a
// few codes of each is then cheaper than combining whole bit sets.
const listShare = 8

// find intersects the predicates, cheapest first, among rows of s (within nil = all). When the most selective one, or within, leaves few candidates, the
// others are judged on their codes; else bit sets are combined until few are left.
func (s *segment) find(predicates []Predicate, within *Set, span Ordinal) *Set {
	var space [6]leaf
	leaves := space[:0]
	for i := range predicates {
		l, possible := s.resolve(&predicates[i])
		if !possible {
			return emptySet
		}
		leaves = append(leaves, l)
	}
	slices.SortStableFunc(leaves, func(a, b leaf) int { return cmp.Compare(a.rank(), b.rank()) })
	if len(leaves) > 0 {
		if l := &leaves[0]; l.rank() < math.MaxInt-2 && l.size*listShare <= int(span) && l.fewerThan(within) {
			return s.filter(l.candidates(span), leaves[1:], within)
		}
	}
	if within != nil && within.words == nil {
		return s.filter(within.list, leaves, nil)
	}
	return s.combine(leaves, within, span)
}

// fewerThan reports whether it is less work to look which candidates of the leaf are in a set than to judge those of the set:
// a step through two lists costs as much as reading some codes.
func (l *leaf) fewerThan(set *Set) bool {
	if set != nil && set.words == nil {
		return l.size*4 < set.size
	}
	return set == nil || l.size < set.size
}

// rank orders leaves: positive ones by the ordinals they match, those that need a scan after them, then negative ones.
func (l *leaf) rank() int {
	switch {
	case l.negate && l.scan != nil:
		return math.MaxInt
	case l.negate:
		return math.MaxInt - 1
	case l.scan != nil:
		return math.MaxInt - 2
	}
	return l.size
}

// resolve looks the operands up. possible is false when no record can satisfy the predicate.
func (s *segment) resolve(p *Predicate) (leaf, bool) {
	c := &s.columns[p.Column]
	l := leaf{column: c, negate: p.Negate, op: p.Op, done: p.Done}
	if len(p.Operands) == 0 || c.keyedRows == 0 {
		return l, false
	}
	if p.Op == Suffix || p.Op == Substring {
		l.scan = p.Operands
		l.size = c.keyedRows
		return l, true
	}
	for _, operand := range p.Operands {
		if r := c.dict.lookup(p.Op, operand); r.low < r.high {
			l.ranges = append(l.ranges, r)
		}
	}
	l.normalise()
	return l, p.Negate || l.size > 0
}

func (d *dictionary) lookup(op Op, operand string) codeRange {
	switch op {
	case Equal:
		return d.equal(operand)
	case Less:
		return codeRange{0, d.lowerBound(operand, false)}
	case LessEqual:
		return codeRange{0, d.lowerBound(operand, true)}
	case Greater:
		return codeRange{d.lowerBound(operand, true), d.keyed}
	case GreaterEqual:
		return codeRange{d.lowerBound(operand, false), d.keyed}
	case Prefix:
		return d.prefix(operand)
	}
	return codeRange{}
}

// normalise sorts and joins the ranges and counts what they match.
func (l *leaf) normalise() {
	if len(l.ranges) > 1 {
		slices.SortFunc(l.ranges, func(a, b codeRange) int { return cmp.Compare(a.low, b.low) })
	}
	kept := l.ranges[:0]
	for _, r := range l.ranges {
		if n := len(kept); n > 0 && r.low <= kept[n-1].high {
			kept[n-1].high = max(kept[n-1].high, r.high)
			continue
		}
		kept = append(kept, r)
	}
	l.ranges = kept
	l.size = 0
	for _, r := range kept {
		low, high := l.column.denseIn(r)
		l.size += int(l.column.offsets[r.high]-l.column.offsets[r.low]) + l.column.denseSums[high] - l.column.denseSums[low]
	}
}

// work turns a scan into ranges by trying every text of the dictionary once.
func (l *leaf) work() {
	if l.scan == nil {
		return
	}
	d := &l.column.dict
	for code := range d.keyed {
		if !l.matchText(d.text(code)) {
			continue
		}
		if n := len(l.ranges); n > 0 && l.ranges[n-1].high == code {
			l.ranges[n-1].high++
		} else {
			l.ranges = append(l.ranges, codeRange{code, code + 1})
		}
	}
	l.scan = nil
	l.normalise()
}

// manyOperands is how many texts are looked for without a look at who still waits. A request may bring hundreds of thousands,
// and a column may have as many texts.
const manyOperands = 64

func (l *leaf) matchText(text string) bool {
	if len(l.scan) > manyOperands {
		select {
		case <-l.done:
			return false
		default:
		}
	}
	for _, operand := range l.scan {
		if l.op == Suffix && strings.HasSuffix(text, operand) || l.op == Substring && strings.Contains(text, operand) {
			return true
		}
	}
	return false
}

// candidates lists the ordinals that match a positive leaf, ascending and each once. The list may belong to the segment.
func (l *leaf) candidates(span Ordinal) []Ordinal {
	if len(l.ranges) == 1 && l.ranges[0].high-l.ranges[0].low == 1 {
		if list := l.column.postings(l.ranges[0].low); list != nil {
			return list
		}
	}
	if int(span)/64 < l.size*8 {
		return l.set(span).Ordinals()
	}
	out := make([]Ordinal, 0, l.size)
	for _, r := range l.ranges {
		out = append(out, l.column.list[l.column.offsets[r.low]:l.column.offsets[r.high]]...)
		low, high := l.column.denseIn(r)
		for _, d := range l.column.dense[low:high] {
			out = d.set.AppendTo(out)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// set is the set of ordinals that match, before negation.
func (l *leaf) set(span Ordinal) *Set {
	l.work()
	if len(l.ranges) == 1 && l.ranges[0].high-l.ranges[0].low == 1 {
		code := l.ranges[0].low
		if list := l.column.postings(code); list != nil {
			return newList(list)
		}
		low, _ := l.column.denseIn(l.ranges[0])
		return l.column.dense[low].set
	}
	words := make([]uint64, (span+63)/64)
	for _, r := range l.ranges {
		markAll(words, l.column.list[l.column.offsets[r.low]:l.column.offsets[r.high]])
		low, high := l.column.denseIn(r)
		for _, d := range l.column.dense[low:high] {
			d.set.mark(words)
		}
	}
	return newWords(words)
}

// combine intersects leaf by leaf, starting with among, rows of s (nil = every row).
func (s *segment) combine(leaves []leaf, among *Set, span Ordinal) *Set {
	found := among
	for i := range leaves {
		l := &leaves[i]
		if found != nil && (found.words == nil || found.size*listShare <= int(span)) {
			return s.filter(found.Ordinals(), leaves[i:], nil)
		}
		set := l.set(span)
		switch {
		case l.negate:
			if found == nil {
				found = s.all()
			}
			if l.column.keyed != nil {
				found = Intersect(found, l.column.keyed)
			}
			found = Subtract(found, set)
		case found == nil:
			found = set
		default:
			found = Intersect(found, set)
		}
		if found.Len() == 0 {
			return emptySet
		}
	}
	if found == nil {
		return s.all()
	}
	return found
}

// filter keeps the candidates (rows of s, ascending) for which all leaves hold and that lie in among, if that is not nil.
func (s *segment) filter(candidates []Ordinal, leaves []leaf, among *Set) *Set {
	if among != nil {
		candidates = newList(candidates).restrict(among, true).list
	}
	var kept []Ordinal
	for i := range leaves {
		if len(candidates) == 0 {
			return emptySet
		}
		l := &leaves[i]
		if l.scan != nil && len(candidates) >= l.column.dict.len() {
			l.work()
		}
		if kept == nil {
			kept = make([]Ordinal, 0, min(len(candidates), 256)) // often few are kept
		}
		candidates = l.keep(s, candidates, kept[:0])
		kept = candidates
	}
	if len(candidates) == 0 {
		return emptySet
	}
	return newList(candidates)
}

// keep appends to out the ordinals of list whose rows the leaf accepts. out may be the beginning of list.
func (l *leaf) keep(s *segment, list, out []Ordinal) []Ordinal {
	c := l.column
	if s.ordinals != nil || c.starts != nil || l.scan != nil || c.codes.w32 != nil && (l.negate || len(l.ranges) != 1) {
		for _, o := range list {
			if row, _ := s.row(o); l.match(row) {
				out = append(out, o)
			}
		}
		return out
	}
	switch {
	case c.codes.w8 != nil:
		return keepCodes(c.codes.w8, s.base, l.accepted(), list, out)
	case c.codes.w16 != nil && (l.negate || len(l.ranges) != 1):
		return keepCodes(c.codes.w16, s.base, l.accepted(), list, out)
	case c.codes.w16 != nil:
		return keepRange(c.codes.w16, s.base, l.ranges[0], list, out)
	}
	return keepRange(c.codes.w32, s.base, l.ranges[0], list, out)
}

// accepted tells for every stored code (0 = no value, else code+1) whether the leaf accepts a row with it.
func (l *leaf) accepted() []bool {
	out := make([]bool, l.column.dict.len()+1)
	if l.negate {
		for i := uint32(1); i <= l.column.dict.keyed; i++ {
			out[i] = true
		}
	}
	for _, r := range l.ranges {
		for code := r.low; code < r.high; code++ {
			out[code+1] = !l.negate
		}
	}
	return out
}

func keepCodes[C uint8 | uint16](codes []C, base Ordinal, accepted []bool, list, out []Ordinal) []Ordinal {
	for _, o := range list {
		if accepted[codes[o-base]] {
			out = append(roomy(out, list), o)
		}
	}
	return out
}

func keepRange[C uint16 | uint32](codes []C, base Ordinal, r codeRange, list, out []Ordinal) []Ordinal {
	low, width := r.low+1, r.high-r.low
	for _, o := range list {
		if uint32(codes[o-base])-low < width {
			out = append(roomy(out, list), o)
		}
	}
	return out
}

// roomy gives a full out, of which much is kept then, room for all of list at once.
func roomy(out, list []Ordinal) []Ordinal {
	if len(out) < cap(out) {
		return out
	}
	return slices.Grow(out, len(list))
}

// match judges one row by its codes.
func (l *leaf) match(row int) bool {
	present, hit := false, false
	for i, end := l.column.span(row); i < end && !hit; i++ {
		code := l.column.codes.at(i)
		if code == 0 || code > l.column.dict.keyed {
			continue
		}
		present = true
		if l.scan != nil {
			hit = l.matchText(l.column.dict.text(code - 1))
		} else {
			hit = inRanges(l.ranges, code-1)
		}
	}
	return present && hit != l.negate
}
