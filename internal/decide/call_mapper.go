package decide

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// apiMappers are the compiled API mapper sets of an environment, by application. They never change.
type apiMappers map[model.ApplicationID]*mapperSet

// mapperSet is the compiled set of one application: its mappers in the order in which they are tried, by the first
// segment of the paths that they can fit, so that a call tries few of them.
type mapperSet struct {
	workspace model.WorkspaceID
	first     map[string][]*apiMapper // has those of open as well
	open      []*apiMapper            // fit paths that begin with any segment
}

// apiMapper is one compiled, active mapper.
type apiMapper struct {
	application model.ApplicationID
	id          model.MapperID
	priority    int
	methods     []string // none = every method
	pattern     pattern
	indexing    bool // of segments, not of the array as it was sent
	body        bodyPaths
	templates   []mappedTemplate
	request     []mappedAttribute // request attributes
}

type mappedTemplate struct {
	id         model.TemplateID
	paths      []place
	attributes []mappedAttribute
	actions    []mappedAction // none = every action of the type
}

type mappedAttribute struct {
	id model.AttributeID
	place
}

type mappedAction struct {
	id    model.ActionID
	value *string // nil = any
	place
}

// place is where in a call values are read.
type place struct {
	source model.MappingSource // "" = nowhere
	name   string              // of QUERY and HEADER, the latter in lower case
	number int                 // PATH: the element; BODY: the slot
}

// requestMappings are the request attributes that mappers fill, by workspace and mapper.
type requestMappings map[model.WorkspaceID]map[model.MapperID][]model.AttributeMapping

// compileMappers compiles the active mappers of a set; bad takes the mappers that cannot be read, which permit
// nothing.
func compileMappers(s *model.APIMapperSet, request requestMappings, bad func(model.MapperID, error)) *mapperSet {
	var all []*apiMapper
	for i := range s.Mappers {
		m := &s.Mappers[i]
		if !m.IsActive {
			continue
		}
		p, ok, err := compilePattern(m)
		compiled := &apiMapper{
			application: s.ID, id: m.ID, priority: m.Priority, methods: m.RestMethods, pattern: p,
			indexing: s.PathIndexing == model.PathSegments,
		}
		if ok {
			if err = compiled.compile(m, request[s.WorkspaceID][m.ID]); err != nil {
				// its calls must not fall to a mapper that asks for less
				compiled.templates = nil
			}
			all = append(all, compiled)
		}
		if err != nil {
			bad(m.ID, err)
		}
	}
	slices.SortFunc(all, (*apiMapper).compare)
	return indexMappers(s.WorkspaceID, all)
}

func indexMappers(workspace model.WorkspaceID, all []*apiMapper) *mapperSet {
	out := &mapperSet{workspace: workspace, first: map[string][]*apiMapper{}}
	for _, m := range all {
		if first, ok := m.pattern.first(); ok {
			out.first[first] = nil
		} else {
			out.open = append(out.open, m)
		}
	}
	for key := range out.first {
		for _, m := range all {
			if first, ok := m.pattern.first(); !ok || first == key {
				out.first[key] = append(out.first[key], m)
			}
		}
	}
	return out
}

// compile reads what the mapper reads of a call.
func (m *apiMapper) compile(from *model.APIMapper, request []model.AttributeMapping) error {
	var errs model.Errors
	at := func(source model.MappingSource, path string) place {
		p, err := m.place(source, path)
		if err != nil {
			errs.Add(path, "%s", err)
		}
		return p
	}
	for _, t := range from.AssetTemplates {
		mapped := mappedTemplate{id: t.TemplateID}
		for _, a := range t.Attributes {
			if a.AttributeID == model.AttributePath {
				mapped.paths = append(mapped.paths, at(a.Source, a.Path))
				continue
			}
			mapped.attributes = append(mapped.attributes, mappedAttribute{a.AttributeID, at(a.Source, a.Path)})
		}
		for _, a := range t.Actions {
			action := mappedAction{id: a.ActionID, value: a.Value}
			if a.Source != "" {
				action.place = at(a.Source, a.Path)
			}
			mapped.actions = append(mapped.actions, action)
		}
		m.templates = append(m.templates, mapped)
	}
	for _, r := range request {
		m.request = append(m.request, mappedAttribute{r.AttributeID, at(r.Source, r.Path)})
	}
	return errs.OrNil()
}

func (m *apiMapper) place(source model.MappingSource, path string) (p place, err error) {
	p.source = source
	switch source {
	case model.FromPath:
		p.number, err = strconv.Atoi(strings.Trim(path, "[]"))
	case model.FromBody:
		p.number, err = m.body.add(path)
	case model.FromHeader:
		p.name = strings.ToLower(path)
	case model.FromQuery:
		p.name = path
	case model.FromMethod:
	default:
		err = fmt.Errorf("%q is no source", source)
	}
	return p, err
}

// compare is the order in which mappers are tried.
func (m *apiMapper) compare(n *apiMapper) int {
	return cmp.Or(cmp.Compare(m.priority, n.priority), cmp.Compare(m.application, n.application), cmp.Compare(m.id, n.id))
}

// find gives the mapper of a call: of the sets of the applications the first one that fits; nil when none does.
func (s apiMappers) find(applications []model.ApplicationID, call *APICall) *apiMapper {
	segments, ok := call.Path.segments()
	if !ok {
		return nil
	}
	first := ""
	if len(segments) > 0 {
		first = segments[0]
	}
	var found *apiMapper
	for _, id := range applications {
		set := s[id]
		if set == nil {
			continue
		}
		candidates, ok := set.first[first]
		if !ok {
			candidates = set.open
		}
		for _, m := range candidates {
			if found != nil && found.compare(m) < 0 {
				break
			}
			if m.fits(call, segments) {
				found = m
				break
			}
		}
	}
	return found
}

func (m *apiMapper) fits(call *APICall, segments []string) bool {
	return (len(m.methods) == 0 || slices.Contains(m.methods, call.Method)) && m.pattern.fits(call.Path.full, segments)
}

// with gives the sets after some of them changed.
func (s apiMappers) with(changed apiMappers) apiMappers {
	out := apiMappers{}
	maps.Copy(out, s)
	maps.Copy(out, changed)
	maps.DeleteFunc(out, func(_ model.ApplicationID, set *mapperSet) bool { return set == nil })
	return out
}
