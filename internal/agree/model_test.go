package agree

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Alphabets are small, so that values meet.
var (
	texts   = []string{"a", "b", "ab", "ba", "A", "", "é", `q"\`}
	numbers = []string{"1", "2", "10", "1.0", "-3", "0.5", "many"}
	paths   = []string{"x", "y", "a/1", "é", `p"\`, "z 1"}
	names   = []string{"iris", "bo", "é", `u"\`}
	sources = []string{"10.1.2.3", "192.0.2.9", "2001:db8::1"}
)

// Kinds of asset types. Each world has docs, rows and one of the others.
const (
	docs     model.TemplateID = "Docs"     // stored
	rows     model.TemplateID = "Rows"     // stored, answered as filters
	taken    model.TemplateID = "Taken"    // stored, takes values of the request
	sent     model.TemplateID = "Sent"     // REQUEST
	claimed  model.TemplateID = "Claimed"  // REQUEST, answered as filters
	bare     model.TemplateID = "Bare"     // stored, without actions
	external model.TemplateID = "External" // no source is configured
	hidden   model.TemplateID = "Hidden"   // of no application of the scope
)

// world is an environment as it is meant to be stored, with the writes that are still to be made.
type world struct {
	r          *rand.Rand
	types      []model.AssetTemplate
	people     []model.IdentityTemplate
	blocks     []model.Block
	policies   []model.Policy
	assets     map[model.TemplateID][]model.Asset
	identities map[model.TemplateID][]model.Identity
	writes     []func(*store.Tx) error
	next       int // for ids of blocks and policies
}

func (w *world) chance(percent int) bool { return w.r.IntN(100) < percent }

// number is one of low to high.
func (w *world) number(low, high int) int { return low + w.r.IntN(high-low+1) }

func pick[V any](w *world, from []V) V { return from[w.r.IntN(len(from))] }

func (w *world) write(fn func(*store.Tx) error) { w.writes = append(w.writes, fn) }

func put[K comparable, V any](c store.Collection[K, V], v V) error {
	_, err := c.Put(v)
	return err
}

// newWorld draws an environment and the writes that put it in the place of another.
func newWorld(r *rand.Rand, old *world) *world {
	w := &world{r: r, assets: map[model.TemplateID][]model.Asset{}, identities: map[model.TemplateID][]model.Identity{}}
	if old != nil {
		w.write(old.clear)
	}
	kinds := []model.TemplateID{docs, rows, pick(w, []model.TemplateID{taken, taken, sent, claimed, bare, external, hidden})}
	for _, id := range kinds {
		t := w.assetType(id)
		w.types = append(w.types, t)
		w.write(func(tx *store.Tx) error { return put(tx.AssetTemplates, t) })
	}
	for _, id := range []model.TemplateID{"P", "Q"}[:w.number(1, 2)] {
		t := w.identityTemplate(id)
		w.people = append(w.people, t)
		w.write(func(tx *store.Tx) error { return put(tx.IdentityTemplates, t) })
		for range 2 {
			w.putIdentity(id)
		}
	}
	w.applications()
	for range 3 {
		w.putBlock(w.group())
	}
	for i := range 4 {
		w.putBlock(w.ruleset(w.types[min(i, len(w.types)-1)].ID))
	}
	for range w.number(1, 3) {
		w.putBlock(w.condition())
	}
	for range w.number(3, 5) {
		w.putPolicy()
	}
	for _, t := range w.types {
		if t.Source == model.SourcePlainID {
			for range w.number(2, 3) {
				w.putAsset(t)
			}
		}
	}
	return w
}

// clear deletes what a world wrote.
func (w *world) clear(tx *store.Tx) error {
	for _, p := range w.policies {
		if _, err := tx.Policies.Delete(p.ID); err != nil {
			return err
		}
	}
	for _, b := range w.blocks {
		if _, err := tx.Blocks.Delete(b.ID); err != nil {
			return err
		}
	}
	for _, t := range w.types {
		if _, err := tx.Assets(t.ID).Clear(); err != nil {
			return err
		}
		if _, err := tx.AssetTemplates.Delete(t.ID); err != nil {
			return err
		}
	}
	for _, t := range w.people {
		if _, err := tx.Identities(t.ID).Clear(); err != nil {
			return err
		}
		if _, err := tx.IdentityTemplates.Delete(t.ID); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) assetType(id model.TemplateID) model.AssetTemplate {
	multi := w.chance(70) && (id != rows || w.chance(50))
	t := model.AssetTemplate{
		ID: id, WorkspaceID: "a0", DisplayName: string(id), Source: model.SourcePlainID,
		IsUsedForFiltering: id == rows || id == claimed, IsAttributeSentInRequest: id == taken,
		Attributes: []model.AssetAttribute{
			{ID: "s", Type: model.String, IsMultiValue: multi},
			{ID: "n", Type: model.Numeric, IsMultiValue: multi},
			{ID: calculated, Type: model.String, IsMultiValue: multi, IsCalculated: true, CalculationFunction: w.function()},
		},
		Actions: []model.Action{{ID: "A", Value: "B"}, {ID: "B", Value: "b"}, {ID: "C", Value: "C"}}[:w.number(1, 3)],
	}
	if w.chance(30) {
		t.Attributes[0].NameForRequest = "es"
	}
	switch id {
	case sent, claimed:
		t.Source = model.SourceRequest
	case external:
		t.Source = model.SourceExternal
	case bare:
		t.Actions = nil
	}
	return t
}

// calculated is an attribute of every asset type and identity template.
const calculated model.AttributeID = "c"

func (w *world) function() *string {
	text := pick(w, []string{"HASVALUE(s)", "HASVALUE(n)", "UPPER(s)", "LOWER(s)", `CONCAT(s, "b")`, `CONCAT("a", s)`})
	return &text
}

// calculatedTexts are values that some function gives.
var calculatedTexts = []string{"true", "A", "ab", "false", "a", "b", "bb", "aa"}

func (w *world) identityTemplate(id model.TemplateID) model.IdentityTemplate {
	return model.IdentityTemplate{ID: id, WorkspaceID: model.WorkspaceID("i" + id), Attributes: []model.IdentityAttribute{
		{ID: model.AttributeUID, Type: model.String},
		{ID: "s", Type: model.String, IsUsedInAccessRequest: true},
		{ID: "t", Type: model.String},
		{ID: "n", Type: model.Numeric, IsUsedInAccessRequest: true},
		{ID: calculated, Type: model.String, IsUsedInAccessRequest: true, IsCalculated: true, CalculationFunction: w.function()},
	}}
}

// applications spreads the types over two workspaces; what is hidden lies in an application that no scope is linked to.
func (w *world) applications() {
	one := model.Application{ID: "one", WorkspaceID: "a0", DisplayName: "One"}
	two := model.Application{ID: "two", WorkspaceID: "a1", DisplayName: "Two"}
	three := model.Application{ID: "three", WorkspaceID: "a1", DisplayName: "Three"}
	for i, t := range w.types {
		switch {
		case t.ID == hidden:
			three.AssetTemplateIDs = append(three.AssetTemplateIDs, t.ID)
		case i%2 == 0:
			one.AssetTemplateIDs = append(one.AssetTemplateIDs, t.ID)
		default:
			two.AssetTemplateIDs = append(two.AssetTemplateIDs, t.ID)
		}
	}
	set := model.APIMapperSet{ID: "one", WorkspaceID: "a0", ApplicationIDs: []model.ApplicationID{"one"}}
	for i, t := range w.types {
		set.Mappers = append(set.Mappers, mapperOf(i, t))
	}
	w.write(func(tx *store.Tx) error {
		for _, a := range []model.Application{one, two, three} {
			if err := put(tx.Applications, a); err != nil {
				return err
			}
		}
		return put(tx.APIMapperSets, set)
	})
}

// mapperOf maps calls of /call/<type>: the query names assets and actions, the body holds attributes.
func mapperOf(i int, t model.AssetTemplate) model.APIMapper {
	at := model.TemplateMapping{TemplateID: t.ID, Attributes: []model.AttributeMapping{
		{AttributeID: model.AttributePath, Source: model.FromQuery, Path: "path"},
		{AttributeID: "s", Source: model.FromBody, Path: "$.s[*]"},
		{AttributeID: "n", Source: model.FromBody, Path: "$.n[*]"},
	}}
	for _, a := range t.Actions {
		id := string(a.ID)
		at.Actions = append(at.Actions, model.ActionMapping{ActionID: a.ID, Source: model.FromQuery, Path: "action", Value: &id})
	}
	return model.APIMapper{
		ID: model.MapperID(fmt.Sprint("m", i)), DisplayName: "M", IsActive: true, MatchPattern: "/call/" + string(t.ID),
		MatchType: model.MatchExact, FilteringType: model.FilterInclude, AssetTemplates: []model.TemplateMapping{at},
	}
}

// values draws the values of an attribute, first texts of an alphabet more often.
func (w *world) values(t model.AttributeType, most int) []string {
	from := texts
	if t == model.Numeric {
		from = numbers
	}
	out := []string{}
	for range min(most, pick(w, []int{0, 1, 1, 1, 1, 2, 2, 3})) {
		out = append(out, from[min(w.r.IntN(len(from)), w.r.IntN(len(from)))])
	}
	return model.Distinct(out)
}

func (w *world) assetValues(t model.AssetTemplate) model.Attributes {
	out := model.Attributes{}
	for _, a := range t.Attributes {
		most := 1
		if a.IsMultiValue {
			most = 3
		}
		if values := w.values(a.Type, most); len(values) > 0 {
			out[a.ID] = values
		}
	}
	return out
}

func (w *world) putAsset(t model.AssetTemplate) {
	a := model.Asset{Path: pick(w, paths), Attributes: w.assetValues(t)}
	if w.chance(20) {
		a.Name = "Name of " + a.Path
	}
	w.assets[t.ID] = replaced(w.assets[t.ID], a, func(b model.Asset) bool { return b.Path == a.Path })
	w.write(func(tx *store.Tx) error {
		_, err := tx.Assets(t.ID).Put(a)
		return err
	})
}

func (w *world) deleteAsset(t model.TemplateID) {
	if len(w.assets[t]) == 0 {
		return
	}
	path := pick(w, w.assets[t]).Path
	w.assets[t] = slices.DeleteFunc(slices.Clone(w.assets[t]), func(a model.Asset) bool { return a.Path == path })
	w.write(func(tx *store.Tx) error {
		_, err := tx.Assets(t).Delete(path)
		return err
	})
}

func (w *world) putIdentity(t model.TemplateID) {
	i := model.Identity{EntityID: pick(w, names), Inactive: w.chance(4), Attributes: model.Attributes{}}
	if w.chance(25) {
		for range w.number(1, 3) {
			if row := (model.Attributes{"s": w.values(model.String, 2), "n": w.values(model.Numeric, 2)}); len(row["s"])+len(row["n"]) > 0 {
				i.Rows = append(i.Rows, row)
			}
		}
	}
	if len(i.Rows) == 0 {
		i.Attributes["s"], i.Attributes["n"] = w.values(model.String, 3), w.values(model.Numeric, 3)
	}
	i.Attributes["t"] = w.values(model.String, 2)
	w.identities[t] = replaced(w.identities[t], i, func(j model.Identity) bool { return j.EntityID == i.EntityID })
	w.write(func(tx *store.Tx) error {
		_, err := tx.Identities(t).Put(i)
		return err
	})
}

// replaced keeps the place of what is there, as a store does.
func replaced[V any](all []V, v V, same func(V) bool) []V {
	if i := slices.IndexFunc(all, same); i >= 0 {
		out := slices.Clone(all)
		out[i] = v
		return out
	}
	return append(slices.Clip(all), v)
}

func (w *world) putBlock(b model.Block) {
	if b.ID == "" {
		w.next++
		b.ID = model.BlockID(fmt.Sprintf("00000000-0000-4000-9000-%012d", w.next))
	}
	b.Name = "Block " + string(b.ID)
	w.blocks = replaced(w.blocks, b, func(c model.Block) bool { return c.ID == b.ID })
	w.write(func(tx *store.Tx) error { return put(tx.Blocks, b) })
}

func (w *world) lines() int { return pick(w, []int{0, 0, 0, 0, 1, 1, 1, 2}) }

func (w *world) group() model.Block {
	t := pick(w, w.people)
	b := model.Block{Kind: model.KindDynamicGroup, WorkspaceID: t.WorkspaceID, Template: t.ID}
	b.Branches = w.identityBranches()
	return b
}

func (w *world) identityBranches() []model.Branch {
	var out []model.Branch
	for range w.number(1, 2) {
		var branch model.Branch
		for range w.lines() {
			branch.Rules = append(branch.Rules, w.rule(model.SideIdentity, nil))
		}
		out = append(out, branch)
	}
	return out
}

func (w *world) ruleset(t model.TemplateID) model.Block {
	b := model.Block{Kind: model.KindRuleset, WorkspaceID: "a0", Template: t}
	for range w.number(1, 2) {
		branch, others := model.Branch{}, []model.Side{0, 0, model.SideRequest}
		if w.chance(45) {
			branch.IdentityTemplate = pick(w, w.people).ID
			others = append(others, model.SideIdentity, model.SideIdentity, model.SideIdentity)
		}
		for range w.lines() {
			branch.Rules = append(branch.Rules, w.rule(model.SideAsset, others))
		}
		b.Branches = append(b.Branches, branch)
	}
	return b
}

// rule draws a line. others are the sides of its operand, 0 for literals.
func (w *world) rule(side model.Side, others []model.Side) model.Rule {
	attribute := pick(w, []model.AttributeID{"s", "s", "n", "n", calculated, map[model.Side]model.AttributeID{
		model.SideAsset: model.AttributePath, model.SideIdentity: model.AttributeUID, model.SideRequest: "s",
	}[side]})
	if side == model.SideRequest && attribute == calculated {
		attribute = "s"
	}
	r := model.Rule{Left: model.Ref{Side: side, Attribute: attribute}}
	ops := []model.Operator{
		model.OpEqual, model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpContains, model.OpStartsWith, model.OpEndsWith,
	}
	from := texts
	switch attribute {
	case "n":
		from = numbers[:len(numbers)-1]
		ops = []model.Operator{
			model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpLess, model.OpLessEqual, model.OpGreater, model.OpGreaterEqual,
		}
	case model.AttributePath:
		from = paths
	case calculated:
		from = calculatedTexts
	}
	r.Op = pick(w, ops)
	if len(others) > 0 {
		if other := pick(w, others); other != 0 {
			r.Ref = model.Ref{Side: other, Attribute: attribute}
			if attribute == model.AttributePath {
				r.Ref.Attribute = "s"
			}
			return r
		}
	}
	most := 1
	if r.Op == model.OpIn || r.Op == model.OpNotIn {
		most = 2
	}
	for range w.number(1, most) {
		r.Literals = append(r.Literals, model.Literal{Text: from[min(w.r.IntN(len(from)), w.r.IntN(len(from)))], Number: attribute == "n"})
	}
	return r
}

func (w *world) condition() model.Block {
	b := model.Block{WorkspaceID: "a0"}
	switch w.r.IntN(4) {
	case 0:
		zone := pick(w, []string{"UTC", "Asia/Tokyo", model.ZoneRequest})
		b.Kind, b.Ranges = model.KindCondition, []model.TimeRange{{Zone: zone, Start: w.number(0, 12) * 3600, End: w.number(10, 23) * 3600}}
		if w.chance(30) {
			b.Ranges[0].Days = []time.Weekday{time.Monday, time.Wednesday, time.Thursday}
		}
	case 1:
		prefix := netip.MustParsePrefix(pick(w, []string{"10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"}))
		b.Kind, b.IP = model.KindConditionIP, &model.IPCondition{Restrict: w.chance(30), Text: []string{prefix.String()}, Prefixes: []netip.Prefix{prefix}}
	case 2:
		b.Kind, b.Template, b.Branches = model.KindConditionIdentity, pick(w, w.people).ID, w.identityBranches()
	case 3:
		b.Kind, b.Branches = model.KindConditionRequest, []model.Branch{{Rules: []model.Rule{w.rule(model.SideRequest, nil)}}}
	}
	return b
}

// calculateOtherwise gives a type or an identity template another function.
func (w *world) calculateOtherwise() {
	if i := w.r.IntN(len(w.people) + len(w.types)); i < len(w.people) {
		t := w.identityTemplate(w.people[i].ID)
		w.people = replaced(w.people, t, func(u model.IdentityTemplate) bool { return u.ID == t.ID })
		w.write(func(tx *store.Tx) error { return put(tx.IdentityTemplates, t) })
		return
	}
	t := pick(w, w.types)
	t.Attributes = slices.Clone(t.Attributes)
	t.Attributes[len(t.Attributes)-1].CalculationFunction = w.function()
	w.types = replaced(w.types, t, func(u model.AssetTemplate) bool { return u.ID == t.ID })
	w.write(func(tx *store.Tx) error { return put(tx.AssetTemplates, t) })
}

func (w *world) blocksOf(fits func(model.BlockKind) bool) []model.Block {
	var out []model.Block
	for _, b := range w.blocks {
		if fits(b.Kind) {
			out = append(out, b)
		}
	}
	return out
}

func (w *world) someIDs(from []model.Block, most int) []model.BlockID {
	var out []model.BlockID
	for range w.number(1, most) {
		if id := pick(w, from).ID; !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func (w *world) putPolicy() {
	w.next++
	p := model.Policy{
		ID: model.PolicyID(fmt.Sprintf("pol-%05d", w.next)), WorkspaceID: "a0", Name: fmt.Sprint("Policy ", w.next), Access: model.Allow,
		Use: model.PolicyUseDynamic, Inactive: w.chance(8),
	}
	if w.chance(20) {
		p.Access = model.Restrict
	}
	p.DynamicGroups = w.someIDs(w.blocksOf(func(k model.BlockKind) bool { return k == model.KindDynamicGroup }), 4)
	rulesets := w.blocksOf(func(k model.BlockKind) bool { return k == model.KindRuleset })
	for _, id := range w.someIDs(rulesets, 5) {
		use := model.RulesetUse{BlockID: id, AllActions: p.Access == model.Allow && w.chance(70)}
		at := slices.IndexFunc(rulesets, func(b model.Block) bool { return b.ID == id })
		for _, t := range w.types {
			for _, a := range t.Actions {
				if t.ID == rulesets[at].Template && !use.AllActions && w.chance(60) {
					use.ActionIDs = append(use.ActionIDs, a.ID)
				}
			}
		}
		use.AllActions = len(use.ActionIDs) == 0
		p.Rulesets = append(p.Rulesets, use)
	}
	if conditions := w.blocksOf(model.BlockKind.IsCondition); w.chance(30) && len(conditions) > 0 {
		p.Conditions = w.someIDs(conditions, 2)
	}
	w.policies = append(slices.Clip(w.policies), p)
	w.write(func(tx *store.Tx) error { return put(tx.Policies, p) })
}

// change draws a few changes.
func (w *world) change() {
	for range w.number(1, 2) {
		switch w.r.IntN(9) {
		case 0:
			w.putPolicy()
			if len(w.policies) > 6 {
				w.deletePolicy()
			}
		case 1:
			p := pick(w, w.policies)
			p.Inactive = !p.Inactive
			w.policies = replaced(w.policies, p, func(q model.Policy) bool { return q.ID == p.ID })
			w.write(func(tx *store.Tx) error { return put(tx.Policies, p) })
		case 2, 3:
			w.changeBlock()
		case 4, 5:
			if t := pick(w, w.types); t.Source == model.SourcePlainID {
				if w.putAsset(t); len(w.assets[t.ID]) > 3 {
					w.deleteAsset(t.ID)
				}
			}
		case 6:
			w.putIdentity(pick(w, w.people).ID)
		case 7:
			w.deleteAsset(pick(w, w.types).ID)
		case 8:
			w.calculateOtherwise()
		}
	}
}

func (w *world) deletePolicy() {
	id := w.policies[0].ID
	w.policies = slices.Clone(w.policies[1:])
	w.write(func(tx *store.Tx) error {
		_, err := tx.Policies.Delete(id)
		return err
	})
}

// changeBlock draws the content of a block anew; its kind and template stay, as a store's users find.
func (w *world) changeBlock() {
	old := pick(w, w.blocks)
	var b model.Block
	switch old.Kind {
	case model.KindDynamicGroup:
		b = w.group()
		b.Template, b.WorkspaceID = old.Template, old.WorkspaceID
	case model.KindRuleset:
		b = w.ruleset(old.Template)
	default:
		for b = w.condition(); b.Kind != old.Kind; b = w.condition() { //nolint:revive // drawn until it is of the kind
		}
		b.Template = cmp.Or(old.Template, b.Template)
	}
	b.ID = old.ID
	w.putBlock(b)
}

func newIP(prefix string) *model.IPCondition {
	return &model.IPCondition{Text: []string{prefix}, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}}
}
