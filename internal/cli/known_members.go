package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/docs/api"
)

// The API passes over members that it does not know. In a file such a member is a mistake, so it is looked for here, where the
// line in the file is known, too.

// schema is a part of the description of the API, as far as it says what an object may hold.
type schema struct {
	Ref        string            `yaml:"$ref"`
	Properties map[string]schema `yaml:"properties"`
	Items      *schema           `yaml:"items"`
	AllOf      []schema          `yaml:"allOf"`
	OneOf      []schema          `yaml:"oneOf"`
	AnyOf      []schema          `yaml:"anyOf"`
	Additional yaml.Node         `yaml:"additionalProperties"`
}

type apiBody struct {
	Ref     string `yaml:"$ref"`
	Content map[string]struct {
		Schema schema `yaml:"schema"`
	} `yaml:"content"`
}

type apiOperation struct {
	Body      apiBody            `yaml:"requestBody"`
	Responses map[string]apiBody `yaml:"responses"`
}

// apiDescription is the description of the API.
type apiDescription struct {
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Schemas   map[string]schema  `yaml:"schemas"`
		Bodies    map[string]apiBody `yaml:"requestBodies"`
		Responses map[string]apiBody `yaml:"responses"`
	} `yaml:"components"`
}

// maxUnknown is how many members of one file are named, as by the server.
const maxUnknown = 100

// checkMembers refuses members of a file that the call does not take, each with its line.
func (o *operation) checkMembers(target, file string, text []byte) error {
	var d apiDescription
	if err := yaml.Unmarshal([]byte(api.Description()), &d); err != nil {
		return fmt.Errorf("the description of the API: %w", err)
	}
	body, ok, err := d.file(o.method, target)
	if err != nil || !ok {
		return err
	}
	root := o.documentOf(text)
	if root == nil {
		return nil // the server says what is wrong
	}
	if inner := memberNode(root, "data"); inner != nil && len(root.Content) == 2 {
		root = inner
	}
	var found []string
	d.unknown(root, body, "", func(n *yaml.Node, pointer jsontext.Pointer) {
		place := file
		if n.Line > 0 {
			place = fmt.Sprintf("%s:%d:%d", file, n.Line, n.Column)
		}
		if len(found) < maxUnknown {
			found = append(found, fmt.Sprintf("%s: %s: there is no such member", place, pointer))
		}
	})
	if len(found) > 0 {
		return fmt.Errorf("%s", strings.Join(found, "\n"))
	}
	return nil
}

// documentOf is a file with its lines, or without them where it is JSON with escapes that YAML does not have; nil when it cannot be
// read.
func (o *operation) documentOf(text []byte) *yaml.Node {
	if !jsontext.Value(o.body).IsValid() { // YAML may read something into it, the server does not
		return nil
	}
	var document yaml.Node
	if jsontext.Value(text).IsValid() {
		text = bytes.ReplaceAll(text, []byte("\t"), []byte(" ")) // which YAML does not take
	}
	if yaml.Unmarshal(text, &document) == nil && len(document.Content) > 0 {
		return document.Content[0]
	}
	var plain any
	if json.Unmarshal(o.body, &plain) != nil {
		return nil
	}
	again, err := json.Marshal(plain, json.Deterministic(true))
	if err != nil || yaml.Unmarshal(again, &document) != nil || len(document.Content) == 0 {
		return nil
	}
	for n := range nodes(&document) {
		n.Line = 0
	}
	return document.Content[0]
}

// nodes are a node and all below it.
func nodes(n *yaml.Node) func(func(*yaml.Node) bool) {
	return func(yield func(*yaml.Node) bool) {
		if !yield(n) {
			return
		}
		for _, below := range n.Content {
			nodes(below)(yield)
		}
	}
}

func memberNode(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// file is what a file for a call may hold: what the call takes, and what it and the GET of the same path answer, since what get
// prints may be written back. False for a call that takes no JSON.
func (d *apiDescription) file(method, target string) (out schema, takes bool, err error) {
	target, _, _ = strings.Cut(target, "?")
	for path, item := range d.Paths {
		if shape(path) != shape(target) {
			continue
		}
		for _, verb := range []string{strings.ToLower(method), "get"} {
			var call apiOperation
			node, ok := item[verb]
			if !ok {
				continue
			}
			if err := node.Decode(&call); err != nil {
				return out, false, err
			}
			for status, answer := range call.Responses {
				if strings.HasPrefix(status, "2") {
					body, _ := d.json(answer, d.Components.Responses)
					whole, _, _ := d.parts(body)
					out.AnyOf = append(out.AnyOf, whole["data"])
				}
			}
			if body, ok := d.json(call.Body, d.Components.Bodies); ok && verb != "get" {
				takes = true
				out.AnyOf = append(out.AnyOf, body)
			}
		}
		return out, takes, nil
	}
	return out, false, nil
}

// json is the schema of a body in JSON; false when it has another form or there is none.
func (d *apiDescription) json(body apiBody, named map[string]apiBody) (schema, bool) {
	if body.Ref != "" {
		body = named[body.Ref[strings.LastIndexByte(body.Ref, '/')+1:]]
	}
	for media, content := range body.Content {
		if media == typeJSON || strings.HasSuffix(media, "+json") {
			return content.Schema, true
		}
	}
	return schema{}, false
}

// shape is a path without the names of its parameters.
func shape(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, "{") {
			parts[i] = "{}"
		}
	}
	return strings.Join(parts, "/")
}

// unknown visits the members below n that no schema has.
func (d *apiDescription) unknown(n *yaml.Node, s schema, pointer jsontext.Pointer, visit func(n *yaml.Node, pointer jsontext.Pointer)) {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	properties, items, free := d.parts(s)
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			d.unknown(item, items, pointer.AppendToken(strconv.Itoa(i)), visit)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			below := pointer.AppendToken(name)
			property, known := properties[name]
			switch {
			case known:
				d.unknown(n.Content[i+1], property, below, visit)
			case len(properties) > 0 && !free && !answered(name):
				visit(n.Content[i], below)
			}
		}
	}
}

// answered are members that answers show and writes pass over: a file may be what get printed.
func answered(name string) bool {
	return slices.Contains([]string{"createdAt", "updatedAt", "revision", "incomplete", "<<"}, name)
}

// parts are the members and the items that one of the parts of a schema has; free says that any other member may be there.
func (d *apiDescription) parts(s schema) (properties map[string]schema, items schema, free bool) {
	if _, name, ok := strings.Cut(s.Ref, "#/components/schemas/"); ok {
		return d.parts(d.Components.Schemas[name])
	}
	properties = map[string]schema{}
	for name, property := range s.Properties {
		properties[name] = property
	}
	if s.Items != nil {
		items = *s.Items
	}
	free = !s.Additional.IsZero() && s.Additional.Value != "false"
	for _, part := range slices.Concat(s.AllOf, s.OneOf, s.AnyOf) {
		more, list, open := d.parts(part)
		for name, property := range more {
			properties[name] = property
		}
		if list.Ref != "" || list.Properties != nil || list.OneOf != nil || list.AllOf != nil {
			items = list
		}
		free = free || open
	}
	return properties, items, free
}
