package peers

import (
	"context"
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"github.com/ambit-authz/ambit/bench/workload"
	"github.com/ambit-authz/ambit/internal/model"
)

// Form says how the policies are written in Rego.
type Form int

const (
	// Obvious is one rule a policy that collects pairs of asset and action.
	Obvious Form = iota
	// Best is the quickest form that was found: every rule collects places in the array of assets into a set of the
	// policy, and sets are united and subtracted by action.
	Best
)

// OPA is the Rego evaluator with all assets as data, read as AST values.
type OPA struct {
	query rego.PreparedEvalQuery
	input map[string]any
	form  Form
	paths []string
}

// NewOPA writes and compiles the policies of a world of one type.
func NewOPA(ctx context.Context, w *workload.World, form Form) (*OPA, error) {
	o := &OPA{form: form, input: userInput(&w.User)}
	assets := make([]any, 0, w.PerType)
	for a := range w.Assets(0) {
		assets = append(assets, map[string]any{
			"path": a.Path, workload.Region: a.Region, workload.Owner: a.Owner, workload.Code: a.Code,
			workload.Level: a.Level, workload.Amount: a.Amount, workload.Tags: anyList(a.Tags),
		})
		o.paths = append(o.paths, a.Path)
	}
	store := inmem.NewFromObjectWithOpts(map[string]any{"assets": assets}, inmem.OptReturnASTValuesOnRead(true))
	query, err := rego.New(rego.Query("data.bench.answer"), rego.Module("bench.rego", regoText(w, form)), rego.Store(store)).PrepareForEval(ctx)
	o.query = query
	return o, err
}

func anyList(texts []string) []any {
	out := make([]any, len(texts))
	for i, t := range texts {
		out[i] = t
	}
	return out
}

func userInput(u *workload.User) map[string]any {
	in := map[string]any{"source": u.Source.String(), "day": dayNumber(u.Day)}
	for name, vs := range u.Attributes {
		switch {
		case workload.IsNumeric(name):
			in[name] = number(vs[0])
		case name == workload.Projects:
			in[name] = anyList(vs)
		default:
			in[name] = vs[0]
		}
	}
	return in
}

func dayNumber(d model.Date) int { return (d.Year*100+int(d.Month))*100 + d.Day }

// regoText writes a module. Rules of one policy share what they ask of the user, so that it is asked once.
func regoText(w *workload.World, form Form) string {
	var b strings.Builder
	b.WriteString("package bench\n\n")
	var names [2][5][]string // of sets: allow, restrict; by action
	for i := range w.Policies {
		p := &w.Policies[i]
		for _, branch := range p.Who {
			fmt.Fprintf(&b, "who_%d if {\n%s%s}\n", i, regoRules(branch, "input"), regoCondition(p.When))
		}
		effect := 0
		if p.Restrict {
			effect = 1
		}
		for a := range workload.Actions() {
			if bitsOf(p.Actions)&(1<<a) != 0 {
				names[effect][a] = append(names[effect][a], fmt.Sprintf("what_%d", i))
			}
		}
		for _, branch := range p.What {
			rules := regoRules(branch, "asset")
			if form == Best {
				fmt.Fprintf(&b, "what_%d contains i if {\n\twho_%d\n\tsome i\n\tasset := data.assets[i]\n%s}\n", i, i, rules)
				continue
			}
			fmt.Fprintf(&b, "%s contains [asset.path, action] if {\n\twho_%d\n\tsome asset in data.assets\n%s\tsome action in %s\n}\n",
				[]string{"allow", "restrict"}[effect], i, rules, regoList(actionNames(p)))
		}
	}
	if form == Obvious {
		b.WriteString("answer := allow - restrict\n")
		return b.String()
	}
	b.WriteString("answer := {\n")
	for a, name := range workload.Actions() {
		fmt.Fprintf(&b, "\t%q: (%s) - (%s),\n", name, strings.Join(names[0][a], " | "), strings.Join(names[1][a], " | "))
	}
	b.WriteString("}\n")
	return b.String()
}

func actionNames(p *workload.Policy) []string {
	if p.Actions == nil {
		return workload.Actions()
	}
	return p.Actions
}

func regoCondition(c *workload.Condition) string {
	switch {
	case c == nil:
		return ""
	case c.Network.IsValid():
		return fmt.Sprintf("\tnet.cidr_contains(%q, input.source)\n", c.Network)
	case !c.From.IsZero():
		return fmt.Sprintf("\tinput.day >= %d\n", dayNumber(c.From))
	}
	return fmt.Sprintf("\tinput.day <= %d\n", dayNumber(c.Until))
}

func regoRules(branch workload.Branch, side string) string {
	var b strings.Builder
	for _, r := range branch {
		b.WriteString("\t" + regoRule(r, side+"."+r.Attribute) + "\n")
	}
	return b.String()
}

func regoRule(r workload.Rule, left string) string {
	operand := "input." + r.Of
	if r.Of == "" {
		operand = regoOperand(r)
	}
	many := r.Attribute == workload.Tags || r.Attribute == workload.Projects
	switch r.Op {
	case model.OpStartsWith:
		return fmt.Sprintf("startswith(%s, %s)", left, operand)
	case model.OpIn:
		if many {
			return fmt.Sprintf("some v in %s; v in %s", left, operand)
		}
		return fmt.Sprintf("%s in %s", left, operand)
	case model.OpNotIn:
		return fmt.Sprintf("not %s in %s", left, operand)
	case model.OpEqual:
		if many {
			return fmt.Sprintf("%s in %s", operand, left)
		}
	}
	return fmt.Sprintf("%s %s %s", left, r.Op, operand)
}

func regoOperand(r workload.Rule) string {
	switch {
	case r.Op == model.OpIn || r.Op == model.OpNotIn:
		return regoList(r.Values)
	case workload.IsNumeric(r.Attribute):
		return r.Values[0]
	}
	return fmt.Sprintf("%q", r.Values[0])
}

func regoList(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = fmt.Sprintf("%q", v)
	}
	return "{" + strings.Join(quoted, ", ") + "}"
}

// Eval asks for the list and leaves it as OPA gives it.
func (o *OPA) Eval(ctx context.Context) (any, error) {
	rs, err := o.query.Eval(ctx, rego.EvalInput(o.input))
	if err != nil {
		return nil, err
	}
	if len(rs) != 1 {
		return nil, fmt.Errorf("opa: %d results", len(rs))
	}
	return rs[0].Expressions[0].Value, nil
}

// Answer collects the list.
func (o *OPA) Answer(ctx context.Context) (Answer, error) {
	value, err := o.Eval(ctx)
	if err != nil {
		return nil, err
	}
	granted := map[string]uint8{}
	if o.form == Obvious {
		for _, pair := range value.([]any) {
			p := pair.([]any)
			granted[p[0].(string)] |= bit(p[1].(string))
		}
		return fromMap(granted), nil
	}
	for action, places := range value.(map[string]any) {
		for _, i := range places.([]any) {
			n := number(fmt.Sprint(i))
			granted[o.paths[n]] |= bit(action)
		}
	}
	return fromMap(granted), nil
}

func fromMap(granted map[string]uint8) Answer {
	out := make(Answer, 0, len(granted))
	for path, actions := range granted {
		out = append(out, Grant{Path: path, Actions: actions})
	}
	out.Sort()
	return out
}
