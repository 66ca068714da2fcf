package manage

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// RenameAssetTemplate gives an asset type another id (MG-43): its rulesets, the policies that use its predefined one, the
// applications and API mappers that hold it and its stored assets follow in the same commit.
func (s *Service) RenameAssetTemplate(ctx context.Context, call Call, env model.EnvironmentID, from, to model.TemplateID) (Done, error) {
	return renameObject(ctx, s, &call, env, assetTemplateKind(), from, to, func(w *writer, t *model.AssetTemplate) error {
		t.ID = to
		return s.overMirror(ctx, w, t.WorkspaceID, false, func(m *mirror, _ *resolver) error {
			if err := w.renameRulesets(m, from, t); err != nil {
				return err
			}
			if err := w.swapAssetTemplate(from, to); err != nil {
				return err
			}
			if err := w.renameMappedTemplate(from, to); err != nil {
				return err
			}
			_, err := w.MoveRecords(store.Assets, from, to)
			if errors.Is(err, store.ErrTaken) {
				return alreadyExists("AssetTemplate", string(to))
			}
			return err
		})
	})
}

// renameRulesets makes the rulesets of an asset type those of its new id. The id of the predefined one is made from the
// type's, so it changes, and its policies with it.
func (w *writer) renameRulesets(m *mirror, from model.TemplateID, t *model.AssetTemplate) error {
	old, predefined := model.PredefinedBlockID(model.KindRuleset, from), predefinedRuleset(t)
	if err := w.putPredefined(predefined); err != nil {
		return err
	}
	for _, k := range m.blocks.oldestFirst() {
		if b := k.block; isRulesetOf(&b, from) && !b.Predefined {
			b.Template = t.ID
			if _, err := put(w, blockSubject(), w.Blocks, b.ID, b); err != nil {
				return err
			}
		}
	}
	err := w.changePolicies(m, m.users[old], func(use *model.RulesetUse) {
		if use.BlockID == old {
			use.BlockID = predefined.ID
		}
	})
	if err != nil {
		return err
	}
	_, err = w.Blocks.Delete(old) // part of its template's event
	return err
}

// changePolicies stores what change makes of the ruleset uses of the policies. change gets copies.
func (w *writer) changePolicies(m *mirror, policies map[model.PolicyID]bool, change func(*model.RulesetUse)) error {
	if len(policies) == 0 {
		return nil
	}
	sub, err := storedPolicySubject(w.Tx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(policies)) {
		at, _ := m.place(id)
		p := *m.policies[at].policy
		p.Rulesets = slices.Clone(p.Rulesets)
		for i := range p.Rulesets {
			change(&p.Rulesets[i])
		}
		if _, err := put(w, sub, w.Policies, p.ID, p); err != nil {
			return err
		}
	}
	return nil
}

// RenameAction gives an action of an asset type another id (MG-43): the action lists of policies and API mappers follow
// in the same commit. Its value, by which requests and answers know it, stays.
func (s *Service) RenameAction(ctx context.Context, call Call, env model.EnvironmentID, template model.TemplateID, from, to model.ActionID) (Done, error) {
	_, done, err := changeObject(ctx, s, &call, env, assetTemplateKind(), template, func(w *writer, before *model.AssetTemplate) (model.AssetTemplate, error) {
		if before == nil {
			return model.AssetTemplate{}, missingResource("AssetTemplate", string(template))
		}
		t, err := withAction(before, from, to)
		if err != nil || from == to {
			return t, err
		}
		return t, s.overMirror(ctx, w, t.WorkspaceID, false, func(m *mirror, _ *resolver) error {
			return w.renameAction(m, template, from, to)
		})
	})
	return done, err
}

// withAction is the asset type with another id for one action.
func withAction(before *model.AssetTemplate, from, to model.ActionID) (model.AssetTemplate, error) {
	t := *before
	at := slices.IndexFunc(t.Actions, func(a model.Action) bool { return a.ID == from })
	if at < 0 {
		return t, missingResource("Action", string(from))
	}
	if problem := model.CheckExternalID(string(to)); problem != "" {
		return t, model.Invalidf("/0/value: %s", problem)
	}
	if _, taken := t.Action(to); taken && from != to {
		return t, alreadyExists("Action", string(to))
	}
	t.Actions = slices.Clone(t.Actions)
	t.Actions[at].ID = to
	return t, nil
}

func (w *writer) renameAction(m *mirror, template model.TemplateID, from, to model.ActionID) error {
	policies := map[model.PolicyID]bool{}
	for _, id := range m.usage().ofAction(actionKey{template, from}) {
		policies[model.PolicyID(id)] = true
	}
	if err := w.renameMappedAction(template, from, to); err != nil {
		return err
	}
	return w.changePolicies(m, policies, func(use *model.RulesetUse) {
		if b, _ := m.block(use.BlockID); b.Template != template {
			return
		}
		actions, named := swap(use.ActionIDs, from, to)
		if named {
			slices.Sort(actions)
			use.ActionIDs = actions
		}
	})
}
