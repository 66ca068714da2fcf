// Package identity finds out who is asking: from what a request states, through the matchers of the environment and
// its directory, to the identities that a decision is about, and from which address the request comes.
//
// Start at Resolve, then Matcher and Source. Everything here is a pure function of its arguments: no I/O, no clock, no
// log; the claims of a token come from Evidence.Claims, which may have to fetch keys. The package promises that request data never replaces an identity's uid or an attribute that is not declared for
// requests, and that the order of the rules is that of runtime-api.md 5. It must never grant anything.
package identity

import (
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// Limit is how many identities one request can carry (E16).
const Limit = 3

// Directory is what Resolve reads of an environment. Its answers belong to one revision.
type Directory interface {
	IdentityTemplates() []*model.IdentityTemplate // by id ascending
	IdentityTemplate(id model.TemplateID) (*model.IdentityTemplate, bool)
	FindIdentity(t model.TemplateID, entityID string) (model.Identity, bool)
}

// Claim is one identity as a request states it (runtime-api.md 5.1). Empty texts mean: not stated. A key of a value map
// with no values means: sent, without values. A value list holds no text twice.
type Claim struct {
	EntityID   string
	Template   model.TemplateID
	Attributes map[string][]string
	Context    map[string][]string
}

// Request is all that a request says about identities.
type Request struct {
	Matching   string // model.Scope.IdentityMatching
	Primary    Claim
	Additional []Claim
	Evidence   Evidence
	Described  Evidence // of the call that the request describes, looked at first; zero = none
	// Explain lists in Bound.Ignored what was sent and does not count; ExplainMapped also what a matcher maps: names that the
	// caller may not know.
	Explain, ExplainMapped bool
	// Simulated lets the request speak of every declared attribute but uid. Such an answer is no decision.
	Simulated bool
}

// Evidence is what matchers look at.
type Evidence struct {
	Headers map[string][]string // by lower-case name, values without empty ones
	Token   bool                // the request carries a token of the user in Authorization
	// ScopeToken says that the token in Authorization authenticated the scope. It may identify the user too.
	ScopeToken bool
	// Claims gives what the token of a matcher's header says, by its rules; nil = there is none that counts. An error ends
	// the question. A nil function stands for no tokens at all.
	Claims func(*Matcher) (map[string]any, error)
}

// Bound is an identity as the decision sees it: the directory's record with the attributes of the request merged in
// (E13). Attributes has neither rows' attributes nor uid.
type Bound struct {
	Template *model.IdentityTemplate
	model.Identity
	// Ignored are the names that the request, or the mapping of its matcher, has values for although they do not count, in
	// their order. Only an explained request has them, as far as it asks for them.
	Ignored []string
}

// choice is an identity whose template and id are settled but that was not looked up yet.
type choice struct {
	template *model.IdentityTemplate
	entityID string
	claim    Claim
	matched  map[model.AttributeID][]string // strongest values, from the matcher's mappings
	free     bool                           // the request may speak of every attribute
}

// Resolve settles template and id of every identity of req, looks them up and merges their attributes: the primary
// first, if there is one, then the additional ones in request order. Errors are those of runtime-api.md 5.2 to 5.5, with
// their codes: 400 for a missing id and for more than Limit or repeated templates, 403 RT-087, 404 MemberNotFoundError.
func Resolve(dir Directory, matchers []Matcher, req Request) ([]Bound, error) {
	choices, err := Choose(dir, matchers, req)
	if err != nil {
		return nil, err
	}
	return BindAll(dir, choices)
}

// Choice is an identity whose template and id are settled: what is kept of a request about an identity that is looked up
// more than once. It holds nothing of a directory and never changes.
type Choice struct {
	Template model.TemplateID
	EntityID string
	claim    Claim
	matched  map[model.AttributeID][]string
	free     bool
	explain  bool
	mapped   bool // is explained, too
}

// Choose is the first half of Resolve: all but looking the identities up.
func Choose(dir Directory, matchers []Matcher, req Request) ([]Choice, error) {
	choices, err := choose(dir, matchers, req)
	if err != nil {
		return nil, err
	}
	if len(choices) > Limit {
		return nil, model.Invalidf("additionalIdentities: %d identities, the limit is %d", len(choices), Limit)
	}
	out := make([]Choice, len(choices))
	for i, c := range choices {
		for _, other := range choices[:i] {
			if other.template.ID == c.template.ID {
				return nil, model.Invalidf("additionalIdentities: two identities of template %s", c.template.ID)
			}
		}
		out[i] = Choice{
			Template: c.template.ID, EntityID: c.entityID, claim: c.claim, matched: c.matched,
			free: req.Simulated, explain: req.Explain, mapped: req.ExplainMapped,
		}
	}
	return out, nil
}

// BindAll is the other half of Resolve. An identity that is not there is 404 MemberNotFoundError.
func BindAll(dir Directory, choices []Choice) ([]Bound, error) {
	out := make([]Bound, len(choices))
	for i, from := range choices {
		c := choice{entityID: from.EntityID, claim: from.claim, matched: from.matched, free: from.free}
		var ok bool
		if c.template, ok = dir.IdentityTemplate(from.Template); !ok {
			return nil, Unknown()
		}
		record, ok := dir.FindIdentity(from.Template, from.EntityID)
		if !ok {
			return nil, Unknown()
		}
		out[i] = c.bind(record)
		if from.explain {
			out[i].Ignored = c.ignored(from.mapped)
		}
	}
	return out, nil
}

// choose settles the templates and ids (runtime-api.md 5.2, 5.5).
func choose(dir Directory, matchers []Matcher, req Request) ([]choice, error) {
	var out []choice
	primary, err := choosePrimary(dir, matchers, req)
	if err != nil {
		return nil, err
	}
	if primary != nil {
		out = append(out, *primary)
	}
	for i, claim := range req.Additional {
		c, err := chooseStated(dir, claim)
		if err != nil {
			return nil, err
		}
		if c.entityID == "" {
			return nil, model.Invalidf("additionalIdentities[%d].entityId: required", i)
		}
		out = append(out, *c)
	}
	return out, nil
}

// hit is what the matchers find in the described call, else in the request itself. It never takes its parts from both.
func (req *Request) hit(matchers []Matcher) (hit, bool, error) {
	h, ok, err := firstHit(matchers, req.Described, false)
	if ok || err != nil {
		return h, ok, err
	}
	return firstHit(matchers, req.Evidence, req.Matching == "" && req.Primary.EntityID != "")
}

// sent reports whether there is anything that could say who the user is.
func (ev Evidence) sent(matchers []Matcher) bool { return ev.Token || anySent(matchers, ev) }

func choosePrimary(dir Directory, matchers []Matcher, req Request) (*choice, error) {
	hit, matched, err := req.hit(matchers)
	if err != nil {
		return nil, err
	}
	if matched {
		if _, ok := dir.IdentityTemplate(hit.template); !ok {
			matched = false
		}
	}
	sent := req.Evidence.sent(matchers) || req.Described.sent(matchers)
	switch {
	case req.Matching == model.MatchMatcher:
		if !matched {
			return nil, Unmatched()
		}
		return chooseHit(dir, hit, req.Primary), nil
	case req.Matching != model.MatchRequest && matched:
		if contradicts(req.Primary, hit) {
			return nil, Unmatched()
		}
		return chooseHit(dir, hit, req.Primary), nil
	case len(req.Additional) > 0 && req.Primary.EntityID == "" && !sent:
		return nil, nil
	}
	c, err := chooseStated(dir, req.Primary)
	switch {
	case err != nil:
		return nil, err
	case c.entityID == "" && sent:
		return nil, Unmatched()
	case c.entityID == "":
		return nil, model.Invalidf("entityId: required")
	}
	if matched && hit.template == c.template.ID && (hit.id == "" || hit.id == c.entityID) {
		c.matched = hit.values
	}
	return c, nil
}

// contradicts reports whether the request names another template or id than the matcher found.
func contradicts(c Claim, h hit) bool {
	return c.EntityID != "" && c.EntityID != h.id || c.Template != "" && c.Template != h.template
}

func chooseHit(dir Directory, h hit, claim Claim) *choice {
	t, _ := dir.IdentityTemplate(h.template)
	return &choice{template: t, entityID: h.id, claim: claim, matched: h.values}
}

// chooseStated is the REQUEST rule: the template named, else the environment's only one.
func chooseStated(dir Directory, claim Claim) (*choice, error) {
	if claim.Template != "" {
		t, ok := dir.IdentityTemplate(claim.Template)
		if !ok {
			return nil, Unmatched()
		}
		return &choice{template: t, entityID: claim.EntityID, claim: claim}, nil
	}
	all := dir.IdentityTemplates()
	if len(all) != 1 {
		return nil, Unmatched()
	}
	return &choice{template: all[0], entityID: claim.EntityID, claim: claim}, nil
}

// bind merges the values of the request into the record: for every attribute declared for requests the first of the
// matcher's values, the context, the sent attributes and the record that has it (runtime-api.md 5.3).
func (c choice) bind(record model.Identity) Bound {
	b := Bound{Template: c.template, Identity: record}
	owned := false
	for i := range c.template.Attributes {
		a := &c.template.Attributes[i]
		if !c.counts(a) {
			continue
		}
		values, ok := c.sent(a)
		if !ok {
			continue
		}
		if !owned {
			b.Attributes, b.Rows, owned = cloneAttributes(record.Attributes), slices.Clone(record.Rows), true
		}
		b.Attributes[a.ID] = values
		b.dropFromRows(a.ID)
	}
	return b
}

// Describe merges the values of a claim into a stored identity of t, as Resolve does, and gives the values that take the
// place of stored ones whoever the identity is. The claim's EntityID and Template are not looked at.
func Describe(t *model.IdentityTemplate, claim Claim) (merge func(model.Identity) model.Identity, said model.Attributes) {
	c := choice{template: t, claim: claim}
	said = model.Attributes{}
	for i := range t.Attributes {
		a := &t.Attributes[i]
		if !c.counts(a) {
			continue
		}
		if values, ok := c.sent(a); ok {
			said[a.ID] = values
		}
	}
	return func(record model.Identity) model.Identity { return c.bind(record).Identity }, said
}

// counts reports whether the request may speak of an attribute (E13). Of a calculated one it never may: that is made of the
// merged identity, by whoever asks for it.
func (c choice) counts(a *model.IdentityAttribute) bool {
	return (a.IsUsedInAccessRequest || c.free) && !a.IsCalculated && a.ID != model.AttributeUID
}

// ignored are the names of values that do not count, each once; those that the matcher maps only with mapped.
func (c choice) ignored(mapped bool) []string {
	counted := map[string]bool{}
	for i := range c.template.Attributes {
		a := &c.template.Attributes[i]
		if !c.counts(a) {
			continue
		}
		counted[string(a.ID)] = true
		if named, ok := c.template.RequestAttribute(a.NameForRequest); ok && named.ID == a.ID {
			counted[a.NameForRequest] = true
		}
	}
	names := map[string]bool{}
	for id := range c.matched {
		if mapped {
			names[string(id)] = true
		}
	}
	for _, from := range []map[string][]string{c.claim.Attributes, c.claim.Context} {
		for name := range from {
			names[name] = true
		}
	}
	maps.DeleteFunc(names, func(name string, _ bool) bool { return counted[name] })
	return slices.Sorted(maps.Keys(names))
}

// sent is what the request says about an attribute. The id is looked for before the older name, which must not be the
// id of another attribute.
func (c choice) sent(a *model.IdentityAttribute) ([]string, bool) {
	if values, ok := c.matched[a.ID]; ok {
		return values, true
	}
	for _, from := range []map[string][]string{c.claim.Context, c.claim.Attributes} {
		if values, ok := from[string(a.ID)]; ok {
			return values, true
		}
		if named, ok := c.template.RequestAttribute(a.NameForRequest); !ok || named.ID != a.ID {
			continue
		}
		if values, ok := from[a.NameForRequest]; ok {
			return values, true
		}
	}
	return nil, false
}

func (b *Bound) dropFromRows(id model.AttributeID) {
	for i, row := range b.Rows {
		if _, ok := row[id]; ok {
			row = row.Clone()
			delete(row, id)
			b.Rows[i] = row
		}
	}
}

func cloneAttributes(a model.Attributes) model.Attributes {
	if a == nil {
		return model.Attributes{}
	}
	return a.Clone()
}

// Unmatched is the error of a question whose identity template cannot be told, or does not exist (runtime-api.md 5.2).
func Unmatched() error {
	return &model.Error{
		Kind: model.KindForbidden, Code: "RT-087", Name: "InvalidParameter",
		Message: "None of the Identity Templates Matched",
	}
}

// Unknown is the error of a question about an identity that is not in the directory (runtime-api.md 5.4).
func Unknown() error {
	return &model.Error{
		Kind: model.KindNotFound, Code: "AMB-020", Name: "MemberNotFoundError",
		Message: "MemberNotFoundError: identity not found",
	}
}
