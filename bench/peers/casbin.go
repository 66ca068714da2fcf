package peers

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/casbin/casbin/v2"
	casbinmodel "github.com/casbin/casbin/v2/model"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
)

// Casbin is casbin with one ABAC rule a policy. It asks for one pair after another, since it has no other question.
type Casbin struct {
	enforcer *casbin.Enforcer
	user     casbinUser
	assets   []workload.Asset
}

// casbinUser is what rules call r.sub.
type casbinUser struct {
	Department, Team, Area string
	Projects               []string
	Clearance, Day         int
	Source                 netip.Addr
}

const casbinModel = `
[request_definition]
r = sub, obj, act
[policy_definition]
p = rule, act, eft
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = covers(p.act, r.act) && eval(p.rule)
`

// NewCasbin writes the policies of a world of one type.
func NewCasbin(w *workload.World) (*Casbin, error) {
	m, err := casbinmodel.NewModelFromString(casbinModel)
	if err != nil {
		return nil, err
	}
	e, err := casbin.NewEnforcer(m, false)
	if err != nil {
		return nil, err
	}
	for name, f := range casbinFunctions() {
		e.AddFunction(name, f)
	}
	for i := range w.Policies {
		p := &w.Policies[i]
		effect := "allow"
		if p.Restrict {
			effect = "deny"
		}
		rule := casbinBranches(p.Who, "r.sub") + casbinCondition(p.When) + " && " + casbinBranches(p.What, "r.obj")
		if _, err := e.AddPolicy(rule, strings.Join(actionNames(p), "|"), effect); err != nil {
			return nil, err
		}
	}
	u := &w.User
	first := func(name string) string { return u.Attributes[name][0] }
	return &Casbin{enforcer: e, assets: slices.Collect(w.Assets(0)), user: casbinUser{
		Department: first(workload.Department),
		Team:       first(workload.Team), Area: first(workload.Area), Projects: u.Attributes[workload.Projects],
		Clearance: number(first(workload.Clearance)), Day: dayNumber(u.Day), Source: u.Source,
	}}, nil
}

func casbinFunctions() map[string]func(...any) (any, error) {
	text := func(v any) string { return v.(string) }
	return map[string]func(...any) (any, error){
		"covers": func(a ...any) (any, error) { return strings.Contains(text(a[0]), text(a[1])), nil },
		"starts": func(a ...any) (any, error) { return strings.HasPrefix(text(a[0]), text(a[1])), nil },
		"among":  func(a ...any) (any, error) { return slices.Contains(a[1:], a[0]), nil },
		"has": func(a ...any) (any, error) {
			return slices.ContainsFunc(a[1:], func(v any) bool { return slices.Contains(a[0].([]string), text(v)) }), nil
		},
		"meet": func(a ...any) (any, error) {
			return slices.ContainsFunc(a[0].([]string), func(v string) bool { return slices.Contains(a[1].([]string), v) }), nil
		},
		"inside": func(a ...any) (any, error) {
			return netip.MustParsePrefix(text(a[1])).Contains(a[0].(netip.Addr)), nil
		},
	}
}

func casbinCondition(c *workload.Condition) string {
	switch {
	case c == nil:
		return ""
	case c.Network.IsValid():
		return fmt.Sprintf(" && inside(r.sub.Source, '%s')", c.Network)
	case !c.From.IsZero():
		return fmt.Sprintf(" && r.sub.Day >= %d", dayNumber(c.From))
	}
	return fmt.Sprintf(" && r.sub.Day <= %d", dayNumber(c.Until))
}

func casbinBranches(branches []workload.Branch, side string) string {
	var out []string
	for _, branch := range branches {
		var rules []string
		for _, r := range branch {
			rules = append(rules, casbinRule(r, side))
		}
		out = append(out, "("+strings.Join(rules, " && ")+")")
	}
	return "(" + strings.Join(out, " || ") + ")"
}

func casbinRule(r workload.Rule, side string) string {
	field := func(name string) string { return strings.ToUpper(name[:1]) + name[1:] }
	left := side + "." + field(r.Attribute)
	quoted := make([]string, len(r.Values))
	for i, v := range r.Values {
		quoted[i] = v
		if !workload.IsNumeric(r.Attribute) {
			quoted[i] = "'" + v + "'"
		}
	}
	operands := strings.Join(quoted, ", ")
	if r.Of != "" {
		operands = "r.sub." + field(r.Of)
	}
	many := r.Attribute == workload.Tags || r.Attribute == workload.Projects
	switch {
	case r.Op == model.OpStartsWith:
		return fmt.Sprintf("starts(%s, %s)", left, operands)
	case many && r.Of != "":
		return fmt.Sprintf("meet(%s, %s)", left, operands)
	case many:
		return fmt.Sprintf("has(%s, %s)", left, operands)
	case r.Op == model.OpIn:
		return fmt.Sprintf("among(%s, %s)", left, operands)
	case r.Op == model.OpNotIn:
		return fmt.Sprintf("!among(%s, %s)", left, operands)
	}
	return fmt.Sprintf("%s %s %s", left, r.Op, operands)
}

// Loop asks for one pair after another.
func (c *Casbin) Loop(yield func(path, action string)) error {
	for i := range c.assets {
		for _, action := range workload.Actions() {
			ok, err := c.enforcer.Enforce(&c.user, &c.assets[i], action)
			if err != nil {
				return err
			}
			if ok {
				yield(c.assets[i].Path, action)
			}
		}
	}
	return nil
}

// Answer collects the list.
func (c *Casbin) Answer() (Answer, error) {
	granted := map[string]uint8{}
	err := c.Loop(func(path, action string) { granted[path] |= bit(action) })
	return fromMap(granted), err
}
