package runtime

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestTypeAsAWhole: runtime-api.md 9.2 on environments read from a store: what is allowed on a type as a whole is allowed
// on every asset of it (RT-67), and an explanation of the type says the same as the check, policies included.
func TestTypeAsAWhole(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newStack(t, "desk", "claims")
			fillAwkward(s, seed, 10)
			c := readCatalog(s)
			allowed := 0
			for who, all := range c.identities {
				for _, i := range all {
					q := engine.Question{
						Applications: s.scope.ApplicationIDs, SourceIP: netip.MustParseAddr("10.0.0.1"), Instant: noon,
						Environment: map[string][]string{"kind": {"a"}}, CombinedMultiValue: len(i.Rows) > 2,
						Identities: []engine.Identity{{Template: who, EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}},
					}
					r, err := s.snapshot().Bind(q)
					check(t, err)
					for _, at := range c.types {
						if at.Source != model.SourceRequest {
							allowed += wholeType(t, r, c, at)
						}
					}
				}
			}
			t.Logf("%d pairs are allowed as a whole", allowed)
			if allowed == 0 {
				t.Error("nothing is allowed on a type as a whole: the comparison says nothing")
			}
		})
	}
}

// wholeType counts the actions that are allowed on the type as a whole.
func wholeType(t *testing.T, r *engine.Residual, c *catalog, at model.AssetTemplate) int {
	t.Helper()
	allowed := 0
	for _, action := range at.Actions {
		whole := engine.Asset{Template: at.ID}
		d, e := r.Evaluate(whole, action.Value), r.Explain(whole, action.Value)
		if !cmp.Equal(d, e.Decision) || e.UnknownAsset {
			t.Errorf("%s of %s: Evaluate says %+v, Explain %+v, unknown asset %v", action.Value, at.ID, d, e.Decision, e.UnknownAsset)
		}
		some := false
		for _, p := range e.Permutations {
			some = some || p.Allowed
		}
		if some != d.Allowed {
			t.Errorf("%s of %s: allowed %v, but the combinations of the explanation come to %v", action.Value, at.ID, d.Allowed, some)
		}
		if !d.Allowed {
			continue
		}
		allowed++
		for _, path := range c.paths[at.ID] {
			if one := r.Evaluate(engine.Asset{Template: at.ID, Path: path}, action.Value); !one.Allowed {
				t.Errorf("%s is allowed on %s as a whole, but not on %q: %s", action.Value, at.ID, path, one.Reason)
			}
		}
	}
	return allowed
}

// openWorld is one type that everybody of template P may read, whatever the asset.
func openWorld(t *testing.T, at model.AssetTemplate, assets ...model.Asset) *stack {
	t.Helper()
	s := newStack(t, "app")
	at.WorkspaceID, at.DisplayName, at.Actions = "a0", string(at.ID), []model.Action{{ID: "Read", Value: "read"}}
	s.write(stackEnvironment, func(tx *store.Tx) error {
		for _, a := range assets {
			if _, err := tx.Assets(at.ID).Put(a); err != nil {
				return err
			}
		}
		if _, err := tx.Identities("P").Put(model.Identity{EntityID: "iris"}); err != nil {
			return err
		}
		return errors.Join(
			put(tx.AssetTemplates, at),
			put(tx.IdentityTemplates, model.IdentityTemplate{ID: "P", WorkspaceID: "i0", Attributes: []model.IdentityAttribute{{ID: "uid", Type: model.String, IsUsedInAccessRequest: true}}}),
			put(tx.Applications, model.Application{ID: "app", WorkspaceID: "a0", AssetTemplateIDs: []model.TemplateID{at.ID}}),
			put(tx.Blocks, model.Block{ID: "who", Kind: model.KindDynamicGroup, WorkspaceID: "i0", Template: "P", Branches: []model.Branch{{}}},
				model.Block{ID: "what", Kind: model.KindRuleset, WorkspaceID: "a0", Template: at.ID, Branches: []model.Branch{{}}}),
			put(tx.Policies, model.Policy{
				ID: "p", WorkspaceID: "a0", Access: model.Allow, Use: model.PolicyUseDynamic,
				DynamicGroups: []model.BlockID{"who"}, Rulesets: []model.RulesetUse{{BlockID: "what", AllActions: true}},
			}))
	})
	return s
}

// TestExternalTypes: E12, RT-65 to RT-67: an EXTERNAL type without a source has no assets; nothing that a request says
// makes one known.
func TestExternalTypes(t *testing.T) {
	at := model.AssetTemplate{
		ID: "Sensors", Source: model.SourceExternal, IsAttributeSentInRequest: true, PAAGroupID: "g", ViewName: "v",
		Attributes: []model.AssetAttribute{{ID: "class", Type: model.String, SourceAttribute: "CLASS"}},
	}
	s := openWorld(t, at)
	who := map[string]any{"entityId": "iris"}
	with := func(name string, value any) map[string]any {
		body := maps.Clone(who)
		body[name] = value
		return body
	}
	sent := map[string]any{"class": []string{"a"}, "path": "x"}
	for _, body := range []map[string]any{
		who, with("resourceTypes", "Sensors"), with("assetList", []any{}),
		with("assetList", map[string]any{"template": "Sensors"}),
		with("assetList", map[string]any{"template": "Sensors", "assetAttributes": sent}),
		with("assetList", map[string]any{"template": "Sensors", "path": "x"}),
		with("assetList", map[string]any{"template": "Sensors", "path": "x", "assetAttributes": sent}),
	} {
		if status, answer, _ := s.ask(body); status != 200 || answer != empty {
			t.Errorf("%v: %d %s", body, status, answer)
		}
	}
	r, err := s.snapshot().Bind(engine.Question{Applications: s.scope.ApplicationIDs, Instant: noon, Identities: []engine.Identity{{Template: "P", EntityID: "iris"}}})
	check(t, err)
	if d := r.Evaluate(engine.Asset{Template: "Sensors", Path: "x"}, "read"); d.Allowed || d.Reason != engine.ReasonUnknownAsset {
		t.Errorf("a named asset of a type without a source: %+v", d)
	}
}
