package form

import (
	"github.com/go-json-experiment/json/jsontext"

	"github.com/ambit-authz/ambit/internal/model"
)

// AssetTemplate is the exported form of an asset type; which keys are written follows its source (management-api.md 9).
type AssetTemplate struct {
	TemplateID               string          `json:"templateId"`
	DisplayName              string          `json:"displayName"`
	Description              *string         `json:"description,omitzero"`
	LogoURL                  *string         `json:"logoUrl,omitzero"`
	Source                   string          `json:"source"`
	IsAttributeSentInRequest *bool           `json:"isAttributeSentInRequest,omitzero"`
	IsUsedForFiltering       bool            `json:"isUsedForFiltering"`
	PAAGroupID               *string         `json:"paaGroupId,omitzero"`
	ViewName                 *string         `json:"viewName,omitzero"`
	Attributes               []assetAttrForm `json:"attributes"`
	Actions                  []actionForm    `json:"actions"`
}

type assetAttrForm struct {
	AttributeID            string   `json:"attributeId"`
	DisplayName            string   `json:"displayName"`
	Type                   string   `json:"type"`
	SourceAttribute        *string  `json:"sourceAttribute,omitzero"`
	IsAvailableForPolicies bool     `json:"isAvailableForPolicies"`
	NameForRequest         *string  `json:"nameForRequest,omitzero"`
	IsMultiValue           *bool    `json:"isMultiValue,omitzero"`
	CalculationFunction    *string  `json:"calculationFunction,omitzero"`
	IsCalculated           *bool    `json:"isCalculated,omitzero"`
	DefaultValue           []string `json:"defaultValue,omitempty"`
	MaxLength              *int     `json:"maxLength,omitzero"`
	IsRequired             *bool    `json:"isRequired,omitzero"`
	CanBeUpdated           *string  `json:"canBeUpdated,omitzero"`
}

type actionForm struct {
	ActionID string  `json:"actionId"`
	Value    *string `json:"value"`
}

// ParseAssetTemplate reads the exported form of an asset type and checks it. The workspace is the caller's to set.
func ParseAssetTemplate(body []byte) (model.AssetTemplate, error) {
	var f AssetTemplate
	if err := Decode(body, &f); err != nil {
		return model.AssetTemplate{}, err
	}
	t := model.AssetTemplate{
		ID: model.TemplateID(f.TemplateID), DisplayName: f.DisplayName, Description: f.Description, LogoURL: f.LogoURL,
		Source: model.AssetSource(f.Source), IsAttributeSentInRequest: OrDefault(f.IsAttributeSentInRequest, false),
		IsUsedForFiltering: f.IsUsedForFiltering,
		PAAGroupID:         OrDefault(f.PAAGroupID, ""), ViewName: OrDefault(f.ViewName, ""),
	}
	for _, a := range f.Attributes {
		t.Attributes = append(t.Attributes, model.AssetAttribute{
			ID: model.AttributeID(a.AttributeID), DisplayName: a.DisplayName, Type: model.AttributeType(a.Type),
			IsAvailableForPolicies: a.IsAvailableForPolicies, NameForRequest: OrDefault(a.NameForRequest, ""),
			IsMultiValue: OrDefault(a.IsMultiValue, false), SourceAttribute: OrDefault(a.SourceAttribute, ""),
			IsCalculated: OrDefault(a.IsCalculated, false), CalculationFunction: a.CalculationFunction,
			DefaultValue: a.DefaultValue, MaxLength: OrDefault(a.MaxLength, 0),
			IsRequired: OrDefault(a.IsRequired, false), CanBeUpdated: OrDefault(a.CanBeUpdated, ""),
		})
	}
	for _, a := range f.Actions {
		t.Actions = append(t.Actions, model.Action{ID: model.ActionID(a.ActionID), Value: OrDefault(a.Value, a.ActionID)})
	}
	t.Normalize()
	return t, t.Validate()
}

// FormatAssetTemplate writes the exported form of an asset type, compact and bare.
func FormatAssetTemplate(t *model.AssetTemplate) []byte {
	f := AssetTemplate{
		TemplateID: string(t.ID), DisplayName: t.DisplayName, Description: t.Description, LogoURL: t.LogoURL,
		Source: string(t.Source), IsUsedForFiltering: t.IsUsedForFiltering,
		Attributes: []assetAttrForm{}, Actions: []actionForm{},
	}
	if t.Source != model.SourceRequest {
		f.IsAttributeSentInRequest = &t.IsAttributeSentInRequest
	}
	if t.Source == model.SourceExternal {
		f.PAAGroupID, f.ViewName = &t.PAAGroupID, &t.ViewName
	}
	for i := range t.Attributes {
		f.Attributes = append(f.Attributes, assetAttributeForm(t.Source, &t.Attributes[i]))
	}
	for _, a := range t.Actions {
		f.Actions = append(f.Actions, actionForm{ActionID: string(a.ID), Value: &a.Value})
	}
	return Encode(f)
}

func assetAttributeForm(source model.AssetSource, a *model.AssetAttribute) assetAttrForm {
	name := a.NameForRequest
	if name == "" {
		name = string(a.ID)
	}
	f := assetAttrForm{
		AttributeID: string(a.ID), DisplayName: a.DisplayName, Type: string(a.Type),
		IsAvailableForPolicies: a.IsAvailableForPolicies, NameForRequest: &name,
	}
	if source != model.SourceRequest {
		f.IsMultiValue = &a.IsMultiValue
	}
	if source != model.SourcePlainID || a.IsCalculated || a.CalculationFunction != nil { // the forms of stored types have the keys only where they say something
		f.CalculationFunction, f.IsCalculated = a.CalculationFunction, &a.IsCalculated
	}
	if source != model.SourcePlainID {
		f.SourceAttribute = optional(a.SourceAttribute, "")
		return f
	}
	f.DefaultValue, f.IsRequired = a.DefaultValue, &a.IsRequired
	length, update := a.MaxLength, a.CanBeUpdated
	if length == 0 {
		length = model.MaxValueLength
	}
	if update == "" {
		update = model.UpdateAlways
	}
	f.MaxLength, f.CanBeUpdated = &length, &update
	return f
}

// Application is the exported form of an application (management-api.md 10).
type Application struct {
	ApplicationID    string   `json:"applicationId"`
	DisplayName      string   `json:"displayName"`
	Description      *string  `json:"description,omitzero"`
	LogoURL          *string  `json:"logoUrl,omitzero"`
	ColorIndication  *string  `json:"colorIndication"`
	AssetTemplateIDs []string `json:"assetTemplateIds"`
}

// ParseApplication reads the exported form of an application (management-api.md 10) and checks it.
func ParseApplication(body []byte) (model.Application, error) {
	var f Application
	if err := Decode(body, &f); err != nil {
		return model.Application{}, err
	}
	a := model.Application{
		ID: model.ApplicationID(f.ApplicationID), DisplayName: f.DisplayName,
		Description: f.Description, LogoURL: f.LogoURL, ColorIndication: OrDefault(f.ColorIndication, model.DefaultColor),
		AssetTemplateIDs: convert[model.TemplateID](f.AssetTemplateIDs),
	}
	return a, a.Validate()
}

// FormatApplication writes the exported form of an application, compact and bare.
func FormatApplication(a *model.Application) []byte {
	return Encode(Application{
		ApplicationID: string(a.ID), DisplayName: a.DisplayName, Description: a.Description,
		LogoURL: a.LogoURL, ColorIndication: &a.ColorIndication, AssetTemplateIDs: List(convert[string](a.AssetTemplateIDs)),
	})
}

// convert changes the type of the texts of a list; an empty list becomes nil, so that equal objects are equal values.
func convert[To, From ~string](in []From) []To {
	if len(in) == 0 {
		return nil
	}
	out := make([]To, len(in))
	for i, s := range in {
		out[i] = To(s)
	}
	return out
}

// IdentityTemplate is the exported form of an identity template (management-api.md 12).
type IdentityTemplate struct {
	TemplateID string             `json:"templateId"`
	Attributes []identityAttrForm `json:"attributes"`
}

type identityAttrForm struct {
	AttributeID            string  `json:"attributeId"`
	DisplayName            string  `json:"displayName"`
	Description            string  `json:"description"`
	Type                   string  `json:"type"`
	IsAvailableForPolicies bool    `json:"isAvailableForPolicies"`
	IsUsedInAccessRequest  bool    `json:"isUsedInAccessRequest"`
	NameForRequest         *string `json:"nameForRequest,omitzero"`
	CalculationFunction    *string `json:"calculationFunction,omitzero"`
	IsCalculated           bool    `json:"isCalculated,omitzero"`
}

// ParseIdentityTemplate reads the exported form of an identity template (management-api.md 12) and checks it.
func ParseIdentityTemplate(body []byte) (model.IdentityTemplate, error) {
	t, err := StatedIdentityTemplate(body)
	if err != nil {
		return t, err
	}
	if err := t.Validate(); err != nil { // as it came: places in errors are those of the body
		return t, err
	}
	t.Normalize()
	return t, t.Validate()
}

// StatedIdentityTemplate is the definition as it came, unchecked.
func StatedIdentityTemplate(body []byte) (model.IdentityTemplate, error) {
	var f IdentityTemplate
	if err := Decode(body, &f); err != nil {
		return model.IdentityTemplate{}, err
	}
	t := model.IdentityTemplate{ID: model.TemplateID(f.TemplateID)}
	for _, a := range f.Attributes {
		t.Attributes = append(t.Attributes, model.IdentityAttribute{
			ID:          model.AttributeID(a.AttributeID),
			DisplayName: a.DisplayName, Description: a.Description, Type: model.AttributeType(a.Type),
			IsAvailableForPolicies: a.IsAvailableForPolicies, IsUsedInAccessRequest: a.IsUsedInAccessRequest,
			NameForRequest: OrDefault(a.NameForRequest, ""),
			IsCalculated:   a.IsCalculated, CalculationFunction: a.CalculationFunction,
		})
	}
	return t, nil
}

// FormatIdentityTemplate writes the exported form of an identity template, compact and bare.
func FormatIdentityTemplate(t *model.IdentityTemplate) []byte {
	f := IdentityTemplate{TemplateID: string(t.ID), Attributes: []identityAttrForm{}}
	for _, a := range t.Attributes {
		f.Attributes = append(f.Attributes, identityAttrForm{
			AttributeID: string(a.ID), DisplayName: a.DisplayName,
			Description: a.Description, Type: string(a.Type), IsAvailableForPolicies: a.IsAvailableForPolicies,
			IsUsedInAccessRequest: a.IsUsedInAccessRequest, NameForRequest: optional(a.NameForRequest, ""),
			CalculationFunction: a.CalculationFunction, IsCalculated: a.IsCalculated,
		})
	}
	return Encode(f)
}

// IdentitySources is the exported form of the sources of an identity template (management-api.md 12).
type IdentitySources struct {
	Sources []sourceForm `json:"sources"`
}

type sourceForm struct {
	SourceID       string         `json:"sourceId"`
	DisplayName    string         `json:"displayName"`
	SourceType     string         `json:"sourceType"`
	SourceMetaData jsontext.Value `json:"sourceMetaData,omitzero"`
}

// ParseIdentitySources reads the sources of one identity template (management-api.md 12) and checks them.
func ParseIdentitySources(body []byte) ([]model.IdentitySource, error) {
	var f IdentitySources
	if err := Decode(body, &f); err != nil {
		return nil, err
	}
	var errs model.Errors
	var out []model.IdentitySource
	seen := map[string]bool{}
	for i, s := range f.Sources {
		source := model.IdentitySource{ID: s.SourceID, Name: s.DisplayName, Type: s.SourceType, Metadata: Compact(s.SourceMetaData)}
		errs.CollectUnder(Pointer("sources", i), source.Validate())
		// every type may occur once, only EXTERNAL_INPUT any number of times (policy-model.md 3.4)
		for _, key := range []string{"id " + s.SourceID, "type " + s.SourceType} {
			if seen[key] && key != "type "+model.SourceExternalInput {
				errs.Add(Pointer("sources", i), "%s stands more than once", key)
			}
			seen[key] = true
		}
		out = append(out, source)
	}
	return out, errs.OrNil()
}

// FormatIdentitySource writes one source, compact and bare.
func FormatIdentitySource(s *model.IdentitySource) []byte {
	return Encode(sourceForm{SourceID: s.ID, DisplayName: s.Name, SourceType: s.Type, SourceMetaData: s.Metadata})
}
