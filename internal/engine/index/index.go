// Package index is an attribute index over records: it finds all records whose values satisfy predicates without looking
// at the others. It knows nothing of policies.
//
// Start at Table. Every record has an Ordinal, given at first insertion and kept until it is removed, so that ascending
// ordinals are the order of the catalogue. A Table is a short list of parts, each an immutable segment with the ordinals
// it still answers for. A segment keeps, for every column, a sorted dictionary of the values, for every value the
// ordinals that carry it (a slice of a shared list when they are few, a bit set when they are many), and for
// every record the codes of its values. A change adds a small part; parts of similar size are merged, so that the work
// is in proportion to the change and the number of parts stays logarithmic.
//
// Tables never change: Next returns a new one that shares what did not change. All methods may be called concurrently.
package index

import (
	"cmp"
	"slices"
)

// Ordinal numbers a record of a table, ascending in the order of first insertion.
type Ordinal = uint32

// Column describes one attribute of a table. Key gives the text's sort key when values are not compared as texts:
// keys compare as byte strings, equal keys mean equal values, and ok is false for a text that has none (it never
// matches anything). A nil Key means that the text is the key.
type Column struct {
	Name string
	Key  func(text string) (key string, ok bool)
}

// Row is a record: its values by column, and bytes kept for the caller. Values[0] is the record's own key: exactly one
// text, unique in the table. No column may list a text twice.
type Row struct {
	Values [][]string
	Blob   []byte
}

// Op is how a predicate compares a value of the column with its operands.
type Op uint8

// The operators.
const (
	Equal Op = iota + 1 // the keys are equal
	Less                // the value's key is less than the operand's, and so on
	LessEqual
	Greater
	GreaterEqual
	Prefix    // the value's text starts with the operand
	Suffix    // … ends with it
	Substring // … contains it
)

// Predicate holds for a record when one of its values of the column compares true with one of the operands or, with
// Negate, when it has a value with a key and none compares true. Operands are keys for Equal and the orders, texts for
// the others. Without operands a predicate never holds.
type Predicate struct {
	Column   int
	Op       Op
	Negate   bool
	Operands []string
	// Done, once it is closed, ends a search for very many texts; what is found is then of no account. nil = never
	Done <-chan struct{}
}

// Table is an immutable set of records.
type Table struct {
	line    *line
	columns []Column
	parts   []part // oldest first
	next    Ordinal
	count   int
}

// part is a segment with the ordinals it still answers for.
type part struct {
	seg   *segment
	live  *Set // nil = every row
	count int
}

// New is an empty table. The first column is the records' key.
func New(columns []Column) *Table { return &Table{line: &line{}, columns: columns} }

// Columns are the table's columns.
func (t *Table) Columns() []Column { return t.columns }

// Len is the number of records.
func (t *Table) Len() int { return t.count }

// HasLists reports whether some record has, or had until lately, several values of a column.
func (t *Table) HasLists(column int) bool {
	return slices.ContainsFunc(t.parts, func(p part) bool { return p.seg.columns[column].starts != nil })
}

// All is the set of all ordinals.
func (t *Table) All() *Set { return t.Select(nil, nil) }

// Find gives the ordinal of the record with a key.
func (t *Table) Find(key string) (Ordinal, bool) {
	for i := len(t.parts) - 1; i >= 0; i-- {
		p := &t.parts[i]
		code, ok := p.seg.columns[0].dict.find(key)
		if !ok {
			continue
		}
		o := p.seg.columns[0].first(code)
		if p.live == nil || p.live.Contains(o) {
			return o, true
		}
	}
	return 0, false
}

// Record is a reader of one record.
type Record struct {
	seg *segment
	row int
}

// Record gives access to the record with an ordinal that the table holds.
func (t *Table) Record(o Ordinal) Record {
	if len(t.parts) == 1 && t.parts[0].seg.ordinals == nil {
		return Record{seg: t.parts[0].seg, row: int(o - t.parts[0].seg.base)}
	}
	for i := len(t.parts) - 1; i >= 0; i-- {
		p := &t.parts[i]
		if row, ok := p.seg.row(o); ok && (p.live == nil || p.live.Contains(o)) {
			return Record{seg: p.seg, row: row}
		}
	}
	return Record{}
}

// Values appends the record's values of a column to dst, in the order in which they were given.
func (r Record) Values(dst []string, column int) []string {
	c := &r.seg.columns[column]
	for i, end := c.span(r.row); i < end; i++ {
		if code := c.codes.at(i); code > 0 {
			dst = append(dst, c.dict.text(code-1))
		}
	}
	return dst
}

// Batch is how many records are best read together.
const Batch = 64

const (
	cacheLine = 64             // how many bytes a processor reads of the memory at once
	fetched   = 16 * cacheLine // how much of a text is fetched at most: a batch of them must not drive itself out again
)

// Keys appends the keys of records that the table holds, in the order of ordinals. Records and their keys may lie far apart:
// each step towards a key is taken for a batch of records before the next step, so that the waits for memory overlap.
func (t *Table) Keys(dst []string, ordinals []Ordinal) []string {
	var found [Batch]struct {
		dict *dictionary
		code uint32
	}
	for batch := range slices.Chunk(ordinals, Batch) {
		start := len(dst)
		for i, o := range batch {
			r := t.Record(o)
			c := &r.seg.columns[0]
			found[i].dict, found[i].code = &c.dict, c.codes.at(r.row)-1
		}
		for _, f := range found[:len(batch)] {
			dst = append(dst, f.dict.text(f.code))
		}
		touch(dst[start:])
	}
	return dst
}

// Fetch brings the blobs of records near that are about to be read one after another, like Keys.
func Fetch(records []Record) {
	var found [Batch][]byte
	for batch := range slices.Chunk(records, Batch) {
		for i, r := range batch {
			found[i] = r.Blob()
		}
		touch(found[:len(batch)])
	}
}

// touch reads a byte of every line of memory that texts begin in. It has a result so that no compiler leaves that out.
//
//go:noinline
func touch[T string | []byte](texts []T) (all byte) {
	for _, t := range texts {
		for i := 0; i < min(len(t), fetched); i += cacheLine {
			all |= t[i]
		}
	}
	return all
}

// Has reports whether the record has a value of a column.
func (r Record) Has(column int) bool {
	c := &r.seg.columns[column]
	if c.dict.len() == 0 {
		return false // without looking where the record is kept
	}
	start, end := c.span(r.row)
	return start < end && c.codes.at(start) > 0
}

// Blob is the bytes kept with the record. They must not be changed.
func (r Record) Blob() []byte { return r.seg.blobs.at(r.row) }

func (p *part) ordinals() *Set {
	if p.live != nil {
		return p.live
	}
	return p.seg.all()
}

// codeRange is a half-open range of dictionary codes.
type codeRange struct{ low, high uint32 }

func inRanges(ranges []codeRange, code uint32) bool {
	if len(ranges) <= 8 {
		for _, r := range ranges {
			if code >= r.low && code < r.high {
				return true
			}
		}
		return false
	}
	i, found := slices.BinarySearchFunc(ranges, code, func(r codeRange, c uint32) int { return cmp.Compare(r.low, c) })
	return found || i > 0 && code < ranges[i-1].high
}
