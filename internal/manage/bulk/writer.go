package bulk

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// StreamOptions say how a stream of records is written (management-api.md 19).
type StreamOptions struct {
	Format    Format
	Separator string // of values in a CSV cell, one character; "" = |
	KeysOnly  bool
}

// NewWriter writes records one by one, in NDJSON as format does; nil ends the stream.
func NewWriter[R any](s Schema[R], o StreamOptions, format func(*R) []byte, out io.Writer) (func(*R) error, error) {
	if o.Format == CSV {
		w, err := newCSVWriter(wordsOf[R](), s.Columns(), o, out)
		if err != nil {
			return nil, err
		}
		return func(r *R) error {
			if r == nil {
				return w.end()
			}
			return w.write(rowOf(r))
		}, nil
	}
	key := wordsOf[R]().key
	var line []byte
	return func(r *R) error {
		if r == nil {
			return nil
		}
		if line = line[:0]; o.KeysOnly {
			var err error
			if line, err = jsontext.AppendQuote(append(line, `{"`+key+`":`...), s.KeyOf(r)); err != nil {
				return err
			}
			line = append(line, '}')
		} else {
			line = append(line, format(r)...)
		}
		_, err := out.Write(append(line, '\n'))
		return err
	}, nil
}

// rowOf is a stored record as a row of a bulk body.
func rowOf(record any) *Row {
	switch r := record.(type) {
	case *model.Asset:
		return &Row{Key: r.Path, Name: &r.Name, Attributes: r.Attributes}
	case *model.Identity:
		active := !r.Inactive
		return &Row{Key: r.EntityID, Active: &active, Attributes: r.Attributes, Rows: r.Rows}
	}
	return nil
}

// csvWriter is the opposite of csvRows.
type csvWriter struct {
	words     words
	out       *csv.Writer
	columns   []Column
	separator string
	cells     []string
}

func newCSVWriter(w words, attributes []Column, o StreamOptions, out io.Writer) (*csvWriter, error) {
	c := &csvWriter{words: w, out: csv.NewWriter(out), separator: o.Separator}
	if c.separator == "" {
		c.separator = defaultSeparator
	}
	if utf8.RuneCountInString(c.separator) != 1 {
		return nil, model.InvalidParameter("separator", "it is not one character")
	}
	c.columns = []Column{{kind: columnKey}}
	header := []string{w.key}
	if !o.KeysOnly {
		if w.name != "" {
			c.columns, header = append(c.columns, Column{kind: columnName}), append(header, w.name)
		}
		if w.active != "" {
			c.columns, header = append(c.columns, Column{kind: columnActive}), append(header, w.active)
		}
		for _, a := range attributes {
			if a.Attribute == w.idOfRecord {
				continue
			}
			if name := string(a.Attribute); name == "op" || slices.Contains(header[:min(len(header), 3)], name) {
				return nil, notCSV("the attribute %q has the name of another column", name)
			}
			c.columns, header = append(c.columns, a), append(header, string(a.Attribute))
		}
	}
	c.cells = make([]string, len(c.columns))
	return c, c.out.Write(header)
}

func (c *csvWriter) write(r *Row) error {
	if len(r.Rows) > 0 && len(c.columns) > 1 {
		return notCSV("%q has rows", r.Key)
	}
	shown := 0
	for i := range c.columns {
		switch column := &c.columns[i]; column.kind {
		case columnKey:
			c.cells[i] = r.Key
		case columnName:
			c.cells[i] = *r.Name
		case columnActive:
			c.cells[i] = strconv.FormatBool(*r.Active)
		default:
			values := r.Attributes[column.Attribute]
			if len(values) > 0 {
				shown++
			}
			cell, ok := c.join(column, values)
			if !ok {
				return notCSV("%q has an empty value of %s", r.Key, column.Attribute)
			}
			c.cells[i] = cell
		}
		if strings.Contains(c.cells[i], "\r") { // a reader of CSV may take it for a part of a line's end
			return notCSV("%q has a carriage return in a value", r.Key)
		}
	}
	if len(c.columns) > 1 && shown < len(r.Attributes) {
		return notCSV("%q has values of an attribute that is not declared", r.Key)
	}
	return c.out.Write(c.cells)
}

// join is the opposite of csvRows.split; ok is false for values that no cell stands for.
func (c *csvWriter) join(column *Column, values []string) (cell string, ok bool) {
	if !column.multi {
		if len(values) == 0 {
			return "", true
		}
		return values[0], len(values) == 1 && values[0] != ""
	}
	if len(values) == 1 && values[0] == "" {
		return c.separator, true // the empty value twice, which is once
	}
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, c.separator, `\`+c.separator)
	for i, v := range values {
		if i > 0 {
			b.WriteString(c.separator)
		}
		b.WriteString(escape.Replace(v))
	}
	return b.String(), true
}

func (c *csvWriter) end() error {
	c.out.Flush()
	return c.out.Error()
}

func notCSV(format string, args ...any) *model.Error {
	return &model.Error{
		Kind: model.KindInvalid, Code: "MGT-007", Name: "NotAcceptableError",
		Message: "the list can be application/x-ndjson but not text/csv: " + fmt.Sprintf(format, args...),
	}
}
