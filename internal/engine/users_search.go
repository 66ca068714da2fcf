package engine

import (
	"encoding/binary"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// bounds enclose a set of identities: all of certain are in it, and none that are not in possible. Where the index can
// tell everything they are the same set.
type bounds struct{ certain, possible *index.Set }

func exactly(s *index.Set) bounds { return bounds{s, s} }

func (b bounds) exact() bool { return b.certain == b.possible }

// unite joins what is in list, and may change that.
func unite(list []bounds) bounds {
	list = slices.DeleteFunc(list, func(b bounds) bool { return b.possible.Len() == 0 })
	switch len(list) {
	case 0:
		return bounds{}
	case 1:
		return list[0]
	}
	certain, possible := make([]*index.Set, len(list)), make([]*index.Set, len(list))
	exact := true
	for i, b := range list {
		certain[i], possible[i] = b.certain, b.possible
		exact = exact && b.exact()
	}
	if exact {
		return exactly(index.Union(possible...))
	}
	return bounds{index.Union(certain...), index.Union(possible...)}
}

// union joins sets of which many are the same one.
func union(sets []*index.Set) *index.Set {
	known := make(map[*index.Set]bool, len(sets))
	for _, s := range sets {
		known[s] = true
	}
	return index.Union(slices.Collect(maps.Keys(known))...)
}

func (b bounds) and(other bounds) bounds {
	if b.exact() && other.exact() {
		return exactly(index.Intersect(b.possible, other.possible))
	}
	return bounds{index.Intersect(b.certain, other.certain), index.Intersect(b.possible, other.possible)}
}

func (b bounds) minus(other bounds) bounds {
	if b.exact() && other.exact() {
		return exactly(index.Subtract(b.possible, other.possible))
	}
	return bounds{index.Subtract(b.certain, other.possible), index.Subtract(b.possible, other.certain)}
}

// userSearch finds the identities of one template that may use an asset, set at a time: with the asset bound, every line
// of a policy becomes a predicate on identities, or is passed over when the index cannot judge it.
type userSearch struct {
	q         *UserQuestion
	collector *collector
	about     matter
	of        *identityType
	now       permutation // of a question that nobody asks: what time, address and request make of conditions
	all       *index.Set  // everybody, made when it is needed
	inRows    *index.Set  // those of everybody who have rows, when rows are judged one by one
	found     map[selection]*index.Set
	bySize    map[int]*index.Set // what was found last, by the number of ordinals
	known     int                // bytes of the predicates in found
	held      map[blockAmong]bounds
	made      shared
	// scratch
	predicates []index.Predicate
	key        []byte
}

// selection is what was searched: predicates, encoded, among some (nil = everybody). Policies often say the same.
type selection struct {
	among      *index.Set
	predicates string
}

// blockAmong is a block that was searched among some (nil = everybody).
type blockAmong struct {
	block *block
	among *index.Set
}

func newUserSearch(q *UserQuestion, of *identityType) *userSearch {
	u := &userSearch{
		q: q, of: of, now: unasked(&q.Question),
		found: map[selection]*index.Set{}, bySize: map[int]*index.Set{}, held: map[blockAmong]bounds{},
	}
	u.now.when = map[*block]bool{}
	if q.CombinedMultiValue {
		rows, _ := of.markColumns()
		u.inRows = of.table.Select(marked(rows), nil)
	}
	return u
}

func (u *userSearch) everybody() *index.Set {
	if u.all == nil {
		u.all = u.of.table.All()
	}
	return u.all
}

// those are the identities, among some, for whom all predicates hold.
func (u *userSearch) those(predicates []index.Predicate, among *index.Set) *index.Set {
	if len(predicates) == 0 {
		if among != nil {
			return among
		}
		return u.everybody()
	}
	if among == u.all {
		among = nil
	}
	u.key = u.key[:0]
	for i := range predicates {
		u.key = appendPredicate(u.key, &predicates[i])
	}
	found, ok := u.found[selection{among, string(u.key)}]
	if !ok {
		found = u.same(u.of.table.Select(predicates, among))
		if u.known+len(u.key) <= mostKnown {
			u.found[selection{among, string(u.key)}] = found
			u.known += len(u.key)
		}
	}
	return found
}

// same is the set that was found before, when that holds the same identities: what was searched among them is known then,
// whichever lines found them.
func (u *userSearch) same(found *index.Set) *index.Set {
	if before, ok := u.bySize[found.Len()]; ok && before.Equal(found) {
		return before
	}
	u.bySize[found.Len()] = found
	return found
}

// mostKnown is how many bytes of predicates a search keeps to know them again: a request may bring a million values, which
// stand in the predicates of very many branches.
const mostKnown = 8 << 20

// appendPredicate appends a predicate so that different ones never look alike.
func appendPredicate(b []byte, p *index.Predicate) []byte {
	b = binary.AppendUvarint(b, uint64(p.Column))
	b = append(b, byte(p.Op), 0)
	if p.Negate {
		b[len(b)-1] = 1
	}
	b = binary.AppendUvarint(b, uint64(len(p.Operands)))
	for _, text := range p.Operands {
		b = append(binary.AppendUvarint(b, uint64(len(text))), text...)
	}
	return b
}

// userGrants tell who may do what: sets[i] are those of known who have labels[i]. Those of open must be judged one by one.
type userGrants struct {
	labels      []label
	sets        []*index.Set
	known, open *index.Set
}

// covers are the sets that policies cover, each once.
type covers map[bounds]bool

// find looks at all policies on the type of the asset. What Restrict policies say is looked for only among those to whom
// something is allowed: their lines are often wide.
func (u *userSearch) find(policies []*policy) userGrants {
	allowed := map[label]covers{}
	u.each(policies, false, nil, func(l label, covered bounds) {
		if allowed[l] == nil {
			allowed[l] = covers{}
		}
		allowed[l][covered] = true
	})
	granted := make(map[label]bounds, len(allowed))
	candidates := make([]*index.Set, 0, len(allowed))
	for l, sets := range allowed {
		granted[l] = unite(slices.Collect(maps.Keys(sets)))
		candidates = append(candidates, granted[l].possible)
	}
	among := union(candidates)
	if among.Len() == 0 {
		return userGrants{}
	}
	nobody := make([]covers, len(u.collector.actions)) // of an action: those whom it is taken from
	for action := range nobody {
		nobody[action] = covers{}
		if !u.q.Inactive { // who is inactive is in no group
			_, inactive := u.of.markColumns()
			nobody[action][exactly(u.those(marked(inactive), among))] = true
		}
	}
	u.each(policies, true, among, func(l label, covered bounds) { nobody[l.action][covered] = true })
	return grants(granted, nobody)
}

// each yields what the active policies of one kind cover of the asset, among some, and for whom.
func (u *userSearch) each(policies []*policy, restrict bool, among *index.Set, yield func(label, bounds)) {
	for _, p := range policies {
		if p.src.Inactive || p.restrict != restrict {
			continue
		}
		if u.q.stopped() {
			return // nobody waits for the answer
		}
		u.policy(p, among, yield)
	}
}

// grants takes what is restricted from what is allowed, and parts those whose grants are known from the others.
func grants(allowed map[label]bounds, restricted []covers) userGrants {
	nobody := make([]bounds, len(restricted))
	for action, sets := range restricted {
		nobody[action] = unite(slices.Collect(maps.Keys(sets)))
	}
	var out userGrants
	var all, open []*index.Set
	for _, l := range slices.SortedFunc(maps.Keys(allowed), compareLabels) {
		granted := allowed[l].minus(nobody[l.action])
		if granted.possible.Len() == 0 {
			continue
		}
		out.labels, out.sets = append(out.labels, l), append(out.sets, granted.certain)
		all = append(all, granted.possible)
		if !granted.exact() {
			open = append(open, index.Subtract(granted.possible, granted.certain))
		}
	}
	out.open = union(open)
	out.known = index.Subtract(union(all), out.open)
	for i := range out.sets {
		out.sets[i] = index.Subtract(out.sets[i], out.open)
	}
	return out
}

// policy yields what a policy covers of the asset, among some, and for whom. Rulesets come first: most of them are not about
// the asset at all.
func (u *userSearch) policy(p *policy, among *index.Set, yield func(label, bounds)) {
	for _, c := range p.conditions {
		// when, from where and what the request says is the same for everybody
		if c.src.Kind != model.KindConditionIdentity && !u.now.judged(c) {
			return
		}
	}
	for i := range p.uses {
		use := &p.uses[i]
		if use.ruleset.src.Template != u.collector.asset.def.ID || !use.coversAny(u.collector.actions) {
			continue
		}
		what := u.what(p, use.ruleset, among)
		if what.possible.Len() == 0 {
			continue
		}
		covered := u.who(p, what)
		if covered.possible.Len() == 0 {
			continue
		}
		for n, action := range u.collector.actions {
			if !use.covers(action.ID) {
				continue
			}
			l := label{action: n}
			if u.q.Policies {
				l.policy = p
			}
			yield(l, covered)
		}
	}
}

// what are those, among some, for whom a policy's ruleset is about the asset.
func (u *userSearch) what(p *policy, b *block, among *index.Set) bounds {
	if u.about.whole && p.restrict {
		return exactly(u.those(nil, among)) // aboutType
	}
	return u.holding(b, among, func(br *branch) bool {
		return (br.template == "" || br.template == u.of.def.ID) && (!u.about.whole || len(br.rules) == 0)
	})
}

// who are those, among some, whom a policy applies to: in one of its groups, every condition met (E8, E9, E17).
func (u *userSearch) who(p *policy, among bounds) bounds {
	var space [4]bounds
	groups := space[:0]
	for _, g := range p.groups {
		groups = append(groups, u.members(g, among.possible))
	}
	out := unite(groups)
	for _, c := range p.conditions {
		if c.src.Kind == model.KindConditionIdentity {
			out = out.and(u.members(c, among.possible))
		}
	}
	if among.exact() {
		return out
	}
	return out.and(among)
}

// members are those, among some, for whom a group or a condition on identities holds.
func (u *userSearch) members(b *block, among *index.Set) bounds {
	if b.src.Template != u.of.def.ID {
		return bounds{}
	}
	return u.holding(b, among, func(*branch) bool { return true })
}

// holding are those, among some, for whom one of a block's branches that count holds. Policies share blocks, and a line on
// very many values takes long: it is judged once.
func (u *userSearch) holding(b *block, among *index.Set, counts func(*branch) bool) bounds {
	at := blockAmong{b, among}
	if out, ok := u.held[at]; ok {
		return out
	}
	var space [4]bounds
	found := space[:0]
	for _, br := range b.branches {
		if !counts(br) {
			continue
		}
		if lines, possible := u.lines(br); possible {
			found = append(found, u.sought(&lines, among))
		}
	}
	out := unite(found)
	u.held[at] = out
	return out
}

// sought are those, among some, for whom the lines of a branch hold. Identities with rows that are judged one by one are
// never certain: what their pooled values say is not what one row says.
func (u *userSearch) sought(l *lines, among *index.Set) bounds {
	found := u.those(l.predicates, among)
	if len(l.predicates) == 0 || u.inRows.Len() == 0 {
		if l.exact {
			return exactly(found)
		}
		return bounds{possible: found}
	}
	out := bounds{certain: index.Subtract(found, u.inRows), possible: found}
	if l.pooled < len(l.predicates) {
		out.possible = index.Union(out.certain, index.Intersect(u.those(l.predicates[:l.pooled], among), u.inRows))
	}
	if !l.exact {
		out.certain = nil
	}
	return out
}

// lines are those of a branch as predicates on identities, in memory that the next branch uses again. The first ones, pooled
// in number, hold of the pooled values when they hold of a row.
type lines struct {
	predicates []index.Predicate
	pooled     int
	exact      bool // no line was passed over
}

// lines reads a branch. possible is false when a line of it fails whoever asks.
func (u *userSearch) lines(br *branch) (out lines, possible bool) {
	out.exact, out.predicates = true, u.predicates[:0]
	for i := range br.rules {
		p, says := u.line(&br.rules[i])
		switch says {
		case never:
			return out, false
		case always:
			continue
		case unclear:
			out.exact = false
			continue
		}
		out.predicates = append(out.predicates, p.indexed(u.of.columns[p.attribute]))
		if last := len(out.predicates) - 1; !p.op.IsNegative() && u.of.calculated[p.attribute] == nil {
			out.predicates[last], out.predicates[out.pooled] = out.predicates[out.pooled], out.predicates[last]
			out.pooled++
		}
	}
	u.predicates = out.predicates
	return out, true
}

// saying is what a line says of identities: that a predicate tells for whom it holds, that it holds or fails whoever asks, or
// nothing that the index can judge.
type saying int

const (
	predicated saying = iota
	always
	never
	unclear
)

func (u *userSearch) line(r *rule) (p predicate, says saying) {
	left, leftGiven := u.given(r, r.src.Left)
	p, rightGiven, ok := r.fixed, true, true
	if r.src.RightIsRef() {
		var right []string
		if right, rightGiven = u.given(r, r.src.Ref); rightGiven {
			p, ok = r.operands(right, &u.made)
		}
	}
	p.done = u.q.Done
	switch {
	case !ok || rightGiven && leftGiven && !p.holds(left):
		return p, never
	case rightGiven && leftGiven:
		return p, always
	case rightGiven:
		return p, predicated
	case !leftGiven: // two attributes of the identity
		return p, unclear
	}
	if p, ok = r.operands(left, &u.made); !ok {
		return p, never
	}
	if p.attribute = r.src.Ref.Attribute; !p.turn() || p.numeric != u.of.numeric(p.attribute) {
		return p, unclear
	}
	return p, predicated
}

// given are the values of one side of a line, when they are the same for everybody.
func (u *userSearch) given(r *rule, ref model.Ref) (values []string, ok bool) {
	switch ref.Side {
	case model.SideAsset:
		if r.calculated != nil {
			return u.made.values(r.calculated, given(u.about.asset, r.calculated.Argument)), true
		}
		return given(u.about.asset, ref.Attribute), true
	case model.SideRequest:
		return u.q.Environment[string(ref.Attribute)], true
	}
	said := u.q.Said[u.of.def.ID]
	if c := u.of.calculated[ref.Attribute]; c != nil {
		if values, ok = said[c.Argument]; ok {
			values = u.made.values(c, values)
		}
		return values, ok
	}
	values, ok = said[ref.Attribute]
	return values, ok
}

// numeric reports whether an attribute of the template holds numbers.
func (t *identityType) numeric(id model.AttributeID) bool {
	a, _ := t.def.Attribute(id)
	return a.Type == model.Numeric
}
