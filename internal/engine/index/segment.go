package index

import (
	"math"
	"slices"
)

// segment is an immutable group of records with its own dictionaries.
type segment struct {
	rows     int
	base     Ordinal   // ordinal of row 0 when ordinals is nil
	ordinals []Ordinal // ascending; nil = base, base+1, …
	columns  []column
	blobs    blobs
}

// column is one attribute of a segment.
type column struct {
	dict   dictionary
	starts []uint32 // nil: at most one value a row; else the values of row r are codes starts[r] to starts[r+1]
	codes  codes    // code+1; 0 = no value
	// Ordinals by code: a code's own slice of list, or a bit set when there are many.
	offsets   []uint32 // of list, by code, one more than codes
	list      []Ordinal
	dense     []densePosting // ascending by code
	denseSums []int          // number of ordinals in dense before each, one more than dense
	keyed     *Set           // ordinals that have a value with a key; nil = all
	keyedRows int
}

// densePosting is the ordinals of a code that many rows have.
type densePosting struct {
	code uint32
	set  *Set
}

// row gives the row of an ordinal.
func (s *segment) row(o Ordinal) (int, bool) {
	if s.ordinals == nil {
		return int(o - s.base), o >= s.base && int(o-s.base) < s.rows
	}
	return slices.BinarySearch(s.ordinals, o)
}

func (s *segment) ordinal(row int) Ordinal {
	if s.ordinals == nil {
		return s.base + Ordinal(row)
	}
	return s.ordinals[row]
}

// all is the set of the segment's ordinals.
func (s *segment) all() *Set {
	if s.rows == 0 {
		return emptySet
	}
	if s.ordinals != nil {
		return newOrdinals(s.ordinals)
	}
	high := s.base + Ordinal(s.rows)
	words := make([]uint64, (high+63)/64)
	for o := s.base; o < high; {
		if o&63 == 0 && high-o >= 64 {
			words[o>>6] = math.MaxUint64
			o += 64
			continue
		}
		words[o>>6] |= 1 << (o & 63)
		o++
	}
	return newWords(words)
}

// newOrdinals makes a set of a sorted list in the form that suits it.
func newOrdinals(list []Ordinal) *Set {
	if len(list) == 0 {
		return emptySet
	}
	high := list[len(list)-1] + 1
	if isFew(len(list), high) {
		return newList(list)
	}
	words := make([]uint64, (high+63)/64)
	markAll(words, list)
	return newWords(words)
}

// span is the range of a row's values in codes. For a column with at most one value a row it may hold a 0.
func (c *column) span(row int) (start, end int) {
	if c.starts == nil {
		return row, row + 1
	}
	return int(c.starts[row]), int(c.starts[row+1])
}

// postings is the list of a code's ordinals, nil when they are a bit set. It must not be changed.
func (c *column) postings(code uint32) []Ordinal {
	low, high := c.offsets[code], c.offsets[code+1]
	if low == high {
		return nil
	}
	return c.list[low:high:high]
}

// denseIn is the range of dense whose codes lie in r.
func (c *column) denseIn(r codeRange) (low, high int) {
	byCode := func(d densePosting, code uint32) int { return int(d.code) - int(code) }
	low, _ = slices.BinarySearchFunc(c.dense, r.low, byCode)
	high, _ = slices.BinarySearchFunc(c.dense, r.high, byCode)
	return low, high
}

// first is the smallest ordinal that carries a code.
func (c *column) first(code uint32) Ordinal {
	if list := c.postings(code); list != nil {
		return list[0]
	}
	low, _ := c.denseIn(codeRange{code, code + 1})
	return c.dense[low].set.Ordinals()[0]
}

// codes is a list of small numbers in the narrowest form that holds them.
type codes struct {
	w8  []uint8
	w16 []uint16
	w32 []uint32
}

func newCodes(n int, highest uint32) codes {
	switch {
	case highest <= math.MaxUint8:
		return codes{w8: make([]uint8, n)}
	case highest <= math.MaxUint16:
		return codes{w16: make([]uint16, n)}
	}
	return codes{w32: make([]uint32, n)}
}

func (c *codes) at(i int) uint32 {
	switch {
	case c.w8 != nil:
		return uint32(c.w8[i])
	case c.w16 != nil:
		return uint32(c.w16[i])
	}
	return c.w32[i]
}

func (c *codes) set(i int, v uint32) {
	switch {
	case c.w8 != nil:
		c.w8[i] = uint8(v)
	case c.w16 != nil:
		c.w16[i] = uint16(v)
	default:
		c.w32[i] = v
	}
}

// blobs keeps byte strings by row in chunks of 1<<chunkBits.
type blobs struct {
	chunks [][]byte
	ends   []uint32
}

const chunkBits = 10

func (b *blobs) append(blob []byte) {
	row := len(b.ends)
	if row&(1<<chunkBits-1) == 0 {
		if n := len(b.chunks); n > 0 {
			b.chunks[n-1] = slices.Clip(slices.Clone(b.chunks[n-1]))
			b.chunks = append(b.chunks, make([]byte, 0, len(b.chunks[n-1])))
		} else {
			b.chunks = append(b.chunks, nil)
		}
	}
	last := len(b.chunks) - 1
	b.chunks[last] = append(b.chunks[last], blob...)
	b.ends = append(b.ends, uint32(len(b.chunks[last])))
}

func (b *blobs) at(row int) []byte {
	start := uint32(0)
	if row&(1<<chunkBits-1) != 0 {
		start = b.ends[row-1]
	}
	end := b.ends[row]
	return b.chunks[row>>chunkBits][start:end:end]
}
