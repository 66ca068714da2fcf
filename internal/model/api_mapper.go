package model

import (
	"regexp"
	"slices"
	"strings"
)

// MapperID is the external id of an API mapper; unique in its set only.
type MapperID string

// APIMapperSet turns described API calls into assets and actions of one application, whose id it has (policy-model.md
// 3.10, runtime-api.md 13.3). Mappers keep their order; a decision tries them by priority.
type APIMapperSet struct {
	ID             ApplicationID
	WorkspaceID    WorkspaceID
	ApplicationIDs []ApplicationID // ID while the application exists, else empty
	PathIndexing   string          // "" = AS_SENT
	Mappers        []APIMapper
}

// What the elements of a path count from (runtime-api.md 13.2).
const (
	PathAsSent   = "AS_SENT"  // the array as it came
	PathSegments = "SEGMENTS" // an empty element after the full path is passed over
)

// Values of APIMapper.MatchType. Other spellings are kept and fit no call.
const (
	MatchExact      = "EXACT"
	MatchWildcards  = "WILDCARDS"
	MatchWildcard   = "WILDCARD" // read as WILDCARDS
	MatchExpression = "REGEX"
	MatchRegexp     = "REGEXP" // read as REGEX
)

// Values of APIMapper.FilteringType. Other spellings are kept and are not offered.
const (
	FilterInclude = "INCLUDE"
	FilterExclude = "EXCLUDE"
)

// APIMapper says what one kind of API call means.
type APIMapper struct {
	ID           MapperID
	DisplayName  string
	IsActive     bool
	MatchPattern string
	MatchType    string
	RestMethods  []string // in capitals; empty = every method
	Priority     int      // lower first

	// Which identity sources are read for the call: with the filter only those listed, or all others.
	IsRequireIdentitySourcesFiltering bool
	FilteringType                     string
	IdentitySourceIDs                 []string

	// AssetTemplates is empty when the asset types were deleted: such a mapper fits its calls and permits none of them.
	AssetTemplates []TemplateMapping
}

// TemplateMapping makes one asset, with its actions, out of a call.
type TemplateMapping struct {
	TemplateID TemplateID
	Attributes []AttributeMapping
	Actions    []ActionMapping // empty = every action of the type
}

// MappingSource is the part of a described call that a mapping reads.
type MappingSource string

// The sources (runtime-api.md 13.3).
const (
	FromPath   MappingSource = "PATH"   // Path is [n]
	FromQuery  MappingSource = "QUERY"  // Path is the name of a parameter
	FromHeader MappingSource = "HEADER" // Path is the name of a header
	FromBody   MappingSource = "BODY"   // Path is a JSONPath, see ParsePath
	FromMethod MappingSource = "METHOD" // Path is empty
)

// AttributeMapping gives an attribute the values found at a place of the call. That of "path" is the asset's id.
type AttributeMapping struct {
	AttributeID AttributeID
	Source      MappingSource
	Path        string
}

// ActionMapping names an action that the call asks for.
type ActionMapping struct {
	ActionID ActionID
	Source   MappingSource // "" = always
	Value    *string       // the source must yield it; nil = any value will do
	Path     string
}

// Mapper finds a mapper of the set by its id; at is -1 when there is none.
func (s *APIMapperSet) Mapper(id MapperID) (at int) {
	return slices.IndexFunc(s.Mappers, func(m APIMapper) bool { return m.ID == id })
}

// IsExpression reports whether the pattern is a regular expression.
func (m *APIMapper) IsExpression() bool {
	return m.MatchType == MatchExpression || m.MatchType == MatchRegexp
}

// Expression compiles the pattern of a mapper for which IsExpression holds. It matches whole paths only.
func (m *APIMapper) Expression() (*regexp.Regexp, error) {
	// compiled alone first: a pattern with a stray parenthesis must not become a good one by what stands around it
	if _, err := regexp.Compile(m.MatchPattern); err != nil {
		return nil, err
	}
	return regexp.Compile(`\A(?:` + m.MatchPattern + `)\z`)
}

// IsWildcard reports whether the pattern is read segment by segment with wildcards: so are exact ones that have a
// segment * or ** (runtime-api.md 13.3).
func (m *APIMapper) IsWildcard() bool {
	switch m.MatchType {
	case MatchWildcards, MatchWildcard:
		return true
	case MatchExact:
		return slices.ContainsFunc(strings.Split(m.MatchPattern, "/"), func(s string) bool { return s == "*" || s == "**" })
	}
	return false
}

// Normalize brings a set into the one form in which it is stored, so that equal definitions are equal values.
func (s *APIMapperSet) Normalize() {
	if s.PathIndexing == PathAsSent {
		s.PathIndexing = ""
	}
	for i := range s.Mappers {
		s.Mappers[i].Normalize()
	}
}

// Normalize writes methods and sources in capitals, as decisions compare them, and states the default filter.
func (m *APIMapper) Normalize() {
	for i, method := range m.RestMethods {
		m.RestMethods[i] = strings.ToUpper(method)
	}
	if m.FilteringType == "" {
		m.FilteringType = FilterInclude
	}
	for i := range m.AssetTemplates {
		t := &m.AssetTemplates[i]
		for j := range t.Attributes {
			t.Attributes[j].Source = t.Attributes[j].Source.normal()
		}
		for j := range t.Actions {
			t.Actions[j].Source = t.Actions[j].Source.normal()
		}
	}
}

func (s MappingSource) normal() MappingSource { return MappingSource(strings.ToUpper(string(s))) }
