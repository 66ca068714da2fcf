package engine

import (
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Ground is why a policy grants an action on an asset: the branch of a ruleset that holds, in one combination of rows.
type Ground struct {
	Policy      PolicyRef
	Ruleset     model.BlockID
	Name        string // of the ruleset
	Branch      int    // from 1
	Combination int    // from 1
}

// Grounds finds the grounds of entries that a selection with policies found. It is for one goroutine.
type Grounds struct {
	residual *Residual
	sets     []ActionSet
}

// Grounds is for the entries of an answer of this residual.
func (r *Residual) Grounds(a *Access) *Grounds { return &Grounds{residual: r, sets: a.ActionSets()} }

// Of gives for each action of the entry's set one ground for each of its policies, in their order.
func (g *Grounds) Of(e *Entry) [][]Ground {
	set := g.sets[e.Actions]
	out, missing := make([][]Ground, len(set)), 0
	for n := range set {
		out[n] = make([]Ground, len(set[n].Policies))
		missing += len(out[n])
	}
	asset := e.described
	if asset == nil {
		asset = new(e.asset.asset(e.record))
	}
	for i := 0; missing > 0 && i < len(g.residual.permutations); i++ { // there may be very many
		terms := g.residual.permutations[i].terms[e.asset.def.ID]
		restricted := restrictedActions(terms, asset, set)
		for j := range terms {
			t := &terms[j]
			if t.policy.restrict {
				continue
			}
			branch := -1 // not looked for
			for n := range set {
				at, ok := slices.BinarySearchFunc(set[n].Policies, t.policy.src.ID, comparePolicyRef)
				if !ok || restricted[n] || out[n][at].Branch > 0 || !t.use.covers(set[n].Action.ID) {
					continue
				}
				if branch < 0 {
					branch = t.branch(asset)
				}
				if branch > 0 {
					out[n][at] = Ground{set[n].Policies[at], t.use.ruleset.src.ID, t.use.ruleset.src.Name, branch, i + 1}
					missing--
				}
			}
		}
	}
	return out
}

func comparePolicyRef(p PolicyRef, id model.PolicyID) int {
	return strings.Compare(string(p.ID), string(id))
}

// restrictedActions are the actions of a set that Restrict policies take away.
func restrictedActions(terms []term, a *model.Asset, set ActionSet) []bool {
	out := make([]bool, len(set))
	for i := range terms {
		t := &terms[i]
		if !t.policy.restrict || !t.holds(a) {
			continue
		}
		for n := range set {
			out[n] = out[n] || t.use.covers(set[n].Action.ID)
		}
	}
	return out
}

// branch is the first branch of the ruleset that holds for an asset, from 1; 0 = none.
func (t *term) branch(a *model.Asset) int {
	for i := range t.branches {
		if t.branches[i].holds(a) {
			return slices.Index(t.use.ruleset.branches, t.branches[i].src) + 1
		}
	}
	return 0
}

// Standing shows the parts of a policy that do not depend on an asset, WHO and WHEN, cut down to what holds or comes nearest,
// in the first combination of rows in which both hold, else in the first. It keeps every condition.
func (r *Residual) Standing(id model.PolicyID, most Bounds) (trace PolicyTrace, ok bool) {
	pol, ok := r.snapshot.policies.get(id)
	if !ok {
		return trace, false
	}
	p := &r.permutations[0]
	for i := range r.permutations {
		if q := &r.permutations[i]; q.inGroups(pol) && q.holdsWhen(pol) {
			p = q
			break
		}
	}
	trace = PolicyTrace{Policy: PolicyRef{pol.src.ID, pol.src.Name}, Restrict: pol.restrict}
	p.traceWho(&trace, pol, nearestBranch)
	p.traceWhen(&trace, pol, nearestBranch)
	most.Conditions = len(trace.When)
	trace.narrow(most)
	return trace, true
}
