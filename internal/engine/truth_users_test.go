package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// user is one identity of a user list, as text.
type user struct {
	Template model.TemplateID
	EntityID string
	Actions  []string
}

// TestUsersAreTheTranspose: runtime-api.md 11: who may use an asset is exactly who has it in a list of their own: of every
// stored identity, with every action and granting policy, stored and sent assets, types as a whole, request values
// in place of stored ones, inactive identities and rows judged by themselves.
func TestUsersAreTheTranspose(t *testing.T) {
	n := checks(t, "AMBIT_CHECKS", 3000)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		m.someIdentities()
		s := build(rt, m.w, 2)
		for range 4 {
			q := engine.UserQuestion{Question: m.question(), Policies: m.chance(50), Inactive: m.chance(30)}
			q.Identities = nil
			if m.chance(30) {
				q.Templates = []model.TemplateID{pick(m, m.identityTypes()), "unknown"}
			}
			if m.chance(30) {
				q.Actions = some(m, []string{"A", "B", "b", "C", "d"}, 1, 2)
			}
			m.describe(&q)
			q.Asset = m.requestAsset(pick(m, m.assetTypes()))
			if m.chance(15) {
				q.Asset.Path = ""
			}
			compareUsers(rt, m.w, s, q, &count)
		}
	})
	reportShare(t, n, count, 10)
}

// describe makes the request say values of some attributes of whoever is judged.
func (m *maker) describe(q *engine.UserQuestion) {
	if m.chance(30) {
		return
	}
	said := map[model.TemplateID]model.Attributes{}
	q.Said = said
	for _, t := range m.identityTypes() {
		said[t] = model.Attributes{}
		for _, a := range m.w.identityTemplates[t].Attributes[1:] {
			if m.chance(40) {
				said[t][a.ID] = m.attributeValues(a.Type)
			}
		}
	}
	q.Describe = func(t model.TemplateID, i model.Identity) model.Identity {
		i.Attributes, i.Rows = i.Attributes.Clone(), slices.Clone(i.Rows)
		for id, values := range said[t] {
			i.Attributes[id] = values
			for n, row := range i.Rows {
				row = row.Clone()
				delete(row, id)
				i.Rows[n] = row
			}
		}
		return i
	}
}

func compareUsers(rt *rapid.T, w *world, s *engine.Snapshot, q engine.UserQuestion, count *tally) {
	users, err := s.Users(q)
	if err != nil {
		rt.Fatalf("Users: %v", err)
	}
	var got []user
	for u := range users.Entries() {
		x := user{Template: u.Template(), EntityID: u.Identity().EntityID}
		for _, g := range users.ActionSets()[u.Actions] {
			x.Actions = append(x.Actions, actionText(g.Action, policyIDs(g.Policies), q.Policies))
		}
		got = append(got, x)
	}
	var want []user
	for _, t := range sorted(w.identityTemplates) {
		if q.Templates != nil && !slices.Contains(q.Templates, t.ID) {
			continue
		}
		for _, i := range w.identities[t.ID] {
			if x, listed := w.expectUser(q, t.ID, i, count); listed {
				want = append(want, x)
			}
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		rt.Fatalf("%s\nusers of %+v differ (-want +got):\n%s", scene{w, q.Question}, q.Asset, d)
	}
}

// expectUser asks the reference about every action for one identity.
func (w *world) expectUser(q engine.UserQuestion, t model.TemplateID, i model.Identity, count *tally) (user, bool) {
	if q.Inactive {
		i.Inactive = false
	}
	if q.Describe != nil {
		i = q.Describe(t, i)
	}
	question := q.Question
	question.Identities = []engine.Identity{{Template: t, EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}}
	out := user{Template: t, EntityID: i.EntityID}
	at, ok := w.assetTemplates[q.Asset.Template]
	if !ok {
		return out, false
	}
	sel := engine.Selection{Policies: q.Policies, Templates: []engine.TemplateSelection{{Template: at.ID, Actions: q.Actions}}}
	if at.Source != model.SourceRequest && q.Asset.Path == "" {
		return w.expectWhole(question, sel, at, out, count)
	}
	sel.Assets = []engine.Asset{q.Asset}
	lines := w.expectList(question, sel, count)
	if len(lines) == 0 {
		return out, false
	}
	out.Actions = lines[0].Actions
	return out, true
}

// expectWhole is expectUser for a stored type without an asset.
func (w *world) expectWhole(q engine.Question, sel engine.Selection, at model.AssetTemplate, out user, count *tally) (user, bool) {
	wanted, _ := wantedActions(sel, at)
	if !w.reachable(q, at.ID) {
		return out, false
	}
	for _, a := range at.Actions {
		if wanted != nil && !slices.Contains(wanted, a.ID) {
			continue
		}
		v := w.decide(q, engine.Asset{Template: at.ID}, a.Value)
		count.add(q, v)
		if v.allowed {
			out.Actions = append(out.Actions, actionText(a, v.policies, sel.Policies))
		}
	}
	return out, len(out.Actions) > 0
}

// TestUsersJudgeSharedBlocksOnce: reliability 3 (parser bombs): what a request says with very many values, of itself or of everybody,
// is compared once for a condition or group, not once for each of the policies that share it.
func TestUsersJudgeSharedBlocksOnce(t *testing.T) {
	const policies, values = 200, 5_000
	many := make([]string, values)
	for i := range many {
		many[i] = fmt.Sprint("v", i)
	}
	for _, kind := range []model.BlockKind{model.KindConditionRequest, model.KindDynamicGroup, model.KindConditionIdentity} {
		w := edgeWorld(edgeAssets(1))
		w.identityTemplates["I"] = model.IdentityTemplate{ID: "I", WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{{ID: "port", Type: model.String}}}
		w.identities["I"] = []model.Identity{{EntityID: "iris"}}
		rule, shared := sent("port", model.OpIn, "many"), model.Block{ID: "shared", Kind: kind, Template: "I"}
		if rule.Left.Side = model.SideIdentity; kind == model.KindConditionRequest {
			rule.Left.Side, shared.Template = model.SideRequest, ""
		}
		shared.Branches = []model.Branch{{Rules: []model.Rule{rule}}}
		w.blocks[shared.ID] = shared
		edgePolicies(w, model.Allow, policies, func(int) []model.Rule { return nil })
		delete(w.policies, "allow")
		for id, p := range w.policies {
			if kind == model.KindDynamicGroup {
				p.DynamicGroups = []model.BlockID{shared.ID}
			} else {
				p.Conditions = []model.BlockID{shared.ID}
			}
			w.policies[id] = p
		}
		q := engine.UserQuestion{
			Question: edgeQuestion(), Asset: engine.Asset{Template: "T", Path: edgeAsset(0).Path},
			Said: map[model.TemplateID]model.Attributes{"I": {"port": many}},
		}
		q.Identities, q.Environment = nil, map[string][]string{"many": many, "port": many}
		s := build(t, w, 1)
		took := allocated(func() {
			if u, err := s.Users(q); err != nil || u.Len() != 1 {
				t.Errorf("%s: %v, %v", kind, u, err)
			}
		})
		if took > policies*values*8 {
			t.Errorf("%s: %d bytes for %d policies", kind, took, policies)
		}
	}
}
