package reference

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// document is what the page shows of an OpenAPI description. References to anything but a schema are replaced by what
// they name; those to a schema stay, as links.
type document struct {
	Info struct {
		Title, Version, Summary, Description string
	}
	Servers []struct{ URL, Description string }
	Tags    []struct{ Name, Description string }
	Paths   ordered[item]

	Components struct {
		Schemas         ordered[schema]
		SecuritySchemes ordered[securityScheme] `yaml:"securitySchemes"`
	}
}

// item is one path.
type item struct {
	Get, Put, Post, Patch, Delete *operation
}

type operation struct {
	ID          string `yaml:"operationId"`
	Tags        []string
	Summary     string
	Description string
	Deprecated  bool
	Security    []map[string][]string
	Parameters  []parameter
	RequestBody *body `yaml:"requestBody"`
	Responses   ordered[body]
}

type parameter struct {
	Name, In, Description string
	Required              bool
	Schema                *schema
	Example               value
}

// body is a request body or a response.
type body struct {
	Description string
	Required    bool
	Headers     ordered[parameter]
	Content     ordered[content]
}

// content is the body in one media type.
type content struct {
	Schema   *schema
	Example  value
	Examples ordered[namedExample]
}

type namedExample struct {
	Summary string
	Content value `yaml:"value"`
}

type securityScheme struct {
	Type, In, Name, Scheme, Description string
}

type schema struct {
	Ref                 string    `yaml:"$ref"`
	Type                yaml.Node // a name, or a list of names
	Format, Description string
	Pattern             string
	Enum                []yaml.Node
	Const, Default      value
	Minimum, Maximum    value
	MinLength           *int `yaml:"minLength"`
	MaxLength           *int `yaml:"maxLength"`
	MinItems            *int `yaml:"minItems"`
	MaxItems            *int `yaml:"maxItems"`
	ReadOnly            bool `yaml:"readOnly"`
	Required            []string
	Properties          ordered[schema]
	Additional          *additional `yaml:"additionalProperties"`
	Items               *schema
	AllOf               []schema `yaml:"allOf"`
	OneOf               []schema `yaml:"oneOf"`
	AnyOf               []schema `yaml:"anyOf"`
}

// value is any value, nil when it is not there.
type value struct{ *yaml.Node }

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *value) UnmarshalYAML(n *yaml.Node) error {
	v.Node = n
	return nil
}

// additional is additionalProperties: a schema, or whether there may be any.
type additional struct {
	Schema *schema
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (a *additional) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		return nil
	}
	return n.Decode(&a.Schema)
}

// ordered is a mapping in the order in which it was written: an author's order says what matters.
type ordered[T any] []entry[T]

type entry[T any] struct {
	Key   string
	Value T
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *ordered[T]) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("%d: a mapping is expected", n.Line)
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		e := entry[T]{Key: n.Content[i].Value}
		if err := n.Content[i+1].Decode(&e.Value); err != nil {
			return err
		}
		*o = append(*o, e)
	}
	return nil
}

const schemas = "#/components/schemas/"

// parse reads a description. A reference that leads nowhere is an error with its line.
func parse(text string) (*document, error) {
	var root yaml.Node
	if err := yaml.Unmarshal([]byte(text), &root); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	if len(root.Content) != 1 {
		return nil, errors.New("description: it is empty")
	}
	in := inliner{root: root.Content[0]}
	in.inline(in.root, 0)
	if err := errors.Join(in.problems...); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	var d document
	if err := in.root.Decode(&d); err != nil {
		return nil, fmt.Errorf("description: %w", err)
	}
	return &d, nil
}

// inliner replaces references by what they name.
type inliner struct {
	root     *yaml.Node
	problems []error
}

// maxDepth is deeper than any description nests; only references in a circle go beyond.
const maxDepth = 100

func (in *inliner) inline(n *yaml.Node, depth int) {
	if depth > maxDepth {
		in.problems = append(in.problems, fmt.Errorf("%d: references in a circle", n.Line))
		return
	}
	if to := reference(n); to != "" {
		target := in.find(to)
		if target == nil {
			in.problems = append(in.problems, fmt.Errorf("%d: %s leads nowhere", n.Line, to))
			return
		}
		if strings.HasPrefix(to, schemas) {
			return
		}
		*n = *target
		in.inline(n, depth+1)
		return
	}
	for _, child := range n.Content {
		in.inline(child, depth+1)
	}
}

// reference is where the node refers to, "" when it is no reference.
func reference(n *yaml.Node) string {
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "$ref" {
		return n.Content[1].Value
	}
	return ""
}

func (in *inliner) find(to string) *yaml.Node {
	path, local := strings.CutPrefix(to, "#/")
	if !local {
		return nil
	}
	n := in.root
	for name := range strings.SplitSeq(path, "/") {
		if n = member(n, name); n == nil {
			return nil
		}
	}
	return n
}

func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// call is an operation with its place.
type call struct {
	Method, Path string
	operation
}

// calls lists the operations of one tag in the order of the description.
func (d *document) calls(tag string) []call {
	var out []call
	for _, p := range d.Paths {
		for _, m := range []struct {
			method string
			op     *operation
		}{{"GET", p.Value.Get}, {"POST", p.Value.Post}, {"PUT", p.Value.Put}, {"PATCH", p.Value.Patch}, {"DELETE", p.Value.Delete}} {
			if m.op != nil && slices.Contains(m.op.Tags, tag) {
				out = append(out, call{m.method, p.Key, *m.op})
			}
		}
	}
	return out
}
