package engine

import (
	"iter"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// ImpactQuestion fixes what the comparison of two snapshots does not say.
type ImpactQuestion struct {
	// Before and After are the applications whose asset types count in either snapshot; nil = all of that snapshot.
	Before, After    []model.ApplicationID
	IdentityTemplate model.TemplateID // "" = every one
	AssetTemplate    model.TemplateID // "" = every one
	Environment      map[string][]string
	SourceIP         netip.Addr
	Instant          time.Time
	ZoneOffset       time.Duration
	Done             <-chan struct{} // as in Question
}

// Impact is the difference of two snapshots: what every stored identity, asking alone, gains and loses. Pairs are kept as
// sets; changes are made while they are iterated.
type Impact struct {
	Identities, Gained, Lost int
	// LeftOut are types of source REQUEST that the change concerns: they have no stored assets to compare.
	LeftOut []model.TemplateID
	parts   []impactPart
}

// ImpactChange is one identity, asset and action. Action is the wire name, "" for a type without actions. Policies are
// those that grant it after the change when it is gained, before the change when it is lost.
type ImpactChange struct {
	IdentityTemplate model.TemplateID
	EntityID         string
	AssetTemplate    model.TemplateID
	Path             string
	Action           string
	Gained           bool
	Policies         []model.PolicyID
}

// impactPart is what one identity gains or loses of one action.
type impactPart struct {
	ImpactChange
	asset  *assetType // whose ordinals these are
	found  *index.Set
	listed []index.Ordinal // instead of found, when the catalogues differ
	grants []impactGrant
}

type impactGrant struct {
	policy *policy
	found  *index.Set
}

// Changes yields every change by identity template, identity, asset type, action and catalogue order.
func (i *Impact) Changes() iter.Seq[ImpactChange] {
	return func(yield func(ImpactChange) bool) {
		for n := range i.parts {
			p := &i.parts[n]
			for _, o := range p.ordinals() {
				c := p.ImpactChange
				c.Path = p.asset.table.Record(o).Values(nil, 0)[0]
				for _, g := range p.grants {
					if g.found.Contains(o) {
						c.Policies = append(c.Policies, g.policy.src.ID)
					}
				}
				if !yield(c) {
					return
				}
			}
		}
	}
}

func (p *impactPart) ordinals() []index.Ordinal {
	if p.listed != nil {
		return p.listed
	}
	return p.found.Ordinals()
}

// Applications lists the ids of all applications.
func (s *Snapshot) Applications() []model.ApplicationID {
	return slices.Sorted(maps.Keys(s.applications))
}

// Impact compares s with a snapshot that a change makes of it by Next. Only identities whose policies or data the change
// touches are asked, and of those only the asset types that it touches. It returns ErrStopped.
func (s *Snapshot) Impact(after *Snapshot, q ImpactQuestion) (*Impact, error) {
	c := newComparison(s, after, &q)
	for _, t := range c.identityTemplates() {
		if err := c.template(t); err != nil {
			return nil, err
		}
	}
	if c.asking.stopped() { // the last identity may have been judged by a part of its policies
		return nil, ErrStopped
	}
	return c.out, nil
}

// comparison is an impact while it is made.
type comparison struct {
	q        *ImpactQuestion
	sides    [2]*Snapshot
	reach    [2]map[model.TemplateID]bool
	types    []model.TemplateID // whose answers may differ, or all that can be reached, by id
	number   map[model.TemplateID]int
	always   uint64 // types that differ for every identity
	changed  [2][]*policy
	narrowed map[uint64][2]map[model.TemplateID]bool
	asking   Question
	out      *Impact
}

// typeBits is how many types have a bit of their own in a mask; the rest share the last one.
const typeBits = 63

func newComparison(before, after *Snapshot, q *ImpactQuestion) *comparison {
	c := &comparison{
		q: q, sides: [2]*Snapshot{before, after}, number: map[model.TemplateID]int{}, out: &Impact{},
		narrowed: map[uint64][2]map[model.TemplateID]bool{},
		asking: Question{
			Environment: q.Environment, SourceIP: q.SourceIP, Instant: q.Instant, ZoneOffset: q.ZoneOffset, Done: q.Done,
		},
	}
	for i, apps := range [2][]model.ApplicationID{q.Before, q.After} {
		if apps == nil {
			apps = c.sides[i].Applications()
		}
		c.reach[i] = c.sides[i].reachable(apps, nil)
	}
	c.changed = changedPolicies(before, after)
	concerned := c.concerned()
	for i, reach := range c.reach {
		for id := range reach {
			request := c.sides[i].assets[id].def.Source == model.SourceRequest
			wanted := q.AssetTemplate == "" || q.AssetTemplate == id
			switch {
			case request && wanted && concerned[id] && !slices.Contains(c.out.LeftOut, id):
				c.out.LeftOut = append(c.out.LeftOut, id)
			case !request && wanted && !slices.Contains(c.types, id):
				c.types = append(c.types, id)
			}
		}
	}
	slices.Sort(c.out.LeftOut)
	slices.Sort(c.types)
	for n, id := range c.types {
		c.number[id] = n
		if c.typeChanged(id) {
			c.always |= c.bit(id)
		}
	}
	return c
}

// changedPolicies lists the policies that are new, gone or linked anew: all whose text or blocks changed, on either side.
func changedPolicies(before, after *Snapshot) (out [2][]*policy) {
	out[0] = slices.Collect(apart(&before.policies, &after.policies))
	out[1] = slices.Collect(apart(&after.policies, &before.policies))
	return out
}

// concerned are the types that the change touches.
func (c *comparison) concerned() map[model.TemplateID]bool {
	out := map[model.TemplateID]bool{}
	for _, side := range c.changed {
		for _, p := range side {
			for _, t := range p.assetTypes() {
				out[t] = true
			}
		}
	}
	for _, reach := range c.reach {
		for id := range reach {
			out[id] = out[id] || c.typeChanged(id)
		}
	}
	return out
}

// typeChanged reports whether a type answers differently to everybody: by its definition, its assets or its applications.
func (c *comparison) typeChanged(id model.TemplateID) bool {
	return c.sides[0].assets[id] != c.sides[1].assets[id] || c.reach[0][id] != c.reach[1][id]
}

func (c *comparison) bit(id model.TemplateID) uint64 {
	n, ok := c.number[id]
	if !ok {
		return 0
	}
	return 1 << min(n, typeBits)
}

// restricted are the reachable types among those of a mask, in either snapshot. A policy that has no ruleset on them
// cannot matter for them.
func (c *comparison) restricted(mask uint64) [2]map[model.TemplateID]bool {
	if out, ok := c.narrowed[mask]; ok {
		return out
	}
	var out [2]map[model.TemplateID]bool
	for i := range out {
		out[i] = map[model.TemplateID]bool{}
		for _, id := range c.types {
			if c.bit(id)&mask != 0 && c.reach[i][id] {
				out[i][id] = true
			}
		}
	}
	c.narrowed[mask] = out
	return out
}

func (c *comparison) identityTemplates() []model.TemplateID {
	var out []model.TemplateID
	for _, s := range c.sides {
		for id := range s.identities {
			if (c.q.IdentityTemplate == "" || c.q.IdentityTemplate == id) && !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	slices.Sort(out)
	return out
}

// template compares the identities of one template.
func (c *comparison) template(id model.TemplateID) error {
	before, after := c.sides[0].identities[id], c.sides[1].identities[id]
	if before == nil || after == nil || before.table != after.table {
		return c.records(id, before, after)
	}
	masks := make(map[index.Ordinal]uint64)
	for i, t := range [2]*identityType{before, after} {
		c.touched(i, id, t, func(found *index.Set, mask uint64) {
			for _, o := range found.Ordinals() {
				masks[o] |= mask
			}
		})
	}
	if c.always != 0 {
		for _, o := range before.table.All().Ordinals() {
			masks[o] |= c.always
		}
	}
	for _, o := range slices.Sorted(maps.Keys(masks)) {
		if c.asking.stopped() {
			return ErrStopped
		}
		i := before.identity(before.table.Record(o))
		c.identity(id, masks[o], [2]*model.Identity{&i, &i})
	}
	return nil
}

// records compares identities of which some may have changed themselves: those by all types, the others as in template.
func (c *comparison) records(id model.TemplateID, before, after *identityType) error {
	var sides [2]map[string]*model.Identity
	masks := map[string]uint64{}
	var order []string
	for i, t := range [2]*identityType{before, after} {
		sides[i] = map[string]*model.Identity{}
		if t == nil {
			continue
		}
		for _, o := range t.table.All().Ordinals() {
			who := t.identity(t.table.Record(o))
			if sides[0][who.EntityID] == nil {
				order = append(order, who.EntityID)
			}
			sides[i][who.EntityID] = &who
			masks[who.EntityID] |= c.always
		}
		c.touched(i, id, t, func(found *index.Set, mask uint64) {
			for _, o := range found.Ordinals() {
				masks[t.table.Record(o).Values(nil, 0)[0]] |= mask
			}
		})
	}
	for _, entity := range order {
		if c.asking.stopped() {
			return ErrStopped
		}
		pair := [2]*model.Identity{sides[0][entity], sides[1][entity]}
		mask := masks[entity]
		if pair[0] == nil || pair[1] == nil || !reflect.DeepEqual(pair[0], pair[1]) {
			mask = ^uint64(0)
		}
		if mask != 0 {
			c.identity(id, mask, pair)
		}
	}
	return nil
}

// touched yields, for every changed policy of a side, the identities that may be in its groups with its types. Lines
// that compare two attributes of an identity are passed over, so that some may not be: they are judged afterwards.
func (c *comparison) touched(side int, id model.TemplateID, t *identityType, yield func(*index.Set, uint64)) {
	search := newUserSearch(&UserQuestion{Question: c.asking}, t)
	for _, p := range c.changed[side] {
		var mask uint64
		for _, at := range p.assetTypes() {
			mask |= c.bit(at)
		}
		if mask == 0 || p.src.Inactive {
			continue
		}
		for _, g := range p.groups {
			if g.src.Template != id {
				continue
			}
			yield(search.members(g, nil).possible, mask)
		}
	}
}

// identity compares the answers for one identity, nil where it does not exist.
func (c *comparison) identity(t model.TemplateID, mask uint64, who [2]*model.Identity) {
	reach := c.restricted(mask)
	var residuals [2]*Residual
	var entity string
	for i, w := range who {
		if w == nil {
			continue
		}
		entity = w.EntityID
		residuals[i] = c.bind(i, t, w, reach[i])
	}
	changes := c.out.Gained + c.out.Lost
	for _, id := range c.types {
		if c.bit(id)&mask == 0 || !reach[0][id] && !reach[1][id] {
			continue
		}
		c.compare(ImpactChange{IdentityTemplate: t, EntityID: entity, AssetTemplate: id},
			grantsOf(residuals[0], id), grantsOf(residuals[1], id))
	}
	if c.out.Gained+c.out.Lost > changes {
		c.out.Identities++
	}
}

func (c *comparison) bind(side int, t model.TemplateID, who *model.Identity, reach map[model.TemplateID]bool) *Residual {
	s := c.sides[side]
	identity := Identity{Template: t, EntityID: who.EntityID, Inactive: who.Inactive, Attributes: who.Attributes, Rows: who.Rows}
	subjects := c.asking.subjects(s.identities[t], &identity)
	return &Residual{
		snapshot: s, question: &c.asking, reachable: reach,
		permutations: []permutation{s.bindSubjects([]*subject{&subjects[0]}, reach, nil, &shared{})},
	}
}

// typeGrants is what an identity may do with the assets of one type in one snapshot.
type typeGrants struct {
	asset    *assetType
	actions  []string // wire names, in the type's order
	found    map[string]*index.Set
	policies map[string][]impactGrant // by policy id
}

func grantsOf(r *Residual, id model.TemplateID) *typeGrants {
	if r == nil || !r.reachable[id] || len(r.permutations[0].terms[id]) == 0 {
		return nil
	}
	c := &collector{residual: r, asset: r.snapshot.assets[id], policies: true}
	c.actions = c.choose(Selection{}, id)
	granted := map[label]*index.Set{}
	c.grant(&r.permutations[0], granted)
	out := &typeGrants{asset: c.asset, found: map[string]*index.Set{}, policies: map[string][]impactGrant{}}
	for _, l := range slices.SortedFunc(maps.Keys(granted), compareLabels) {
		if granted[l].Len() == 0 {
			continue
		}
		name := c.actions[l.action].Value
		if _, ok := out.found[name]; !ok {
			out.actions = append(out.actions, name)
		}
		out.found[name] = index.Union(out.found[name], granted[l])
		out.policies[name] = append(out.policies[name], impactGrant{l.policy, granted[l]})
	}
	return out
}

func (c *comparison) compare(about ImpactChange, before, after *typeGrants) {
	c.minus(about, before, after)
	about.Gained = true
	c.minus(about, after, before)
}

// minus notes what one side grants and the other does not.
func (c *comparison) minus(about ImpactChange, one, other *typeGrants) {
	if one == nil {
		return
	}
	for _, action := range one.actions {
		p := impactPart{ImpactChange: about, asset: one.asset, found: one.found[action], grants: one.policies[action]}
		p.Action = action
		n := p.found.Len()
		switch {
		case other == nil || other.found[action].Len() == 0:
		case one.asset.table == other.asset.table:
			p.found = index.Subtract(p.found, other.found[action])
			n = p.found.Len()
		default:
			p.listed = elsewhere(one, other, action)
			n = len(p.listed)
		}
		if n == 0 {
			continue
		}
		if about.Gained {
			c.out.Gained += n
		} else {
			c.out.Lost += n
		}
		c.out.parts = append(c.out.parts, p)
	}
}

// elsewhere lists the assets that one side grants and the other does not, when their ordinals cannot be compared.
func elsewhere(one, other *typeGrants, action string) []index.Ordinal {
	var out []index.Ordinal
	for _, o := range one.found[action].Ordinals() {
		path := one.asset.table.Record(o).Values(nil, 0)[0]
		if at, ok := other.asset.table.Find(path); !ok || !other.found[action].Contains(at) {
			out = append(out, o)
		}
	}
	return out
}
