package bulk

import (
	"slices"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// words are the member and column names of one kind of record.
type words struct {
	key        string // path or entityId
	name       string // "" = none
	active     string
	rows       string
	idOfRecord model.AttributeID // the built-in attribute whose value is the key
}

func wordsOf[R any]() words {
	var r R
	if _, isAsset := any(r).(model.Asset); isAsset {
		return words{key: "path", name: "name", idOfRecord: model.AttributePath}
	}
	return words{key: "entityId", active: "isActive", rows: "rows", idOfRecord: model.AttributeUID}
}

// assetSchema checks the rows of one asset type (policy-model.md 3.2, 3.3).
type assetSchema struct {
	attributes map[string]*model.AssetAttribute
	order      []Column
	required   []*model.AssetAttribute // with a default for a record without a value
	fixed      []*model.AssetAttribute // that a write may not change
	optional   bool                    // some default is for new records only
	calculated calculatedAttributes
}

// calculatedAttributes are those of a template that no record can have values of.
type calculatedAttributes []model.AttributeID

// refuse refuses values for them.
func (c calculatedAttributes) refuse(attributes model.Attributes) *model.Error {
	for _, id := range c {
		if len(attributes[id]) > 0 {
			return model.InvalidParameter(string(id), "the attribute is calculated")
		}
	}
	return nil
}

// AssetSchema is that of an asset type with stored assets.
func AssetSchema(t *model.AssetTemplate) Schema[model.Asset] {
	s := &assetSchema{attributes: map[string]*model.AssetAttribute{}}
	for i := range t.Attributes {
		a := &t.Attributes[i]
		s.attributes[string(a.ID)] = a
		if !a.IsCalculated {
			s.order = append(s.order, Column{Attribute: a.ID, multi: a.IsMultiValue})
		}
		if a.ID == model.AttributePath {
			continue
		}
		if a.IsCalculated {
			s.calculated = append(s.calculated, a.ID)
		}
		if len(a.DefaultValue) > 0 || a.IsRequired {
			s.required = append(s.required, a)
			s.optional = s.optional || !a.IsRequired
		}
		if a.CanBeUpdated == model.UpdateOnlyOnCreate || a.CanBeUpdated == model.UpdateNever {
			s.fixed = append(s.fixed, a)
		}
	}
	if path, _ := t.Attribute(model.AttributePath); s.attributes[string(model.AttributePath)] == nil {
		s.attributes[string(model.AttributePath)] = &path
	}
	return s
}

// Attribute implements Schema.
func (s *assetSchema) Attribute(name []byte) (model.AttributeID, bool) {
	a, ok := s.attributes[string(name)]
	if !ok {
		return "", false
	}
	return a.ID, true
}

// MultiValue implements Schema.
func (s *assetSchema) MultiValue(id model.AttributeID) bool {
	a := s.attributes[string(id)]
	return a != nil && a.IsMultiValue
}

// Columns implements Schema.
func (s *assetSchema) Columns() []Column           { return s.order }
func (s *assetSchema) NeedsBefore() bool           { return len(s.fixed) > 0 || s.optional }
func (s *assetSchema) KeyOf(a *model.Asset) string { return a.Path }

// Apply implements Schema.
func (s *assetSchema) Apply(r *Row, before *model.Asset, merge bool) (model.Asset, *model.Error) {
	if problem := model.CheckPath(r.Key); problem != "" {
		return model.Asset{}, model.InvalidParameter("path", "%s", problem)
	}
	out := model.Asset{Path: r.Key}
	if merge && before != nil {
		out.Name = before.Name
	}
	if r.Name != nil {
		if n := utf8.RuneCountInString(*r.Name); n > model.MaxPathLength {
			return out, model.InvalidParameter("name", "has %d characters, the limit is %d", n, model.MaxPathLength)
		}
		out.Name = *r.Name
	}
	if out.Name == out.Path {
		out.Name = ""
	}
	if err := ownID(r.Attributes, model.AttributePath, r.Key); err != nil {
		return out, err
	}
	if err := s.calculated.refuse(r.Attributes); err != nil {
		return out, err
	}
	for id, values := range r.Attributes {
		if problem := s.attributes[string(id)].CheckValues(values); problem != "" {
			return out, model.InvalidParameter(string(id), "%s", problem)
		}
	}
	if err := s.keepFixed(r, before); err != nil {
		return out, err
	}
	if merge && before != nil {
		out.Attributes = overlay(before.Attributes, r.Attributes)
	} else {
		out.Attributes = withoutEmpty(r.Attributes)
	}
	return out, s.fillDefaults(&out, before == nil)
}

// keepFixed refuses other values for attributes that a write may not change, and keeps those that the row does not state.
func (s *assetSchema) keepFixed(r *Row, before *model.Asset) *model.Error {
	for _, a := range s.fixed {
		given, stated := r.Attributes[a.ID]
		var allowed []string
		switch {
		case before != nil:
			allowed = before.Attributes[a.ID]
		case a.CanBeUpdated == model.UpdateOnlyOnCreate:
			continue
		default:
			allowed = a.DefaultValue
		}
		if stated && !sameSet(given, allowed) {
			return model.InvalidParameter(string(a.ID), "the attribute cannot be changed")
		}
		if len(allowed) > 0 {
			if r.Attributes == nil {
				r.Attributes = model.Attributes{}
			}
			r.Attributes[a.ID] = allowed
		}
	}
	return nil
}

func (s *assetSchema) fillDefaults(out *model.Asset, isNew bool) *model.Error {
	for _, a := range s.required {
		if len(out.Attributes[a.ID]) > 0 || !isNew && !a.IsRequired {
			continue
		}
		if len(a.DefaultValue) == 0 {
			return model.InvalidParameter(string(a.ID), "the attribute is required")
		}
		if out.Attributes == nil {
			out.Attributes = model.Attributes{}
		}
		out.Attributes[a.ID] = a.DefaultValue
	}
	return nil
}

// identitySchema checks the rows of one identity template (policy-model.md 3.6).
type identitySchema struct {
	attributes map[string]*model.IdentityAttribute
	order      []Column
	calculated calculatedAttributes
}

// IdentitySchema is that of an identity template.
func IdentitySchema(t *model.IdentityTemplate) Schema[model.Identity] {
	s := &identitySchema{attributes: map[string]*model.IdentityAttribute{}}
	for i := range t.Attributes {
		a := &t.Attributes[i]
		s.attributes[string(a.ID)] = a
		if a.IsCalculated {
			s.calculated = append(s.calculated, a.ID)
			continue
		}
		s.order = append(s.order, Column{Attribute: a.ID, multi: s.MultiValue(a.ID)})
	}
	if uid, _ := t.Attribute(model.AttributeUID); s.attributes[string(model.AttributeUID)] == nil {
		s.attributes[string(model.AttributeUID)] = &uid
	}
	return s
}

// Attribute implements Schema.
func (s *identitySchema) Attribute(name []byte) (model.AttributeID, bool) {
	a, ok := s.attributes[string(name)]
	if !ok {
		return "", false
	}
	return a.ID, true
}

// MultiValue implements Schema.
func (s *identitySchema) MultiValue(model.AttributeID) bool { return true }
func (s *identitySchema) Columns() []Column                 { return s.order }
func (s *identitySchema) NeedsBefore() bool                 { return false }
func (s *identitySchema) KeyOf(i *model.Identity) string    { return i.EntityID }

// Apply implements Schema.
func (s *identitySchema) Apply(r *Row, before *model.Identity, merge bool) (model.Identity, *model.Error) {
	if problem := model.CheckEntityID(r.Key); problem != "" {
		return model.Identity{}, model.InvalidParameter("entityId", "%s", problem)
	}
	if len(r.Rows) > model.MaxRows {
		return model.Identity{}, model.InvalidParameter("rows", "has %d items, the limit is %d", len(r.Rows), model.MaxRows)
	}
	for _, attributes := range append(r.Rows[:len(r.Rows):len(r.Rows)], r.Attributes) {
		if err := ownID(attributes, model.AttributeUID, r.Key); err != nil {
			return model.Identity{}, err
		}
		if err := s.calculated.refuse(attributes); err != nil {
			return model.Identity{}, err
		}
		for id, values := range attributes {
			if problem := s.attributes[string(id)].CheckValues(values); problem != "" {
				return model.Identity{}, model.InvalidParameter(string(id), "%s", problem)
			}
		}
	}
	out := model.Identity{EntityID: r.Key, Attributes: withoutEmpty(r.Attributes), Rows: withoutEmptyRows(r.Rows)}
	if merge && before != nil {
		out.Inactive = before.Inactive
		out.Attributes = overlay(before.Attributes, r.Attributes)
		if !r.HasRows {
			out.Rows = before.Rows
		}
	}
	if r.Active != nil {
		out.Inactive = !*r.Active
	}
	for _, attributes := range out.Rows {
		for id := range attributes {
			if _, both := out.Attributes[id]; both {
				return out, model.InvalidParameter(string(id), "stands in attributes and in rows")
			}
		}
	}
	return out, nil
}

// ownID drops the built-in attribute, whose value can only be the record's own id (V9).
func ownID(attributes model.Attributes, id model.AttributeID, key string) *model.Error {
	values, stated := attributes[id]
	if !stated {
		return nil
	}
	if len(values) > 1 || len(values) == 1 && values[0] != key {
		return model.InvalidParameter(string(id), "differs from the id of the record")
	}
	delete(attributes, id)
	return nil
}

// overlay is before with the named attributes replaced; one without a value is removed.
func overlay(before, named model.Attributes) model.Attributes {
	out := before.Clone()
	if out == nil {
		out = model.Attributes{}
	}
	for id, values := range named {
		out[id] = values
	}
	return withoutEmpty(out)
}

// withoutEmpty drops attributes without values, in place, and makes nil of what is left empty: one form for equal records.
func withoutEmpty(attributes model.Attributes) model.Attributes {
	for id, values := range attributes {
		if len(values) == 0 {
			delete(attributes, id)
		}
	}
	if len(attributes) == 0 {
		return nil
	}
	return attributes
}

func withoutEmptyRows(rows []model.Attributes) []model.Attributes {
	for i := range rows {
		rows[i] = withoutEmpty(rows[i])
	}
	return rows
}

func sameSet(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for _, v := range a {
		if !slices.Contains(b, v) {
			return false
		}
	}
	return true
}
