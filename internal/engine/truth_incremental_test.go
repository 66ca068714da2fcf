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

// TestIncrementalEqualsRebuilt: PM-34; reliability: incremental == rebuilt, catalogue order included. After every random
// step the chain of Next gives the answers of a snapshot built from the final state, and of the reference; snapshots
// passed by keep giving theirs. AMBIT_STEP_CHECKS sets the number of random chains.
func TestIncrementalEqualsRebuilt(t *testing.T) {
	n := checks(t, "AMBIT_STEP_CHECKS", 120)
	var count tally
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		m.someIdentities()
		chain := build(rt, m.w, 1)
		first, q := chain, m.question()
		before := answers(rt, first, m.w, q)
		seen := m.w.assets
		for revision := model.Revision(2); revision < 10; revision++ {
			d := m.step()
			d.Revision = revision
			next, err := chain.Next(d)
			if err != nil {
				rt.Fatalf("Next: %v", err)
			}
			chain = next
			if chain.Revision() != revision {
				rt.Fatalf("revision %d after Next with %d", chain.Revision(), revision)
			}
			compareSnapshots(rt, m, chain, build(rt, m.w, revision), &count)
		}
		if d := cmp.Diff(before, answers(rt, first, &world{assets: seen}, q)); d != "" {
			rt.Fatalf("Next changed the snapshot it started from (-before +after):\n%s", d)
		}
	})
	reportShare(t, n, count, 10)
}

// answers is the list with policies, as plain data.
func answers(rt *rapid.T, s *engine.Snapshot, w *world, q engine.Question) any {
	a, err := bind(rt, s, q).Select(engine.Selection{Policies: true})
	if err != nil {
		rt.Fatalf("Select: %v", err)
	}
	found := map[string]model.Asset{}
	for t, all := range w.assets {
		for _, asset := range all {
			found[string(t)+"/"+asset.Path], _ = s.FindAsset(t, asset.Path)
		}
	}
	return []any{readList(a, true), found}
}

func compareSnapshots(rt *rapid.T, m *maker, chain, fresh *engine.Snapshot, count *tally) {
	if len(m.w.identityTemplates) == 0 || len(m.w.assetTemplates) == 0 {
		return
	}
	for range 2 {
		q := m.question()
		if d := cmp.Diff(answers(rt, fresh, m.w, q), answers(rt, chain, m.w, q)); d != "" {
			rt.Fatalf("the chain differs from the rebuilt snapshot (-rebuilt +chain):\n%s", d)
		}
		compareAnswers(rt, m, chain, q, count)
	}
	users := engine.UserQuestion{Question: m.question(), Asset: m.requestAsset(pick(m, m.assetTypes()))}
	users.Identities = nil
	compareUsers(rt, m.w, chain, users, count)
	for _, s := range []*engine.Snapshot{chain, fresh} {
		compareRecords(rt, m.w, s)
	}
}

func compareRecords(rt *rapid.T, w *world, s *engine.Snapshot) {
	for t := range w.assetTemplates {
		if got := s.CountAssets(t); got != len(w.assets[t]) {
			rt.Fatalf("%d assets of %s, %d are stored", got, t, len(w.assets[t]))
		}
		if _, ok := s.FindAsset(t, "never stored"); ok {
			rt.Fatalf("FindAsset finds what was never stored")
		}
		for _, a := range w.assets[t] {
			if got, ok := s.FindAsset(t, a.Path); !ok || got.Path != a.Path {
				rt.Fatalf("FindAsset(%s, %q) = %+v, %v", t, a.Path, got, ok)
			}
		}
	}
	var templates []model.TemplateID
	for _, t := range s.IdentityTemplates() {
		templates = append(templates, t.ID)
	}
	if d := cmp.Diff(slices.Sorted(maps.Keys(w.identityTemplates)), templates); d != "" {
		rt.Fatalf("identity templates (-want +got):\n%s", d)
	}
	for t := range w.identityTemplates {
		if got := s.CountIdentities(t); got != len(w.identities[t]) {
			rt.Fatalf("%d identities of %s, %d are stored", got, t, len(w.identities[t]))
		}
		for _, want := range w.identities[t] {
			got, ok := s.FindIdentity(t, want.EntityID)
			if d := cmp.Diff(plain(want), plain(got)); !ok || d != "" {
				rt.Fatalf("FindIdentity(%s, %q) found %v (-want +got):\n%s", t, want.EntityID, ok, d)
			}
		}
	}
}

// plain leaves out keys without values: "no value" has two spellings.
func plain(i model.Identity) model.Identity {
	strip := func(a model.Attributes) model.Attributes {
		out := model.Attributes{}
		for k, v := range a {
			if len(v) > 0 {
				out[k] = v
			}
		}
		return out
	}
	i.Attributes = strip(i.Attributes)
	rows := i.Rows
	i.Rows = nil
	for _, r := range rows {
		i.Rows = append(i.Rows, strip(r))
	}
	return i
}

func (m *maker) someIdentities() {
	for _, t := range m.identityTypes() {
		for range m.number(0, 4) {
			m.w.identities[t] = putIdentity(m.w.identities[t], m.storedIdentity(t))
		}
	}
}

func (m *maker) storedIdentity(t model.TemplateID) model.Identity {
	i := m.identity(t)
	return model.Identity{EntityID: i.EntityID, Inactive: m.chance(20), Attributes: i.Attributes, Rows: i.Rows}
}

func putIdentity(all []model.Identity, i model.Identity) []model.Identity {
	if at := slices.IndexFunc(all, func(j model.Identity) bool { return j.EntityID == i.EntityID }); at >= 0 {
		out := slices.Clone(all)
		out[at] = i
		return out
	}
	return append(slices.Clip(all), i)
}

// step changes the world by one to three random changes and gives them as one delta. The world keeps to what the
// management plane would let pass: nothing that is used is deleted.
func (m *maker) step() engine.Delta {
	d := engine.Delta{
		Assets:     map[model.TemplateID]engine.Records[model.Asset]{},
		Identities: map[model.TemplateID]engine.Records[model.Identity]{},
	}
	// One change of a kind, so that the delta's order of clearing, removing and putting is the order of the world.
	kinds := []func(*engine.Delta){
		m.changeAssets, m.changeAssets, m.changeIdentities, m.changePolicy, m.changePolicy, m.changeBlock,
		m.changeAssetTemplate, m.changeIdentityTemplate, m.changeApplication, m.addAssetTemplate, m.dropAssetTemplate,
	}
	first := m.number(0, len(kinds)-1)
	kinds[first](&d)
	if second := m.number(0, len(kinds)-3); m.chance(40) && second != first {
		kinds[second](&d)
	}
	return d
}

func (m *maker) changeAssets(d *engine.Delta) {
	t := pick(m, m.assetTypes())
	if _, done := d.Assets[t]; done || m.w.assetTemplates[t].Source == model.SourceRequest {
		return
	}
	var change engine.Records[model.Asset]
	all := m.w.assets[t]
	if m.chance(10) {
		change.Clear, all = true, nil
	}
	for range m.number(0, 4) {
		path := m.asset(t, m.number(0, 3)).Path // now and then one that is not stored
		if len(all) > 0 && m.chance(80) {
			path = pick(m, all).Path
		}
		change.Removed = append(change.Removed, path)
		all = slices.DeleteFunc(slices.Clone(all), func(a model.Asset) bool { return a.Path == path })
	}
	var put []model.Asset
	for i := range m.number(0, 5) {
		a := m.asset(t, i)
		put = append(put, a)
		all = putAsset(all, a)
	}
	change.Put = records(put)
	m.replaceAssets(t, all)
	d.Assets[t] = change
}

// replaceAssets leaves the former map alone: earlier snapshots are compared with it.
func (m *maker) replaceAssets(t model.TemplateID, all []model.Asset) {
	m.w.assets = maps.Clone(m.w.assets)
	m.w.assets[t] = all
}

func (m *maker) changeIdentities(d *engine.Delta) {
	t := pick(m, m.identityTypes())
	if _, done := d.Identities[t]; done {
		return
	}
	var change engine.Records[model.Identity]
	all := m.w.identities[t]
	if m.chance(10) {
		change.Clear, all = true, nil
	}
	if len(all) > 0 && m.chance(50) {
		id := pick(m, all).EntityID
		change.Removed = []string{id}
		all = slices.DeleteFunc(slices.Clone(all), func(i model.Identity) bool { return i.EntityID == id })
	}
	put := []model.Identity{m.storedIdentity(t), m.storedIdentity(t)}
	for _, i := range put {
		all = putIdentity(all, i)
	}
	change.Put = records(put)
	m.w.identities[t] = all
	d.Identities[t] = change
}

func (m *maker) changePolicy(d *engine.Delta) {
	ids := slices.Sorted(maps.Keys(m.w.policies))
	if len(d.Policies.Put)+len(d.Policies.Deleted) > 0 {
		return
	}
	if len(ids) > 0 && m.chance(25) {
		id := pick(m, ids)
		delete(m.w.policies, id)
		d.Policies.Deleted = append(d.Policies.Deleted, id)
		return
	}
	if len(ids) > 0 && m.chance(30) {
		p := m.w.policies[pick(m, ids)]
		p.Inactive = !p.Inactive
		m.w.policies[p.ID] = p
		d.Policies.Put = append(d.Policies.Put, p)
		return
	}
	if len(m.blocksOf(model.KindRuleset)) == 0 {
		return
	}
	id := model.PolicyID(fmt.Sprintf("p%d", m.number(0, 12)))
	m.policy(id)
	d.Policies.Put = append(d.Policies.Put, m.w.policies[id])
}

// changeBlock draws a block anew under the id of one of its kind and owner.
func (m *maker) changeBlock(d *engine.Delta) {
	if len(d.Blocks.Put)+len(d.Blocks.Deleted) > 0 {
		return
	}
	old := m.w.blocks[pick(m, slices.Sorted(maps.Keys(m.w.blocks)))]
	before := maps.Clone(m.w.blocks)
	for try := 0; try < 20; try++ {
		m.w.blocks = maps.Clone(before)
		switch {
		case old.Kind == model.KindDynamicGroup:
			m.group()
		case old.Kind == model.KindRuleset:
			m.ruleset()
		default:
			m.condition()
		}
		b := m.w.blocks[model.BlockID(fmt.Sprintf("00000000-0000-4000-9000-%012d", m.next))]
		if b.Kind == old.Kind && b.Template == old.Template {
			delete(m.w.blocks, b.ID)
			b.ID = old.ID
			m.w.blocks[b.ID] = b
			d.Blocks.Put = append(d.Blocks.Put, b)
			return
		}
	}
	m.w.blocks = before
}

// changeAssetTemplate adds an attribute or an action, drops one that no rule or policy uses (its stored values go with
// it), turns a flag, turns REQUEST into PLAINID, calculates otherwise, or declares the path otherwise.
func (m *maker) changeAssetTemplate(d *engine.Delta) {
	t := m.w.assetTemplates[pick(m, m.assetTypes())]
	if _, done := d.Assets[t.ID]; done || len(d.AssetTemplates.Put) > 0 {
		return
	}
	switch m.number(0, 6) {
	case 0:
		m.toggleAttribute(&t, d)
	case 1:
		if i := len(t.Actions) - 1; i >= 0 && !m.actionUsed(t.Actions[i].ID) {
			t.Actions = t.Actions[:i:i]
		} else {
			id := fmt.Sprint("E", m.next)
			t.Actions = append(slices.Clip(t.Actions), model.Action{ID: model.ActionID(id), Value: id})
			m.next++
		}
	case 2:
		if t.Source != model.SourceRequest {
			t.IsAttributeSentInRequest = !t.IsAttributeSentInRequest
		} else {
			t.Source = model.SourcePlainID
		}
	case 3:
		t.Attributes = slices.Clone(t.Attributes)
		slices.Reverse(t.Attributes)
	case 4:
		t.Actions = slices.Clone(t.Actions)
		slices.Reverse(t.Actions)
	case 5:
		t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a model.AssetAttribute) bool { return isCalculated(a.ID) })
		t.Attributes = append(t.Attributes, m.calculatedAssetAttributes()...)
	case 6:
		m.togglePath(&t)
	}
	m.w.assetTemplates[t.ID] = t
	d.AssetTemplates.Put = append(d.AssetTemplates.Put, t)
}

func (m *maker) actionUsed(id model.ActionID) bool {
	for _, p := range m.w.policies {
		for _, use := range p.Rulesets {
			if slices.Contains(use.ActionIDs, id) {
				return true
			}
		}
	}
	return false
}

// attributeUsed reports whether a ruleset has a line on an attribute of a type.
func (m *maker) attributeUsed(t model.TemplateID, id model.AttributeID) bool {
	for _, b := range m.w.blocks {
		for _, branch := range b.Branches {
			if b.Template == t && slices.ContainsFunc(branch.Rules, func(r model.Rule) bool { return r.Left.Attribute == id }) {
				return true
			}
		}
	}
	return false
}

// togglePath turns the paths of a type into numbers, or back into texts, where no line is on them.
func (m *maker) togglePath(t *model.AssetTemplate) {
	if m.attributeUsed(t.ID, model.AttributePath) {
		return
	}
	n := len(t.Attributes)
	t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a model.AssetAttribute) bool { return a.ID == model.AttributePath })
	if len(t.Attributes) == n {
		t.Attributes = append(t.Attributes, model.AssetAttribute{ID: model.AttributePath, Type: model.Numeric})
	}
}

func (m *maker) toggleAttribute(t *model.AssetTemplate, d *engine.Delta) {
	const extra model.AttributeID = "s2"
	if i := slices.IndexFunc(t.Attributes, func(a model.AssetAttribute) bool { return a.ID == extra }); i < 0 {
		t.Attributes = append(slices.Clip(t.Attributes), model.AssetAttribute{ID: extra, Type: model.String, IsMultiValue: true})
		return
	}
	if m.attributeUsed(t.ID, extra) {
		return
	}
	t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a model.AssetAttribute) bool { return a.ID == extra })
	var all []model.Asset
	for _, a := range m.w.assets[t.ID] {
		a.Attributes = a.Attributes.Clone()
		delete(a.Attributes, extra)
		all = append(all, a)
	}
	if all != nil {
		m.replaceAssets(t.ID, all)
		d.Assets[t.ID] = engine.Records[model.Asset]{Put: records(all)}
	}
}

func (m *maker) changeIdentityTemplate(d *engine.Delta) {
	t := m.w.identityTemplates[pick(m, m.identityTypes())]
	if m.chance(30) && len(m.w.identityTemplates) < 4 {
		id := model.TemplateID(fmt.Sprintf("I%d", m.number(0, 5)))
		if _, there := m.w.identityTemplates[id]; !there {
			m.identityTemplate(id)
			d.IdentityTemplates.Put = append(d.IdentityTemplates.Put, m.w.identityTemplates[id])
			return
		}
	}
	if m.chance(50) {
		t.Attributes = slices.DeleteFunc(slices.Clone(t.Attributes), func(a model.IdentityAttribute) bool { return isCalculated(a.ID) })
		t.Attributes = append(t.Attributes, m.calculatedIdentityAttributes()...)
	} else {
		t.Attributes = append(slices.Clip(t.Attributes), model.IdentityAttribute{ID: model.AttributeID(fmt.Sprint("x", m.next)), Type: model.String})
		m.next++
	}
	m.w.identityTemplates[t.ID] = t
	d.IdentityTemplates.Put = append(d.IdentityTemplates.Put, t)
}

func (m *maker) changeApplication(d *engine.Delta) {
	id := pick(m, []model.ApplicationID{"app1", "app2"})
	if len(d.Applications.Put) > 0 {
		return
	}
	if _, there := m.w.applications[id]; there && m.chance(20) {
		delete(m.w.applications, id)
		d.Applications.Deleted = append(d.Applications.Deleted, id)
		return
	}
	m.application(id, m.assetTypes())
	d.Applications.Put = append(d.Applications.Put, m.w.applications[id])
}

// addAssetTemplate adds a type with its ruleset, a policy and assets, all in one commit.
func (m *maker) addAssetTemplate(d *engine.Delta) {
	id := model.TemplateID(fmt.Sprintf("T%d", m.number(0, 6)))
	if _, there := m.w.assetTemplates[id]; there || len(m.w.assetTemplates) > 4 {
		return
	}
	m.assetTemplate(id)
	d.AssetTemplates.Put = append(d.AssetTemplates.Put, m.w.assetTemplates[id])
	r := model.Block{
		ID: m.blockID(), Kind: model.KindRuleset, WorkspaceID: authWorkspace, Name: "All", Template: id,
		Branches: []model.Branch{{}},
	}
	m.w.blocks[r.ID] = r
	d.Blocks.Put = append(d.Blocks.Put, r)
	m.application("app1", m.assetTypes())
	d.Applications.Put = append(d.Applications.Put, m.w.applications["app1"])
	p := model.Policy{
		ID: model.PolicyID("new " + id), WorkspaceID: authWorkspace, Access: model.Allow, Use: model.PolicyUseDynamic,
		DynamicGroups: m.blocksOf(model.KindDynamicGroup), Rulesets: []model.RulesetUse{{BlockID: r.ID, AllActions: true}},
	}
	m.w.policies[p.ID] = p
	d.Policies.Put = append(d.Policies.Put, p)
	if m.w.assetTemplates[id].Source == model.SourceRequest {
		return
	}
	var all []model.Asset
	for i := range m.number(0, 6) {
		all = putAsset(all, m.asset(id, i))
	}
	m.replaceAssets(id, all)
	d.Assets[id] = engine.Records[model.Asset]{Put: records(all)}
}

// dropAssetTemplate deletes a type that no policy uses, with its rulesets and assets.
func (m *maker) dropAssetTemplate(d *engine.Delta) {
	id := pick(m, m.assetTypes())
	if len(m.w.assetTemplates) == 1 {
		return
	}
	for _, pid := range slices.Sorted(maps.Keys(m.w.policies)) {
		if slices.ContainsFunc(m.w.policies[pid].Rulesets, func(u model.RulesetUse) bool { return m.w.blocks[u.BlockID].Template == id }) {
			delete(m.w.policies, pid)
			d.Policies.Deleted = append(d.Policies.Deleted, pid)
		}
	}
	for _, bid := range m.blocksOf(model.KindRuleset) {
		if m.w.blocks[bid].Template == id {
			delete(m.w.blocks, bid)
			d.Blocks.Deleted = append(d.Blocks.Deleted, bid)
		}
	}
	for aid, app := range m.w.applications {
		app.AssetTemplateIDs = slices.DeleteFunc(slices.Clone(app.AssetTemplateIDs), func(t model.TemplateID) bool { return t == id })
		m.w.applications[aid] = app
		d.Applications.Put = append(d.Applications.Put, app)
	}
	delete(m.w.assetTemplates, id)
	d.AssetTemplates.Deleted = append(d.AssetTemplates.Deleted, id)
	m.w.assets = maps.Clone(m.w.assets)
	delete(m.w.assets, id)
	d.Assets[id] = engine.Records[model.Asset]{Clear: true}
}
