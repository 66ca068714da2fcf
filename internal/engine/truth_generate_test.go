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
	plain  bool // assets have no calculated attributes
	next   int  // for ids
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
	m.w.identityTemplates[id] = model.IdentityTemplate{ID: id, WorkspaceID: identityWorkspace, Attributes: append([]model.IdentityAttribute{
		{ID: model.AttributeUID, Type: model.String},
		{ID: "s", Type: model.String},
		{ID: "s2", Type: model.String},
		{ID: "n", Type: model.Numeric},
	}, m.calculatedIdentityAttributes()...)}
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
	if !m.plain && m.chance(60) {
		t.Attributes = append(t.Attributes, m.calculatedAssetAttributes()...)
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
		// values of a calculated attribute are drawn, too: they count for nothing
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

// question draws who asks, from where and when. The scope is mostly linked to both applications.
func (m *maker) question() engine.Question {
	q := engine.Question{
		Applications: []model.ApplicationID{"app1", "app2"},
		Instant:      time.Date(2026, time.Month(m.number(1, 12)), m.number(1, 28), m.number(0, 23), pick(m, []int{0, 0, 29, 30, 30, 47}), pick(m, []int{0, 0, 1, 59}), 0, time.UTC),
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
		if one := q.Identities[len(q.Identities)-1]; m.chance(30) { // said, and without effect
			one.Attributes[calculatedText], one.Attributes[calculatedNumber] = calculatedValues, numberLiterals
		}
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
		if a.IsCalculated {
			continue
		}
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
