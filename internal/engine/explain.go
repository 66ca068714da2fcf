package engine

import (
	"iter"
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
	Stage    string // the deny reason of the first part that fails; "" when the policy covers
	Who      bool   // in the groups as E5 and E17 ask
	Groups   []BlockTrace
	Rulesets []BlockTrace // of the asset's type that cover the action
	When     []BlockTrace
	Left     int // conditions that an account leaves out
	// Groupless are the templates of identities for which the policy has no group.
	Groupless []model.TemplateID
	nearness  nearness
}

// BlockTrace is one building block: it holds when one of its branches does.
type BlockTrace struct {
	ID       model.BlockID
	Name     string
	Kind     model.BlockKind
	Template model.TemplateID // of groups, identity conditions and rulesets
	Holds    bool
	Inactive bool // the identity is: no branch counts
	Outside  bool // of an IP condition: it holds outside of its address blocks
	Branches []BranchTrace
	// Compared has what a date and time or an IP condition, which have no branches, compares: the instant in each zone with
	// the ranges, or the address with the address blocks.
	Compared *LineTrace
}

// BranchTrace is one branch. Failed is its first line that does not hold, with the values compared; nil when all hold.
type BranchTrace struct {
	Number      int // in the block, from 1
	Holds       bool
	Lines, Held int // how many lines there are, and how many of them hold
	Failed      *LineTrace
}

// LineTrace is a line with the values on both sides, which must not be changed. A missing side makes every line false (V3).
// For a branch that is limited to an identity template which the question lacks, Rule is zero and Template names it.
type LineTrace struct {
	Rule                model.Rule
	Left, Right         []string
	LeftMore, RightMore int // values that Bounds leave out
	Template            model.TemplateID
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
	for i := range r.permutations {
		p := &r.permutations[i]
		trace := PermutationTrace{}
		restricted := false
		for pol := range r.covering(t, act.ID) {
			pt := p.trace(pol, t.def.ID, act.ID, about, allBranches)
			restricted = restricted || pt.Restrict && pt.Covers
			trace.Allowed = trace.Allowed || !pt.Restrict && pt.Covers
			trace.Policies = append(trace.Policies, pt)
		}
		trace.Allowed = trace.Allowed && !restricted
		out.Permutations = append(out.Permutations, trace)
	}
	return out
}

// covering are the policies that take part and have a ruleset use for a type and an action, by id.
func (r *Residual) covering(t *assetType, action model.ActionID) iter.Seq[*policy] {
	return func(yield func(*policy) bool) {
		policies, _ := r.snapshot.onType.get(t.def.ID)
		for _, pol := range policies {
			if pol.active(r.reachable) && pol.coversAction(t.def.ID, action) && !yield(pol) {
				return
			}
		}
	}
}

// detail says which branches of a block a trace keeps.
type detail bool

const (
	allBranches   detail = false
	nearestBranch detail = true
)

func (p *permutation) trace(pol *policy, t model.TemplateID, action model.ActionID, about matter, d detail) PolicyTrace {
	out := PolicyTrace{Policy: PolicyRef{pol.src.ID, pol.src.Name}, Restrict: pol.restrict}
	p.traceWho(&out, pol, d)
	what := false
	for i := range pol.uses {
		u := &pol.uses[i]
		if u.ruleset.src.Template != t || !u.covers(action) {
			continue
		}
		b := traceBlock(u.ruleset, d, func(br *branch) reading {
			sub := p.subjects[0]
			if br.template != "" {
				sub = p.subject(br.template)
			}
			return reading{sub, br.template, func(r *rule) []string {
				if about.asset == nil {
					return nil
				}
				return r.values(about.asset)
			}}
		})
		b.Holds = about.judge != nil && p.fits(pol, u, about.judge)
		what = what || b.Holds
		out.Rulesets = append(out.Rulesets, b)
	}
	when := p.traceWhen(&out, pol, d)
	switch {
	case !out.Who:
		out.Stage = ReasonNotInGroup
	case about.judge == nil:
		out.Stage = ReasonUnknownAsset
	case !what:
		out.Stage = ReasonNoRuleset
	case !when:
		out.Stage = ReasonCondition
	default:
		out.Covers = true
	}
	return out
}

func (p *permutation) traceWho(out *PolicyTrace, pol *policy, d detail) {
	out.Who = p.inGroups(pol)
	for _, g := range pol.groups {
		out.Groups = append(out.Groups, p.traceIdentity(g, d))
	}
	for _, sub := range p.subjects {
		if !slices.Contains(pol.templates, sub.template) {
			out.Groupless = append(out.Groupless, sub.template)
		}
	}
}

func (p *permutation) traceWhen(out *PolicyTrace, pol *policy, d detail) (all bool) {
	all = true
	for _, c := range pol.conditions {
		var b BlockTrace
		switch c.src.Kind {
		case model.KindConditionIdentity, model.KindConditionRequest:
			b = p.traceIdentity(c, d)
		default:
			b = traceBlock(c, d, nil)
			b.Compared, b.Outside = p.circumstance(c), c.src.IP != nil && c.src.IP.Restrict
		}
		b.Holds = p.met(c)
		all = all && b.Holds
		out.When = append(out.When, b)
	}
	return all
}

// traceIdentity traces a group, or a condition on identity or request.
func (p *permutation) traceIdentity(b *block, d detail) BlockTrace {
	onRequest := b.src.Kind == model.KindConditionRequest
	sub := p.subjects[0]
	if !onRequest {
		sub = p.subject(b.src.Template)
	}
	out := traceBlock(b, d, func(*branch) reading {
		if sub == nil {
			return reading{template: b.src.Template}
		}
		return reading{sub, b.src.Template, sub.left}
	})
	if out.Inactive = sub != nil && sub.inactive && !onRequest; out.Inactive {
		out.Holds = false
	}
	return out
}

// reading is what the lines of a branch are judged by. Without a subject the question has no identity of the template.
type reading struct {
	subject  *subject
	template model.TemplateID
	left     func(*rule) []string
}

// traceBlock traces the branches of a block: every one, or the nearest one, which is the first that holds or else the
// first of those with the most lines that hold.
func traceBlock(b *block, d detail, of func(*branch) reading) BlockTrace {
	out := BlockTrace{ID: b.src.ID, Name: b.src.Name, Kind: b.src.Kind, Template: b.src.Template}
	best := BranchTrace{}
	bestFailed := -1
	for i, br := range b.branches {
		as := of(br)
		one, failed := as.judge(br)
		one.Number = i + 1
		out.Holds = out.Holds || one.Holds
		if d == allBranches {
			one.Failed = as.line(br, failed)
			out.Branches = append(out.Branches, one)
			continue
		}
		if best.Number == 0 || one.Holds || one.Held > best.Held {
			best, bestFailed = one, failed
		}
		if one.Holds {
			break
		}
	}
	if best.Number > 0 {
		br := b.branches[best.Number-1]
		as := of(br)
		best.Failed = as.line(br, bestFailed)
		out.Branches = []BranchTrace{best}
	}
	return out
}

// judge judges a branch line by line, by the same predicates as every other answer. failed is the first line that does not
// hold, -1 when all do.
func (as *reading) judge(br *branch) (t BranchTrace, failed int) {
	t.Lines, failed = len(br.rules), -1
	if as.subject == nil {
		return t, failed
	}
	for i := range br.rules {
		r := &br.rules[i]
		if p, ok := as.subject.bind(r, nil); ok && p.holds(as.left(r)) {
			t.Held++
		} else if failed < 0 {
			failed = i
		}
	}
	t.Holds = failed < 0
	return t, failed
}

// line is the line that failed, nil when none did.
func (as *reading) line(br *branch, failed int) *LineTrace {
	switch {
	case as.subject == nil:
		return &LineTrace{Template: as.template}
	case failed < 0:
		return nil
	}
	r := &br.rules[failed]
	out := &LineTrace{Rule: r.src, Left: as.left(r)}
	switch r.src.Ref.Side {
	case model.SideIdentity:
		out.Right = as.subject.values(r.src.Ref.Attribute)
	case model.SideRequest:
		out.Right = as.subject.question.Environment[string(r.src.Ref.Attribute)]
	default:
		for _, l := range r.src.Literals {
			out.Right = append(out.Right, l.Text)
		}
	}
	return out
}
