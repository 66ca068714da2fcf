package manage

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

const defaultSeparator = "|"

// Columns of a CSV body that are not attributes.
const (
	columnAttribute = iota
	columnKey
	columnName
	columnActive
	columnOp
)

type csvColumn struct {
	kind      int
	attribute model.AttributeID
	multi     bool
	shared    bool
}

// csvRows reads one record a line (RFC 4180), or, when lines are rows, one identity from the lines that stand together.
type csvRows struct {
	words     words
	in        *csv.Reader
	budget    *recordBudget
	columns   []csvColumn
	separator string
	asRows    bool // duplicates=rows
	ahead     *row // read, but belonging to the next identity
	aheadErr  error
}

func newCSVRows(o BulkOptions, w words, l lookup, body io.Reader) (*csvRows, error) {
	budget := &recordBudget{in: body}
	buffered := bufio.NewReaderSize(budget, 4096) // of the size that csv would make itself, so that it makes none
	budget.renew()
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\ufeff")) {
		_, _ = buffered.Discard(3) // cannot fail: they have been peeked
	}
	c := &csvRows{
		words: w, in: csv.NewReader(buffered), budget: budget, separator: o.Separator,
		asRows: o.Duplicates == DuplicatesRows,
	}
	if c.separator == "" {
		c.separator = defaultSeparator
	}
	if c.asRows && w.rows == "" {
		return nil, InvalidParameter("duplicates", "rows is for identities")
	}
	c.in.ReuseRecord = true
	header, err := c.in.Read()
	if err == io.EOF {
		return nil, model.Invalidf("the header line is missing")
	}
	if err != nil {
		return nil, csvError(err)
	}
	if err := c.readHeader(header, o.Shared, l); err != nil {
		return nil, err
	}
	c.in.FieldsPerRecord = len(header)
	return c, nil
}

func (c *csvRows) readHeader(header, shared []string, l lookup) error {
	var errs model.Errors
	seen := map[string]bool{}
	for _, name := range header {
		column := csvColumn{kind: columnAttribute}
		if !utf8.ValidString(name) {
			return inHeader(model.Invalidf("the header is not valid UTF-8"))
		}
		switch name {
		case "": // before the words below, of which some kinds lack one
			errs = append(errs, inHeader(model.Invalidf("a column has no name")))
		case c.words.key:
			column.kind = columnKey
		case "op":
			column.kind = columnOp
		case c.words.name:
			column.kind = columnName
		case c.words.active:
			column.kind = columnActive
		default:
			id, known := l.attribute([]byte(name))
			if !known {
				errs = append(errs, inHeader(InvalidParameter(name, "the attribute is not declared")))
			}
			column.attribute, column.multi, column.shared = id, l.multiValue(id), slices.Contains(shared, name)
		}
		if seen[name] {
			errs = append(errs, inHeader(InvalidParameter(name, "the column stands more than once")))
		}
		seen[name] = true
		c.columns = append(c.columns, column)
	}
	if !seen[c.words.key] {
		errs = append(errs, inHeader(MissingParameter(c.words.key)))
	}
	for _, name := range shared {
		if !seen[name] {
			errs = append(errs, InvalidParameter("shared", "%q is not a column", name))
		}
	}
	return errs.OrNil()
}

func inHeader(e *model.Error) *model.Error {
	e.Pos.Line = 1
	return e
}

func csvError(err error) error {
	if parse, ok := errors.AsType[*csv.ParseError](err); ok {
		return &model.Error{
			Kind: model.KindInvalid, Message: parse.Err.Error(),
			Pos: model.Position{Line: parse.StartLine},
		}
	}
	return err
}

// next implements rowReader.
func (c *csvRows) next() (*row, error) {
	r, err := c.ahead, c.aheadErr
	c.ahead, c.aheadErr = nil, nil
	if r == nil && err == nil {
		r, err = c.line()
	}
	if err != nil || !c.asRows || r.remove {
		return r, err
	}
	var clash *rowFault
	for {
		further, err := c.line()
		if err != nil || further.remove || further.key != r.key {
			c.ahead, c.aheadErr = further, err
			break
		}
		if len(r.rows) > model.MaxRows {
			continue // too many already: the row will be refused, and need not fill the memory first
		}
		if problem := joinRows(r, further); problem != nil && clash == nil {
			clash = fault(further.line, r.key, problem)
		}
	}
	if clash != nil {
		return nil, clash
	}
	return r, nil
}

// joinRows adds a further line of the same identity.
func joinRows(r, further *row) *model.Error {
	r.rows = append(r.rows, further.rows...)
	for id, values := range further.attributes {
		if !slices.Equal(values, r.attributes[id]) {
			return InvalidParameter(string(id), "differs between the lines of one identity")
		}
	}
	if (r.active == nil) != (further.active == nil) || r.active != nil && *r.active != *further.active {
		return InvalidParameter("isActive", "differs between the lines of one identity")
	}
	return nil
}

func (c *csvRows) line() (*row, error) {
	c.budget.renew()
	record, err := c.in.Read()
	if err != nil {
		if parse, ok := errors.AsType[*csv.ParseError](err); ok && !errors.Is(err, errRecordTooLong) {
			return nil, fault(parse.StartLine, "", model.Invalidf("%v", parse.Err))
		}
		return nil, err
	}
	line, _ := c.in.FieldPos(0)
	r := &row{line: line, attributes: make(model.Attributes, len(c.columns))}
	own := r.attributes
	if c.asRows {
		own = make(model.Attributes, len(c.columns))
		r.rows, r.hasRows = []model.Attributes{own}, true
	}
	for i, cell := range record {
		column := &c.columns[i]
		if !utf8.ValidString(cell) {
			return nil, fault(line, "", model.Invalidf("column %d is not valid UTF-8", i+1))
		}
		if column.kind != columnAttribute {
			if err := c.special(r, column.kind, cell); err != nil {
				return nil, fault(line, r.key, err)
			}
			continue
		}
		into := own
		if column.shared {
			into = r.attributes
		}
		if cell != "" { // empty: no value, or unchanged
			into[column.attribute] = c.split(column, cell)
		}
	}
	if r.key == "" {
		return nil, fault(line, "", model.Invalidf("%s is missing", c.words.key))
	}
	return r, nil
}

// special reads a cell that is no attribute. Cells share memory with the line, so that what is kept is cloned.
func (c *csvRows) special(r *row, kind int, cell string) *model.Error {
	switch kind {
	case columnKey:
		r.key = strings.Clone(cell)
	case columnName:
		if cell != "" {
			name := strings.Clone(cell)
			r.name = &name
		}
	case columnActive:
		active := strings.EqualFold(cell, "true")
		if !active && cell != "" && !strings.EqualFold(cell, "false") {
			return InvalidParameter("isActive", "%q is not true or false", cell)
		}
		if cell != "" {
			r.active = &active
		}
	case columnOp:
		if cell != "" && cell != "upsert" && cell != "delete" {
			return InvalidParameter("op", "%q is not upsert or delete", cell)
		}
		r.remove = cell == "delete"
	}
	return nil
}

// split cuts the cell of a multi-value attribute at the separator; a backslash takes the separator or a backslash
// literally.
func (c *csvRows) split(column *csvColumn, cell string) []string {
	if !column.multi {
		return []string{strings.Clone(cell)}
	}
	var out []string
	var b strings.Builder
	for i := 0; i < len(cell); {
		switch rest := cell[i:]; {
		case strings.HasPrefix(rest, `\\`):
			b.WriteByte('\\')
			i += 2
		case strings.HasPrefix(rest, `\`+c.separator):
			b.WriteString(c.separator)
			i += 1 + len(c.separator)
		case strings.HasPrefix(rest, c.separator):
			out = append(out, b.String())
			b.Reset()
			i += len(c.separator)
		default:
			b.WriteByte(cell[i])
			i++
		}
	}
	return model.Distinct(append(out, b.String()))
}

var errRecordTooLong = errors.New("a CSV record is longer than 1 MiB")

// recordBudget ends a body whose record does not end, such as one with an open quote, before it fills the memory.
type recordBudget struct {
	in   io.Reader
	left int
}

func (b *recordBudget) renew() { b.left = maxBulkLine + 4096 }

// Read implements io.Reader.
func (b *recordBudget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &model.Error{
			Kind: model.KindInvalid, Code: "MGT-018", Name: "LimitExceededError",
			Message: "a CSV record has more than 1 MiB", Err: errRecordTooLong,
		}
	}
	n, err := b.in.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
