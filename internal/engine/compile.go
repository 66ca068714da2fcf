package engine

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// rule is a compiled line of a branch.
type rule struct {
	src        model.Rule
	numeric    bool
	fixed      predicate          // when the right side is literal
	calculated *model.Calculation // of the left attribute, in rulesets; nil = it is not calculated
}

// branch is a compiled conjunction. In branches of rulesets fixed is its predicates when they do not depend on the
// question: folded once, here, for all questions.
type branch struct {
	template model.TemplateID // of a ruleset's branch: limits it to identities of this template (E6)
	rules    []rule
	fixed    *boundBranch
}

// block is a compiled building block, shared by all policies that use it.
type block struct {
	src      *model.Block
	branches []*branch
	ranges   []timeRange
}

// timeRange is a model.TimeRange with its zone loaded; nil = that of the request.
type timeRange struct {
	model.TimeRange
	zone *time.Location
}

// policy is a policy with its blocks linked.
type policy struct {
	src        *model.Policy
	restrict   bool
	groups     []*block
	templates  []model.TemplateID // of the groups, without repeats
	uses       []use
	conditions []*block
}

// use is a policy's use of a ruleset.
type use struct {
	ruleset *block
	all     bool
	actions []model.ActionID
}

// compileBlock compiles a block against the templates of a snapshot. It refuses what a store should never hold: unknown
// templates, attributes and operators, operators that do not fit a type (F6).
func (s *Snapshot) compileBlock(b *model.Block) (*block, error) {
	out := &block{src: b}
	var err error
	switch b.Kind {
	case model.KindCondition:
		for _, r := range b.Ranges {
			t := timeRange{TimeRange: r}
			if r.Zone != model.ZoneRequest {
				if r.Zone == "" || r.Zone == "Local" {
					return nil, blockError(b, "%q is not a time zone", r.Zone)
				}
				if t.zone, err = time.LoadLocation(r.Zone); err != nil {
					return nil, blockError(b, "%q is not a time zone", r.Zone)
				}
			}
			out.ranges = append(out.ranges, t)
		}
		return out, nil
	case model.KindConditionIP:
		if b.IP == nil || len(b.IP.Prefixes) == 0 {
			return nil, blockError(b, "the condition restricts nothing")
		}
		return out, nil
	case model.KindDynamicGroup, model.KindRuleset, model.KindConditionIdentity, model.KindConditionRequest:
	default:
		return nil, blockError(b, "kind %q is not known", b.Kind)
	}
	for i := range b.Branches {
		br, err := s.compileBranch(b, &b.Branches[i])
		if err != nil {
			return nil, err
		}
		out.branches = append(out.branches, br)
	}
	if len(out.branches) == 0 {
		return nil, blockError(b, "the block has no branch")
	}
	return out, nil
}

// checkAssetTemplate refuses sources and types that nobody knows: what they mean cannot be guessed (F6).
func checkAssetTemplate(t *model.AssetTemplate) error {
	switch t.Source {
	case model.SourcePlainID, model.SourceRequest, model.SourceExternal:
	default:
		return templateError(t.ID, "source %q is not known", t.Source)
	}
	for i := range t.Attributes {
		if err := checkType(t.ID, t.Attributes[i].ID, t.Attributes[i].Type); err != nil {
			return err
		}
	}
	return nil
}

func checkIdentityTemplate(t *model.IdentityTemplate) error {
	for i := range t.Attributes {
		if err := checkType(t.ID, t.Attributes[i].ID, t.Attributes[i].Type); err != nil {
			return err
		}
	}
	return nil
}

func checkType(t model.TemplateID, a model.AttributeID, typ model.AttributeType) error {
	if typ != model.String && typ != model.Numeric {
		return templateError(t, "type %q of attribute %s is not known", typ, a)
	}
	return nil
}

func templateError(t model.TemplateID, format string, args ...any) error {
	return &model.Error{Kind: model.KindInvalid, Op: "engine.compile", Message: fmt.Sprintf("template %s: ", t) + fmt.Sprintf(format, args...)}
}

func blockError(b *model.Block, format string, args ...any) error {
	return &model.Error{
		Kind: model.KindInvalid, Op: "engine.compile",
		Message: fmt.Sprintf("%s %q (%s): ", b.Kind, b.Name, b.ID) + fmt.Sprintf(format, args...),
	}
}

// side is the side on which a kind's rules have their left attribute.
func side(k model.BlockKind) model.Side {
	switch k {
	case model.KindRuleset:
		return model.SideAsset
	case model.KindConditionRequest:
		return model.SideRequest
	}
	return model.SideIdentity
}

func (s *Snapshot) compileBranch(b *model.Block, src *model.Branch) (*branch, error) {
	out := &branch{template: src.IdentityTemplate}
	free := src.IdentityTemplate == ""
	for _, r := range src.Rules {
		if r.Left.Side != side(b.Kind) {
			return nil, blockError(b, "a rule begins with %s", r.Left.Side)
		}
		left, calculated, err := s.leftAttribute(b, r.Left)
		if err != nil {
			return nil, err
		}
		if r.Op < model.OpEqual || r.Op > model.OpGreaterEqual {
			return nil, blockError(b, "operator %d is not known", r.Op)
		}
		c := rule{src: r, numeric: r.Type(left) == model.Numeric, calculated: calculated}
		if c.numeric && r.Op.IsText() || !c.numeric && r.Op.IsOrder() {
			return nil, blockError(b, "operator %q cannot be used on %s attribute %q", r.Op, left, r.Left.Attribute)
		}
		if r.RightIsRef() {
			if err := s.checkRight(b, src, r.Ref); err != nil {
				return nil, err
			}
			free = false
		} else if c.fixed, err = c.literals(b); err != nil {
			return nil, err
		}
		out.rules = append(out.rules, c)
	}
	for i := range out.rules {
		out.rules[i].fixed.rule = &out.rules[i]
	}
	if free {
		out.fixed = &boundBranch{src: out}
		for i := range out.rules {
			out.fixed.predicates = append(out.fixed.predicates, out.rules[i].fixed)
		}
	}
	return out, nil
}

// checkRight refuses right sides that could never be bound.
func (s *Snapshot) checkRight(b *model.Block, src *model.Branch, ref model.Ref) error {
	template := b.Template
	if b.Kind == model.KindRuleset {
		template = src.IdentityTemplate
	}
	switch {
	case ref.Side == model.SideRequest:
		return nil
	case ref.Side != model.SideIdentity || b.Kind == model.KindConditionRequest:
		return blockError(b, "a rule ends with an attribute of %q", ref.Side)
	case template == "":
		return blockError(b, "identity attributes need an identity template")
	}
	if t, ok := s.identities[template]; ok {
		if a, ok := t.def.Attribute(ref.Attribute); ok {
			_, err := t.def.Calculation(&a)
			return notCalculable(b, ref, err)
		}
	}
	return blockError(b, "identity template %q has no attribute %q", template, ref.Attribute)
}

// literals makes the predicate of a rule whose right side is literal. A literal that is no number on a NUMERIC
// attribute cannot be stored, so it is refused rather than passed over.
func (r *rule) literals(b *model.Block) (predicate, error) {
	values := make([]string, len(r.src.Literals))
	for i, l := range r.src.Literals {
		values[i] = l.Text
	}
	p, ok := r.operands(values, nil)
	if !ok || r.numeric && len(p.numbers) != len(values) {
		return p, blockError(b, "the rule on %q has a literal that is not a number, or none", r.src.Left.Attribute)
	}
	return p, nil
}

// notCalculable refuses a rule on an attribute of which err says that it has no calculation (policy-model.md 3.5).
func notCalculable(b *model.Block, ref model.Ref, err error) error {
	if err == nil {
		return nil
	}
	return blockError(b, "attribute %q is calculated; rules on it are not offered: %v", ref.Attribute, err)
}

// leftAttribute finds the declared type of a left attribute and, of an asset's, how it is calculated.
func (s *Snapshot) leftAttribute(b *model.Block, ref model.Ref) (model.AttributeType, *model.Calculation, error) {
	switch ref.Side {
	case model.SideAsset:
		if t, ok := s.assets[b.Template]; ok {
			if a, ok := t.def.Attribute(ref.Attribute); ok {
				calculation, err := t.def.Calculation(&a)
				return a.Type, calculation, notCalculable(b, ref, err)
			}
		}
	case model.SideIdentity:
		if t, ok := s.identities[b.Template]; ok {
			if a, ok := t.def.Attribute(ref.Attribute); ok {
				_, err := t.def.Calculation(&a)
				return a.Type, nil, notCalculable(b, ref, err)
			}
		}
	case model.SideRequest:
		return model.String, nil, nil
	}
	return "", nil, blockError(b, "template %q has no attribute %q", b.Template, ref.Attribute)
}

// link joins a policy to its compiled blocks.
func (s *Snapshot) link(src *model.Policy) (*policy, error) {
	p := &policy{src: src, restrict: src.Access == model.Restrict}
	if !p.restrict && src.Access != model.Allow {
		return nil, policyError(src, "accessType %q must be Allow or Restrict", src.Access)
	}
	if src.Use != "" && src.Use != model.PolicyUseDynamic {
		return nil, policyError(src, "policyUse %q is not offered", src.Use)
	}
	find := func(id model.BlockID, fits func(model.BlockKind) bool) (*block, error) {
		b, ok := s.blocks.get(id)
		if !ok || !fits(b.src.Kind) {
			return nil, policyError(src, "building block %s does not exist or is of another kind", id)
		}
		return b, nil
	}
	for _, id := range src.DynamicGroups {
		b, err := find(id, func(k model.BlockKind) bool { return k == model.KindDynamicGroup })
		if err != nil {
			return nil, err
		}
		p.groups = append(p.groups, b)
		if !slices.Contains(p.templates, b.src.Template) {
			p.templates = append(p.templates, b.src.Template)
		}
	}
	for _, u := range src.Rulesets {
		b, err := find(u.BlockID, func(k model.BlockKind) bool { return k == model.KindRuleset })
		if err != nil {
			return nil, err
		}
		p.uses = append(p.uses, use{ruleset: b, all: u.AllActions, actions: u.ActionIDs})
	}
	for _, id := range src.Conditions {
		b, err := find(id, model.BlockKind.IsCondition)
		if err != nil {
			return nil, err
		}
		p.conditions = append(p.conditions, b)
	}
	return p, nil
}

func policyError(p *model.Policy, format string, args ...any) error {
	return &model.Error{
		Kind: model.KindInvalid, Op: "engine.compile",
		Message: fmt.Sprintf("policy %q: ", p.ID) + fmt.Sprintf(format, args...),
	}
}

// covers reports whether the use covers an action of its type; "" stands for a type without actions (E7, E11).
func (u *use) covers(action model.ActionID) bool {
	return u.all || slices.Contains(u.actions, action)
}

func (u *use) coversAny(actions []model.Action) bool {
	return slices.ContainsFunc(actions, func(a model.Action) bool { return u.covers(a.ID) })
}

// blocksOf yields the ids of all blocks that a policy names.
func blocksOf(p *model.Policy) []model.BlockID {
	out := slices.Concat(p.DynamicGroups, p.Conditions)
	for _, u := range p.Rulesets {
		out = append(out, u.BlockID)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// ipMet judges an IP condition (E27, E28).
func ipMet(c *model.IPCondition, source netip.Addr) bool {
	if !source.IsValid() {
		return false
	}
	source = source.Unmap().WithZone("")
	in := slices.ContainsFunc(c.Prefixes, func(p netip.Prefix) bool { return p.Contains(source) })
	return in != c.Restrict
}

// met judges a range at an instant (E22 to E26).
func (r *timeRange) met(instant time.Time, requestOffset time.Duration) bool {
	local := instant.In(r.location(requestOffset))
	today := dateOf(local)
	if !r.StartDate.IsZero() && today.Compare(r.StartDate) < 0 || !r.EndDate.IsZero() && today.Compare(r.EndDate) > 0 {
		return false
	}
	if len(r.Months) > 0 && !slices.Contains(r.Months, local.Month()) {
		return false
	}
	onDay := func(d time.Weekday) bool { return len(r.Days) == 0 || slices.Contains(r.Days, d) }
	clock := clockOf(local)
	start, end := r.Start, r.End
	if start >= 0 && end >= 0 && start > end {
		return clock >= start && onDay(local.Weekday()) || clock <= end && onDay((local.Weekday()+6)%7)
	}
	return onDay(local.Weekday()) && (start < 0 || clock >= start) && (end < 0 || clock <= end)
}
