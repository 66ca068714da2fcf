package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// reader reads the JSON of an answer as it comes. Names are compared exactly, and a name that stands twice in one object
// is an error: of two readings of an answer neither is taken.
type reader struct{ d *json.Decoder }

// maxDepth bounds the nesting of what is skipped.
const maxDepth = 64

func newReader(body io.Reader) reader {
	d := json.NewDecoder(&validReader{from: body})
	d.UseNumber()
	return reader{d: d}
}

func malformed(format string, values ...any) error {
	return fmt.Errorf("%w: %s", ErrAnswer, fmt.Sprintf(format, values...))
}

// token is the next token of an unfinished document, at whose end there is none to come.
func (r reader) token() (json.Token, error) {
	t, err := r.d.Token()
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return t, unusable(err)
}

func unusable(err error) error {
	if err == nil || errors.Is(err, ErrAnswer) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAnswer, err)
}

func (r reader) delim(want json.Delim) error {
	t, err := r.token()
	if err == nil && t != want {
		err = malformed("%v in place of %s", kind(t), want)
	}
	return err
}

// kind names a token without its value, which may be anything.
func kind(t json.Token) string {
	if d, ok := t.(json.Delim); ok {
		return d.String()
	}
	return fmt.Sprintf("%T", t)
}

// object reads an object; member consumes the value of each name.
func (r reader) object(member func(name string) error) error {
	if err := r.delim('{'); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.d.More() {
		name, err := r.text()
		if err != nil {
			return err
		}
		if seen[name] {
			return malformed("a member stands twice")
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	return r.delim('}')
}

// array reads an array; element consumes each element.
func (r reader) array(element func() error) error {
	if err := r.delim('['); err != nil {
		return err
	}
	for r.d.More() {
		if err := element(); err != nil {
			return err
		}
	}
	return r.delim(']')
}

func (r reader) text() (string, error) {
	t, err := r.token()
	if err != nil {
		return "", err
	}
	text, ok := t.(string)
	if !ok {
		return "", malformed("%s in place of a text", kind(t))
	}
	return text, nil
}

func (r reader) bool() (bool, error) {
	t, err := r.token()
	if err != nil {
		return false, err
	}
	b, ok := t.(bool)
	if !ok {
		return false, malformed("%s in place of true or false", kind(t))
	}
	return b, nil
}

func (r reader) texts() ([]string, error) {
	list := []string{}
	err := r.array(func() error {
		text, err := r.text()
		list = append(list, text)
		return err
	})
	return list, err
}

// values reads a value map.
func (r reader) values() (map[string][]string, error) {
	all := map[string][]string{}
	err := r.object(func(name string) (err error) {
		all[name], err = r.texts()
		return err
	})
	return all, err
}

// skip reads one value of any kind, in which a name that stands twice changes nothing that is used.
func (r reader) skip() error {
	for depth := 0; ; {
		t, err := r.token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return malformed("nested too deeply")
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// end checks that nothing follows the document and that the whole of it came.
func (r reader) end() error {
	switch t, err := r.d.Token(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return unusable(err)
	default:
		return malformed("%s after the end", kind(t))
	}
}

// validReader passes UTF-8 only: encoding/json would replace what is none, and make different texts equal.
type validReader struct {
	from io.Reader
	rest []byte // beginning of a character whose end has not come
}

func (v *validReader) Read(p []byte) (int, error) {
	n, err := v.from.Read(p)
	text := p[:n]
	if len(v.rest) > 0 {
		text = append(v.rest, text...)
	}
	whole := text
	for i := 1; i < utf8.UTFMax && i <= len(text); i++ {
		if last := text[len(text)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				whole = text[:len(text)-i]
			}
			break
		}
	}
	if !utf8.Valid(whole) || err == io.EOF && len(whole) < len(text) {
		return 0, malformed("no UTF-8")
	}
	v.rest = append([]byte(nil), text[len(whole):]...)
	return n, err
}

// limitReader is an error, not an end, after left bytes.
type limitReader struct {
	from io.Reader
	left int64
}

func (l *limitReader) Read(p []byte) (int, error) {
	if int64(len(p)) > l.left+1 {
		p = p[:l.left+1]
	}
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, ErrTooLarge
	}
	return n, err
}
