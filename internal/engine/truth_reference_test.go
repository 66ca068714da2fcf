package engine_test

import (
	"maps"
	"slices"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// The reference evaluator: policy-model.md section 4, word for word, record by record. It has no index, no residual and
// no step in common with the engine: it reads the same model and judges one pair after the other. Slow on purpose.

// world is an environment as plain lists.
type world struct {
	assetTemplates    map[model.TemplateID]model.AssetTemplate
	identityTemplates map[model.TemplateID]model.IdentityTemplate
	applications      map[model.ApplicationID]model.Application
	blocks            map[model.BlockID]model.Block
	policies          map[model.PolicyID]model.Policy
	assets            map[model.TemplateID][]model.Asset // catalogue order
	identities        map[model.TemplateID][]model.Identity
}

// values are the attribute values of one side.
type values map[model.AttributeID][]string

// person is one identity of one combination of rows.
type person struct {
	values   values
	inactive bool
}

// verdict is what the reference says of one pair.
type verdict struct {
	allowed  bool
	reason   string
	policies []model.PolicyID // granting, ascending
}

// steps of an Allow policy on its way to a grant, in the order of 4.8.
const (
	stepNone = iota
	stepNoGroup
	stepNoAsset // no ruleset true (PID005) or asset unknown (PID008)
	stepNoCondition
	stepGrants
)

// decide answers a yes/no question on one asset and one action, given as on the wire.
func (w *world) decide(q engine.Question, a engine.Asset, wire string) verdict {
	t, ok := w.assetTemplates[a.Template]
	if !ok {
		return verdict{reason: "PID002"}
	}
	action, ok := findAction(t, wire)
	if !ok {
		return verdict{reason: "PID002"}
	}
	if !w.reachable(q, t.ID) {
		return verdict{reason: "PID001"}
	}
	return w.pair(q, t, a, action.ID)
}

// findAction matches a wire name to the values first, then to the ids (3.2).
func findAction(t model.AssetTemplate, wire string) (model.Action, bool) {
	for _, x := range t.Actions {
		if x.Value == wire {
			return x, true
		}
	}
	for _, x := range t.Actions {
		if string(x.ID) == wire {
			return x, true
		}
	}
	return model.Action{}, false
}

// reachable is the first half of E2.
func (w *world) reachable(q engine.Question, t model.TemplateID) bool {
	for _, id := range q.Applications {
		if slices.Contains(w.applications[id].AssetTemplateIDs, t) {
			return true
		}
	}
	return false
}

// pair judges a pair of a reachable type. The empty action stands for "in the list at all" of types without actions
// (E11).
func (w *world) pair(q engine.Question, t model.AssetTemplate, a engine.Asset, action model.ActionID) verdict {
	asset, known := w.assetValues(t, a)
	whole := a.Path == "" && t.Source != model.SourceRequest
	var granting []model.PolicyID
	furthest, exists, restricted := stepNone, false, false
	for _, people := range w.combinations(q) {
		s := situation{w: w, q: q, people: people, asset: asset, known: known, whole: whole}
		taken := s.takenAway(t.ID, action)
		restricted = restricted || taken
		for _, id := range slices.Sorted(maps.Keys(w.policies)) {
			p := w.policies[id]
			if p.Inactive || p.Access != model.Allow || !w.uses(p, t.ID, action) {
				continue
			}
			exists = true
			step := s.step(p, t.ID, action)
			furthest = max(furthest, step)
			if step == stepGrants && !taken && !slices.Contains(granting, id) {
				granting = append(granting, id)
			}
		}
	}
	slices.Sort(granting)
	if len(granting) > 0 {
		return verdict{allowed: true, policies: granting}
	}
	return verdict{reason: denyReason(furthest, exists, restricted, known || whole)}
}

// denyReason is the table of 4.8 from its third line on.
func denyReason(furthest int, exists, restricted, known bool) string {
	switch {
	case !exists && !restricted:
		return "PID003"
	case !exists, furthest == stepGrants:
		return "PID007"
	case furthest == stepNoGroup:
		return "PID004"
	case furthest == stepNoAsset && !known:
		return "PID008"
	case furthest == stepNoAsset:
		return "PID005"
	}
	return "PID006"
}

// assetValues collects the asset's data (E12); known is false for an asset that its source does not have.
func (w *world) assetValues(t model.AssetTemplate, a engine.Asset) (v values, known bool) {
	v = values{}
	put := func(from model.Attributes) {
		for _, attribute := range t.Attributes {
			if vs, ok := from[attribute.ID]; ok {
				v[attribute.ID] = vs
			}
		}
	}
	if t.Source == model.SourceRequest {
		put(a.Attributes)
		if a.Path != "" { // an asset without id (runtime-api.md 8.2) has no path
			v[model.AttributePath] = []string{a.Path}
		}
		w.calculateAsset(t, v)
		return v, true
	}
	for _, stored := range w.assets[t.ID] {
		if stored.Path == a.Path {
			put(stored.Attributes)
			known = true
		}
	}
	if t.IsAttributeSentInRequest {
		put(a.Attributes)
	}
	v[model.AttributePath] = []string{a.Path}
	w.calculateAsset(t, v)
	return v, known
}

// combinations gives the identities of the request, pooled (E19) or one combination of rows after the other (E20, E21).
func (w *world) combinations(q engine.Question) []map[model.TemplateID]person {
	out := []map[model.TemplateID]person{{}}
	for _, id := range q.Identities {
		var next []map[model.TemplateID]person
		for _, v := range rowsOf(id, q.CombinedMultiValue) {
			v[model.AttributeUID] = []string{id.EntityID}
			w.calculateIdentity(id.Template, v)
			for _, before := range out {
				c := maps.Clone(before)
				c[id.Template] = person{values: v, inactive: id.Inactive}
				next = append(next, c)
			}
		}
		out = next
	}
	return out
}

func rowsOf(id engine.Identity, combined bool) []values {
	if !combined || len(id.Rows) == 0 {
		v := values{}
		for _, m := range append([]model.Attributes{id.Attributes}, id.Rows...) {
			for k, texts := range m {
				v[k] = append(v[k], texts...)
			}
		}
		return []values{v}
	}
	var out []values
	for _, row := range id.Rows {
		v := values{}
		maps.Copy(v, id.Attributes)
		maps.Copy(v, row)
		out = append(out, v)
	}
	return out
}

// situation is one combination of identities before one asset.
type situation struct {
	w            *world
	q            engine.Question
	people       map[model.TemplateID]person
	asset        values
	known, whole bool
}

// takenAway: some Restrict policy applies and covers (E10).
func (s situation) takenAway(t model.TemplateID, action model.ActionID) bool {
	for _, p := range s.w.policies {
		if p.Inactive || p.Access != model.Restrict || !s.w.uses(p, t, action) {
			continue
		}
		if s.who(p) && s.when(p) && (s.whole || s.covers(p, t, action)) {
			return true
		}
	}
	return false
}

// step tells how far an Allow policy gets.
func (s situation) step(p model.Policy, t model.TemplateID, action model.ActionID) int {
	switch {
	case !s.who(p):
		return stepNoGroup
	case !s.covers(p, t, action):
		return stepNoAsset
	case !s.when(p):
		return stepNoCondition
	}
	return stepGrants
}

// who is E4, E5 and E17.
func (s situation) who(p model.Policy) bool {
	in := 0
	for template, one := range s.people {
		for _, id := range p.DynamicGroups {
			g := s.w.blocks[id]
			if g.Template == template && !one.inactive && s.anyBranch(g, template, nil) {
				in++
				break
			}
		}
	}
	if p.Access == model.Restrict {
		return in > 0
	}
	return in == len(s.people)
}

// uses reports whether the policy has a ruleset use on the type that is without an action list or lists the action.
func (w *world) uses(p model.Policy, t model.TemplateID, action model.ActionID) bool {
	for _, use := range p.Rulesets {
		if w.blocks[use.BlockID].Template == t && (use.AllActions || slices.Contains(use.ActionIDs, action)) {
			return true
		}
	}
	return false
}

// covers is E6 and E7. A question about a stored type as a whole needs a branch without lines (runtime-api.md 9.2).
func (s situation) covers(p model.Policy, t model.TemplateID, action model.ActionID) bool {
	for _, use := range p.Rulesets {
		r := s.w.blocks[use.BlockID]
		if r.Template != t || !use.AllActions && !slices.Contains(use.ActionIDs, action) {
			continue
		}
		if s.whole && slices.ContainsFunc(r.Branches, func(b model.Branch) bool {
			return len(b.Rules) == 0 && s.anyBranch(model.Block{Branches: []model.Branch{b}}, "", nil)
		}) {
			return true
		}
		if !s.whole && s.known && s.anyBranch(r, "", s.asset) {
			return true
		}
	}
	return false
}

// when is E8: all conditions are met.
func (s situation) when(p model.Policy) bool {
	for _, id := range p.Conditions {
		c := s.w.blocks[id]
		met := false
		switch c.Kind {
		case model.KindCondition:
			met = slices.ContainsFunc(c.Ranges, func(r model.TimeRange) bool { return inRange(r, s.q) })
		case model.KindConditionIP:
			met = inBlocks(c.IP, s.q.SourceIP)
		case model.KindConditionIdentity:
			one, ok := s.people[c.Template]
			met = ok && !one.inactive && s.anyBranch(c, c.Template, nil)
		case model.KindConditionRequest:
			met = s.anyBranch(c, "", nil)
		}
		if !met {
			return false
		}
	}
	return true
}

// anyBranch: some branch has all its rules true. template is whose values identity[…] reads, unless the branch names
// one (E18).
func (s situation) anyBranch(b model.Block, template model.TemplateID, asset values) bool {
	return slices.ContainsFunc(b.Branches, func(branch model.Branch) bool {
		of := template
		if branch.IdentityTemplate != "" {
			of = branch.IdentityTemplate
			if _, ok := s.people[of]; !ok {
				return false
			}
		}
		get := func(r model.Ref) []string {
			switch r.Side {
			case model.SideAsset:
				return asset[r.Attribute]
			case model.SideIdentity:
				return s.people[of].values[r.Attribute]
			}
			return s.q.Environment[string(r.Attribute)]
		}
		return !slices.ContainsFunc(branch.Rules, func(r model.Rule) bool { return !s.w.holds(r, b, of, get) })
	})
}

// holds judges one line (4.1, 4.2).
func (w *world) holds(r model.Rule, b model.Block, of model.TemplateID, get func(model.Ref) []string) bool {
	numeric := r.Op >= model.OpLess
	switch r.Left.Side {
	case model.SideAsset:
		t := w.assetTemplates[b.Template]
		a, _ := t.Attribute(r.Left.Attribute)
		numeric = a.Type == model.Numeric
	case model.SideIdentity:
		t := w.identityTemplates[of]
		a, _ := t.Attribute(r.Left.Attribute)
		numeric = a.Type == model.Numeric
	default:
		for _, l := range r.Literals {
			numeric = numeric || l.Number
		}
	}
	left, right := get(r.Left), []string(nil)
	if r.Ref.Side != 0 {
		right = get(r.Ref)
	}
	for _, l := range r.Literals {
		right = append(right, l.Text)
	}
	if numeric {
		return compareNumbers(r.Op, numbers(left), numbers(right))
	}
	return compareTexts(r.Op, left, right)
}
