package engine

import (
	"maps"
	"reflect"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Step is what differs between two snapshots of one environment. It is worked out once and serves every question that is
// compared over it. It never changes.
type Step struct {
	before, after *Snapshot
	policies      [2][]*policy // changed, new and gone ones of either side
	// rebind: something that every question is bound to differs: applications, asset types or identity templates.
	rebind bool
	assets map[model.TemplateID]*assetStep // of the types whose stored assets differ
}

// assetStep is what differs between the assets of a type.
type assetStep struct {
	// comparable: the type is defined alike, and ordinals mean the same assets.
	comparable bool
	sets       [2]*index.Set   // assets that the other side does not have as they are
	few        [2][]fewChanged // the same, decoded, when they are few; nil = they are many
}

// fewChanged is one changed asset.
type fewChanged struct {
	ordinal index.Ordinal
	asset   *model.Asset
}

// fewAssets is up to how many changed assets are judged one by one. Above it the index is asked.
const fewAssets = 64

// NewStep compares two snapshots of one environment, in proportion to what they do not share. types are the asset types
// whose assets are looked at; nil = all.
func NewStep(before, after *Snapshot, types []model.TemplateID) *Step {
	s := &Step{before: before, after: after, policies: changedPolicies(before, after), assets: map[model.TemplateID]*assetStep{}}
	s.passOver()
	s.rebind = !maps.EqualFunc(before.applications, after.applications, func(a, b model.Application) bool {
		return slices.Equal(a.AssetTemplateIDs, b.AssetTemplateIDs)
	}) || !maps.EqualFunc(before.identities, after.identities, func(a, b *identityType) bool {
		return a == b || reflect.DeepEqual(a.def, b.def)
	}) || !maps.EqualFunc(before.assets, after.assets, func(a, b *assetType) bool {
		return a == b || reflect.DeepEqual(a.def, b.def)
	})
	for id, a := range before.assets {
		if b, ok := after.assets[id]; ok && a != b && (types == nil || slices.Contains(types, id)) {
			if change := newAssetStep(a, b); change != nil {
				s.assets[id] = change
			}
		}
	}
	return s
}

// passOver drops the policies whose changes show in no answer, as that of a description.
func (s *Step) passOver() {
	alike := func(p, q *policy) bool {
		return p.restrict == q.restrict && p.src.Inactive == q.src.Inactive && p.src.Name == q.src.Name &&
			slices.Equal(p.groups, q.groups) && slices.Equal(p.conditions, q.conditions) &&
			slices.EqualFunc(p.uses, q.uses, func(u, v use) bool {
				return u.ruleset == v.ruleset && u.all == v.all && slices.Equal(u.actions, v.actions)
			})
	}
	for i, other := range [2]*Snapshot{s.after, s.before} {
		s.policies[i] = slices.DeleteFunc(s.policies[i], func(p *policy) bool {
			q, ok := other.policies.get(p.src.ID)
			return ok && alike(p, q)
		})
	}
}

// newAssetStep is nil when the assets of a type are the same.
func newAssetStep(before, after *assetType) *assetStep {
	s := &assetStep{comparable: before.table.SameLine(after.table) && reflect.DeepEqual(before.def, after.def)}
	if !s.comparable {
		return s
	}
	s.sets[0], s.sets[1] = index.Differ(before.table, after.table)
	n := s.sets[0].Len() + s.sets[1].Len()
	if n == 0 {
		return nil
	}
	for i, t := range [2]*assetType{before, after} {
		if n > fewAssets {
			break
		}
		s.few[i] = []fewChanged{}
		for _, o := range s.sets[i].Ordinals() {
			a := t.asset(t.table.Record(o))
			s.few[i] = append(s.few[i], fewChanged{o, &a})
		}
	}
	return s
}

// Identities lists the ids of the identities of a template that are not in both snapshots with the same data; all is true
// when any may be.
func (s *Step) Identities(t model.TemplateID) (ids map[string]bool, all bool) {
	before, after := s.before.identities[t], s.after.identities[t]
	switch {
	case before == after:
		return nil, false
	case before == nil || after == nil || !before.table.SameLine(after.table) || !reflect.DeepEqual(before.def, after.def):
		return nil, true
	}
	ids = map[string]bool{}
	gone, come := index.Differ(before.table, after.table)
	for _, o := range gone.Ordinals() {
		ids[before.table.Record(o).Values(nil, 0)[0]] = true
	}
	for _, o := range come.Ordinals() {
		ids[after.table.Record(o).Values(nil, 0)[0]] = true
	}
	return ids, false
}

// Carry gives what Bind would give at the later snapshot for the question of r, a residual at the earlier one, where that
// takes no binding: no identity of the question may have changed, and the caller sees to it that time has turned no
// condition. ok is false when the question has to be bound again.
func (s *Step) Carry(r *Residual) (carried *Residual, ok bool) {
	if s.rebind || r.snapshot != s.before {
		return nil, false
	}
	for _, side := range s.policies {
		for _, p := range side {
			if p.active(r.reachable) && slices.ContainsFunc(r.permutations, func(m permutation) bool { return m.inGroups(p) }) {
				return nil, false
			}
		}
	}
	out := *r
	out.snapshot = s.after
	return &out, true
}

// Empty reports whether the two snapshots answer every question alike.
func (s *Step) Empty() bool {
	return !s.rebind && len(s.policies[0])+len(s.policies[1])+len(s.assets) == 0 &&
		maps.EqualFunc(s.before.identities, s.after.identities, func(a, b *identityType) bool { return a.table == b.table })
}

// Touches reports whether r may grant anything on assets that differ, at either end. It looks at few changed assets one by one,
// and takes it for granted of many.
func (s *Step) Touches(r *Residual) bool {
	for t, change := range s.assets {
		if r.reachable[t] && change.touches(r, t) {
			return true
		}
	}
	return false
}

func (s *assetStep) touches(r *Residual, t model.TemplateID) bool {
	for _, few := range s.few {
		if few == nil || slices.ContainsFunc(few, func(c fewChanged) bool { return r.mayGrant(t, c.asset) }) {
			return true
		}
	}
	return false
}

// Slim is r for keeping: without what served to bind it. Until must not be asked of it.
func (r *Residual) Slim() *Residual {
	out := *r
	out.part = nil
	out.permutations = slices.Clone(r.permutations)
	for i := range out.permutations {
		out.permutations[i].when, out.permutations[i].what = nil, nil
	}
	return &out
}

// Weight estimates the bytes that a slim residual holds of its own.
func (r *Residual) Weight() int {
	const each = 64
	n := 4 * each
	for i := range r.question.Identities {
		n += 4 * each
		for _, values := range r.question.Identities[i].Attributes {
			n += each * (1 + len(values))
		}
		n += len(r.question.Identities[i].Rows) * 4 * each
	}
	for i := range r.permutations {
		n += 4 * each
		for _, terms := range r.permutations[i].terms {
			n += 2*each + each*len(terms)
			for j := range terms {
				n += weigh(terms[j].branches, each)
			}
		}
	}
	return n
}

// weigh estimates the bytes of branches. What is the same for every question belongs to the snapshot.
func weigh(branches []boundBranch, each int) int {
	n := each * len(branches)
	for _, b := range branches {
		if b.src.fixed == nil {
			n += 3 * each * len(b.predicates)
		}
	}
	return n
}

// sameTerms reports whether two lists of terms grant and take the same, for the same reasons as far as these are told.
func sameTerms(a, b []term, told Told) bool {
	return slices.EqualFunc(a, b, func(x, y term) bool {
		if x.policy != y.policy && (x.policy.restrict != y.policy.restrict || x.policy.src.ID != y.policy.src.ID ||
			told.Names && x.policy.src.Name != y.policy.src.Name) {
			return false
		}
		if x.use != y.use && (x.use.all != y.use.all || !slices.Equal(x.use.actions, y.use.actions)) {
			return false
		}
		return slices.EqualFunc(x.branches, y.branches, func(c, d boundBranch) bool {
			return slices.EqualFunc(c.predicates, d.predicates, samePredicate)
		})
	})
}

func samePredicate(a, b predicate) bool {
	return a.attribute == b.attribute && a.op == b.op && a.numeric == b.numeric && slices.Equal(a.texts, b.texts) && slices.Equal(a.keys, b.keys)
}
