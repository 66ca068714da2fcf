package model

import (
	"encoding/json"
	"fmt"
)

// RequestAttribute is a declared attribute of requests (policy-model.md 3.9). Mappings is a JSON list of RequestMapping.
type RequestAttribute struct {
	ID          AttributeID
	WorkspaceID WorkspaceID
	DisplayName string
	Description string
	Mappings    []byte
}

// RequestMapping gives a request attribute the values found at a place of the calls that a mapper fits: any mapper of
// that id in the workspace. One without a mapper gives nothing.
type RequestMapping struct {
	Source   MappingSource `json:"source"`
	Path     string        `json:"path"`
	MapperID MapperID      `json:"apiMapperId,omitempty"`
}

const maxRequestMappings = 1_000

// RequestMappings reads the mappings, in their order.
func (a *RequestAttribute) RequestMappings() ([]RequestMapping, error) {
	var out []RequestMapping
	if len(a.Mappings) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(a.Mappings, &out); err != nil {
		return nil, fmt.Errorf("mappings of request attribute %s: %w", a.ID, err)
	}
	return out, nil
}

// Map makes m the mappings, in normal form.
func (a *RequestAttribute) Map(m []RequestMapping) error {
	normal := make([]RequestMapping, len(m))
	for i := range m {
		normal[i] = m[i]
		normal[i].Source = m[i].Source.normal()
	}
	var err error
	a.Mappings, err = json.Marshal(normal)
	return err
}

// Validate checks a request attribute (policy-model.md 3.9). Whether the mappers exist does not matter (management-api.md
// 17).
func (a *RequestAttribute) Validate() error {
	var es Errors
	es.check("/id", CheckExternalID(string(a.ID)))
	es.check("/displayName", CheckDisplayName(a.DisplayName))
	es.check("/description", CheckDescription(a.Description))
	mappings, err := a.RequestMappings()
	if err != nil {
		es.Add("/mappings", "cannot be read")
	}
	es.checkLimit("/mappings", len(mappings), maxRequestMappings)
	for i, m := range mappings {
		field := fmt.Sprintf("/mappings/%d", i)
		es.checkSource(field, m.Source, m.Path, false)
		if m.MapperID != "" {
			es.check(field+"/apiMapperId", CheckExternalID(string(m.MapperID)))
		}
	}
	return es.OrNil()
}
