package decide

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// bodyPaths are the paths into the body of a call that a mapper reads, as a tree, so that one pass over the body finds
// the values of all of them.
type bodyPaths struct {
	root  bodyPath
	count int // of slots
}

// bodyPath is a place in a body.
type bodyPath struct {
	slot  int // where its values go, 1 based; 0 = they are not read
	names map[string]*bodyPath
	index map[int]*bodyPath
	all   *bodyPath
}

// add makes a place readable and gives its slot, from 0.
func (p *bodyPaths) add(text string) (int, error) {
	steps, err := model.ParsePath(text)
	if err != nil {
		return 0, err
	}
	at := &p.root
	for _, s := range steps {
		switch s.Kind {
		case model.StepName:
			at = child(&at.names, s.Name)
		case model.StepIndex:
			at = child(&at.index, s.Index)
		default:
			if at.all == nil {
				at.all = &bodyPath{}
			}
			at = at.all
		}
	}
	if at.slot == 0 {
		p.count++
		at.slot = p.count
	}
	return at.slot - 1, nil
}

func child[K comparable](of *map[K]*bodyPath, key K) *bodyPath {
	if *of == nil {
		*of = map[K]*bodyPath{}
	}
	if (*of)[key] == nil {
		(*of)[key] = &bodyPath{}
	}
	return (*of)[key]
}

// maxCallValues is how many values one call may give: a body of the usual size could hold millions.
const maxCallValues = 100_000

// read gives the values of all slots. ok is false for a body that is neither absent nor JSON: what it says is not known.
func (p *bodyPaths) read(body []byte) (values [][]string, ok bool, err error) {
	values = make([][]string, p.count)
	if len(body) > 0 && body[0] == '"' { // text: read when it is JSON itself
		text, err := jsontext.AppendUnquote(nil, body)
		if err != nil {
			return nil, false, err
		}
		if body = bytes.TrimSpace(text); len(body) > 0 && !jsontext.Value(body).IsValid() {
			return nil, false, nil
		}
	}
	if len(body) == 0 {
		return values, true, nil
	}
	r := bodyReader{dec: jsontext.NewDecoder(bytes.NewBuffer(body), jsontext.AllowDuplicateNames(true)), values: values}
	if err := r.read([]*bodyPath{&p.root}); err != nil {
		return nil, false, err
	}
	for i := range values {
		values[i] = model.Distinct(values[i])
	}
	return values, true, nil
}

// bodyReader reads one body, which is known to be well formed and without duplicate names.
type bodyReader struct {
	dec    *jsontext.Decoder
	values [][]string
	count  int
}

// read reads the next value, which stands at all of the given places.
func (r *bodyReader) read(at []*bodyPath) error {
	if len(at) == 0 {
		return r.dec.SkipValue()
	}
	switch r.dec.PeekKind() {
	case jsontext.KindBeginObject:
		return r.object(at)
	case jsontext.KindBeginArray:
		return r.array(at)
	}
	tok, err := r.dec.ReadToken()
	if err != nil || tok.Kind() == jsontext.KindNull {
		return err
	}
	text := tok.String()
	for _, p := range at {
		if p.slot == 0 {
			continue
		}
		if r.count++; r.count > maxCallValues {
			return model.Invalidf("body: more than %d values", maxCallValues)
		}
		r.values[p.slot-1] = append(r.values[p.slot-1], text)
	}
	return nil
}

func (r *bodyReader) object(at []*bodyPath) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	for r.dec.PeekKind() != jsontext.KindEndObject {
		name, err := r.dec.ReadToken()
		if err != nil {
			return fmt.Errorf("body: %w", err)
		}
		key := name.String()
		var next []*bodyPath
		for _, p := range at {
			if c := p.names[key]; c != nil {
				next = append(next, c)
			}
		}
		if err := r.read(next); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}

// array reads an array. Its scalars are values of a place that ends at the array itself.
func (r *bodyReader) array(at []*bodyPath) error {
	if _, err := r.dec.ReadToken(); err != nil {
		return err
	}
	var own []*bodyPath
	for _, p := range at {
		if p.slot > 0 {
			own = append(own, &bodyPath{slot: p.slot})
		}
	}
	for i := 0; r.dec.PeekKind() != jsontext.KindEndArray; i++ {
		next := own[:len(own):len(own)]
		for _, p := range at {
			if p.all != nil {
				next = append(next, p.all)
			}
			if c := p.index[i]; c != nil {
				next = append(next, c)
			}
		}
		if err := r.read(next); err != nil {
			return err
		}
	}
	_, err := r.dec.ReadToken()
	return err
}
