// Package policytest runs tests of policies: files *.test.yaml that state who may do what, judged by the engine on a
// snapshot of the policies beside them, without a server.
//
// Start at Parse and Run, then Report. A test fails closed: a file that cannot be read, an unknown type, action or
// identity is an error, never a passed test. The package does no I/O and must never judge by itself: every answer is the
// engine's.
package policytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
)

// File is one *.test.yaml.
type File struct {
	Path       string              `yaml:"-"`
	Identities map[string]Identity `yaml:"identities"` // by the name that tests use
	Assets     []Asset             `yaml:"assets"`
	Tests      []Test              `yaml:"tests"`
}

// Identity is someone a test asks for. Values that the directory stores under the same id are replaced as a whole.
type Identity struct {
	Template   model.TemplateID    `yaml:"template"`
	ID         string              `yaml:"id"`
	Inactive   bool                `yaml:"inactive"`
	Attributes map[string]values   `yaml:"attributes"`
	Rows       []map[string]values `yaml:"rows"`
}

// Asset is something a test asks about.
type Asset struct {
	Type       model.TemplateID  `yaml:"type"`
	Path       string            `yaml:"path"`
	Attributes map[string]values `yaml:"attributes"`
}

// Test is one question with what must come out: decisions, complete lists by asset type, or both.
type Test struct {
	Name     string                                   `yaml:"name"`
	Identity values                                   `yaml:"identity"` // names in File.Identities
	Request  Request                                  `yaml:"request"`
	Decide   []Decide                                 `yaml:"decide"`
	List     map[model.TemplateID]map[string][]string `yaml:"list"` // type to path to actions
	line     int
}

// Request is what a call would carry beside the identity.
type Request struct {
	Applications []model.ApplicationID `yaml:"applications"` // absent = all
	Time         string                `yaml:"time"`         // RFC 3339; its offset is the zone of the request
	RemoteIP     string                `yaml:"remoteIp"`
	Environment  map[string]values     `yaml:"environment"`
	RowByRow     bool                  `yaml:"combinedMultiValue"`
}

// Decide is a yes/no question. Reason, when it is given, is the code of the denial.
type Decide struct {
	Action string           `yaml:"action"`
	Type   model.TemplateID `yaml:"type"`
	Path   string           `yaml:"path"`
	Allow  *bool            `yaml:"allow"`
	Reason string           `yaml:"reason"`
	line   int
}

// values is one text or several; numbers and booleans are taken as they are written.
type values []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (v *values) UnmarshalYAML(n *yaml.Node) error {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, item := range list {
		if item.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: a value or a list of values is wanted", item.Line)
		}
		if item.Tag != "!!null" {
			*v = model.Union(*v, []string{item.Value})
		}
	}
	return nil
}

// UnmarshalYAML implements yaml.Unmarshaler: it keeps the line.
func (t *Test) UnmarshalYAML(n *yaml.Node) error {
	type plain Test
	if err := known(n, "name", "identity", "request", "decide", "list"); err != nil {
		return err
	}
	err := n.Decode((*plain)(t))
	t.line = n.Line
	return err
}

// UnmarshalYAML implements yaml.Unmarshaler: it keeps the line.
func (d *Decide) UnmarshalYAML(n *yaml.Node) error {
	type plain Decide
	if err := known(n, "action", "type", "path", "allow", "reason"); err != nil {
		return err
	}
	err := n.Decode((*plain)(d))
	d.line = n.Line
	return err
}

// known refuses keys that mean nothing: a misspelt expectation must not pass.
func known(n *yaml.Node, names ...string) error {
	for i := 0; n.Kind == yaml.MappingNode && i < len(n.Content); i += 2 {
		found := false
		for _, name := range names {
			found = found || n.Content[i].Value == name
		}
		if !found {
			return fmt.Errorf("line %d: field %s not found", n.Content[i].Line, n.Content[i].Value)
		}
	}
	return nil
}

// Parse reads a test file. Unknown keys and tests that state nothing are errors.
func Parse(path string, text []byte) (*File, error) {
	f := &File{Path: path}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(f); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", path)
	}
	if len(f.Tests) == 0 {
		return nil, fmt.Errorf("%s: no tests", path)
	}
	for i := range f.Tests {
		if err := f.Tests[i].check(f); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, f.Tests[i].line, err)
		}
	}
	return f, nil
}

// Choose keeps the tests whose name contains text.
func (f *File) Choose(text string) {
	f.Tests = slices.DeleteFunc(f.Tests, func(t Test) bool { return !strings.Contains(t.Name, text) })
}

func (t *Test) check(f *File) error {
	switch {
	case t.Name == "":
		return errors.New("a test needs a name")
	case len(t.Identity) == 0:
		return errors.New("a test needs an identity")
	case len(t.Decide)+len(t.List) == 0:
		return errors.New("a test states nothing: decide or list is needed")
	}
	for _, name := range t.Identity {
		if _, ok := f.Identities[name]; !ok {
			return fmt.Errorf("identity %q is not among the file's identities", name)
		}
	}
	for _, d := range t.Decide {
		if d.Allow == nil || d.Action == "" || d.Type == "" {
			return fmt.Errorf("line %d: a decision needs action, type and allow", d.line)
		}
		if d.Reason != "" && *d.Allow {
			return fmt.Errorf("line %d: only a denial has a reason", d.line)
		}
	}
	_, err := t.Request.instant()
	if err == nil {
		_, err = t.Request.source()
	}
	return err
}

// instant is the time of the test. Without one it is always the same Monday noon, so that a test that passes today passes
// tomorrow.
func (r *Request) instant() (time.Time, error) {
	if r.Time == "" {
		return time.Date(2026, time.January, 5, 12, 0, 0, 0, time.UTC), nil
	}
	at, err := time.Parse(time.RFC3339, r.Time)
	if err != nil {
		return at, fmt.Errorf("time %q is not like 2026-07-06T09:30:00+02:00", r.Time)
	}
	return at, nil
}

func (r *Request) source() (netip.Addr, error) {
	if r.RemoteIP == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(r.RemoteIP)
	if err != nil {
		return ip, fmt.Errorf("remoteIp %q is not an address", r.RemoteIP)
	}
	return ip.Unmap(), nil
}

func attributes(from map[string]values) model.Attributes {
	out := model.Attributes{}
	for id, vs := range from {
		out[model.AttributeID(id)] = vs
	}
	return out
}
