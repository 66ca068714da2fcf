package engine

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/engine/index"
	"github.com/ambit-authz/ambit/internal/model"
)

// Deny reasons (policy-model.md 4.8).
const (
	ReasonNotInScope   = "PID001" // no application of the scope holds the asset type
	ReasonNoSuchAction = "PID002" // the asset type or action does not exist
	ReasonNoPolicy     = "PID003" // no taking-part Allow policy has a ruleset use for it
	ReasonNotInGroup   = "PID004"
	ReasonNoRuleset    = "PID005"
	ReasonCondition    = "PID006"
	ReasonRestricted   = "PID007"
	ReasonUnknownAsset = "PID008"
)

// Decision is the answer to one yes/no question. Reason is empty when Allowed; Policies are the granting policies by id.
type Decision struct {
	Allowed  bool
	Reason   string
	Policies []PolicyRef
}

// complete makes the asset that is judged: of a REQUEST type what the request describes; of a stored type the stored
// asset, with the request's values in place of its own where the type takes them (E12). ok is false for an unknown one.
func (s *Snapshot) complete(a *Asset) (*model.Asset, bool) {
	t, ok := s.assets[a.Template]
	if !ok {
		return nil, false
	}
	if t.def.Source == model.SourceRequest {
		return &model.Asset{Path: a.Path, Attributes: t.accepted(a.Attributes)}, true
	}
	o, ok := t.table.Find(a.Path)
	if !ok {
		return nil, false
	}
	return t.replaced(t.table.Record(o), t.accepted(a.Attributes)), true
}

// accepted are the values of a request that count for assets of the type (E12); those for calculated attributes never do.
func (t *assetType) accepted(sent model.Attributes) model.Attributes {
	if len(sent) == 0 || t.def.Source != model.SourceRequest && !t.def.IsAttributeSentInRequest {
		return nil
	}
	out := model.Attributes{}
	for id, vs := range sent {
		if t.columns[id] > 0 && t.calculated[id] == nil {
			out[id] = model.Distinct(vs)
		}
	}
	return out
}

// replaced is a stored asset with accepted values in place of its own.
func (t *assetType) replaced(r index.Record, sent model.Attributes) *model.Asset {
	out := t.asset(r)
	for id, vs := range sent {
		out.Attributes[id] = vs
	}
	return &out
}

// given are the values of an attribute that an asset brings along: of any but a calculated one.
func given(a *model.Asset, id model.AttributeID) []string {
	if id == model.AttributePath {
		return one(a.Path)
	}
	return a.Attributes[id]
}

// values are those of the left attribute of a ruleset's line. Calculated ones are made when they are asked for, so that
// many values of a request are never held twice.
func (r *rule) values(a *model.Asset) []string {
	if r.calculated != nil {
		return r.calculated.Values(given(a, r.calculated.Argument))
	}
	return given(a, r.src.Left.Attribute)
}

func (b *boundBranch) holds(a *model.Asset) bool {
	for i := range b.predicates {
		if p := &b.predicates[i]; !p.holds(p.rule.values(a)) {
			return false
		}
	}
	return true
}

func (t *term) holds(a *model.Asset) bool {
	return slices.ContainsFunc(t.branches, func(b boundBranch) bool { return b.holds(a) })
}

// judge says whether a term speaks for or against what is asked about.
type judge func(*term) bool

// about judges one asset.
func about(a *model.Asset) judge { return func(t *term) bool { return t.holds(a) } }

// aboutType judges a stored type as a whole: only a branch without lines speaks for it, any ruleset against it
// (runtime-api.md 9.2).
func aboutType(t *term) bool {
	return t.policy.restrict || slices.ContainsFunc(t.branches, func(b boundBranch) bool { return len(b.predicates) == 0 })
}

// labels lists what is granted of the collector's actions.
func (r *Residual) labels(c *collector, holds judge) []label {
	granted := map[label]bool{}
	for i := range r.permutations {
		allowed := map[label]bool{}
		restricted := make([]bool, len(c.actions))
		terms := r.permutations[i].terms[c.asset.def.ID]
		for j := range terms {
			t := &terms[j]
			if r.question.stopped() { // a line on very many values takes long
				return nil
			}
			if !t.use.coversAny(c.actions) || !holds(t) {
				continue
			}
			for n, action := range c.actions {
				switch {
				case !t.use.covers(action.ID):
				case t.policy.restrict:
					restricted[n] = true
				case c.policies:
					allowed[label{n, t.policy}] = true
				default:
					allowed[label{action: n}] = true
				}
			}
		}
		for l := range allowed {
			if !restricted[l.action] {
				granted[l] = true
			}
		}
	}
	out := make([]label, 0, len(granted))
	for l := range granted {
		out = append(out, l)
	}
	slices.SortFunc(out, compareLabels)
	return out
}

// Evaluate judges one asset and one action, named as on the wire. An asset of a stored type without a path asks about the
// type as a whole. With several permutations of rows the pair is allowed when one of them allows it (E20). What it says
// once the question's Done is closed is of no account.
func (r *Residual) Evaluate(a Asset, action string) Decision {
	t, act, reason := r.target(a.Template, action)
	if reason != "" {
		return Decision{Reason: reason}
	}
	about, known := r.subjectMatter(t, &a)
	if known {
		if granting := r.granting(t.def.ID, act.ID, about.judge); len(granting) > 0 {
			return Decision{Allowed: true, Policies: granting}
		}
	}
	return Decision{Reason: r.reason(t, act.ID, about)}
}

// granting are the policies that grant an action in some permutation, each once, by id.
func (r *Residual) granting(t model.TemplateID, action model.ActionID, holds judge) []PolicyRef {
	var found []*policy
	for i := range r.permutations {
		before := len(found)
		terms := r.permutations[i].terms[t]
		for j := range terms {
			term := &terms[j]
			if r.question.stopped() { // a line on very many values takes long
				return nil
			}
			if !term.use.covers(action) || !holds(term) {
				continue
			}
			if term.policy.restrict {
				found = found[:before]
				break
			}
			found = append(found, term.policy)
		}
	}
	slices.SortFunc(found, comparePolicies)
	var out []PolicyRef
	for _, p := range slices.Compact(found) {
		out = append(out, PolicyRef{p.src.ID, p.src.Name})
	}
	return out
}

// matter is what a yes/no question is about: an asset, a type as a whole, or (neither) an unknown asset.
type matter struct {
	asset *model.Asset
	whole bool
	judge judge
}

func (r *Residual) subjectMatter(t *assetType, a *Asset) (m matter, known bool) {
	if a.Path == "" && t.def.Source != model.SourceRequest {
		return matter{whole: true, judge: aboutType}, true
	}
	full, known := r.snapshot.complete(a)
	if !known {
		return matter{}, false
	}
	return matter{asset: full, judge: about(full)}, true
}

// target finds the type and action of a question, or why there is nothing to judge.
func (r *Residual) target(id model.TemplateID, action string) (*assetType, model.Action, string) {
	t, ok := r.snapshot.assets[id]
	if !ok {
		return nil, model.Action{}, ReasonNoSuchAction
	}
	act, ok := t.def.RequestAction(action)
	switch {
	case !ok:
		return t, act, ReasonNoSuchAction
	case !r.reachable[id]:
		return t, act, ReasonNotInScope
	}
	return t, act, ""
}

// reason says why a pair is not allowed: that of the Allow policy that got furthest in any permutation, unless a
// Restrict policy takes it away (policy-model.md 4.8).
func (r *Residual) reason(t *assetType, action model.ActionID, about matter) string {
	best, exists, restricted := ReasonNotInGroup, false, false
	policies, _ := r.snapshot.onType.get(t.def.ID)
	for i := range r.permutations {
		p := &r.permutations[i]
		for _, pol := range policies {
			if r.question.stopped() {
				return best // of no account
			}
			if !pol.active(r.reachable) || !pol.coversAction(t.def.ID, action) {
				continue
			}
			stage := p.stage(pol, t.def.ID, action, about)
			if pol.restrict {
				restricted = restricted || stage == ReasonRestricted
				continue
			}
			exists = true
			best = later(best, stage)
		}
	}
	switch {
	case restricted && (best == ReasonRestricted || !exists):
		return ReasonRestricted
	case !exists:
		return ReasonNoPolicy
	}
	return best
}

// reasonRank orders reasons by how far a policy got.
func reasonRank(reason string) int {
	switch reason {
	case ReasonNotInGroup:
		return 0
	case ReasonNoRuleset, ReasonUnknownAsset:
		return 1
	case ReasonCondition:
		return 2
	}
	return 3
}

func later(a, b string) string {
	if reasonRank(b) > reasonRank(a) {
		return b
	}
	return a
}

func (p *policy) coversAction(t model.TemplateID, action model.ActionID) bool {
	return slices.ContainsFunc(p.uses, func(u use) bool { return u.ruleset.src.Template == t && u.covers(action) })
}

// stage says how far a policy gets for a pair: the reason of the first part that fails, ReasonRestricted when none does.
func (p *permutation) stage(pol *policy, t model.TemplateID, action model.ActionID, about matter) string {
	if !p.inGroups(pol) {
		return ReasonNotInGroup
	}
	if about.asset == nil && !about.whole {
		return ReasonUnknownAsset
	}
	switch {
	case !p.fitsAny(pol, t, func(u *use) bool { return u.covers(action) }, about):
		return ReasonNoRuleset
	case !p.holdsWhen(pol):
		return ReasonCondition
	}
	return ReasonRestricted
}

func (p *permutation) inGroups(pol *policy) bool {
	in := func(sub *subject) bool {
		return !sub.inactive && slices.ContainsFunc(pol.groups, func(g *block) bool {
			return g.src.Template == sub.template && sub.holdsAny(g.branches)
		})
	}
	if pol.restrict {
		return slices.ContainsFunc(p.subjects, in)
	}
	return !slices.ContainsFunc(p.subjects, func(s *subject) bool { return !in(s) })
}

func (p *permutation) holdsWhen(pol *policy) bool {
	return !slices.ContainsFunc(pol.conditions, func(c *block) bool { return !p.met(c) })
}

// fits binds a ruleset and judges it. It does not write to the permutation: a residual may be used concurrently.
func (p *permutation) fits(pol *policy, u *use, holds judge) bool {
	t := term{policy: pol, use: u}
	for _, br := range u.ruleset.branches {
		if bound, ok := p.bindBranch(br, nil); ok {
			t.branches = append(t.branches, bound)
		}
	}
	return holds(&t)
}
