package peers

import (
	"context"
	"fmt"
	"strings"

	"github.com/cedar-policy/cedar-go"
	"github.com/cedar-policy/cedar-go/types"
	"github.com/cedar-policy/cedar-go/x/exp/batch"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
)

// Cedar is cedar-go with all assets as entities.
type Cedar struct {
	policies  *cedar.PolicySet
	entities  types.EntityMap
	principal cedar.EntityUID
	context   cedar.Record
	actions   []types.Value
	resources []types.Value
}

// NewCedar writes and parses the policies of a world of one type.
func NewCedar(w *workload.World) (*Cedar, error) {
	var text strings.Builder
	for i := range w.Policies {
		cedarPolicy(&text, &w.Policies[i])
	}
	set, err := cedar.NewPolicySetFromBytes("bench.cedar", []byte(text.String()))
	if err != nil {
		return nil, err
	}
	source, err := types.ParseIPAddr(w.User.Source.String())
	if err != nil {
		return nil, err
	}
	c := &Cedar{
		policies: set, entities: types.EntityMap{}, principal: cedar.NewEntityUID("User", cedar.String(w.User.ID)),
		context: cedar.NewRecord(cedar.RecordMap{"source": source, "day": cedar.Long(dayNumber(w.User.Day))}),
	}
	user := cedar.RecordMap{}
	for name, vs := range w.User.Attributes {
		user[cedar.String(name)] = cedarValue(name, vs)
	}
	c.entities[c.principal] = cedar.Entity{UID: c.principal, Attributes: cedar.NewRecord(user)}
	for _, a := range workload.Actions() {
		c.actions = append(c.actions, cedar.NewEntityUID("Action", cedar.String(a)))
	}
	for a := range w.Assets(0) {
		id := cedar.NewEntityUID("Asset", cedar.String(a.Path))
		record := cedar.RecordMap{}
		for _, name := range workload.AssetAttributes() {
			record[cedar.String(name)] = cedarValue(name, a.Values(name))
		}
		c.entities[id] = cedar.Entity{UID: id, Attributes: cedar.NewRecord(record)}
		c.resources = append(c.resources, id)
	}
	return c, nil
}

func cedarValue(name string, values []string) cedar.Value {
	if workload.IsNumeric(name) {
		return cedar.Long(number(values[0]))
	}
	if name != workload.Tags && name != workload.Projects {
		return cedar.String(values[0])
	}
	set := make([]cedar.Value, len(values))
	for i, v := range values {
		set[i] = cedar.String(v)
	}
	return cedar.NewSet(set...)
}

func cedarPolicy(b *strings.Builder, p *workload.Policy) {
	effect := "permit"
	if p.Restrict {
		effect = "forbid"
	}
	actions := "action"
	if p.Actions != nil {
		var names []string
		for _, a := range p.Actions {
			names = append(names, fmt.Sprintf("Action::%q", a))
		}
		actions += " in [" + strings.Join(names, ", ") + "]"
	}
	fmt.Fprintf(b, "%s (principal, %s, resource)\nwhen { %s }\n", effect, actions, cedarBranches(p.Who, "principal"))
	switch c := p.When; {
	case c == nil:
	case c.Network.IsValid():
		fmt.Fprintf(b, "when { context.source.isInRange(ip(%q)) }\n", c.Network)
	case !c.From.IsZero():
		fmt.Fprintf(b, "when { context.day >= %d }\n", dayNumber(c.From))
	default:
		fmt.Fprintf(b, "when { context.day <= %d }\n", dayNumber(c.Until))
	}
	fmt.Fprintf(b, "when { %s };\n", cedarBranches(p.What, "resource"))
}

func cedarBranches(branches []workload.Branch, side string) string {
	var out []string
	for _, branch := range branches {
		var rules []string
		for _, r := range branch {
			rules = append(rules, cedarRule(r, side+"."+r.Attribute))
		}
		out = append(out, "("+strings.Join(rules, " && ")+")")
	}
	return strings.Join(out, " || ")
}

func cedarRule(r workload.Rule, left string) string {
	quoted := make([]string, len(r.Values))
	for i, v := range r.Values {
		quoted[i] = v
		if !workload.IsNumeric(r.Attribute) {
			quoted[i] = fmt.Sprintf("%q", v)
		}
	}
	list := "[" + strings.Join(quoted, ", ") + "]"
	operand := "principal." + r.Of
	if r.Of == "" {
		operand = quoted[0]
	} else {
		list = operand
	}
	many := r.Attribute == workload.Tags || r.Attribute == workload.Projects
	switch {
	case r.Op == model.OpStartsWith:
		return fmt.Sprintf("%s like \"%s*\"", left, r.Values[0]) // cedar has no prefix of another attribute
	case many && r.Op == model.OpIn:
		return fmt.Sprintf("%s.containsAny(%s)", left, list)
	case many && r.Op == model.OpEqual:
		return fmt.Sprintf("%s.contains(%s)", left, operand)
	case r.Op == model.OpIn:
		return fmt.Sprintf("%s.contains(%s)", list, left)
	case r.Op == model.OpNotIn:
		return fmt.Sprintf("!%s.contains(%s)", list, left)
	}
	return fmt.Sprintf("%s %s %s", left, r.Op, operand)
}

// Batch asks for all assets and actions in one call of x/exp/batch.
func (c *Cedar) Batch(ctx context.Context, yield func(resource, action string)) error {
	return batch.Authorize(ctx, c.policies, c.entities, batch.Request{
		Principal: c.principal, Action: batch.Variable("action"),
		Resource: batch.Variable("resource"), Context: c.context,
		Variables: batch.Variables{"action": c.actions, "resource": c.resources},
	}, func(r batch.Result) error {
		if r.Decision == types.Allow {
			yield(string(r.Request.Resource.ID), string(r.Request.Action.ID))
		}
		return nil
	})
}

// Loop asks for one pair after another.
func (c *Cedar) Loop(yield func(resource, action string)) {
	for _, resource := range c.resources {
		for _, action := range c.actions {
			req := cedar.Request{Principal: c.principal, Action: action.(cedar.EntityUID), Resource: resource.(cedar.EntityUID), Context: c.context}
			if decision, _ := cedar.Authorize(c.policies, c.entities, req); decision == cedar.Allow {
				yield(string(req.Resource.ID), string(req.Action.ID))
			}
		}
	}
}

// Answers collects the list in both ways.
func (c *Cedar) Answers(ctx context.Context) (inBatch, byLoop Answer, err error) {
	granted := map[string]uint8{}
	if err := c.Batch(ctx, func(resource, action string) { granted[resource] |= bit(action) }); err != nil {
		return nil, nil, err
	}
	looped := map[string]uint8{}
	c.Loop(func(resource, action string) { looped[resource] |= bit(action) })
	return fromMap(granted), fromMap(looped), nil
}
