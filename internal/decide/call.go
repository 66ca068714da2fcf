package decide

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// APICall is the HTTP call that a request describes (runtime-api.md 13.1).
type APICall struct {
	Method  string // in capitals
	Path    CallPath
	Query   map[string][]string
	Headers map[string][]string // by lower-case name
	Body    []byte              // a JSON value without duplicate names; nil = none. It is not changed and not kept
}

// APIRequest is the question of a Permit/Deny 5.0 call (runtime-api.md 13.1), coerced.
type APIRequest struct {
	Situation
	Call APICall
}

// PermitCall judges the pairs that an API call stands for by the API mappers of the scope's applications. A call that no
// mapper can tell the meaning of is denied. The call must be authenticated. Errors: those of Permit.
func (c *Call) PermitCall(ctx context.Context, req APIRequest) (*PermitAnswer, error) {
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	permit := PermitRequest{Situation: req.Situation}
	permit.Described = req.Call.Headers
	m := c.state.mappers.find(c.scope.ApplicationIDs, &req.Call)
	if m != nil {
		if err := m.ask(c.state.snapshot, &req.Call, &permit); err != nil {
			return nil, err
		}
	}
	if len(permit.Resources) == 0 {
		permit.Resources = []ResourceClaim{{AssetClaim: AssetClaim{Path: req.Call.Path.full}, Action: req.Call.Method}}
	}
	if permit.Earlier != nil {
		permit.Situation.meaning = permit.meaning()
	}
	return c.Permit(ctx, permit)
}

// ask fills in what the mapper makes of a call: request attributes and, unless the meaning of the call cannot be told,
// the pairs. A body that the mapper reads and that cannot be read tells nothing: leaving its values out would let a
// caller escape the policies that restrict them.
func (m *apiMapper) ask(snapshot *engine.Snapshot, call *APICall, to *PermitRequest) error {
	r := reading{mapper: m, call: call}
	if m.body.count > 0 {
		var ok bool
		var err error
		if r.body, ok, err = m.body.read(call.Body); !ok {
			return err
		}
	}
	mapped := r.all(m.request)
	if len(mapped) > 0 {
		environment := maps.Clone(to.Environment)
		if environment == nil {
			environment = map[string][]string{}
		}
		for id, values := range mapped {
			environment[string(id)] = values
		}
		to.Environment = environment
	}
	for i := range m.templates {
		t := &m.templates[i]
		def, _ := snapshot.AssetTemplate(t.id)
		assets, actions := r.assets(t, def), r.actions(t, def)
		pairs, size := len(assets)*len(actions), 1
		for _, values := range assets[0].Attributes {
			size += len(values)
		}
		if len(to.Resources)+pairs > maxPairs {
			return model.Invalidf("body: stands for more than %d pairs of an asset and an action", maxPairs)
		}
		if pairs*size > maxCallWork {
			return model.Invalidf("body: too many values for %d pairs of an asset and an action", pairs)
		}
		for _, asset := range assets {
			for _, action := range actions {
				action.AssetClaim = asset
				to.Resources = append(to.Resources, action)
			}
		}
	}
	return nil
}

// maxCallWork limits pairs times values: all assets of a call share its values, so that a small body could ask for any
// amount of work.
const maxCallWork = 10_000_000

// reading reads one call as one mapper says.
type reading struct {
	mapper *apiMapper
	call   *APICall
	body   [][]string // values by slot
}

// values gives the values at a place, not to be changed.
func (r *reading) values(p place) []string {
	switch p.source {
	case model.FromPath:
		if text, ok := r.call.Path.element(p.number, r.mapper.indexing); ok {
			return []string{text}
		}
	case model.FromQuery:
		return r.call.Query[p.name]
	case model.FromHeader:
		return r.call.Headers[p.name]
	case model.FromBody:
		return r.body[p.number]
	case model.FromMethod:
		return []string{r.call.Method}
	}
	return nil
}

// all gives the values of attributes; those without a value are left out.
func (r *reading) all(attributes []mappedAttribute) map[model.AttributeID][]string {
	out := map[model.AttributeID][]string{}
	for _, a := range attributes {
		if values := r.values(a.place); len(values) > 0 {
			out[a.id] = model.Union(out[a.id], values)
		}
	}
	return out
}

// assets are the assets of type def that a call is about: one for each id, or one without. def is nil for a type that
// is not there.
func (r *reading) assets(t *mappedTemplate, def *model.AssetTemplate) []AssetClaim {
	attributes := map[string][]string{}
	for id, values := range r.all(t.attributes) {
		if def == nil {
			break
		}
		if a, ok := def.Attribute(id); ok {
			attributes[cmp.Or(a.NameForRequest, string(a.ID))] = values
		}
	}
	var paths []string
	for _, p := range t.paths {
		paths = append(paths, r.values(p)...)
	}
	if len(paths) == 0 {
		paths = []string{""}
	}
	var out []AssetClaim
	for _, path := range model.Distinct(paths) {
		out = append(out, AssetClaim{Template: t.id, Path: path, Attributes: attributes})
	}
	return out
}

// actions are the claims of a call without their asset.
func (r *reading) actions(t *mappedTemplate, def *model.AssetTemplate) []ResourceClaim {
	var out []ResourceClaim
	add := func(c ResourceClaim) {
		if !slices.ContainsFunc(out, func(o ResourceClaim) bool { return o.Action == c.Action && o.Untold == c.Untold }) {
			out = append(out, c)
		}
	}
	if len(t.actions) == 0 {
		for _, name := range asked(def, "") {
			add(ResourceClaim{Action: name})
		}
		return out
	}
	for _, a := range t.actions {
		if a.source != "" {
			values := r.values(a.place)
			if len(values) == 0 || a.value != nil && !slices.Contains(values, *a.value) {
				continue
			}
		}
		action, ok := model.Action{}, false
		if def != nil {
			action, ok = def.Action(a.id)
		}
		add(ResourceClaim{Action: action.Value, Untold: !ok})
	}
	if len(out) == 0 {
		out = append(out, ResourceClaim{Untold: true})
	}
	return out
}
