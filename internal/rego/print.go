package rego

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// PrintOptions of PrintPolicy and PrintBlocks.
type PrintOptions struct {
	// Extended writes block ids, descriptions and SourceEnvironment (policy-model.md 6.7 rule 12).
	Extended          bool
	SourceEnvironment model.EnvironmentID
	// CustomAttributes are the environment's definitions; values stand in their display order, then by key.
	CustomAttributes []model.CustomAttribute
}

// PrintPolicy writes a stored policy in the exact export format of policy-model.md 6.7. blocks finds the policy's
// blocks; one that it does not find is an internal error, because the text would mean another policy.
func PrintPolicy(p model.Policy, blocks func(model.BlockID) (model.Block, bool), opt PrintOptions) ([]byte, error) {
	w := &printer{opt: opt}
	w.policyHeader(&p)
	w.line("package policy")
	w.text("import rego.v1")
	uses := make([]model.RulesetUse, 0, len(p.DynamicGroups)+len(p.Rulesets)+len(p.Conditions))
	for _, id := range p.DynamicGroups {
		uses = append(uses, model.RulesetUse{BlockID: id, AllActions: true})
	}
	uses = append(uses, p.Rulesets...)
	for _, id := range p.Conditions {
		uses = append(uses, model.RulesetUse{BlockID: id, AllActions: true})
	}
	for _, use := range uses {
		b, ok := blocks(use.BlockID)
		if !ok {
			return nil, &model.Error{Op: "rego.PrintPolicy", Message: fmt.Sprintf("policy %q: block %q is missing", p.ID, use.BlockID)}
		}
		w.block(&b, actionLineOf(&use))
	}
	return []byte(w.String()), nil
}

// PrintBlocks writes building blocks (rule 13): groups, rulesets, conditions, each in the order given.
func PrintBlocks(blocks []model.Block, opt PrintOptions) []byte {
	w := &printer{opt: opt}
	w.line("package building_blocks")
	w.text("import rego.v1")
	rank := func(b *model.Block) int {
		switch {
		case b.Kind == model.KindDynamicGroup:
			return 0
		case b.Kind == model.KindRuleset:
			return 1
		}
		return 2
	}
	sorted := slices.Clone(blocks)
	slices.SortStableFunc(sorted, func(a, b model.Block) int { return cmp.Compare(rank(&a), rank(&b)) })
	for i := range sorted {
		w.block(&sorted[i], "")
	}
	return []byte(w.String())
}

type printer struct {
	strings.Builder
	opt PrintOptions
}

func (w *printer) text(s string) { w.WriteString(s) }

func (w *printer) line(s string) {
	w.WriteString(s)
	w.WriteByte('\n')
}

// key writes one metadata line of custom.plainid.
func (w *printer) key(name, value string) { w.line("#     " + name + ": " + value) }

func (w *printer) metadata() {
	w.line("# METADATA")
	w.line("# custom:")
	w.line("#   plainid:")
}

func (w *printer) policyHeader(p *model.Policy) {
	w.metadata()
	if p.ID != "" {
		w.key("policyId", plain(string(p.ID)))
	}
	w.key("name", plain(p.Name))
	w.description(p.Description)
	w.key("accessType", string(p.Access))
	if p.Use != "" {
		w.key("policyUse", p.Use)
	}
	if w.opt.Extended && w.opt.SourceEnvironment != "" {
		w.key("sourceEnvironmentId", string(w.opt.SourceEnvironment))
	}
	if len(p.Applications) > 0 {
		w.key("applications", "")
		for _, id := range p.Applications {
			w.line("#       - id: " + plain(string(id)))
		}
	}
	if len(p.CustomAttributes) == 0 {
		return
	}
	w.line("#     customAttributes:")
	for _, v := range w.ordered(p.CustomAttributes) {
		w.line("#       " + plain(v.Key) + ": " + customText(&v))
	}
}

func (w *printer) description(text *string) {
	if w.opt.Extended && text != nil {
		w.key("description", quoteYAML(*text))
	}
}

// ordered sorts values by the display order of their definitions, then by key. Values without a definition come last.
func (w *printer) ordered(values []model.CustomValue) []model.CustomValue {
	order := make(map[string]float64, len(w.opt.CustomAttributes))
	for _, d := range w.opt.CustomAttributes {
		order[d.Key] = d.DisplayOrder
	}
	sorted := slices.Clone(values)
	slices.SortFunc(sorted, func(a, b model.CustomValue) int {
		x, knownX := order[a.Key]
		y, knownY := order[b.Key]
		if knownX != knownY {
			if knownX {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(x, y), strings.Compare(a.Key, b.Key))
	})
	return sorted
}

func customText(v *model.CustomValue) string {
	items := make([]string, len(v.Values))
	for i, l := range v.Values {
		items[i] = l.Text
		if !l.Number {
			items[i] = quoteYAML(l.Text)
		}
	}
	if v.List {
		return "[" + strings.Join(items, ",") + "]"
	}
	return strings.Join(items, "")
}

// actionLineOf is the last line of a ruleset's branches, "" when all actions are covered. A use that lists no action
// covers nothing: it gets an empty list, which is no text that can be imported, but never one that grants more.
func actionLineOf(use *model.RulesetUse) string {
	if use.AllActions {
		return ""
	}
	ids := make([]string, 0, len(use.ActionIDs))
	for _, id := range actionSet(use.ActionIDs) {
		ids = append(ids, quote(string(id)))
	}
	return "action.id in [" + strings.Join(ids, ",") + "]"
}

// block writes one function per branch.
func (w *printer) block(b *model.Block, actionLine string) {
	for _, lines := range bodies(b) {
		w.text("\n\n")
		w.metadata()
		w.key("kind", string(b.Kind))
		w.key("name", plain(b.Name))
		if w.opt.Extended {
			if b.ID != "" {
				w.key("id", plain(string(b.ID)))
			}
			w.description(b.Description)
		}
		s := shapeOfKind(b.Kind)
		w.line(s.base + "(" + strings.Join(s.arguments, ", ") + ") if {")
		if actionLine != "" {
			lines = append(lines, actionLine)
		}
		for _, l := range lines {
			w.line("\t" + l)
		}
		w.text("}")
	}
}

// bodies gives the lines of every branch of a block, without the action line.
func bodies(b *model.Block) [][]string {
	var out [][]string
	switch b.Kind {
	case model.KindCondition:
		for _, r := range b.Ranges {
			for _, part := range splitMidnight(r) {
				out = append(out, timeLines(&part))
			}
		}
	case model.KindConditionIP:
		if b.IP != nil {
			out = addressLines(b.IP)
		}
	default:
		for i := range b.Branches {
			out = append(out, ruleLines(b, &b.Branches[i]))
		}
	}
	return out
}

func addressLines(c *model.IPCondition) [][]string {
	var out [][]string
	for _, text := range c.Text {
		l := "net.cidr_contains(" + quote(text) + ", env.sourceIp)"
		switch {
		case !c.Restrict:
			out = append(out, []string{l})
		case len(out) == 0:
			out = append(out, []string{"not " + l})
		default:
			out[0] = append(out[0], "not "+l)
		}
	}
	return out
}

func ruleLines(b *model.Block, br *model.Branch) []string {
	var lines []string
	identity := br.IdentityTemplate
	switch b.Kind {
	case model.KindRuleset:
		lines = append(lines, "asset.template == "+quote(string(b.Template)))
	case model.KindDynamicGroup, model.KindConditionIdentity:
		identity = b.Template
	}
	if identity != "" {
		lines = append(lines, "identity.template == "+quote(string(identity)))
	}
	for i := range br.Rules {
		lines = append(lines, ruleLine(&br.Rules[i]))
	}
	return lines
}

func ruleLine(r *model.Rule) string {
	left := refText(r.Left)
	switch r.Op {
	case model.OpContains, model.OpStartsWith, model.OpEndsWith:
		return r.Op.String() + "(" + left + ", " + operandText(r) + ")"
	case model.OpNotIn:
		return "not " + left + " in " + operandText(r)
	}
	return left + " " + r.Op.String() + " " + operandText(r)
}

func refText(r model.Ref) string { return r.Side.String() + "[" + quote(string(r.Attribute)) + "]" }

func operandText(r *model.Rule) string {
	if r.RightIsRef() {
		return refText(r.Ref)
	}
	items := make([]string, len(r.Literals))
	for i, l := range r.Literals {
		items[i] = l.Text
		if !l.Number {
			items[i] = quote(l.Text)
		}
	}
	if r.Op == model.OpIn || r.Op == model.OpNotIn {
		return "[" + strings.Join(items, ", ") + "]"
	}
	return strings.Join(items, "")
}

// timeLines writes a range that does not go over midnight, in the order of rule 11.
func timeLines(r *model.TimeRange) []string {
	zone := quote(r.Zone)
	if r.Zone == model.ZoneRequest {
		zone = "env.timeZone"
	}
	call := func(function string) string { return "time." + function + "([env.time, " + zone + "])" }
	var lines []string
	if len(r.Days) > 0 {
		days := make([]string, len(r.Days))
		for i, d := range r.Days {
			days[i] = quote(d.String())
		}
		lines = append(lines, call("weekday")+" in ["+strings.Join(days, ",")+"]")
	}
	if r.Start >= 0 {
		lines = append(lines, call("clock")+" >= "+clockText(r.Start))
	}
	if r.End >= 0 {
		lines = append(lines, call("clock")+" <= "+clockText(r.End))
	}
	if len(r.Months) > 0 {
		months := make([]string, len(r.Months))
		for i, m := range r.Months {
			months[i] = fmt.Sprintf("%d", m)
		}
		lines = append(lines, call("date")+"[1] in ["+strings.Join(months, ",")+"]")
	}
	if !r.StartDate.IsZero() {
		lines = append(lines, call("date")+" >= "+dateText(r.StartDate))
	}
	if !r.EndDate.IsZero() {
		lines = append(lines, call("date")+" <= "+dateText(r.EndDate))
	}
	return lines
}

func clockText(second int) string {
	return fmt.Sprintf("[%d,%d,%d]", second/3600, second/60%60, second%60)
}

func dateText(d model.Date) string { return fmt.Sprintf("[%d,%d,%d]", d.Year, int(d.Month), d.Day) }
