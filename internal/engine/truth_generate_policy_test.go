package engine_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Random building blocks and policies: all operators, both sides, all four kinds of condition.

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
		branch.Rules = append(branch.Rules, m.rule(model.SideIdentity, t, m.own(model.SideIdentity)))
	}
	return branch
}

// own lets a rule compare two attributes of its one side, which the simple worlds do not.
func (m *maker) own(side model.Side) []model.Side {
	if m.simple {
		return nil
	}
	return []model.Side{side}
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
			return model.Branch{Rules: []model.Rule{m.rule(model.SideRequest, "", m.own(model.SideRequest))}}
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
	if r.Left.Attribute == calculatedText {
		from = calculatedValues
	}
	for range m.number(1, high) {
		r.Literals = append(r.Literals, model.Literal{Text: m.value(from), Number: numeric})
	}
	return r
}

func (m *maker) leftAttribute(side model.Side, t model.TemplateID) model.AttributeID {
	switch side {
	case model.SideIdentity:
		return pick(m, []model.AttributeID{"s", "s2", "n", "s", model.AttributeUID, calculatedText, calculatedNumber})
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
	return a == "n" || a == calculatedNumber
}

// operand is an attribute of another side; comparisons across types are drawn too, unless the world is simple.
func (m *maker) operand(side model.Side, numeric bool, op model.Operator) model.Ref {
	name := pick(m, []model.AttributeID{"s", "s2", "n", model.AttributeUID, calculatedText, calculatedNumber})
	if m.simple {
		name = pick(m, []model.AttributeID{"s", calculatedText})
		if numeric {
			name = pick(m, []model.AttributeID{"n", calculatedNumber})
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
