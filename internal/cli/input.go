package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

const (
	typeJSON = "application/json"
	typeRego = "text/plain;language=rego"
)

// unknowns is what becomes of members of a file that the call does not take.
type unknowns struct {
	IgnoreUnknown bool `help:"Send members that this ambit does not know, too: a newer server may."`
}

// fromFile is the body of an import.
type fromFile struct {
	unknowns
	File string `short:"f" required:"" file:"json" placeholder:"FILE" help:"The object as JSON or YAML; - reads standard input."`
}

// fromRego is the body of an import of policies or building blocks.
type fromRego struct {
	unknowns
	File string `short:"f" required:"" file:"rego" placeholder:"FILE" help:"The Rego; - reads standard input. A policy may also be its JSON or YAML form."`
}

// fromFlags is the body of a write whose members have flags of their own.
type fromFlags struct {
	unknowns
	File string `short:"f" file:"json" placeholder:"FILE" help:"Members as JSON or YAML; - reads standard input. Flags go above it."`
}

// fileName is how messages name a file of the command line.
func fileName(path string) string {
	if path == "-" {
		return "standard input"
	}
	return path
}

// readFile takes the body from the file of the command line. A command that has nothing to write is used wrongly.
func (o *operation) readFile(target string, s Streams) error {
	takesFile := false
	for _, v := range o.values() {
		takesFile = takesFile || v.Tag.Has("file")
	}
	for _, v := range o.tagged("file") {
		if err := o.read(target, textsOf(v)[0], v.Tag.Get("file") == "rego", s); err != nil {
			return err
		}
	}
	if takesFile && o.body == nil && len(o.tagged("body")) == 0 {
		return o.usage("nothing to write: give --file or a flag that says what")
	}
	return nil
}

// fill makes the body of what the flags say, above that of the file.
func (o *operation) fill() error {
	if path, value, found := strings.Cut(o.tag("patch"), " "); found {
		return o.patch(path, jsontext.Value(value))
	}
	if values := o.tagged("patch"); len(values) > 0 {
		value, err := json.Marshal(textsOf(values[0])[0])
		if err != nil {
			return err
		}
		return o.patch(values[0].Tag.Get("patch"), value)
	}
	takesMembers := false
	for _, v := range o.values() {
		takesMembers = takesMembers || v.Tag.Has("body")
	}
	if members := o.tagged("body"); len(members) > 0 || takesMembers && o.body == nil {
		return o.overlay(members)
	}
	return nil
}

func (o *operation) patch(path string, value jsontext.Value) error {
	text, err := json.Marshal([]any{map[string]any{"op": "replace", "path": path, "value": value}}, json.Deterministic(true))
	o.body, o.contentType = text, typeJSON
	return err
}

// read takes the body from a file. JSON stays as it is, so that the server's messages fit what the user wrote.
func (o *operation) read(target, path string, rego bool, s Streams) error {
	var text []byte
	var err error
	if path == "-" {
		text, err = io.ReadAll(s.In)
	} else {
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return err
	}
	var tree *yaml.Node
	o.body, o.contentType = text, typeJSON
	kind := filepath.Ext(path)
	switch isJSON := bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) || bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")); {
	case isJSON:
	case rego && kind != ".yaml" && kind != ".yml":
		o.contentType = typeRego
		return nil
	default:
		if o.body, tree, err = jsonOf(text); err != nil {
			return fmt.Errorf("%s: %w", fileName(path), err)
		}
	}
	return o.checkMembers(target, fileName(path), text, tree, s)
}

// maxYAML bounds the text of a YAML document, whose tree takes some forty times as much memory. The server takes no JSON of that
// size.
const maxYAML = 16 << 20

// jsonOf is the JSON of a YAML document, with members, numbers and dates as they are written: some objects are kept as they came.
func jsonOf(text []byte) (body []byte, tree *yaml.Node, err error) {
	if len(text) > maxYAML {
		return nil, nil, fmt.Errorf("is YAML of more than %d bytes: only JSON may be so large", maxYAML)
	}
	var document yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil, errors.New("it is empty")
	case err != nil:
		return nil, nil, err
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, nil, errors.New("it has more than one document")
	}
	var whole any
	if err := document.Decode(&whole); err != nil { // names that stand twice, aliases of themselves or of far too much
		return nil, nil, err
	}
	var out bytes.Buffer
	if err := writeJSON(jsontext.NewEncoder(&out), &document); err != nil {
		return nil, nil, err
	}
	return bytes.TrimSpace(out.Bytes()), document.Content[0], nil
}

// writeJSON writes a node that can be decoded.
func writeJSON(e *jsontext.Encoder, n *yaml.Node) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	switch {
	case n.Kind == yaml.DocumentNode:
		return writeJSON(e, n.Content[0])
	case n.Kind == yaml.SequenceNode:
		return writeAll(e, n.Content, jsontext.BeginArray, jsontext.EndArray)
	case n.Kind == yaml.MappingNode && memberNode(n, "<<") == nil:
		return writeAll(e, n.Content, jsontext.BeginObject, jsontext.EndObject)
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!timestamp":
		return e.WriteToken(jsontext.String(n.Value))
	case n.Kind == yaml.ScalarNode && slices.Contains([]string{"!!int", "!!float"}, n.ShortTag()) && jsontext.Value(n.Value).IsValid():
		return e.WriteValue(jsontext.Value(n.Value))
	}
	var v any
	if err := n.Decode(&v); err != nil {
		return err
	}
	return json.MarshalEncode(e, v, json.Deterministic(true))
}

// writeAll writes the items of a list, or the names and values of an object.
func writeAll(e *jsontext.Encoder, nodes []*yaml.Node, begin, end jsontext.Token) error {
	if err := e.WriteToken(begin); err != nil {
		return err
	}
	write := writeJSON
	for i, n := range nodes {
		if isName := end.Kind() == '}' && i%2 == 0; isName {
			write = writeName
		}
		if err := write(e, n); err != nil {
			return err
		}
		write = writeJSON
	}
	return e.WriteToken(end)
}

func writeName(e *jsontext.Encoder, n *yaml.Node) error {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return e.WriteToken(jsontext.String(n.Value))
}

// overlay sets the members that have flags, above those of the file.
func (o *operation) overlay(members []*kong.Value) error {
	whole := map[string]any{}
	if o.body != nil {
		if err := json.Unmarshal(o.body, &whole); err != nil {
			return fmt.Errorf("the file does not hold an object: %w", err)
		}
		if inner, wrapped := whole["data"].(map[string]any); wrapped && len(whole) == 1 {
			whole = inner
		}
	}
	for _, v := range members {
		object := whole
		names := strings.Split(v.Tag.Get("body"), ".")
		for _, name := range names[:len(names)-1] {
			inner, ok := object[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				object[name] = inner
			}
			object = inner
		}
		object[names[len(names)-1]] = reflect.Indirect(v.Target).Interface()
	}
	text, err := json.Marshal(whole, json.Deterministic(true))
	o.body, o.contentType = text, typeJSON
	return err
}
