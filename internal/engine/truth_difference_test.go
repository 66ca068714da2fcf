package engine_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// shownEntry is an entry of a list as a caller keeps it: what it shows, and its action objects as a set.
type shownEntry struct {
	text    string
	actions map[string]bool
}

// kept is a list by type and path.
type kept map[string]shownEntry

func objects(set engine.ActionSet, told engine.Told) map[string]bool {
	out := map[string]bool{}
	for _, g := range set {
		if !told.Names && !told.IDs {
			out[g.Action.Value] = true
		}
		for _, p := range g.Policies {
			text := g.Action.Value
			if told.Names {
				text += " by " + p.Name
			}
			if told.IDs {
				text += " of " + string(p.ID)
			}
			out[text] = true
		}
	}
	return out
}

func keep(a *engine.Access, told engine.Told, shown func(model.TemplateID) *engine.Projection) kept {
	out, sets := kept{}, a.ActionSets()
	for e := range a.Entries() {
		out[string(e.Template())+"/"+e.Path()] = shownEntry{string(e.Append(nil, shown(e.Template()))), objects(sets[e.Actions], told)}
	}
	return out
}

// apply is what a caller does with a difference (docs/watch.md).
func (k kept) apply(d *engine.Difference, told engine.Told, shown func(model.TemplateID) *engine.Projection) kept {
	out := maps.Clone(k)
	for key, lost := range keep(d.Lost, told, shown) {
		e := out[key]
		e.actions = maps.Clone(e.actions)
		maps.DeleteFunc(e.actions, func(a string, _ bool) bool { return lost.actions[a] })
		if out[key] = e; len(e.actions) == 0 {
			delete(out, key)
		}
	}
	for _, list := range []*engine.Access{d.Gained, d.Changed} {
		for key, gained := range keep(list, told, shown) {
			e := shownEntry{text: gained.text, actions: maps.Clone(gained.actions)}
			maps.Copy(e.actions, out[key].actions)
			out[key] = e
		}
	}
	return out
}

// minimal fails when a difference tells what is none.
func minimal(rt *rapid.T, d *engine.Difference, before, after kept, told engine.Told, shown func(model.TemplateID) *engine.Projection) {
	gained := keep(d.Gained, told, shown)
	for key, e := range gained {
		was, there := before[key]
		for a := range e.actions {
			if was.actions[a] || !after[key].actions[a] {
				rt.Fatalf("gained %s of %s, which is no news", a, key)
			}
		}
		if there && len(e.actions) == 0 && len(was.actions) == 0 {
			rt.Fatalf("gained %s, which was there", key)
		}
	}
	for key, e := range keep(d.Lost, told, shown) {
		if e.text != before[key].text {
			rt.Fatalf("lost %s is shown as %s, it was %s", key, e.text, before[key].text)
		}
		for a := range e.actions {
			if !before[key].actions[a] || after[key].actions[a] {
				rt.Fatalf("lost %s of %s, which is no news", a, key)
			}
		}
	}
	for key, e := range keep(d.Changed, told, shown) {
		_, twice := gained[key]
		if twice || before[key].text == e.text || after[key].text != e.text || !maps.Equal(e.actions, after[key].actions) {
			rt.Fatalf("changed %s: %+v, before %+v, after %+v", key, e, before[key], after[key])
		}
	}
}

// TestDifference: RT-016, RT-040, PM-34: the difference of two answers, applied to the earlier one, gives the later one,
// and tells nothing else, for random models, questions and histories; a residual that is carried over the steps answers
// like one that is bound anew. AMBIT_DIFFERENCE_CHECKS sets the number of histories.
func TestDifference(t *testing.T) {
	n := checks(t, "AMBIT_DIFFERENCE_CHECKS", 450)
	compared, differing, changed := 0, 0, 0
	var count carries
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		m.someIdentities()
		h := &history{maker: m, snapshots: []*engine.Snapshot{build(rt, m.w, 1)}}
		q := m.question()
		told := engine.Told{Names: m.chance(30), IDs: m.chance(30)}
		sel := engine.Selection{Policies: told.Names || told.IDs}
		if m.chance(30) {
			for _, id := range m.assetTypes() {
				sel.Templates = append(sel.Templates, engine.TemplateSelection{Template: id, Actions: pick(m, [][]string{nil, {"A"}})})
			}
		}
		shown := pick(m, []func(model.TemplateID) *engine.Projection{
			func(model.TemplateID) *engine.Projection { return nil },
			func(model.TemplateID) *engine.Projection { return &engine.Projection{None: true} },
			func(model.TemplateID) *engine.Projection {
				return &engine.Projection{Names: []model.AttributeID{"s1", "name"}}
			},
		})
		residual := h.bound(0, q)
		for revision := model.Revision(2); revision < 9; revision++ {
			h.next(revision)
			last := len(h.snapshots) - 1
			residual = h.carry(last, residual, q, sel, &count)
			from := m.number(0, last)
			step := engine.NewStep(h.snapshots[from], h.snapshots[last], nil)
			asked := q
			if m.chance(20) { // the earlier answer may be of another time
				asked.Instant = asked.Instant.AddDate(0, 0, m.number(0, 9))
			}
			sides := [2]engine.Side{
				{Residual: h.bound(from, asked), Selection: sel, Shown: shown},
				{Residual: h.bound(last, q), Selection: sel, Shown: shown},
			}
			d, err := step.Compare(sides[0], sides[1], told)
			if err != nil {
				rt.Fatal(err)
			}
			before, after := listOf(rt, sides[0], told), listOf(rt, sides[1], told)
			got := before.apply(d, told, shown)
			if diff := cmp.Diff(after, got, cmp.AllowUnexported(shownEntry{})); diff != "" {
				rt.Fatalf("from %d to %d (-list +list before with the difference):\n%s", from, last, diff)
			}
			minimal(rt, d, before, after, told, shown)
			compared++
			changed += d.Changed.Len()
			if d.Len() > 0 {
				differing++
			}
		}
	})
	t.Logf("%d compared, %d differ, %d entries changed, %+v", compared, differing, changed, count)
	if n >= 400 && (differing*20 < compared || count.carried*20 < compared || count.untouched*20 < count.carried || changed == 0) {
		t.Error("the test says little")
	}
}

func listOf(rt *rapid.T, side engine.Side, told engine.Told) kept {
	if side.Residual == nil {
		return kept{}
	}
	a, err := side.Residual.Select(side.Selection)
	if err != nil {
		rt.Fatal(err)
	}
	return keep(a, told, side.Shown)
}

// history is a world with all snapshots that it came through.
type history struct {
	*maker
	snapshots []*engine.Snapshot
}

func (h *history) next(revision model.Revision) {
	d := h.step()
	d.Revision = revision
	s, err := h.snapshots[len(h.snapshots)-1].Next(d)
	if err != nil {
		h.Fatal(err)
	}
	h.snapshots = append(h.snapshots, s)
}

// bound is nil where the question cannot be asked.
func (h *history) bound(at int, q engine.Question) *engine.Residual {
	for _, i := range q.Identities {
		if _, ok := h.snapshots[at].IdentityTemplate(i.Template); !ok {
			return nil
		}
	}
	return bind(h.T, h.snapshots[at], q)
}

// carries counts the steps over which residuals were carried, and those of them that do not touch the answer.
type carries struct{ carried, untouched int }

// carry takes a residual over the last step, slim as watches keep it, and compares it with a new one.
func (h *history) carry(last int, r *engine.Residual, q engine.Question, sel engine.Selection, count *carries) *engine.Residual {
	fresh := h.bound(last, q)
	if r == nil || fresh == nil {
		return fresh
	}
	step := engine.NewStep(h.snapshots[last-1], h.snapshots[last], nil)
	carried, ok := step.Carry(r.Slim())
	if !ok {
		return fresh
	}
	count.carried++
	if !step.Touches(carried) {
		count.untouched++
		d, err := step.Compare(engine.Side{Residual: r, Selection: sel}, engine.Side{Residual: carried, Selection: sel}, engine.Told{Names: true, IDs: true})
		if err != nil || d.Len() > 0 {
			h.Fatalf("a step that does not touch the answer makes %d differences, %v", d.Len(), err)
		}
	}
	lists := make([][]line, 2)
	for i, one := range []*engine.Residual{fresh, carried} {
		a, err := one.Select(sel)
		if err != nil {
			h.Fatal(err)
		}
		lists[i] = readList(a, true)
	}
	if d := cmp.Diff(lists[0], lists[1]); d != "" {
		h.Fatalf("a carried residual answers otherwise (-bound +carried):\n%s", d)
	}
	return carried
}

// TestStepOfIdentities: a step names exactly the identities whose data differ, or says that any may.
func TestStepOfIdentities(t *testing.T) {
	n := checks(t, "AMBIT_DIFFERENCE_CHECKS", 450)
	named := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		m.someIdentities()
		h := &history{maker: m, snapshots: []*engine.Snapshot{build(rt, m.w, 1)}}
		for revision := model.Revision(2); revision < 9; revision++ {
			h.next(revision)
		}
		from := m.number(0, len(h.snapshots)-2)
		before, after := h.snapshots[from], h.snapshots[len(h.snapshots)-1]
		step := engine.NewStep(before, after, nil)
		for _, template := range m.identityTypes() {
			ids, all := step.Identities(template)
			for i := range 12 {
				id := fmt.Sprint("u", i)
				if i >= 4 && i-4 < len(m.w.identities[template]) {
					id = m.w.identities[template][i-4].EntityID
				}
				a, okA := before.FindIdentity(template, id)
				b, okB := after.FindIdentity(template, id)
				same := okA == okB && cmp.Equal(plain(a), plain(b))
				if !same && !all && !ids[id] {
					rt.Fatalf("%s of %s differs and is not named: %+v, %+v", id, template, a, b)
				}
				if ids[id] {
					named++
				}
			}
		}
	})
	if n >= 400 && named == 0 {
		t.Error("no identity was ever named")
	}
}

// TestStepOfFewAndMany: few changed assets are judged one by one, many through the index: both give the same.
func TestStepOfFewAndMany(t *testing.T) {
	for _, n := range []int{1, 30, 70, 500} {
		at := model.AssetTemplate{ID: "T", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{{ID: "a", Type: model.String}}, Actions: []model.Action{{ID: "A", Value: "A"}}}
		w := &world{
			assetTemplates:    map[model.TemplateID]model.AssetTemplate{"T": at},
			identityTemplates: map[model.TemplateID]model.IdentityTemplate{"I": {ID: "I"}},
			applications:      map[model.ApplicationID]model.Application{"app1": {ID: "app1", AssetTemplateIDs: []model.TemplateID{"T"}}},
			blocks: map[model.BlockID]model.Block{
				"g": {ID: "g", Kind: model.KindDynamicGroup, Template: "I", Branches: []model.Branch{{}}},
				"r": {ID: "r", Kind: model.KindRuleset, Template: "T", Branches: []model.Branch{{Rules: []model.Rule{{
					Left: model.Ref{Side: model.SideAsset, Attribute: "a"}, Op: model.OpEqual, Literals: []model.Literal{{Text: "yes"}},
				}}}}},
			},
			policies: map[model.PolicyID]model.Policy{"p": {ID: "p", Access: model.Allow, DynamicGroups: []model.BlockID{"g"}, Rulesets: []model.RulesetUse{{BlockID: "r", AllActions: true}}}},
			assets:   map[model.TemplateID][]model.Asset{},
		}
		asset := func(i int, value string) model.Asset {
			return model.Asset{Path: fmt.Sprint("p", i), Attributes: model.Attributes{"a": {value}}}
		}
		for i := range 1000 {
			w.assets["T"] = append(w.assets["T"], asset(i, []string{"yes", "no"}[i%2]))
		}
		before := build(t, w, 1)
		var put []model.Asset
		for i := range n {
			put = append(put, asset(i, "yes"))
		}
		after, err := before.Next(engine.Delta{Revision: 2, Assets: map[model.TemplateID]engine.Records[model.Asset]{"T": {Put: records(put)}}})
		if err != nil {
			t.Fatal(err)
		}
		q := engine.Question{Applications: []model.ApplicationID{"app1"}, Identities: []engine.Identity{{Template: "I", EntityID: "u"}}}
		r := bind(t, before, q)
		step := engine.NewStep(before, after, []model.TemplateID{"T"})
		carried, ok := step.Carry(r)
		if !ok || step.Touches(r) != (n > 1) { // the first one is put as it was
			t.Fatalf("%d changed: carried %v, touches %v", n, ok, step.Touches(r))
		}
		d, err := step.Compare(engine.Side{Residual: r}, engine.Side{Residual: carried}, engine.Told{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for e := range d.Gained.Entries() {
			got = append(got, e.Path())
		}
		var want []string
		for i := 1; i < n; i += 2 {
			want = append(want, fmt.Sprint("p", i))
		}
		if !slices.Equal(got, want) || d.Lost.Len()+d.Changed.Len() > 0 {
			t.Errorf("%d changed: gained %v, lost %d, changed %d", n, got, d.Lost.Len(), d.Changed.Len())
		}
	}
}
