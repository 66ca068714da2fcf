package rego

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/model"
)

// Generators of well-typed policies in the sample world, as an import would store them.

// piece is a text that is hard on quoting, YAML or both.
var pieces = []string{
	"a", "Quay", " ", "  ", ":", ": ", " #", "#", "-", "- ", "?", "\"", "'", "\\", "\\u0041", "{", "}", "[", "]", ",",
	"&", "*", "!", "|", ">", "%", "@", "`", "~", "null", "true", "007", "1x2", "1.0", "=", "<<", "ü", "漢", "😀", "\u00a0", "\u2028",
	"\u2029", "\ufeff", "\ufffe", "\uffff", "\u200b", "---", "...", "METADATA", "\u00ad",
}

var controls = []string{"\n", "\t", "\r", "\x00", "\x07", "\x7f", "\u0085", "\u009f", "\r\n"}

// text draws a text of pieces, with control characters or without.
func text(t *rapid.T, label string, withControls bool) string {
	from := pieces
	if withControls {
		from = slices.Concat(pieces, controls)
	}
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(from), 0, 6).Draw(t, label), "")
}

func name(t *rapid.T, label string) string {
	if s := text(t, label, false); s != "" {
		return s
	}
	return "n"
}

// identifier draws an external id, made different from others by n.
func identifier(t *rapid.T, label string, n int) string {
	s := fmt.Sprintf("%s%d", text(t, label, false), n)
	if model.CheckExternalID(s) != "" {
		return fmt.Sprintf("id%d", n)
	}
	return s
}

func maybeText(t *rapid.T, label string) *string {
	if rapid.Bool().Draw(t, label+" given") {
		s := text(t, label, true)
		return &s
	}
	return nil
}

func drawLiteral(t *rapid.T, kind model.AttributeType) model.Literal {
	if kind == model.String {
		return model.Literal{Text: text(t, "literal", true)}
	}
	// numbers that JSON cannot write stay quoted
	return rapid.SampledFrom([]model.Literal{
		{Text: "0", Number: true},
		{Text: "-0", Number: true},
		{Text: "1.0", Number: true},
		{Text: "-12.50", Number: true},
		{Text: "1e3", Number: true},
		{Text: "1E-9999", Number: true},
		{Text: "9e+9999", Number: true},
		{Text: strings.Repeat("9", 400), Number: true},
		{Text: "+5"},
		{Text: "007"},
		{Text: " 5 "},
		{Text: ".5"},
		{Text: "5."},
		{Text: "\t8\n"},
	}).Draw(t, "number")
}

var operators = map[model.AttributeType][]model.Operator{
	model.String: {model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpContains, model.OpStartsWith, model.OpEndsWith},
	model.Numeric: {
		model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpLess, model.OpLessEqual, model.OpGreater,
		model.OpGreaterEqual,
	},
}

type typedRef struct {
	ref  model.Ref
	kind model.AttributeType
}

func typed(side model.Side, kind model.AttributeType, ids ...model.AttributeID) []typedRef {
	var out []typedRef
	for _, id := range ids {
		out = append(out, typedRef{model.Ref{Side: side, Attribute: id}, kind})
	}
	return out
}

func attributesOf(side model.Side, template model.TemplateID) []typedRef {
	switch {
	case side == model.SideRequest:
		return typed(side, "", "channel", "amount", "odd \"name\": #1", "template")
	case side == model.SideAsset:
		return slices.Concat(typed(side, model.String, "path", "berth", "class", "note", "action"), typed(side, model.Numeric, "tonnes"))
	case template == "Crew":
		return slices.Concat(typed(side, model.String, "uid", "port", "cert", "template"), typed(side, model.Numeric, "rank"))
	}
	return typed(side, model.String, "uid", "posture")
}

func drawRule(t *rapid.T, left []typedRef, right []typedRef) model.Rule {
	l := rapid.SampledFrom(left).Draw(t, "left")
	kind := l.kind
	request := kind == ""
	if request {
		kind = rapid.SampledFrom([]model.AttributeType{model.String, model.Numeric}).Draw(t, "type")
	}
	r := model.Rule{Left: l.ref, Op: rapid.SampledFrom(operators[kind]).Draw(t, "operator")}
	if len(right) > 0 && rapid.IntRange(0, 2).Draw(t, "right is ref") == 0 {
		r.Ref = rapid.SampledFrom(right).Draw(t, "right").ref
		return r
	}
	count := 1
	if r.Op == model.OpIn || r.Op == model.OpNotIn {
		count = rapid.IntRange(1, 4).Draw(t, "values")
	}
	for range count {
		r.Literals = append(r.Literals, drawLiteral(t, kind))
	}
	if request && kind == model.Numeric {
		// without a bare number or an ordering operator the line would be one on STRING
		r.Literals[0] = model.Literal{Text: "42", Number: true}
	}
	return r
}

func drawBranch(t *rapid.T, b *model.Block) model.Branch {
	var br model.Branch
	var left, right []typedRef
	least := 0
	switch b.Kind {
	case model.KindRuleset:
		left, right = attributesOf(model.SideAsset, ""), attributesOf(model.SideRequest, "")
		if br.IdentityTemplate = rapid.SampledFrom([]model.TemplateID{"", "Crew", "Tablet"}).Draw(t, "identity template"); br.IdentityTemplate != "" {
			right = slices.Concat(right, attributesOf(model.SideIdentity, br.IdentityTemplate))
		}
	case model.KindConditionRequest:
		left, least = attributesOf(model.SideRequest, ""), 1
		right = left
	default:
		left = attributesOf(model.SideIdentity, b.Template)
		right = left
	}
	for range rapid.IntRange(least, 4).Draw(t, "rules") {
		br.Rules = append(br.Rules, drawRule(t, left, right))
	}
	return br
}

func drawRange(t *rapid.T) model.TimeRange {
	r := model.TimeRange{Start: -1, End: -1}
	r.Zone = rapid.SampledFrom([]string{"UTC", "Europe/Lisbon", "Asia/Tokyo", model.ZoneRequest}).Draw(t, "zone")
	for _, d := range []time.Weekday{1, 2, 3, 4, 5, 6, 0} {
		if rapid.IntRange(0, 2).Draw(t, "day") == 0 {
			r.Days = append(r.Days, d)
		}
	}
	for m := time.January; m <= time.December; m++ {
		if rapid.IntRange(0, 3).Draw(t, "month") == 0 {
			r.Months = append(r.Months, m)
		}
	}
	if rapid.Bool().Draw(t, "start given") {
		r.Start = rapid.IntRange(0, 86399).Draw(t, "start")
	}
	if rapid.Bool().Draw(t, "end given") {
		r.End = rapid.IntRange(0, 86399).Draw(t, "end")
	}
	if rapid.Bool().Draw(t, "dates given") {
		r.StartDate = model.Date{Year: rapid.IntRange(1, 9999).Draw(t, "year"), Month: 2, Day: 28}
		r.EndDate = model.Date{Year: 2028, Month: 2, Day: 29}
	}
	if !restricts(&r) {
		r.Start = 1
	}
	return r
}

func drawRanges(t *rapid.T) []model.TimeRange {
	var out []model.TimeRange
	for range rapid.IntRange(1, 4).Draw(t, "ranges") {
		r := drawRange(t)
		if n := len(out); n > 0 && out[n-1].Start >= 0 && out[n-1].End < 0 && r.Start < 0 && r.End >= 0 {
			r.Start = 0 // two such neighbours could be one range over midnight in two parts: never stored like this
		}
		if !restricts(&r) {
			r.StartDate = model.Date{Year: 2026, Month: 1, Day: 1}
		}
		out = append(out, r)
	}
	return out
}

func drawIP(t *rapid.T) *model.IPCondition {
	c := &model.IPCondition{Restrict: rapid.Bool().Draw(t, "restrict")}
	known := map[string]string{
		"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3/8": "10.0.0.0/8", "0.0.0.0/0": "0.0.0.0/0",
		"2001:db8::/32": "2001:db8::/32", "2001:DB8::1/32": "2001:db8::/32", "::ffff:10.1.2.3/104": "10.0.0.0/8", "192.0.2.1/32": "192.0.2.1/32",
	}
	for _, text := range rapid.SliceOfN(rapid.SampledFrom([]string{
		"10.0.0.0/8", "10.1.2.3/8", "0.0.0.0/0", "2001:db8::/32",
		"2001:DB8::1/32", "::ffff:10.1.2.3/104", "192.0.2.1/32",
	}), 1, 4).Draw(t, "blocks") {
		c.Text = append(c.Text, text)
		c.Prefixes = append(c.Prefixes, netip.MustParsePrefix(known[text]))
	}
	return c
}

func drawBlock(t *rapid.T, kind model.BlockKind, n int) model.Block {
	b := model.Block{Kind: kind, WorkspaceID: harbour, ID: model.BlockID(fmt.Sprintf("00000000-0000-4000-8000-%012d", n))}
	b.Name = fmt.Sprintf("%s%d", name(t, "name"), n)
	b.Description = maybeText(t, "description")
	switch kind {
	case model.KindRuleset:
		b.Template = rapid.SampledFrom([]model.TemplateID{"Cargo", "Crane"}).Draw(t, "asset template")
	case model.KindDynamicGroup, model.KindConditionIdentity:
		b.Template = rapid.SampledFrom([]model.TemplateID{"Crew", "Tablet"}).Draw(t, "template")
		if kind == model.KindDynamicGroup {
			identity, _ := world{}.IdentityTemplate(b.Template)
			b.WorkspaceID = identity.WorkspaceID
		}
	}
	switch kind {
	case model.KindCondition:
		b.Ranges = drawRanges(t)
	case model.KindConditionIP:
		b.IP = drawIP(t)
	default:
		for range rapid.IntRange(1, 3).Draw(t, "branches") {
			b.Branches = append(b.Branches, drawBranch(t, &b))
		}
	}
	return b
}

// drawPolicy draws a policy and its blocks in order of use.
func drawPolicy(t *rapid.T) (model.Policy, []model.Block) {
	p := model.Policy{
		WorkspaceID: harbour, ID: model.PolicyID(identifier(t, "policy id", 0)), Name: name(t, "policy name"),
		Description: maybeText(t, "policy description"), Use: model.PolicyUseDynamic,
	}
	p.Access = rapid.SampledFrom([]model.Access{model.Allow, model.Restrict}).Draw(t, "access")
	for i := range rapid.IntRange(0, 3).Draw(t, "applications") {
		p.Applications = append(p.Applications, model.ApplicationID(identifier(t, "application", i)))
	}
	p.CustomAttributes = drawCustom(t)
	var blocks []model.Block
	add := func(kind model.BlockKind) model.BlockID {
		b := drawBlock(t, kind, len(blocks))
		blocks = append(blocks, b)
		return b.ID
	}
	for range rapid.IntRange(1, 3).Draw(t, "groups") {
		p.DynamicGroups = append(p.DynamicGroups, add(model.KindDynamicGroup))
	}
	for range rapid.IntRange(1, 3).Draw(t, "rulesets") {
		use := model.RulesetUse{BlockID: add(model.KindRuleset)}
		use.ActionIDs = rapid.SampledFrom([][]model.ActionID{nil, {"Load"}, {"Load", "View"}}).Draw(t, "actions")
		use.AllActions = use.ActionIDs == nil
		p.Rulesets = append(p.Rulesets, use)
	}
	kinds := []model.BlockKind{model.KindCondition, model.KindConditionIP, model.KindConditionIdentity, model.KindConditionRequest}
	for range rapid.IntRange(0, 3).Draw(t, "conditions") {
		p.Conditions = append(p.Conditions, add(rapid.SampledFrom(kinds).Draw(t, "kind")))
	}
	return p, blocks
}

// drawCustom draws values in the order of their definitions.
func drawCustom(t *rapid.T) []model.CustomValue {
	var out []model.CustomValue
	if n := rapid.IntRange(0, 3).Draw(t, "cost centres"); n > 0 {
		v := model.CustomValue{Key: "costCentre", List: n > 1 || rapid.Bool().Draw(t, "list")}
		for range n {
			v.Values = append(v.Values, model.Literal{Text: text(t, "cost centre", true)})
		}
		out = append(out, v)
	}
	if rapid.Bool().Draw(t, "level given") {
		out = append(out, model.CustomValue{Key: "level", Values: []model.Literal{{Text: "4.50", Number: true}}})
	}
	return out
}
