package rego

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

func find(blocks []model.Block) func(model.BlockID) (model.Block, bool) {
	return func(id model.BlockID) (model.Block, bool) {
		i := slices.IndexFunc(blocks, func(b model.Block) bool { return b.ID == id })
		if i < 0 {
			return model.Block{}, false
		}
		return blocks[i], true
	}
}

func extended() PrintOptions {
	return PrintOptions{Extended: true, SourceEnvironment: source, CustomAttributes: world{}.CustomAttributes()}
}

// PM-44 to PM-47: model → Rego → model is the identity, Rego → model → Rego too, and OPA compiles every export.
func TestRoundTrip(t *testing.T) {
	compiled := 0
	rapid.Check(t, func(t *rapid.T) {
		p, blocks := drawPolicy(t)
		out, err := PrintPolicy(p, find(blocks), extended())
		if err != nil {
			t.Fatal(err)
		}
		m, _, err := Parse(out, worldOptions())
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		ids := make([]model.BlockID, len(m.Blocks))
		for i, b := range m.Blocks {
			ids[i] = b.Block.ID
			if d := diff(blocks[i], b.Block); d != "" {
				t.Fatalf("%s\n%s", d, out)
			}
		}
		if d := diff(p, m.Resolve(ids)); d != "" {
			t.Fatalf("%s\n%s", d, out)
		}
		// OPA costs most of the time
		if compiled++; compiled%3 == 0 {
			judge(t, string(out))
		}
	})
}

func judge(t *rapid.T, text string) {
	m, err := opaParse(text)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if problem := opaCompile(m); problem != "" {
		t.Fatalf("%s\n%s", problem, text)
	}
}

// PM-38 to PM-42: the same policy in other clothes, both styles, exports as the same text.
func TestStyles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, blocks := drawPolicy(t)
		out, err := PrintPolicy(p, find(blocks), extended())
		if err != nil {
			t.Fatal(err)
		}
		dressed := dress(t, string(out))
		m, _, err := Parse([]byte(dressed), worldOptions())
		if err != nil {
			t.Fatalf("%v\n%s", err, dressed)
		}
		ids := make([]model.BlockID, len(m.Blocks))
		for i, b := range m.Blocks {
			ids[i] = b.Block.ID
			blocks[i] = b.Block
		}
		again, err := PrintPolicy(m.Resolve(ids), find(blocks), extended())
		if err != nil {
			t.Fatal(err)
		}
		if d := diff(string(out), string(again)); d != "" {
			t.Fatalf("%s\n%s", d, dressed)
		}
	})
}

// dress changes what has no meaning: style, blanks, comments, separators, names of functions, order of the template and
// action lines, quotes.
func dress(t *rapid.T, text string) string {
	older := rapid.Bool().Draw(t, "older")
	pick := func(label string, options ...string) string { return rapid.SampledFrom(options).Draw(t, label) }
	var out []string
	for _, l := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(l, "#"):
			if rest, ok := strings.CutPrefix(l, "#     "); ok && rest[0] != ' ' {
				l = "#" + pick("indent", "     ", "\t \t", " \t  ") + rest
			}
		case strings.HasPrefix(l, "import"):
			if older {
				l = pick("import", "import future.keywords", "import future.keywords.in", "", "import future.keywords.if # x\nimport future.keywords.every\n")
			}
		case strings.HasSuffix(l, "if {"):
			name, rest, _ := strings.Cut(l, "(")
			if older && rapid.Bool().Draw(t, "without if") {
				rest = strings.TrimSuffix(rest, "if {") + "{"
			}
			if rapid.Bool().Draw(t, "brace below") {
				rest = strings.TrimSuffix(rest, "{") + "\n{"
			}
			l = name + pick("number", "", "1", "_2", "007") + pick("blank", "", " ") + "(" + rest
		case strings.HasPrefix(l, "\t"):
			l = dressLine(t, l)
		}
		out = append(out, l)
	}
	return strings.Join(out, pick("newline", "\n", "\r\n"))
}

func dressLine(t *rapid.T, l string) string {
	switch rapid.IntRange(0, 5).Draw(t, "clothes") {
	case 0:
		return l + " ; # a comment; with \"quotes"
	case 1:
		return "\n" + strings.TrimPrefix(l, "\t") + "\n\n"
	case 2:
		return strings.ReplaceAll(l, `identity["port"]`, "identity.port")
	case 3:
		return strings.ReplaceAll(strings.ReplaceAll(l, `["uid"]`, "[\n`uid`\n]"), "action.id in [", "action . id in [ # x\n\n")
	case 4:
		return ";;" + strings.ReplaceAll(l, `asset["`, `asset [ "`)
	}
	return l
}

// policy-model.md 8.1: order, names and repeats play no part in the key; any other change does.
func TestRulesKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kinds := []model.BlockKind{model.KindDynamicGroup, model.KindRuleset, model.KindConditionIdentity, model.KindConditionRequest}
		b := drawBlock(t, rapid.SampledFrom(kinds).Draw(t, "kind"), 1)
		same := b
		same.ID, same.Name, same.Description = "other", "other", nil
		same.Branches = rapid.Permutation(slices.Concat(b.Branches, b.Branches[:1])).Draw(t, "branches")
		for i := range same.Branches {
			same.Branches[i].Rules = rapid.Permutation(same.Branches[i].Rules).Draw(t, "rules")
			for j, r := range same.Branches[i].Rules {
				same.Branches[i].Rules[j].Literals = rapid.Permutation(r.Literals).Draw(t, "literals")
			}
		}
		if RulesKey(&b, typeIn(&b)) != RulesKey(&same, typeIn(&b)) {
			t.Fatal("the same rules have different keys")
		}
		other := b
		other.Branches = append(slices.Clone(b.Branches), model.Branch{Rules: []model.Rule{{
			Left: model.Ref{Side: 1, Attribute: "new"}, Op: model.OpEqual,
			Literals: []model.Literal{{Text: "x"}},
		}}})
		if RulesKey(&b, typeIn(&b)) == RulesKey(&other, typeIn(&b)) {
			t.Fatal("different rules have one key")
		}
	})
}

// policy-model.md 8.1 and X2 of 8.4, case by case.
func TestRulesKeyCases(t *testing.T) {
	rank := func(op model.Operator, literals ...model.Literal) string {
		b := model.Block{Kind: model.KindDynamicGroup, WorkspaceID: crewSpace, Template: "Crew", Branches: []model.Branch{{Rules: []model.Rule{
			{Left: model.Ref{Side: model.SideIdentity, Attribute: "rank"}, Op: op, Literals: literals},
		}}}}
		return RulesKey(&b, typeIn(&b))
	}
	port := func(op model.Operator, literals ...model.Literal) string {
		b := model.Block{Kind: model.KindDynamicGroup, WorkspaceID: crewSpace, Template: "Crew", Branches: []model.Branch{{Rules: []model.Rule{
			{Left: model.Ref{Side: model.SideIdentity, Attribute: "port"}, Op: op, Literals: literals},
		}}}}
		return RulesKey(&b, typeIn(&b))
	}
	bare := func(s string) model.Literal { return model.Literal{Text: s, Number: true} }
	quoted := func(s string) model.Literal { return model.Literal{Text: s} }
	for _, c := range []struct {
		name string
		a, b string
		same bool
	}{
		{"X2: equal numbers", rank(model.OpGreaterEqual, bare("4")), rank(model.OpGreaterEqual, bare("4.0")), true},
		{"quoted and bare number", rank(model.OpEqual, bare("7")), rank(model.OpEqual, quoted("007")), true},
		{"other number", rank(model.OpGreaterEqual, bare("4")), rank(model.OpGreaterEqual, bare("5")), false},
		{"texts that are numbers", port(model.OpEqual, quoted("4")), port(model.OpEqual, quoted("4.0")), false},
		{"== and in a list of one", port(model.OpEqual, quoted("a")), port(model.OpIn, quoted("a")), false},
		{"lists are sets", port(model.OpIn, quoted("a"), quoted("b")), port(model.OpIn, quoted("b"), quoted("a"), quoted("b")), true},
		{"no confusion of parts", port(model.OpIn, quoted("a"), quoted("b")), port(model.OpIn, quoted("a1:b")), false},
	} {
		if (c.a == c.b) != c.same {
			t.Errorf("%s: same rules %t", c.name, c.a == c.b)
		}
	}
	ip := func(restrict bool, texts ...string) string {
		return RulesKey(&model.Block{Kind: model.KindConditionIP, IP: &model.IPCondition{Restrict: restrict, Text: texts}}, nil)
	}
	if ip(true, "a", "b") != ip(true, "b", "a") || ip(true, "a") == ip(false, "a") || ip(true, "a") == ip(true, "b") {
		t.Error("address blocks")
	}
	night := model.TimeRange{Zone: "UTC", Start: 79200, End: 21600}
	day := model.TimeRange{Zone: "UTC", Start: 21600, End: 79200}
	hours := func(ranges ...model.TimeRange) string {
		return RulesKey(&model.Block{Kind: model.KindCondition, Ranges: ranges}, nil)
	}
	if hours(night) == hours(day) || hours(night, day) != hours(day, night, day) {
		t.Error("ranges")
	}
}
