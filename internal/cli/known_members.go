package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/docs/api"
	"github.com/ambit-authz/ambit/internal/model"
)

// The API passes over members that it does not know. In a file such a member is a mistake, so it is looked for here, where the
// line in the file is known, too.

// schema is a part of the description of the API, as far as it says what an object may hold.
type schema struct {
	Ref        string            `yaml:"$ref"`
	Type       any               `yaml:"type"`
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

// unknownMembers is the error of a file with members that the call does not take.
type unknownMembers []string

func (e unknownMembers) Error() string { return strings.Join(e, "\n") }

// unknownHint is what may help against members that are not known here, or at the server.
const unknownHint = "--ignore-unknown goes on with members that are not known; \"ambit version\", here and where the server is, tells who is older"

// checkMembers refuses members of a file that the call does not take, each with its line; with --ignore-unknown it lists them
// instead, and they are sent. source is the file, tree that of YAML.
func (o *operation) checkMembers(target, file string, source []byte, tree *yaml.Node, s Streams) error {
	var d apiDescription
	if err := yaml.Unmarshal([]byte(api.Description()), &d); err != nil {
		return fmt.Errorf("the description of the API: %w", err)
	}
	body, takes, err := d.file(o.method, target)
	if err != nil || takes == nil {
		return err
	}
	inner, start := innermost(o.body)
	if start > 0 && tree != nil {
		tree = memberNode(tree, "data")
	}
	ignore := o.value("ignore-unknown")
	ignored := ignore != nil && ignore.Target.Bool()
	if wanted := d.wanted(takes, inner.Kind()); wanted != "" && !ignored {
		return fmt.Errorf("%s: %s", file, wanted)
	}
	places := placesOf(source, tree)
	var found unknownMembers
	var passed model.PassedOver
	w := memberWalk{description: &d, in: jsontext.NewDecoder(bytes.NewBuffer(inner)), visit: func(pointer jsontext.Pointer, at int) {
		pos, short := places(pointer, start+at), model.ShortPointer(string(pointer))
		pos.File = file
		passed.Add("", model.PassedMember{Pos: pos, Pointer: short, Count: 1})
		if len(found) < model.MaxUnknownMembers {
			found = append(found, harmless(fmt.Sprintf("%s: %s: there is no such member", pos, short)))
		}
	}}
	if !w.whole(&known{schema: body}) || len(found) == 0 {
		return nil // the server says what is wrong
	}
	if ignored {
		for _, line := range passed.Lines("not known here, sent all the same") {
			_ = printLine(s.notes(), "note: %s", line) // there is nobody left to tell
		}
		return nil
	}
	return found
}

// file is what a file for a call may hold: what the call takes, and what it and the GET of the same path answer, since what get
// prints may be written back. takes is what the call takes, nil when that is no JSON.
func (d *apiDescription) file(method, target string) (out schema, takes *schema, err error) {
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
				return out, nil, err
			}
			for status, answer := range call.Responses {
				if strings.HasPrefix(status, "2") {
					body, _ := d.json(answer, d.Components.Responses)
					whole, _, _ := d.parts(body)
					out.AnyOf = append(out.AnyOf, whole["data"])
				}
			}
			if body, ok := d.json(call.Body, d.Components.Bodies); ok && verb != "get" {
				takes = &body
				out.AnyOf = append(out.AnyOf, body)
			}
		}
		return out, takes, nil
	}
	return out, nil, nil
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

// wanted says what a call takes where a value of a kind stands; "" when that fits.
func (d *apiDescription) wanted(s *schema, kind jsontext.Kind) string {
	object, list := d.takes(s, "object"), d.takes(s, "array")
	switch {
	case kind == '[' && object && !list:
		return "a list stands where an object is wanted"
	case kind == '{' && list && !object:
		return "an object stands where a list is wanted"
	}
	return ""
}

// takes reports whether a schema is one of values of a type, or has a part that is.
func (d *apiDescription) takes(s *schema, kind string) bool {
	if _, name, ok := strings.Cut(s.Ref, "#/components/schemas/"); ok {
		named := d.Components.Schemas[name]
		return d.takes(&named, kind)
	}
	return s.Type == kind || slices.ContainsFunc(slices.Concat(s.AllOf, s.OneOf, s.AnyOf), func(part schema) bool { return d.takes(&part, kind) })
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
