package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// TestFiltersAgreeWithChecks: RT-94 to RT-98: a filter, evaluated by a plain reader of its leaves, never fits an asset that
// a check denies; without Restrict policies it fits exactly the assets that a check allows, and with them it leaves out
// only assets of which a line that takes away has no negation or no value, or that a line on a calculated attribute grants. With policies, each filter is that of one.
func TestFiltersAgreeWithChecks(t *testing.T) {
	n := checks(t, "AMBIT_CHECKS", 1500)
	var count tally
	hidden, allowed, asked, refused := 0, 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		gentle := m.chance(40)
		m.plain = gentle // a line on a calculated attribute hides assets, too
		m.world()
		m.oneValue()
		if gentle {
			for id, p := range m.w.policies {
				p.Access = model.Allow
				m.w.policies[id] = p
			}
		}
		s := build(rt, m.w, 2)
		for range 4 {
			q := m.question()
			r := bind(rt, s, q)
			for _, id := range m.assetTypes() {
				if len(m.w.assetTemplates[id].Actions) == 0 {
					continue
				}
				fits := readFilters(rt, r, id)
				if fits == nil {
					refused++ // an error is no answer, and wrong about nothing
					continue
				}
				asked++
				for _, a := range m.w.assets[id] {
					for _, action := range m.w.assetTemplates[id].Actions {
						want := m.w.decide(q, engine.Asset{Template: id, Path: a.Path}, action.Value)
						count.add(q, want)
						got := fits(action.ID, a)
						switch {
						case got && !want.allowed:
							rt.Fatalf("%s\nthe filter of %s fits %+v, which is denied", scene{m.w, q}, action.ID, a)
						case !got && want.allowed && gentle:
							rt.Fatalf("%s\nthe filter of %s hides %+v though nothing is restricted", scene{m.w, q}, action.ID, a)
						case want.allowed:
							allowed++
							if !got {
								hidden++
							}
						}
					}
				}
			}
		}
	})
	reportShare(t, n, count, 10)
	t.Logf("%d of %d allowed pairs are hidden by filters; %d answers, %d refused for their size", hidden, allowed, asked, refused)
	if refused*100 > asked {
		t.Errorf("%d of %d answers are refused for their size: the comparison says little", refused, asked+refused)
	}
	if n >= 100 && hidden*4 > allowed {
		t.Errorf("%d of %d allowed pairs are hidden: negations are lost", hidden, allowed)
	}
}

// oneValue declares that some attributes of assets hold one value at most. Some stored assets kept more from before.
func (m *maker) oneValue() {
	for _, id := range m.assetTypes() {
		t := m.w.assetTemplates[id]
		t.Attributes = slices.Clone(t.Attributes)
		for i := range t.Attributes {
			if !m.chance(60) {
				continue
			}
			t.Attributes[i].IsMultiValue = false
			if t.Source == model.SourcePlainID && m.chance(20) {
				continue
			}
			for n, a := range m.w.assets[id] {
				if vs := a.Attributes[t.Attributes[i].ID]; len(vs) > 1 {
					a.Attributes = a.Attributes.Clone()
					a.Attributes[t.Attributes[i].ID] = vs[:1]
					m.w.assets[id][n] = a
				}
			}
		}
		m.w.assetTemplates[id] = t
	}
}

// readFilters asks for the filters of a type, whole and by policy, and gives their common reading; nil when they would have
// too many branches.
func readFilters(rt *rapid.T, r *engine.Residual, id model.TemplateID) func(model.ActionID, model.Asset) bool {
	room := engine.FilterRoom{Branches: 10_000, Bytes: 32 << 20}
	whole, err := r.Filters(engine.TemplateSelection{Template: id}, false, &room)
	if errors.Is(err, engine.ErrTooManyBranches) {
		return nil
	}
	if err != nil {
		rt.Fatal(err)
	}
	byPolicy, err := r.Filters(engine.TemplateSelection{Template: id}, true, &room)
	if err != nil {
		rt.Fatal(err)
	}
	any := func(filters []engine.Filter, action model.ActionID, a model.Asset) bool {
		return slices.ContainsFunc(filters, func(f engine.Filter) bool { return f.Action.ID == action && filterFits(f, a) })
	}
	return func(action model.ActionID, a model.Asset) bool {
		got := any(whole, action, a)
		if any(byPolicy, action, a) != got {
			rt.Fatalf("the filters of %s by policy and together differ for %+v", action, a)
		}
		return got
	}
}

// filterFits reads a filter as an application would.
func filterFits(f engine.Filter, a model.Asset) bool {
	return f.Branches == nil || slices.ContainsFunc(f.Branches, func(leaves []engine.Leaf) bool {
		return !slices.ContainsFunc(leaves, func(l engine.Leaf) bool { return !leafHolds(l, a) })
	})
}

func leafHolds(l engine.Leaf, a model.Asset) bool {
	values := a.Attributes[l.Attribute]
	if l.Attribute == model.AttributePath {
		values = []string{a.Path}
	}
	present, hit := false, false
	for _, v := range values {
		x, number := model.ParseNumber(v)
		if l.Numeric && !number {
			continue
		}
		present = true
		for _, w := range l.Values {
			y := readPlain(w)
			hit = hit || leafCompares(l, v, w, x.Compare(y))
		}
	}
	negative := l.Op == model.OpNotEqual || l.Op == model.OpNotIn
	return present && hit != negative
}

// readPlain reads a number in plain notation of any length, which ParseNumber does not.
func readPlain(w string) model.Number {
	if whole := strings.TrimRight(w, "0"); !strings.Contains(w, ".") {
		w = fmt.Sprintf("%se%d", whole, len(w)-len(whole))
	} else if sign, small, ok := strings.Cut(w, "0."); ok && (sign == "" || sign == "-") {
		digits := strings.TrimLeft(small, "0")
		w = fmt.Sprintf("%s.%se-%d", sign, digits, len(small)-len(digits))
	}
	n, _ := model.ParseNumber(w) // what is left of zero is zero
	return n
}

func leafCompares(l engine.Leaf, v, w string, order int) bool {
	switch l.Op {
	case model.OpContains:
		return strings.Contains(v, w)
	case model.OpStartsWith:
		return strings.HasPrefix(v, w)
	case model.OpEndsWith:
		return strings.HasSuffix(v, w)
	case model.OpLess:
		return order < 0
	case model.OpLessEqual:
		return order <= 0
	case model.OpGreater:
		return order > 0
	case model.OpGreaterEqual:
		return order >= 0
	}
	return l.Numeric && order == 0 || !l.Numeric && v == w
}
