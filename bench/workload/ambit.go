package workload

import (
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// Ids of the environment that a world becomes.
const (
	EnvironmentID       model.EnvironmentID = "00000000-0000-4000-8000-000000000001"
	WorkspaceID         model.WorkspaceID   = "00000000-0000-4000-8000-000000000002"
	IdentityWorkspaceID model.WorkspaceID   = "00000000-0000-4000-8000-000000000003"
	ApplicationID       model.ApplicationID = "bench"
	IdentityTemplateID  model.TemplateID    = "User"
)

func attributeType(name string) model.AttributeType {
	if IsNumeric(name) {
		return model.Numeric
	}
	return model.String
}

// Configuration is the world in Ambit's own form, without records.
func (w *World) Configuration() engine.Configuration {
	c := engine.Configuration{Environment: EnvironmentID, Enabled: true}
	app := model.Application{ID: ApplicationID, WorkspaceID: WorkspaceID, DisplayName: "Bench"}
	for t := range w.Types {
		c.AssetTemplates = append(c.AssetTemplates, w.assetTemplate(t))
		app.AssetTemplateIDs = append(app.AssetTemplateIDs, model.TemplateID(w.TypeID(t)))
	}
	c.Applications = []model.Application{app}
	user := model.IdentityTemplate{
		ID: IdentityTemplateID, WorkspaceID: IdentityWorkspaceID,
		Attributes: []model.IdentityAttribute{{ID: model.AttributeUID, DisplayName: "User ID", Type: model.String}},
	}
	for _, name := range UserAttributes() {
		user.Attributes = append(user.Attributes, model.IdentityAttribute{
			ID: model.AttributeID(name), DisplayName: name,
			Type: attributeType(name), IsAvailableForPolicies: true,
		})
	}
	c.IdentityTemplates = []model.IdentityTemplate{user}
	b := blocks{ids: map[string]model.BlockID{}}
	for i := range w.Policies {
		c.Policies = append(c.Policies, b.policy(w, &w.Policies[i]))
	}
	c.Blocks = b.list
	return c
}

func (w *World) assetTemplate(t int) model.AssetTemplate {
	out := model.AssetTemplate{ID: model.TemplateID(w.TypeID(t)), WorkspaceID: WorkspaceID, DisplayName: w.TypeID(t), Source: model.SourcePlainID}
	for _, name := range AssetAttributes() {
		out.Attributes = append(out.Attributes, model.AssetAttribute{
			ID: model.AttributeID(name), DisplayName: name,
			Type: attributeType(name), IsAvailableForPolicies: true, IsMultiValue: name == Tags,
		})
	}
	for _, a := range Actions() {
		out.Actions = append(out.Actions, model.Action{ID: model.ActionID(a), Value: a})
	}
	return out
}

// blocks collects building blocks; those of one name are made once.
type blocks struct {
	list []model.Block
	ids  map[string]model.BlockID
}

func (b *blocks) add(block model.Block) model.BlockID {
	if id, ok := b.ids[block.Name]; ok {
		return id
	}
	block.ID = model.BlockID(fmt.Sprintf("00000000-0000-4000-9000-%012d", len(b.list)))
	b.ids[block.Name] = block.ID
	b.list = append(b.list, block)
	return block.ID
}

func (b *blocks) policy(w *World, p *Policy) model.Policy {
	out := model.Policy{
		ID: model.PolicyID(p.ID), WorkspaceID: WorkspaceID, Name: "Policy " + p.ID, Access: model.Allow,
		Use: model.PolicyUseDynamic, Applications: []model.ApplicationID{ApplicationID},
	}
	if p.Restrict {
		out.Access = model.Restrict
	}
	out.DynamicGroups = []model.BlockID{b.add(model.Block{
		Kind: model.KindDynamicGroup, WorkspaceID: IdentityWorkspaceID,
		Template: IdentityTemplateID, Name: "Who " + p.ID, Branches: branches(p.Who, model.SideIdentity),
	})}
	use := model.RulesetUse{AllActions: p.Actions == nil, BlockID: b.add(model.Block{
		Kind:        model.KindRuleset,
		WorkspaceID: WorkspaceID, Template: model.TemplateID(w.TypeID(p.Type)), Name: "What " + p.ID, Branches: branches(p.What, model.SideAsset),
	})}
	for _, a := range p.Actions {
		use.ActionIDs = append(use.ActionIDs, model.ActionID(a))
	}
	slices.Sort(use.ActionIDs)
	out.Rulesets = []model.RulesetUse{use}
	if p.When != nil {
		out.Conditions = []model.BlockID{b.add(condition(p.When))}
	}
	return out
}

func condition(c *Condition) model.Block {
	out := model.Block{WorkspaceID: WorkspaceID, Name: fmt.Sprintf("When %v", *c)}
	if c.Network.IsValid() {
		out.Kind = model.KindConditionIP
		out.IP = &model.IPCondition{Text: []string{c.Network.String()}, Prefixes: []netip.Prefix{c.Network}}
		return out
	}
	out.Kind = model.KindCondition
	out.Ranges = []model.TimeRange{{Zone: "UTC", Start: -1, End: -1, StartDate: c.From, EndDate: c.Until}}
	return out
}

func branches(in []Branch, left model.Side) []model.Branch {
	var out []model.Branch
	for _, b := range in {
		var m model.Branch
		for _, r := range b {
			rule := model.Rule{Left: model.Ref{Side: left, Attribute: model.AttributeID(r.Attribute)}, Op: r.Op}
			if r.Of != "" {
				m.IdentityTemplate = IdentityTemplateID
				rule.Ref = model.Ref{Side: model.SideIdentity, Attribute: model.AttributeID(r.Of)}
			}
			for _, v := range r.Values {
				rule.Literals = append(rule.Literals, model.Literal{Text: v, Number: IsNumeric(r.Attribute)})
			}
			m.Rules = append(m.Rules, rule)
		}
		if left == model.SideIdentity {
			m.IdentityTemplate = ""
		}
		out = append(out, m)
	}
	return out
}

// AmbitAsset is the asset as Ambit stores it.
func (a *Asset) AmbitAsset() model.Asset {
	out := model.Asset{Path: a.Path, Attributes: make(model.Attributes, len(AssetAttributes()))}
	for _, name := range AssetAttributes() {
		out.Attributes[model.AttributeID(name)] = a.Values(name)
	}
	return out
}

// Identity is the user as Ambit's directory stores it.
func (u *User) Identity() model.Identity {
	out := model.Identity{EntityID: u.ID, Attributes: model.Attributes{}}
	for name, vs := range u.Attributes {
		out.Attributes[model.AttributeID(name)] = vs
	}
	return out
}

// Records fill an empty snapshot with the world's assets and its user.
func (w *World) Records(revision model.Revision) engine.Delta {
	d := engine.Delta{Revision: revision, Assets: map[model.TemplateID]engine.Records[model.Asset]{}}
	for t := range w.Types {
		d.Assets[model.TemplateID(w.TypeID(t))] = engine.Records[model.Asset]{Put: func(yield func(model.Asset, error) bool) {
			for a := range w.Assets(t) {
				if !yield(a.AmbitAsset(), nil) {
					return
				}
			}
		}}
	}
	var users iter.Seq2[model.Identity, error] = func(yield func(model.Identity, error) bool) {
		for u := range w.Users() {
			if !yield(u.Identity(), nil) {
				return
			}
		}
	}
	d.Identities = map[model.TemplateID]engine.Records[model.Identity]{IdentityTemplateID: {Put: users}}
	return d
}

// Snapshot compiles the world and loads its records.
func (w *World) Snapshot() (*engine.Snapshot, error) {
	s, err := engine.New(w.Configuration())
	if err != nil {
		return nil, err
	}
	return s.Next(w.Records(1))
}

// Question is the user's question to the engine.
func (w *World) Question() engine.Question {
	id := w.User.Identity()
	d := w.User.Day
	return engine.Question{
		Applications: []model.ApplicationID{ApplicationID},
		Identities:   []engine.Identity{{Template: IdentityTemplateID, EntityID: id.EntityID, Attributes: id.Attributes}},
		SourceIP:     w.User.Source,
		Instant:      time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC),
	}
}
