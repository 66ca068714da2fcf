package bulk

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

// Column is one column of a CSV body. Attribute is empty where it is something else.
type Column struct {
	kind      int
	Attribute model.AttributeID
	multi     bool
	shared    bool
}

// csvRows reads one record a line (RFC 4180), or, when lines are rows, one identity from the lines that stand together.
type csvRows struct {
	words     words
	in        *csv.Reader
	budget    *recordBudget
	columns   []Column
	separator string
	asRows    bool // duplicates=rows
	ahead     *Row // read, but belonging to the next identity
	aheadErr  error
}

func newCSVRows(o Options, w words, l lookup, body io.Reader) (*csvRows, error) {
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
		return nil, model.InvalidParameter("duplicates", "rows is for identities")
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
		column := Column{kind: columnAttribute}
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
			id, known := l.Attribute([]byte(name))
			if !known {
				errs = append(errs, inHeader(model.InvalidParameter(name, "the attribute is not declared")))
			}
			column.Attribute, column.multi, column.shared = id, l.MultiValue(id), slices.Contains(shared, name)
		}
		if seen[name] {
			errs = append(errs, inHeader(model.InvalidParameter(name, "the column stands more than once")))
		}
		seen[name] = true
		c.columns = append(c.columns, column)
	}
	if !seen[c.words.key] {
		errs = append(errs, inHeader(model.MissingParameter(c.words.key)))
	}
	for _, name := range shared {
		if !seen[name] {
			errs = append(errs, model.InvalidParameter("shared", "%q is not a column", name))
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

// Next implements Reader.
func (c *csvRows) Next() (*Row, error) {
	r, err := c.ahead, c.aheadErr
	c.ahead, c.aheadErr = nil, nil
	if r == nil && err == nil {
		r, err = c.line()
	}
	if err != nil || !c.asRows || r.Remove {
		return r, err
	}
	var clash *Fault
	for {
		further, err := c.line()
		if err != nil || further.Remove || further.Key != r.Key {
			c.ahead, c.aheadErr = further, err
			break
		}
		if len(r.Rows) > model.MaxRows {
			continue // too many already: the row will be refused, and need not fill the memory first
		}
		if problem := joinRows(r, further); problem != nil && clash == nil {
			clash = fault(further.Line, r.Key, problem)
		}
	}
	if clash != nil {
		return nil, clash
	}
	return r, nil
}

// joinRows adds a further line of the same identity.
func joinRows(r, further *Row) *model.Error {
	r.Rows = append(r.Rows, further.Rows...)
	for id, values := range further.Attributes {
		if !slices.Equal(values, r.Attributes[id]) {
			return model.InvalidParameter(string(id), "differs between the lines of one identity")
		}
	}
	if (r.Active == nil) != (further.Active == nil) || r.Active != nil && *r.Active != *further.Active {
		return model.InvalidParameter("isActive", "differs between the lines of one identity")
	}
	return nil
}

func (c *csvRows) line() (*Row, error) {
	c.budget.renew()
	record, err := c.in.Read()
	if err != nil {
		if parse, ok := errors.AsType[*csv.ParseError](err); ok && !errors.Is(err, errRecordTooLong) {
			return nil, fault(parse.StartLine, "", model.Invalidf("%v", parse.Err))
		}
		return nil, err
	}
	line, _ := c.in.FieldPos(0)
	r := &Row{Line: line, Attributes: make(model.Attributes, len(c.columns))}
	own := r.Attributes
	if c.asRows {
		own = make(model.Attributes, len(c.columns))
		r.Rows, r.HasRows = []model.Attributes{own}, true
	}
	for i, cell := range record {
		column := &c.columns[i]
		if !utf8.ValidString(cell) {
			return nil, fault(line, "", model.Invalidf("column %d is not valid UTF-8", i+1))
		}
		if column.kind != columnAttribute {
			if err := c.special(r, column.kind, cell); err != nil {
				return nil, fault(line, r.Key, err)
			}
			continue
		}
		into := own
		if column.shared {
			into = r.Attributes
		}
		if cell != "" { // empty: no value, or unchanged
			into[column.Attribute] = c.split(column, cell)
		}
	}
	if r.Key == "" {
		return nil, fault(line, "", model.Invalidf("%s is missing", c.words.key))
	}
	return r, nil
}

// special reads a cell that is no attribute. Cells share memory with the line, so that what is kept is cloned.
func (c *csvRows) special(r *Row, kind int, cell string) *model.Error {
	switch kind {
	case columnKey:
		r.Key = strings.Clone(cell)
	case columnName:
		if cell != "" {
			name := strings.Clone(cell)
			r.Name = &name
		}
	case columnActive:
		active := strings.EqualFold(cell, "true")
		if !active && cell != "" && !strings.EqualFold(cell, "false") {
			return model.InvalidParameter("isActive", "%q is not true or false", cell)
		}
		if cell != "" {
			r.Active = &active
		}
	case columnOp:
		if cell != "" && cell != "upsert" && cell != "delete" {
			return model.InvalidParameter("op", "%q is not upsert or delete", cell)
		}
		r.Remove = cell == "delete"
	}
	return nil
}

// split cuts the cell of a multi-value attribute at the separator; a backslash takes the separator or a backslash
// literally.
func (c *csvRows) split(column *Column, cell string) []string {
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

func (b *recordBudget) renew() { b.left = MaxLine + 4096 }

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
