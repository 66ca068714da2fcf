package manage

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Bounds of streams. Each holds a state of its environment while it runs, for as long as its reader takes.
const (
	maxStreams = 8
	maxShare   = maxStreams / 2 // of one environment: its slow readers do not keep those of the others waiting
	streamAge  = 15 * time.Minute
)

// streamPlaces counts the streams that run.
type streamPlaces struct {
	mu  sync.Mutex
	all int
	of  map[model.EnvironmentID]int
}

// take reports whether there is a place, which leave gives back.
func (p *streamPlaces) take(env model.EnvironmentID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all >= maxStreams || p.of[env] >= maxShare {
		return false
	}
	if p.of == nil {
		p.of = map[model.EnvironmentID]int{}
	}
	p.all++
	p.of[env]++
	return true
}

func (p *streamPlaces) leave(env model.EnvironmentID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.of[env]--; p.of[env] == 0 {
		delete(p.of, env)
	}
}

// StreamOptions say how a stream of records is written (management-api.md 19).
type StreamOptions struct {
	Format    Format
	Separator string // of values in a CSV cell, one character; "" = |
	KeysOnly  bool
}

// Stream writes all records that pass the filter, of one state and in order of insertion, in the form that Import reads:
// what it wrote changes nothing when it is imported again. seen is called before the first byte. On an error, which may
// come after any number of records, what was written is not the list. A record that CSV cannot show is an error that names
// it.
func (c Catalogue[R]) Stream(ctx context.Context, f Filter, o StreamOptions, seen func(Seen), out io.Writer) error {
	if !c.s.streams.take(c.env) {
		return &model.Error{Kind: model.KindTooMany, Code: "MGT-014", Name: "TooManyRequestsError", Message: "Too many lists are being streamed"}
	}
	defer c.s.streams.leave(c.env)
	ctx, stop := context.WithTimeout(ctx, streamAge)
	defer stop()
	held, err := c.s.store.Hold(ctx, c.env)
	if err != nil {
		return storeError("manage.Stream", err)
	}
	err = held.View(ctx, func(tx *store.Tx) error {
		if err := mustExist(tx, c.env); err != nil {
			return err
		}
		schema, records, err := c.openFor(tx, &f)
		if err != nil {
			return err
		}
		seen(Seen{Revision: tx.Revision})
		write, err := c.rowWriter(schema, o, out)
		if err != nil {
			return err
		}
		for p, err := range c.matching(schema, records.After(0), &f) {
			if err == nil {
				err = write(&p.Record)
			}
			if err != nil {
				return err
			}
		}
		return write(nil)
	})
	return storeError("manage.Stream", errors.Join(err, held.Close()))
}

// rowWriter writes records one by one; nil ends the stream.
func (c Catalogue[R]) rowWriter(s schema[R], o StreamOptions, out io.Writer) (func(*R) error, error) {
	if o.Format == CSV {
		w, err := newCSVWriter(wordsOf[R](), s.columns(), o, out)
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
			if line, err = jsontext.AppendQuote(append(line, `{"`+key+`":`...), s.keyOf(r)); err != nil {
				return err
			}
			line = append(line, '}')
		} else {
			line = append(line, c.format(r)...)
		}
		_, err := out.Write(append(line, '\n'))
		return err
	}, nil
}

// rowOf is a stored record as a row of a bulk body.
func rowOf(record any) *row {
	switch r := record.(type) {
	case *model.Asset:
		return &row{key: r.Path, name: &r.Name, attributes: r.Attributes}
	case *model.Identity:
		active := !r.Inactive
		return &row{key: r.EntityID, active: &active, attributes: r.Attributes, rows: r.Rows}
	}
	return nil
}

// csvWriter is the opposite of csvRows.
type csvWriter struct {
	words     words
	out       *csv.Writer
	columns   []csvColumn
	separator string
	cells     []string
}

func newCSVWriter(w words, attributes []csvColumn, o StreamOptions, out io.Writer) (*csvWriter, error) {
	c := &csvWriter{words: w, out: csv.NewWriter(out), separator: o.Separator}
	if c.separator == "" {
		c.separator = defaultSeparator
	}
	if utf8.RuneCountInString(c.separator) != 1 {
		return nil, InvalidParameter("separator", "it is not one character")
	}
	c.columns = []csvColumn{{kind: columnKey}}
	header := []string{w.key}
	if !o.KeysOnly {
		if w.name != "" {
			c.columns, header = append(c.columns, csvColumn{kind: columnName}), append(header, w.name)
		}
		if w.active != "" {
			c.columns, header = append(c.columns, csvColumn{kind: columnActive}), append(header, w.active)
		}
		for _, a := range attributes {
			if a.attribute == w.idOfRecord {
				continue
			}
			if name := string(a.attribute); name == "op" || slices.Contains(header[:min(len(header), 3)], name) {
				return nil, notCSV("the attribute %q has the name of another column", name)
			}
			c.columns, header = append(c.columns, a), append(header, string(a.attribute))
		}
	}
	c.cells = make([]string, len(c.columns))
	return c, c.out.Write(header)
}

func (c *csvWriter) write(r *row) error {
	if len(r.rows) > 0 && len(c.columns) > 1 {
		return notCSV("%q has rows", r.key)
	}
	shown := 0
	for i := range c.columns {
		switch column := &c.columns[i]; column.kind {
		case columnKey:
			c.cells[i] = r.key
		case columnName:
			c.cells[i] = *r.name
		case columnActive:
			c.cells[i] = strconv.FormatBool(*r.active)
		default:
			values := r.attributes[column.attribute]
			if len(values) > 0 {
				shown++
			}
			cell, ok := c.join(column, values)
			if !ok {
				return notCSV("%q has an empty value of %s", r.key, column.attribute)
			}
			c.cells[i] = cell
		}
		if strings.Contains(c.cells[i], "\r") { // a reader of CSV may take it for a part of a line's end
			return notCSV("%q has a carriage return in a value", r.key)
		}
	}
	if len(c.columns) > 1 && shown < len(r.attributes) {
		return notCSV("%q has values of an attribute that is not declared", r.key)
	}
	return c.out.Write(c.cells)
}

// join is the opposite of csvRows.split; ok is false for values that no cell stands for.
func (c *csvWriter) join(column *csvColumn, values []string) (cell string, ok bool) {
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
