package cli

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
)

func parserFor(t *testing.T) *kong.Kong {
	t.Helper()
	parser, err := parserOf(new(root), Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	return parser
}

// routes are the calls of the description of the API, as "METHOD /path" with {} for every parameter.
func routes(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../docs/api/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var description struct {
		Paths map[string]map[string]yaml.Node `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &description); err != nil {
		t.Fatal(err)
	}
	var out []string
	for path, item := range description.Paths {
		for method := range item {
			out = append(out, strings.ToUpper(method)+" "+parameters.ReplaceAllString(path, "{}"))
		}
	}
	return out
}

var parameters = regexp.MustCompile(`\{[^}]*\}`)

// TestGrammar: every command of the management plane calls a route that exists, names only arguments and flags that it
// has, and shows an example that can be typed.
func TestGrammar(t *testing.T) {
	t.Setenv("AMBIT_ENV_ID", "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41")
	known := routes(t)
	calls := 0
	parser := parserFor(t)
	walk(parser.Model.Node, nil, func(path []string, n *kong.Node) {
		name := strings.Join(path, " ")
		if len(path) > 0 && !strings.HasSuffix(n.Help, ".") {
			t.Errorf("%s: the help is no sentence: %q", name, n.Help)
		}
		if !n.Tag.Has("call") {
			return
		}
		calls++
		o := operation{node: n}
		for _, call := range []string{n.Tag.Get("call"), n.Tag.Get("tenant")} {
			target, _, _ := strings.Cut(strings.ReplaceAll(call, "{E}", "/ambit/1.0/environments/{env}"), "?")
			if target != "" && !slices.Contains(known, parameters.ReplaceAllString(target, "{}")) {
				t.Errorf("%s: no route %s", name, target)
			}
			for _, p := range placeholders(call) {
				if p != "E" && o.value(p) == nil {
					t.Errorf("%s: nothing is called %s", name, p)
				}
			}
		}
		if o.value("all") != nil && len(strings.Fields(n.Tag.Get("columns"))) < 2 {
			t.Errorf("%s: a list without columns", name)
		}
		words := strings.Fields(n.Tag.Get("example"))
		if len(words) < 2 {
			t.Errorf("%s: no example", name)
			return
		}
		got, err := parser.Parse(words[1:])
		if err != nil {
			t.Errorf("%s: its example: %v", name, err)
		} else if command := strings.TrimPrefix(got.Selected().FullPath(), "ambit "); command != name {
			t.Errorf("%s: its example is about %q", name, command)
		}
	})
	if calls < 80 {
		t.Errorf("%d commands: the grammar was not walked", calls)
	}
}

func TestHelp(t *testing.T) {
	t.Setenv("AMBIT_ENV_ID", "")
	cases := []struct {
		args []string
		want []string
	}{
		{[]string{"help"}, []string{"\nRun\n", "\nAsk\n", "\nModel\n", "\nPolicies\n", "\nData\n", "\nAdministration\n", "  policies "}},
		{[]string{"help", "policies"}, []string{"policies import"}},
		{[]string{"help", "scopes", "secrets", "new"}, []string{"Example:", "ambit scopes secrets new", "--keep-old"}},
		{[]string{"templates", "rename", "--help"}, []string{"ambit templates rename Cargo Freight"}},
	}
	for _, c := range cases {
		var out, complaint bytes.Buffer
		if code := Main(c.args, Streams{In: strings.NewReader(""), Out: &out, Err: &complaint}); code != exitDone {
			t.Errorf("%v: exit code %d: %s", c.args, code, &complaint)
		}
		for _, want := range c.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: lacks %q:\n%s", c.args, want, &out)
			}
		}
	}
}
