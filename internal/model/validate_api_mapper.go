package model

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Limits of API mappers (policy-model.md 3.10).
const (
	MaxMappers          = 100 // of one set
	MaxMappedTemplates  = 5   // of one mapper
	MaxMappedAttributes = 20  // of one asset type
	MaxMappedActions    = 80  // of one asset type
	maxPattern          = 2_048
	maxMappingPath      = 1_024
	maxMethod           = 32
)

// Validate checks a set in normal form but for the asset types that its mappers name, which are looked up where the
// store is (policy-model.md 3.10). Too many of something is MGT-018.
func (s *APIMapperSet) Validate() error {
	var es Errors
	es.check("/apiMappersSetId", CheckExternalID(string(s.ID)))
	for i, id := range s.ApplicationIDs {
		if id != s.ID || i > 0 {
			es.Add(fmt.Sprintf("/applicationIds/%d", i), "a set is for one application and has its id, %q", s.ID)
		}
	}
	if s.PathIndexing != "" && s.PathIndexing != PathSegments {
		es.Add("/pathIndexing", "%q is not AS_SENT or SEGMENTS", s.PathIndexing)
	}
	es.checkLimit("/apiMappers", len(s.Mappers), MaxMappers)
	ids := distinct{}
	for i := range s.Mappers {
		field := fmt.Sprintf("/apiMappers/%d", i)
		ids.check(&es, field+"/mapperId", string(s.Mappers[i].ID), i)
		s.Mappers[i].validate(&es, field)
	}
	return es.OrNil()
}

// Validate checks one mapper in normal form, as APIMapperSet.Validate does.
func (m *APIMapper) Validate() error {
	var es Errors
	m.validate(&es, "")
	return es.OrNil()
}

func (es *Errors) checkLimit(field string, n, limit int) {
	if n > limit {
		*es = append(*es, LimitExceeded(field, int64(n), int64(limit)))
	}
}

func (m *APIMapper) validate(es *Errors, field string) {
	es.check(field+"/mapperId", CheckExternalID(string(m.ID)))
	es.check(field+"/displayName", CheckDisplayName(m.DisplayName))
	es.check(field+"/matchType", checkText(m.MatchType, 128, true))
	es.check(field+"/matchPattern", m.checkPattern())
	methods := distinct{}
	for i, method := range m.RestMethods {
		at := fmt.Sprintf("%s/restMethods/%d", field, i)
		if method == "" || len(method) > maxMethod || strings.Trim(method, tokenCharacters) != "" {
			es.Add(at, "%q is not a method", method)
		}
		methods.check(es, at, method, i)
	}
	es.check(field+"/filteringType", checkText(m.FilteringType, 128, true))
	sources := distinct{}
	for i, id := range m.IdentitySourceIDs {
		at := fmt.Sprintf("%s/identitySourceIds/%d", field, i)
		es.check(at, CheckExternalID(id))
		sources.check(es, at, id, i)
	}
	es.checkLimit(field+"/assetTemplates", len(m.AssetTemplates), MaxMappedTemplates)
	templates := distinct{}
	for i := range m.AssetTemplates {
		at := fmt.Sprintf("%s/assetTemplates/%d", field, i)
		templates.check(es, at+"/templateId", string(m.AssetTemplates[i].TemplateID), i)
		m.AssetTemplates[i].validate(es, at)
	}
}

// checkPattern refuses patterns that cannot be read and those that no path could ever fit (runtime-api.md 13.3).
func (m *APIMapper) checkPattern() string {
	if problem := checkText(m.MatchPattern, maxPattern, false); problem != "" {
		return problem
	}
	if m.IsExpression() {
		if _, err := m.Expression(); err != nil {
			return "is not a regular expression of RE2: " + err.Error()
		}
		return ""
	}
	wild := m.IsWildcard()
	if !wild && m.MatchType != MatchExact {
		return "" // of a type that is only kept
	}
	if !strings.HasPrefix(m.MatchPattern, "/") {
		return "does not begin with /"
	}
	if strings.ContainsAny(m.MatchPattern, "?#") {
		return "has a ? or #; patterns see the path only"
	}
	if strings.Contains(m.MatchPattern, "//") {
		return "has an empty segment, so no path can fit it"
	}
	segments := strings.Split(strings.TrimSuffix(m.MatchPattern[1:], "/"), "/")
	for i, segment := range segments {
		plain, err := url.PathUnescape(segment)
		if err != nil {
			plain = segment
		}
		switch {
		case plain == "." || plain == "..":
			return fmt.Sprintf("has a segment %q, so no path can fit it", segment)
		case wild && segment == "**" && i < len(segments)-1:
			return "has ** before its end"
		}
	}
	return ""
}

func (t *TemplateMapping) validate(es *Errors, field string) {
	es.check(field+"/templateId", CheckExternalID(string(t.TemplateID)))
	es.checkLimit(field+"/attributes", len(t.Attributes), MaxMappedAttributes)
	es.checkLimit(field+"/actions", len(t.Actions), MaxMappedActions)
	for i, a := range t.Attributes {
		at := fmt.Sprintf("%s/attributes/%d", field, i)
		es.check(at+"/attributeId", CheckExternalID(string(a.AttributeID)))
		es.checkSource(at, a.Source, a.Path, true)
	}
	for i, a := range t.Actions {
		at := fmt.Sprintf("%s/actions/%d", field, i)
		es.check(at+"/actionId", CheckExternalID(string(a.ActionID)))
		if a.Value != nil {
			es.check(at+"/value", checkText(*a.Value, MaxValueLength, false))
		}
		switch {
		case a.Source != "":
			es.checkSource(at, a.Source, a.Path, true)
		case a.Path != "": // without a source the action is always asked for; with a path that cannot be meant
			es.Add(at+"/source", "is missing; there is a path")
		}
	}
}

// checkSource checks where a mapping reads. The method is no source of request attributes.
func (es *Errors) checkSource(field string, source MappingSource, path string, method bool) {
	if len(path) > maxMappingPath {
		es.Add(field+"/path", "has %d bytes, the limit is %d", len(path), maxMappingPath)
		return
	}
	problem := ""
	switch {
	case source == FromPath && !isElement(path):
		problem = fmt.Sprintf("%q is not of the form [n]", path)
	case source == FromQuery:
		problem = checkText(path, maxMappingPath, false)
	case source == FromHeader && (path == "" || strings.Trim(path, tokenCharacters) != ""):
		problem = fmt.Sprintf("%q is not the name of a header", path)
	case source == FromBody:
		if _, err := ParsePath(path); err != nil {
			problem = err.Message
		}
	case source == FromMethod && method && path != "":
		problem = "must be empty, the method has no parts"
	}
	es.check(field+"/path", problem)
	switch source {
	case FromPath, FromQuery, FromHeader, FromBody:
	case FromMethod:
		if !method {
			es.Add(field+"/source", "METHOD is no source of a request attribute")
		}
	default:
		es.Add(field+"/source", "%q is not PATH, QUERY, HEADER, BODY or METHOD", source)
	}
}

// isElement: [n] with a plain number.
func isElement(path string) bool {
	inner, ok := strings.CutPrefix(path, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	_, err := strconv.ParseUint(inner, 10, 31)
	return ok && closed && err == nil
}
