package form

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// MapperSet is the exported form of a mapper set (management-api.md 12).
type MapperSet struct {
	MapperSetID   string         `json:"mapperSetId"`
	DisplayName   string         `json:"displayName"`
	LinkedSources jsontext.Value `json:"linkedSources"`
}

// LinkedSource is what Ambit checks of a linked source; the JSON itself is kept (policy-model.md 3.4).
type LinkedSource struct {
	SourceID     string `json:"sourceId"`
	SourceUsedAs string `json:"sourceUsedAs"`
	Mappers      []struct {
		Type     string `json:"type"`
		Mappings []struct {
			Origin string `json:"origin"`
			Target string `json:"target"`
		} `json:"mappings"`
	} `json:"mappers"`
}

// Words of mapper sets (policy-model.md 3.4).
const (
	usedAsMain     = "MAIN"
	usedAsAux      = "AUX"
	mapAttributes  = "IDENTITY_ATTRIBUTES"
	mapCorrelation = "CORRELATION"
)

// ParseMapperSet reads the exported form of a mapper set (management-api.md 12) and checks it, but for its references.
func ParseMapperSet(body []byte) (model.MapperSet, error) {
	var f MapperSet
	if err := Decode(body, &f); err != nil {
		return model.MapperSet{}, err
	}
	if f.LinkedSources == nil || f.LinkedSources.Kind() == 'n' {
		f.LinkedSources = jsontext.Value("[]")
	}
	m := model.MapperSet{ID: f.MapperSetID, Name: f.DisplayName, LinkedSources: Compact(f.LinkedSources)}
	var errs model.Errors
	errs.Collect(m.Validate())
	linked, err := LinkedSources(&m)
	if err != nil {
		errs.Add("/linkedSources", "cannot be read")
	}
	main := 0
	for i, s := range linked {
		field := Pointer("linkedSources", i)
		switch s.SourceUsedAs {
		case usedAsMain:
			main++
		case usedAsAux:
		default:
			errs.Add(field+"/sourceUsedAs", "%q is not MAIN or AUX", s.SourceUsedAs)
		}
		for j, mapper := range s.Mappers {
			if mapper.Type == mapCorrelation && s.SourceUsedAs == usedAsMain {
				errs.Add(fmt.Sprintf("%s/mappers/%d/type", field, j), "CORRELATION cannot stand at the MAIN source")
			}
		}
	}
	if main > 1 {
		errs.Add("/linkedSources", "has %d MAIN sources, the limit is 1", main)
	}
	return m, errs.OrNil()
}

// LinkedSources reads those of a set.
func LinkedSources(m *model.MapperSet) ([]LinkedSource, error) {
	var out []LinkedSource
	err := json.Unmarshal(m.LinkedSources, &out)
	return out, err
}

// EachTarget gives every identity attribute that the source is mapped to, with its place. In a correlation the direction
// is reversed (policy-model.md 3.4).
func (l *LinkedSource) EachTarget(fn func(place, attribute string)) {
	for i, mapper := range l.Mappers {
		for j, mapping := range mapper.Mappings {
			place := fmt.Sprintf("/mappers/%d/mappings/%d", i, j)
			if mapper.Type == mapCorrelation {
				fn(place+"/origin", mapping.Origin)
			} else {
				fn(place+"/target", mapping.Target)
			}
		}
	}
}

// FormatMapperSet writes the exported form of a mapper set, compact and bare.
func FormatMapperSet(m *model.MapperSet) []byte {
	return Encode(MapperSet{MapperSetID: m.ID, DisplayName: m.Name, LinkedSources: m.LinkedSources})
}

// ParseCustomAttributes reads the definitions of policy custom attributes, unknown keys included, and checks them
// (policy-model.md 3.13).
func ParseCustomAttributes(body []byte) ([]model.CustomAttribute, error) {
	var raw []jsontext.Value
	if err := Decode(body, &raw); err != nil {
		return nil, err
	}
	var errs model.Errors
	var out []model.CustomAttribute
	seen := map[string]bool{}
	for i, definition := range raw {
		a, err := ParseCustomAttribute(definition)
		errs.CollectUnder(Pointer("", i), err)
		if seen[a.Key] {
			errs.Add(Pointer("", i)+"/key", "%q stands more than once", a.Key)
		}
		seen[a.Key] = true
		out = append(out, a)
	}
	return out, errs.OrNil()
}

// ParseCustomAttribute is ParseCustomAttributes for one definition.
func ParseCustomAttribute(definition jsontext.Value) (model.CustomAttribute, error) {
	var f struct {
		Key             string   `json:"key"`
		Name            string   `json:"name"`
		DisplayOrder    float64  `json:"displayOrder"`
		Type            string   `json:"type"`
		Required        bool     `json:"required"`
		MaxLength       *int     `json:"maxLength"`
		MaxValue        *float64 `json:"maxValue"`
		AvailableForPDP bool     `json:"availableForPDP"`
		OnlyOnCreate    bool     `json:"onlyOnCreate"`
		MultiValue      bool     `json:"multiValue"`
		ListAttribute   bool     `json:"listAttribute"`
		OptionsConfig   struct {
			Options []struct {
				Key string `json:"key"`
			} `json:"options"`
		} `json:"optionsConfig"`
	}
	if err := json.Unmarshal(definition, &f); err != nil {
		return model.CustomAttribute{}, jsonError(definition, err)
	}
	a := model.CustomAttribute{
		Key: f.Key, Name: f.Name, DisplayOrder: f.DisplayOrder, Type: f.Type, Required: f.Required,
		MaxLength: OrDefault(f.MaxLength, 0), MaxValue: f.MaxValue, AvailableForPDP: f.AvailableForPDP,
		OnlyOnCreate: f.OnlyOnCreate, MultiValue: f.MultiValue, ListAttribute: f.ListAttribute, Definition: Compact(definition),
	}
	for _, o := range f.OptionsConfig.Options {
		a.Options = append(a.Options, o.Key)
	}
	return a, a.Validate()
}
