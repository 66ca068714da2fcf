package engine_test

import (
	"fmt"
	"maps"
	"math/bits"
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // the zones of the generated ranges, wherever the tests run

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Random well-typed worlds and questions. The alphabets are small, so that values meet; groups and rulesets are often
// wide, so that enough is granted.

var (
	coin           = rapid.Bool()
	textAlphabet   = []string{"a", "b", "ab", "ba", "", "A", "é", "e\u0301", "日本", "1", "1.0", "10"}
	numberAlphabet = []string{
		"1", "1.0", "2", "10", "1e1", " 7 ", "7", "abc", "-3", "0", "-0", "", ".5", "0.5", "1,000",
		"9007199254740993", "9007199254740992", "1e9999", "1e10000", "5.", "+2",
	}
	numberLiterals = []string{"1", "1.0", "2", "10", "7", "-3", "0", "0.5", "9007199254740992", "1e1"}
	pathAlphabet   = []string{"a", "ab", "b/1", "b/2", "é", "1", "1.0", "2", "10", "x y", "A"}
	zoneAlphabet   = []string{"UTC", "Europe/Lisbon", "Asia/Tokyo", "America/New_York", model.ZoneRequest}
	blockAlphabet  = []string{"10.0.0.0/8", "198.51.100.77/26", "0.0.0.0/0", "2001:db8::/32", "::ffff:10.0.0.0/104", "192.0.2.9/32"}
	sourceAlphabet = []string{"10.1.2.3", "192.0.2.9", "198.51.100.70", "198.51.100.128", "2001:db8::1", "fe80::1"}
	textOperators  = []model.Operator{
		model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpContains,
		model.OpStartsWith, model.OpEndsWith,
	}
	numberOperators = []model.Operator{
		model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpLess,
		model.OpLessEqual, model.OpGreater, model.OpGreaterEqual,
	}
)

const (
	authWorkspace     model.WorkspaceID = "00000000-0000-4000-8000-000000000001"
	identityWorkspace model.WorkspaceID = "00000000-0000-4000-8000-000000000002"
)

// maker draws parts of a world. simple limits it to what OPA judges the same way: every attribute present with one value,
// no cross-type comparison, at most one condition of a kind.
type maker struct {
	*rapid.T
	w      *world
	simple bool
	next   int // for ids
}

// number is even over the range: rapid's own integers prefer the ends, which would leave most worlds nearly empty.
func (m *maker) number(low, high int) int {
	if low == high {
		return low
	}
	return rapid.Custom(func(t *rapid.T) int {
		for {
			n := 0
			for range bits.Len(uint(high - low)) {
				n <<= 1
				if coin.Draw(t, "") {
					n++
				}
			}
			if low+n <= high {
				return low + n
			}
		}
	}).Draw(m.T, "n")
}

// chance is false in the simplest draw, so that failing worlds shrink.
func (m *maker) chance(percent int) bool { return m.number(0, 31) >= 32-(percent*32+50)/100 }

func pick[V any](m *maker, from []V) V { return from[m.number(0, len(from)-1)] }

func some[V any](m *maker, from []V, low, high int) []V {
	var out []V
	for range m.number(low, high) {
		out = append(out, pick(m, from))
	}
	return out
}

func newWorld() *world {
	return &world{
		assetTemplates:    map[model.TemplateID]model.AssetTemplate{},
		identityTemplates: map[model.TemplateID]model.IdentityTemplate{},
		applications:      map[model.ApplicationID]model.Application{},
		blocks:            map[model.BlockID]model.Block{},
		policies:          map[model.PolicyID]model.Policy{},
		assets:            map[model.TemplateID][]model.Asset{},
		identities:        map[model.TemplateID][]model.Identity{},
	}
}

func (m *maker) world() *world {
	m.w = newWorld()
	for i := range m.number(1, 3) {
		m.identityTemplate(model.TemplateID(fmt.Sprintf("I%d", i)))
	}
	for i := range m.number(1, 3) {
		m.assetTemplate(model.TemplateID(fmt.Sprintf("T%d", i)))
	}
	all := m.assetTypes()
	for _, id := range []model.ApplicationID{"app1", "app2"} {
		m.application(id, all)
	}
	for range m.number(2, 7) {
		m.group()
	}
	for range m.number(2, 8) {
		m.ruleset()
	}
	for range m.number(0, 4) {
		m.condition()
	}
	for i := range m.number(2, 10) {
		m.policy(model.PolicyID(fmt.Sprintf("p%d", i)))
	}
	for _, t := range all {
		if m.w.assetTemplates[t].Source != model.SourceRequest {
			for i := range m.number(0, 12) {
				m.w.assets[t] = putAsset(m.w.assets[t], m.asset(t, i))
			}
		}
	}
	return m.w
}

func (m *maker) assetTypes() []model.TemplateID { return slices.Sorted(maps.Keys(m.w.assetTemplates)) }

func (m *maker) identityTypes() []model.TemplateID {
	return slices.Sorted(maps.Keys(m.w.identityTemplates))
}

func (m *maker) application(id model.ApplicationID, all []model.TemplateID) {
	app := model.Application{ID: id, WorkspaceID: authWorkspace}
	for _, t := range all {
		if m.chance(88) {
			app.AssetTemplateIDs = append(app.AssetTemplateIDs, t)
		}
	}
	m.w.applications[id] = app
}

func (m *maker) identityTemplate(id model.TemplateID) {
	m.w.identityTemplates[id] = model.IdentityTemplate{ID: id, WorkspaceID: identityWorkspace, Attributes: []model.IdentityAttribute{
		{ID: model.AttributeUID, Type: model.String},
		{ID: "s", Type: model.String},
		{ID: "s2", Type: model.String},
		{ID: "n", Type: model.Numeric},
	}}
}

func (m *maker) assetTemplate(id model.TemplateID) {
	t := model.AssetTemplate{
		ID: id, WorkspaceID: authWorkspace, DisplayName: string(id),
		Source: pick(m, []model.AssetSource{model.SourceRequest, model.SourcePlainID, model.SourcePlainID, model.SourcePlainID}),
		Attributes: []model.AssetAttribute{
			{ID: "s", Type: model.String, IsMultiValue: true},
			{ID: "n", Type: model.Numeric, IsMultiValue: true},
		},
	}
	if m.chance(50) {
		t.Attributes = append(t.Attributes, model.AssetAttribute{ID: "s2", Type: model.String, IsMultiValue: true})
	}
	if !m.simple && m.chance(15) {
		t.Attributes = append(t.Attributes, model.AssetAttribute{ID: model.AttributePath, Type: model.Numeric})
	}
	if t.Source != model.SourceRequest {
		t.IsAttributeSentInRequest = m.chance(40)
	}
	// Values and ids cross over (PM-9): "B" is the value of the action A and the id of the action valued "b".
	actions := []model.Action{{ID: "A", Value: "B"}, {ID: "B", Value: "b"}, {ID: "C", Value: "C"}, {ID: "D", Value: "d"}}
	t.Actions = actions[:m.number(0, len(actions))]
	if m.simple && len(t.Actions) == 0 {
		t.Actions = actions[:1]
	}
	m.w.assetTemplates[id] = t
}

func (m *maker) attributeValues(t model.AttributeType) []string {
	from := textAlphabet
	if t == model.Numeric {
		from = numberAlphabet
	}
	if m.simple {
		if t == model.Numeric {
			from = numberLiterals
		}
		return []string{m.value(from)}
	}
	var out []string
	for range pick(m, []int{0, 1, 1, 1, 2, 2, 3, 3}) {
		out = append(out, m.value(from))
	}
	return model.Distinct(out)
}

// value prefers the first texts of an alphabet, so that values meet often.
func (m *maker) value(from []string) string {
	if m.chance(65) {
		return from[m.number(0, 2)]
	}
	return pick(m, from)
}

func (m *maker) asset(t model.TemplateID, i int) model.Asset {
	a := model.Asset{Path: fmt.Sprintf("%s%d", pick(m, pathAlphabet), i%4), Attributes: model.Attributes{}}
	if m.chance(30) {
		a.Path = pick(m, pathAlphabet)
	}
	if m.chance(15) {
		a.Name = "N " + a.Path
	}
	template := m.w.assetTemplates[t]
	for _, attribute := range template.Attributes {
		if attribute.ID != model.AttributePath && (m.simple || m.chance(85)) {
			a.Attributes[attribute.ID] = m.attributeValues(attribute.Type)
		}
	}
	return a
}

// putAsset keeps the place of a stored path (policy-model.md 3.3).
func putAsset(assets []model.Asset, a model.Asset) []model.Asset {
	if i := slices.IndexFunc(assets, func(b model.Asset) bool { return b.Path == a.Path }); i >= 0 {
		out := slices.Clone(assets)
		out[i] = a
		return out
	}
	return append(slices.Clip(assets), a)
}

func (m *maker) blockID() model.BlockID {
	m.next++
	return model.BlockID(fmt.Sprintf("00000000-0000-4000-9000-%012d", m.next))
}

func (m *maker) group() {
	b := model.Block{
		ID: m.blockID(), Kind: model.KindDynamicGroup, WorkspaceID: identityWorkspace, Name: fmt.Sprint("G", m.next),
		Template: pick(m, m.identityTypes()),
	}
	b.Branches = m.branches(func() model.Branch { return m.identityBranch(b.Template) })
	m.w.blocks[b.ID] = b
}

func (m *maker) identityBranch(t model.TemplateID) model.Branch {
	var branch model.Branch
	for range m.lines() {
		branch.Rules = append(branch.Rules, m.rule(model.SideIdentity, t, nil))
	}
	return branch
}

// lines is how many rules a branch gets: mostly none or one.
func (m *maker) lines() int { return pick(m, []int{0, 0, 0, 0, 1, 1, 1, 2}) }

func (m *maker) branches(one func() model.Branch) []model.Branch {
	var out []model.Branch
	for range pick(m, []int{1, 1, 1, 2, 3}) {
		out = append(out, one())
	}
	return out
}

func (m *maker) ruleset() {
	b := model.Block{
		ID: m.blockID(), Kind: model.KindRuleset, WorkspaceID: authWorkspace, Name: fmt.Sprint("R", m.next),
		Template: pick(m, m.assetTypes()),
	}
	b.Branches = m.branches(func() model.Branch {
		var branch model.Branch
		others := []model.Side{model.SideRequest}
		if m.chance(40) {
			branch.IdentityTemplate = pick(m, m.identityTypes())
			others = append(others, model.SideIdentity, model.SideIdentity)
		}
		for range m.lines() {
			branch.Rules = append(branch.Rules, m.rule(model.SideAsset, b.Template, others))
		}
		return branch
	})
	m.w.blocks[b.ID] = b
}

func (m *maker) condition() {
	b := model.Block{
		ID: m.blockID(), WorkspaceID: authWorkspace, Name: fmt.Sprint("C", m.next),
		Kind: pick(m, []model.BlockKind{model.KindCondition, model.KindConditionIP, model.KindConditionIdentity, model.KindConditionRequest}),
	}
	switch b.Kind {
	case model.KindCondition:
		for range m.number(1, 2) {
			b.Ranges = append(b.Ranges, m.timeRange())
		}
	case model.KindConditionIP:
		b.IP = m.ipCondition()
	case model.KindConditionIdentity:
		b.Template = pick(m, m.identityTypes())
		b.Branches = m.branches(func() model.Branch { return m.identityBranch(b.Template) })
	case model.KindConditionRequest:
		b.Branches = m.branches(func() model.Branch {
			return model.Branch{Rules: []model.Rule{m.rule(model.SideRequest, "", nil)}}
		})
	}
	m.w.blocks[b.ID] = b
}

func (m *maker) timeRange() model.TimeRange {
	r := model.TimeRange{Zone: pick(m, zoneAlphabet), Start: -1, End: -1}
	if m.chance(50) {
		for d := range 7 {
			if m.chance(60) {
				r.Days = append(r.Days, time.Weekday((d+1)%7))
			}
		}
	}
	for mo := time.January; m.chance(50) && mo <= time.December; mo += 4 {
		r.Months = append(r.Months, mo)
	}
	if m.chance(60) || len(r.Days)+len(r.Months) == 0 {
		r.Start, r.End = m.number(0, 23)*3600, m.number(0, 23)*3600+1800
	}
	if m.chance(15) {
		r.StartDate = model.Date{Year: 2026, Month: time.Month(m.number(1, 12)), Day: m.number(1, 28)}
	}
	if m.chance(15) {
		r.EndDate = model.Date{Year: 2026, Month: time.Month(m.number(1, 12)), Day: m.number(1, 28)}
	}
	return r
}

func (m *maker) ipCondition() *model.IPCondition {
	c := &model.IPCondition{Restrict: m.chance(40)}
	from := blockAlphabet
	if m.simple {
		from = []string{"10.0.0.0/8", "198.51.100.77/26", "2001:db8::/32", "192.0.2.9/32"}
	}
	for _, text := range model.Distinct(some(m, from, 1, 2)) {
		c.Text = append(c.Text, text)
		p := netip.MustParsePrefix(text)
		if p.Addr().Is4In6() {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		c.Prefixes = append(c.Prefixes, p.Masked())
	}
	return c
}

// rule draws one well-typed line whose left side is an attribute of side; others are the sides its operand may read
// besides the left one's own arguments.
func (m *maker) rule(side model.Side, t model.TemplateID, others []model.Side) model.Rule {
	r := model.Rule{Left: model.Ref{Side: side, Attribute: m.leftAttribute(side, t)}}
	numeric := m.isNumeric(side, t, r.Left.Attribute)
	if side == model.SideRequest {
		numeric = r.Left.Attribute == "rn"
	}
	r.Op = pick(m, textOperators)
	if numeric {
		r.Op = pick(m, numberOperators)
	}
	if len(others) > 0 && m.chance(45) {
		r.Ref = m.operand(pick(m, others), numeric, r.Op)
		return r
	}
	high := 1
	if r.Op == model.OpIn || r.Op == model.OpNotIn {
		high = 3
	}
	from := textAlphabet
	if numeric {
		from = numberLiterals
	}
	if r.Left.Attribute == model.AttributePath && !numeric {
		from = pathAlphabet
	}
	for range m.number(1, high) {
		r.Literals = append(r.Literals, model.Literal{Text: m.value(from), Number: numeric})
	}
	return r
}

func (m *maker) leftAttribute(side model.Side, t model.TemplateID) model.AttributeID {
	switch side {
	case model.SideIdentity:
		return pick(m, []model.AttributeID{"s", "s2", "n", "s", model.AttributeUID})
	case model.SideRequest:
		return pick(m, []model.AttributeID{"rs", "rn"})
	}
	names := []model.AttributeID{model.AttributePath}
	for _, a := range m.w.assetTemplates[t].Attributes {
		names = append(names, a.ID)
	}
	return pick(m, names)
}

func (m *maker) isNumeric(side model.Side, t model.TemplateID, a model.AttributeID) bool {
	if side == model.SideAsset {
		template := m.w.assetTemplates[t]
		attribute, _ := template.Attribute(a)
		return attribute.Type == model.Numeric
	}
	return a == "n"
}

// operand is an attribute of another side; comparisons across types are drawn too, unless the world is simple.
func (m *maker) operand(side model.Side, numeric bool, op model.Operator) model.Ref {
	name := pick(m, []model.AttributeID{"s", "s2", "n", model.AttributeUID})
	if m.simple {
		name = "s"
		if numeric {
			name = "n"
		}
	}
	if side == model.SideRequest {
		name = pick(m, []model.AttributeID{"rs", "rn"})
		if m.simple {
			name = "rs"
			if numeric {
				name = "rn"
			}
		}
	}
	if m.simple && (op == model.OpIn || op == model.OpNotIn) {
		return model.Ref{Side: model.SideRequest, Attribute: name + "list"}
	}
	return model.Ref{Side: side, Attribute: name}
}

func (m *maker) policy(id model.PolicyID) {
	p := model.Policy{
		ID: id, WorkspaceID: authWorkspace, Name: "Policy " + string(id), Use: model.PolicyUseDynamic,
		Access: model.Allow, Inactive: m.chance(5),
	}
	if m.chance(15) {
		p.Access = model.Restrict
	}
	p.DynamicGroups = distinct(some(m, m.blocksOf(model.KindDynamicGroup), 2, 4))
	for _, r := range distinct(some(m, m.blocksOf(model.KindRuleset), 1, 4)) {
		use := model.RulesetUse{BlockID: r, AllActions: p.Access == model.Allow && m.chance(75) || m.chance(20)}
		for _, a := range m.w.assetTemplates[m.w.blocks[r].Template].Actions {
			if !use.AllActions && m.chance(50) {
				use.ActionIDs = append(use.ActionIDs, a.ID)
			}
		}
		use.AllActions = len(use.ActionIDs) == 0
		p.Rulesets = append(p.Rulesets, use)
	}
	if m.chance(35) {
		p.Conditions = m.conditionsOf()
	}
	m.w.policies[id] = p
}

func (m *maker) conditionsOf() []model.BlockID {
	all := m.blocksOf(model.KindCondition, model.KindConditionIP, model.KindConditionIdentity, model.KindConditionRequest)
	if len(all) == 0 {
		return nil
	}
	out := distinct(some(m, all, 1, 2))
	if m.simple && len(out) == 2 && m.w.blocks[out[0]].Kind == m.w.blocks[out[1]].Kind {
		return out[:1] // a Rego module cannot tell two functions of one name apart
	}
	return out
}

func (m *maker) blocksOf(kinds ...model.BlockKind) []model.BlockID {
	var out []model.BlockID
	for _, id := range slices.Sorted(maps.Keys(m.w.blocks)) {
		if slices.Contains(kinds, m.w.blocks[id].Kind) {
			out = append(out, id)
		}
	}
	return out
}

func distinct[V comparable](vs []V) []V {
	var out []V
	for _, v := range vs {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// question draws who asks, from where and when. The scope is mostly linked to both applications.
func (m *maker) question() engine.Question {
	q := engine.Question{
		Applications: []model.ApplicationID{"app1", "app2"},
		Instant:      time.Date(2026, time.Month(m.number(1, 12)), m.number(1, 28), m.number(0, 23), m.number(0, 59), m.number(0, 59), 0, time.UTC),
		ZoneOffset:   time.Duration(pick(m, []int{0, 0, 330, -14 * 60, 14 * 60, -210})) * time.Minute,
		SourceIP:     netip.MustParseAddr(pick(m, sourceAlphabet)), Environment: map[string][]string{},
	}
	if m.chance(10) {
		q.Applications = q.Applications[:m.number(0, 1)]
	}
	q.CombinedMultiValue = m.chance(50)
	types := rapid.Permutation(m.identityTypes()).Draw(m.T, "identity types")
	high := min(len(types), pick(m, []int{1, 1, 1, 1, 2, 2, 3}))
	for _, t := range types[:high] {
		q.Identities = append(q.Identities, m.identity(t))
	}
	if m.simple {
		q.ZoneOffset = max(q.ZoneOffset.Truncate(time.Hour), -12*time.Hour)
		q.Environment["rslist"] = distinct(some(m, textAlphabet, 1, 3))
		q.Environment["rnlist"] = distinct(some(m, numberLiterals, 1, 3))
	} else if m.chance(3) {
		q.SourceIP = netip.Addr{}
	}
	return m.environment(q)
}

func (m *maker) environment(q engine.Question) engine.Question {
	if m.simple || m.chance(80) {
		q.Environment["rs"] = m.attributeValues(model.String)
	}
	if m.simple || m.chance(80) {
		q.Environment["rn"] = m.attributeValues(model.Numeric)
	}
	return q
}

func (m *maker) identity(t model.TemplateID) engine.Identity {
	id := engine.Identity{
		Template: t, EntityID: pick(m, []string{"a", "b", "iris", "1.0", "é"}), Attributes: model.Attributes{},
		Inactive: !m.simple && m.chance(3),
	}
	in := 0
	if !m.simple && m.chance(30) {
		in = m.number(1, 3)
		id.Rows = make([]model.Attributes, in)
		for i := range id.Rows {
			id.Rows[i] = model.Attributes{}
		}
	}
	for _, a := range m.w.identityTemplates[t].Attributes[1:] {
		if in > 0 && m.chance(50) {
			for i := range id.Rows {
				id.Rows[i][a.ID] = m.attributeValues(a.Type)
			}
			continue
		}
		if m.simple || m.chance(90) {
			id.Attributes[a.ID] = m.attributeValues(a.Type)
		}
	}
	return id
}

// requestAsset draws an asset as a request names it: known, unknown or of a REQUEST type.
func (m *maker) requestAsset(t model.TemplateID) engine.Asset {
	drawn := m.asset(t, m.number(0, 3))
	a := engine.Asset{Template: t, Path: drawn.Path}
	if stored := m.w.assets[t]; len(stored) > 0 && m.chance(70) {
		a.Path = pick(m, stored).Path
	}
	if m.w.assetTemplates[t].Source == model.SourceRequest || m.chance(40) {
		a.Attributes = drawn.Attributes
		if m.chance(15) {
			a.Attributes["undeclared"] = []string{"a"}
		}
	}
	return a
}
