package manage

import (
	"cmp"
	"context"
	"slices"

	"github.com/ambit-authz/ambit/internal/manage/form"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func assetTemplateKind() *kind[model.TemplateID, model.AssetTemplate] {
	return &kind[model.TemplateID, model.AssetTemplate]{
		name: "AssetTemplate", subject: assetTemplateSubject(),
		in: func(tx *store.Tx) store.Collection[model.TemplateID, model.AssetTemplate] { return tx.AssetTemplates },
		id: func(id model.TemplateID) string { return string(id) },
	}
}

// ImportAssetTemplate makes an asset type of the workspace from its exported form, or replaces the whole definition of the
// one that has its id (management-api.md 9). Attributes that the form leaves out take their stored values with them;
// stored assets get no values of new ones until they are written again.
func (s *Service) ImportAssetTemplate(ctx context.Context, call Call, env model.EnvironmentID, workspace model.WorkspaceID, body []byte) (Stored[model.AssetTemplate], Done, error) {
	t, err := form.ParseAssetTemplate(body)
	if err != nil {
		return Stored[model.AssetTemplate]{}, Done{}, err
	}
	t.WorkspaceID = workspace
	k := assetTemplateKind()
	k.first = func(tx *store.Tx) error { return authorizationWorkspace(tx, workspace) }
	return changeObject(ctx, s, &call, env, k, t.ID, func(w *writer, before *model.AssetTemplate) (model.AssetTemplate, error) {
		return t, s.overMirror(ctx, w, workspace, false, func(m *mirror, _ *resolver) error {
			return w.replaceAssetTemplate(m, before, &t)
		})
	})
}

// replaceAssetTemplate makes everything ready for a definition to be stored; before is nil for a new one.
func (w *writer) replaceAssetTemplate(m *mirror, before, t *model.AssetTemplate) error {
	if before == nil {
		before = &model.AssetTemplate{ID: t.ID, WorkspaceID: t.WorkspaceID, Source: t.Source}
	}
	if err := mayReplace(before, t); err != nil {
		return err
	}
	for _, other := range m.catalog.assetTypes {
		if other.ID != t.ID && other.DisplayName == t.DisplayName {
			return alreadyExists("AssetTemplate", t.DisplayName)
		}
	}
	change := assetTemplateChange(before, t)
	if err := change.conflicts(m.usage()).OrNil(); err != nil {
		return err
	}
	if err := change.dropValues(w.Tx); err != nil {
		return err
	}
	return w.putPredefined(predefinedRuleset(t))
}

// mayReplace checks what a definition may change of the stored one (policy-model.md 3.2, PM-7).
func mayReplace(before, t *model.AssetTemplate) error {
	if before.WorkspaceID != t.WorkspaceID {
		return alreadyExists("AssetTemplate", string(t.ID))
	}
	if before.Source != t.Source && before.Source != model.SourceRequest {
		return model.Invalidf("/source: %s cannot become %s; only REQUEST may change", before.Source, t.Source)
	}
	return nil
}

// FindAssetTemplate reads one asset type.
func (s *Service) FindAssetTemplate(ctx context.Context, env model.EnvironmentID, id model.TemplateID) (Stored[model.AssetTemplate], error) {
	return findObject(ctx, s, env, assetTemplateKind(), id)
}

// AssetTemplateFilter limits a list of asset types; empty parts ask for nothing, the others must all hold.
type AssetTemplateFilter struct {
	Workspaces []model.WorkspaceID
	IDs        []model.TemplateID
	Names      []string // display names
}

func (f *AssetTemplateFilter) passes(t *model.AssetTemplate) bool {
	return (f.Workspaces == nil || slices.Contains(f.Workspaces, t.WorkspaceID)) &&
		(f.IDs == nil || slices.Contains(f.IDs, t.ID)) && (f.Names == nil || slices.Contains(f.Names, t.DisplayName))
}

// FindAssetTemplates lists asset types by workspace and id. A workspace that does not exist is
// PAC-001.
func (s *Service) FindAssetTemplates(ctx context.Context, env model.EnvironmentID, f *AssetTemplateFilter, offset, limit int) (Part[model.AssetTemplate], error) {
	var out Part[model.AssetTemplate]
	if err := s.authorizationWorkspaces(ctx, env, f.Workspaces); err != nil {
		return out, err
	}
	err := s.look(ctx, env, func(m *mirror) error {
		out.Revision = m.revision
		var found []*model.AssetTemplate
		for _, t := range m.catalog.assetTypes {
			if f.passes(&t) {
				found = append(found, &t)
			}
		}
		slices.SortFunc(found, func(a, b *model.AssetTemplate) int {
			return cmp.Or(cmp.Compare(a.WorkspaceID, b.WorkspaceID), cmp.Compare(a.ID, b.ID))
		})
		out.Total = len(found)
		from := min(offset, len(found))
		for _, t := range found[from:min(from+limit, len(found))] {
			out.Items = append(out.Items, *t)
		}
		return nil
	})
	return out, err
}

// DeleteAssetTemplate deletes an asset type with its attributes, actions, rulesets, stored assets and its entries in
// applications and API mappers. While a policy uses one of its rulesets, it is MGT-009 (policy-model.md 3.12).
func (s *Service) DeleteAssetTemplate(ctx context.Context, call Call, env model.EnvironmentID, id model.TemplateID) (Done, error) {
	return removeObject(ctx, s, &call, env, assetTemplateKind(), id, func(w *writer, t *model.AssetTemplate) error {
		return s.overMirror(ctx, w, t.WorkspaceID, false, func(m *mirror, r *resolver) error {
			return r.emptyAssetType(t.ID, m.usage())
		})
	})
}

// emptyAssetType deletes what goes with an asset type; it is refused while a policy uses one of its rulesets.
func (r *resolver) emptyAssetType(id model.TemplateID, users *usage) error {
	var rulesets []model.BlockID
	var policies []string
	for _, k := range r.oldestFirst() {
		if isRulesetOf(&k.block, id) {
			rulesets = append(rulesets, k.block.ID)
			policies = append(policies, users.ofBlock(k.block.ID)...)
		}
	}
	if len(policies) > 0 {
		return inUse("AssetTemplate", string(id), "policy", policies)
	}
	for _, ruleset := range rulesets {
		if err := r.drop(ruleset); err != nil {
			return err
		}
	}
	if _, err := r.w.Assets(id).Clear(); err != nil {
		return err
	}
	if err := r.w.dropMappings(id); err != nil {
		return err
	}
	return r.w.swapAssetTemplate(id, "")
}

func isRulesetOf(b *model.Block, id model.TemplateID) bool {
	return b.Kind == model.KindRuleset && b.Template == id
}

// swapAssetTemplate puts another asset type, or with "" none, in the place of one in applications.
func (w *writer) swapAssetTemplate(from, to model.TemplateID) error {
	return changeAll(w, applicationSubject(), w.Applications, func(a *model.Application) model.ApplicationID { return a.ID },
		func(a *model.Application) (changed bool) {
			a.AssetTemplateIDs, changed = swap(a.AssetTemplateIDs, from, to)
			return changed
		})
}
