package engine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestManyPoliciesOfFewTypes: policies are found by their groups or by their types, whichever are fewer: what a question
// about one type says of an asset is what a list of all types says of it.
func TestManyPoliciesOfFewTypes(t *testing.T) {
	const types, each = 4, 200
	c := engine.Configuration{
		Environment: "e", Enabled: true, Applications: []model.Application{{ID: "app"}},
		IdentityTemplates: []model.IdentityTemplate{{ID: "I", Attributes: []model.IdentityAttribute{
			{ID: model.AttributeUID, Type: model.String}, {ID: "n", Type: model.String},
		}}},
	}
	d := engine.Delta{Revision: 1, Assets: map[model.TemplateID]engine.Records[model.Asset]{}}
	for i := range types {
		id := model.TemplateID(fmt.Sprint("T", i))
		c.Applications[0].AssetTemplateIDs = append(c.Applications[0].AssetTemplateIDs, id)
		c.AssetTemplates = append(c.AssetTemplates, model.AssetTemplate{ID: id, Source: model.SourcePlainID, Actions: []model.Action{{ID: "read", Value: "read"}}})
		d.Assets[id] = engine.Records[model.Asset]{Put: func(yield func(model.Asset, error) bool) {
			for j := range each {
				if !yield(model.Asset{Path: fmt.Sprint(j)}, nil) {
					return
				}
			}
		}}
		for j := range each {
			rules := func(left model.Side, attribute model.AttributeID, value int) []model.Branch {
				return []model.Branch{{Rules: []model.Rule{{
					Left: model.Ref{Side: left, Attribute: attribute}, Op: model.OpEqual, Literals: []model.Literal{{Text: fmt.Sprint(value)}},
				}}}}
			}
			who, what := model.BlockID(fmt.Sprint("who", i, j)), model.BlockID(fmt.Sprint("what", i, j))
			c.Blocks = append(c.Blocks, model.Block{ID: who, Kind: model.KindDynamicGroup, Template: "I", Branches: rules(model.SideIdentity, "n", j%3)},
				model.Block{ID: what, Kind: model.KindRuleset, Template: id, Branches: rules(model.SideAsset, model.AttributePath, j)})
			c.Policies = append(c.Policies, model.Policy{
				ID: model.PolicyID(fmt.Sprint("p", i, j)), Access: model.Allow, Inactive: j%5 == 0,
				DynamicGroups: []model.BlockID{who}, Rulesets: []model.RulesetUse{{BlockID: what, AllActions: true}},
			})
		}
	}
	s, err := engine.New(c)
	if err == nil {
		s, err = s.Next(d)
	}
	if err != nil {
		t.Fatal(err)
	}
	q := engine.Question{
		Applications: []model.ApplicationID{"app"}, Instant: time.Now(),
		Identities: []engine.Identity{{Template: "I", EntityID: "x", Attributes: model.Attributes{"n": {"1"}}}},
	}
	for _, asked := range [][]model.TemplateID{nil, {"T0"}, {"T1", "T1", "none"}, {}} {
		q.Types = asked
		r, err := s.Bind(q)
		if err != nil {
			t.Fatal(err)
		}
		for i := range types {
			id := model.TemplateID(fmt.Sprint("T", i))
			for j := range each {
				within := asked == nil || len(asked) > 0 && asked[0] == id
				want := within && j%3 == 1 && j%5 != 0
				got := r.Evaluate(engine.Asset{Template: id, Path: fmt.Sprint(j)}, "read")
				if got.Allowed != want || !within && got.Reason != engine.ReasonNotInScope {
					t.Fatalf("asked about %v: %s %d: %+v, want %v", asked, id, j, got, want)
				}
			}
		}
	}
}

// TestPathChangesItsType: the list and the check agree after a definition that declares the path, or declares it no more, though
// nothing else of the type changes.
func TestPathChangesItsType(t *testing.T) {
	def := func(numeric bool) model.AssetTemplate {
		out := model.AssetTemplate{ID: "T", Source: model.SourcePlainID, Actions: []model.Action{{ID: "read", Value: "read"}}}
		if numeric {
			out.Attributes = []model.AssetAttribute{{ID: model.AttributePath, Type: model.Numeric}}
		}
		return out
	}
	ruleset := func(numeric bool) model.Block {
		unlike := model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: model.AttributePath}, Op: model.OpNotEqual, Literals: []model.Literal{{Text: "5", Number: numeric}}}
		return model.Block{ID: "what", Kind: model.KindRuleset, Template: "T", Branches: []model.Branch{{Rules: []model.Rule{unlike}}}}
	}
	w := newWorld()
	w.assetTemplates["T"] = def(true)
	w.assets["T"] = []model.Asset{{Path: "5"}, {Path: "5.0"}, {Path: "6"}, {Path: "five"}}
	w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", Attributes: []model.IdentityAttribute{{ID: model.AttributeUID, Type: model.String}}}
	w.applications["app"] = model.Application{ID: "app", AssetTemplateIDs: []model.TemplateID{"T"}}
	w.blocks["who"] = model.Block{ID: "who", Kind: model.KindDynamicGroup, Template: "I", Branches: []model.Branch{{}}}
	w.blocks["what"] = ruleset(true)
	w.policies["p"] = model.Policy{
		ID: "p", Access: model.Allow, DynamicGroups: []model.BlockID{"who"}, Rulesets: []model.RulesetUse{{BlockID: "what", AllActions: true}},
	}
	s := build(t, w, 1)
	q := engine.Question{Applications: []model.ApplicationID{"app"}, Identities: []engine.Identity{{Template: "I", EntityID: "x"}}}
	for i, want := range [][]string{{"6"}, {"5.0", "6", "five"}, {"6"}} {
		if i > 0 {
			var err error
			s, err = s.Next(engine.Delta{
				Revision:       model.Revision(i + 1),
				AssetTemplates: engine.Change[model.TemplateID, model.AssetTemplate]{Put: []model.AssetTemplate{def(i == 2)}},
				Blocks:         engine.Change[model.BlockID, model.Block]{Put: []model.Block{ruleset(i == 2)}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Bind(q)
		if err != nil {
			t.Fatal(err)
		}
		access, err := r.Select(engine.Selection{})
		if err != nil {
			t.Fatal(err)
		}
		var listed, checked []string
		for e := range access.Entries() {
			listed = append(listed, e.Path())
		}
		for _, a := range w.assets["T"] {
			if r.Evaluate(engine.Asset{Template: "T", Path: a.Path}, "read").Allowed {
				checked = append(checked, a.Path)
			}
		}
		if !slices.Equal(listed, want) || !slices.Equal(checked, want) {
			t.Errorf("definition %d: the list has %q, checks allow %q, want %q", i+1, listed, checked, want)
		}
	}
}
