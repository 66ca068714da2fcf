package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/model"
)

// usersOfLines is a world in which every action depends on one line: of a group, of a condition on identities or of a
// ruleset, with each operator on each kind of attribute and operand, once allowing and once taking away.
type usersOfLines struct {
	*maker
	lines, sorts []string // by action: all that a line says, and what must be seen of its like
}

// allLines fills the world. Literals are drawn, so that they fit some values.
func (l *usersOfLines) allLines() {
	l.w = newWorld()
	l.identityTemplate("I0")
	l.assetTemplate("T0")
	t := l.w.assetTemplates["T0"]
	t.Source, t.Attributes = model.SourcePlainID, []model.AssetAttribute{
		{ID: "s", Type: model.String, IsMultiValue: true}, {ID: "n", Type: model.Numeric, IsMultiValue: true},
	}
	t.Attributes = append(t.Attributes, l.calculatedAssetAttributes()...)
	l.w.assetTemplates[t.ID] = t
	l.w.applications["app"] = model.Application{ID: "app", WorkspaceID: authWorkspace, AssetTemplateIDs: []model.TemplateID{t.ID}}
	everybody := l.block(model.KindDynamicGroup, nil)
	everything := l.block(model.KindRuleset, nil)
	own := []model.Ref{{}, {Side: model.SideRequest}, {Side: model.SideIdentity, Attribute: "s2"}, {Side: model.SideIdentity, Attribute: "n"}}
	of := append(slices.Clone(own), model.Ref{Side: model.SideIdentity, Attribute: model.AttributeUID},
		model.Ref{Side: model.SideIdentity, Attribute: calculatedText}, model.Ref{Side: model.SideIdentity, Attribute: calculatedNumber})
	for _, kind := range []model.BlockKind{model.KindDynamicGroup, model.KindConditionIdentity, model.KindRuleset} {
		side, lefts, rights := model.SideIdentity, []model.AttributeID{"s", "n", model.AttributeUID, calculatedText, calculatedNumber}, own
		if kind == model.KindRuleset {
			side, lefts, rights = model.SideAsset, []model.AttributeID{"s", "n", calculatedText, calculatedNumber}, of
		}
		for _, left := range lefts {
			operators := textOperators
			if l.isNumeric(model.SideIdentity, "", left) {
				operators = numberOperators
			}
			for _, right := range rights {
				for _, op := range operators {
					rule := l.line(model.Ref{Side: side, Attribute: left}, op, right)
					b := l.block(kind, &rule)
					l.lines = append(l.lines, fmt.Sprintf("%s %s %v %v %v", kind, left, op, right, rule.Literals))
					l.sorts = append(l.sorts, fmt.Sprintf("%s, %v", kind, op))
					l.grant(b, everybody, everything)
				}
			}
		}
	}
	t.Actions = nil
	for i := range 2 * len(l.lines) {
		t.Actions = append(t.Actions, model.Action{ID: model.ActionID(fmt.Sprint(i)), Value: fmt.Sprint(i)})
	}
	l.w.assetTemplates[t.ID] = t
}

func (l *usersOfLines) line(left model.Ref, op model.Operator, right model.Ref) model.Rule {
	numeric := l.isNumeric(model.SideIdentity, "", left.Attribute)
	r := model.Rule{Left: left, Op: op, Ref: right}
	switch {
	case right.Side == model.SideRequest && numeric:
		r.Ref.Attribute = "rn"
	case right.Side == model.SideRequest:
		r.Ref.Attribute = "rs"
	case right.Side == 0:
		from := textAlphabet
		if numeric {
			from = numberLiterals
		} else if left.Attribute == calculatedText {
			from = calculatedValues
		}
		r.Literals = []model.Literal{{Text: l.value(from), Number: numeric}}
	}
	return r
}

// block makes a block of one branch with at most one line.
func (l *usersOfLines) block(kind model.BlockKind, rule *model.Rule) model.BlockID {
	b := model.Block{ID: l.blockID(), Kind: kind, WorkspaceID: authWorkspace, Name: fmt.Sprint("B", l.next), Template: "I0", Branches: []model.Branch{{}}}
	if kind == model.KindRuleset {
		b.Template = "T0"
	}
	if rule != nil {
		b.Branches[0].Rules = []model.Rule{*rule}
		if kind == model.KindRuleset && rule.Ref.Side == model.SideIdentity {
			b.Branches[0].IdentityTemplate = "I0"
		}
	}
	l.w.blocks[b.ID] = b
	return b.ID
}

// grant makes an action that a block allows, and one that it takes away from everybody.
func (l *usersOfLines) grant(b, everybody, everything model.BlockID) {
	policy := func(access model.Access, action int, with model.BlockID) {
		p := model.Policy{
			ID: model.PolicyID(fmt.Sprintf("p%05d", len(l.w.policies))), WorkspaceID: authWorkspace, Access: access,
			Use: model.PolicyUseDynamic, DynamicGroups: []model.BlockID{everybody},
			Rulesets: []model.RulesetUse{{BlockID: everything, ActionIDs: []model.ActionID{model.ActionID(fmt.Sprint(action))}}},
		}
		switch l.w.blocks[with].Kind {
		case model.KindDynamicGroup:
			p.DynamicGroups = []model.BlockID{with}
		case model.KindRuleset:
			p.Rulesets[0].BlockID = with
		default:
			p.Conditions = []model.BlockID{with}
		}
		l.w.policies[p.ID] = p
	}
	n := 2 * (len(l.lines) - 1)
	policy(model.Allow, n, b)
	policy(model.Allow, n+1, everybody)
	policy(model.Restrict, n+1, b)
}

// TestUsersOfEveryLine: runtime-api.md 11, policy-model.md 4: whoever a line allows something, or takes it from, is who is told so
// when he asks himself: with every operator, of groups, conditions and rulesets, on stored, calculated and sent values
// of any number, rows pooled and by themselves. Every sort of line is seen to hold and to fail.
func TestUsersOfEveryLine(t *testing.T) {
	checks(t, "AMBIT_LINES", 4)
	seen := map[string]map[bool]bool{}
	rapid.Check(t, func(rt *rapid.T) {
		l := &usersOfLines{maker: &maker{T: rt}}
		l.allLines()
		for _, id := range []string{"a", "b", "ab", "1", "1.0", "10", "A", "é", "iris"} {
			i := l.storedIdentity("I0")
			i.EntityID = id
			l.w.identities["I0"] = append(l.w.identities["I0"], i)
		}
		l.w.assets["T0"] = []model.Asset{l.asset("T0", 0)}
		s := build(rt, l.w, 1)
		for mode := range 4 {
			q := engine.UserQuestion{Question: l.question(), Asset: engine.Asset{Template: "T0", Path: l.w.assets["T0"][0].Path}}
			q.Identities, q.Applications, q.CombinedMultiValue = nil, []model.ApplicationID{"app"}, mode%2 == 1
			if mode < 2 {
				l.describe(&q)
			}
			l.compare(s, q, seen)
		}
	})
	for sort, values := range seen {
		if len(values) < 2 {
			t.Errorf("lines of the sort %q always say the same", sort)
		}
	}
}

// compare wants everybody's actions to be those that they find themselves.
func (l *usersOfLines) compare(s *engine.Snapshot, q engine.UserQuestion, seen map[string]map[bool]bool) {
	users, err := s.Users(q)
	if err != nil {
		l.Fatal(err)
	}
	got := map[string][]string{}
	for u := range users.Entries() {
		for _, g := range users.ActionSets()[u.Actions] {
			got[u.EntityID()] = append(got[u.EntityID()], g.Action.Value)
		}
	}
	want := map[string][]string{}
	for _, i := range l.w.identities["I0"] {
		if q.Describe != nil {
			i = q.Describe("I0", i)
		}
		alone := q.Question
		alone.Identities = []engine.Identity{{Template: "I0", EntityID: i.EntityID, Inactive: i.Inactive, Attributes: i.Attributes, Rows: i.Rows}}
		r, err := s.Bind(alone)
		if err != nil {
			l.Fatal(err)
		}
		access, err := r.Select(engine.Selection{Assets: []engine.Asset{q.Asset}})
		if err != nil {
			l.Fatal(err)
		}
		granted := map[string]bool{}
		for e := range access.Entries() {
			for _, g := range access.ActionSets()[e.Actions] {
				granted[g.Action.Value] = true
				want[i.EntityID] = append(want[i.EntityID], g.Action.Value)
			}
		}
		for n, sort := range l.sorts {
			if i.Inactive {
				break
			}
			if seen[sort] == nil {
				seen[sort] = map[bool]bool{}
			}
			seen[sort][granted[fmt.Sprint(2*n)]] = true
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		var names []string
		for id := range want {
			for action := range 2 * len(l.lines) {
				if a := fmt.Sprint(action); slices.Contains(want[id], a) != slices.Contains(got[id], a) {
					names = append(names, fmt.Sprintf("%s: %s, taken away %v", id, l.lines[action/2], action%2 == 1))
				}
			}
		}
		l.Fatalf("combined %v, said %v, people %+v: differ for %v", q.CombinedMultiValue, q.Said, l.w.identities["I0"], names)
	}
}
