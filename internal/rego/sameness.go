package rego

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// RulesKey is equal for two blocks exactly when they have the same rules (policy-model.md 8.1): kind, owner and set of
// branches, a branch being the set of its lines. Names, ids, descriptions and all order play no part. typeOf gives the
// declared type of an attribute of the asset type or identity template that the block is on; NUMERIC literals of equal
// value are equal. It is not asked for request attributes. Address blocks are compared as text.
func RulesKey(b *model.Block, typeOf func(model.Ref) model.AttributeType) string {
	var branches []string
	switch {
	case b.Kind == model.KindCondition:
		for _, r := range b.Ranges {
			branches = append(branches, key(timeLines(&r)...))
		}
	case b.Kind == model.KindConditionIP && b.IP != nil:
		branches = append(branches, fmt.Sprintf("restrict=%t", b.IP.Restrict))
		branches = append(branches, b.IP.Text...)
	default:
		for i := range b.Branches {
			branches = append(branches, branchKey(&b.Branches[i], typeOf))
		}
	}
	return key(string(b.Kind), string(b.WorkspaceID), string(b.Template), setKey(branches))
}

func branchKey(br *model.Branch, typeOf func(model.Ref) model.AttributeType) string {
	lines := make([]string, len(br.Rules))
	for i := range br.Rules {
		lines[i] = ruleKey(&br.Rules[i], typeOf)
	}
	return key(string(br.IdentityTemplate), setKey(lines))
}

func ruleKey(r *model.Rule, typeOf func(model.Ref) model.AttributeType) string {
	left := key(refText(r.Left), r.Op.String())
	if r.RightIsRef() {
		return key(left, "ref", refText(r.Ref))
	}
	var declared model.AttributeType
	if r.Left.Side != model.SideRequest {
		declared = typeOf(r.Left)
	}
	values := make([]string, len(r.Literals))
	for i, l := range r.Literals {
		values[i] = "text " + l.Text
		if r.Type(declared) == model.Numeric {
			if n, ok := model.ParseNumber(l.Text); ok {
				values[i] = "number " + n.String()
			}
		}
	}
	// a type of its own keeps == "5" and == 5 apart where the type is that of the literals
	return key(left, string(r.Type(declared)), setKey(values))
}

// setKey is the key of a set: sorted, without repeats.
func setKey(items []string) string {
	sorted := slices.Clone(items)
	slices.Sort(sorted)
	return key(slices.Compact(sorted)...)
}

// key joins parts so that different lists give different texts: every part has its length in front.
func key(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprintf(&b, "%d:%s", len(p), p)
	}
	return b.String()
}
