package model

import (
	"fmt"
	"regexp"
	"slices"
	"unicode/utf8"
)

// Normalize brings an asset type into the one form in which it is stored: defaults that are spelled out become zero, and
// fields that its source does not have are dropped, so that equal definitions are equal values.
func (t *AssetTemplate) Normalize() {
	stored, external := t.Source == SourcePlainID, t.Source == SourceExternal
	if t.Source == SourceRequest {
		t.IsAttributeSentInRequest = false
	}
	if !external {
		t.PAAGroupID, t.ViewName = "", ""
	}
	t.Attributes = slices.Clone(t.Attributes)
	for i := range t.Attributes {
		a := &t.Attributes[i]
		if a.NameForRequest == string(a.ID) {
			a.NameForRequest = ""
		}
		a.IsMultiValue = a.IsMultiValue && t.Source != SourceRequest
		if !external {
			a.SourceAttribute = ""
		}
		if stored && a.ID == AttributePath {
			a.IsCalculated, a.CalculationFunction = false, nil // its value is the asset's id and nothing else
		}
		if !stored || a.IsCalculated {
			a.DefaultValue, a.MaxLength, a.IsRequired, a.CanBeUpdated = nil, 0, false, ""
		}
		if a.MaxLength == MaxValueLength {
			a.MaxLength = 0
		}
		if a.CanBeUpdated == UpdateAlways {
			a.CanBeUpdated = ""
		}
		if len(a.DefaultValue) == 0 {
			a.DefaultValue = nil
		}
	}
}

// Validate checks an asset type in normal form (policy-model.md 3.2).
func (t *AssetTemplate) Validate() error {
	var es Errors
	es.check("/templateId", CheckExternalID(string(t.ID)))
	es.check("/displayName", CheckDisplayName(t.DisplayName))
	es.checkDescription("/description", t.Description)
	es.checkLogo(t.LogoURL)
	switch t.Source {
	case SourceRequest, SourcePlainID:
	case SourceExternal:
		es.check("/paaGroupId", checkText(t.PAAGroupID, maxURLLength, false))
		es.check("/viewName", checkText(t.ViewName, maxURLLength, false))
	default:
		es.Add("/source", "%q is not REQUEST, EXTERNAL or PLAINID", t.Source)
	}
	if n := len(t.Attributes); n > MaxAttributes {
		es.Add("/attributes", "has %d items, the limit is %d", n, MaxAttributes)
	}
	if n := len(t.Actions); n > MaxActions {
		es.Add("/actions", "has %d items, the limit is %d", n, MaxActions)
	}
	ids, names, requestNames := distinct{}, distinct{}, distinct{}
	for i := range t.Attributes {
		a := &t.Attributes[i]
		field := fmt.Sprintf("/attributes/%d", i)
		ids.check(&es, field+"/attributeId", string(a.ID), i)
		names.check(&es, field+"/displayName", a.DisplayName, i)
		requestNames.check(&es, field+"/nameForRequest", a.requestName(), i)
		a.validate(&es, field)
	}
	t.validateActions(&es)
	return es.OrNil()
}

func (a *AssetAttribute) requestName() string {
	if a.NameForRequest == "" {
		return string(a.ID)
	}
	return a.NameForRequest
}

func (a *AssetAttribute) validate(es *Errors, field string) {
	es.check(field+"/attributeId", CheckExternalID(string(a.ID)))
	es.check(field+"/displayName", CheckDisplayName(a.DisplayName))
	es.checkType(field+"/type", a.Type)
	if n := utf8.RuneCountInString(a.NameForRequest); n > maxNameForRequest || hasControl(a.NameForRequest) {
		es.Add(field+"/nameForRequest", "has a control character or more than %d characters", maxNameForRequest)
	}
	if a.MaxLength < 0 || a.MaxLength > MaxValueLength {
		es.Add(field+"/maxLength", "is not between 1 and %d", MaxValueLength)
	}
	if a.IsRequired && len(a.DefaultValue) == 0 && a.ID != AttributePath {
		es.Add(field+"/defaultValue", "is missing; a required attribute needs one")
	}
	if problem := a.CheckValues(a.DefaultValue); problem != "" && a.ID != AttributePath {
		es.Add(field+"/defaultValue", "%s", problem)
	}
}

func (t *AssetTemplate) validateActions(es *Errors) {
	ids, values := distinct{}, distinct{}
	for i, a := range t.Actions {
		field := fmt.Sprintf("/actions/%d", i)
		es.check(field+"/actionId", CheckExternalID(string(a.ID)))
		es.check(field+"/value", checkText(a.Value, 128, false))
		ids.check(es, field+"/actionId", string(a.ID), i)
		values.check(es, field+"/value", a.Value, i)
	}
}

func (es *Errors) checkType(field string, t AttributeType) {
	if t != String && t != Numeric {
		es.Add(field, "%q is not STRING or NUMERIC", t)
	}
}

// Normalize puts uid first, adding it when it is missing (policy-model.md 3.4).
func (t *IdentityTemplate) Normalize() {
	at := slices.IndexFunc(t.Attributes, func(a IdentityAttribute) bool { return a.ID == AttributeUID })
	uid, _ := t.Attribute(AttributeUID)
	if at < 0 {
		uid.IsAvailableForPolicies = true
	}
	uid.IsCalculated, uid.CalculationFunction = false, nil // its value is the entity id and nothing else
	attributes := make([]IdentityAttribute, 0, len(t.Attributes)+1)
	attributes = append(attributes, uid)
	for i, a := range t.Attributes {
		if i == at {
			continue
		}
		if a.NameForRequest == string(a.ID) {
			a.NameForRequest = ""
		}
		attributes = append(attributes, a)
	}
	t.Attributes = attributes
}

// Validate checks an identity template in normal form (policy-model.md 3.4).
func (t *IdentityTemplate) Validate() error {
	var es Errors
	es.check("/templateId", CheckExternalID(string(t.ID)))
	if n := len(t.Attributes); n > MaxAttributes {
		es.Add("/attributes", "has %d items, the limit is %d", n, MaxAttributes)
	}
	ids := distinct{}
	for i, a := range t.Attributes {
		field := fmt.Sprintf("/attributes/%d", i)
		es.check(field+"/attributeId", CheckExternalID(string(a.ID)))
		es.check(field+"/displayName", CheckDisplayName(a.DisplayName))
		es.check(field+"/description", CheckDescription(a.Description))
		es.checkType(field+"/type", a.Type)
		ids.check(&es, field+"/attributeId", string(a.ID), i)
		if n := utf8.RuneCountInString(a.NameForRequest); n > maxNameForRequest || hasControl(a.NameForRequest) {
			es.Add(field+"/nameForRequest", "has a control character or more than %d characters", maxNameForRequest)
		}
		if a.ID == AttributeUID && a.Type != String {
			es.Add(field+"/type", "uid is STRING")
		}
	}
	return es.OrNil()
}

// Validate checks an identity source (policy-model.md 3.4).
func (s *IdentitySource) Validate() error {
	var es Errors
	es.check("/sourceId", CheckExternalID(s.ID))
	es.check("/displayName", CheckDisplayName(s.Name))
	es.check("/sourceType", checkText(s.Type, 128, true))
	return es.OrNil()
}

// Validate checks a mapper set but for its linked sources, whose references are checked where the store is.
func (m *MapperSet) Validate() error {
	var es Errors
	es.check("/mapperSetId", CheckExternalID(m.ID))
	es.check("/displayName", CheckDisplayName(m.Name))
	return es.OrNil()
}

var aColor = regexp.MustCompile(`^#[0-9a-fA-F]{6}$`)

// DefaultColor is the colour of an application that states none.
const DefaultColor = "#808080"

// Validate checks an application (policy-model.md 3.1).
func (a *Application) Validate() error {
	var es Errors
	es.check("/applicationId", CheckExternalID(string(a.ID)))
	es.check("/displayName", CheckDisplayName(a.DisplayName))
	es.checkDescription("/description", a.Description)
	es.checkLogo(a.LogoURL)
	if !aColor.MatchString(a.ColorIndication) {
		es.Add("/colorIndication", "%q is not #RRGGBB", a.ColorIndication)
	}
	ids := distinct{}
	for i, id := range a.AssetTemplateIDs {
		field := fmt.Sprintf("/assetTemplateIds/%d", i)
		es.check(field, CheckExternalID(string(id)))
		ids.check(&es, field, string(id), i)
	}
	return es.OrNil()
}
