package rego

import (
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// header is the YAML of one METADATA block: the keys under custom.plainid in order.
type header struct {
	at     position // of the word METADATA
	keys   []headerKey
	broken bool // not readable: missing keys are not reported
	source *yamlSource
}

type headerKey struct {
	position
	name  string
	value *yaml.Node
	used  bool
}

// yamlSource is the text given to the YAML reader, with what leads back from its places to those of the module.
type yamlSource struct {
	at    position
	lines []yamlLine
}

// yamlLine is one line: width blanks, then text, which stands at position in the module.
type yamlLine struct {
	position
	width int
	text  string
}

// readHeader reads a METADATA block (policy-model.md 6.5). c may be nil.
func readHeader(c *comments, r *report) *header {
	if c == nil {
		return &header{broken: true}
	}
	src := newYAMLSource(c)
	h := &header{at: c.position, source: src}
	root, at, problem := src.parse()
	if problem == "" {
		at, problem = src.refused(root)
	}
	if problem != "" {
		r.fault("RG-102", at, problem)
		h.broken = true
		return h
	}
	h.collect(root, []string{"custom", "plainid"}, r)
	return h
}

func newYAMLSource(c *comments) *yamlSource {
	src := &yamlSource{at: c.position}
	common := -1
	for _, l := range c.lines {
		rest := strings.TrimLeft(l.text, " \t")
		indent := l.text[:len(l.text)-len(rest)]
		y := yamlLine{position: l.position, width: len(indent) + strings.Count(indent, "\t"), text: rest}
		y.column += int32(len(indent))
		if rest != "" && (common < 0 || y.width < common) {
			common = y.width
		}
		src.lines = append(src.lines, y)
	}
	for i := range src.lines {
		src.lines[i].width = max(src.lines[i].width-common, 0)
	}
	src.liftCustomAttributes()
	return src
}

// liftCustomAttributes moves a customAttributes map that is indented below applications to the level of applications,
// where it belongs; as it stands it need not be YAML at all.
func (s *yamlSource) liftCustomAttributes() {
	plainid, level, below := -1, -1, false
	for i, l := range s.lines {
		switch {
		case l.text == "":
		case plainid < 0:
			if strings.TrimRight(l.text, " \t") == "plainid:" {
				plainid = l.width
			}
		case l.width <= plainid:
			return
		case level < 0 || l.width == level && !strings.HasPrefix(l.text, "-"):
			if level < 0 {
				level = l.width
			}
			below = strings.HasPrefix(l.text, "applications:")
		case below && l.width > level && strings.HasPrefix(l.text, "customAttributes:"):
			s.lift(i, l.width-level)
			return
		}
	}
}

// lift moves line i and the lines below it that are deeper to the left.
func (s *yamlSource) lift(i, by int) {
	depth := s.lines[i].width
	s.lines[i].width -= by
	for j := i + 1; j < len(s.lines) && (s.lines[j].text == "" || s.lines[j].width > depth); j++ {
		s.lines[j].width = max(s.lines[j].width-by, 0)
	}
}

// place leads from a place in the YAML text (from 1) to the module.
func (s *yamlSource) place(line, column int) position {
	if line < 1 || line > len(s.lines) {
		return s.lineStart(line)
	}
	l := s.lines[line-1]
	l.column += int32(max(column-1-l.width, 0))
	return l.position
}

// lineStart is the first character of a line of the YAML text, the METADATA line when there is no such line.
func (s *yamlSource) lineStart(line int) position {
	if line < 1 || line > len(s.lines) {
		return position{s.at.line, 1}
	}
	return position{s.lines[line-1].line, 1}
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// parse reads the text as one YAML document; root is nil when it is empty. The place of a problem is its line.
func (s *yamlSource) parse() (root *yaml.Node, at position, problem string) {
	var b strings.Builder
	for _, l := range s.lines {
		b.WriteString(strings.Repeat(" ", l.width) + l.text + "\n")
	}
	d := yaml.NewDecoder(strings.NewReader(b.String()))
	var document, second yaml.Node
	err := d.Decode(&document)
	if errors.Is(err, io.EOF) {
		return nil, position{}, ""
	}
	if err == nil {
		if err = d.Decode(&second); errors.Is(err, io.EOF) {
			return document.Content[0], position{}, ""
		}
		if err == nil {
			return nil, s.lineStart(second.Line), "there is more than one document"
		}
	}
	text := err.Error()
	found := yamlErrorLine.FindStringSubmatch(text)
	n := 0
	if len(found) == 2 {
		n, _ = strconv.Atoi(found[1])
		text = text[len(found[0]):]
	}
	return nil, s.lineStart(n), text
}

// refused finds what YAML has and metadata must not have: anchors, aliases, tags, keys that are lists or stand twice.
func (s *yamlSource) refused(n *yaml.Node) (at position, problem string) {
	switch {
	case n == nil:
		return position{}, ""
	case n.Kind == yaml.AliasNode:
		problem = "aliases are not allowed"
	case n.Anchor != "":
		problem = "anchors are not allowed"
	case n.Style&yaml.TaggedStyle != 0:
		problem = "tags are not allowed"
	}
	if problem != "" {
		return s.lineStart(n.Line), problem
	}
	seen := map[string]bool{}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			switch {
			case child.Kind == yaml.SequenceNode || child.Kind == yaml.MappingNode:
				return s.lineStart(child.Line), "a key must be a text"
			case child.Kind == yaml.ScalarNode && seen[child.Value]:
				return s.lineStart(child.Line), "key " + strconv.Quote(child.Value) + " stands more than once"
			}
			seen[child.Value] = true
		}
		if at, problem = s.refused(child); problem != "" {
			return at, problem
		}
	}
	return position{}, ""
}

// collect goes down path and keeps the keys at its end; everything beside the path is ignored.
func (h *header) collect(n *yaml.Node, path []string, r *report) {
	if n == nil || isEmpty(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		r.fault("RG-102", h.source.lineStart(n.Line), "keys and values are expected here")
		h.broken = true
		return
	}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := h.source.place(key.Line, key.Column)
		switch {
		case len(path) == 0:
			h.keys = append(h.keys, headerKey{position: at, name: key.Value, value: value})
		case key.Value == path[0]:
			h.collect(value, path[1:], r)
		default:
			r.warn("RW-05", at, "metadata key "+strconv.Quote(key.Value))
		}
	}
}

// isEmpty reports whether nothing stands where the value would be.
func isEmpty(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.Value == ""
}

// take gives the value of a key, nil when it is absent or empty, and marks the key as used.
func (h *header) take(name string) (value *yaml.Node, at position) {
	for i := range h.keys {
		if k := &h.keys[i]; k.name == name {
			k.used = true
			if isEmpty(k.value) {
				return nil, position{}
			}
			return k.value, h.source.place(k.value.Line, k.value.Column)
		}
	}
	return nil, position{}
}

// text gives the text of a key, as it stands there. ok is false when the key is absent, empty or not a text.
func (h *header) text(name string, r *report) (text string, at position, ok bool) {
	n, at := h.take(name)
	if n == nil {
		return "", at, false
	}
	if n.Kind != yaml.ScalarNode {
		r.fault("RG-102", h.source.lineStart(n.Line), strconv.Quote(name)+" must be a text")
		return "", at, false
	}
	return n.Value, at, true
}

// ignored warns of the keys that nobody took.
func (h *header) ignored(r *report) {
	for _, k := range h.keys {
		if !k.used {
			r.warn("RW-05", k.position, "metadata key "+strconv.Quote(k.name))
		}
	}
}
