package form

import "github.com/ambit-authz/ambit/internal/model"

// APIMapperSet is the exported form of an API mapper set (management-api.md 11).
type APIMapperSet struct {
	APIMappersSetID string          `json:"apiMappersSetId"`
	ApplicationIDs  []string        `json:"applicationIds"`
	PathIndexing    string          `json:"pathIndexing,omitzero"` // only when it is not AS_SENT
	APIMappers      []apiMapperForm `json:"apiMappers"`
}

type apiMapperForm struct {
	MapperID                          string                `json:"mapperId"`
	DisplayName                       string                `json:"displayName"`
	IsActive                          *bool                 `json:"isActive"` // true when left out
	MatchPattern                      string                `json:"matchPattern"`
	MatchType                         string                `json:"matchType"`
	RestMethods                       []string              `json:"restMethods"`
	Priority                          int                   `json:"priority"`
	IsRequireIdentitySourcesFiltering bool                  `json:"isRequireIdentitySourcesFiltering"`
	FilteringType                     string                `json:"filteringType"`
	IdentitySourceIDs                 []string              `json:"identitySourceIds"`
	AssetTemplates                    []templateMappingForm `json:"assetTemplates"`
}

type templateMappingForm struct {
	TemplateID string                 `json:"templateId"`
	Attributes []attributeMappingForm `json:"attributes"`
	Actions    []actionMappingForm    `json:"actions"`
}

type attributeMappingForm struct {
	AttributeID string `json:"attributeId"`
	Source      string `json:"source"`
	Path        string `json:"path"`
}

// actionMappingForm has no source for an action that is always asked for.
type actionMappingForm struct {
	ActionID string  `json:"actionId"`
	Source   *string `json:"source,omitzero"`
	Value    *string `json:"value,omitzero"`
	Path     *string `json:"path,omitzero"`
}

// ParseAPIMapperSet reads the exported form of an API mapper set and checks it, but for what the store knows: its
// application and the asset types of its mappers. The workspace is the caller's to set.
func ParseAPIMapperSet(body []byte) (model.APIMapperSet, error) {
	var f APIMapperSet
	if err := Decode(body, &f); err != nil {
		return model.APIMapperSet{}, err
	}
	set := model.APIMapperSet{
		ID: model.ApplicationID(f.APIMappersSetID), ApplicationIDs: convert[model.ApplicationID](f.ApplicationIDs),
		PathIndexing: f.PathIndexing,
	}
	for i := range f.APIMappers {
		set.Mappers = append(set.Mappers, f.APIMappers[i].mapper())
	}
	set.Normalize()
	return set, set.Validate()
}

// ParseAPIMapper is ParseAPIMapperSet for one mapper.
func ParseAPIMapper(body []byte) (model.APIMapper, error) {
	var f apiMapperForm
	if err := Decode(body, &f); err != nil {
		return model.APIMapper{}, err
	}
	m := f.mapper()
	m.Normalize()
	return m, m.Validate()
}

func (f *apiMapperForm) mapper() model.APIMapper {
	m := model.APIMapper{
		ID: model.MapperID(f.MapperID), DisplayName: f.DisplayName, IsActive: OrDefault(f.IsActive, true),
		MatchPattern: f.MatchPattern, MatchType: f.MatchType, RestMethods: convert[string](f.RestMethods), Priority: f.Priority,
		IsRequireIdentitySourcesFiltering: f.IsRequireIdentitySourcesFiltering, FilteringType: f.FilteringType,
		IdentitySourceIDs: convert[string](f.IdentitySourceIDs),
	}
	for i := range f.AssetTemplates {
		t := model.TemplateMapping{TemplateID: model.TemplateID(f.AssetTemplates[i].TemplateID)}
		for _, a := range f.AssetTemplates[i].Attributes {
			t.Attributes = append(t.Attributes, model.AttributeMapping{
				AttributeID: model.AttributeID(a.AttributeID), Source: model.MappingSource(a.Source), Path: a.Path,
			})
		}
		for _, a := range f.AssetTemplates[i].Actions {
			t.Actions = append(t.Actions, model.ActionMapping{
				ActionID: model.ActionID(a.ActionID), Source: model.MappingSource(OrDefault(a.Source, "")), Value: a.Value,
				Path: OrDefault(a.Path, ""),
			})
		}
		m.AssetTemplates = append(m.AssetTemplates, t)
	}
	return m
}

// FormatAPIMapperSet writes the exported form of an API mapper set, compact and bare.
func FormatAPIMapperSet(set *model.APIMapperSet) []byte {
	f := APIMapperSet{
		APIMappersSetID: string(set.ID), ApplicationIDs: List(convert[string](set.ApplicationIDs)),
		PathIndexing: set.PathIndexing, APIMappers: []apiMapperForm{},
	}
	for i := range set.Mappers {
		f.APIMappers = append(f.APIMappers, apiMapperFormOf(&set.Mappers[i]))
	}
	return Encode(f)
}

// FormatAPIMapper writes the exported form of one mapper, compact and bare.
func FormatAPIMapper(m *model.APIMapper) []byte { return Encode(apiMapperFormOf(m)) }

func apiMapperFormOf(m *model.APIMapper) apiMapperForm {
	f := apiMapperForm{
		MapperID: string(m.ID), DisplayName: m.DisplayName, IsActive: &m.IsActive, MatchPattern: m.MatchPattern,
		MatchType: m.MatchType, RestMethods: List(m.RestMethods), Priority: m.Priority,
		IsRequireIdentitySourcesFiltering: m.IsRequireIdentitySourcesFiltering, FilteringType: m.FilteringType,
		IdentitySourceIDs: List(m.IdentitySourceIDs), AssetTemplates: []templateMappingForm{},
	}
	for i := range m.AssetTemplates {
		t := templateMappingForm{
			TemplateID: string(m.AssetTemplates[i].TemplateID), Attributes: []attributeMappingForm{}, Actions: []actionMappingForm{},
		}
		for _, a := range m.AssetTemplates[i].Attributes {
			t.Attributes = append(t.Attributes, attributeMappingForm{string(a.AttributeID), string(a.Source), a.Path})
		}
		for _, a := range m.AssetTemplates[i].Actions {
			action := actionMappingForm{ActionID: string(a.ActionID), Value: a.Value}
			if a.Source != "" {
				source := string(a.Source)
				action.Source, action.Path = &source, &a.Path
			}
			t.Actions = append(t.Actions, action)
		}
		f.AssetTemplates = append(f.AssetTemplates, t)
	}
	return f
}
