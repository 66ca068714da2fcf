package index

import (
	"errors"
	"iter"
	"math"
	"slices"
)

// Change is one step from a table to the next: first Clear, then Removed, then Put. Put is read once; an error that it
// yields ends Next with that error.
type Change struct {
	Clear   bool
	Removed []string // keys; unknown ones are ignored
	Put     iter.Seq2[Row, error]
}

// mergeFactor is how many times larger than the newest part the one before it must be to be left alone. Every record is
// thus rebuilt at most log(records) times, and a table has at most about log8(records) parts.
const mergeFactor = 8

// ErrFull is returned when the ordinals of a table are used up (after four thousand million insertions).
var ErrFull = errors.New("index: no ordinal left, the table must be rebuilt")

// Next applies a change. A record put under a key that the table holds keeps its ordinal; one whose key was removed in
// the same change gets a new one, at the end.
func (t *Table) Next(c Change) (*Table, error) {
	next := &Table{line: t.line, columns: t.columns, next: t.next}
	if !c.Clear {
		next.parts = t.parts
		next.count = t.count
	}
	var gone []Ordinal
	for _, key := range c.Removed {
		if o, ok := next.Find(key); ok {
			gone = append(gone, o)
		}
	}
	slices.Sort(gone)
	fresh, replaced, err := next.build(c.Put, gone)
	if err != nil {
		return nil, err
	}
	gone = append(gone, replaced...)
	slices.Sort(gone)
	next.parts = without(next.parts, newOrdinals(slices.Compact(gone)))
	if fresh != nil && fresh.rows > 0 {
		next.parts = append(next.parts, part{seg: fresh, count: fresh.rows})
	}
	next.merge()
	next.count = 0
	for _, p := range next.parts {
		next.count += p.count
	}
	return next, nil
}

// build makes the segment of the rows put, and the set of ordinals that it takes over from older parts.
// gone are the ordinals that are free already, ascending.
func (t *Table) build(put iter.Seq2[Row, error], gone []Ordinal) (_ *segment, replaced []Ordinal, _ error) {
	if put == nil {
		return nil, nil, nil
	}
	b := newBuilder(t.columns)
	for row, err := range put {
		if err != nil {
			return nil, nil, err
		}
		key := row.Values[0][0]
		o, known := b.known(key)
		if !known {
			o, known = t.Find(key)
			if _, free := slices.BinarySearch(gone, o); known && free {
				known = false
			}
			if known {
				replaced = append(replaced, o)
			}
		}
		if !known {
			if t.next == math.MaxUint32 {
				return nil, nil, ErrFull
			}
			o = t.next
			t.next++
		}
		b.add(o, row)
	}
	return b.segment(), replaced, nil
}

// without takes the ordinals gone from all parts and drops the parts that are left empty. It copies what it changes.
func without(parts []part, gone *Set) []part {
	out := make([]part, 0, len(parts)+1)
	for _, p := range parts {
		if Intersect(gone, p.ordinals()).Len() == 0 {
			out = append(out, p)
			continue
		}
		if live := Subtract(p.ordinals(), gone); live.Len() > 0 {
			out = append(out, part{seg: p.seg, live: live, count: live.Len()})
		}
	}
	return out
}

// merge joins the newest parts while the one before them is not much larger, and rewrites a part most of whose rows
// are dead.
func (t *Table) merge() {
	for n := len(t.parts); n > 0; n = len(t.parts) {
		last := t.parts[n-1]
		switch {
		case n > 1 && t.parts[n-2].count < mergeFactor*last.count:
			t.parts = append(t.parts[:n-2:n-2], join(t.columns, t.parts[n-2:]))
		case last.count*2 < last.seg.rows:
			t.parts = append(t.parts[:n-1:n-1], join(t.columns, t.parts[n-1:]))
		default:
			return
		}
	}
}

// join makes one part of the live rows of several.
func join(columns []Column, parts []part) part {
	sets := make([]*Set, len(parts))
	for i := range parts {
		sets[i] = parts[i].ordinals()
	}
	all := Union(sets...)
	from := &Table{columns: columns, parts: parts}
	b := newBuilder(columns)
	row := Row{Values: make([][]string, len(columns))}
	for _, o := range all.Ordinals() {
		r := from.Record(o)
		for c := range columns {
			row.Values[c] = r.Values(row.Values[c][:0], c)
		}
		row.Blob = r.Blob()
		b.add(o, row)
	}
	return part{seg: b.segment(), count: all.Len()}
}
