package engine_test

import (
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// PM-34: what a snapshot costs beside the next one counts everything that is not shared: policies that are linked again
// because of one block, the lists that they stand in, the values of blocks.
func TestBeyondCountsPolicies(t *testing.T) {
	const policies, pointer = 2000, 8
	group := func(values ...model.Literal) model.Block {
		rule := model.Rule{Left: model.Ref{Side: model.SideIdentity, Attribute: "team"}, Op: model.OpIn, Literals: values}
		return model.Block{ID: "g", Kind: model.KindDynamicGroup, Template: "Staff", Branches: []model.Branch{{Rules: []model.Rule{rule}}}}
	}
	policy := func(n int) model.Policy {
		return model.Policy{
			ID: model.PolicyID(fmt.Sprint("p-", n)), Name: fmt.Sprint("policy ", n), Access: model.Allow,
			DynamicGroups: []model.BlockID{"g"}, Rulesets: []model.RulesetUse{{BlockID: "r", AllActions: true}},
		}
	}
	c := engine.Configuration{
		Environment: "e", Enabled: true, AssetTemplates: []model.AssetTemplate{{ID: "Files", Source: model.SourcePlainID}},
		IdentityTemplates: []model.IdentityTemplate{{ID: "Staff", Attributes: []model.IdentityAttribute{{ID: "team", Type: model.String}}}},
		Blocks:            []model.Block{group(model.Literal{Text: "a"}), {ID: "r", Kind: model.KindRuleset, Template: "Files", Branches: []model.Branch{{}}}},
	}
	for n := range policies {
		c.Policies = append(c.Policies, policy(n))
	}
	s, err := engine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	next := func(s *engine.Snapshot, d engine.Delta) *engine.Snapshot {
		t.Helper()
		n, err := s.Next(d)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	put := func(b model.Block) engine.Delta {
		return engine.Delta{Blocks: engine.Change[model.BlockID, model.Block]{Put: []model.Block{b}}}
	}
	var many []model.Literal
	for n := range 10_000 {
		many = append(many, model.Literal{Text: fmt.Sprint("team ", n)})
	}
	// groups that stand in one list, of a value or of those that are tried always
	lists := func(op model.Operator) *engine.Snapshot {
		var groups []model.Block
		for n := range policies {
			b := group(model.Literal{Text: "a"})
			b.ID, b.Branches[0].Rules[0].Op = model.BlockID(fmt.Sprint("g-", n)), op
			groups = append(groups, b)
		}
		return next(s, engine.Delta{Blocks: engine.Change[model.BlockID, model.Block]{Put: groups}})
	}
	another := group(model.Literal{Text: "a"})
	another.ID = "another"
	always := another
	always.Branches = []model.Branch{{}}
	same, tried := lists(model.OpIn), lists(model.OpNotIn)
	renamed := policy(7)
	renamed.Name = "another name"
	large := next(s, put(group(many...)))
	for name, tt := range map[string]struct {
		a, b      *engine.Snapshot
		low, high int
	}{
		"nothing":                          {s, next(s, engine.Delta{Revision: 2}), 0, 8 << 10},
		"a group of all":                   {s, next(s, put(group(model.Literal{Text: "b"}))), policies * 100, policies * 1000},
		"its values":                       {large, next(large, put(group(model.Literal{Text: "b"}))), policies*100 + 10_000*32, policies*1000 + 10_000*256},
		"a new group of the same value":    {same, next(same, put(another)), policies * pointer, policies*pointer*10 + 16<<10},
		"a new group that is tried always": {tried, next(tried, put(always)), policies * pointer, policies*pointer*10 + 16<<10},
		"one policy": {
			s, next(s, engine.Delta{Policies: engine.Change[model.PolicyID, model.Policy]{Put: []model.Policy{renamed}}}),
			policies * pointer, policies*pointer*10 + 16<<10,
		},
		"a new policy": {
			s, next(s, engine.Delta{Policies: engine.Change[model.PolicyID, model.Policy]{Put: []model.Policy{policy(policies)}}}),
			policies * pointer, policies*pointer*10 + 16<<10,
		},
	} {
		if n := tt.a.Beyond(tt.b); n < tt.low || n > tt.high {
			t.Errorf("%s: %d bytes, want %d to %d", name, n, tt.low, tt.high)
		}
	}
}
