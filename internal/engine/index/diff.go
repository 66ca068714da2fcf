package index

import (
	"bytes"
	"slices"
)

// line marks the tables that come from one another by Next. In a line an ordinal never stands for two keys.
type line struct{ _ byte }

// SameLine reports whether the ordinals of two tables with the same columns mean the same records.
func (t *Table) SameLine(other *Table) bool { return t.line == other.line }

// Holds reports whether the table has a record with an ordinal.
func (t *Table) Holds(o Ordinal) bool {
	for i := range t.parts {
		p := &t.parts[i]
		if p.live != nil {
			if p.live.Contains(o) {
				return true
			}
		} else if _, ok := p.seg.row(o); ok {
			return true
		}
	}
	return false
}

// Differ gives the ordinals of a whose records b does not hold as they are, and the other way round, for two tables of
// one line with the same columns. The work is in proportion to the parts that the tables do not share.
func Differ(a, b *Table) (onlyA, onlyB *Set) {
	onlyA, onlyB = apart(a, b), apart(b, a)
	var same []Ordinal // moved to another part, as when parts are merged
	var scratch [2][]string
	for _, o := range Intersect(onlyA, onlyB).Ordinals() {
		if sameRecord(a.Record(o), b.Record(o), len(a.columns), &scratch) {
			same = append(same, o)
		}
	}
	moved := newOrdinals(same)
	return Subtract(onlyA, moved), Subtract(onlyB, moved)
}

// apart is the set of a's ordinals that b does not have in the same segment.
func apart(a, b *Table) *Set {
	var out []*Set
	for i := range a.parts {
		p := &a.parts[i]
		at := slices.IndexFunc(b.parts, func(q part) bool { return q.seg == p.seg })
		switch {
		case at < 0:
			out = append(out, p.ordinals())
		case b.parts[at].live != p.live:
			out = append(out, Subtract(p.ordinals(), b.parts[at].ordinals()))
		}
	}
	return Union(out...)
}

func sameRecord(a, b Record, columns int, scratch *[2][]string) bool {
	if !bytes.Equal(a.Blob(), b.Blob()) {
		return false
	}
	for c := range columns {
		scratch[0], scratch[1] = a.Values(scratch[0][:0], c), b.Values(scratch[1][:0], c)
		if !slices.Equal(scratch[0], scratch[1]) {
			return false
		}
	}
	return true
}

// Beyond estimates the bytes of t that other does not share.
func (t *Table) Beyond(other *Table) int {
	n := 0
	for i := range t.parts {
		p := &t.parts[i]
		at := slices.IndexFunc(other.parts, func(q part) bool { return q.seg == p.seg })
		if at < 0 {
			n += p.seg.bytes()
		}
		if p.live != nil && (at < 0 || other.parts[at].live != p.live) {
			n += len(p.live.words)*8 + len(p.live.list)*4
		}
	}
	return n
}

// bytes estimates the memory of a segment.
func (s *segment) bytes() int {
	n := 256 + len(s.ordinals)*4 + len(s.blobs.ends)*4
	for _, chunk := range s.blobs.chunks {
		n += cap(chunk)
	}
	for i := range s.columns {
		c := &s.columns[i]
		n += 512 + len(c.dict.data) + len(c.dict.ends)*4 + len(c.dict.fences)*32 + len(c.offsets)*4 + len(c.list)*4 + len(c.starts)*4 +
			len(c.codes.w8) + len(c.codes.w16)*2 + len(c.codes.w32)*4
		for _, d := range c.dense {
			n += len(d.set.words) * 8
		}
		if c.keyed != nil {
			n += len(c.keyed.words)*8 + len(c.keyed.list)*4
		}
	}
	return n
}
