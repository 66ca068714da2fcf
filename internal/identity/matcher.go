package identity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Matcher is a compiled model.Matcher of one identity template. It reads the headers of a request; paths into the
// claims of a token give no values, so that such a matcher never hits.
type Matcher struct {
	template model.TemplateID
	choose   Path
	value    string
	id       Path
	values   map[model.AttributeID]Path
	header   string // lower-case name of the token's header
}

// NewMatcher compiles m for identity template t. A path that is not of the JSONPath subset of runtime-api.md 5.2 is an
// error.
func NewMatcher(t model.TemplateID, m model.Matcher) (Matcher, error) {
	var errs model.Errors
	parse := func(field, text string) Path {
		p, err := ParsePath(text)
		if err != nil {
			errs.Add(field, "%s", err.Message)
		}
		return p
	}
	out := Matcher{
		template: t, value: m.MatcherValue,
		choose: parse("templateMatcher", m.TemplateMatcher), id: parse("identityIdMapper", m.IdentityIDMapper),
		header: strings.ToLower(cmp.Or(m.TokenHeader, "Authorization")),
	}
	for id, text := range m.ClaimMappings {
		if out.values == nil {
			out.values = map[model.AttributeID]Path{}
		}
		out.values[id] = parse("claimMappings/"+string(id), text)
	}
	return out, errs.OrNil()
}

// SortMatchers brings matchers into the order in which they are tried: template id ascending.
func SortMatchers(ms []Matcher) {
	slices.SortFunc(ms, func(a, b Matcher) int { return cmp.Compare(a.template, b.template) })
}

// hit is what a matcher found.
type hit struct {
	template model.TemplateID
	id       string
	values   map[model.AttributeID][]string
}

// firstHit tries the matchers in order. A matcher that finds its value but no id does not hit: nobody is identified.
func firstHit(ms []Matcher, ev Evidence) (hit, bool) {
	for i := range ms {
		m := &ms[i]
		if !slices.Contains(m.read(m.choose, ev), m.value) {
			continue
		}
		ids := m.read(m.id, ev)
		if len(ids) == 0 || ids[0] == "" {
			continue
		}
		h := hit{template: m.template, id: ids[0]}
		for attribute, path := range m.values {
			if values := m.read(path, ev); len(values) > 0 {
				if h.values == nil {
					h.values = map[model.AttributeID][]string{}
				}
				h.values[attribute] = model.Distinct(values)
			}
		}
		return h, true
	}
	return hit{}, false
}

func (m *Matcher) read(p Path, ev Evidence) []string {
	if name, rest, ok := p.header(); ok {
		return rest.list(ev.Headers[name])
	}
	return nil
}

// anySent reports whether the request carries a header that some matcher reads.
func anySent(ms []Matcher, ev Evidence) bool {
	for i := range ms {
		for _, p := range []Path{ms[i].choose, ms[i].id} {
			name, _, ok := p.header()
			if !ok {
				name = ms[i].header
			}
			if len(ev.Headers[name]) > 0 {
				return true
			}
		}
	}
	return false
}
