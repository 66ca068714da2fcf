package engine

import (
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// UserQuestion asks who may use one asset: the other side bound (runtime-api.md 11). Its Question has no identities.
type UserQuestion struct {
	Question
	Asset   Asset
	Actions []string // wire names; nil = all
	// Templates are the identity templates to look through; nil = every one.
	Templates []model.TemplateID
	// Inactive judges inactive identities as if they were active.
	Inactive bool
	// Policies keeps which policies grant each action.
	Policies bool
	// Describe makes the identity that is judged of a stored one; nil = as it is stored. It may change the attributes
	// in Described, no others, and nothing else.
	Describe  func(model.TemplateID, model.Identity) model.Identity
	Described map[model.TemplateID][]model.AttributeID
	Page      *Page // nil = everybody
}

// Page narrows a UserQuestion to a part of one template's identities, in the order of the directory.
type Page struct {
	After string // entity id of a stored identity: only those behind it; "" = from the beginning
	Limit int    // most identities in the answer
	Scan  int    // most identities that are judged; 0 = any number
}

// Users is the answer to a UserQuestion. It holds ordinals and small numbers; entries are made while they are iterated.
type Users struct {
	q       *UserQuestion
	entries []userEntry
	access  Access // holds the action sets
	until   time.Time
	turns   bool // at until
	more    bool
	last    string
}

type userEntry struct {
	of      *identityType
	ordinal index.Ordinal
	actions uint32
}

// User is one identity of an answer. Actions indexes Users.ActionSets.
type User struct {
	Template model.TemplateID
	Identity model.Identity
	Actions  int
}

// Len is the number of identities.
func (u *Users) Len() int { return len(u.entries) }

// More reports whether something may follow the page: last is the entity id of the last identity that was judged and
// belongs to it, that of Page.After when there was none.
func (u *Users) More() (last string, more bool) { return u.last, u.more }

// ActionSets are the distinct action lists of the answer.
func (u *Users) ActionSets() []ActionSet { return u.access.sets }

// Entries yields the identities by template id, then in the order of the directory.
func (u *Users) Entries() iter.Seq[User] {
	return func(yield func(User) bool) {
		for _, e := range u.entries {
			if !yield(User{Template: e.of.def.ID, Identity: u.q.described(e), Actions: int(e.actions)}) {
				return
			}
		}
	}
}

func (q *UserQuestion) described(e userEntry) model.Identity {
	i := e.of.identity(e.of.table.Record(e.ordinal))
	if q.Inactive {
		i.Inactive = false
	}
	if q.Describe != nil {
		i = q.Describe(e.of.def.ID, i)
	}
	return i
}

// Users finds every stored identity that may, asking alone, use the asset, with its actions. The answer is complete and
// the transpose of Select: candidates come from the index of identities, each is then bound and judged like any other.
// Errors are those of Bind.
func (s *Snapshot) Users(q UserQuestion) (*Users, error) {
	out := &Users{q: &q}
	t, ok := s.assets[q.Asset.Template]
	reach := s.reachable(q.Applications)
	if !ok || !reach[t.def.ID] {
		return out, nil
	}
	policies, _ := s.onType.get(t.def.ID)
	out.until, out.turns = watching(&q.Question, policies)
	r := &Residual{snapshot: s, question: &q.Question, reachable: map[model.TemplateID]bool{t.def.ID: true}}
	r.part = s.takingPart(r.reachable, math.MaxInt) // for everybody at once
	about, known := r.subjectMatter(t, &q.Asset)
	if !known || about.whole && len(t.def.Actions) == 0 {
		return out, nil
	}
	c := &collector{residual: r, access: &out.access, asset: t, policies: q.Policies, known: map[string]int{}}
	c.actions = c.choose(Selection{Templates: []TemplateSelection{{Template: t.def.ID, Actions: q.Actions}}}, t.def.ID)
	for _, id := range slices.Sorted(maps.Keys(s.identities)) {
		if q.stopped() {
			return nil, ErrStopped
		}
		if q.Templates != nil && !slices.Contains(q.Templates, id) {
			continue
		}
		search := userSearch{q: &q, asset: t, about: about, of: s.identities[id], known: map[*block]*index.Set{}}
		if err := out.judge(s, c, about, &search, search.candidates(policies, c.actions).Ordinals()); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge adds the candidates that may use the asset, as many as the page has.
func (u *Users) judge(s *Snapshot, c *collector, about matter, search *userSearch, candidates []index.Ordinal) error {
	page := search.q.Page
	if page != nil {
		u.last = page.After
		if o, ok := search.of.table.Find(page.After); ok {
			candidates = candidates[index.Seek(candidates, 0, o+1):]
		}
	}
	for judged, o := range candidates {
		if page != nil && page.Scan > 0 && judged == page.Scan {
			u.more = true
			return nil
		}
		e := userEntry{of: search.of, ordinal: o}
		i := search.q.described(e)
		labels, err := s.user(c, about, search.q, search.of.def.ID, i)
		if err != nil {
			return err
		}
		if len(labels) > 0 {
			if page != nil && len(u.entries) == page.Limit {
				u.more = true
				return nil
			}
			e.actions = uint32(c.intern(labels))
			u.entries = append(u.entries, e)
		}
		u.last = i.EntityID
	}
	return nil
}

// user judges one identity, bound as if it asked.
func (s *Snapshot) user(c *collector, about matter, q *UserQuestion, id model.TemplateID, i model.Identity) ([]label, error) {
	question := q.Question
	question.Identities = []Identity{{Template: id, EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}}
	r, err := s.bindWithin(&question, c.residual.reachable, c.residual.part)
	if err != nil {
		return nil, err
	}
	labels := r.labels(c, about.judge)
	if q.stopped() {
		return nil, ErrStopped // labels may have ended early
	}
	return labels, nil
}

// userSearch narrows the identities of one template to those that some Allow policy may let use an asset. Lines that the
// index of identities cannot judge are passed over, so that more may come out, never fewer.
type userSearch struct {
	q     *UserQuestion
	asset *assetType
	about matter
	of    *identityType
	known map[*block]*index.Set // groups and rulesets searched so far
}

func (u *userSearch) candidates(policies []*policy, actions []model.Action) *index.Set {
	var found []*index.Set
	now := unasked(&u.q.Question)
	for _, p := range policies {
		if u.q.stopped() {
			break // nobody waits for the answer
		}
		if p.restrict || p.src.Inactive || slices.ContainsFunc(p.conditions, func(c *block) bool {
			// when and from where is the same for everybody
			return (c.src.Kind == model.KindCondition || c.src.Kind == model.KindConditionIP) && !now.met(c)
		}) {
			continue
		}
		groups := u.union(p.groups, func(g *block) *index.Set {
			if g.src.Template != u.of.def.ID {
				return nil
			}
			return u.of.members(g, &u.q.Question, u.uncertain)
		})
		if groups == nil || groups.Len() == 0 {
			continue
		}
		var rulesets []*block
		for i := range p.uses {
			use := &p.uses[i]
			if use.ruleset.src.Template == u.asset.def.ID && slices.ContainsFunc(actions, func(a model.Action) bool { return use.covers(a.ID) }) {
				rulesets = append(rulesets, use.ruleset)
			}
		}
		if set := u.union(rulesets, u.allowed); set != nil {
			found = append(found, index.Intersect(groups, set))
		}
	}
	return index.Union(found...)
}

// union unites what is found of some blocks, each searched once; nil when nothing is.
func (u *userSearch) union(blocks []*block, search func(*block) *index.Set) *index.Set {
	var sets []*index.Set
	for _, b := range blocks {
		set, ok := u.known[b]
		if !ok {
			set = search(b)
			u.known[b] = set
		}
		if set != nil {
			sets = append(sets, set)
		}
	}
	if len(sets) == 0 {
		return nil
	}
	return index.Union(sets...)
}

// allowed are the identities for which some branch of a ruleset may hold for the asset.
func (u *userSearch) allowed(b *block) *index.Set {
	var sets []*index.Set
	for _, br := range b.branches {
		if br.template != "" && br.template != u.of.def.ID {
			continue
		}
		if list, possible := u.turned(br); possible {
			sets = append(sets, u.of.table.Select(list, nil))
		}
	}
	return index.Union(sets...)
}

// turned makes of the lines of a branch, which speak of assets, predicates on identities: of a line that wants the
// asset's and the identity's values to have one in common, that the identity has one of the asset's. possible is false
// when a line fails for the asset whoever asks.
func (u *userSearch) turned(br *branch) (list []index.Predicate, possible bool) {
	if u.about.whole {
		return nil, len(br.rules) == 0
	}
	asking := subject{question: &u.q.Question}
	for i := range br.rules {
		r := &br.rules[i]
		has := values(u.about.asset, r.src.Left.Attribute)
		if r.src.Ref.Side != model.SideIdentity {
			if p, ok := asking.bind(r); !ok || !p.holds(has) {
				return nil, false
			}
			continue
		}
		p, ok := r.operands(has)
		switch {
		case !ok:
			return nil, false
		case r.src.Op != model.OpEqual && r.src.Op != model.OpIn || u.uncertain(r.src.Ref.Attribute, false) ||
			r.numeric != u.of.numeric(r.src.Ref.Attribute):
		default:
			list = append(list, p.indexed(u.of.columns[r.src.Ref.Attribute]))
		}
	}
	return list, true
}

// uncertain reports whether a line on an attribute of identities may hold of what is judged though it does not hold of
// what is stored: the request describes the attribute, or rows are judged one by one and the line denies.
func (u *userSearch) uncertain(id model.AttributeID, negative bool) bool {
	return negative && u.q.CombinedMultiValue || slices.Contains(u.q.Described[u.of.def.ID], id)
}

// numeric reports whether an attribute of the template holds numbers.
func (t *identityType) numeric(id model.AttributeID) bool {
	a, _ := t.def.Attribute(id)
	return a.Type == model.Numeric
}

// members are the identities that may be in a group when question's request attributes are sent: those for which every
// line holds but the lines between two attributes of the identity and those that skip names.
func (t *identityType) members(g *block, question *Question, skip func(id model.AttributeID, negative bool) bool) *index.Set {
	asking := subject{question: question}
	var sets []*index.Set
next:
	for _, br := range g.branches {
		var list []index.Predicate
		for i := range br.rules {
			r := &br.rules[i]
			if r.src.Ref.Side == model.SideIdentity || skip != nil && skip(r.src.Left.Attribute, r.src.Op.IsNegative()) {
				continue
			}
			p, ok := asking.bind(r)
			if !ok {
				continue next
			}
			list = append(list, p.indexed(t.columns[p.attribute]))
		}
		sets = append(sets, t.table.Select(list, nil))
	}
	return index.Union(sets...)
}
