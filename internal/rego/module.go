package rego

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Module is what a text says, before its blocks are resolved against stored ones.
type Module struct {
	// Policy is nil for building blocks. Its lists of blocks are empty: Resolve fills them. Its ID is empty when the
	// text gives none.
	Policy    *model.Policy
	Blocks    []ParsedBlock // in order of their first function
	Positions PolicyPositions
}

// ParsedBlock is one building block. Block.ID is empty when the text gives none, Block.Name when it gives an id only.
// Use tells the actions of a ruleset; its BlockID is not set. Workspaces are set as far as the catalog knows them.
type ParsedBlock struct {
	Block     model.Block
	Use       model.RulesetUse
	Positions BlockPositions
}

// PolicyPositions are places that errors of package manage name.
type PolicyPositions struct {
	Package model.Position // the word package
	ID      model.Position // value of policyId; zero = none
}

// BlockPositions are places that errors of package manage name, all of the block's first function.
type BlockPositions struct {
	Function model.Position // its name
	Metadata model.Position // the word METADATA
	Name     model.Position // value of name; zero = none
	ID       model.Position // value of id; zero = none
	Template model.Position // text of the template line; zero = none
}

// Resolve gives the policy with its lists of blocks, ids[i] being the stored block that Blocks[i] became. Uses of one
// ruleset become one use with the union of their actions, and all actions when one of them names none
// (policy-model.md 6.6 rule 3); other repeats fall away. It must not be called on building blocks.
func (m *Module) Resolve(ids []model.BlockID) model.Policy {
	p := *m.Policy
	for i := range m.Blocks {
		b, id := &m.Blocks[i], ids[i]
		switch {
		case b.Block.Kind == model.KindDynamicGroup:
			p.DynamicGroups = appendNew(p.DynamicGroups, id)
		case b.Block.Kind.IsCondition():
			p.Conditions = appendNew(p.Conditions, id)
		default:
			p.Rulesets = addUse(p.Rulesets, model.RulesetUse{BlockID: id, AllActions: b.Use.AllActions, ActionIDs: b.Use.ActionIDs})
		}
	}
	return p
}

func appendNew(ids []model.BlockID, id model.BlockID) []model.BlockID {
	if slices.Contains(ids, id) {
		return ids
	}
	return append(ids, id)
}

func addUse(uses []model.RulesetUse, use model.RulesetUse) []model.RulesetUse {
	i := slices.IndexFunc(uses, func(u model.RulesetUse) bool { return u.BlockID == use.BlockID })
	switch {
	case i < 0:
		return append(uses, use)
	case uses[i].AllActions || use.AllActions:
		uses[i].AllActions, uses[i].ActionIDs = true, nil
	default:
		uses[i].ActionIDs = actionSet(slices.Concat(uses[i].ActionIDs, use.ActionIDs))
	}
	return uses
}

// actionSet sorts by code point, which for UTF-8 is by byte, and removes repeats.
func actionSet(ids []model.ActionID) []model.ActionID {
	out := slices.Clone(ids)
	slices.Sort(out)
	return slices.Compact(out)
}
