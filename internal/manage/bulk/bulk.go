// Package bulk reads and writes many records at once: assets and identities as NDJSON and as CSV (management-api.md 19.1), row by
// row, and makes the record that a row asks for.
//
// Start at NewReader, Schema and NewWriter. Memory does not grow with the number of rows. What is wrong with one row is a *Fault,
// and the rows after it are still read; every other error ends the body. Where records are stored, and whether a key stands twice,
// is not known here: package manage does that.
package bulk

import (
	"fmt"
	"io"

	"github.com/ambit-authz/ambit/internal/model"
)

// Format of a bulk body.
type Format uint8

// The formats.
const (
	NDJSON Format = iota
	CSV
)

// Values of Options.Duplicates.
const (
	DuplicatesError = "error"
	DuplicatesLast  = "last"
	DuplicatesRows  = "rows" // CSV of identities
)

// Options are the query of a bulk call (management-api.md 19.1). The zero value has the defaults.
type Options struct {
	Format     Format
	Partial    bool     // mode=partial
	Merge      bool     // update=merge
	Prune      bool     // not with Partial
	Separator  string   // of values in a CSV cell; "" = |
	Duplicates string   // "" = error
	Shared     []string // with DuplicatesRows: columns that belong to the identity, not to its rows
}

// MaxLine is how many bytes a line may have (management-api.md 19.1).
const MaxLine = 1 << 20

// Row is one line of a bulk body.
type Row struct {
	Line       int
	Remove     bool
	Key        string
	Name       *string // assets
	Active     *bool   // identities
	Attributes model.Attributes
	Rows       []model.Attributes // identities
	HasRows    bool
}

// Reader yields the rows of a body. Next returns io.EOF at the end, a *Fault for a row that cannot be used, and
// any other error for a body that cannot be read on. The row is valid until the next call.
type Reader interface {
	Next() (*Row, error)
}

// Fault is an error of one row; the rows after it are still read.
type Fault struct {
	Line int
	Key  string
	Err  *model.Error
}

// Error implements error.
func (f *Fault) Error() string { return fmt.Sprintf("row of line %d: %v", f.Line, f.Err) }

// Fault is what is wrong with the row.
func (r *Row) Fault(err *model.Error) *Fault { return fault(r.Line, r.Key, err) }

func fault(line int, key string, err *model.Error) *Fault {
	e := *err
	e.Pos.Line = line
	return &Fault{Line: line, Key: key, Err: &e}
}

// lookup is the part of a schema that the readers need.
type lookup interface {
	// Attribute finds a declared attribute by name without allocating.
	Attribute(name []byte) (id model.AttributeID, ok bool)
	MultiValue(id model.AttributeID) bool
}

// Schema is what differs between assets and identities. Apply makes the record that r asks for; before is the stored one
// or nil.
type Schema[R any] interface {
	lookup
	Columns() []Column // of the attributes that can have values, in the template's order
	Apply(r *Row, before *R, merge bool) (R, *model.Error)
	// NeedsBefore reports whether Apply looks at the stored record also when it replaces it.
	NeedsBefore() bool
	KeyOf(*R) string
}

// NewReader reads the rows of a body. Of a CSV body the header is read, and its errors are returned, at once.
func NewReader[R any](o Options, s Schema[R], body io.Reader) (Reader, error) {
	words := wordsOf[R]()
	if o.Format == CSV {
		return newCSVRows(o, words, s, body)
	}
	if o.Duplicates == DuplicatesRows {
		return nil, model.InvalidParameter("duplicates", "rows needs a CSV body")
	}
	return newNDJSONRows(words, s, body), nil
}
