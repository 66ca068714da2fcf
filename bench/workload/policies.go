package workload

import (
	"fmt"
	"net/netip"

	"github.com/ambit-authz/ambit/internal/model"
)

func literal(attribute string, op model.Operator, values ...string) Rule {
	return Rule{Attribute: attribute, Op: op, Values: values}
}

func same(attribute string, op model.Operator, of string) Rule {
	return Rule{Attribute: attribute, Op: op, Of: of}
}

// group makes the ten policies of a group: one of each kind of rule. g turns the literals, so that groups differ.
func (w *World) group(t, g int) []Policy {
	member := g
	if t >= w.Answered {
		member++
	}
	who := []Branch{
		{literal(Department, model.OpEqual, department(member)), literal(Clearance, model.OpGreaterEqual, "2")},
		{literal(Projects, model.OpIn, fmt.Sprintf("steering-%05d", member), fmt.Sprintf("audit-%05d", member))},
	}
	policies := broad(g)
	if w.Shape == Narrow {
		policies = narrow(g)
	}
	for i := range policies {
		policies[i].ID = fmt.Sprintf("policy-%02d-%05d-%d", t, g, i)
		policies[i].Type = t
		policies[i].Who = who
	}
	return policies
}

// Conditions. The user is inside, and the day is long past 2020.
func inside() *Condition  { return &Condition{Network: netip.MustParsePrefix("10.0.0.0/8")} }
func outside() *Condition { return &Condition{Network: netip.MustParsePrefix("192.168.0.0/16")} }
func today() *Condition   { return &Condition{From: model.Date{Year: 2020, Month: 1, Day: 1}} }
func past() *Condition    { return &Condition{Until: model.Date{Year: 2020, Month: 12, Day: 31}} }

// broad has rules of low selectivity.
func broad(g int) []Policy {
	return []Policy{
		{What: []Branch{{literal(Region, model.OpEqual, region(g)), literal(Level, model.OpLessEqual, "4")}}, Actions: []string{"View"}},
		{What: []Branch{{same(Owner, model.OpEqual, Team)}}},
		{
			What:    []Branch{{literal(Region, model.OpIn, region(g+3), region(g+4), region(g+5), region(g+6)), literal(Amount, model.OpLess, "65000")}},
			Actions: []string{"View", "Export"},
		},
		{What: []Branch{{literal(Code, model.OpStartsWith, string(rune('A'+g%20)))}}, Actions: []string{"View"}},
		{
			What:    []Branch{{same(Tags, model.OpIn, Projects)}, {literal(Tags, model.OpEqual, fmt.Sprintf("tag-%02d", g%50)), same(Level, model.OpLessEqual, Clearance)}},
			Actions: []string{"View", "Edit"}, When: inside(),
		},
		{
			What:    []Branch{{literal(Region, model.OpNotIn, region(g+1), region(g+2), region(g+7)), literal(Amount, model.OpGreaterEqual, "92000")}},
			Actions: []string{"Approve"}, When: today(),
		},
		{What: []Branch{
			{literal(Region, model.OpEqual, region(g+8)), literal(Tags, model.OpEqual, fmt.Sprintf("tag-%02d", (g+9)%50))},
			{literal(Region, model.OpEqual, region(g+9)), literal(Level, model.OpNotEqual, "5"), literal(Amount, model.OpLess, "70000")},
		}, Actions: []string{"View", "Comment"}},
		{Restrict: true, What: []Branch{{literal(Level, model.OpEqual, "5"), same(Owner, model.OpNotEqual, Team)}}, Actions: []string{"Edit", "Export"}},
		{What: []Branch{{literal(Level, model.OpGreaterEqual, "1")}}, Actions: []string{"View", "Edit"}, When: outside()},
		{Restrict: true, What: []Branch{{literal(Tags, model.OpEqual, fmt.Sprintf("tag-%02d", (g+20)%50))}, {literal(Amount, model.OpLess, "500")}}},
	}
}

// narrow has a rule about the user's own things in every branch that allows, beside rules that hold for much of the
// catalogue.
func narrow(g int) []Policy {
	own := same(Owner, model.OpEqual, Team)
	project := same(Tags, model.OpIn, Projects)
	area := same(Code, model.OpStartsWith, Area)
	return []Policy{
		{What: []Branch{{literal(Region, model.OpNotEqual, region(g)), own}}, Actions: []string{"View"}},
		{What: []Branch{{own, same(Level, model.OpLessEqual, Clearance)}}},
		{What: []Branch{{literal(Amount, model.OpLess, "50000"), project}}, Actions: []string{"View", "Export"}},
		{What: []Branch{{area, literal(Region, model.OpNotIn, region(g+1), region(g+2), region(g+3), region(g+4), region(g+5))}}, Actions: []string{"View"}},
		{What: []Branch{{project, literal(Level, model.OpLessEqual, "4")}}, Actions: []string{"View", "Edit"}, When: inside()},
		{What: []Branch{{area, literal(Amount, model.OpGreaterEqual, "20000"), literal(Amount, model.OpLess, "80000")}}, Actions: []string{"Approve"}, When: today()},
		{What: []Branch{
			{literal(Region, model.OpIn, region(g+6), region(g+7), region(g+8)), project},
			{literal(Tags, model.OpEqual, fmt.Sprintf("tag-%02d", g%50)), own},
		}, Actions: []string{"View", "Comment"}},
		{Restrict: true, What: []Branch{{literal(Level, model.OpEqual, "5"), same(Owner, model.OpNotEqual, Team)}}, Actions: []string{"Edit", "Export"}},
		{What: []Branch{{literal(Level, model.OpGreaterEqual, "1")}}, Actions: []string{"View", "Edit"}, When: past()},
		{Restrict: true, What: []Branch{{literal(Tags, model.OpEqual, fmt.Sprintf("tag-%02d", (g+20)%50))}, {literal(Amount, model.OpLess, "5000")}}},
	}
}
