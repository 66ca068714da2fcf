package engine

import (
	"encoding/binary"
	"errors"
	"slices"

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

// FilterRoom bounds filters. Branches is how many one of them may have, Bytes about how long all filters of an answer
// may be together: a list of values stands in every branch, and a short number may have thousands of digits.
type FilterRoom struct{ Branches, Bytes int }

// leafBytes is about how long a leaf is without its values.
const leafBytes = 64

// ErrTooManyBranches is the error of filters for which there is not enough room. A filter is never cut off.
var ErrTooManyBranches = errors.New("engine: a filter has too many branches")

// Filters lists what is granted of the wanted actions of a reachable type, in the type's order and, with policies, one for
// each granting policy by id. What Restrict policies take away is in the branches as negations; where there is none the
// assets concerned are left out, so that a filter may fit fewer assets than Evaluate allows, never more (10.4). For the same
// reason no leaf is on a calculated attribute, which rows that live elsewhere lack: a branch that has one is left out, and
// such a line has no negation. What the filters take of the room is gone afterwards. Errors: ErrTooManyBranches, ErrStopped.
func (r *Residual) Filters(want TemplateSelection, policies bool, room *FilterRoom) ([]Filter, error) {
	if !r.reachable[want.Template] {
		return nil, nil
	}
	c := &collector{residual: r, asset: r.snapshot.assets[want.Template], policies: policies}
	if len(c.asset.def.Actions) == 0 {
		return nil, nil
	}
	var out []Filter
	for _, action := range c.choose(Selection{Templates: []TemplateSelection{want}}, want.Template) {
		b := &filterBuilder{residual: r, asset: c.asset, policies: policies, room: *room, found: map[*policy]*branchSet{}}
		for i := range r.permutations {
			if err := b.add(r.permutations[i].terms[want.Template], action.ID); err != nil {
				return nil, err
			}
		}
		room.Bytes -= b.kept
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
	residual *Residual
	asset    *assetType
	policies bool
	room     FilterRoom
	found    map[*policy]*branchSet
	kept     int // bytes of what was found, for all policies together
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
	if b.residual.question.stopped() {
		return ErrStopped
	}
	taken, all, err := b.taken(terms, action)
	if err != nil || all {
		return err
	}
	for i := range terms {
		t := &terms[i]
		if t.policy.restrict || !t.use.covers(action) {
			continue
		}
		for j := range t.branches {
			if slices.ContainsFunc(t.branches[j].predicates, func(p predicate) bool { return p.rule.calculated != nil }) {
				continue
			}
			split, err := b.split(&t.branches[j])
			if err != nil {
				return err
			}
			for _, branch := range split {
				left, err := b.subtract(branch, taken)
				if err != nil {
					return err
				}
				if err := b.keep(t.policy, left); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// taken are, for each branch that Restrict policies take away, the negations of its leaves: one of them holds of every
// asset that is left. all is true when nothing can be left: a branch takes every asset, or no leaf of it has a negation.
func (b *filterBuilder) taken(terms []term, action model.ActionID) (out [][]Leaf, all bool, err error) {
	room := b.room.Bytes // of digits, of which each line has its own
	for i := range terms {
		t := &terms[i]
		if !t.policy.restrict || !t.use.covers(action) {
			continue
		}
		for j := range t.branches {
			var negations []Leaf
			for k := range t.branches[j].predicates {
				p := &t.branches[j].predicates[k]
				if !b.hasNegation(p) {
					continue
				}
				not, err := b.leaf(p)
				if err != nil {
					return nil, false, err
				}
				if not.Op = negation(not.Op); not.Numeric {
					room -= bytesOf(not.Values)
				}
				if room < 0 {
					return nil, false, ErrTooManyBranches
				}
				negations = append(negations, not)
			}
			if len(negations) == 0 {
				return nil, true, nil
			}
			out = append(out, negations)
		}
	}
	return out, false, nil
}

func bytesOf(texts []string) (n int) {
	for _, t := range texts {
		n += len(t)
	}
	return n
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
		set = b.newSet()
		b.found[p] = set
	}
	b.kept -= set.bytes
	for _, branch := range branches {
		if err := set.add(branch); err != nil {
			return err
		}
	}
	if b.kept += set.bytes; b.kept > b.room.Bytes {
		return ErrTooManyBranches
	}
	return nil
}

// subtract multiplies a branch by the negations of what is taken: one alternative for every negation.
func (b *filterBuilder) subtract(branch []Leaf, taken [][]Leaf) ([][]Leaf, error) {
	out := [][]Leaf{branch}
	for _, minus := range taken {
		next := b.newSet()
		for _, leaves := range out {
			for _, not := range minus {
				left := leaves
				if !slices.ContainsFunc(leaves, not.equals) {
					left = append(slices.Clip(leaves), not)
				}
				if err := next.add(left); err != nil {
					return nil, err
				}
			}
		}
		out = next.list
	}
	return out, nil
}

// hasNegation reports whether there is a leaf that holds of the values of an attribute when the predicate does not (10.4
// rule 5).
func (b *filterBuilder) hasNegation(p *predicate) bool {
	if p.rule.calculated != nil || p.op.IsText() {
		return false
	}
	a, _ := b.asset.def.Attribute(p.attribute)
	several := a.IsMultiValue || b.asset.table.HasLists(b.asset.columns[p.attribute])
	return !p.op.IsOrder() || !several // some value may be below and another one above
}

// negation is the operator that holds when another one does not, of those that have one.
func negation(op model.Operator) model.Operator {
	switch op {
	case model.OpEqual:
		return model.OpNotEqual
	case model.OpNotEqual:
		return model.OpEqual
	case model.OpIn:
		return model.OpNotIn
	case model.OpNotIn:
		return model.OpIn
	case model.OpLess:
		return model.OpGreaterEqual
	case model.OpGreaterEqual:
		return model.OpLess
	case model.OpLessEqual:
		return model.OpGreater
	case model.OpGreater:
		return model.OpLessEqual
	}
	panic("engine: no such negation") // a leaf that says what is taken would widen the filter
}

func (l *Leaf) equals(m Leaf) bool {
	return l.Attribute == m.Attribute && l.Op == m.Op && slices.Equal(l.Values, m.Values)
}

// branchSet keeps different branches in the order of their first adding, as far as there is room.
type branchSet struct {
	builder *filterBuilder
	list    [][]Leaf
	known   map[string]bool
	bytes   int
}

func (b *filterBuilder) newSet() *branchSet { return &branchSet{builder: b, known: map[string]bool{}} }

// add also ends the work on a question that nobody waits for any more: most work on filters comes by here.
func (s *branchSet) add(branch []Leaf) error {
	if s.builder.residual.question.stopped() {
		return ErrStopped
	}
	var key []byte
	for i := range branch {
		l := &branch[i]
		key = append(key, l.Attribute...)
		key = append(key, byte(l.Op)) // no attribute id holds a control character
		key = binary.AppendUvarint(key, uint64(len(l.Values)))
		for _, v := range l.Values {
			key = append(binary.AppendUvarint(key, uint64(len(v))), v...)
		}
	}
	if s.known[string(key)] {
		return nil
	}
	s.known[string(key)] = true
	s.list = append(s.list, branch)
	s.bytes += len(key) + leafBytes*len(branch)
	if len(s.list) > s.builder.room.Branches || s.bytes > s.builder.room.Bytes {
		return ErrTooManyBranches
	}
	return nil
}

// branches is nil when one of them fits every asset.
func (s *branchSet) branches() [][]Leaf {
	if slices.ContainsFunc(s.list, func(b []Leaf) bool { return len(b) == 0 }) {
		return nil
	}
	return s.list
}

// split makes a branch lists of leaves. A line that looks for one of several texts becomes as many branches: readers
// take one text only.
func (b *filterBuilder) split(branch *boundBranch) ([][]Leaf, error) {
	out := [][]Leaf{nil}
	for i := range branch.predicates {
		leaf, err := b.leaf(&branch.predicates[i])
		if err != nil {
			return nil, err
		}
		alternatives := [][]string{leaf.Values}
		if leaf.Op.IsText() {
			alternatives = slices.Collect(slices.Chunk(leaf.Values, 1))
		}
		next := b.newSet()
		for _, leaf.Values = range alternatives {
			for _, before := range out {
				if err := next.add(append(slices.Clip(before), leaf)); err != nil {
					return nil, err
				}
			}
		}
		out = next.list
	}
	return out, nil
}

// leaf is a predicate as a filter tells it; only one with a text operator may have more values than readers take.
func (b *filterBuilder) leaf(p *predicate) (Leaf, error) {
	if b.residual.question.stopped() {
		return Leaf{}, ErrStopped // numbers of the request may be very many, and are sorted for every line
	}
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
		for room := b.room.Bytes; len(numbers) > 0; numbers = numbers[1:] {
			text := numbers[0].String()
			if room -= len(text); room < 0 {
				return Leaf{}, ErrTooManyBranches
			}
			leaf.Values = append(leaf.Values, text)
		}
	}
	switch {
	case len(leaf.Values) > 1 && p.op == model.OpEqual:
		leaf.Op = model.OpIn
	case len(leaf.Values) > 1 && p.op == model.OpNotEqual:
		leaf.Op = model.OpNotIn
	}
	return leaf, nil
}
