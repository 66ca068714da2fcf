package policytest

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// harbour has an Allow policy of two branches and a Restrict policy with a condition on the address.
func harbour(t *testing.T) (*engine.Snapshot, []model.Policy, []model.Block) {
	t.Helper()
	equal := func(side model.Side, id model.AttributeID, value string) model.Rule {
		return model.Rule{Left: model.Ref{Side: side, Attribute: id}, Op: model.OpEqual, Literals: []model.Literal{{Text: value}}}
	}
	blocks := []model.Block{
		{ID: "crew", Name: "Crew", Kind: model.KindDynamicGroup, Template: "Crew", Branches: []model.Branch{
			{Rules: []model.Rule{equal(model.SideIdentity, "rank", "mate")}}, {Rules: []model.Rule{equal(model.SideIdentity, "rank", "master")}},
		}},
		{ID: "quay", Name: "Quay A", Kind: model.KindRuleset, Template: "Cargo", Branches: []model.Branch{{Rules: []model.Rule{equal(model.SideAsset, "berth", "A")}}}},
		{ID: "night", Name: "Monday", Kind: model.KindCondition, Ranges: []model.TimeRange{{Zone: "UTC", Days: []time.Weekday{time.Monday}, Start: -1, End: -1}}},
	}
	policies := []model.Policy{
		{ID: "load", Name: "Load", Access: model.Allow, DynamicGroups: []model.BlockID{"crew"}, Rulesets: []model.RulesetUse{{BlockID: "quay", AllActions: true}}},
		{ID: "rest", Name: "Rest", Access: model.Restrict, DynamicGroups: []model.BlockID{"crew"}, Rulesets: []model.RulesetUse{{BlockID: "quay", ActionIDs: []model.ActionID{"Load"}}}, Conditions: []model.BlockID{"night"}},
	}
	s, err := engine.New(engine.Configuration{
		Environment: "env", Enabled: true, Blocks: blocks, Policies: policies,
		AssetTemplates: []model.AssetTemplate{{
			ID: "Cargo", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{{ID: "berth", Type: model.String}},
			Actions: []model.Action{{ID: "Load", Value: "load"}, {ID: "View", Value: "view"}},
		}},
		IdentityTemplates: []model.IdentityTemplate{{ID: "Crew", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}, {ID: "rank", Type: model.String}}}},
		Applications:      []model.Application{{ID: "app", AssetTemplateIDs: []model.TemplateID{"Cargo"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, policies, blocks
}

const records = `
identities:
  iris: {template: Crew, id: iris, attributes: {rank: mate}}
  otto: {template: Crew, id: otto, attributes: {rank: cook}}
assets:
  - {type: Cargo, path: a, attributes: {berth: [A]}}
  - {type: Cargo, path: b, attributes: {berth: B}}
`

func ran(t *testing.T, tests string) *Report {
	t.Helper()
	f, err := Parse("x.test.yaml", []byte(records+"tests:\n"+tests))
	if err != nil {
		t.Fatal(err)
	}
	s, policies, blocks := harbour(t)
	return Run(s, policies, blocks, []*File{f}, time.Now)
}

const tuesday = `request: {time: "2026-01-06T12:00:00Z"}`

// TestPasses: what the engine says is what is stated.
func TestPasses(t *testing.T) {
	r := ran(t, `
- {name: list, identity: iris, `+tuesday+`, list: {Cargo: {a: [view, load]}}}
- {name: Monday by default, identity: iris, list: {Cargo: {a: [view]}}}
- name: decisions
  identity: iris
  decide:
    - {action: view, type: Cargo, path: a, allow: true}
    - {action: load, type: Cargo, path: a, allow: false, reason: PID007}
    - {action: view, type: Cargo, path: b, allow: false, reason: PID005}
- {name: nothing, identity: otto, list: {Cargo: {}}}
`)
	for _, one := range r.Results {
		if len(one.Failures) > 0 {
			t.Errorf("%s: %v", one.Name, one.Failures)
		}
	}
}

// TestFails: every way in which a statement can be wrong fails, and the failure says how.
func TestFails(t *testing.T) {
	for _, c := range []struct{ name, test, want string }{
		{"missing", tuesday + ", list: {Cargo: {a: [view, load], b: [view]}}", "b is missing"},
		{"beyond", tuesday + ", list: {Cargo: {}}", "a is there with [load view], want it absent"},
		{"actions", tuesday + ", list: {Cargo: {a: [view]}}", "a has [load view], want [view]"},
		{"taken away", "decide: [{action: load, type: Cargo, path: a, allow: true}]", "denied (PID007), want allowed; taken away by rest"},
		{"allowed", "decide: [{action: view, type: Cargo, path: a, allow: false}]", "allowed by load, want denied"},
		{"reason", "decide: [{action: view, type: Cargo, path: b, allow: false, reason: PID004}]", "denied for PID005, want PID004"},
		{"type", "decide: [{action: view, type: Ships, path: b, allow: false}]", "the asset type does not exist"},
		{"list type", "list: {Ships: {}}", "the asset type does not exist"},
		{"action", "decide: [{action: fly, type: Cargo, path: b, allow: false}]", "the action does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := ran(t, "- {name: one, identity: iris, "+c.test+"}\n")
			if r.Failed() != 1 || !strings.Contains(strings.Join(r.Results[0].Failures, "\n"), c.want) {
				t.Errorf("%+v", r.Results)
			}
		})
	}
}

// TestRefused: a file that does not say clearly what is wanted is an error with its place.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "no tests"},
		{"unknown key", records + "tests:\n- {name: a, identity: iris, lists: {}}", "field lists not found"},
		{"unknown top key", "test: []", "test not found"},
		{"misspelt allow", records + "tests:\n- {name: a, identity: iris, decide: [{action: view, type: Cargo, allowed: true}]}", "field allowed not found"},
		{"nothing stated", records + "tests:\n- {name: a, identity: iris}", "states nothing"},
		{"no allow", records + "tests:\n- {name: a, identity: iris, decide: [{action: view, type: Cargo}]}", "needs action, type and allow"},
		{"unknown identity", records + "tests:\n- {name: a, identity: nobody, list: {Cargo: {}}}", `identity "nobody"`},
		{"time", records + "tests:\n- {name: a, identity: iris, request: {time: noon}, list: {Cargo: {}}}", "noon"},
		{"address", records + "tests:\n- {name: a, identity: iris, request: {remoteIp: here}, list: {Cargo: {}}}", "here"},
		{"two documents", records + "tests:\n- {name: a, identity: iris, list: {Cargo: {}}}\n---\ntests: []\n", "more than one document"},
		{"no YAML", "a: [", "x.test.yaml"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Parse("x.test.yaml", []byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestCoverage: a branch counts once a test made it hold.
func TestCoverage(t *testing.T) {
	r := ran(t, "- {name: list, identity: iris, "+tuesday+", list: {Cargo: {a: [view, load]}}}\n")
	var b bytes.Buffer
	if err := r.Write(&b, true, true); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ok   x.test.yaml:", "  2/3   load\n        never held: DynamicGroup \"Crew\", branch 2 of 2\n",
		"  2/4   rest\n", "never held: Condition \"Monday\", branch 1 of 1", "1 tests, 0 failed; 4 of 7 branches of 2 policies held (57 %)",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
}

// TestJUnit: the XML can be read back, counts and failures included.
func TestJUnit(t *testing.T) {
	r := ran(t, "- {name: 'good & <well>', identity: otto, list: {Cargo: {}}}\n- {name: bad, identity: iris, list: {Cargo: {}}}\n")
	var b bytes.Buffer
	if err := r.WriteJUnit(&b); err != nil {
		t.Fatal(err)
	}
	var got junitSuites
	if err := xml.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got.Tests, got.Failures, len(got.Suites), len(got.Suites[0].Cases)) != "2 1 1 2" {
		t.Errorf("%+v", got)
	}
	if c := got.Suites[0].Cases; c[0].Name != "good & <well>" || c[0].Failure != nil || c[1].Failure == nil || !strings.Contains(c[1].Failure.Text, "want it absent") {
		t.Errorf("%+v", c)
	}
}
