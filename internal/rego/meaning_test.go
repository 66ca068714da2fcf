package rego

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

func mustParse(t *testing.T, text string, opt Options) *Module {
	t.Helper()
	m, _, err := Parse([]byte(text), opt)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return m
}

func withHeader(keys string) string {
	c := faultCase{frame: "header", text: keys}
	return c.framed()
}

// PM-41: tabs, list or map applications, customAttributes below applications, texts that look like something else.
func TestMetadata(t *testing.T) {
	attributes := []model.CustomValue{{Key: "reviewer", Values: []model.Literal{{Text: "board"}}}, {Key: "level", Values: []model.Literal{{Text: "2", Number: true}}}}
	for name, keys := range map[string]string{
		"beside":               "name: P\naccessType: Allow\napplications:\n  - id: a\n  - 007\ncustomAttributes:\n  reviewer: \"board\"\n  level: 2\n",
		"below the list":       "name: P\naccessType: Allow\napplications:\n  - id: a\n  - id: 007\n  customAttributes:\n    reviewer: \"board\"\n    level: 2\n",
		"below the last item":  "name: P\naccessType: Allow\napplications:\n  - id: a\n  - id: 007\n    customAttributes:\n      reviewer: \"board\"\n      level: 2\n",
		"list not indented":    "name: P\naccessType: Allow\napplications:\n- id: a\n- id: 007\n  customAttributes:\n    reviewer: \"board\"\n    level: 2\n",
		"tabs":                 "name: P\naccessType: Allow\napplications:\n\t- id: a\n\t- id: 007\n\tcustomAttributes:\n\t\treviewer: \"board\"\n\t\tlevel: 2\n",
		"something else below": "applications:\n  - id: a\n  - id: 007\n  customAttributes:\n    reviewer: \"board\"\n    level: 2\n\nname: P\naccessType: Allow\n",
	} {
		m := mustParse(t, withHeader(keys), Options{})
		want := &model.Policy{Name: "P", Access: model.Allow, Use: model.PolicyUseDynamic, Applications: []model.ApplicationID{"a", "007"}, CustomAttributes: attributes}
		if d := diff(want, m.Policy); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	for text, want := range map[string]string{
		"007": "007", "true": "true", "1x2": "1x2", "1_000": "1_000", "0x1F": "0x1F", "2026-01-01": "2026-01-01",
		"~": "~", "null": "null", "1e3": "1e3", `"\u00e9"`: "é", "'it''s'": "it's", "a # b": "a", "yes": "yes", "1:30": "1:30",
	} {
		m := mustParse(t, withHeader("policyId: "+text+"\nname: "+text+"\naccessType: Restrict\ndescription: "+text+"\n"), Options{})
		if string(m.Policy.ID) != want || m.Policy.Name != want || *m.Policy.Description != want {
			t.Errorf("%s: %q %q %q", text, m.Policy.ID, m.Policy.Name, *m.Policy.Description)
		}
	}
}

// policy-model.md 1.2 rule 5: an absent description is not an empty one.
func TestDescription(t *testing.T) {
	for keys, want := range map[string]string{"": "absent", "description:\n": "absent", "description: \"\"\n": "", "description: |\n  a\n   b\n": "a\n b\n"} {
		got := "absent"
		m := mustParse(t, withHeader("name: P\naccessType: Allow\n"+keys), Options{})
		if d := m.Policy.Description; d != nil {
			got = *d
		}
		if got != want {
			t.Errorf("%q: %q", keys, got)
		}
	}
}

// PM-44 rule 4: plain where it reads back, else quoted.
func TestPlain(t *testing.T) {
	for text, want := range map[string]string{
		"Quay days = heavy cargo": "Quay days = heavy cargo", "a:b": "a:b", "a#b": "a#b", "it's": "it's", `say "hi"`: `say "hi"`, "007": "007", "ü": "ü",
		"": `""`, " a": `" a"`, "a ": `"a "`, "-a": `"-a"`, "?": `"?"`, "a: b": `"a: b"`, "a #b": `"a #b"`, "a:": `"a:"`, "\"a\"": `"\"a\""`,
		"@a": `"@a"`, "%": `"%"`, "`": "\"`\"", "a\tb": `"a\tb"`, "a\u0085b": `"a\u0085b"`, "\\": `\`, "[a": `"[a"`, "a\u2028b": `"a\u2028b"`,
	} {
		if got := plain(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

// PM-44 rule 10.
func TestQuote(t *testing.T) {
	for text, want := range map[string]string{
		`a"b\c/d`: `"a\"b\\c/d"`, "\b\f\n\r\t\x00\x1f\x7f\u009f": `"\b\f\n\r\t\u0000\u001f\u007f\u009f"`,
		"é漢😀\u2028<>&": "\"é漢😀\u2028<>&\"",
	} {
		if got := quote(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
		if back, ok := unquote(want); !ok || back != text {
			t.Errorf("%s: %q %t", want, back, ok)
		}
	}
}

func groupText(keys, function, template string) string {
	return fmt.Sprintf("\n# METADATA\n# custom:\n#   plainid:\n%s%s(identity) if {\n\tidentity.template == %q\n}\n", keys, function, template)
}

// PM-39, PM-42: functions with one id, or with one name and template and no id, are branches of one block.
func TestBranches(t *testing.T) {
	const id = "#     id: 0d7c3b1e-51a4-4a0e-8c2d-7e6f5a4b3c21\n"
	text := frameHead + groupText("#     name: A\n", "dynamic_group", "Crew") + groupText("#     name: B\n", "dynamic_group1", "Crew") +
		groupText("#     name: A\n", "dynamic_group_2", "Tablet") + groupText("#     name: A\n", "dynamic_group3", "Crew") +
		groupText("#     name: A\n"+id, "dynamic_group", "Crew") + groupText("#     name: Other\n"+id, "dynamic_group", "Crew") +
		groupText("#     name: A\n", "condition_identity", "Crew") + frameRules
	m := mustParse(t, text, Options{})
	var got []string
	for _, b := range m.Blocks {
		got = append(got, fmt.Sprintf("%s %s %s %q %d", b.Block.Kind, b.Block.Name, b.Block.Template, b.Block.ID, len(b.Block.Branches)))
	}
	want := []string{
		`DynamicGroup A Crew "" 2`, `DynamicGroup B Crew "" 1`, `DynamicGroup A Tablet "" 1`,
		`DynamicGroup A Crew "0d7c3b1e-51a4-4a0e-8c2d-7e6f5a4b3c21" 2`, `Condition Identity A Crew "" 1`, `Ruleset R Cargo "" 1`,
	}
	if d := diff(want, got); d != "" {
		t.Error(d)
	}
}

func rulesetText(name, lines string) string {
	return "\n# METADATA\n# custom:\n#   plainid:\n#     name: " + name + "\nruleset(asset, identity, requestParams, action) {\n\tasset.template == \"Cargo\"\n" + lines + "}\n"
}

// PM-40, PM-43 and policy-model.md 6.6 rule 3: where the actions of a policy's ruleset come from.
func TestActions(t *testing.T) {
	old := "\n# METADATA\n# custom:\n#   plainid:\n#     kind: Action\naction%d(asset) {\n\tasset.template == \"Cargo\"\n\tasset.action == %q\n}\n"
	text := frameHead + frameGroup + rulesetText("Own", "\taction.id == \"Load\"\n") + rulesetText("Bare", "") + rulesetText("Bare", "\tasset[\"class\"] == \"x\"\n")
	m := mustParse(t, text, Options{})
	uses := []model.RulesetUse{{}, {ActionIDs: []model.ActionID{"Load"}}, {AllActions: true}}
	for i, want := range uses {
		if d := diff(want, m.Blocks[i].Use); d != "" {
			t.Error(d)
		}
	}
	m = mustParse(t, text+fmt.Sprintf(old, 1, "View")+fmt.Sprintf(old, 2, "Load")+fmt.Sprintf(old, 3, "View"), worldOptions())
	uses[2] = model.RulesetUse{ActionIDs: []model.ActionID{"Load", "View"}}
	for i, want := range uses {
		if d := diff(want, m.Blocks[i].Use); d != "" {
			t.Error(d)
		}
	}
	if len(m.Blocks) != 3 {
		t.Error("an Action block became a building block")
	}
}

// policy-model.md 6.6 rule 3: uses that resolve to one stored ruleset become one.
func TestResolve(t *testing.T) {
	text := frameHead + frameGroup + groupText("#     name: Same\n", "dynamic_group", "Crew") + rulesetText("A", "\taction.id == \"View\"\n") +
		rulesetText("B", "\taction.id == \"Load\"\n") + rulesetText("C", "")
	m := mustParse(t, text, Options{})
	p := m.Resolve([]model.BlockID{"g", "g", "r", "r", "s"})
	want := []model.RulesetUse{{BlockID: "r", ActionIDs: []model.ActionID{"Load", "View"}}, {BlockID: "s", AllActions: true}}
	if d := diff(want, p.Rulesets); d != "" || !slices.Equal(p.DynamicGroups, []model.BlockID{"g"}) || p.Conditions != nil {
		t.Error(d, p.DynamicGroups)
	}
	p = m.Resolve([]model.BlockID{"g", "h", "r", "r", "r"})
	if d := diff([]model.RulesetUse{{BlockID: "r", AllActions: true}}, p.Rulesets); d != "" {
		t.Error(d)
	}
	if len(m.Policy.Rulesets) != 0 {
		t.Error("Resolve changed the module")
	}
}

// PM-47 and policy-model.md 6.6 rules 5 to 7: what the conditions of blocks.rego mean.
func TestConditions(t *testing.T) {
	opt := worldOptions()
	opt.Package = PackageBuildingBlocks
	m := mustParse(t, file(t, "blocks.rego"), opt)
	block := func(kind model.BlockKind) *model.Block {
		i := slices.IndexFunc(m.Blocks, func(b ParsedBlock) bool { return b.Block.Kind == kind })
		return &m.Blocks[i].Block
	}
	ranges := []model.TimeRange{
		{Zone: "Europe/Lisbon", Days: []time.Weekday{time.Friday, time.Sunday}, Start: 22 * 3600, End: 6 * 3600},
		{Zone: model.ZoneRequest, Months: []time.Month{2}, Start: -1, End: -1, EndDate: model.Date{Year: 2028, Month: 2, Day: 29}},
	}
	if d := diff(ranges, block(model.KindCondition).Ranges); d != "" {
		t.Error(d)
	}
	ip := &model.IPCondition{
		Text:     []string{"2001:db8::/32", "::ffff:10.0.0.0/104"},
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("10.0.0.0/8")},
	}
	if d := diff(ip, block(model.KindConditionIP).IP); d != "" {
		t.Error(d)
	}
	request := block(model.KindConditionRequest)
	literals := []model.Literal{{Text: "1", Number: true}, {Text: "2", Number: true}, {Text: "003"}}
	if d := diff(literals, request.Branches[0].Rules[1].Literals); d != "" || request.Name != `Amount: "large"` {
		t.Error(d)
	}
	identity := block(model.KindConditionIdentity)
	if identity.Template != "Tablet" || identity.WorkspaceID != harbour || *identity.Description != "Two lines,\n  the second indented.\n" {
		t.Errorf("%+v", identity)
	}
	// a quoted number on a NUMERIC attribute becomes a bare one, the text is kept
	if d := diff([]model.Literal{{Text: "1", Number: true}, {Text: "2.0", Number: true}}, block(model.KindRuleset).Branches[0].Rules[1].Literals); d != "" {
		t.Error(d)
	}
}

// PM-47: what is, and what is not, one range over midnight in two branches.
func TestMidnight(t *testing.T) {
	evening := model.TimeRange{Zone: "UTC", Days: []time.Weekday{1, 2, 3, 4, 5}, Start: 79200, End: -1}
	morning := model.TimeRange{Zone: "UTC", Days: []time.Weekday{2, 3, 4, 5, 6}, Start: -1, End: 21600}
	night := evening
	night.End = 21600
	if d := diff([]model.TimeRange{night}, joinMidnight([]model.TimeRange{evening, morning})); d != "" {
		t.Error(d)
	}
	if d := diff([]model.TimeRange{evening, morning}, splitMidnight(night)); d != "" {
		t.Error(d)
	}
	sunday := model.TimeRange{Zone: "UTC", Days: []time.Weekday{time.Sunday}, Start: 2, End: 1}
	if got := splitMidnight(sunday)[1].Days; !slices.Equal(got, []time.Weekday{time.Monday}) {
		t.Error(got)
	}
	apart := func(change func(*model.TimeRange)) {
		t.Helper()
		other := morning
		change(&other)
		if got := joinMidnight([]model.TimeRange{evening, other}); len(got) != 2 {
			t.Errorf("joined: %+v", got)
		}
	}
	apart(func(r *model.TimeRange) { r.Days = evening.Days })
	apart(func(r *model.TimeRange) { r.End = 79200 })
	apart(func(r *model.TimeRange) { r.Zone = model.ZoneRequest })
	apart(func(r *model.TimeRange) { r.Months = []time.Month{1} })
	apart(func(r *model.TimeRange) { r.EndDate = model.Date{Year: 2026, Month: 1, Day: 1} })
	apart(func(r *model.TimeRange) { r.Start = 5 })
	if got := joinMidnight([]model.TimeRange{morning, evening}); len(got) != 2 {
		t.Errorf("joined in the wrong order: %+v", got)
	}
}

// A use that lists no action is never printed as one that covers all.
func TestNoActionsLeft(t *testing.T) {
	b := model.Block{ID: "r", Kind: model.KindRuleset, Template: "Cargo", Name: "R", Branches: []model.Branch{{}}}
	out, err := PrintPolicy(model.Policy{Rulesets: []model.RulesetUse{{BlockID: "r"}}}, find([]model.Block{b}), PrintOptions{})
	if err != nil || !strings.Contains(string(out), "action.id in []") {
		t.Error(string(out), err)
	}
}

// The hint is given when exactly one id is within two edits.
func TestNearest(t *testing.T) {
	for _, c := range []struct {
		name string
		ids  []string
		want string
	}{
		{"prot", []string{"port", "rank"}, "port"},
		{"prot", []string{"port", "part"}, ""},
		{"abc", []string{"abcdef"}, ""},
		{"abc", []string{"abcde"}, "abcde"},
		{"größe", []string{"grösse", "xy"}, "grösse"},
		{"", nil, ""},
		{"kitten", []string{"sitting"}, ""},
	} {
		if got := nearest(c.name, c.ids); got != c.want {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}
