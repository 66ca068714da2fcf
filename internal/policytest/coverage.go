package policytest

import (
	"cmp"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// PolicyCoverage tells which parts of a policy held at least once.
type PolicyCoverage struct {
	ID     model.PolicyID
	Name   string
	Asked  bool // some question was about one of its asset types and actions
	Blocks []BlockCoverage
}

// BlockCoverage is a building block in a policy. Branches without a true are those that no test made hold; date and time and
// IP conditions count as one branch.
type BlockCoverage struct {
	ID       model.BlockID
	Kind     model.BlockKind
	Name     string
	Branches []bool
}

// Held counts the branches that held.
func (b *BlockCoverage) Held() int {
	n := 0
	for _, held := range b.Branches {
		if held {
			n++
		}
	}
	return n
}

// Covered counts the branches that held, and all, of a policy.
func (p *PolicyCoverage) Covered() (held, all int) {
	for i := range p.Blocks {
		held += p.Blocks[i].Held()
		all += len(p.Blocks[i].Branches)
	}
	return held, all
}

// coverage gathers what explanations saw.
type coverage struct {
	policies map[model.PolicyID]*PolicyCoverage
}

func newCoverage(policies []model.Policy, blocks []model.Block) *coverage {
	known := map[model.BlockID]*model.Block{}
	for i := range blocks {
		known[blocks[i].ID] = &blocks[i]
	}
	c := &coverage{policies: map[model.PolicyID]*PolicyCoverage{}}
	for i := range policies {
		p := &policies[i]
		if p.Inactive {
			continue
		}
		ids := slices.Clone(p.DynamicGroups)
		for _, u := range p.Rulesets {
			ids = append(ids, u.BlockID)
		}
		one := &PolicyCoverage{ID: p.ID, Name: p.Name}
		for _, id := range append(ids, p.Conditions...) {
			if b, ok := known[id]; ok {
				one.Blocks = append(one.Blocks, BlockCoverage{ID: id, Kind: b.Kind, Name: b.Name, Branches: make([]bool, max(1, len(b.Branches)))})
			}
		}
		c.policies[p.ID] = one
	}
	return c
}

func (c *coverage) add(e *engine.Explanation) {
	for _, permutation := range e.Permutations {
		for i := range permutation.Policies {
			t := &permutation.Policies[i]
			p := c.policies[t.Policy.ID]
			if p == nil {
				continue
			}
			p.Asked = true
			for _, traces := range [][]engine.BlockTrace{t.Groups, t.Rulesets, t.When} {
				for j := range traces {
					p.add(&traces[j])
				}
			}
		}
	}
}

func (p *PolicyCoverage) add(t *engine.BlockTrace) {
	at := slices.IndexFunc(p.Blocks, func(b BlockCoverage) bool { return b.ID == t.ID })
	if at < 0 || !t.Holds {
		return
	}
	b := &p.Blocks[at]
	if len(t.Branches) == 0 {
		b.Branches[0] = true
	}
	for i := range t.Branches {
		b.Branches[i] = b.Branches[i] || t.Branches[i].Holds
	}
}

func (c *coverage) list() []PolicyCoverage {
	out := make([]PolicyCoverage, 0, len(c.policies))
	for _, p := range c.policies {
		out = append(out, *p)
	}
	slices.SortFunc(out, func(a, b PolicyCoverage) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
