package engine

import (
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
)

// stoppable is a snapshot with many policies that each grant everything by a group and a ruleset of its own.
func stoppable(t *testing.T, n int) *Snapshot {
	c := Configuration{
		Enabled:           true,
		AssetTemplates:    []model.AssetTemplate{{ID: "T", Source: model.SourceRequest, Actions: []model.Action{{ID: "Read", Value: "read"}}}},
		IdentityTemplates: []model.IdentityTemplate{{ID: "I"}},
		Applications:      []model.Application{{ID: "app", AssetTemplateIDs: []model.TemplateID{"T"}}},
	}
	for i := range n {
		group, what := model.BlockID(fmt.Sprint("group ", i)), model.BlockID(fmt.Sprint("what ", i))
		all := []model.Branch{{}}
		c.Blocks = append(c.Blocks, model.Block{ID: group, Kind: model.KindDynamicGroup, Template: "I", Branches: all}, model.Block{ID: what, Kind: model.KindRuleset, Template: "T", Branches: all})
		c.Policies = append(c.Policies, model.Policy{
			ID: model.PolicyID(fmt.Sprint(i)), Access: model.Allow, DynamicGroups: []model.BlockID{group}, Rulesets: []model.RulesetUse{{BlockID: what, AllActions: true}},
		})
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// F1, reliability 3 (parser bombs): each line on very many values takes long, so that a question that nobody waits for any more
// ends between two policies, not only between two combinations of rows.
func TestStoppedBetweenPolicies(t *testing.T) {
	const n = 300
	s := stoppable(t, n)
	q := Question{Applications: []model.ApplicationID{"app"}, Identities: []Identity{{Template: "I", EntityID: "iris"}}}
	r, err := s.Bind(q)
	if err != nil {
		t.Fatal(err)
	}
	asset := s.assets["T"]
	c := &collector{residual: r, asset: asset, actions: asset.def.Actions, policies: true}
	for name, ask := range map[string]func(found func()){
		"grants": func(found func()) { r.labels(c, func(*term) bool { found(); return true }) },
		"reasons": func(found func()) {
			r.reason(asset, "Read", matter{whole: true, judge: func(*term) bool { found(); return false }})
		},
		"groups": func(found func()) { s.who["I"].groups(r.permutations[0].subjects[0], nil, func(*block) { found() }) },
	} {
		for _, last := range []int{n, 3} {
			done, asked := make(chan struct{}), 0
			r.question.Done = done
			ask(func() {
				if asked++; asked == last {
					close(done)
				}
			})
			if asked != last {
				t.Errorf("%s: stopped at policy %d, %d were asked", name, last, asked)
			}
		}
	}
	if got := c.allowed(r.permutations[0].terms["T"]); got != nil {
		t.Errorf("a question that was stopped looks for %v", got)
	}
}
