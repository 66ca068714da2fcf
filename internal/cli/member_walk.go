package cli

import (
	"bytes"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
)

// memberWalk visits the members of a JSON text that no schema has, and holds nothing of the text: files can be large.
type memberWalk struct {
	description *apiDescription
	in          *jsontext.Decoder
	visit       func(pointer jsontext.Pointer, at int) // at is the offset before the name, blanks included
}

// known is a schema that is opened once for all values that it is held against.
type known struct {
	schema  schema
	opened  bool
	members map[string]*known
	items   *known
	free    bool
}

func (k *known) open(d *apiDescription) {
	if k.opened {
		return
	}
	properties, items, free := d.parts(k.schema)
	k.opened, k.members, k.items, k.free = true, map[string]*known{}, &known{schema: items}, free
	for name, property := range properties {
		k.members[name] = &known{schema: property}
	}
}

// whole walks a text; false when it is not one value.
func (w *memberWalk) whole(k *known) bool {
	if w.value(k) != nil {
		return false
	}
	_, err := w.in.ReadToken()
	return err == io.EOF
}

func (w *memberWalk) value(k *known) error {
	k.open(w.description)
	switch w.in.PeekKind() {
	case '{':
		return w.object(k)
	case '[':
		return elements(w.in, func() error { return w.value(k.items) })
	}
	return w.in.SkipValue()
}

func (w *memberWalk) object(k *known) error {
	if err := expect(w.in, '{'); err != nil {
		return err
	}
	for w.in.PeekKind() != '}' {
		at := w.in.InputOffset()
		token, err := w.in.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		member, ok := k.members[name]
		if !ok && len(k.members) > 0 && !k.free && !model.IsAnswerMember(name) {
			w.visit(w.in.StackPointer(), int(at))
		}
		if ok {
			err = w.value(member)
		} else {
			err = w.in.SkipValue()
		}
		if err != nil {
			return err
		}
	}
	return expect(w.in, '}')
}

// innermost is the value of a body without its envelope, and its offset.
func innermost(body []byte) (inner jsontext.Value, start int) {
	d := jsontext.NewDecoder(bytes.NewBuffer(body))
	if d.PeekKind() != '{' || expect(d, '{') != nil || d.PeekKind() != '"' {
		return body, 0
	}
	name, err := d.ReadToken()
	if err != nil || name.String() != "data" {
		return body, 0
	}
	from := d.InputOffset()
	if d.SkipValue() != nil || d.PeekKind() != '}' {
		return body, 0
	}
	inner = bytes.TrimLeft(body[from:d.InputOffset()], " \t\r\n:")
	return inner, int(d.InputOffset()) - len(inner)
}

// placesOf finds the lines of members: in YAML by their pointers, in JSON by their offsets, which must not go back.
func placesOf(source []byte, tree *yaml.Node) func(jsontext.Pointer, int) model.Position {
	if tree != nil {
		return func(pointer jsontext.Pointer, _ int) model.Position { return placeInTree(tree, pointer) }
	}
	here, seen := model.Position{Line: 1, Column: 1}, 0
	return func(_ jsontext.Pointer, at int) model.Position {
		at = len(source) - len(bytes.TrimLeft(source[at:], " \t\r\n,:"))
		here, seen = here.After(source[seen:at]), at
		return here
	}
}

// placeInTree is where a member begins; nowhere when it is not written there but merged.
func placeInTree(n *yaml.Node, pointer jsontext.Pointer) (at model.Position) {
	for token := range pointer.Tokens() {
		for n != nil && n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		at = model.Position{}
		switch {
		case n == nil:
			return at
		case n.Kind == yaml.SequenceNode:
			i, err := strconv.Atoi(token)
			if err != nil || i >= len(n.Content) {
				return at
			}
			n = n.Content[i]
			at = model.Position{Line: n.Line, Column: n.Column}
		default:
			var value *yaml.Node
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
				if name := n.Content[i]; name.Value == token {
					at, value = model.Position{Line: name.Line, Column: name.Column}, n.Content[i+1]
				}
			}
			n = value
		}
	}
	return at
}

func memberNode(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}
