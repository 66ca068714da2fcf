package manage

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// templateChange is what a new definition of a template takes away from those who use it.
type templateChange struct {
	side    model.Side
	id      model.TemplateID
	gone    []model.AttributeID         // attributes left out
	emptied []model.AttributeID         // those, and attributes that are calculated now: their stored values go
	altered []model.AttributeID         // left out, or with values of another kind: compared otherwise, calculated or no more
	lost    map[model.AttributeID]error // of those, the ones that the new definition cannot calculate, and why
	actions []model.ActionID            // left out
}

func assetTemplateChange(before, after *model.AssetTemplate) templateChange {
	c := templateChange{side: model.SideAsset, id: after.ID, lost: map[model.AttributeID]error{}}
	attributes := before.Attributes
	if !slices.ContainsFunc(attributes, func(a model.AssetAttribute) bool { return a.ID == model.AttributePath }) {
		path, _ := before.Attribute(model.AttributePath) // rules may be on it though it is not declared
		attributes = append(slices.Clip(attributes), path)
	}
	for _, old := range attributes {
		now, still := after.Attribute(old.ID)
		_, err := after.Calculation(&now)
		c.attribute(old.ID, still, now.Type != old.Type, [2]bool{old.IsCalculated, now.IsCalculated}, err)
	}
	for _, old := range before.Actions {
		if _, still := after.Action(old.ID); !still {
			c.actions = append(c.actions, old.ID)
		}
	}
	return c
}

func identityTemplateChange(before, after *model.IdentityTemplate) templateChange {
	c := templateChange{side: model.SideIdentity, id: after.ID, lost: map[model.AttributeID]error{}}
	for _, old := range before.Attributes {
		now, still := after.Attribute(old.ID)
		_, err := after.Calculation(&now)
		c.attribute(old.ID, still, now.Type != old.Type, [2]bool{old.IsCalculated, now.IsCalculated}, err)
	}
	return c
}

// attribute compares an attribute before and after. Another function in the place of one that is offered alters nothing:
// rules on the attribute go on to hold or not by its values.
func (c *templateChange) attribute(id model.AttributeID, still, retyped bool, calculated [2]bool, err error) {
	if !still {
		c.gone = append(c.gone, id)
	}
	if !still || calculated[1] && !calculated[0] {
		c.emptied = append(c.emptied, id)
	}
	if !still || retyped || calculated[0] != calculated[1] || err != nil {
		c.altered = append(c.altered, id)
	}
	if still && err != nil {
		c.lost[id] = err
	}
}

// dropValues removes the stored values of attributes that the definition leaves out (policy-model.md 3.12) or calculates.
func (c *templateChange) dropValues(tx *store.Tx) error {
	if len(c.emptied) == 0 {
		return nil
	}
	if c.side == model.SideAsset {
		return changeRecords(tx.Assets(c.id), func(a *model.Asset) (dropped bool) {
			a.Attributes, dropped = without(a.Attributes, c.emptied)
			return dropped
		})
	}
	return changeRecords(tx.Identities(c.id), func(i *model.Identity) (dropped bool) {
		i.Attributes, dropped = without(i.Attributes, c.emptied)
		i.Rows = slices.Clone(i.Rows)
		for n := range i.Rows {
			var inRow bool
			i.Rows[n], inRow = without(i.Rows[n], c.emptied)
			dropped = dropped || inRow
		}
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

// changeRecords stores the records that change changes, a batch at a time, so that nothing is written under the iterator.
func changeRecords[R any](records store.Records[R], change func(*R) bool) error {
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

// conflicts names who still uses what the definition takes away (MG-44).
func (c *templateChange) conflicts(u *usage) model.Errors {
	var errs model.Errors
	for _, id := range c.altered {
		var names []string
		for _, k := range u.blocks {
			if usesAttribute(&k.block, c.side, c.id, id) {
				names = append(names, k.block.Name)
			}
		}
		if len(names) > 0 {
			e := inUse("Attribute", string(id), "building block", names)
			if why := c.lost[id]; why != nil {
				e.Message += ", and could not be calculated: " + why.Error()
			}
			errs = append(errs, e)
		}
	}
	for _, id := range c.actions {
		if ids := u.ofAction(actionKey{c.id, id}); len(ids) > 0 {
			errs = append(errs, inUse("Action", string(id), "policy", ids))
		}
	}
	if c.side == model.SideAsset {
		errs = append(errs, c.mapped(u.sets)...)
	}
	return errs
}

// mapped names the API mappers that map onto what the definition leaves out.
func (c *templateChange) mapped(sets []model.APIMapperSet) model.Errors {
	var errs model.Errors
	for _, id := range c.gone {
		mappers := mapperUses(sets, c.id, func(t *model.TemplateMapping) bool {
			return slices.ContainsFunc(t.Attributes, func(a model.AttributeMapping) bool { return a.AttributeID == id })
		})
		if len(mappers) > 0 {
			errs = append(errs, inUse("Attribute", string(id), "API mapper", mappers))
		}
	}
	for _, id := range c.actions {
		mappers := mapperUses(sets, c.id, func(t *model.TemplateMapping) bool {
			return slices.ContainsFunc(t.Actions, func(a model.ActionMapping) bool { return a.ActionID == id })
		})
		if len(mappers) > 0 {
			errs = append(errs, inUse("Action", string(id), "API mapper", mappers))
		}
	}
	return errs
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

// usage tells who uses what at one state of an environment.
type usage struct {
	blocks   []*knownBlock // all of them
	ofBlock  func(model.BlockID) []string
	ofAction func(actionKey) []string // policies whose action lists name it
	sets     []model.APIMapperSet
}

type actionKey struct {
	template model.TemplateID
	action   model.ActionID
}

// usage is that of the mirror's state, so it must be asked before a call writes blocks or policies.
func (m *mirror) usage() *usage {
	return &usage{
		blocks: m.blocks.oldestFirst(), sets: m.catalog.mapperSets,
		ofBlock: func(id model.BlockID) (policies []string) {
			for policy := range m.users[id] {
				policies = append(policies, string(policy))
			}
			return policies
		},
		ofAction: func(key actionKey) (policies []string) {
			for i := range m.policies {
				if p := m.policies[i].policy; namesAction(p, m.block, key) {
					policies = append(policies, string(p.ID))
				}
			}
			return policies
		},
	}
}

func namesAction(p *model.Policy, find func(model.BlockID) (model.Block, bool), key actionKey) bool {
	return slices.ContainsFunc(p.Rulesets, func(use model.RulesetUse) bool {
		b, _ := find(use.BlockID)
		return b.Template == key.template && slices.Contains(use.ActionIDs, key.action)
	})
}
