package rego

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// oldActions gives the ids named by Action blocks to the rulesets of their template that have no action line of their
// own (policy-model.md 6.4 rule 6), and checks that the branches of one ruleset agree.
func (b *builder) oldActions() {
	used := map[string]bool{}
	for _, d := range b.drafts {
		if d.block.Kind == model.KindRuleset {
			used[string(d.block.Template)] = true
		}
	}
	merged := map[string]*line{}
	for _, old := range b.olds {
		if old.asset == nil || old.action == nil {
			continue
		}
		template := old.asset.values[0]
		if merged[template.text] == nil {
			merged[template.text] = &line{position: old.action.position, kind: lineAction}
		}
		all := merged[template.text]
		all.values = append(all.values, old.action.values...)
		if !used[template.text] && !b.broken {
			b.fault("RG-212", template.position, template.text)
		}
	}
	for _, d := range b.drafts {
		if d.block.Kind != model.KindRuleset {
			continue
		}
		if all := merged[string(d.block.Template)]; all != nil && !slices.ContainsFunc(d.branches, hasAction) {
			for _, br := range d.branches {
				br.action = all
			}
		}
		b.agree(d)
	}
}

func hasAction(br *branch) bool { return br.action != nil }

// agree reports the first branch of a ruleset whose actions are not those of the first one.
func (b *builder) agree(d *draft) {
	first := d.branches[0]
	if first.broken {
		return
	}
	var wanted []model.ActionID
	if first.action != nil {
		wanted = first.action.actionIDs()
	}
	for _, br := range d.branches[1:] {
		same := br.action == first.action || br.action != nil && first.action != nil && slices.Equal(br.action.actionIDs(), wanted)
		if br.broken || same {
			continue
		}
		at := br.action
		if at == nil {
			at = first.action
		}
		b.fault("RG-211", at.position, d.block.Name)
		return
	}
}

// policyChecks are those that need all blocks of a policy.
func (b *builder) policyChecks() {
	groups := b.draftsOf(func(k model.BlockKind) bool { return k == model.KindDynamicGroup })
	rulesets := b.draftsOf(func(k model.BlockKind) bool { return k == model.KindRuleset })
	conditions := b.draftsOf(model.BlockKind.IsCondition)
	b.count(string(model.KindDynamicGroup), groups, b.opt.Limits.Groups)
	b.count(string(model.KindRuleset), rulesets, b.opt.Limits.Rulesets)
	b.count(string(model.KindCondition), conditions, b.opt.Limits.Conditions)
	if b.broken || b.tree.packageAt == (position{}) {
		return
	}
	if len(groups) == 0 {
		b.fault("RG-401", b.tree.packageAt)
	}
	if len(rulesets) == 0 {
		b.fault("RG-402", b.tree.packageAt)
	}
	b.deadBranches(groups, rulesets)
}

func (b *builder) draftsOf(fits func(model.BlockKind) bool) []*draft {
	var out []*draft
	for _, d := range b.drafts {
		if fits(d.block.Kind) {
			out = append(out, d)
		}
	}
	return out
}

func (b *builder) count(kind string, drafts []*draft, limit int) {
	if n := len(drafts); n > limit {
		b.tooMany(drafts[limit].branches[0].position, n, kind+" blocks", limit)
	}
}

// deadBranches warns of branches limited to an identity template that none of the policy's groups has.
func (b *builder) deadBranches(groups, rulesets []*draft) {
	templates := map[model.TemplateID]bool{}
	for _, d := range groups {
		templates[d.block.Template] = true
	}
	for _, d := range rulesets {
		for _, br := range d.branches {
			if t := br.content.IdentityTemplate; t != "" && !templates[t] {
				b.warn("RW-08", br.identity.values[0].position, string(t))
			}
		}
	}
}
