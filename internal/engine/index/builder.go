package index

import (
	"cmp"
	"maps"
	"slices"
	"sync"
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
	if len(order) < len(b.ordinals) {
		return b.without(order).segment()
	}
	s := &segment{rows: len(order), blobs: b.blobs, columns: make([]column, len(b.columns))}
	if len(order) > 0 {
		s.setOrdinals(b.ordinals, order)
	}
	if !slices.IsSorted(order) {
		s.blobs = blobs{}
		for _, row := range order {
			s.blobs.append(b.blobs.at(int(row)))
		}
	}
	var columns sync.WaitGroup
	for i := range b.columns {
		finish := func() {
			b.columns[i].intern = nil // no longer needed: frees the largest part of the builder early
			s.columns[i] = b.columns[i].build(s, order, b.defs[i])
			b.columns[i] = columnBuilder{}
		}
		if len(order) < manyRows {
			finish()
		} else {
			columns.Go(finish) // columns have nothing to do with each other
		}
	}
	columns.Wait()
	return s
}

// manyRows is the number of rows from which columns are built side by side.
const manyRows = 50_000

// without is a builder of the rows to keep only: a dictionary must not hold a text that no row has.
func (b *builder) without(order []uint32) *builder {
	out := newBuilder(b.defs)
	row := Row{Values: make([][]string, len(b.columns))}
	for _, from := range order {
		for i := range b.columns {
			c := &b.columns[i]
			row.Values[i] = row.Values[i][:0]
			for _, place := range c.row(from) {
				row.Values[i] = append(row.Values[i], c.texts[place])
			}
		}
		row.Blob = b.blobs.at(int(from))
		out.add(b.ordinals[from], row)
	}
	return out
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
	span := Ordinal(0)
	if s.rows > 0 {
		span = s.ordinal(s.rows-1) + 1
	}
	c.offsets = make([]uint32, n+1)
	c.denseSums = []int{0}
	words := map[uint32][]uint64{}
	total := uint32(0)
	for code := range uint32(n) {
		c.offsets[code] = total
		if isFew(int(counts[code]), span) {
			total += counts[code]
			continue
		}
		words[code] = make([]uint64, (span+63)/64)
		c.denseSums = append(c.denseSums, c.denseSums[len(c.denseSums)-1]+int(counts[code]))
	}
	c.offsets[n] = total
	c.list = make([]Ordinal, total)
	next := slices.Clone(c.offsets)
	keyed := make([]uint64, (span+63)/64)
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
			if w := words[code]; w != nil {
				w[o>>6] |= 1 << (o & 63)
			} else {
				c.list[next[code]] = o
				next[code]++
			}
		}
		if has {
			c.keyedRows++
			keyed[o>>6] |= 1 << (o & 63)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(words)) {
		c.dense = append(c.dense, densePosting{code, &Set{words: words[code], size: int(counts[code])}})
	}
	if c.keyedRows < s.rows {
		c.keyed = newWords(keyed)
	}
}
