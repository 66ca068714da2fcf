package rego

import (
	"strconv"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// rules checks the rules of a branch and makes the model's.
func (b *builder) rules(br *branch) {
	for _, l := range br.lines {
		if l.kind != lineRule {
			continue
		}
		if len(br.content.Rules) == b.opt.Limits.Rules {
			b.tooMany(l.position, len(br.content.Rules)+1, "rules in a branch", b.opt.Limits.Rules)
		}
		br.content.Rules = append(br.content.Rules, b.rule(br, l))
	}
	if br.broken {
		return
	}
	if br.kind == model.KindConditionRequest && len(br.content.Rules) == 0 {
		b.fault("RG-213", br.position)
	}
	if br.kind == model.KindRuleset && br.identity == nil {
		for _, l := range br.lines {
			if l.kind == lineRule && l.right.side() == model.SideIdentity {
				b.fault("RG-203", l.right.position)
				return
			}
		}
	}
}

func (b *builder) rule(br *branch, l *line) model.Rule {
	rule := model.Rule{Left: l.left.ref(), Op: l.op}
	known := b.attribute(br, &l.left)
	if l.right.argument != "" {
		rule.Ref = l.right.ref()
		b.attribute(br, &l.right)
	}
	for _, v := range l.values {
		if n := utf8.RuneCountInString(v.text); n > b.opt.Limits.ValueLength {
			b.fault("RG-218", v.position, strconv.Itoa(n), strconv.Itoa(b.opt.Limits.ValueLength))
		}
		rule.Literals = append(rule.Literals, model.Literal{Text: v.text, Number: v.number})
	}
	if l.left.side() == model.SideRequest {
		known = rule.Type("")
	}
	b.literals(l, &rule, known)
	return rule
}

func (r *reference) ref() model.Ref {
	return model.Ref{Side: r.side(), Attribute: model.AttributeID(r.attribute.text)}
}

// literals checks operator and literals against the attribute's type ("" = not known). A quoted number on a NUMERIC
// attribute becomes a bare one where JSON can write it.
func (b *builder) literals(l *line, rule *model.Rule, known model.AttributeType) {
	name := l.left.attribute.text
	if known == model.Numeric && rule.Op.IsText() || known == model.String && rule.Op.IsOrder() {
		b.fault("RG-206", l.opAt, rule.Op.String(), string(known), name)
		return
	}
	if known == "" && rule.Op.IsText() {
		known = model.String // whatever it is, no other type has the operator
	}
	if known == "" && rule.Op.IsOrder() {
		known = model.Numeric
	}
	for i := range rule.Literals {
		v := &rule.Literals[i]
		_, isNumber := model.ParseNumber(v.Text)
		switch {
		case known == model.String && v.Number:
			b.fault("RG-209", l.values[i].position, name)
		case (known == model.Numeric || v.Number) && !isNumber:
			b.fault("RG-210", l.values[i].position, v.Text, name)
		case known == model.Numeric && isJSONNumber(v.Text):
			v.Number = true
		}
	}
}

// attribute checks that the attribute exists and may be used, and gives its type, "" when it is not known.
func (b *builder) attribute(br *branch, r *reference) model.AttributeType {
	switch r.side() {
	case model.SideAsset:
		if br.assetType != nil {
			return b.assetAttribute(br.assetType, r)
		}
	case model.SideIdentity:
		if br.identities != nil {
			return b.identityAttribute(br.identities, r)
		}
	case model.SideRequest:
		if c := b.opt.Catalog; c != nil && !c.RequestAttribute(model.AttributeID(r.attribute.text)) {
			b.warn("RW-02", r.attribute.position, r.attribute.text)
		}
	}
	return ""
}

func (b *builder) assetAttribute(t *model.AssetTemplate, r *reference) model.AttributeType {
	a, ok := t.Attribute(model.AttributeID(r.attribute.text))
	if !ok {
		known := []string{string(model.AttributePath)}
		for _, k := range t.Attributes {
			if k.ID != model.AttributePath {
				known = append(known, string(k.ID))
			}
		}
		b.hinted(known, "RG-304", r.attribute.position, string(t.ID), r.attribute.text)
		return ""
	}
	_, err := t.Calculation(&a)
	b.calculable(r, err)
	if !a.IsAvailableForPolicies && a.ID != model.AttributePath {
		b.warn("RW-01", r.attribute.position, r.attribute.text)
	}
	return a.Type
}

// calculable refuses a rule on an attribute that has no values, because err says why it cannot be calculated: the rule would
// never hold, and would switch off a Restrict policy without a word (policy-model.md 3.5).
func (b *builder) calculable(r *reference, err error) {
	if err != nil {
		b.fault("RG-306", r.attribute.position, r.attribute.text, err.Error())
	}
}

func (b *builder) identityAttribute(t *model.IdentityTemplate, r *reference) model.AttributeType {
	a, ok := t.Attribute(model.AttributeID(r.attribute.text))
	if !ok {
		known := []string{string(model.AttributeUID)}
		for _, k := range t.Attributes {
			if k.ID != model.AttributeUID {
				known = append(known, string(k.ID))
			}
		}
		b.hinted(known, "RG-303", r.attribute.position, string(t.ID), r.attribute.text)
		return ""
	}
	_, err := t.Calculation(&a)
	b.calculable(r, err)
	if !a.IsAvailableForPolicies && a.ID != model.AttributeUID {
		b.warn("RW-01", r.attribute.position, r.attribute.text)
	}
	return a.Type
}
