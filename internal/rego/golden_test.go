package rego

import (
	"os"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
)

func file(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// PM-44, PM-46: the example of policy-model.md 6.1 is in export format; its import gives it back byte for byte.
func TestExampleIsStable(t *testing.T) {
	text := file(t, "example.rego")
	for _, opt := range []Options{{}, worldOptions()} {
		if d := diff(text, export(t, text, opt)); d != "" {
			t.Error(d)
		}
	}
	crlf := "\ufeff" + strings.ReplaceAll(text, "\n", "\r\n")
	if d := diff(text, export(t, crlf, worldOptions())); d != "" {
		t.Error("with byte order mark and CR LF:", d)
	}
	if got := compile(text); got != "" {
		t.Error(got)
	}
}

// PM-41 to PM-43: what the example means.
func TestExampleModel(t *testing.T) {
	m, warnings, err := Parse([]byte(file(t, "example.rego")), worldOptions())
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	text := "Senior crew loads heavy cargo and that of its own port."
	want := &model.Policy{
		ID: "quay_days", WorkspaceID: harbour, Name: "Quay days = heavy cargo", Description: &text,
		Access: model.Allow, Use: model.PolicyUseDynamic, Applications: []model.ApplicationID{"harbour-app"},
		CustomAttributes: []model.CustomValue{
			{Key: "costCentre", Values: []model.Literal{{Text: "Q-11"}, {Text: "Q-12"}}, List: true},
			{Key: "reviewer", Values: []model.Literal{{Text: "harbour board"}}},
		},
	}
	if d := diff(want, m.Policy); d != "" {
		t.Error(d)
	}
	if len(m.Blocks) != 4 {
		t.Fatalf("%d blocks", len(m.Blocks))
	}
	ruleset := model.Block{
		ID: "2f9a6c40-8f57-4c6b-9a11-0b1c2d3e4f50", Kind: model.KindRuleset, WorkspaceID: harbour,
		Template: "Cargo", Name: "Heavy or own berth", Branches: []model.Branch{
			{Rules: []model.Rule{{
				Left: model.Ref{Side: model.SideAsset, Attribute: "tonnes"}, Op: model.OpGreater,
				Literals: []model.Literal{{Text: "20", Number: true}},
			}}},
			{IdentityTemplate: "Crew", Rules: []model.Rule{
				{Left: model.Ref{Side: model.SideAsset, Attribute: "berth"}, Op: model.OpEqual, Ref: model.Ref{Side: model.SideIdentity, Attribute: "port"}},
				{Left: model.Ref{Side: model.SideAsset, Attribute: "path"}, Op: model.OpStartsWith, Literals: []model.Literal{{Text: "quay/"}}},
			}},
		},
	}
	if d := diff(ruleset, m.Blocks[1].Block); d != "" {
		t.Error(d)
	}
	use := model.RulesetUse{ActionIDs: []model.ActionID{"Load", "View"}}
	if d := diff(use, m.Blocks[1].Use); d != "" {
		t.Error(d)
	}
	if got := m.Blocks[1].Positions.Function; got != (model.Position{Line: 36, Column: 1}) {
		t.Error(got)
	}
}

// PM-38 to PM-41: the older style of policy-model.md 6.8 and the export it gets.
func TestOlderStyle(t *testing.T) {
	for _, opt := range []Options{{}, worldOptions()} {
		m, _, err := Parse([]byte(file(t, "older.rego")), opt)
		if err != nil {
			t.Fatal(err)
		}
		m.Policy.ID = "deck"
		got := printed(t, m)
		if d := diff(file(t, "older.export.rego"), got); d != "" {
			t.Error(d)
		}
		if again := export(t, got, opt); again != got {
			t.Error(diff(got, again))
		}
		if problem := compile(got); problem != "" {
			t.Error(problem)
		}
	}
}

// PM-44 rule 12: the short form leaves out block ids, descriptions and the source environment, nothing else.
func TestShortForm(t *testing.T) {
	m, _, err := Parse([]byte(file(t, "example.rego")), worldOptions())
	if err != nil {
		t.Fatal(err)
	}
	p, blocks := stored(m)
	got, err := PrintPolicy(p, blocks, PrintOptions{SourceEnvironment: source, CustomAttributes: world{}.CustomAttributes()})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, l := range strings.Split(file(t, "example.rego"), "\n") {
		left := strings.HasPrefix(l, "#     id:") || strings.HasPrefix(l, "#     description:") || strings.HasPrefix(l, "#     sourceEnv")
		if !left {
			want = append(want, l)
		}
	}
	if d := diff(strings.Join(want, "\n"), string(got)); d != "" {
		t.Error(d)
	}
}

// PM-44 rule 13: building blocks, without action lines; none gives a module without blocks.
func TestBlocks(t *testing.T) {
	m, _, err := Parse([]byte(file(t, "example.rego")), worldOptions())
	if err != nil {
		t.Fatal(err)
	}
	var blocks []model.Block
	for i := len(m.Blocks) - 1; i >= 0; i-- {
		blocks = append(blocks, m.Blocks[i].Block)
	}
	got := string(PrintBlocks(blocks, PrintOptions{Extended: true}))
	opt := worldOptions()
	opt.Package = PackageBuildingBlocks
	again, warnings, err := Parse([]byte(got), opt)
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if again.Policy != nil || strings.Contains(got, "action.id") {
		t.Error(got)
	}
	// groups, rulesets, conditions; the two conditions in the order given
	for i, j := range []int{0, 1, 3, 2} {
		if d := diff(m.Blocks[j].Block, again.Blocks[i].Block); d != "" {
			t.Error(d)
		}
	}
	if problem := compile(got); problem != "" {
		t.Error(problem)
	}
	empty := PrintBlocks(nil, PrintOptions{})
	if string(empty) != "package building_blocks\nimport rego.v1" {
		t.Errorf("%q", empty)
	}
	if m, _, err := Parse(empty, opt); err != nil || len(m.Blocks) != 0 {
		t.Error(err)
	}
}

// A policy whose block is missing is never printed without it.
func TestMissingBlock(t *testing.T) {
	m, _, err := Parse([]byte(file(t, "example.rego")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := stored(m)
	none := func(model.BlockID) (model.Block, bool) { return model.Block{}, false }
	if _, err := PrintPolicy(p, none, PrintOptions{}); model.KindOf(err) != model.KindInternal || err == nil {
		t.Error(err)
	}
}
