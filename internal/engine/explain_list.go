package engine

import (
	"encoding/binary"
	"errors"
	"iter"
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

// Grounds are the grounds of the entries of an answer: all of them, found at once. They do not change.
type Grounds struct {
	residual *Residual
	access   *Access
	lists    [][]ground // the different ones
	of       []uint32   // which of them each entry has
}

// ground tells where the ground of a policy lies in the residual.
type ground struct{ combination, term, branch int32 } // the first two from 0, the branch from 1

// ErrTooManyGrounds is the error of grounds for which there is not enough room. They are never cut off.
var ErrTooManyGrounds = errors.New("engine: an answer has too many grounds")

// Grounds finds the grounds of an answer of this residual, which was selected with policies. Entries share equal ones, of
// which there is room for most. Errors: ErrTooManyGrounds, ErrStopped.
func (r *Residual) Grounds(a *Access, most int) (*Grounds, error) {
	out := &Grounds{residual: r, access: a, of: make([]uint32, 0, a.Len())}
	known := map[string]uint32{}
	var list []ground
	var key []byte
	for e := range a.Entries() {
		list, key = out.find(list[:0], &e), key[:0]
		if r.question.stopped() {
			return nil, ErrStopped // what was compared since says nothing
		}
		for _, g := range list {
			key = binary.AppendUvarint(key, uint64(g.combination))
			key = binary.AppendUvarint(key, uint64(g.term))
			key = binary.AppendUvarint(key, uint64(g.branch))
		}
		at, ok := known[string(key)]
		if !ok {
			if most -= len(list); most < 0 {
				return nil, ErrTooManyGrounds
			}
			at = uint32(len(out.lists))
			known[string(key)] = at
			out.lists = append(out.lists, slices.Clone(list))
		}
		out.of = append(out.of, at)
	}
	return out, nil
}

// find adds to the list one ground for each policy of each action of the entry's set.
func (g *Grounds) find(list []ground, e *Entry) []ground {
	set := g.access.sets[e.Actions]
	first := make([]int, len(set)) // where the grounds of an action begin
	for n := range set {
		first[n] = len(list)
		list = append(list, make([]ground, len(set[n].Policies))...)
	}
	missing := len(list)
	asset := e.described
	if asset == nil {
		asset = new(e.asset.asset(e.record))
	}
	for i := 0; missing > 0 && i < len(g.residual.permutations) && !g.residual.question.stopped(); i++ { // there may be very many
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
				if !ok || restricted[n] || list[first[n]+at].branch > 0 || !t.use.covers(set[n].Action.ID) {
					continue
				}
				if branch < 0 {
					branch = t.branch(asset)
				}
				if branch > 0 {
					list[first[n]+at] = ground{int32(i), int32(j), int32(branch)}
					missing--
				}
			}
		}
	}
	return list
}

// Entries yields the entries of the answer, and for each action of an entry's set one ground for each of its policies, in
// their order.
func (g *Grounds) Entries() iter.Seq2[Entry, [][]Ground] {
	return func(yield func(Entry, [][]Ground) bool) {
		i := 0
		for e := range g.access.Entries() {
			if !yield(e, g.tell(&e, g.lists[g.of[i]])) {
				return
			}
			i++
		}
	}
}

// tell says what the grounds of an entry are.
func (g *Grounds) tell(e *Entry, list []ground) [][]Ground {
	set := g.access.sets[e.Actions]
	out := make([][]Ground, len(set))
	for n := range set {
		for at, p := range set[n].Policies {
			use := g.residual.permutations[list[at].combination].terms[e.asset.def.ID][list[at].term].use
			out[n] = append(out[n], Ground{p, use.ruleset.src.ID, use.ruleset.src.Name, int(list[at].branch), int(list[at].combination) + 1})
		}
		list = list[len(set[n].Policies):]
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
