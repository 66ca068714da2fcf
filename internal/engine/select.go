package engine

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Selection narrows what Select looks for.
type Selection struct {
	// Templates names the types wanted; nil = every reachable one. Types that do not exist or that the scope does not
	// reach give nothing.
	Templates []TemplateSelection
	// Assets, when not nil, are the only assets that can be found, each judged by itself and in this order within a type.
	// One of a stored type without a path stands for all assets of the type.
	Assets []Asset
	// Policies keeps which policies grant each action.
	Policies bool
}

// TemplateSelection names a type and, when Actions is not empty, the wire names of the actions wanted.
type TemplateSelection struct {
	Template model.TemplateID
	Actions  []string
}

// Select finds every asset that the question's identities may use, with the actions allowed on each (E10). The answer
// is complete. The error is ErrStopped.
func (r *Residual) Select(sel Selection) (*Access, error) {
	out := &Access{}
	for _, id := range r.wanted(sel) {
		c := &collector{residual: r, access: out, asset: r.snapshot.assets[id], policies: sel.Policies, known: map[string]int{}}
		c.actions = c.choose(sel, id)
		if sel.Assets == nil {
			c.all(nil)
			continue
		}
		for i := range sel.Assets {
			if sel.Assets[i].Template == id && !r.question.stopped() {
				c.one(&sel.Assets[i])
			}
		}
	}
	if r.question.stopped() { // once for all: what was passed over above is in no answer
		return nil, ErrStopped
	}
	for i := range out.runs {
		out.size += len(out.runs[i].ordinals)
		if out.runs[i].described != nil {
			out.size++
		}
	}
	return out, nil
}

// Types lists the types that the question's applications reach, by id.
func (r *Residual) Types() []model.TemplateID { return r.wanted(Selection{}) }

// wanted lists the reachable types of a selection by id, each once.
func (r *Residual) wanted(sel Selection) []model.TemplateID {
	var out []model.TemplateID
	for id := range r.reachable {
		if sel.Templates == nil || slices.ContainsFunc(sel.Templates, func(t TemplateSelection) bool { return t.Template == id }) {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// collector gathers the entries of one type.
type collector struct {
	residual *Residual
	access   *Access
	asset    *assetType
	actions  []model.Action // wanted ones, in the order of the type; a single empty one for a type without actions
	policies bool
	known    map[string]int // action sets made so far, by their labels
	sent     model.Attributes
	within   *index.Set // the only assets that all looks at; nil = every one

	wholeKnown bool
	wholeRuns  []run // what whole has found
}

// choose lists the actions wanted of a type. Selections of one type are united.
func (c *collector) choose(sel Selection, id model.TemplateID) []model.Action {
	var names []string
	limited := false
	for _, t := range sel.Templates {
		if t.Template == id {
			limited = len(t.Actions) > 0
			names = append(names, t.Actions...)
			if !limited {
				break
			}
		}
	}
	all := c.asset.def.Actions
	if limited {
		var out []model.Action
		for _, a := range all {
			// a request may name very many: what they mean is not looked up one by one
			named := func(n string) bool {
				m, ok := c.asset.def.RequestAction(n)
				return ok && m.ID == a.ID && slices.Contains(names, n)
			}
			if named(a.Value) || named(string(a.ID)) {
				out = append(out, a)
			}
		}
		return out
	}
	if len(all) == 0 {
		return []model.Action{{}}
	}
	return all
}

// label is one thing that an entry may be granted: an action, by a policy when those are asked for.
type label struct {
	action int // in collector.actions
	policy *policy
}

func compareLabels(a, b label) int {
	if c := cmp.Compare(a.action, b.action); c != 0 || a.policy == nil {
		return c
	}
	return comparePolicies(a.policy, b.policy)
}

// all selects from the index, set at a time. Values sent with the request take the place of every asset's own (E12).
func (c *collector) all(sent model.Attributes) {
	c.sent = sent
	if len(c.residual.permutations) == 1 && !c.policies && len(c.actions) <= mostMarked {
		c.mark(&c.residual.permutations[0])
		return
	}
	c.take(c.granted())
}

// granted selects what is granted, by what.
func (c *collector) granted() map[label]*index.Set {
	granted := map[label]*index.Set{}
	for i := range c.residual.permutations {
		if c.residual.question.stopped() {
			return nil
		}
		c.grant(&c.residual.permutations[i], granted)
	}
	return granted
}

// take makes a run of what is granted.
func (c *collector) take(granted map[label]*index.Set) {
	labels := make([]label, 0, len(granted))
	for l, found := range granted {
		if found.Len() > 0 {
			labels = append(labels, l)
		}
	}
	if len(labels) == 0 {
		return
	}
	slices.SortFunc(labels, compareLabels)
	sets := make([]*index.Set, len(labels))
	for i, l := range labels {
		sets[i] = granted[l]
	}
	ordinals := index.Union(sets...).Ordinals()
	c.access.runs = append(c.access.runs, run{asset: c.asset, ordinals: ordinals, sets: c.assign(ordinals, labels, sets), sent: c.sent})
}

// grant adds to granted what one permutation allows minus what it restricts.
func (c *collector) grant(p *permutation, granted map[label]*index.Set) {
	terms := p.terms[c.asset.def.ID]
	allowed := c.allowed(terms)
	if len(allowed) == 0 {
		return
	}
	lists := map[label][]*index.Set{}
	for _, s := range allowed {
		for a, action := range c.actions {
			if !s.use.covers(action.ID) {
				continue
			}
			l := label{action: a}
			if c.policies {
				l.policy = s.policy
			}
			lists[l] = append(lists[l], s.set)
		}
	}
	taken := make([][]*index.Set, len(c.actions))
	for _, s := range c.restricted(terms, all(allowed)) {
		for a, action := range c.actions {
			if s.use.covers(action.ID) {
				taken[a] = append(taken[a], s.set)
			}
		}
	}
	for l, sets := range lists {
		b := index.Union(sets...)
		if r := taken[l.action]; len(r) > 0 {
			b = index.Subtract(b, index.Union(r...))
		}
		if before, ok := granted[l]; ok {
			b = index.Union(before, b)
		}
		granted[l] = b
	}
}

// share is what a term covers.
type share struct {
	*term
	set *index.Set
}

// all unites shares.
func all(shares []share) *index.Set {
	var space [16]*index.Set
	sets := space[:0]
	for i := range shares {
		sets = append(sets, shares[i].set)
	}
	return index.Union(sets...)
}

// allowed selects what the Allow policies cover.
func (c *collector) allowed(terms []term) []share { return c.shares(terms, false, c.within) }

// restricted selects what the Restrict policies cover, looking only among what is allowed at all: their branches are often
// wide.
func (c *collector) restricted(terms []term, allowed *index.Set) []share {
	return c.shares(terms, true, allowed)
}

// shares selects what the terms of one kind cover, as far as it is among within and of use for a wanted action.
func (c *collector) shares(terms []term, restrict bool, within *index.Set) []share {
	out := make([]share, 0, len(terms))
	found := map[*block]*index.Set{} // rulesets shared by policies are selected once
	for i := range terms {
		t := &terms[i]
		if c.residual.question.stopped() {
			return nil // what is selected is of no account
		}
		if t.policy.restrict != restrict || len(t.branches) == 0 || !t.use.coversAny(c.actions) {
			continue
		}
		set, ok := found[t.use.ruleset]
		if !ok {
			set = c.find(t.branches, within)
			found[t.use.ruleset] = set
		}
		if set.Len() > 0 {
			out = append(out, share{t, set})
		}
	}
	return out
}

// find selects the assets, among within if it is not nil, for which some branch holds.
func (c *collector) find(branches []boundBranch, within *index.Set) *index.Set {
	var space [8]*index.Set
	found := space[:0]
	for i := range branches {
		if set, possible := c.findBranch(&branches[i], within); possible {
			found = append(found, set)
		}
	}
	return index.Union(found...)
}

// findBranch asks the index. Predicates on values that the request sends are the same for every asset and decided here.
func (c *collector) findBranch(b *boundBranch, within *index.Set) (found *index.Set, possible bool) {
	var predicates [8]index.Predicate
	list := predicates[:0]
	for i := range b.predicates {
		p := &b.predicates[i]
		if vs, ok := c.sentFor(p.rule); ok {
			if !p.holds(vs) {
				return nil, false
			}
			continue
		}
		list = append(list, p.indexed(c.asset.columns[p.attribute]))
	}
	return c.asset.table.Select(list, within), true
}

// sentFor are the values of a line's attribute when the request sends them, or those that it is calculated of.
func (c *collector) sentFor(r *rule) ([]string, bool) {
	if r.calculated == nil {
		vs, ok := c.sent[r.src.Left.Attribute]
		return vs, ok
	}
	vs, ok := c.sent[r.calculated.Argument]
	if !ok {
		return nil, false
	}
	return r.calculated.Values(vs), true
}

// assign gives every ordinal its action set. sets[i] are the ordinals with labels[i], all of them among ordinals. Which
// labels an ordinal has is gathered as a mask, 64 labels at a time; equal sets are made once.
func (c *collector) assign(ordinals []index.Ordinal, labels []label, sets []*index.Set) []uint32 {
	out := make([]uint32, len(ordinals)) // while walking: places in chains
	chains := [][]label{nil}             // the label lists made so far
	masks := make([]uint64, len(ordinals))
	for first := 0; first < len(labels); first += 64 {
		batch := labels[first:min(first+64, len(labels))]
		clear(masks)
		for l := range batch {
			sets[first+l].Mark(masks, ordinals, 1<<l)
		}
		made := newSteps(first, len(batch))
		for i, mask := range masks {
			id := made.at(out[i], mask)
			if *id == 0 {
				*id = uint32(len(chains))
				chains = append(chains, chosen(chains[out[i]], mask, batch))
			}
			out[i] = *id
		}
	}
	ids := make([]uint32, len(chains))
	for i, at := range out {
		if ids[at] == 0 {
			ids[at] = uint32(c.intern(chains[at])) + 1
		}
		out[i] = ids[at] - 1
	}
	return out
}

// steps tells which chain follows from a chain and a mask; 0 = not made yet. In the first batch there is one chain to
// start from, so that a few labels need no more than a table of their masks.
type steps struct {
	table []uint32
	made  map[step]*uint32
}

type step struct {
	before uint32
	mask   uint64
}

func newSteps(first, labels int) steps {
	if first == 0 && labels <= 10 {
		return steps{table: make([]uint32, 1<<labels)}
	}
	return steps{made: map[step]*uint32{}}
}

func (s *steps) at(before uint32, mask uint64) *uint32 {
	if s.table != nil {
		return &s.table[mask]
	}
	id, ok := s.made[step{before, mask}]
	if !ok {
		id = new(uint32)
		s.made[step{before, mask}] = id
	}
	return id
}

// chosen appends the labels of a mask to a list that stays as it is.
func chosen(before []label, mask uint64, labels []label) []label {
	out := slices.Clip(before)
	for ; mask != 0; mask &= mask - 1 {
		out = append(out, labels[bits.TrailingZeros64(mask)])
	}
	return out
}

// intern gives the place in the answer of the action set of some labels.
func (c *collector) intern(labels []label) int {
	var key strings.Builder
	set := ActionSet{}
	for i, l := range labels {
		key.WriteByte(byte(l.action))
		key.WriteByte(byte(l.action >> 8))
		if l.policy != nil {
			key.WriteString(string(l.policy.src.ID))
			key.WriteByte(0) // no policy id holds a control character
		}
		if c.actions[l.action].ID == "" {
			continue // a type without actions
		}
		if i == 0 || labels[i-1].action != l.action {
			set = append(set, Granted{Action: c.actions[l.action]})
		}
		if l.policy != nil {
			g := &set[len(set)-1]
			g.Policies = append(g.Policies, PolicyRef{l.policy.src.ID, l.policy.src.Name})
		}
	}
	if id, ok := c.known[key.String()]; ok {
		return id
	}
	id := len(c.access.sets)
	c.access.sets = append(c.access.sets, set)
	c.known[key.String()] = id
	return id
}

// one judges an asset that the request names.
func (c *collector) one(a *Asset) {
	if a.Path == "" && c.asset.def.Source != model.SourceRequest {
		c.whole(c.asset.accepted(a.Attributes))
		return
	}
	full, ok := c.residual.snapshot.complete(a)
	if !ok {
		return
	}
	labels := c.residual.labels(c, about(full))
	switch {
	case len(labels) == 0:
	case c.asset.def.Source == model.SourceRequest || len(c.asset.accepted(a.Attributes)) > 0:
		c.access.runs = append(c.access.runs, run{asset: c.asset, described: full, set: c.intern(labels)})
	default:
		c.addStored(a.Path, uint32(c.intern(labels)))
	}
}

// whole selects all assets of the type. A list may name the type many times, and there may be very many assets: what is found
// without sent values is found and held once for all.
func (c *collector) whole(sent model.Attributes) {
	if len(sent) == 0 && c.wholeKnown {
		c.access.runs = append(c.access.runs, c.wholeRuns...)
		return
	}
	before := len(c.access.runs)
	c.all(sent)
	found := c.access.runs[before:]
	for i := range found {
		found[i].shared = true
	}
	if len(sent) == 0 {
		c.wholeRuns, c.wholeKnown = slices.Clone(found), true
	}
}

// addStored adds a stored asset as it is, to the run before when that is of such assets, too: a list may name very many.
func (c *collector) addStored(path string, set uint32) {
	o, _ := c.asset.table.Find(path)
	runs := c.access.runs
	if n := len(runs); n == 0 || runs[n-1].asset != c.asset || runs[n-1].described != nil || runs[n-1].shared {
		runs = append(runs, run{asset: c.asset})
	}
	last := &runs[len(runs)-1]
	last.ordinals, last.sets = append(last.ordinals, o), append(last.sets, set)
	c.access.runs = runs
}
