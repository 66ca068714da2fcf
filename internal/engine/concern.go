package engine

import (
	"cmp"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Concern is a policy that concerns an identity or an asset (runtime-api.md 12). Policy must not be changed.
type Concern struct {
	Policy     *model.Policy
	Conditions []ConditionState
	policy     *policy
	residual   *Residual
}

// ConcernedType is an asset type of a policy with the actions covered, in the type's order.
type ConcernedType struct {
	Template model.TemplateID
	Actions  []model.Action
}

// ConditionState is a condition of a policy and whether it holds now.
type ConditionState struct {
	Name string
	Kind model.BlockKind
	Met  bool
}

// Concerns lists the counting policies, by id, whose groups the identities are in as E5 and E17 ask and, with an asset,
// whose rulesets fit it for one of the actions (wire names; none = any). Conditions remove nothing.
func (r *Residual) Concerns(a *Asset, actions []string) []Concern {
	var on matter
	var covers func(*use) bool
	if a != nil {
		full, ok := r.snapshot.complete(a)
		if !ok || !r.reachable[a.Template] {
			return nil
		}
		on, covers = matter{asset: full, judge: about(full)}, r.snapshot.covering(a.Template, actions)
	}
	var out []Concern
	for _, pol := range r.snapshot.counting(r.reachable) {
		concerns := slices.ContainsFunc(r.permutations, func(p permutation) bool {
			return p.inGroups(pol) && (a == nil || p.fitsAny(pol, a.Template, covers, on))
		})
		if concerns {
			out = append(out, r.concern(pol))
		}
	}
	return out
}

// ConcernsAsset lists the counting policies, by id, that may speak of an asset for one of the actions, whoever asks: lines
// that compare with an identity are taken to hold. q has no identities.
func (s *Snapshot) ConcernsAsset(q Question, a Asset, actions []string) []Concern {
	r := &Residual{snapshot: s, question: &q, reachable: s.reachable(q.Applications, nil)}
	nobody := unasked(&q)
	r.permutations = []permutation{nobody}
	full, ok := s.complete(&a)
	if !ok || !r.reachable[a.Template] {
		return nil
	}
	holds := func(br *branch) bool {
		return !slices.ContainsFunc(br.rules, func(line rule) bool {
			if line.src.Ref.Side == model.SideIdentity {
				return false
			}
			p, ok := nobody.subjects[0].bind(&line, nil)
			return !ok || !p.holds(line.values(full))
		})
	}
	covers := s.covering(a.Template, actions)
	var out []Concern
	for _, pol := range s.counting(r.reachable) {
		fits := slices.ContainsFunc(pol.uses, func(u use) bool {
			return u.ruleset.src.Template == a.Template && covers(&u) && slices.ContainsFunc(u.ruleset.branches, holds)
		})
		if fits {
			out = append(out, r.concern(pol))
		}
	}
	return out
}

// unasked is the permutation of a question that no identity asks: only its circumstances can be judged.
func unasked(q *Question) permutation { return permutation{subjects: []*subject{{question: q}}} }

// counting are the policies that take part, by id (E2).
func (s *Snapshot) counting(reachable map[model.TemplateID]bool) []*policy {
	found := map[*policy]bool{}
	for t := range reachable {
		policies, _ := s.onType.get(t)
		for _, p := range policies {
			if !p.src.Inactive {
				found[p] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), comparePolicies)
}

// covering tells whether a ruleset use covers one of some actions of a type; none = any.
func (s *Snapshot) covering(t model.TemplateID, actions []string) func(*use) bool {
	if len(actions) == 0 {
		return func(*use) bool { return true }
	}
	var ids []model.ActionID
	for _, name := range actions {
		if a, ok := s.assets[t].def.RequestAction(name); ok {
			ids = append(ids, a.ID)
		}
	}
	return func(u *use) bool { return slices.ContainsFunc(ids, u.covers) }
}

// fitsAny reports whether a ruleset of the policy fits what is asked about.
func (p *permutation) fitsAny(pol *policy, t model.TemplateID, covers func(*use) bool, about matter) bool {
	for i := range pol.uses {
		u := &pol.uses[i]
		if u.ruleset.src.Template == t && covers(u) && p.fits(pol, u, about.judge) {
			return true
		}
	}
	return false
}

func (r *Residual) concern(pol *policy) Concern {
	out := Concern{Policy: pol.src, policy: pol, residual: r}
	for _, c := range pol.conditions {
		met := slices.ContainsFunc(r.permutations, func(p permutation) bool { return p.met(c) })
		out.Conditions = append(out.Conditions, ConditionState{Name: c.src.Name, Kind: c.src.Kind, Met: met})
	}
	return out
}

// Types are the asset types of the policy that the scope reaches, by id. They are found when they are asked for: a list may
// hold the same policies a hundred times.
func (c *Concern) Types() []ConcernedType {
	var out []ConcernedType
	for _, id := range c.policy.assetTypes() {
		if !c.residual.reachable[id] {
			continue
		}
		t := ConcernedType{Template: id}
		for _, a := range c.residual.snapshot.assets[id].def.Actions {
			if c.policy.coversAction(id, a.ID) {
				t.Actions = append(t.Actions, a)
			}
		}
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b ConcernedType) int { return cmp.Compare(a.Template, b.Template) })
	return out
}
