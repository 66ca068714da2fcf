package form

import "github.com/ambit-authz/ambit/internal/model"

// RequestAttribute is the exported form of a request attribute (management-api.md 17).
type RequestAttribute struct {
	ID          string               `json:"id"`
	DisplayName string               `json:"displayName"`
	Description string               `json:"description"`
	Mappings    []requestMappingForm `json:"mappings"`
}

type requestMappingForm struct {
	Source      string `json:"source"`
	Path        string `json:"path"`
	APIMapperID string `json:"apiMapperId,omitempty"`
}

// Model turns the form into a request attribute and checks it.
func (f *RequestAttribute) Model() (model.RequestAttribute, error) {
	a := model.RequestAttribute{ID: model.AttributeID(f.ID), DisplayName: f.DisplayName, Description: f.Description}
	mappings := make([]model.RequestMapping, len(f.Mappings))
	for i, m := range f.Mappings {
		mappings[i] = model.RequestMapping{Source: model.MappingSource(m.Source), Path: m.Path, MapperID: model.MapperID(m.APIMapperID)}
	}
	if err := a.Map(mappings); err != nil {
		return a, err
	}
	return a, a.Validate()
}

// ParseRequestAttributes reads the list of an authorization workspace's request attributes and checks them
// (policy-model.md 3.9, management-api.md 17).
func ParseRequestAttributes(body []byte) ([]model.RequestAttribute, error) {
	var forms []RequestAttribute
	if err := Decode(body, &forms); err != nil {
		return nil, err
	}
	var errs model.Errors
	var out []model.RequestAttribute
	seen := map[model.AttributeID]bool{}
	for i := range forms {
		a, err := forms[i].Model()
		errs.CollectUnder(Pointer("", i), err)
		if seen[a.ID] {
			errs.Add(Pointer("", i)+"/id", "%q stands more than once", a.ID)
		}
		seen[a.ID] = true
		out = append(out, a)
	}
	return out, errs.OrNil()
}

// FormatRequestAttribute writes one request attribute, compact and bare.
func FormatRequestAttribute(a *model.RequestAttribute) []byte {
	f := RequestAttribute{
		ID: string(a.ID), DisplayName: a.DisplayName, Description: a.Description, Mappings: []requestMappingForm{},
	}
	// stored mappings were written by RequestAttribute.Map; others do not reach the store
	mappings, _ := a.RequestMappings()
	for _, m := range mappings {
		f.Mappings = append(f.Mappings, requestMappingForm{string(m.Source), m.Path, string(m.MapperID)})
	}
	return Encode(f)
}
