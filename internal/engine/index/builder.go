package index

import (
	"cmp"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// builder collects rows and makes a segment of them.
type builder struct {
	defs     []Column
	ordinals []Ordinal
	columns  []columnBuilder
	blobs    blobs
}

type columnBuilder struct {
	intern map[string]uint32 // text -> its place in texts
	texts  []string
	starts []uint32 // of each row in values
	values []uint32 // places
	multi  bool
}

func newBuilder(defs []Column) *builder {
	b := &builder{defs: defs, columns: make([]columnBuilder, len(defs))}
	for i := range b.columns {
		b.columns[i].intern = map[string]uint32{}
	}
	return b
}

// known gives the ordinal under which a key was added before.
func (b *builder) known(key string) (Ordinal, bool) {
	c := &b.columns[0]
	place, ok := c.intern[key]
	if !ok {
		return 0, false
	}
	for row := len(b.ordinals) - 1; row >= 0; row-- {
		if c.values[c.starts[row]] == place {
			return b.ordinals[row], true
		}
	}
	return 0, false
}

func (b *builder) add(o Ordinal, row Row) {
	b.ordinals = append(b.ordinals, o)
	for i := range b.columns {
		c := &b.columns[i]
		c.starts = append(c.starts, uint32(len(c.values)))
		if i >= len(row.Values) {
			continue
		}
		for _, text := range row.Values[i] {
			place, ok := c.intern[text]
			if !ok {
				place = uint32(len(c.texts))
				c.intern[text] = place
				c.texts = append(c.texts, text)
			}
			c.values = append(c.values, place)
		}
		c.multi = c.multi || len(row.Values[i]) > 1
	}
	b.blobs.append(row.Blob)
}

// segment finishes the builder. Of rows with equal ordinals the last one counts.
func (b *builder) segment() *segment {
	order := b.order()
	s := &segment{rows: len(order), blobs: b.blobs, columns: make([]column, len(b.columns))}
	if len(order) > 0 {
		s.setOrdinals(b.ordinals, order)
	}
	if len(order) != len(b.ordinals) || !slices.IsSorted(order) {
		s.blobs = blobs{}
		for _, row := range order {
			s.blobs.append(b.blobs.at(int(row)))
		}
	}
	for i := range b.columns {
		b.columns[i].intern = nil // no longer needed: frees the largest part of the builder early
		s.columns[i] = b.columns[i].build(s, order, b.defs[i])
		b.columns[i] = columnBuilder{}
	}
	return s
}

// order lists the rows to keep by ordinal.
func (b *builder) order() []uint32 {
	order := make([]uint32, len(b.ordinals))
	for i := range order {
		order[i] = uint32(i)
	}
	byOrdinal := func(x, y uint32) int { return cmp.Compare(b.ordinals[x], b.ordinals[y]) }
	slices.SortStableFunc(order, byOrdinal)
	kept := order[:0]
	for i, row := range order {
		if i+1 == len(order) || b.ordinals[order[i+1]] != b.ordinals[row] {
			kept = append(kept, row)
		}
	}
	return kept
}

func (s *segment) setOrdinals(ordinals []Ordinal, order []uint32) {
	s.base = ordinals[order[0]]
	if int(ordinals[order[len(order)-1]]-s.base) == len(order)-1 {
		return
	}
	s.ordinals = make([]Ordinal, len(order))
	for i, row := range order {
		s.ordinals[i] = ordinals[row]
	}
}

func (cb *columnBuilder) row(row uint32) []uint32 {
	end := len(cb.values)
	if int(row)+1 < len(cb.starts) {
		end = int(cb.starts[row+1])
	}
	return cb.values[cb.starts[row]:end]
}

func (cb *columnBuilder) build(s *segment, order []uint32, def Column) column {
	dict, codeOf := newDictionary(cb.texts, def.Key)
	c := column{dict: dict}
	n := len(order)
	if cb.multi {
		c.starts = make([]uint32, len(order)+1)
		n = 0
		for i, row := range order {
			c.starts[i] = uint32(n)
			n += len(cb.row(row))
		}
		c.starts[len(order)] = uint32(n)
	}
	c.codes = newCodes(n, uint32(dict.len()))
	counts := make([]uint32, dict.len()+1)
	next := 0
	for i, row := range order {
		if !cb.multi {
			next = i
		}
		for _, place := range cb.row(row) {
			code := codeOf[place]
			c.codes.set(next, code+1)
			counts[code]++
			next++
		}
	}
	c.post(s, counts)
	return c
}

// post fills the ordinals by code.
func (c *column) post(s *segment, counts []uint32) {
	n := c.dict.len()
	blocks := 1 + int(s.ordinal(max(s.rows-1, 0))-s.ordinal0())>>16
	threshold := uint32(max(256, 32*blocks))
	c.offsets = make([]uint32, n+1)
	c.heavySums = []int{0}
	light := uint32(0)
	for code := range n {
		c.offsets[code] = light
		if counts[code] < threshold {
			light += counts[code]
		} else {
			c.heavy = append(c.heavy, uint32(code))
			c.heavySums = append(c.heavySums, c.heavySums[len(c.heavySums)-1]+int(counts[code]))
		}
	}
	c.offsets[n] = light
	c.list = make([]Ordinal, light)
	next := slices.Clone(c.offsets)
	heavyAt := map[uint32]int{}
	c.bitmaps = make([]*roaring.Bitmap, len(c.heavy))
	pending := make([][]Ordinal, len(c.heavy))
	for i, code := range c.heavy {
		heavyAt[code] = i
		c.bitmaps[i] = roaring.New()
		pending[i] = make([]Ordinal, 0, 1024)
	}
	keyed := roaring.New()
	keyedPending := make([]Ordinal, 0, 4096)
	for row := range s.rows {
		o := s.ordinal(row)
		has := false
		for i, end := c.span(row); i < end; i++ {
			code := c.codes.at(i)
			if code == 0 {
				continue
			}
			code--
			has = has || code < c.dict.keyed
			if counts[code] < threshold {
				c.list[next[code]] = o
				next[code]++
				continue
			}
			at := heavyAt[code]
			if pending[at] = append(pending[at], o); len(pending[at]) == cap(pending[at]) {
				c.bitmaps[at].AddMany(pending[at])
				pending[at] = pending[at][:0]
			}
		}
		if has {
			c.keyedRows++
			if keyedPending = append(keyedPending, o); len(keyedPending) == cap(keyedPending) {
				keyed.AddMany(keyedPending)
				keyedPending = keyedPending[:0]
			}
		}
	}
	for i, b := range c.bitmaps {
		b.AddMany(pending[i])
		b.RunOptimize()
	}
	if c.keyedRows < s.rows {
		keyed.AddMany(keyedPending)
		keyed.RunOptimize()
		c.keyed = keyed
	}
}

func (s *segment) ordinal0() Ordinal {
	if s.rows == 0 {
		return s.base
	}
	return s.ordinal(0)
}
