package index

import (
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
)

// Select finds the records, among those of within when it is not nil, for which all predicates hold. Without predicates
// it is every record. The result is the caller's; within is not changed.
func (t *Table) Select(predicates []Predicate, within *roaring.Bitmap) *roaring.Bitmap {
	out := roaring.New()
	for i := range t.parts {
		p := &t.parts[i]
		among := within
		if within != nil && len(t.parts) > 1 {
			if among = roaring.And(within, p.ordinals()); among.IsEmpty() {
				continue
			}
		}
		found := p.seg.selectAll(predicates, among)
		if p.live != nil {
			found.And(p.live)
		}
		if len(t.parts) == 1 {
			return found
		}
		out.Or(found)
	}
	return out
}

// fewRows is the number of candidates below which judging each by its codes is cheaper than building bitmaps.
const fewRows = 4096

// leaf is a predicate resolved against a segment.
type leaf struct {
	column *column
	negate bool
	ranges []codeRange // ascending, disjoint
	scan   []string    // operands of Suffix and Substring, while ranges are not worked out
	op     Op
	size   int // upper bound of the ordinals that match, before Negate
	light  int // those of them that are kept in lists
}

// selectAll intersects the predicates, cheapest first: candidates come from among, or from the most selective positive
// predicate, and as soon as they are few every other one is judged on their codes alone. All of among are rows of s.
func (s *segment) selectAll(predicates []Predicate, among *roaring.Bitmap) *roaring.Bitmap {
	leaves := make([]leaf, 0, 8)
	for i := range predicates {
		l, possible := s.resolve(&predicates[i])
		if !possible {
			return roaring.New()
		}
		leaves = append(leaves, l)
	}
	slices.SortStableFunc(leaves, func(a, b leaf) int { return a.rank(s.rows) - b.rank(s.rows) })
	found := among
	if among != nil {
		if among.GetCardinality() <= fewRows {
			return s.filter(among.ToArray(), leaves)
		}
		found = among.Clone()
	}
	for i := range leaves {
		l := &leaves[i]
		switch {
		case found == nil && !l.negate && l.scan == nil && l.size <= fewRows:
			return s.filter(l.candidates(), leaves[i+1:])
		case found == nil:
			found = l.start(s)
		case l.cost() > int(found.GetCardinality()):
			found = s.filter(found.ToArray(), leaves[i:i+1])
		default:
			l.intersect(found)
		}
		if found.IsEmpty() {
			return found
		}
		if rest := leaves[i+1:]; len(rest) > 0 && found.GetCardinality() <= fewRows {
			return s.filter(found.ToArray(), rest)
		}
	}
	if found == nil {
		return s.ordinalSet()
	}
	return found
}

// cost is the number of values that must be handled one by one to make the leaf's bitmap.
func (l *leaf) cost() int {
	if l.scan != nil {
		return l.column.dict.len()
	}
	return l.light
}

// rank orders leaves: positive ones by the ordinals they match, those that need a scan after them, then negative ones.
func (l *leaf) rank(rows int) int {
	switch {
	case l.negate && l.scan != nil:
		return rows + 3
	case l.negate:
		return rows + 2
	case l.scan != nil:
		return rows + 1
	}
	return min(l.size, rows)
}

// resolve looks the operands up. possible is false when no record can satisfy the predicate.
func (s *segment) resolve(p *Predicate) (leaf, bool) {
	c := &s.columns[p.Column]
	l := leaf{column: c, negate: p.Negate, op: p.Op}
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
	slices.SortFunc(l.ranges, func(a, b codeRange) int { return int(a.low) - int(b.low) })
	kept := l.ranges[:0]
	for _, r := range l.ranges {
		if n := len(kept); n > 0 && r.low <= kept[n-1].high {
			kept[n-1].high = max(kept[n-1].high, r.high)
			continue
		}
		kept = append(kept, r)
	}
	l.ranges = kept
	l.size, l.light = 0, 0
	for _, r := range kept {
		low, high := l.column.heavyIn(r)
		l.light += int(l.column.offsets[r.high] - l.column.offsets[r.low])
		l.size += l.column.heavySums[high] - l.column.heavySums[low]
	}
	l.size += l.light
}

func (c *column) heavyIn(r codeRange) (low, high int) {
	low, _ = slices.BinarySearch(c.heavy, r.low)
	high, _ = slices.BinarySearch(c.heavy, r.high)
	return low, high
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

func (l *leaf) matchText(text string) bool {
	for _, operand := range l.scan {
		if l.op == Suffix && strings.HasSuffix(text, operand) || l.op == Substring && strings.Contains(text, operand) {
			return true
		}
	}
	return false
}

// candidates lists the ordinals that match a small positive leaf, ascending and each once.
func (l *leaf) candidates() []Ordinal {
	out := make([]Ordinal, 0, l.size)
	for _, r := range l.ranges {
		out = append(out, l.column.list[l.column.offsets[r.low]:l.column.offsets[r.high]]...)
		low, high := l.column.heavyIn(r)
		for _, b := range l.column.bitmaps[low:high] {
			out = append(out, b.ToArray()...)
		}
	}
	if len(l.ranges) == 1 && l.ranges[0].high-l.ranges[0].low == 1 {
		return out
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// bitmap is the set of ordinals that match, before negation. It must not be changed: shared says whether it belongs to
// the segment.
func (l *leaf) bitmap() (b *roaring.Bitmap, shared bool) {
	l.work()
	var heavies []*roaring.Bitmap
	for _, r := range l.ranges {
		low, high := l.column.heavyIn(r)
		heavies = append(heavies, l.column.bitmaps[low:high]...)
	}
	light := l.lightList()
	if len(light) == 0 && len(heavies) == 1 {
		return heavies[0], true
	}
	b = l.column.set(light)
	if len(heavies) > 0 {
		b.Or(roaring.FastOr(heavies...))
	}
	return b, false
}

// lightList gathers the ordinals kept in lists, in no particular order.
func (l *leaf) lightList() []Ordinal {
	if len(l.ranges) == 1 {
		r := l.ranges[0]
		return l.column.list[l.column.offsets[r.low]:l.column.offsets[r.high]]
	}
	out := make([]Ordinal, 0, l.light)
	for _, r := range l.ranges {
		out = append(out, l.column.list[l.column.offsets[r.low]:l.column.offsets[r.high]]...)
	}
	return out
}

// set makes a bitmap of ordinals in any order. Many are first marked in a plain bit set, which needs no order.
func (c *column) set(list []Ordinal) *roaring.Bitmap {
	if len(list) < fewRows {
		b := roaring.New()
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		b.AddMany(sorted)
		return b
	}
	high := slices.Max(list)
	dense := make([]uint64, high>>6+1)
	for _, o := range list {
		dense[o>>6] |= 1 << (o & 63)
	}
	return roaring.FromDense(dense, false)
}

// start makes the first set of a selection.
func (l *leaf) start(s *segment) *roaring.Bitmap {
	b, shared := l.bitmap()
	if l.negate {
		if l.column.keyed == nil {
			return roaring.AndNot(s.ordinalSet(), b)
		}
		return roaring.AndNot(l.column.keyed, b)
	}
	if shared {
		return b.Clone()
	}
	return b
}

// intersect narrows found, which the selection owns.
func (l *leaf) intersect(found *roaring.Bitmap) {
	b, _ := l.bitmap()
	if !l.negate {
		found.And(b)
		return
	}
	if l.column.keyed != nil {
		found.And(l.column.keyed)
	}
	found.AndNot(b)
}

// filter keeps the candidates (ascending) for which all leaves hold.
func (s *segment) filter(candidates []Ordinal, leaves []leaf) *roaring.Bitmap {
	kept := candidates[:0]
	for i := range leaves {
		if l := &leaves[i]; l.scan != nil && len(candidates) >= l.column.dict.len() {
			l.work()
		}
	}
next:
	for _, o := range candidates {
		row, _ := s.row(o)
		for i := range leaves {
			if !leaves[i].match(row) {
				continue next
			}
		}
		kept = append(kept, o)
	}
	out := roaring.New()
	out.AddMany(kept)
	return out
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
