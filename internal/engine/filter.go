package engine

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Filter tells which assets of a type one action is granted on, without looking at any: for rows that live elsewhere
// (runtime-api.md 10). An asset fits when it fits some branch; Branches nil means that every asset does.
type Filter struct {
	Action   model.Action
	Policy   PolicyRef // that grants, when policies were asked for
	Branches [][]Leaf
}

// Leaf compares the values of one attribute of an asset: it holds when some value does, for the negative operators when
// there is a value and none is among Values. OpIn and OpNotIn have one or more values, every other operator has one.
type Leaf struct {
	Attribute model.AttributeID
	Numeric   bool
	Op        model.Operator
	Values    []string // numbers in plain decimal notation
}

// ErrTooManyBranches is the error of a filter that would have more branches than wanted. A filter is never cut off.
var ErrTooManyBranches = errors.New("engine: a filter has too many branches")

// Filters lists what is granted of the wanted actions of a reachable type, in the type's order and, with policies, one for
// each granting policy by id. What Restrict policies take away is in the branches as negations; where there is none the
// assets concerned are left out, so that a filter may fit fewer assets than Evaluate allows, never more (10.4). limit is
// how many branches a filter may have.
func (r *Residual) Filters(want TemplateSelection, policies bool, limit int) ([]Filter, error) {
	if !r.reachable[want.Template] {
		return nil, nil
	}
	c := &collector{residual: r, asset: r.snapshot.assets[want.Template], policies: policies}
	if len(c.asset.def.Actions) == 0 {
		return nil, nil
	}
	var out []Filter
	for _, action := range c.choose(Selection{Templates: []TemplateSelection{want}}, want.Template) {
		b := &filterBuilder{asset: c.asset, policies: policies, limit: limit, found: map[*policy]*branchSet{}}
		for i := range r.permutations {
			if r.question.stopped() {
				return nil, ErrStopped
			}
			if err := b.add(r.permutations[i].terms[want.Template], action.ID); err != nil {
				return nil, err
			}
		}
		for _, p := range b.order() {
			f := Filter{Action: action, Branches: b.found[p].branches()}
			if p != nil {
				f.Policy = PolicyRef{p.src.ID, p.src.Name}
			}
			out = append(out, f)
		}
	}
	return out, nil
}

// filterBuilder gathers the filters of one action, by policy or (nil) for all of them together.
type filterBuilder struct {
	asset    *assetType
	policies bool
	limit    int
	found    map[*policy]*branchSet
}

func (b *filterBuilder) order() []*policy {
	var out []*policy
	for p := range b.found {
		out = append(out, p)
	}
	if b.policies {
		slices.SortFunc(out, comparePolicies)
	}
	return out
}

// add adds what one permutation grants.
func (b *filterBuilder) add(terms []term, action model.ActionID) error {
	var taken [][]Leaf
	for i := range terms {
		if t := &terms[i]; t.policy.restrict && t.use.covers(action) {
			for _, branch := range flatten(t) {
				if len(branch) == 0 {
					return nil // takes every asset
				}
				taken = append(taken, branch)
			}
		}
	}
	for i := range terms {
		t := &terms[i]
		if t.policy.restrict || !t.use.covers(action) {
			continue
		}
		for _, branch := range flatten(t) {
			left, err := b.subtract(branch, taken)
			if err != nil {
				return err
			}
			if err := b.keep(t.policy, left); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *filterBuilder) keep(p *policy, branches [][]Leaf) error {
	if len(branches) == 0 {
		return nil
	}
	if !b.policies {
		p = nil
	}
	set := b.found[p]
	if set == nil {
		set = newBranchSet()
		b.found[p] = set
	}
	for _, branch := range branches {
		set.add(branch)
	}
	if len(set.list) > b.limit {
		return ErrTooManyBranches
	}
	return nil
}

// subtract multiplies a branch by the negations of what is taken: one alternative for every leaf that has a negation.
func (b *filterBuilder) subtract(branch []Leaf, taken [][]Leaf) ([][]Leaf, error) {
	out := [][]Leaf{branch}
	for _, minus := range taken {
		next := newBranchSet()
		for _, leaves := range out {
			for i := range minus {
				not, ok := b.negate(&minus[i])
				if !ok {
					continue
				}
				if !slices.ContainsFunc(leaves, not.equals) {
					next.add(append(slices.Clip(leaves), not))
				} else {
					next.add(leaves)
				}
			}
			if len(next.list) > b.limit {
				return nil, ErrTooManyBranches
			}
		}
		out = next.list
	}
	return out, nil
}

// negation is the operator that holds of the values of an attribute when another does not (10.4 rule 5). The text
// operators have none.
func negation(op model.Operator) (model.Operator, bool) {
	switch op {
	case model.OpEqual:
		return model.OpNotEqual, true
	case model.OpNotEqual:
		return model.OpEqual, true
	case model.OpIn:
		return model.OpNotIn, true
	case model.OpNotIn:
		return model.OpIn, true
	case model.OpLess:
		return model.OpGreaterEqual, true
	case model.OpGreaterEqual:
		return model.OpLess, true
	case model.OpLessEqual:
		return model.OpGreater, true
	case model.OpGreater:
		return model.OpLessEqual, true
	}
	return 0, false
}

func (b *filterBuilder) negate(l *Leaf) (Leaf, bool) {
	op, ok := negation(l.Op)
	if a, declared := b.asset.def.Attribute(l.Attribute); declared && a.IsMultiValue && l.Op.IsOrder() {
		return Leaf{}, false // some value may be below and another one above
	}
	return Leaf{Attribute: l.Attribute, Numeric: l.Numeric, Op: op, Values: l.Values}, ok
}

func (l *Leaf) equals(m Leaf) bool {
	return l.Attribute == m.Attribute && l.Op == m.Op && slices.Equal(l.Values, m.Values)
}

// branchSet keeps different branches in the order of their first adding.
type branchSet struct {
	list  [][]Leaf
	known map[string]bool
}

func newBranchSet() *branchSet { return &branchSet{known: map[string]bool{}} }

func (s *branchSet) add(branch []Leaf) {
	var key strings.Builder
	for i := range branch {
		l := &branch[i]
		key.WriteString(string(l.Attribute))
		key.WriteByte(byte(l.Op)) // no attribute id holds a control character
		for _, v := range l.Values {
			key.WriteString(strconv.Quote(v))
		}
		key.WriteByte(0)
	}
	if !s.known[key.String()] {
		s.known[key.String()] = true
		s.list = append(s.list, branch)
	}
}

// branches is nil when one of them fits every asset.
func (s *branchSet) branches() [][]Leaf {
	if slices.ContainsFunc(s.list, func(b []Leaf) bool { return len(b) == 0 }) {
		return nil
	}
	return s.list
}

// flatten makes the branches of a term lists of leaves. A line that looks for one of several texts becomes as many
// branches.
func flatten(t *term) [][]Leaf {
	var out [][]Leaf
	for i := range t.branches {
		branches := [][]Leaf{nil}
		for j := range t.branches[i].predicates {
			var next [][]Leaf
			for _, leaf := range leavesOf(&t.branches[i].predicates[j]) {
				for _, before := range branches {
					next = append(next, append(slices.Clip(before), leaf))
				}
			}
			branches = next
		}
		out = append(out, branches...)
	}
	return out
}

// leavesOf are the alternatives of a predicate: one leaf, for the text operators one for every text.
func leavesOf(p *predicate) []Leaf {
	leaf := Leaf{Attribute: p.attribute, Numeric: p.numeric, Op: p.op, Values: p.texts}
	if p.numeric {
		numbers := slices.CompactFunc(slices.SortedFunc(slices.Values(p.numbers), model.Number.Compare),
			func(a, b model.Number) bool { return a == b })
		switch {
		case p.op == model.OpLess || p.op == model.OpLessEqual:
			numbers = numbers[len(numbers)-1:]
		case p.op.IsOrder():
			numbers = numbers[:1]
		}
		leaf.Values = nil
		for _, n := range numbers {
			leaf.Values = append(leaf.Values, n.String())
		}
	}
	switch {
	case p.op.IsText():
		var out []Leaf
		for _, text := range leaf.Values {
			one := leaf
			one.Values = []string{text}
			out = append(out, one)
		}
		return out
	case len(leaf.Values) > 1 && p.op == model.OpEqual:
		leaf.Op = model.OpIn
	case len(leaf.Values) > 1 && p.op == model.OpNotEqual:
		leaf.Op = model.OpNotIn
	}
	return []Leaf{leaf}
}
