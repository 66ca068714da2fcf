package identity

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Matcher is a compiled model.Matcher of one identity template. It reads the headers of a request and the claims of the
// token in one of them.
type Matcher struct {
	template model.TemplateID
	choose   Path
	value    string
	id       Path
	values   map[model.AttributeID]Path
	header   string // lower-case name of the token's header
	unsigned bool
	settings *model.JWTSettings
}

// TokenHeader is the lower-case name of the header that holds the token.
func (m *Matcher) TokenHeader() string { return m.header }

// Unsigned reports whether the claims are read without a check of the token (validateJwt: false).
func (m *Matcher) Unsigned() bool { return m.unsigned }

// Settings say how the token is judged; nil = as the scope says.
func (m *Matcher) Settings() *model.JWTSettings { return m.settings }

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
		header: strings.ToLower(cmp.Or(m.TokenHeader, "Authorization")), unsigned: !m.ValidateJWT, settings: m.JWT,
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
func firstHit(ms []Matcher, ev Evidence, skipScopeToken bool) (hit, bool, error) {
	for i := range ms {
		m := &ms[i]
		if skipScopeToken && m.readsScopeToken(ev) {
			continue
		}
		h, ok, err := m.hit(ev)
		if ok || err != nil {
			return h, ok, err
		}
	}
	return hit{}, false, nil
}

func (m *Matcher) hit(ev Evidence) (hit, bool, error) {
	r := reading{matcher: m, evidence: ev}
	if !slices.Contains(r.values(m.choose), m.value) {
		return hit{}, false, r.err
	}
	ids := r.values(m.id)
	if len(ids) == 0 || ids[0] == "" {
		return hit{}, false, r.err
	}
	h := hit{template: m.template, id: ids[0]}
	for attribute, path := range m.values {
		if values := r.values(path); len(values) > 0 {
			if h.values == nil {
				h.values = map[model.AttributeID][]string{}
			}
			h.values[attribute] = model.Distinct(values)
		}
	}
	return h, r.err == nil, r.err
}

// reading is what one matcher reads of a request: its token is judged when the first path needs a claim.
type reading struct {
	matcher  *Matcher
	evidence Evidence
	judged   bool
	claims   map[string]any
	err      error
}

func (r *reading) values(p Path) []string {
	if name, rest, ok := p.header(); ok {
		return rest.list(r.evidence.Headers[name])
	}
	if !r.judged && r.evidence.Claims != nil {
		r.claims, r.err = r.evidence.Claims(r.matcher)
	}
	r.judged = true
	if r.claims == nil || r.err != nil {
		return nil
	}
	return p.Values(r.claims)
}

// readsClaims reports whether the matcher chooses by a token.
func (m *Matcher) readsClaims() bool {
	_, _, chosen := m.choose.header()
	_, _, named := m.id.header()
	return !chosen || !named
}

// readsScopeToken reports whether the matcher chooses by the very token that authenticated the scope.
func (m *Matcher) readsScopeToken(ev Evidence) bool {
	return ev.ScopeToken && m.header == authorization && m.readsClaims()
}

const authorization = "authorization"

// anySent reports whether the request carries a header that some matcher reads.
func anySent(ms []Matcher, ev Evidence) bool {
	for i := range ms {
		if ms[i].readsScopeToken(ev) {
			continue
		}
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
