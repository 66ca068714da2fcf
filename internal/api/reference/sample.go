package reference

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v3"
)

// compact writes a YAML value as JSON on one line, in the order of the description.
func compact(n *yaml.Node) string {
	var b bytes.Buffer
	writeJSON(&b, n)
	return b.String()
}

// indented is compact over several lines.
func indented(n *yaml.Node) string {
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(compact(n)), "", "  "); err != nil {
		return compact(n)
	}
	return b.String()
}

func writeJSON(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				b.WriteByte(',')
			}
			writeScalar(b, n.Content[i].Value)
			b.WriteByte(':')
			writeJSON(b, n.Content[i+1])
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, child := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			writeJSON(b, child)
		}
		b.WriteByte(']')
	case yaml.AliasNode:
		writeJSON(b, n.Alias)
	default:
		var value any
		if n.ShortTag() == "!!timestamp" || n.Decode(&value) != nil {
			value = n.Value
		}
		writeScalar(b, value)
	}
}

func writeScalar(b *bytes.Buffer, value any) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if e.Encode(value) != nil {
		_ = e.Encode(nil) // a number that JSON has not, like .nan
	}
	b.Truncate(b.Len() - 1) // the encoder's newline
}

// sample is the example as it travels in the media type.
func sample(media string, n *yaml.Node) string {
	if n == nil {
		return ""
	}
	if isJSON(media) {
		return indented(n)
	}
	if n.Kind == yaml.ScalarNode {
		return n.Value
	}
	return compact(n)
}

func isJSON(media string) bool {
	media, _, _ = strings.Cut(media, ";")
	return media == "application/json" || strings.HasSuffix(media, "+json")
}

// curl is the command that makes the call: what the reader has to fill in stands as variables.
func (c call) curl() string {
	words := []string{"curl -sg"}
	if c.Method != http.MethodGet && (c.Method != http.MethodPost || c.RequestBody == nil) {
		words = append(words, "-X "+c.Method)
	}
	words = append(words, `"$AMBIT_URL`+variables(c.Path)+c.query()+`"`)
	words = append(words, c.login()...)
	if c.RequestBody != nil && len(c.RequestBody.Content) > 0 {
		words = append(words, payload(c.RequestBody.Content[0])...)
	}
	return strings.Join(words, " \\\n  ")
}

// query names the parameters that have to be given.
func (c call) query() string {
	var parts []string
	for _, p := range c.Parameters {
		if p.In == "query" && p.Required {
			parts = append(parts, p.Name+"="+variable(p.Name))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "?" + strings.Join(parts, "&")
}

func (c call) login() []string {
	var words []string
	if len(c.Security) == 0 {
		return nil
	}
	strongest := c.Security[len(c.Security)-1] // an empty one first means: or in the request
	for _, known := range []struct{ scheme, word string }{
		{"managementToken", `-H "Authorization: Bearer $TOKEN"`},
		{"credentialBasic", `-u "$AMBIT_ADMIN_ID:$AMBIT_ADMIN_SECRET"`},
		{"scopeId", `-H "X-Client-Id: $AMBIT_CLIENT_ID"`},
		{"scopeSecret", `-H "X-Client-Secret: $AMBIT_CLIENT_SECRET"`},
	} {
		if _, needed := strongest[known.scheme]; needed {
			words = append(words, known.word)
		}
	}
	return words
}

// payload gives the body in the first of its media types.
func payload(c entry[content]) []string {
	example := c.Value.first()
	if c.Key == "application/x-www-form-urlencoded" {
		var words []string
		if example != nil {
			for i := 0; i+1 < len(example.Content); i += 2 {
				words = append(words, "--data-urlencode "+quoted(example.Content[i].Value+"="+example.Content[i+1].Value))
			}
		}
		return words
	}
	words := []string{"-H " + quoted("Content-Type: "+c.Key)}
	switch {
	case example == nil:
		return append(words, "--data-binary @body")
	case isJSON(c.Key):
		return append(words, "-d "+quoted(compact(example)))
	}
	return append(words, "--data-binary "+quoted(sample(c.Key, example)))
}

// first is the example to show where there is room for one.
func (c content) first() *yaml.Node {
	if c.Example.Node == nil && len(c.Examples) > 0 {
		return c.Examples[0].Value.Content.Node
	}
	return c.Example.Node
}

// quoted is one word of a POSIX shell.
func quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// variables puts shell variables for the parameters of a path.
func variables(path string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(path, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		b.WriteString(variable(name))
		path = after
	}
}

// variable is the shell variable of a parameter: filter[authWsId] is $AUTH_WS_ID. The environment is the one that the
// commands of the guide use.
func variable(name string) string {
	if i := strings.LastIndex(name, "["); i >= 0 {
		name = strings.TrimSuffix(name[i+1:], "]")
	}
	if name == "envId" {
		return "$AMBIT_ENV_ID"
	}
	var b strings.Builder
	b.WriteByte('$')
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}
