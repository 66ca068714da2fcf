package rego

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

// world is the sample world of policy-model.md 1.3 with what the tests of names need beside it.
type world struct{}

const (
	harbour   model.WorkspaceID   = "11111111-1111-4111-8111-111111111111"
	crewSpace model.WorkspaceID   = "22222222-2222-4222-8222-222222222222"
	otherWS   model.WorkspaceID   = "33333333-3333-4333-8333-333333333333"
	source    model.EnvironmentID = "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"
)

func (world) IdentityTemplate(id model.TemplateID) (model.IdentityTemplate, bool) {
	attribute := func(id model.AttributeID, t model.AttributeType) model.IdentityAttribute {
		a := model.IdentityAttribute{ID: id, Type: t, IsAvailableForPolicies: id != "hidden"}
		a.CalculationFunction, a.IsCalculated = functionOf(id)
		return a
	}
	switch id {
	case "Crew":
		return model.IdentityTemplate{ID: id, WorkspaceID: crewSpace, Attributes: []model.IdentityAttribute{
			attribute("port", model.String), attribute("rank", model.Numeric), attribute("cert", model.String),
			attribute("template", model.String), attribute("hidden", model.String),
			attribute("certified", model.String), attribute("score", model.Numeric),
		}}, true
	case "Tablet":
		return model.IdentityTemplate{ID: id, WorkspaceID: otherWS, Attributes: []model.IdentityAttribute{
			attribute("posture", model.String),
		}}, true
	}
	return model.IdentityTemplate{}, false
}

// functionOf is how an attribute of world is calculated, if it is.
func functionOf(id model.AttributeID) (function *string, calculated bool) {
	text, calculated := map[model.AttributeID]string{
		"tariff": "RATE(tonnes)", "loud": "UPPER(class)", "notes": "COUNT(notice)", "certified": "HASVALUE(cert)", "score": "port + rank",
	}[id]
	if !calculated {
		return nil, false
	}
	return &text, true
}

func (world) AssetTemplate(id model.TemplateID) (model.AssetTemplate, bool) {
	attribute := func(id model.AttributeID, t model.AttributeType) model.AssetAttribute {
		a := model.AssetAttribute{ID: id, Type: t, IsAvailableForPolicies: id != "hidden"}
		a.CalculationFunction, a.IsCalculated = functionOf(id)
		return a
	}
	switch id {
	case "Cargo", "Crane":
		return model.AssetTemplate{
			ID: id, WorkspaceID: harbour, Attributes: []model.AssetAttribute{
				attribute("berth", model.String), attribute("class", model.String), attribute("note", model.String),
				attribute("tonnes", model.Numeric), attribute("hidden", model.String), attribute("tariff", model.Numeric),
				attribute("action", model.String), attribute("loud", model.String), attribute("notes", model.Numeric),
			},
			Actions: []model.Action{{ID: "Load", Value: "load"}, {ID: "View", Value: "view"}},
		}, true
	case "Foreign":
		return model.AssetTemplate{ID: id, WorkspaceID: otherWS}, true
	}
	return model.AssetTemplate{}, false
}

func (world) RequestAttribute(id model.AttributeID) bool { return id == "channel" || id == "amount" }

func (world) CustomAttributes() []model.CustomAttribute {
	five := 5.0
	return []model.CustomAttribute{
		{Key: "reviewer", DisplayOrder: 2, Type: "string", MaxLength: 20},
		{Key: "costCentre", DisplayOrder: 1, Type: "string", MultiValue: true},
		{Key: "level", DisplayOrder: 3, Type: "number", MaxValue: &five},
		{Key: "colour", DisplayOrder: 4, Type: "string", ListAttribute: true, Options: []string{"red", "green"}},
	}
}

func (world) Application(id model.ApplicationID) bool { return id == "harbour-app" }

func (world) InApplication(id model.TemplateID) bool { return id == "Cargo" }

// strict is world with a custom attribute that every policy must have.
type strict struct{ world }

func (strict) CustomAttributes() []model.CustomAttribute {
	return append(world{}.CustomAttributes(), model.CustomAttribute{Key: "owner", Type: "string", Required: true})
}

func worldOptions() Options { return Options{Workspace: harbour, Catalog: world{}} }

// typeIn gives the declared types of a block's template in world.
func typeIn(b *model.Block) func(model.Ref) model.AttributeType {
	return func(r model.Ref) model.AttributeType {
		if r.Side == model.SideAsset {
			t, _ := world{}.AssetTemplate(b.Template)
			a, _ := t.Attribute(r.Attribute)
			return a.Type
		}
		t, _ := world{}.IdentityTemplate(b.Template)
		a, _ := t.Attribute(r.Attribute)
		return a.Type
	}
}

// stored gives the policy and its blocks as an import into an empty store would: blocks without id get one.
func stored(m *Module) (model.Policy, func(model.BlockID) (model.Block, bool)) {
	blocks := map[model.BlockID]model.Block{}
	ids := make([]model.BlockID, len(m.Blocks))
	for i, b := range m.Blocks {
		ids[i] = b.Block.ID
		if ids[i] == "" {
			ids[i] = model.PredefinedBlockID(b.Block.Kind, model.TemplateID(string(rune('a'+i))))
		}
		block := b.Block
		block.ID = ids[i]
		blocks[ids[i]] = block
	}
	return m.Resolve(ids), func(id model.BlockID) (model.Block, bool) { b, ok := blocks[id]; return b, ok }
}

// export imports text into an empty store and prints what is stored.
func export(t testing.TB, text string, opt Options) string {
	t.Helper()
	m, _, err := Parse([]byte(text), opt)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return printed(t, m)
}

func printed(t testing.TB, m *Module) string {
	t.Helper()
	p, blocks := stored(m)
	out, err := PrintPolicy(p, blocks, PrintOptions{Extended: true, SourceEnvironment: source, CustomAttributes: world{}.CustomAttributes()})
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// diff compares two values of the model.
func diff(want, got any) string {
	return cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }))
}
