package rego

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// faultCase is a case of testdata/faults.txt.
type faultCase struct {
	title, frame string
	options      []string
	text         string
	want         []string // code and text, in order of position
}

func faultCases(t testing.TB) []faultCase {
	var cases []faultCase
	for _, section := range strings.Split("\n"+file(t, "faults.txt"), "\n=== ")[1:] {
		head, body, _ := strings.Cut(section, "\n")
		before, title, _ := strings.Cut(head, ": ")
		words := strings.Split(before, ", ")
		c := faultCase{title: title, frame: words[0], options: words[1:]}
		parts := strings.Split("\n"+body, "\n--- ")
		c.text = expand(strings.TrimPrefix(parts[0], "\n") + "\n")
		for _, w := range parts[1:] {
			if w == "" {
				c.text += "--- \n"
				continue
			}
			c.want = append(c.want, expand(strings.TrimSuffix(w, "\n")))
		}
		cases = append(cases, c)
	}
	return cases
}

var repeated = regexp.MustCompile(`\{(\d+)\}`)

// expand writes {n} as n letters.
func expand(s string) string {
	return repeated.ReplaceAllStringFunc(s, func(m string) string {
		n, _ := strconv.Atoi(m[1 : len(m)-1])
		return strings.Repeat("é", n)
	})
}

const (
	frameHead  = "# METADATA\n# custom:\n#   plainid:\n#     name: P\n#     accessType: Allow\npackage policy\n"
	frameGroup = "\n# METADATA\n# custom:\n#   plainid:\n#     name: G\ndynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n}\n"
	frameRules = "\n# METADATA\n# custom:\n#   plainid:\n#     name: R\nruleset(asset) if {\n\tasset.template == \"Cargo\"\n}\n"
)

// framed puts the text of a case into a module.
func (c *faultCase) framed() string {
	function := func(head string) string {
		return "\n# METADATA\n# custom:\n#   plainid:\n#     name: X\n" + head + " if {\n" + c.text + "}\n"
	}
	keys := func() string {
		var b strings.Builder
		for _, l := range strings.Split(strings.TrimSuffix(c.text, "\n"), "\n") {
			// a mark at the start of a line means the start of the comment's line where the line is the position
			if rest, ok := strings.CutPrefix(l, "▶"); ok && strings.HasPrefix(c.title, "RG-102") {
				b.WriteString("▶#     " + rest + "\n")
				continue
			}
			b.WriteString("#     " + l + "\n")
		}
		return b.String()
	}
	newer := frameHead + "import rego.v1\n"
	switch c.frame {
	case "module":
		return c.text
	case "header":
		return "# METADATA\n# custom:\n#   plainid:\n" + keys() + "package policy\n" + frameGroup + frameRules
	case "block":
		return newer + frameGroup + frameRules + "\n# METADATA\n# custom:\n#   plainid:\n" + keys() +
			"dynamic_group(identity) if {\n\tidentity.template == \"Crew\"\n}\n"
	case "imports":
		return frameHead + c.text + frameGroup + frameRules
	case "after":
		return newer + frameGroup + frameRules + c.text
	}
	heads := map[string]string{
		"group": "dynamic_group(identity)", "ruleset": "ruleset(asset, identity, requestParams, action)",
		"ip": "condition_ip(env)", "time": "condition(env)", "request": "condition_request(requestParams)",
	}
	return newer + frameGroup + frameRules + function(heads[c.frame])
}

func (c *faultCase) parseOptions() Options {
	opt := worldOptions()
	for _, o := range c.options {
		switch o {
		case "strict":
			opt.Catalog = strict{}
		case "blocks":
			opt.Package = PackageBuildingBlocks
		case "identity":
			opt.Target = TargetIdentity
		case "authorization":
			opt.Target = TargetAuthorization
		}
	}
	return opt
}

// unmark removes the marks and gives their positions.
func unmark(marked string) (text string, at []position) {
	here := position{1, 1}
	var b strings.Builder
	for _, r := range marked {
		switch r {
		case '▶':
			at = append(at, here)
			continue
		case '\n':
			here = position{here.line + 1, 1}
		default:
			here.column++
		}
		b.WriteRune(r)
	}
	return b.String(), at
}

func codes(list model.Errors) []string {
	var out []string
	for _, e := range list {
		out = append(out, e.Pos.String()+": "+e.Code+" "+e.Message)
	}
	return out
}

// parseAll gives errors and warnings together in order of position.
func parseAll(text string, opt Options) model.Errors {
	_, all, err := Parse([]byte(text), opt)
	var errs model.Errors
	if errors.As(err, &errs) {
		all = slices.Concat(errs, all)
	}
	all.Sort()
	return all
}

// PM-48, PM-50, PM-51: each code with exact text and position, several together.
func TestFaults(t *testing.T) {
	for _, c := range faultCases(t) {
		t.Run(c.title, func(t *testing.T) {
			text, at := unmark(c.framed())
			if len(at) != len(c.want) {
				t.Fatalf("%d marks for %d expected lines", len(at), len(c.want))
			}
			want := make([]string, len(at))
			for i, w := range c.want {
				want[i] = fmt.Sprintf("%d:%d: %s", at[i].line, at[i].column, w)
			}
			all := parseAll(text, c.parseOptions())
			if d := diff(want, append([]string{}, codes(all)...)); d != "" {
				t.Errorf("%s\n%s", d, text)
			}
			checkArgs(t, all)
		})
	}
}

// checkArgs checks that line and column lead the arguments of the wire form and that its <…> parts follow.
func checkArgs(t *testing.T, all model.Errors) {
	t.Helper()
	for _, e := range all {
		if len(e.Args) < 2 || e.Args[0] != strconv.Itoa(e.Pos.Line) || e.Args[1] != strconv.Itoa(e.Pos.Column) || e.Name == "" {
			t.Errorf("%s: args %q, name %q", e.Text(), e.Args, e.Name)
			continue
		}
		for _, part := range e.Args[2:] {
			if !strings.Contains(e.Message, part) {
				t.Errorf("%s: part %q", e.Message, part)
			}
		}
	}
}

// Every code of policy-model.md 7 that a module alone can cause stands in the cases or in a test of its own below.
func TestFaultsAreComplete(t *testing.T) {
	elsewhere := []string{
		"RG-002", "RG-003", "RG-403", // below
		"RG-308", "RG-405", // found by package manage, which knows what is stored
	}
	seen := map[string]bool{}
	for _, c := range faultCases(t) {
		for _, w := range c.want {
			seen[w[:strings.IndexByte(w, ' ')]] = true
		}
	}
	for code := range forms {
		if seen[code] == slices.Contains(elsewhere, code) {
			t.Errorf("%s: in the cases: %t", code, seen[code])
		}
	}
}

func TestFaultKinds(t *testing.T) {
	for code, kind := range map[string]model.Kind{
		"RG-003": model.KindTooLarge, "RG-112": model.KindNotOffered,
		"RG-306": model.KindNotOffered, "RG-001": model.KindInvalid, "RG-308": model.KindInvalid, "none": model.KindInternal,
	} {
		if got := Fault(code, model.Position{}, "a", "b").Kind; got != kind {
			t.Errorf("%s: kind %d", code, got)
		}
	}
	e := Fault("RG-405", model.Position{File: "a.rego", Line: 3, Column: 7}, "All")
	if e.Text() != `a.rego:3:7: "All" is predefined and cannot be changed` || !slices.Equal(e.Args, []string{"3", "7", "All"}) {
		t.Error(e.Text(), e.Args)
	}
}

// PM-48 RG-002.
func TestEncoding(t *testing.T) {
	for text, want := range map[string]string{
		"package\xff":                "1:8: RG-002 the text is not valid UTF-8",
		"ü\nü\ufffd\xc3(":            "2:3: RG-002 the text is not valid UTF-8",
		"\ufeffpackage \xed\xa0\x80": "1:9: RG-002 the text is not valid UTF-8",
		"":                           `1:1: RG-001 unexpected end of text, expected "package"`,
		"\n\n# x":                    `3:4: RG-001 unexpected end of text, expected "package"`,
	} {
		if got := codes(parseAll(text, Options{})); !slices.Equal(got, []string{want}) {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// PM-55, PM-48 RG-003, RG-403: limits.
func TestLimits(t *testing.T) {
	big := strings.Repeat(" ", 4<<20) + "x"
	if got := codes(parseAll(big, Options{})); !slices.Equal(got, []string{"1:1: RG-003 the module has 4194305 bytes, the limit is 4194304"}) {
		t.Errorf("%q", got)
	}
	block := func(n int) string { return strings.ReplaceAll(frameGroup, "name: G", fmt.Sprintf("name: G%d", n)) }
	var many strings.Builder
	for i := range 201 {
		many.WriteString(block(i))
	}
	line := strings.Count(frameHead+many.String()[:strings.LastIndex(many.String(), "dynamic_group")], "\n") + 1
	want := fmt.Sprintf("%d:1: RG-403 201 DynamicGroup blocks, the limit is 200", line)
	if got := codes(parseAll(frameHead+many.String()+frameRules, Options{})); !slices.Equal(got, []string{want}) {
		t.Errorf("%q", got)
	}
	text := frameHead + strings.Repeat(frameGroup, 501) + frameRules
	if got := codes(parseAll(text, Options{})); len(got) != 1 || !strings.HasSuffix(got[0], `RG-403 501 branches of "G", the limit is 500`) {
		t.Errorf("%q", got)
	}
	if got := codes(parseAll(text, Options{Limits: Limits{Branches: 501}})); len(got) != 0 {
		t.Errorf("%q", got)
	}
	line51 := "package building_blocks\n" + strings.Join(func() (out []string) {
		for i := range 51 {
			out = append(out, block(i))
		}
		return out
	}(), "")
	got := codes(parseAll(line51, Options{Package: PackageBuildingBlocks}))
	if len(got) != 1 || !strings.HasSuffix(got[0], "RG-403 51 building blocks, the limit is 50") {
		t.Errorf("%q", got)
	}
	c := faultCase{frame: "ruleset", text: "\tasset.template == \"Cargo\"\n" + strings.Repeat("\tasset[\"class\"] == \"a\"\n", 201)}
	if got := codes(parseAll(c.framed(), worldOptions())); len(got) != 1 || !strings.HasSuffix(got[0], "RG-403 201 rules in a branch, the limit is 200") {
		t.Errorf("%q", got)
	}
	c.text = "\tasset.template == \"Cargo\"\n\tasset[\"class\"] in [" + strings.Repeat("\"a\",", 10_001) + "]\n"
	if got := codes(parseAll(c.framed(), worldOptions())); len(got) != 1 || !strings.HasSuffix(got[0], "RG-403 10001 values in a list, the limit is 10000") {
		t.Errorf("%q", got)
	}
	c = faultCase{frame: "ip", text: strings.Repeat("\tnot net.cidr_contains(\"10.0.0.0/8\", env.sourceIp)\n", 201)}
	if got := codes(parseAll(c.framed(), worldOptions())); len(got) != 1 || !strings.HasSuffix(got[0], "RG-403 201 address blocks in a condition, the limit is 200") {
		t.Errorf("%q", got)
	}
}

// PM-48: at most 100 errors, the first ones by position, even of a text that has a million.
func TestManyErrors(t *testing.T) {
	text := frameHead + "\n# METADATA\n# custom:\n#   plainid:\n#     kind: Nothing\ndynamic_group(identity) if {\n" +
		strings.Repeat("\tx\n", 500_000) + "}\n"
	all := parseAll(text, worldOptions())
	if len(all) != limitErrors || all[0].Code != "RG-104" || all[99].Pos.Line != all[0].Pos.Line+100 {
		t.Error(len(all), all[0].Text(), all[len(all)-1].Text())
	}
	if utf8.RuneCountInString(all[1].Message) > 200 {
		t.Error(all[1].Message)
	}
}
