package manage

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// changedTemplate is a template of which an import dropped or changed something that rules may use.
type changedTemplate struct {
	side       model.Side
	kind, path string
	id         model.TemplateID
	attributes []model.AttributeID // dropped, or of another type
	actions    []model.ActionID    // dropped
}

// dropAssetAttributes notes what the new definition no longer has, and removes stored values (policy-model.md 3.12).
func (a *applier) dropAssetAttributes(path string, before, t *model.AssetTemplate) error {
	c := changedTemplate{side: model.SideAsset, kind: kindAssetTypes, path: path, id: t.ID}
	var gone []model.AttributeID
	for _, old := range before.Attributes {
		now, still := t.Attribute(old.ID)
		if !still {
			gone = append(gone, old.ID)
		}
		if !still || now.Type != old.Type || now.IsCalculated && !old.IsCalculated {
			c.attributes = append(c.attributes, old.ID)
		}
	}
	for _, old := range before.Actions {
		if _, still := t.Action(old.ID); !still {
			c.actions = append(c.actions, old.ID)
		}
	}
	a.changed = append(a.changed, c)
	if len(gone) == 0 {
		return nil
	}
	return dropValues(a.w.Assets(t.ID), func(asset *model.Asset) bool {
		var dropped bool
		asset.Attributes, dropped = without(asset.Attributes, gone)
		return dropped
	})
}

// dropIdentityAttributes is dropAssetAttributes for identity templates.
func (a *applier) dropIdentityAttributes(path string, before, t *model.IdentityTemplate) error {
	c := changedTemplate{side: model.SideIdentity, kind: kindIdentityTemplates, path: path, id: t.ID}
	var gone []model.AttributeID
	for _, old := range before.Attributes {
		now, still := t.Attribute(old.ID)
		if !still {
			gone = append(gone, old.ID)
		}
		if !still || now.Type != old.Type {
			c.attributes = append(c.attributes, old.ID)
		}
	}
	a.changed = append(a.changed, c)
	if len(gone) == 0 {
		return nil
	}
	return dropValues(a.w.Identities(t.ID), func(i *model.Identity) bool {
		var dropped bool
		i.Attributes, dropped = without(i.Attributes, gone)
		rows := slices.Clone(i.Rows)
		for n := range rows {
			var inRow bool
			rows[n], inRow = without(rows[n], gone)
			dropped = dropped || inRow
		}
		i.Rows = rows
		return dropped
	})
}

func without(attributes model.Attributes, gone []model.AttributeID) (model.Attributes, bool) {
	out := attributes
	for _, id := range gone {
		if _, has := out[id]; has {
			if len(out) == len(attributes) {
				out = attributes.Clone()
			}
			delete(out, id)
		}
	}
	return out, len(out) != len(attributes)
}

// dropValues stores the records that change changes, a batch at a time, so that nothing is written under the iterator.
func dropValues[R any](records store.Records[R], change func(*R) bool) error {
	position := int64(0)
	for {
		var batch []R
		for p, err := range records.After(position) {
			if err != nil {
				return err
			}
			position = p.Position
			if change(&p.Record) {
				batch = append(batch, p.Record)
			}
			if len(batch) == maxBatch {
				break
			}
		}
		for _, r := range batch {
			if _, err := records.Put(r); err != nil {
				return err
			}
		}
		if len(batch) < maxBatch {
			return nil
		}
	}
}

// checkUses refuses templates that dropped or changed what a rule or a policy still uses at the end (MG-44). It looks at
// the final state, so that an archive may drop an attribute together with the last rule on it.
func (a *applier) checkUses() error {
	users, err := a.policyUsers()
	if err != nil {
		return err
	}
	for i := range a.changed {
		c := &a.changed[i]
		var errs model.Errors
		for _, id := range c.attributes {
			var names []string
			for _, k := range a.resolver.blocks {
				if usesAttribute(&k.block, c.side, c.id, id) {
					names = append(names, k.block.Name)
				}
			}
			if len(names) > 0 {
				errs = append(errs, inUse("Attribute", string(id), "building block", names))
			}
		}
		for _, id := range c.actions {
			if ids := users.ofAction[actionKey{c.id, id}]; len(ids) > 0 {
				errs = append(errs, inUse("Action", string(id), "policy", ids))
			}
		}
		if len(errs) > 0 {
			a.fail(c.kind, c.path, string(c.id), errs)
			a.lateFailure(c.path, string(c.id), errs)
		}
	}
	return nil
}

func usesAttribute(b *model.Block, side model.Side, template model.TemplateID, id model.AttributeID) bool {
	ref := model.Ref{Side: side, Attribute: id}
	for i := range b.Branches {
		br := &b.Branches[i]
		owner := b.Template
		if side == model.SideIdentity && b.Kind == model.KindRuleset {
			owner = br.IdentityTemplate
		}
		if owner != template {
			continue
		}
		for _, r := range br.Rules {
			if r.Left == ref || r.Ref == ref {
				return true
			}
		}
	}
	return false
}

// policyUsers is who uses what.
type policyUsers struct {
	ofBlock  map[model.BlockID][]string
	ofAction map[actionKey][]string
}

type actionKey struct {
	template model.TemplateID
	action   model.ActionID
}

func (a *applier) policyUsers() (policyUsers, error) {
	u := policyUsers{ofBlock: map[model.BlockID][]string{}, ofAction: map[actionKey][]string{}}
	err := each(a.w.Policies.FindAll(), func(p model.Policy) {
		for _, id := range blocksOf(&p) {
			u.ofBlock[id] = append(u.ofBlock[id], string(p.ID))
		}
		for _, use := range p.Rulesets {
			b, _ := a.resolver.find(use.BlockID)
			for _, action := range use.ActionIDs {
				key := actionKey{b.Template, action}
				u.ofAction[key] = append(u.ofAction[key], string(p.ID))
			}
		}
	})
	return u, err
}
