package rego

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

// seeds are the modules of testdata and all cases of faults.txt.
func seeds(t testing.TB) []string {
	paths, err := filepath.Glob("testdata/*.rego")
	if err != nil || len(paths) == 0 {
		t.Fatal("no seeds", err)
	}
	var out []string
	for _, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(b))
	}
	for _, c := range faultCases(t) {
		text, _ := unmark(c.framed())
		out = append(out, text)
	}
	return out
}

// PM-45, PM-46, PM-48: Parse never panics; its errors are ordered, at most 100, with positions inside the text; what it
// accepts is Rego, and prints to a text that OPA compiles, that is the same policy and that prints to itself.
func FuzzParse(f *testing.F) {
	for _, s := range seeds(f) {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, named bool) { checkText(t, text, named) })
}

// failer is the part of testing.T and rapid.T that checks need.
type failer interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// checkText reports whether text is accepted, after checking what FuzzParse promises.
func checkText(t failer, text string, named bool) bool {
	opt := Options{}
	if named {
		opt = worldOptions()
	}
	if strings.Contains(text, "building_blocks") {
		opt.Package = PackageBuildingBlocks
	}
	m, _, err := Parse([]byte(text), opt)
	if err != nil {
		checkErrors(t, text, err)
		return false
	}
	checkIsRego(t, text)
	again := reprint(t, m, opt)
	if problem := compile(again); problem != "" {
		t.Fatalf("%s\n%s", problem, again)
	}
	n, _, err := Parse([]byte(again), opt)
	if err != nil {
		t.Fatalf("%v\n%s", err, again)
	}
	if d := diff(again, reprint(t, n, opt)); d != "" {
		t.Fatal(d)
	}
	for i := range m.Blocks {
		j := slices.IndexFunc(n.Blocks, func(b ParsedBlock) bool { return b.Block.ID == blockID(m, i) })
		want := m.Blocks[i].Block
		want.ID = blockID(m, i)
		want.Name = n.Blocks[j].Block.Name // an id alone names a stored block
		if d := diff(want, n.Blocks[j].Block); d != "" {
			t.Fatal(d)
		}
	}
	return true
}

// The promises of FuzzParse for modules that are right but for a few changed tokens: most of them are still texts that
// mean something. Texts cut from modules of both styles, and words of Rego that Structured Rego does not have, are put in.
func TestChangedTokens(t *testing.T) {
	var modules [][]string
	words := []string{
		"some", "every", "with", "else", "default", "not", "not ", ":=", "=", "{", "}", "[", "]", "(", ")", ";", "\n", " ", "\t",
		".", ",", "+", "-", "`a\nb`", `"\u00e9"`, `"\ud83d\ude00"`, "\"\\ud800\"", "1e400", "-0", "01", "1.", ".5", "data", "input", "env", "true",
		"#", "# METADATA\n", "if", "in", "in ", "contains", "\r\n", "\r", "\ufeff", "é", "$", "identity.in", "asset.template", "import data.x\n",
		"null", "identity", "requestParams", "ruleset_3", "dynamic_group7", "action",
	}
	for _, name := range []string{"example.rego", "older.rego", "blocks.rego"} {
		text := file(t, name)
		modules = append(modules, pieceTokens(text))
		words = append(words, pieceTokens(text)...)
	}
	accepted := 0
	rapid.Check(t, func(t *rapid.T) {
		tokens := slices.Clone(rapid.SampledFrom(modules).Draw(t, "module"))
		for range rapid.IntRange(1, 3).Draw(t, "changes") {
			i := rapid.IntRange(0, len(tokens)-1).Draw(t, "at")
			word := rapid.SampledFrom(words).Draw(t, "word")
			switch rapid.IntRange(0, 3).Draw(t, "change") {
			case 0:
				tokens = slices.Delete(tokens, i, i+1)
			case 1:
				tokens = slices.Insert(tokens, i, word)
			case 2:
				tokens[i] = word
			case 3:
				tokens = slices.Insert(tokens, i, tokens[i])
			}
		}
		if checkText(t, strings.Join(tokens, ""), rapid.Bool().Draw(t, "named")) {
			accepted++
		}
	})
	if accepted == 0 {
		t.Error("no changed text was accepted: the test tests nothing")
	}
}

// pieceTokens cuts text at its tokens; blanks and comments are pieces too.
func pieceTokens(text string) []string {
	tokens, _ := scan(text)
	var out []string
	last := int32(0)
	for _, k := range tokens {
		if k.start > last {
			out = append(out, text[last:k.start])
		}
		if k.end > k.start {
			out = append(out, text[k.start:k.end])
		}
		last = k.end
	}
	return out
}

func blockID(m *Module, i int) model.BlockID {
	if id := m.Blocks[i].Block.ID; id != "" {
		return id
	}
	return model.PredefinedBlockID(m.Blocks[i].Block.Kind, model.TemplateID(string(rune('a'+i))))
}

// reprint prints the module as stored; a block that only has an id gets a name, as its stored one has.
func reprint(t failer, m *Module, opt Options) string {
	stored := *m
	stored.Blocks = slices.Clone(m.Blocks)
	var blocks []model.Block
	var ids []model.BlockID
	for i := range stored.Blocks {
		b := &stored.Blocks[i].Block
		b.ID = blockID(m, i)
		if b.Name == "" {
			b.Name = "stored"
		}
		blocks = append(blocks, *b)
		ids = append(ids, b.ID)
	}
	if opt.Package == PackageBuildingBlocks {
		return string(PrintBlocks(blocks, extended()))
	}
	p := stored.Resolve(ids)
	if p.ID == "" {
		p.ID = "made"
	}
	out, err := PrintPolicy(p, find(blocks), extended())
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func checkErrors(t failer, text string, err error) {
	var errs model.Errors
	if !errors.As(err, &errs) || len(errs) == 0 || len(errs) > limitErrors {
		t.Fatal(err)
	}
	lines := strings.Count(text, "\n") + 1
	for i, e := range errs {
		if e.Code == "" || e.Pos.Line < 1 || e.Pos.Line > lines || e.Pos.Column < 1 || e.Kind == model.KindInternal {
			t.Fatalf("%s %s of %d lines", e.Code, e.Text(), lines)
		}
		if i > 0 && (errs[i-1].Pos.Line > e.Pos.Line || errs[i-1].Pos.Line == e.Pos.Line && errs[i-1].Pos.Column > e.Pos.Column) {
			t.Fatalf("%s comes before %s", errs[i-1].Text(), e.Text())
		}
	}
}

// checkIsRego checks that OPA can parse what we accept. Structured Rego is wider in two places (policy-model.md 6.3):
// blanks may stand between any two terminals, and separators may be repeated.
func checkIsRego(t failer, text string) {
	if _, err := opaParse(text); err == nil {
		return
	}
	if _, err := opaParse(tidy(text)); err != nil {
		t.Fatalf("accepted, but no Rego: %v\n%s", err, text)
	}
}

// tidy writes the tokens of text with no newline in brackets, no blank before or behind a dot, none before a bracket
// that belongs to a name, and no separator where nothing is separated.
func tidy(text string) string {
	text = strings.TrimPrefix(text, "\ufeff")
	tokens, _ := scan(text)
	var b strings.Builder
	last, separated, depth := "", true, 0
	for i, k := range tokens {
		word := text[k.start:k.end]
		switch {
		case k.kind == tokenNewline:
			if depth == 0 {
				b.WriteString("\n")
			}
			continue
		case word == "(" || word == "[":
			depth++
		case word == ")" || word == "]":
			depth--
		case word == ";":
			next := i + 1
			for tokens[next].kind == tokenNewline || text[tokens[next].start:tokens[next].end] == ";" {
				next++
			}
			if separated || text[tokens[next].start:tokens[next].end] == "}" {
				continue
			}
			b.WriteString("\n")
			separated = true
			continue
		}
		belongs := (word == "[" || word == "(") && (last == ")" || last == "]" || isLetter((last + " ")[0]) && last != "in" && last != "if")
		if last != "." && word != "." && !belongs {
			b.WriteString(" ")
		}
		b.WriteString(word)
		last, separated = word, word == "{"
	}
	return b.String()
}
