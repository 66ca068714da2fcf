package engine

import (
	"bytes"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Side is one question at one end of a Step.
type Side struct {
	Residual  *Residual // nil = nothing is allowed
	Selection Selection // without assets
	// Shown says which attributes the entries of a type show; nil = all.
	Shown func(model.TemplateID) *Projection
}

// Told says what action lists tell of the policies that grant an action; selections keep policies accordingly.
type Told struct{ Names, IDs bool }

// Difference is what lies between two answers. Who takes the actions of Lost from the entries of the earlier answer (an
// entry that has none left goes, as does one listed without actions), then puts the entries of Gained and Changed in, with
// their attributes in place of the old ones and their actions added, has the later answer.
type Difference struct {
	Gained  *Access // entries as they are now, with the actions that are new
	Lost    *Access // entries as they were, with the actions that are gone
	Changed *Access // entries as they are now whose attributes are shown differently and that are not in Gained
}

// Len is the number of entries.
func (d *Difference) Len() int { return d.Gained.Len() + d.Lost.Len() + d.Changed.Len() }

// Compare gives the difference of two answers, before at the earlier snapshot of the step and after at the later one. Where
// only stored assets differ, the work is in proportion to these. Both sides ask for the same types, actions and
// attributes. The error is ErrStopped.
func (s *Step) Compare(before, after Side, told Told) (*Difference, error) {
	out := &Difference{Gained: &Access{}, Lost: &Access{}, Changed: &Access{}}
	sides := [2]Side{before, after}
	var types []model.TemplateID
	for i := range sides {
		if r := sides[i].Residual; r != nil {
			types = append(types, r.wanted(sides[i].Selection)...)
		}
	}
	slices.Sort(types)
	for _, id := range slices.Compact(types) {
		d := differ{step: s, id: id, told: told, out: out, pairs: map[[2]uint32]pairDifference{}}
		d.compare(&sides)
	}
	for i := range sides {
		if r := sides[i].Residual; r != nil && r.question.stopped() {
			return nil, ErrStopped
		}
	}
	return out, nil
}

// differ compares the answers of one type.
type differ struct {
	step  *Step
	id    model.TemplateID
	told  Told
	out   *Difference
	ends  [2]end
	pairs map[[2]uint32]pairDifference
	// alike: the type is the same at both ends, and assets that are not in its assetStep are, too.
	alike bool
}

// end is the answer at one end: of all assets or, where the others cannot differ, of the changed ones.
type end struct {
	asset    *assetType // nil = the type is not reached
	access   Access
	ordinals []index.Ordinal
	sets     []uint32
	shown    *Projection
}

// pairDifference is what separates two action sets; nil = nothing is gained, or lost.
type pairDifference struct{ gained, lost *ActionSet }

func (d *differ) compare(sides *[2]Side) {
	var collectors [2]*collector
	for i := range sides {
		collectors[i] = d.collector(i, &sides[i])
	}
	change, bound := d.step.assets[d.id], false
	if collectors[0] != nil && collectors[1] != nil {
		d.alike = change == nil || change.comparable
		bound = d.alike && d.boundAlike(sides)
	}
	switch {
	case bound && change == nil:
		return
	case bound:
		for i, c := range collectors {
			c.takeChanged(change, i)
		}
	case d.alike:
		d.takeDiffering(collectors)
	default:
		for _, c := range collectors {
			if c != nil {
				c.all(nil)
			}
		}
	}
	for i := range d.ends {
		if e := &d.ends[i]; len(e.access.runs) > 0 {
			e.ordinals, e.sets = e.access.runs[0].ordinals, e.access.runs[0].sets
		}
	}
	d.join()
}

// takeChanged gathers at one end the assets that the other one does not have as they are.
func (c *collector) takeChanged(change *assetStep, end int) {
	switch {
	case change.few[end] != nil:
		c.each(change.few[end])
	case change.sets[end].Len() > 0:
		c.within = change.sets[end]
		c.all(nil)
	}
}

// takeDiffering gathers at both ends the assets that are granted differently, which is found set at a time, and those that
// are not the same.
func (d *differ) takeDiffering(collectors [2]*collector) {
	type key struct {
		action int
		id     model.PolicyID
		name   string
	}
	var granted [2]map[label]*index.Set
	var by [2]map[key]*index.Set
	for i, c := range collectors {
		granted[i], by[i] = c.granted(), map[key]*index.Set{}
		for l, set := range granted[i] {
			k := key{action: l.action}
			if l.policy != nil {
				k.id = l.policy.src.ID
			}
			if l.policy != nil && d.told.Names {
				k.name = l.policy.src.Name
			}
			by[i][k] = set
		}
	}
	var sets []*index.Set
	if change := d.step.assets[d.id]; change != nil {
		sets = append(sets, change.sets[0], change.sets[1])
	}
	for i := range by {
		for k, set := range by[i] {
			sets = append(sets, index.Subtract(set, by[1-i][k]))
		}
	}
	differing := index.Union(sets...)
	for i, c := range collectors {
		for l, set := range granted[i] {
			granted[i][l] = index.Intersect(set, differing)
		}
		c.take(granted[i])
	}
}

func (d *differ) collector(i int, side *Side) *collector {
	r := side.Residual
	if r == nil || !slices.Contains(r.wanted(side.Selection), d.id) {
		return nil
	}
	e := &d.ends[i]
	e.asset = r.snapshot.assets[d.id]
	if side.Shown != nil {
		e.shown = side.Shown(d.id)
	}
	c := &collector{residual: r, access: &e.access, asset: e.asset, policies: side.Selection.Policies, known: map[string]int{}}
	c.actions = c.choose(side.Selection, d.id)
	return c
}

// boundAlike reports whether both ends are bound to the same.
func (d *differ) boundAlike(sides *[2]Side) bool {
	a, b := sides[0].Residual.permutations, sides[1].Residual.permutations
	if len(a) > 0 && len(b) > 0 && &a[0] == &b[0] {
		return true
	}
	return slices.EqualFunc(a, b, func(p, q permutation) bool { return sameTerms(p.terms[d.id], q.terms[d.id], d.told) })
}

// each judges assets one by one, as all does together.
func (c *collector) each(assets []fewChanged) {
	out := run{asset: c.asset}
	for _, a := range assets {
		if !c.residual.mayGrant(c.asset.def.ID, a.asset) {
			continue
		}
		if labels := c.residual.labels(c, about(a.asset)); len(labels) > 0 {
			out.ordinals, out.sets = append(out.ordinals, a.ordinal), append(out.sets, uint32(c.intern(labels)))
		}
	}
	if len(out.ordinals) > 0 {
		c.access.runs = append(c.access.runs, out)
	}
}

// mayGrant reports whether some Allow policy covers the asset. Most questions have nothing to do with most assets.
func (r *Residual) mayGrant(t model.TemplateID, a *model.Asset) bool {
	for i := range r.permutations {
		terms := r.permutations[i].terms[t]
		for j := range terms {
			if !terms[j].policy.restrict && terms[j].holds(a) {
				return true
			}
		}
	}
	return false
}

// join lays the entries of both ends side by side.
func (d *differ) join() {
	before, after := &d.ends[0], &d.ends[1]
	lost := entries{access: d.out.Lost, asset: before.asset}
	gained := make([]*ActionSet, len(after.ordinals))
	seen := make([]bool, len(after.ordinals))
	changed := map[int]bool{}
	for i, o := range before.ordinals {
		was := &before.access.sets[before.sets[i]]
		at, there := d.counterpart(o)
		if !there {
			lost.add(o, was)
			continue
		}
		seen[at] = true
		pair := d.pair(before.sets[i], after.sets[at])
		if pair.lost != nil {
			lost.add(o, pair.lost)
		}
		if gained[at] = pair.gained; pair.gained == nil && d.shownOtherwise(o, after.ordinals[at]) {
			changed[at] = true
		}
	}
	come, other := entries{access: d.out.Gained, asset: after.asset}, entries{access: d.out.Changed, asset: after.asset}
	for at, o := range after.ordinals {
		switch {
		case !seen[at]:
			come.add(o, &after.access.sets[after.sets[at]])
		case gained[at] != nil:
			come.add(o, gained[at])
		case changed[at]:
			other.add(o, &after.access.sets[after.sets[at]])
		}
	}
	lost.finish()
	come.finish()
	other.finish()
}

// counterpart finds the entry at the later end of an asset at the earlier one.
func (d *differ) counterpart(o index.Ordinal) (at int, ok bool) {
	before, after := &d.ends[0], &d.ends[1]
	if len(after.ordinals) == 0 {
		return 0, false
	}
	if !before.asset.table.SameLine(after.asset.table) || !after.asset.table.Holds(o) {
		if o, ok = after.asset.table.Find(before.asset.table.Record(o).Values(nil, 0)[0]); !ok {
			return 0, false
		}
	}
	return slices.BinarySearch(after.ordinals, o)
}

// shownOtherwise reports whether an entry shows other attributes than before.
func (d *differ) shownOtherwise(before, after index.Ordinal) bool {
	a, b := &d.ends[0], &d.ends[1]
	if d.alike && before == after {
		change := d.step.assets[d.id]
		if change == nil || !change.sets[1].Contains(after) {
			return false
		}
	}
	x := Entry{asset: a.asset, record: a.asset.table.Record(before)}
	y := Entry{asset: b.asset, record: b.asset.table.Record(after)}
	return !bytes.Equal(x.Append(nil, a.shown), y.Append(nil, b.shown))
}

// pair compares two action sets, each pair of sets once.
func (d *differ) pair(before, after uint32) pairDifference {
	key := [2]uint32{before, after}
	if out, ok := d.pairs[key]; ok {
		return out
	}
	a, b := d.ends[0].access.sets[before], d.ends[1].access.sets[after]
	var out pairDifference
	switch {
	case len(a) == 0 && len(b) == 0:
	case len(a) == 0 || len(b) == 0: // the type has its first action, or none any more
		out = pairDifference{gained: &b, lost: &a}
	default:
		out = pairDifference{gained: a.missing(b, d.told), lost: b.missing(a, d.told)}
	}
	d.pairs[key] = out
	return out
}

// missing is what other has and a has not, as far as it is told; nil = nothing.
func (a ActionSet) missing(other ActionSet, told Told) *ActionSet {
	known := map[grantKey]bool{}
	for i := range a {
		for _, ref := range told.refs(&a[i]) {
			known[told.key(&a[i], ref)] = true
		}
	}
	var out ActionSet
	for i := range other {
		g := Granted{Action: other[i].Action}
		found := false
		for _, ref := range told.refs(&other[i]) {
			if !known[told.key(&other[i], ref)] {
				found = true
				g.Policies = append(g.Policies, ref)
			}
		}
		if found {
			out = append(out, g)
		}
	}
	if out == nil {
		return nil
	}
	return &out
}

// grantKey is one object of an action list.
type grantKey struct {
	value, name string
	id          model.PolicyID
}

// refs lists what makes objects of their own of one action: its policies, if anything is told of them.
func (t Told) refs(g *Granted) []PolicyRef {
	if t.Names || t.IDs {
		return g.Policies
	}
	return make([]PolicyRef, 1)
}

func (t Told) key(g *Granted, ref PolicyRef) grantKey {
	out := grantKey{value: g.Action.Value}
	if t.Names {
		out.name = ref.Name
	}
	if t.IDs {
		out.id = ref.ID
	}
	return out
}

// entries gathers the entries of one type in one list of a difference.
type entries struct {
	access *Access
	asset  *assetType
	run    run
	known  map[*ActionSet]uint32
}

func (p *entries) add(o index.Ordinal, set *ActionSet) {
	at, ok := p.known[set]
	if !ok {
		if p.known == nil {
			p.known = map[*ActionSet]uint32{}
		}
		at = uint32(len(p.access.sets))
		p.known[set] = at
		p.access.sets = append(p.access.sets, *set)
	}
	p.run.ordinals, p.run.sets = append(p.run.ordinals, o), append(p.run.sets, at)
}

func (p *entries) finish() {
	if len(p.run.ordinals) == 0 {
		return
	}
	p.run.asset = p.asset
	p.access.runs = append(p.access.runs, p.run)
	p.access.size += len(p.run.ordinals)
}
