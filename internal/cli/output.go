package cli

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.yaml.in/yaml/v3"
)

// form is how results are printed.
type form struct {
	Output string `short:"o" enum:"table,json,yaml" default:"table" help:"table, or the objects of the API as json or yaml."`
}

const (
	tableForm = "table"
	yamlForm  = "yaml"
)

// rows prints the rows of a list as they come, in one of the forms.
type rows struct {
	out     io.Writer
	form    string
	columns []column
	begun   bool
}

// column is a column of a table. It never gets narrower, so that the pages of a list stand below each other.
type column struct {
	title, member string
	width         int
}

func newRows(out io.Writer, form, columns string) *rows {
	r := &rows{out: out, form: form}
	for field := range strings.FieldsSeq(columns) {
		title, name, _ := strings.Cut(field, "=")
		r.columns = append(r.columns, column{title: title, member: name, width: utf8.RuneCountInString(title)})
	}
	return r
}

func (r *rows) print(list []jsontext.Value) error {
	switch r.form {
	case tableForm:
		return r.table(list)
	case yamlForm:
		for _, row := range list {
			r.begun = true
			if err := printYAML(r.out, row, true); err != nil {
				return err
			}
		}
		return nil
	}
	for _, row := range list {
		between := ",\n  "
		if !r.begun {
			r.begun, between = true, "[\n  "
		}
		text := row.Clone()
		if err := text.Indent(jsontext.WithIndentPrefix("  "), jsontext.WithIndent("  ")); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(r.out, "%s%s", between, bytes.TrimSpace(text)); err != nil {
			return err
		}
	}
	return nil
}

// end closes the list.
func (r *rows) end() error {
	text := ""
	switch {
	case r.form == tableForm && !r.begun:
		return r.table(nil)
	case r.form != tableForm && !r.begun:
		text = "[]\n"
	case r.form != tableForm && r.form != yamlForm:
		text = "\n]\n"
	}
	_, err := io.WriteString(r.out, text)
	return err
}

func (r *rows) table(list []jsontext.Value) error {
	var lines [][]string
	if !r.begun {
		r.begun = true
		titles := make([]string, len(r.columns))
		for i, c := range r.columns {
			titles[i] = c.title
		}
		lines = append(lines, titles)
	}
	for _, row := range list {
		cells := make([]string, len(r.columns))
		for i := range r.columns {
			cells[i] = cell(row, r.columns[i].member)
			r.columns[i].width = max(r.columns[i].width, utf8.RuneCountInString(cells[i]))
		}
		lines = append(lines, cells)
	}
	for _, cells := range lines {
		line := ""
		for i, text := range cells {
			line += text
			if i < len(cells)-1 {
				line += strings.Repeat(" ", r.columns[i].width-utf8.RuneCountInString(text)+2)
			}
		}
		if _, err := fmt.Fprintln(r.out, line); err != nil {
			return err
		}
	}
	return nil
}

// lookup is a member of an object, nil when it is not there; a.b is a member of a member, a.# the number
// of items of a list.
func lookup(object jsontext.Value, path string) jsontext.Value {
	name, rest, deeper := strings.Cut(path, ".")
	var list []jsontext.Value
	if name == "#" && json.Unmarshal(object, &list) == nil {
		return jsontext.Value(strconv.Itoa(len(list)))
	}
	var members map[string]jsontext.Value
	if json.Unmarshal(object, &members) != nil {
		return nil
	}
	if deeper {
		return lookup(members[name], rest)
	}
	return members[name]
}

// member is a text of an object, "" when it has none of the name.
func member(object jsontext.Value, path string) string {
	var text string
	if json.Unmarshal(lookup(object, path), &text) != nil {
		return ""
	}
	return text
}

// cell is what a table shows of a member.
func cell(object jsontext.Value, path string) string {
	path, isTime := strings.CutSuffix(path, "|time")
	value := lookup(object, path)
	if ms, err := strconv.ParseInt(string(value), 10, 64); isTime && err == nil {
		return time.UnixMilli(ms).UTC().Format(time.RFC3339)
	}
	return plain(value)
}

// plain is a value on one line: texts as they are, lists of texts with commas, all else as JSON; "-" for nothing.
func plain(value jsontext.Value) string {
	switch value.Kind() {
	case 'n', 0:
		return "-"
	case '"':
		var text string
		_ = json.Unmarshal(value, &text) // is a text
		if text == "" {
			return "-"
		}
		return harmless(text)
	case '[':
		var list []jsontext.Value
		_ = json.Unmarshal(value, &list) // is a list
		texts := make([]string, len(list))
		for i, item := range list {
			if texts[i] = plain(item); item.Kind() == '{' || item.Kind() == '[' {
				return harmless(compact(value))
			}
		}
		if len(list) == 0 {
			return "-"
		}
		return strings.Join(texts, ",")
	}
	return harmless(compact(value))
}

func compact(value jsontext.Value) string {
	value = value.Clone()
	if value.Compact() != nil {
		return ""
	}
	return string(value)
}

// harmless keeps stored texts from steering a terminal or breaking a line.
func harmless(text string) string { return strings.Map(harmlessRune, text) }

func harmlessRune(c rune) rune {
	if unicode.IsControl(c) || unicode.Is(unicode.Bidi_Control, c) || c == '\u2028' || c == '\u2029' {
		return utf8.RuneError
	}
	return c
}

// printLine prints one line for people, whatever the values say.
func printLine(out io.Writer, format string, values ...any) error {
	_, err := fmt.Fprintln(out, harmless(fmt.Sprintf(format, values...)))
	return err
}

// people writes text for people: harmless, but for the ends of lines and tabs. Where a value must not make a line of its own,
// use printLine. Every Write must end with a whole character.
type people struct{ out io.Writer }

// Write implements io.Writer.
func (p people) Write(text []byte) (int, error) {
	clean := strings.Map(func(c rune) rune {
		if c == '\n' || c == '\t' {
			return c
		}
		return harmlessRune(c)
	}, string(text))
	if _, err := io.WriteString(p.out, clean); err != nil {
		return 0, err
	}
	return len(text), nil
}

// printObject prints one object; as a table that is a line for each member.
func printObject(out io.Writer, form string, object jsontext.Value) error {
	switch {
	case form == yamlForm:
		return printYAML(out, object, false)
	case form != tableForm || object.Kind() != '{':
		object = object.Clone()
		if err := object.Indent(jsontext.WithIndent("  ")); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s\n", object)
		return err
	}
	names, values, err := membersOf(object)
	if err != nil {
		return err
	}
	width := 0
	for _, name := range names {
		width = max(width, utf8.RuneCountInString(name))
	}
	for i, name := range names {
		if _, err := fmt.Fprintf(out, "%-*s  %s\n", width, name, plain(values[i])); err != nil {
			return err
		}
	}
	return nil
}

// membersOf are the members of an object in their order.
func membersOf(object jsontext.Value) (names []string, values []jsontext.Value, err error) {
	d := jsontext.NewDecoder(bytes.NewReader(object))
	err = members(d, func(name string) error {
		value, err := d.ReadValue()
		names, values = append(names, name), append(values, value.Clone())
		return err
	})
	return names, values, err
}

// printVariables prints members as NAME=value lines that a shell reads.
func printVariables(out io.Writer, pairs string, object jsontext.Value) error {
	for pair := range strings.FieldsSeq(pairs) {
		name, path, _ := strings.Cut(pair, "=")
		if value := member(object, path); value != "" {
			if _, err := fmt.Fprintf(out, "%s=%s\n", name, quoted(value)); err != nil {
				return err
			}
		}
	}
	return nil
}

// quoted is a text as a shell reads it back.
func quoted(text string) string {
	unsafe := func(c rune) bool {
		return c > unicode.MaxASCII || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !strings.ContainsRune("_-.:/", c)
	}
	if !strings.ContainsFunc(text, unsafe) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// printYAML prints a value, or the item of a list, with members and numbers as they came.
func printYAML(out io.Writer, value jsontext.Value, item bool) error {
	node, err := yamlOf(jsontext.NewDecoder(bytes.NewReader(value)))
	if err != nil {
		return err
	}
	if item {
		node = &yaml.Node{Kind: yaml.SequenceNode, Content: []*yaml.Node{node}}
	}
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	if err := e.Encode(node); err != nil {
		return err
	}
	return e.Close()
}

func yamlOf(d *jsontext.Decoder) (*yaml.Node, error) {
	switch d.PeekKind() {
	case '{':
		node := &yaml.Node{Kind: yaml.MappingNode}
		err := members(d, func(name string) error {
			value, err := yamlOf(d)
			node.Content = append(node.Content, yamlText(name), value)
			return err
		})
		return node, err
	case '[':
		node := &yaml.Node{Kind: yaml.SequenceNode}
		err := elements(d, func() error {
			value, err := yamlOf(d)
			node.Content = append(node.Content, value)
			return err
		})
		return node, err
	}
	token, err := d.ReadToken()
	if err != nil {
		return nil, err
	}
	if token.Kind() == '"' {
		return yamlText(token.String()), nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Value: token.String()}, nil
}

// yamlText is a text; one that reads like something else is put in quotes, and one of several lines is a block.
func yamlText(text string) *yaml.Node {
	var node yaml.Node
	node.SetString(text)
	return &node
}
