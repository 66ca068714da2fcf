package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestImpactIsTheDifference: MG-76: after random changes of everything the impact is the difference of the full lists of
// every stored identity, policies included, made by an independent way: Bind and Select on rebuilt snapshots.
func TestImpactIsTheDifference(t *testing.T) {
	n := checks(t, "AMBIT_STEP_CHECKS", 300)
	differences := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		m.someIdentities()
		m.someIdentities()
		chain := build(rt, m.w, 1)
		for revision := model.Revision(2); revision < 8; revision++ {
			q := m.question()
			ask := engine.ImpactQuestion{Environment: q.Environment, SourceIP: q.SourceIP, Instant: q.Instant, ZoneOffset: q.ZoneOffset}
			if m.chance(30) {
				ask.Before, ask.After = []model.ApplicationID{"app1"}, []model.ApplicationID{"app1"}
			}
			before := everyPair(rt, build(rt, m.w, revision-1), m.w, ask, ask.Before)
			d := m.step()
			d.Revision = revision
			next, err := chain.Next(d)
			if err != nil {
				rt.Fatalf("Next: %v", err)
			}
			after := everyPair(rt, build(rt, m.w, revision), m.w, ask, ask.After)
			got, err := chain.Impact(next, ask)
			if err != nil {
				rt.Fatalf("Impact: %v", err)
			}
			differences += sameImpact(rt, got, before, after)
			chain = next
		}
	})
	t.Logf("%d worlds, %d differences", n, differences)
	if differences < n { // rapid may draw fewer under a small AMBIT_STEP_CHECKS, but never none
		t.Errorf("only %d differences in %d worlds: the comparison says little", differences, n)
	}
}

// everyPair lists what every stored identity may do: identity, type, path and action to the granting policies.
func everyPair(rt *rapid.T, s *engine.Snapshot, w *world, ask engine.ImpactQuestion, apps []model.ApplicationID) map[string]string {
	if apps == nil {
		apps = slices.Sorted(maps.Keys(w.applications))
	}
	out := map[string]string{}
	for t, all := range w.identities {
		if _, ok := w.identityTemplates[t]; !ok {
			continue
		}
		for _, i := range all {
			q := engine.Question{
				Applications: apps, Environment: ask.Environment, SourceIP: ask.SourceIP, Instant: ask.Instant, ZoneOffset: ask.ZoneOffset,
				Identities: []engine.Identity{{Template: t, EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}},
			}
			a, err := bind(rt, s, q).Select(engine.Selection{Policies: true})
			if err != nil {
				rt.Fatalf("Select: %v", err)
			}
			for e := range a.Entries() {
				key := fmt.Sprintf("%s %s %s %s ", t, i.EntityID, e.Template(), e.Path())
				actions := a.ActionSets()[e.Actions]
				if len(actions) == 0 {
					out[key] = "-"
				}
				for _, g := range actions {
					out[key+g.Action.Value] = fmt.Sprint(policyIDs(g.Policies))
				}
			}
		}
	}
	return out
}

func sameImpact(rt *rapid.T, got *engine.Impact, before, after map[string]string) int {
	want := map[string]string{}
	for key, policies := range before {
		if _, kept := after[key]; !kept {
			want["lost "+key] = policies
		}
	}
	for key, policies := range after {
		if _, had := before[key]; !had {
			want["gained "+key] = policies
		}
	}
	is := map[string]string{}
	gained, lost := 0, 0
	people := map[string]bool{}
	for c := range got.Changes() {
		word := "lost "
		if c.Gained {
			word = "gained "
			gained++
		} else {
			lost++
		}
		people[string(c.IdentityTemplate)+"/"+c.EntityID] = true
		key := fmt.Sprintf("%s%s %s %s %s %s", word, c.IdentityTemplate, c.EntityID, c.AssetTemplate, c.Path, c.Action)
		if _, twice := is[key]; twice {
			rt.Fatalf("%s comes twice", key)
		}
		is[key] = fmt.Sprint(c.Policies)
		if c.Action == "" {
			is[key] = "-"
		}
	}
	if d := cmp.Diff(want, is); d != "" {
		rt.Fatalf("the impact is not the difference (-want +got):\n%s", d)
	}
	if got.Gained != gained || got.Lost != lost || got.Identities != len(people) {
		rt.Fatalf("summary %d/%d/%d, counted %d/%d/%d", got.Identities, got.Gained, got.Lost, len(people), gained, lost)
	}
	return len(is)
}

// TestImpactOfManyPairs: issue 3: the impact of a policy that touches 100,000 pairs takes at most 2 s, whether they are
// few identities with many assets or many identities with one each.
func TestImpactOfManyPairs(t *testing.T) {
	for _, c := range []struct{ people, assets, branches int }{{100, 1000, 1}, {10_000, 10_000, 1000}, {100_000, 1000, 1000}} {
		t.Run(fmt.Sprintf("%d identities %d assets", c.people, c.assets), func(t *testing.T) {
			before := manyPairs(t, c.people, c.assets, c.branches)
			q := engine.ImpactQuestion{Instant: time.Unix(0, 0)}
			switchOff, err := before.Next(engine.Delta{Policies: engine.Change[model.PolicyID, model.Policy]{Deleted: []model.PolicyID{"p"}}})
			if err != nil {
				t.Fatal(err)
			}
			start, n := time.Now(), 0
			impact, err := before.Impact(switchOff, q)
			if err != nil {
				t.Fatal(err)
			}
			for range impact.Changes() {
				n++
			}
			took := time.Since(start)
			t.Logf("%d pairs in %s", n, took)
			if n != 100_000 || impact.Lost != n || impact.Gained != 0 || impact.Identities != c.people {
				t.Errorf("%d changes, %d lost, %d gained, %d identities", n, impact.Lost, impact.Gained, impact.Identities)
			}
			if took > 30*time.Second { // a part of a second on a machine of one's own; asking pair by pair takes minutes
				t.Errorf("%d pairs took %s", n, took)
			}
		})
	}
}

// manyPairs is an environment in which everybody may use the assets of one branch.
func manyPairs(t *testing.T, people, assets, branches int) *engine.Snapshot {
	t.Helper()
	branch := func(n int) model.Attributes { return model.Attributes{"branch": {fmt.Sprint("b", n%branches)}} }
	s, err := engine.New(engine.Configuration{
		Environment: "env", Enabled: true,
		AssetTemplates: []model.AssetTemplate{{
			ID: "Accounts", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{{ID: "branch", Type: model.String}},
			Actions: []model.Action{{ID: "View", Value: "view"}},
		}},
		IdentityTemplates: []model.IdentityTemplate{{ID: "Staff", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String}, {ID: "branch", Type: model.String}}}},
		Applications:      []model.Application{{ID: "app", AssetTemplateIDs: []model.TemplateID{"Accounts"}}},
		Blocks: []model.Block{
			{ID: "g", Kind: model.KindDynamicGroup, Template: "Staff", Branches: []model.Branch{{}}},
			{ID: "r", Kind: model.KindRuleset, Template: "Accounts", Branches: []model.Branch{{IdentityTemplate: "Staff", Rules: []model.Rule{{
				Left: model.Ref{Side: model.SideAsset, Attribute: "branch"}, Op: model.OpEqual, Ref: model.Ref{Side: model.SideIdentity, Attribute: "branch"},
			}}}}},
		},
		Policies: []model.Policy{{ID: "p", Access: model.Allow, DynamicGroups: []model.BlockID{"g"}, Rulesets: []model.RulesetUse{{BlockID: "r", AllActions: true}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var who []model.Identity
	for n := range people {
		who = append(who, model.Identity{EntityID: fmt.Sprint("u", n), Attributes: branch(n)})
	}
	var what []model.Asset
	for n := range assets {
		what = append(what, model.Asset{Path: fmt.Sprint("a", n), Attributes: branch(n)})
	}
	s, err = s.Next(engine.Delta{
		Assets:     map[model.TemplateID]engine.Records[model.Asset]{"Accounts": {Put: records(what)}},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{"Staff": {Put: records(who)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}
