package reference

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html/template"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed page.html page.css
var files embed.FS

// view is what the template gets.
type view struct {
	*document
	Style  template.CSS
	Groups []group
}

// group is the calls of one tag.
type group struct {
	Name, Description string
	Calls             []call
}

// render makes the page and the policy under which it is served: its own style and nothing else.
func render(d *document) (page []byte, csp string, err error) {
	t, err := template.New("page.html").Funcs(template.FuncMap{
		"prose": prose, "facts": facts, "sample": sample, "value": compact, "isError": isError,
	}).ParseFS(files, "page.html")
	if err != nil {
		return nil, "", err
	}
	style, err := files.ReadFile("page.css")
	if err != nil {
		return nil, "", err
	}
	v := view{document: d, Style: template.CSS(style)} //nolint:gosec // a file of this package
	for _, tag := range d.Tags {
		v.Groups = append(v.Groups, group{tag.Name, tag.Description, d.calls(tag.Name)})
	}
	var b bytes.Buffer
	if err := t.Execute(&b, v); err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(style)
	csp = "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return b.Bytes(), csp, nil
}

// Curl is the command that makes the call.
func (c call) Curl() string { return c.curl() }

// refusal is what several statuses answer alike.
type refusal struct {
	Statuses []string
	Body     body
}

// Errors are the refusals, those with the same description together.
func (c call) Errors() []refusal {
	var out []refusal
	for _, r := range c.Responses {
		if !isError(r.Key) {
			continue
		}
		i := slices.IndexFunc(out, func(known refusal) bool { return known.Body.Description == r.Value.Description })
		if i < 0 {
			out = append(out, refusal{Body: r.Value})
			i = len(out) - 1
		}
		out[i].Statuses = append(out[i].Statuses, r.Key)
	}
	for i := range out {
		slices.Sort(out[i].Statuses)
	}
	return out
}

func isError(status string) bool {
	return strings.HasPrefix(status, "4") || strings.HasPrefix(status, "5")
}

// Login names the ways to authenticate, strongest last; "" means that none is needed.
func (c call) Login() []string {
	var out []string
	for _, way := range c.Security {
		names := make([]string, 0, len(way))
		for _, known := range []string{"managementToken", "credentialBasic", "scopeId", "scopeSecret"} {
			if _, ok := way[known]; ok {
				names = append(names, known)
			}
		}
		out = append(out, strings.Join(names, " and "))
	}
	return out
}

// Name is the name of the schema that s refers to, "" when s is written out.
func (s *schema) Name() string { return strings.TrimPrefix(s.Ref, schemas) }

// Kind is the type as people say it.
func (s *schema) Kind() string {
	switch {
	case s.Type.Kind == yaml.SequenceNode:
		var names []string
		for _, n := range s.Type.Content {
			names = append(names, n.Value)
		}
		return strings.Join(names, " or ")
	case s.Type.Value != "":
		return s.Type.Value
	case len(s.Properties) > 0:
		return "object"
	case len(s.AllOf)+len(s.OneOf)+len(s.AnyOf) > 0:
		return ""
	}
	return "any"
}

// Variants are the parts of a schema that is put together, with how.
func (s *schema) Variants() []variants {
	var out []variants
	for _, v := range []variants{{"all of", s.AllOf}, {"one of", s.OneOf}, {"any of", s.AnyOf}} {
		if len(v.Of) > 0 {
			out = append(out, v)
		}
	}
	return out
}

type variants struct {
	How string
	Of  []schema
}

// Nested is the schema of the elements or of the further properties.
func (s *schema) Nested() *schema {
	if s.Items != nil {
		return s.Items
	}
	if s.Additional != nil {
		return s.Additional.Schema
	}
	return nil
}

// This is s, for templates, which cannot take the address of an element.
func (s schema) This() *schema { return &s }

// Requires tells whether a property has to be there.
func (s *schema) Requires(name string) bool {
	return slices.Contains(s.Required, name)
}

// facts are the limits of a value.
func facts(s *schema) []string {
	var out []string
	add := func(label, text string) { out = append(out, strings.TrimSpace(label+" "+text)) }
	if s.Format != "" {
		add("", s.Format)
	}
	if len(s.Enum) > 0 {
		var values []string
		for i := range s.Enum {
			values = append(values, compact(&s.Enum[i]))
		}
		add("one of", strings.Join(values, ", "))
	}
	for _, limit := range []struct {
		label string
		value value
	}{{"always", s.Const}, {"default", s.Default}, {"from", s.Minimum}, {"to", s.Maximum}} {
		if limit.value.Node != nil {
			add(limit.label, compact(limit.value.Node))
		}
	}
	for _, limit := range []struct {
		label string
		value *int
	}{{"at least this many characters:", s.MinLength}, {"at most this many characters:", s.MaxLength}, {"at least this many:", s.MinItems}, {"at most this many:", s.MaxItems}} {
		if limit.value != nil {
			add(limit.label, strconv.Itoa(*limit.value))
		}
	}
	if s.Pattern != "" {
		add("pattern", s.Pattern)
	}
	if s.ReadOnly {
		add("", "read-only")
	}
	return out
}

// span is a run of prose; code stands in backticks in the description.
type span struct {
	Code bool
	Text string
}

// prose splits a description into paragraphs.
func prose(text string) [][]span {
	var out [][]span
	for paragraph := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		var spans []span
		for i, part := range strings.Split(paragraph, "`") {
			if part != "" {
				spans = append(spans, span{i%2 == 1, part})
			}
		}
		if len(spans) > 0 {
			out = append(out, spans)
		}
	}
	return out
}
