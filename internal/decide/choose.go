package decide

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// typeChoice unites the entries of one type (runtime-api.md 8.3 rule 6).
type typeChoice struct {
	attributes map[model.AttributeID]bool
	actions    []string // wire names
	allActions bool
}

// chooseTypes turns resourceTypes into the engine's selection and the attributes to show. Unknown types, attributes and
// actions are ignored; a type of which only unknown actions are wanted cannot have entries and is left out.
func chooseTypes(snapshot *engine.Snapshot, choices []TypeChoice) ([]engine.TemplateSelection, map[model.TemplateID]*engine.Projection) {
	united := map[model.TemplateID]*typeChoice{}
	for _, ch := range choices {
		t, ok := snapshot.AssetTemplate(ch.Name)
		if !ok {
			continue
		}
		u := united[ch.Name]
		if u == nil {
			u = &typeChoice{attributes: map[model.AttributeID]bool{}}
			united[ch.Name] = u
		}
		u.chooseAttributes(t, ch.Attributes)
		u.allActions = u.allActions || len(ch.Actions) == 0
		for _, name := range ch.Actions {
			if action, ok := t.RequestAction(name); ok {
				u.actions = append(u.actions, action.Value)
			}
		}
	}
	selection := []engine.TemplateSelection{}
	projections := map[model.TemplateID]*engine.Projection{}
	for id, u := range united {
		if u.allActions {
			u.actions = nil
		} else if len(u.actions) == 0 {
			continue
		}
		t, _ := snapshot.AssetTemplate(id)
		selection = append(selection, engine.TemplateSelection{Template: id, Actions: u.actions})
		projections[id] = u.projection(t)
	}
	slices.SortFunc(selection, func(a, b engine.TemplateSelection) int { return cmp.Compare(a.Template, b.Template) })
	return selection, projections
}

// chooseAttributes adds what one entry shows: name and path without a list, all but the excluded ones when every name
// of the list is excluded, else the selected ones without the excluded ones (rules 3 and 4).
func (u *typeChoice) chooseAttributes(t *model.AssetTemplate, list []string) {
	if len(list) == 0 {
		u.attributes[model.AttributeName] = true
		u.attributes[model.AttributePath] = true
		return
	}
	excluded := map[model.AttributeID]bool{}
	var selected []model.AttributeID
	onlyExcludes := true
	for _, entry := range list {
		name, minus := strings.CutPrefix(entry, "-")
		onlyExcludes = onlyExcludes && minus
		id, ok := attributeByName(t, name)
		switch {
		case !ok:
		case minus:
			excluded[id] = true
		default:
			selected = append(selected, id)
		}
	}
	if onlyExcludes {
		selected = answerOrder(t)
	}
	for _, id := range selected {
		if !excluded[id] {
			u.attributes[id] = true
		}
	}
}

func (u *typeChoice) projection(t *model.AssetTemplate) *engine.Projection {
	p := &engine.Projection{}
	for _, id := range answerOrder(t) {
		if u.attributes[id] {
			p.Names = append(p.Names, id)
		}
	}
	return p
}

// answerOrder is the order of attributes in answers: of the template, then name, then path (runtime-api.md 8.4).
func answerOrder(t *model.AssetTemplate) []model.AttributeID {
	out := make([]model.AttributeID, 0, len(t.Attributes)+2)
	for _, a := range t.Attributes {
		if a.ID != model.AttributeName && a.ID != model.AttributePath {
			out = append(out, a.ID)
		}
	}
	return append(out, model.AttributeName, model.AttributePath)
}

// attributeByName finds the attribute that a name in an attribute list means. The names name and path are ordinary
// names here.
func attributeByName(t *model.AssetTemplate, name string) (model.AttributeID, bool) {
	if a, ok := t.RequestAttribute(name); ok {
		return a.ID, true
	}
	id := model.AttributeID(name)
	return id, id == model.AttributeName || id == model.AttributePath
}

// maxWholeTypes is how many entries of one assetList can stand for all assets of a type: each of them selects, and is
// answered with, the whole type, so that a small request could ask for any amount of work.
const maxWholeTypes = 100

// chooseAssets turns assetList into the engine's assets: by type ascending, then in request order (8.4). Assets of
// unknown types and of types that were not chosen are dropped. More than maxWholeTypes entries without a path of stored
// types are an error.
func chooseAssets(snapshot *engine.Snapshot, claims []AssetClaim, types []engine.TemplateSelection) ([]engine.Asset, error) {
	out := []engine.Asset{}
	whole := 0
	for _, claim := range claims {
		t, ok := snapshot.AssetTemplate(claim.Template)
		if !ok || types != nil && !chosen(types, claim.Template) {
			continue
		}
		if claim.Path == "" && t.Source != model.SourceRequest {
			if whole++; whole > maxWholeTypes {
				return nil, model.Invalidf("assetList: more than %d entries without a path", maxWholeTypes)
			}
		}
		out = append(out, claim.asset(snapshot))
	}
	slices.SortStableFunc(out, func(a, b engine.Asset) int { return cmp.Compare(a.Template, b.Template) })
	return out, nil
}

func chosen(types []engine.TemplateSelection, id model.TemplateID) bool {
	return slices.ContainsFunc(types, func(s engine.TemplateSelection) bool { return s.Template == id })
}

// asset is what a claim means to the engine, at s. Values are left out where no type would take them.
func (a *AssetClaim) asset(s *engine.Snapshot) engine.Asset {
	out := engine.Asset{Template: a.Template, Path: a.Path}
	if t, ok := s.AssetTemplate(a.Template); ok && (t.Source == model.SourceRequest || t.IsAttributeSentInRequest) {
		out.Attributes = sentAttributes(t, a.Attributes)
	}
	return out
}

// sentAttributes gives request values their attribute ids: the name for requests counts before the id (3.2). It looks only
// for what the type has: a request may send very many names, and ask about them very often.
func sentAttributes(t *model.AssetTemplate, sent map[string][]string) model.Attributes {
	out := model.Attributes{}
	if len(sent) == 0 {
		return out
	}
	for i := range t.Attributes {
		id := t.Attributes[i].ID
		for _, name := range [...]string{t.Attributes[i].NameForRequest, string(id)} {
			values, ok := sent[name]
			if !ok {
				continue
			}
			if a, ok := t.RequestAttribute(name); ok && a.ID == id {
				out[id] = values
				break
			}
		}
	}
	return out
}
