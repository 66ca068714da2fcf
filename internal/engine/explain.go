package engine

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Explanation says why a pair is allowed or not: every policy that takes part and covers the action, part by part, for
// every combination of identity rows.
type Explanation struct {
	Decision
	UnknownAsset bool // of a stored type
	Permutations []PermutationTrace
}

// PermutationTrace is one combination of identity rows (there is one unless rows are evaluated by themselves).
type PermutationTrace struct {
	Allowed  bool
	Policies []PolicyTrace // by id
}

// PolicyTrace shows how far a policy got. Covers is WHO, WHAT and WHEN together: an Allow policy that covers the pair
// grants it, a Restrict policy takes it away.
type PolicyTrace struct {
	Policy   PolicyRef
	Restrict bool
	Covers   bool
	Who      bool // in the groups as E5 and E17 ask
	Groups   []BlockTrace
	Rulesets []BlockTrace // of the asset's type that cover the action
	When     []BlockTrace
}

// BlockTrace is one building block: it holds when one of its branches does.
type BlockTrace struct {
	ID       model.BlockID
	Name     string
	Kind     model.BlockKind
	Holds    bool
	Branches []BranchTrace // none for date and time and IP conditions
}

// BranchTrace is one branch. Failed is its first line that does not hold, with the values compared; nil when all hold.
type BranchTrace struct {
	Holds  bool
	Failed *LineTrace
}

// LineTrace is a line with the values on both sides. A missing side makes every line false (V3). For a branch that is
// limited to an identity template which the question lacks, Rule is zero and Template names it.
type LineTrace struct {
	Rule        model.Rule
	Left, Right []string
	Template    model.TemplateID
}

// Explain judges one asset and one action like Evaluate, keeping for every branch the line that failed. Of a stored type
// as a whole a branch with lines does not hold, while a Restrict policy's ruleset does whatever its lines.
func (r *Residual) Explain(a Asset, action string) Explanation {
	out := Explanation{Decision: r.Evaluate(a, action)}
	t, act, reason := r.target(a.Template, action)
	if reason != "" {
		return out
	}
	about, known := r.subjectMatter(t, &a)
	out.UnknownAsset = !known
	policies, _ := r.snapshot.onType.get(t.def.ID)
	for i := range r.permutations {
		p := &r.permutations[i]
		trace := PermutationTrace{}
		restricted := false
		for _, pol := range policies {
			if !pol.active(r.reachable) || !pol.coversAction(t.def.ID, act.ID) {
				continue
			}
			pt := p.trace(pol, t.def.ID, act.ID, about)
			restricted = restricted || pt.Restrict && pt.Covers
			trace.Allowed = trace.Allowed || !pt.Restrict && pt.Covers
			trace.Policies = append(trace.Policies, pt)
		}
		trace.Allowed = trace.Allowed && !restricted
		out.Permutations = append(out.Permutations, trace)
	}
	return out
}

func (p *permutation) trace(pol *policy, t model.TemplateID, action model.ActionID, about matter) PolicyTrace {
	out := PolicyTrace{Policy: PolicyRef{pol.src.ID, pol.src.Name}, Restrict: pol.restrict, Who: p.inGroups(pol)}
	for _, g := range pol.groups {
		out.Groups = append(out.Groups, p.traceIdentity(g))
	}
	what := false
	for i := range pol.uses {
		u := &pol.uses[i]
		if u.ruleset.src.Template != t || !u.covers(action) {
			continue
		}
		b := traceOf(u.ruleset)
		for _, br := range u.ruleset.branches {
			sub := p.subjects[0]
			if br.template != "" {
				sub = p.subject(br.template)
			}
			b.add(traceBranch(br, sub, func(r *rule) []string {
				if about.asset == nil {
					return nil
				}
				return values(about.asset, r.src.Left.Attribute)
			}))
		}
		b.Holds = about.judge != nil && p.fits(pol, u, about.judge)
		what = what || b.Holds
		out.Rulesets = append(out.Rulesets, b)
	}
	when := true
	for _, c := range pol.conditions {
		b := traceOf(c)
		if c.src.Kind == model.KindConditionIdentity || c.src.Kind == model.KindConditionRequest {
			b = p.traceIdentity(c)
		}
		b.Holds = p.met(c)
		when = when && b.Holds
		out.When = append(out.When, b)
	}
	out.Covers = out.Who && what && when
	return out
}

func traceOf(b *block) BlockTrace {
	return BlockTrace{ID: b.src.ID, Name: b.src.Name, Kind: b.src.Kind}
}

func (b *BlockTrace) add(br BranchTrace) {
	b.Branches = append(b.Branches, br)
	b.Holds = b.Holds || br.Holds
}

// traceIdentity traces a group, or a condition on identity or request.
func (p *permutation) traceIdentity(b *block) BlockTrace {
	out := traceOf(b)
	sub := p.subjects[0]
	if b.src.Kind != model.KindConditionRequest {
		sub = p.subject(b.src.Template)
	}
	for _, br := range b.branches {
		if sub == nil {
			out.add(BranchTrace{Failed: &LineTrace{Template: b.src.Template}})
			continue
		}
		out.add(traceBranch(br, sub, sub.left))
	}
	if sub != nil && sub.inactive && b.src.Kind != model.KindConditionRequest {
		out.Holds = false
	}
	return out
}

// traceBranch judges a branch line by line, by the same predicates as every other answer.
func traceBranch(br *branch, sub *subject, left func(*rule) []string) BranchTrace {
	if sub == nil {
		return BranchTrace{Failed: &LineTrace{Template: br.template}}
	}
	for i := range br.rules {
		r := &br.rules[i]
		p, ok := sub.bind(r)
		if ok && p.holds(left(r)) {
			continue
		}
		right := p.texts
		if p.numeric {
			right = nil
			for _, n := range p.numbers {
				right = append(right, n.String())
			}
		}
		return BranchTrace{Failed: &LineTrace{Rule: r.src, Left: slices.Clone(left(r)), Right: right}}
	}
	return BranchTrace{Holds: true}
}
