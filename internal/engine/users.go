package engine

import (
	"iter"
	"maps"
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
	// Said are values that take the place of what is stored, the same for everybody of a template. Describe makes the
	// identity that is judged of a stored one by putting them in, outside its rows, and changes nothing else; nil = there
	// are none.
	Said     map[model.TemplateID]model.Attributes
	Describe func(model.TemplateID, model.Identity) model.Identity
	Page     *Page // nil = everybody
}

// Page narrows a UserQuestion to a part of one template's identities, in the order of the directory.
type Page struct {
	After string // entity id of a stored identity: only those behind it; "" = from the beginning
	Limit int    // most identities in the answer
	Scan  int    // most identities that are judged one by one; 0 = any number
	// Late, when it is closed, ends the page as Scan does; nil = never.
	Late <-chan struct{}
}

// over reports whether the page has judged enough. At least one is judged, so that every page leads further.
func (p *Page) over(judged int) bool {
	if p == nil || judged == 0 {
		return false
	}
	select {
	case <-p.Late:
		return true
	default:
		return p.Scan > 0 && judged >= p.Scan
	}
}

// Users is the answer to a UserQuestion. It holds ordinals and small numbers; entries are made while they are iterated.
type Users struct {
	q      *UserQuestion
	runs   []userRun
	access Access // holds the action sets
	until  time.Time
	turns  bool // at until
	more   bool
	last   string
}

// userRun is the part of an answer that is of one template.
type userRun struct {
	of       *identityType
	ordinals []index.Ordinal
	sets     []uint32 // of actions
}

// User is one identity of an answer. Actions indexes Users.ActionSets.
type User struct {
	Actions int
	q       *UserQuestion
	of      *identityType
	ordinal index.Ordinal
	id      string
}

// Template is the identity's template.
func (u *User) Template() model.TemplateID { return u.of.def.ID }

// EntityID is the identity's id.
func (u *User) EntityID() string { return u.id }

// Identity decodes the identity as it was judged.
func (u *User) Identity() model.Identity { return u.q.described(u.of, u.ordinal) }

func (t *identityType) entityID(o index.Ordinal) string {
	var space [1]string
	return t.table.Record(o).Values(space[:0], 0)[0]
}

// Len is the number of identities.
func (u *Users) Len() int {
	n := 0
	for i := range u.runs {
		n += len(u.runs[i].ordinals)
	}
	return n
}

// More reports whether something may follow the page: last is the entity id of the last identity that was judged and
// belongs to it, that of Page.After when there was none.
func (u *Users) More() (last string, more bool) { return u.last, u.more }

// ActionSets are the distinct action lists of the answer.
func (u *Users) ActionSets() []ActionSet { return u.access.sets }

// Entries yields the identities by template id, then in the order of the directory.
func (u *Users) Entries() iter.Seq[User] {
	return func(yield func(User) bool) {
		ids := make([]string, 0, index.Batch)
		for i := range u.runs {
			r := &u.runs[i]
			for n, o := range r.ordinals {
				at := n % index.Batch
				if at == 0 {
					ids = r.of.table.Keys(ids[:0], r.ordinals[n:min(n+index.Batch, len(r.ordinals))])
				}
				if !yield(User{Actions: int(r.sets[n]), q: u.q, of: r.of, ordinal: o, id: ids[at]}) {
					return
				}
			}
		}
	}
}

func (q *UserQuestion) described(t *identityType, o index.Ordinal) model.Identity {
	i := t.identity(t.table.Record(o))
	if q.Inactive {
		i.Inactive = false
	}
	if q.Describe != nil {
		i = q.Describe(t.def.ID, i)
	}
	return i
}

// Users finds every stored identity that may, asking alone, use the asset, with its actions. The answer is complete and
// the transpose of Select: the index of identities tells who may; those of whom it cannot tell are bound and judged like
// any other. Errors are those of Bind.
func (s *Snapshot) Users(q UserQuestion) (*Users, error) {
	out := &Users{q: &q}
	t, ok := s.assets[q.Asset.Template]
	reach := s.reachable(q.Applications, nil)
	if !ok || !reach[t.def.ID] {
		return out, nil
	}
	policies, _ := s.onType.get(t.def.ID)
	out.until, out.turns = watching(&q.Question, policies)
	r := &Residual{snapshot: s, question: &q.Question, reachable: map[model.TemplateID]bool{t.def.ID: true}}
	about, known := r.subjectMatter(t, &q.Asset)
	if !known || about.whole && len(t.def.Actions) == 0 {
		return out, nil
	}
	c := &collector{residual: r, access: &out.access, asset: t, policies: q.Policies, known: map[string]int{}}
	c.actions = c.choose(Selection{Templates: []TemplateSelection{{Template: t.def.ID, Actions: q.Actions}}}, t.def.ID)
	for _, id := range slices.Sorted(maps.Keys(s.identities)) {
		if q.Templates != nil && !slices.Contains(q.Templates, id) {
			continue
		}
		search := newUserSearch(&q, s.identities[id])
		search.collector, search.about = c, about
		found := search.find(policies)
		if q.stopped() {
			return nil, ErrStopped // what was found is not all
		}
		if err := out.add(search, found); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// add adds those of one template who may use the asset, as many as the page has.
func (u *Users) add(search *userSearch, found userGrants) error {
	known, open := found.known.Ordinals(), found.open.Ordinals()
	sets := search.collector.assign(known, found.labels, found.sets)
	page := search.q.Page
	if page == nil && len(open) == 0 {
		u.runs = append(u.runs, userRun{search.of, known, sets})
		return nil
	}
	if page != nil {
		u.last = page.After
		if o, ok := search.of.table.Find(page.After); ok {
			open = open[index.Seek(open, 0, o+1):]
			from := index.Seek(known, 0, o+1)
			known, sets = known[from:], sets[from:]
		}
	}
	run := userRun{of: search.of}
	defer func() { u.runs = append(u.runs, run) }()
	for judged := 0; len(known)+len(open) > 0; {
		var o index.Ordinal
		var set uint32
		granted := true
		if len(open) == 0 || len(known) > 0 && known[0] < open[0] {
			o, set = known[0], sets[0]
			known, sets = known[1:], sets[1:]
		} else {
			if page.over(judged) {
				u.more = true
				return nil
			}
			judged++
			o, open = open[0], open[1:]
			var err error
			if set, granted, err = search.judge(o); err != nil {
				return err
			}
		}
		if granted && page != nil && len(run.ordinals) == page.Limit {
			u.more = true
			return nil
		}
		if granted {
			run.ordinals, run.sets = append(run.ordinals, o), append(run.sets, set)
		}
		if page != nil {
			u.last = search.of.entityID(o)
		}
	}
	return nil
}

// judge binds one identity as if it asked, and gives what it may do.
func (u *userSearch) judge(o index.Ordinal) (set uint32, granted bool, err error) {
	i := u.q.described(u.of, o)
	question := u.q.Question
	question.Identities = []Identity{{Template: u.of.def.ID, EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}}
	c := u.collector
	if c.residual.part == nil { // for everybody at once
		policies, _ := c.residual.snapshot.onType.get(c.asset.def.ID)
		c.residual.part = []grouped{groupedBy(policies)}
	}
	r, err := c.residual.snapshot.bindWithin(&question, c.residual.reachable, c.residual.part)
	if err != nil {
		return 0, false, err
	}
	labels := r.labels(c, u.about.judge)
	if u.q.stopped() {
		return 0, false, ErrStopped // labels may have ended early
	}
	if len(labels) == 0 {
		return 0, false, nil
	}
	return uint32(c.intern(labels)), true, nil
}
