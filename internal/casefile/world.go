package casefile

import (
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/ambit-authz/ambit/internal/model"
)

// worldText is the world section: templates as short lines, records as maps.
type worldText struct {
	Use     string `yaml:"use"` // worlds/<use>.yaml is read first; keys given here replace its keys
	Default struct {
		Identity model.TemplateID `yaml:"identity"`
		Asset    model.TemplateID `yaml:"asset"`
	} `yaml:"default"`
	IdentityTemplates map[model.TemplateID][]string              `yaml:"identityTemplates"` // "id TYPE [request] [= FUNCTION]"
	AssetTemplates    map[model.TemplateID]assetTemplateText     `yaml:"assetTemplates"`
	Applications      map[model.ApplicationID][]model.TemplateID `yaml:"applications"`
	Scope             []model.ApplicationID                      `yaml:"scope"`
	Assets            map[model.TemplateID][]assetText           `yaml:"assets"`
	Identities        map[model.TemplateID][]identityText        `yaml:"identities"`
}

type assetTemplateText struct {
	Source        model.AssetSource `yaml:"source"`
	SentInRequest bool              `yaml:"isAttributeSentInRequest"`
	Attributes    []string          `yaml:"attributes"` // "id TYPE [multi] [= FUNCTION]"
	Actions       []string          `yaml:"actions"`    // "id" or "id = value"
}

type assetText struct {
	Template   model.TemplateID `yaml:"template"`
	Path       string           `yaml:"path"`
	Name       string           `yaml:"name"`
	Attributes valueMap         `yaml:"attributes"`
}

type identityText struct {
	Template   model.TemplateID `yaml:"template"`
	ID         string           `yaml:"id"`
	Attributes valueMap         `yaml:"attributes"`
	Rows       []valueMap       `yaml:"rows"`
	Inactive   bool             `yaml:"inactive"`
	Sent       valueMap         `yaml:"sent"`
}

// valueMap reads values as a request's JSON would be read (V1): scalars as their literal text, null dropped, a lone
// value as a set of one.
type valueMap map[string][]string

func (v *valueMap) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: a map of values is wanted", n.Line)
	}
	*v = valueMap{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i].Value, n.Content[i+1]
		items := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			items = value.Content
		}
		texts := []string{}
		for _, item := range items {
			switch {
			case item.Kind != yaml.ScalarNode:
				return fmt.Errorf("line %d: %s holds more than texts", item.Line, key)
			case item.Tag != "!!null":
				texts = append(texts, item.Value)
			}
		}
		(*v)[key] = model.Distinct(texts)
	}
	return nil
}

func (v valueMap) attributes() model.Attributes {
	if v == nil {
		return nil
	}
	out := model.Attributes{}
	for k, texts := range v {
		out[model.AttributeID(k)] = texts
	}
	return out
}

func decode(text string, into any) error {
	d := yaml.NewDecoder(strings.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}

func (l *loader) readWorld(text string) error {
	var head struct {
		Use  string         `yaml:"use"`
		Rest map[string]any `yaml:",inline"`
	}
	if err := yaml.Unmarshal([]byte(text), &head); err != nil {
		return err
	}
	if head.Use != "" {
		base, err := fs.ReadFile(l.dir, "worlds/"+head.Use+".yaml")
		if err != nil {
			return err
		}
		if err := decode(string(base), &l.world); err != nil {
			return fmt.Errorf("world %s: %w", head.Use, err)
		}
	}
	return decode(text, &l.world)
}

// build makes the stored world of one case, still without policies.
func (t *worldText) build() (World, error) {
	w := World{Assets: map[model.TemplateID][]model.Asset{}, Identities: map[model.TemplateID][]model.Identity{}}
	for i, id := range slices.Sorted(maps.Keys(t.IdentityTemplates)) {
		workspace := model.WorkspaceID(fmt.Sprintf("%s%02d", IdentityWorkspaceBase, i))
		made := model.IdentityTemplate{
			ID: id, WorkspaceID: workspace,
			Attributes: []model.IdentityAttribute{{ID: model.AttributeUID, DisplayName: "User ID", Type: model.String, IsAvailableForPolicies: true}},
		}
		for _, line := range t.IdentityTemplates[id] {
			a, kind, flag, function, err := attributeLine(line)
			if err != nil {
				return w, err
			}
			made.Attributes = append(made.Attributes, model.IdentityAttribute{
				ID: a, DisplayName: string(a), Type: kind,
				IsAvailableForPolicies: true, IsUsedInAccessRequest: flag == "request",
				IsCalculated: function != nil, CalculationFunction: function,
			})
		}
		w.IdentityTemplates = append(w.IdentityTemplates, made)
	}
	for id, text := range t.AssetTemplates {
		made, err := text.build(id)
		if err != nil {
			return w, err
		}
		w.AssetTemplates = append(w.AssetTemplates, made)
	}
	for id, types := range t.Applications {
		w.Applications = append(w.Applications, model.Application{
			ID: id, WorkspaceID: AuthorizationWorkspace, DisplayName: string(id),
			ColorIndication: "#808080", AssetTemplateIDs: types,
		})
	}
	for id, all := range t.Assets {
		for _, a := range all {
			w.Assets[id] = append(w.Assets[id], model.Asset{Path: a.Path, Name: a.Name, Attributes: a.Attributes.attributes()})
		}
	}
	for id, all := range t.Identities {
		for _, i := range all {
			w.Identities[id] = append(w.Identities[id], i.stored())
		}
	}
	sortWorld(&w)
	return w, nil
}

func (t *assetTemplateText) build(id model.TemplateID) (model.AssetTemplate, error) {
	made := model.AssetTemplate{
		ID: id, WorkspaceID: AuthorizationWorkspace, DisplayName: string(id), Source: t.Source,
		IsAttributeSentInRequest: t.SentInRequest,
	}
	for _, line := range t.Attributes {
		a, kind, flag, function, err := attributeLine(line)
		if err != nil {
			return made, err
		}
		made.Attributes = append(made.Attributes, model.AssetAttribute{
			ID: a, DisplayName: string(a), Type: kind,
			IsAvailableForPolicies: true, IsMultiValue: flag == "multi",
			IsCalculated: function != nil, CalculationFunction: function,
		})
	}
	for _, line := range t.Actions {
		action, value, differs := strings.Cut(line, " = ")
		if !differs {
			value = action
		}
		made.Actions = append(made.Actions, model.Action{ID: model.ActionID(action), Value: value})
	}
	return made, nil
}

func (t *identityText) stored() model.Identity {
	i := model.Identity{EntityID: t.ID, Inactive: t.Inactive, Attributes: t.Attributes.attributes()}
	for _, r := range t.Rows {
		i.Rows = append(i.Rows, r.attributes())
	}
	return i
}

// attributeLine reads "id TYPE", "id TYPE flag" and either with " = " and a function after it; the id may hold blanks.
func attributeLine(line string) (id model.AttributeID, kind model.AttributeType, flag string, function *string, err error) {
	line, text, calculated := strings.Cut(line, " = ")
	if calculated {
		function = &text
	}
	for _, k := range []model.AttributeType{model.String, model.Numeric} {
		if before, after, ok := strings.Cut(line+" ", " "+string(k)+" "); ok {
			return model.AttributeID(before), k, strings.TrimSpace(after), function, nil
		}
	}
	return "", "", "", nil, fmt.Errorf("attribute %q: write id and STRING or NUMERIC", line)
}
