package engine

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// maxPermutations bounds the combinations of rows in one question (E21).
const maxPermutations = 10_000

// Residual is what remains of an environment's policies once a question's identities and request are bound: for every
// asset type the branches, with literal operands only, that grant or take away. It is data: Select, Evaluate and
// Explain are its consumers. It belongs to one snapshot and never changes.
type Residual struct {
	snapshot     *Snapshot
	question     *Question
	reachable    map[model.TemplateID]bool // by the scope's applications (E2)
	permutations []permutation
	part         []grouped // what takingPart says of the types; nil = nothing
}

// permutation is the residual for one combination of identity rows; there is one unless CombinedMultiValue is set.
type permutation struct {
	subjects []*subject // one an identity, in the question's order
	when     map[*block]bool
	what     map[*block][]boundBranch
	terms    map[model.TemplateID][]term
}

// term is one ruleset use of an applying policy with the branches that can still hold; only those of Restrict policies may
// have none.
type term struct {
	policy   *policy
	use      *use
	branches []boundBranch
}

// boundBranch is a conjunction of predicates over asset attributes. Without predicates it holds for every asset.
type boundBranch struct {
	src        *branch
	predicates []predicate
}

// Bind keeps what the policies say once the question's side is known. It returns a *model.Error of kind KindInvalid for
// a question that cannot be asked: no identity or more than three, two of one template, an unknown template, more than
// 10,000 combinations of rows; ErrStopped.
func (s *Snapshot) Bind(q Question) (*Residual, error) {
	if len(q.Identities) == 0 || len(q.Identities) > 3 {
		return nil, model.Invalidf("a question has 1 to 3 identities, not %d", len(q.Identities))
	}
	reachable := s.reachable(q.Applications, q.Types)
	return s.bindWithin(&q, reachable, s.takingPart(reachable))
}

// grouped are the active policies on a type by their groups.
type grouped map[*block][]*policy

func groupedBy(policies []*policy) grouped {
	out := grouped{}
	for _, p := range policies {
		if p.src.Inactive {
			continue
		}
		for _, g := range p.groups {
			out[g] = append(out[g], p)
		}
	}
	return out
}

// fewPolicies is up to how many policies on the types asked about only the groups of these are tried. Beyond it is less work
// to try every group of an identity.
const fewPolicies = 256

// takingPart lists the active policies on some types; nil when there are many.
func (s *Snapshot) takingPart(types map[model.TemplateID]bool) []grouped {
	out := make([]grouped, 0, len(types))
	n := 0
	for t := range types {
		policies, _ := s.onType.get(t)
		if n += len(policies); n > fewPolicies {
			return nil
		}
		if few, ok := s.few[t]; ok {
			out = append(out, few)
		}
	}
	return out
}

// partOf reports whether a policy that takes part has a group.
func partOf(part []grouped, g *block) bool {
	return slices.ContainsFunc(part, func(few grouped) bool { return few[g] != nil })
}

// bindWithin is Bind of a question of the right size about the types that are reachable. part is what takingPart says of
// them.
func (s *Snapshot) bindWithin(q *Question, reachable map[model.TemplateID]bool, part []grouped) (*Residual, error) {
	r := &Residual{snapshot: s, question: q, reachable: reachable, part: part}
	choices := make([][]subject, len(q.Identities))
	total := 1
	for i := range q.Identities {
		id := &q.Identities[i]
		t, ok := s.identities[id.Template]
		if !ok {
			return nil, model.Invalidf("identity template %q does not exist", id.Template)
		}
		for j := range i {
			if q.Identities[j].Template == id.Template {
				return nil, model.Invalidf("two identities of template %q", id.Template)
			}
		}
		choices[i] = r.question.subjects(t, id)
		if total *= len(choices[i]); total > maxPermutations {
			return nil, model.Invalidf("more than %d combinations of identity rows", maxPermutations)
		}
	}
	made := &shared{}
	for n := range total {
		subjects := make([]*subject, len(choices))
		for i, c := range choices {
			subjects[i] = &c[n%len(c)]
			n /= len(c)
		}
		r.permutations = append(r.permutations, s.bindSubjects(subjects, r.reachable, part, made))
		if q.stopped() { // what was bound last may lack something
			return nil, ErrStopped
		}
	}
	return r, nil
}

// reachable are the types of some applications (E2); with types, those among them.
func (s *Snapshot) reachable(applications []model.ApplicationID, types []model.TemplateID) map[model.TemplateID]bool {
	out := make(map[model.TemplateID]bool, len(types))
	for _, id := range applications {
		for _, t := range s.applications[id].AssetTemplateIDs {
			if types != nil && !slices.Contains(types, t) {
				continue
			}
			if _, ok := s.assets[t]; ok {
				out[t] = true
			}
		}
	}
	return out
}

// Reaches reports whether any of the applications holds an asset type (E2).
func (s *Snapshot) Reaches(applications []model.ApplicationID, t model.TemplateID) bool {
	return s.reachable(applications, []model.TemplateID{t})[t]
}

func (s *Snapshot) bindSubjects(subjects []*subject, reachable map[model.TemplateID]bool, part []grouped, made *shared) permutation {
	p := permutation{subjects: subjects, when: map[*block]bool{}, terms: map[model.TemplateID][]term{}}
	applying := s.applying(&p, reachable, part)
	p.what = make(map[*block][]boundBranch, len(applying))
	for _, pol := range applying {
		for i := range pol.uses {
			u := &pol.uses[i]
			t := u.ruleset.src.Template
			if !reachable[t] {
				continue
			}
			// A Restrict policy without a branch that can hold takes nothing from any asset, but counts for the type as a
			// whole (runtime-api.md 9.2).
			if branches := p.bindRuleset(u.ruleset, made); len(branches) > 0 || pol.restrict {
				terms := p.terms[t]
				if terms == nil {
					terms = make([]term, 0, len(applying)/len(reachable)+1)
				}
				p.terms[t] = append(terms, term{pol, u, branches})
			}
		}
	}
	return p
}

// candidate is a policy that an identity is in a group of.
type candidate struct {
	policy *policy
	in     uint8 // bit i: identity i is
}

// applying finds the policies that take part and whose WHO and WHEN hold, by id (E2, E5, E8, E9, E17).
func (s *Snapshot) applying(p *permutation, reachable map[model.TemplateID]bool, part []grouped) []*policy {
	var found []candidate
	for i, sub := range p.subjects {
		w, ok := s.who[sub.template]
		if !ok || sub.inactive {
			continue
		}
		add := func(users []*policy) {
			found = slices.Grow(found, len(users))
			for _, pol := range users {
				found = append(found, candidate{pol, 1 << i})
			}
		}
		seen := map[*block]bool{}
		w.groups(sub, part, func(g *block) {
			if seen[g] {
				return
			}
			seen[g] = true
			if part == nil {
				users, _ := s.users.get(g.src.ID)
				add(users)
			}
			for _, few := range part {
				add(few[g])
			}
		})
	}
	slices.SortFunc(found, func(a, b candidate) int { return comparePolicies(a.policy, b.policy) })
	all := uint8(1)<<len(p.subjects) - 1
	applies := make([]*policy, 0, len(found))
	for i := 0; i < len(found); {
		pol, in := found[i].policy, uint8(0)
		for ; i < len(found) && found[i].policy == pol; i++ {
			in |= found[i].in
		}
		if pol.active(reachable) && (pol.restrict || in == all) && p.meets(pol) {
			applies = append(applies, pol)
		}
	}
	return applies
}

// active reports whether the policy takes part (E2).
func (p *policy) active(reachable map[model.TemplateID]bool) bool {
	return !p.src.Inactive && slices.ContainsFunc(p.uses, func(u use) bool { return reachable[u.ruleset.src.Template] })
}

// meets judges the policy's conditions (E8).
func (p *permutation) meets(pol *policy) bool {
	return !slices.ContainsFunc(pol.conditions, func(c *block) bool { return !p.judged(c) })
}

// judged is met, worked out once for all policies that share the condition. It writes to the permutation.
func (p *permutation) judged(c *block) bool {
	met, known := p.when[c]
	if !known {
		met = p.met(c)
		p.when[c] = met
	}
	return met
}

func (p *permutation) met(c *block) bool {
	q := p.subjects[0].question
	switch c.src.Kind {
	case model.KindCondition:
		return slices.ContainsFunc(c.ranges, func(r timeRange) bool { return r.met(q.Instant, q.ZoneOffset) })
	case model.KindConditionIP:
		return ipMet(c.src.IP, q.SourceIP)
	case model.KindConditionIdentity:
		sub := p.subject(c.src.Template)
		return sub != nil && !sub.inactive && sub.holdsAny(c.branches)
	}
	return p.subjects[0].holdsAny(c.branches)
}

func (p *permutation) subject(t model.TemplateID) *subject {
	for _, s := range p.subjects {
		if s.template == t {
			return s
		}
	}
	return nil
}

// bindRuleset keeps the branches that can still hold. Rulesets shared by policies are bound once.
func (p *permutation) bindRuleset(b *block, made *shared) []boundBranch {
	if out, known := p.what[b]; known || p.subjects[0].question.stopped() {
		return out
	}
	var out []boundBranch
	for _, br := range b.branches {
		if bound, ok := p.bindBranch(br, made); ok {
			if out == nil {
				out = make([]boundBranch, 0, min(len(b.branches), 4))
			}
			out = append(out, bound)
		}
	}
	p.what[b] = out
	return out
}

func (p *permutation) bindBranch(br *branch, made *shared) (boundBranch, bool) {
	if br.fixed != nil {
		return *br.fixed, true
	}
	sub := p.subjects[0]
	if br.template != "" {
		if sub = p.subject(br.template); sub == nil {
			return boundBranch{}, false
		}
	}
	out := boundBranch{src: br, predicates: make([]predicate, 0, len(br.rules))}
	for i := range br.rules {
		pred, ok := sub.bind(&br.rules[i], made)
		if !ok {
			return boundBranch{}, false
		}
		out.predicates = append(out.predicates, pred)
	}
	return out, true
}
