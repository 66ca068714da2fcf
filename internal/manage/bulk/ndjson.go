package bulk

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// ndjsonRows reads one JSON object a line. Its buffers are reused; what a row keeps is copied.
type ndjsonRows struct {
	words  words
	lookup lookup
	in     *bufio.Reader
	long   []byte // a line that did not fit the reader's buffer
	line   int
	dec    jsontext.Decoder
	source bytes.Reader
}

func newNDJSONRows(w words, l lookup, body io.Reader) *ndjsonRows {
	return &ndjsonRows{words: w, lookup: l, in: bufio.NewReaderSize(body, 64<<10)}
}

// Next implements Reader.
func (n *ndjsonRows) Next() (*Row, error) {
	for {
		line, err := n.readLine()
		if err != nil {
			return nil, err
		}
		if n.line == 1 {
			line = bytes.TrimPrefix(line, []byte("\ufeff"))
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		r := &Row{Line: n.line}
		n.source.Reset(line)
		n.dec.Reset(&n.source)
		if err := n.readRow(r); err != nil {
			return nil, fault(n.line, r.Key, rowError(err))
		}
		return r, nil
	}
}

// readLine returns the next line without its end, io.EOF after the last one. A line above the limit is read past and
// is a fault of its row.
func (n *ndjsonRows) readLine() ([]byte, error) {
	n.line++
	n.long = n.long[:0]
	tooLong := false
	for {
		part, err := n.in.ReadSlice('\n')
		if err == nil && len(n.long) == 0 && !tooLong {
			return part, nil
		}
		if tooLong = tooLong || len(n.long)+len(part) > MaxLine; !tooLong {
			n.long = append(n.long, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(n.long) == 0 && !tooLong:
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		case tooLong:
			return nil, fault(n.line, "", model.LimitExceeded("bytes of a line", MaxLine+1, MaxLine))
		}
		return n.long, nil
	}
}

// rowError makes an error of the row out of one of the JSON library.
func rowError(err error) *model.Error {
	if e, ok := errors.AsType[*model.Error](err); ok {
		return e
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return model.Invalidf("the object is not complete")
	}
	if syntax, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		return model.Invalidf("byte %d: %v", syntax.ByteOffset, syntax.Err)
	}
	return model.Invalidf("%v", err)
}

var errNotObject = errors.New("a row is an object")

func (n *ndjsonRows) readRow(r *Row) error {
	if n.dec.PeekKind() != '{' {
		if _, err := n.dec.ReadToken(); err != nil {
			return err
		}
		return errNotObject
	}
	err := n.members(func(name []byte) error { return n.member(r, string(name)) })
	if err != nil {
		return err
	}
	if r.Key == "" {
		return model.Invalidf("%s is missing", n.words.key)
	}
	if _, err := n.dec.ReadToken(); err == nil {
		return model.Invalidf("data after the end of the object")
	} else if err != io.EOF {
		return err
	}
	return nil
}

// members reads an object and calls each for every name; each reads the value.
func (n *ndjsonRows) members(each func(name []byte) error) error {
	if _, err := n.dec.ReadToken(); err != nil {
		return err
	}
	for {
		switch n.dec.PeekKind() {
		case '}':
			_, err := n.dec.ReadToken()
			return err
		case '"':
			name, err := n.dec.ReadValue()
			if err != nil {
				return err
			}
			// names without escapes, nearly all, are their own text
			text := []byte(name[1 : len(name)-1])
			if bytes.IndexByte(text, '\\') >= 0 {
				if text, err = jsontext.AppendUnquote(nil, name); err != nil {
					return err
				}
			}
			if err := each(text); err != nil {
				return err
			}
		default:
			_, err := n.dec.ReadToken() // reports what is wrong
			if err == nil {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
	}
}

func (n *ndjsonRows) member(r *Row, name string) error {
	switch {
	case name == "op":
		op, err := n.text(name)
		if err == nil && op != "upsert" && op != "delete" {
			err = model.InvalidParameter("op", "%q is not upsert or delete", op)
		}
		r.Remove = op == "delete"
		return err
	case name == n.words.key:
		var err error
		r.Key, err = n.text(name)
		return err
	case name == "attributes":
		var err error
		r.Attributes, err = n.attributes(name)
		return err
	case name == n.words.name && name != "":
		text, err := n.text(name)
		r.Name = &text
		return err
	case name == n.words.active && name != "":
		t, err := n.dec.ReadToken()
		if err != nil {
			return err
		}
		if t.Kind() != 't' && t.Kind() != 'f' {
			return model.InvalidParameter(name, "a boolean is needed")
		}
		active := t.Kind() == 't'
		r.Active = &active
		return nil
	case name == n.words.rows && name != "":
		return n.rowsOf(r)
	}
	return model.InvalidParameter(name, "the name is not known")
}

func (n *ndjsonRows) text(name string) (string, error) {
	t, err := n.dec.ReadToken()
	if err != nil {
		return "", err
	}
	if t.Kind() != '"' {
		return "", model.InvalidParameter(name, "a text is needed")
	}
	return t.String(), nil
}

func (n *ndjsonRows) rowsOf(r *Row) error {
	r.HasRows = true
	if n.dec.PeekKind() != '[' {
		return model.InvalidParameter("rows", "a list is needed")
	}
	if _, err := n.dec.ReadToken(); err != nil {
		return err
	}
	for n.dec.PeekKind() != ']' {
		attributes, err := n.attributes("rows")
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, attributes)
	}
	_, err := n.dec.ReadToken()
	return err
}

// attributes reads an object of values. Every name it has is in the result, with an empty list when there is no value.
func (n *ndjsonRows) attributes(field string) (model.Attributes, error) {
	if n.dec.PeekKind() != '{' {
		if err := n.dec.SkipValue(); err != nil {
			return nil, err
		}
		return nil, model.InvalidParameter(field, "an object is needed")
	}
	out := make(model.Attributes, 8)
	err := n.members(func(name []byte) error {
		id, known := n.lookup.Attribute(name)
		if !known {
			return model.InvalidParameter(string(name), "the attribute is not declared")
		}
		values, err := n.values()
		out[id] = values
		return err
	})
	return out, err
}

// values reads the values of one attribute (V1): a lone value counts as a list of one, numbers keep their text, null is
// no value, and lists and objects inside the list are dropped.
func (n *ndjsonRows) values() ([]string, error) {
	if n.dec.PeekKind() != '[' {
		value, ok, err := n.value()
		if err != nil || !ok {
			return nil, err
		}
		return []string{value}, nil
	}
	if _, err := n.dec.ReadToken(); err != nil {
		return nil, err
	}
	var out []string
	for n.dec.PeekKind() != ']' {
		value, ok, err := n.value()
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, value)
		}
	}
	_, err := n.dec.ReadToken()
	return model.Distinct(out), err
}

func (n *ndjsonRows) value() (text string, ok bool, err error) {
	switch kind := n.dec.PeekKind(); kind {
	case '{', '[':
		return "", false, n.dec.SkipValue()
	case '"':
		t, err := n.dec.ReadToken()
		if err != nil {
			return "", false, err
		}
		return t.String(), true, nil
	default:
		value, err := n.dec.ReadValue()
		if err != nil {
			return "", false, err
		}
		return string(value), kind != 'n', nil
	}
}

// ReadOne reads a single object, as in the body of a PUT; the key is that of the path, which the body may repeat. What is wrong is
// a *model.Error.
func ReadOne[R any](s Schema[R], key string, body []byte) (*Row, error) {
	words := wordsOf[R]()
	n := newNDJSONRows(words, s, nil)
	r := &Row{Key: key}
	n.source.Reset(body)
	n.dec.Reset(&n.source)
	if err := n.readRow(r); err != nil {
		return nil, rowError(err)
	}
	if r.Key != key {
		return nil, model.InvalidParameter(words.key, "differs from that of the path")
	}
	if r.Remove {
		return nil, model.InvalidParameter("op", "is for bulk calls")
	}
	return r, nil
}
