package runtime

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// An environment of awkward names and values: everything that a writer of JSON could get wrong is in an id, a value, a
// display name or an action. Its records and policies are drawn from a seed.

var awkwardTexts = []string{
	"a", "b", "c", "north", "south", "", " ", `"`, `\`, `\"`, "/", "\x00\x01\x1f", "\b\f\n\r\t", "\x7f", "<b>&amp;</b>",
	"e\u0301é", "line\u2028para\u2029", "日本語", "😀 smile", "x,y", "-a", "{\"a\":[1]}",
}

var awkwardNumbers = []string{"0", "1", "1.0", "1.00", "-3", "1e3", "98000", "0.1", "100000000000000000001", "many"}

// Names of the awkward environment.
const (
	plainPapers model.TemplateID = "Papers"      // a bit of everything
	namedPapers model.TemplateID = `Named "<é>"` // declares name and path itself
	sentPapers  model.TemplateID = "Sent"        // takes values of the request
	claims      model.TemplateID = "Claims"      // REQUEST
	bare        model.TemplateID = "Bare"        // without actions
	filtered    model.TemplateID = "Filtered"    // answered as filters
	external    model.TemplateID = "External"    // no source is configured
	hidden      model.TemplateID = "Hidden"      // of no application of the scope
)

func awkwardTypes() []model.AssetTemplate {
	attribute := func(id model.AttributeID, request string) model.AssetAttribute {
		return model.AssetAttribute{ID: id, DisplayName: string(id), Type: model.String, NameForRequest: request, IsAvailableForPolicies: true}
	}
	size := model.AssetAttribute{ID: "size", Type: model.Numeric, NameForRequest: "bytes"}
	actions := []model.Action{{ID: "Read", Value: "read"}, {ID: "Sign", Value: `si"gn<>`}, {ID: "read", Value: "löschen\n"}}
	common := func(more ...model.AssetAttribute) []model.AssetAttribute {
		return append([]model.AssetAttribute{attribute("kind", "class"), size}, more...)
	}
	types := []model.AssetTemplate{
		{ID: plainPapers, Source: model.SourcePlainID, Attributes: common(attribute(`od"d \ id`, ""), attribute("größe", "groesse"), attribute("with blank", "")), Actions: actions},
		{ID: namedPapers, Source: model.SourcePlainID, Attributes: common(attribute(model.AttributeName, "title"), attribute(model.AttributePath, ""), attribute("last", "")), Actions: actions[:2]},
		{ID: sentPapers, Source: model.SourcePlainID, IsAttributeSentInRequest: true, Attributes: common(attribute("swap", "kind2"), attribute("kind2", "swapped")), Actions: actions[1:]},
		{ID: claims, Source: model.SourceRequest, Attributes: common(attribute("a,b", ""), attribute(model.AttributeName, "")), Actions: actions},
		{ID: bare, Source: model.SourcePlainID, Attributes: common()},
		{ID: filtered, Source: model.SourcePlainID, Attributes: common(attribute("last", "")), Actions: actions, IsUsedForFiltering: true},
		{ID: external, Source: model.SourceExternal, Attributes: common(), Actions: actions, IsAttributeSentInRequest: true},
		{ID: hidden, Source: model.SourcePlainID, Attributes: common(), Actions: actions},
	}
	for i := range types {
		types[i].WorkspaceID, types[i].DisplayName = "a0", string(types[i].ID)
		for j := range types[i].Attributes {
			types[i].Attributes[j].IsMultiValue = true
		}
	}
	return types
}

func awkwardPeople() []model.IdentityTemplate {
	attribute := func(id model.AttributeID, typ model.AttributeType, sent bool, name string) model.IdentityAttribute {
		return model.IdentityAttribute{ID: id, DisplayName: string(id), Type: typ, IsUsedInAccessRequest: sent, NameForRequest: name}
	}
	uid := attribute(model.AttributeUID, model.String, false, "")
	return []model.IdentityTemplate{
		{ID: "Device", WorkspaceID: "i1", Attributes: []model.IdentityAttribute{uid, attribute("kind", model.String, true, "")}},
		{ID: `Per"son`, WorkspaceID: "i0", Attributes: []model.IdentityAttribute{
			uid, attribute("kind", model.String, false, ""),
			attribute("level", model.Numeric, true, "rank"), attribute(`mo"od`, model.String, true, ""), attribute("empty", model.String, true, ""),
		}},
		{ID: "Service", WorkspaceID: "i2", Attributes: []model.IdentityAttribute{uid, attribute("kind", model.String, true, "sort")}},
	}
}

// worldMaker draws records and policies.
type worldMaker struct {
	r      *rand.Rand
	blocks []model.Block
}

func (m *worldMaker) texts(from []string, atMost int) []string {
	var out []string
	for range m.r.IntN(atMost + 1) {
		out = append(out, from[m.r.IntN(len(from))])
	}
	return model.Distinct(out)
}

func (m *worldMaker) values(typ model.AttributeType) []string {
	if typ == model.Numeric {
		return m.texts(awkwardNumbers, 2)
	}
	return m.texts(awkwardTexts, 3)
}

func (m *worldMaker) asset(t model.AssetTemplate, i int) model.Asset {
	a := model.Asset{Path: fmt.Sprintf("%s%d%s", awkwardTexts[m.r.IntN(len(awkwardTexts))], i, awkwardTexts[m.r.IntN(len(awkwardTexts))]), Attributes: model.Attributes{}}
	if m.r.IntN(3) == 0 {
		a.Name = awkwardTexts[m.r.IntN(len(awkwardTexts))]
	}
	for _, x := range t.Attributes {
		if x.ID != model.AttributePath && m.r.IntN(4) > 0 {
			a.Attributes[x.ID] = m.values(x.Type)
		}
	}
	return a
}

func (m *worldMaker) identity(t model.IdentityTemplate, i int) model.Identity {
	out := model.Identity{EntityID: fmt.Sprintf("%s%d", awkwardTexts[i%len(awkwardTexts)], i), Inactive: i == 5, Attributes: model.Attributes{}}
	inRows := i%2 == 0 // then the last two attributes are
	for n, x := range t.Attributes[1:] {
		if values := m.values(x.Type); len(values) > 0 && x.ID != "empty" && (!inRows || n < len(t.Attributes)-3) {
			out.Attributes[x.ID] = values
		}
	}
	for range m.r.IntN(4) {
		row := model.Attributes{}
		for n, x := range t.Attributes[1:] {
			if values := m.values(x.Type); len(values) > 0 && x.ID != "empty" && inRows && n >= len(t.Attributes)-3 {
				row[x.ID] = values
			}
		}
		if len(row) > 0 {
			out.Rows = append(out.Rows, row)
		}
	}
	return out
}

// branch draws up to two lines about a side of a template.
func (m *worldMaker) branch(side model.Side, kinds map[model.AttributeID]model.AttributeType) model.Branch {
	ids := []model.AttributeID{"kind"}
	for id := range kinds {
		ids = append(ids, id)
	}
	slices.Sort(ids) // the seed decides, not the map
	b := model.Branch{}
	for range m.r.IntN(3) {
		id := ids[m.r.IntN(len(ids))]
		if kinds[id] == model.Numeric {
			op := []model.Operator{model.OpEqual, model.OpLessEqual, model.OpGreater}[m.r.IntN(3)]
			b.Rules = append(b.Rules, rule(side, id, op, awkwardNumbers[m.r.IntN(len(awkwardNumbers)-1)]))
			continue
		}
		op := []model.Operator{model.OpEqual, model.OpNotEqual, model.OpIn, model.OpContains, model.OpStartsWith}[m.r.IntN(5)]
		literals := awkwardTexts[:5]
		if op != model.OpIn {
			literals = literals[m.r.IntN(5):][:1]
		}
		b.Rules = append(b.Rules, textRule(side, id, op, literals))
	}
	return b
}

func textRule(side model.Side, id model.AttributeID, op model.Operator, texts []string) model.Rule {
	r := model.Rule{Left: model.Ref{Side: side, Attribute: id}, Op: op}
	for _, t := range texts {
		r.Literals = append(r.Literals, model.Literal{Text: t})
	}
	return r
}

func (m *worldMaker) block(b model.Block) model.BlockID {
	b.ID = model.BlockID(fmt.Sprintf("block-%03d", len(m.blocks)))
	b.Name = string(b.ID)
	m.blocks = append(m.blocks, b)
	return b.ID
}

func (m *worldMaker) policies(n int) []model.Policy {
	var out []model.Policy
	for i := range n {
		p := model.Policy{
			ID: model.PolicyID(fmt.Sprintf("pol<%02d>", i)), WorkspaceID: "a0", Name: fmt.Sprintf("%s %d", awkwardTexts[i%len(awkwardTexts)], i),
			Access: model.Allow, Use: model.PolicyUseDynamic, Inactive: m.r.IntN(12) == 0,
		}
		if i%5 == 4 {
			p.Access = model.Restrict
		}
		for _, t := range awkwardPeople() {
			if m.r.IntN(5) == 0 {
				continue
			}
			b := model.Block{Kind: model.KindDynamicGroup, WorkspaceID: t.WorkspaceID, Template: t.ID, Branches: []model.Branch{{}}}
			if m.r.IntN(2) == 0 {
				kinds := map[model.AttributeID]model.AttributeType{}
				for _, a := range t.Attributes {
					kinds[a.ID] = a.Type
				}
				b.Branches = []model.Branch{m.branch(model.SideIdentity, kinds), m.branch(model.SideIdentity, kinds)}
			}
			p.DynamicGroups = append(p.DynamicGroups, m.block(b))
		}
		for _, t := range awkwardTypes() {
			if m.r.IntN(3) > 0 {
				p.Rulesets = append(p.Rulesets, m.use(t, p.Access))
			}
		}
		p.Conditions = m.conditions()
		if len(p.Rulesets) > 0 && len(p.DynamicGroups) > 0 {
			out = append(out, p)
		}
	}
	return out
}

func (m *worldMaker) use(t model.AssetTemplate, access model.Access) model.RulesetUse {
	kinds := map[model.AttributeID]model.AttributeType{}
	for _, a := range t.Attributes {
		kinds[a.ID] = a.Type
	}
	b := model.Block{Kind: model.KindRuleset, WorkspaceID: "a0", Template: t.ID, Branches: []model.Branch{m.branch(model.SideAsset, kinds)}}
	if access == model.Restrict && len(b.Branches[0].Rules) == 0 { // else too little is left
		b.Branches[0] = model.Branch{Rules: []model.Rule{textRule(model.SideAsset, "kind", model.OpEqual, []string{"a"})}}
	}
	if m.r.IntN(3) == 0 { // the asset's kind is one of the person's or of the request's
		line := model.Rule{Left: model.Ref{Side: model.SideAsset, Attribute: "kind"}, Op: model.OpEqual, Ref: model.Ref{Side: model.SideRequest, Attribute: "kind"}}
		branch := model.Branch{Rules: []model.Rule{line}}
		if m.r.IntN(2) == 0 {
			branch.IdentityTemplate, branch.Rules[0].Ref.Side = `Per"son`, model.SideIdentity
		}
		b.Branches = append(b.Branches, branch)
	}
	out := model.RulesetUse{BlockID: m.block(b), AllActions: len(t.Actions) == 0 || m.r.IntN(2) == 0}
	if !out.AllActions {
		for _, a := range t.Actions {
			if len(out.ActionIDs) == 0 || m.r.IntN(2) == 0 {
				out.ActionIDs = append(out.ActionIDs, a.ID)
			}
		}
	}
	return out
}

func (m *worldMaker) conditions() []model.BlockID {
	switch m.r.IntN(6) {
	case 0:
		return []model.BlockID{m.block(model.Block{
			Kind: model.KindConditionRequest, WorkspaceID: "a0",
			Branches: branches(textRule(model.SideRequest, "kind", model.OpEqual, []string{"a"})),
		})}
	case 1:
		return []model.BlockID{m.block(model.Block{
			Kind: model.KindConditionIP, WorkspaceID: "a0",
			IP: &model.IPCondition{Text: []string{"10.0.0.0/8"}, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		})}
	}
	return nil
}

// fillAwkward stores the environment of a seed: a few types with n assets each, and people.
func fillAwkward(s *stack, seed uint64, n int) {
	s.t.Helper()
	m := &worldMaker{r: rand.New(rand.NewPCG(seed, 1))}
	policies := m.policies(12)
	reached := []model.TemplateID{namedPapers, plainPapers, sentPapers, claims, bare, external, filtered}
	s.write(stackEnvironment, func(tx *store.Tx) error {
		for _, err := range []error{
			put(tx.AuthorizationWorkspaces, model.AuthorizationWorkspace{ID: "a0", Name: "Papers"}),
			put(tx.AssetTemplates, awkwardTypes()...),
			put(tx.IdentityTemplates, awkwardPeople()...),
			put(tx.Applications, model.Application{ID: "desk", WorkspaceID: "a0", DisplayName: "Desk", AssetTemplateIDs: reached[:3]},
				model.Application{ID: "claims", WorkspaceID: "a0", DisplayName: "Claims", AssetTemplateIDs: reached[2:]},
				model.Application{ID: "elsewhere", WorkspaceID: "a0", DisplayName: "Elsewhere", AssetTemplateIDs: []model.TemplateID{hidden}}),
			replace(tx.Blocks, m.blocks, func(b model.Block) model.BlockID { return b.ID }),
			replace(tx.Policies, policies, func(p model.Policy) model.PolicyID { return p.ID }),
		} {
			if err != nil {
				return err
			}
		}
		for _, t := range awkwardTypes() {
			for i := range n {
				if t.Source != model.SourcePlainID {
					break
				}
				if _, err := tx.Assets(t.ID).Put(m.asset(t, i)); err != nil {
					return err
				}
			}
		}
		for _, t := range awkwardPeople() {
			for i := range 30 {
				if _, err := tx.Identities(t.ID).Put(m.identity(t, i)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// thinAwkward deletes every other asset and every third identity.
func thinAwkward(s *stack) {
	s.t.Helper()
	c := readCatalog(s)
	s.write(stackEnvironment, func(tx *store.Tx) error {
		for t, paths := range c.paths {
			for i, path := range paths {
				if i%2 == 1 {
					continue
				}
				if _, err := tx.Assets(t).Delete(path); err != nil {
					return err
				}
			}
		}
		for t, all := range c.identities {
			for i, identity := range all {
				if i%3 > 0 {
					continue
				}
				if _, err := tx.Identities(t).Delete(identity.EntityID); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
