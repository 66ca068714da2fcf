package index

import (
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
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
	// Ordinals by code: a code's own slice of list, or a bitmap when there are many.
	offsets   []uint32 // of list, by code, one more than codes
	list      []Ordinal
	heavy     []uint32 // codes with bitmaps, ascending
	bitmaps   []*roaring.Bitmap
	heavySums []int           // number of ordinals in bitmaps before each, one more than heavy
	keyed     *roaring.Bitmap // ordinals that have a value with a key; nil = all
	keyedRows int
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

func (s *segment) ordinalSet() *roaring.Bitmap {
	b := roaring.New()
	if s.ordinals == nil {
		b.AddRange(uint64(s.base), uint64(s.base)+uint64(s.rows))
	} else {
		b.AddMany(s.ordinals)
	}
	return b
}

// span is the range of a row's values in codes. For a column with at most one value a row it may hold a 0.
func (c *column) span(row int) (start, end int) {
	if c.starts == nil {
		return row, row + 1
	}
	return int(c.starts[row]), int(c.starts[row+1])
}

// first is the smallest ordinal that carries a code.
func (c *column) first(code uint32) Ordinal {
	if i, found := slices.BinarySearch(c.heavy, code); found {
		return c.bitmaps[i].Minimum()
	}
	return c.list[c.offsets[code]]
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
