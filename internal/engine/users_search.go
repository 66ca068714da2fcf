package engine

import (
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

func unite(list []bounds) bounds {
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
	all       *index.Set        // everybody, made when it is needed
	known     map[*block]bounds // blocks searched so far
}

func (u *userSearch) everybody() *index.Set {
	if u.all == nil {
		u.all = u.of.table.All()
	}
	return u.all
}

// both are those in a and in b. Many rulesets are about an asset whoever asks.
func (u *userSearch) both(a, b bounds) bounds {
	switch {
	case u.all == nil:
	case a.certain == u.all:
		return b
	case b.certain == u.all:
		return a
	}
	return a.and(b)
}

// userGrants tell who may do what: sets[i] are those of known who have labels[i]. Those of open must be judged one by one.
type userGrants struct {
	labels      []label
	sets        []*index.Set
	known, open *index.Set
}

// find looks at all policies on the type of the asset.
func (u *userSearch) find(policies []*policy) userGrants {
	allowed := map[label][]bounds{}
	restricted := make([][]bounds, len(u.collector.actions))
	for _, p := range policies {
		if u.q.stopped() {
			return userGrants{} // nobody waits for the answer
		}
		if p.src.Inactive {
			continue
		}
		u.policy(p, func(action int, covered bounds) {
			l := label{action: action}
			if u.q.Policies {
				l.policy = p
			}
			if p.restrict {
				restricted[action] = append(restricted[action], covered)
			} else {
				allowed[l] = append(allowed[l], covered)
			}
		})
	}
	return u.grants(allowed, restricted)
}

// grants takes what is restricted from what is allowed, and parts those whose grants are known from the others.
func (u *userSearch) grants(allowed map[label][]bounds, restricted [][]bounds) userGrants {
	nobody := make([]bounds, len(restricted)) // of an action: those whom it is taken from
	inactive := index.Predicate{Column: len(u.of.table.Columns()) - 1, Op: index.Equal, Operands: []string{isInactive}}
	for i, list := range restricted {
		if !u.q.Inactive { // who is inactive is in no group
			list = append(list, exactly(u.of.table.Select([]index.Predicate{inactive}, nil)))
		}
		nobody[i] = unite(list)
	}
	var out userGrants
	var all, open []*index.Set
	for _, l := range slices.SortedFunc(maps.Keys(allowed), compareLabels) {
		granted := unite(allowed[l]).minus(nobody[l.action])
		if granted.possible.Len() == 0 {
			continue
		}
		out.labels, out.sets = append(out.labels, l), append(out.sets, granted.certain)
		all = append(all, granted.possible)
		if !granted.exact() {
			open = append(open, index.Subtract(granted.possible, granted.certain))
		}
	}
	out.open = index.Union(open...)
	out.known = index.Subtract(index.Union(all...), out.open)
	for i := range out.sets {
		out.sets[i] = index.Subtract(out.sets[i], out.open)
	}
	return out
}

// policy yields, for each wanted action, who a policy covers the asset for. Rulesets come first: most of them are not about
// the asset at all.
func (u *userSearch) policy(p *policy, yield func(action int, covered bounds)) {
	var who *bounds
	for i := range p.uses {
		use := &p.uses[i]
		if use.ruleset.src.Template != u.collector.asset.def.ID {
			continue
		}
		what := u.what(p, use.ruleset)
		if what.possible.Len() == 0 {
			continue
		}
		if who == nil {
			found := u.who(p)
			who = &found
		}
		covered := u.both(what, *who)
		if covered.possible.Len() == 0 {
			continue
		}
		for n, action := range u.collector.actions {
			if use.covers(action.ID) {
				yield(n, covered)
			}
		}
	}
}

// who are those whom a policy applies to: in one of its groups, every condition met (E8, E9, E17).
func (u *userSearch) who(p *policy) bounds {
	now := unasked(&u.q.Question)
	for _, c := range p.conditions {
		// when, from where and what the request says is the same for everybody
		if c.src.Kind != model.KindConditionIdentity && !now.met(c) {
			return bounds{}
		}
	}
	groups := make([]bounds, 0, len(p.groups))
	for _, g := range p.groups {
		groups = append(groups, u.holding(g))
	}
	out := unite(groups)
	for _, c := range p.conditions {
		if c.src.Kind == model.KindConditionIdentity {
			out = u.both(out, u.holding(c))
		}
	}
	return out
}

// holding are those for whom a group or a condition on identities holds.
func (u *userSearch) holding(b *block) bounds {
	if b.src.Template != u.of.def.ID {
		return bounds{}
	}
	return u.searched(b, func() bounds { return u.of.members(b, &u.q.Question, u.uncertain) })
}

// what are those for whom a policy's ruleset is about the asset.
func (u *userSearch) what(p *policy, b *block) bounds {
	if u.about.whole && p.restrict {
		return exactly(u.everybody()) // aboutType
	}
	return u.searched(b, func() bounds {
		var found []bounds
		for _, br := range b.branches {
			if br.template != "" && br.template != u.of.def.ID {
				continue
			}
			if list, exact, possible := u.turned(br); possible {
				found = append(found, bounded(u.whom(list), exact))
			}
		}
		return unite(found)
	})
}

// whom are those for whom all predicates hold.
func (u *userSearch) whom(predicates []index.Predicate) *index.Set {
	if len(predicates) == 0 {
		return u.everybody()
	}
	return u.of.table.Select(predicates, nil)
}

// searched searches a block once. When rows are judged one by one the pooled values of the index prove nothing.
func (u *userSearch) searched(b *block, search func() bounds) bounds {
	out, ok := u.known[b]
	if !ok {
		out = search()
		if u.q.CombinedMultiValue {
			out.certain = nil
		}
		u.known[b] = out
	}
	return out
}

func bounded(possible *index.Set, exact bool) bounds {
	if exact {
		return exactly(possible)
	}
	return bounds{possible: possible}
}

// turned makes of the lines of a branch, which speak of assets, predicates on identities. exact is false when a line was
// passed over; possible is false when one fails for the asset whoever asks.
func (u *userSearch) turned(br *branch) (list []index.Predicate, exact, possible bool) {
	if u.about.whole {
		return nil, true, len(br.rules) == 0
	}
	asking := subject{question: &u.q.Question}
	exact = true
	for i := range br.rules {
		r := &br.rules[i]
		has := r.values(u.about.asset)
		if r.src.Ref.Side != model.SideIdentity {
			if p, ok := asking.bind(r, nil); !ok || !p.holds(has) {
				return nil, false, false
			}
			continue
		}
		p, ok := r.operands(has, nil)
		if !ok {
			return nil, false, false
		}
		id := r.src.Ref.Attribute
		if !p.turn() || u.uncertain(id, p.op.IsNegative()) || p.numeric != u.of.numeric(id) {
			exact = false
			continue
		}
		list = append(list, p.indexed(u.of.columns[id]))
	}
	return list, exact, true
}

// turn makes of "values op operands", where the values were taken for operands, the same predicate on the operands. It
// reports whether there is one of reasonable size.
func (p *predicate) turn() bool {
	switch p.op {
	case model.OpLess:
		p.op = model.OpGreater
	case model.OpLessEqual:
		p.op = model.OpGreaterEqual
	case model.OpGreater:
		p.op = model.OpLess
	case model.OpGreaterEqual:
		p.op = model.OpLessEqual
	case model.OpContains, model.OpStartsWith, model.OpEndsWith:
		var parts []string
		for _, text := range p.texts {
			if parts = appendParts(parts, text, p.op); len(parts) > mostParts {
				return false
			}
		}
		p.op, p.texts = model.OpIn, parts
	}
	return true
}

// mostParts is how many parts of texts are looked up: one text of 50 characters has more than 1,000.
const mostParts = 4096

// appendParts appends the texts that text contains, starts with or ends with, little more than mostParts in all.
func appendParts(out []string, text string, op model.Operator) []string {
	var cuts []int // where characters begin, and the end
	for i := range text {
		cuts = append(cuts, i)
	}
	cuts = append(cuts, len(text))
	switch op {
	case model.OpStartsWith:
		for _, to := range cuts {
			out = append(out, text[:to])
		}
	case model.OpEndsWith:
		for _, from := range cuts {
			out = append(out, text[from:])
		}
	default:
		for i, from := range cuts {
			for _, to := range cuts[i:] {
				if len(out) > mostParts {
					return out
				}
				out = append(out, text[from:to])
			}
		}
	}
	return out
}

// uncertain reports whether a line on an attribute of identities may hold of what is judged though it does not hold of
// what is stored: the request describes the attribute, or what it is calculated of, or rows are judged one by one and the
// line denies or is on what is calculated of a row.
func (u *userSearch) uncertain(id model.AttributeID, negative bool) bool {
	if c := u.of.calculated[id]; c != nil {
		return u.q.CombinedMultiValue || slices.Contains(u.q.Described[u.of.def.ID], c.Argument)
	}
	return negative && u.q.CombinedMultiValue || slices.Contains(u.q.Described[u.of.def.ID], id)
}

// numeric reports whether an attribute of the template holds numbers.
func (t *identityType) numeric(id model.AttributeID) bool {
	a, _ := t.def.Attribute(id)
	return a.Type == model.Numeric
}

// members are the identities for which a group, or a condition on identities, holds when question's request attributes are
// sent. Lines between two attributes of the identity and those that skip names are passed over.
func (t *identityType) members(g *block, question *Question, skip func(id model.AttributeID, negative bool) bool) bounds {
	asking := subject{question: question}
	var found []bounds
next:
	for _, br := range g.branches {
		var list []index.Predicate
		exact := true
		for i := range br.rules {
			r := &br.rules[i]
			if r.src.Ref.Side == model.SideIdentity || skip != nil && skip(r.src.Left.Attribute, r.src.Op.IsNegative()) {
				exact = false
				continue
			}
			p, ok := asking.bind(r, nil)
			if !ok {
				continue next
			}
			list = append(list, p.indexed(t.columns[p.attribute]))
		}
		found = append(found, bounded(t.table.Select(list, nil), exact))
	}
	return unite(found)
}
