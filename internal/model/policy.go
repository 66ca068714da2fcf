package model

import (
	"net/netip"
	"time"
)

// Access says what a policy does with what it covers.
type Access string

// The two access types.
const (
	Allow    Access = "Allow"
	Restrict Access = "Restrict"
)

// PolicyUseDynamic is the only policy use that Ambit offers (policy-model.md 4.9).
const PolicyUseDynamic = "DYNAMIC_AUTHORIZATION_SERVICE"

// Policy joins who (dynamic groups), what (rulesets with the actions chosen) and when (conditions). The lists hold ids
// of blocks, in the policy's stored order (policy-model.md 3.11).
type Policy struct {
	ID               PolicyID
	WorkspaceID      WorkspaceID
	Name             string
	Description      *string
	Access           Access
	Use              string
	Inactive         bool
	DynamicGroups    []BlockID
	Rulesets         []RulesetUse
	Conditions       []BlockID
	Applications     []ApplicationID // as imported; informational only (E2)
	CustomAttributes []CustomValue
}

// RulesetUse is a policy's use of a ruleset. AllActions covers every action of the asset type, and assets of a type
// without actions; else ActionIDs (sorted by code point, without repeats) are covered.
type RulesetUse struct {
	BlockID    BlockID
	AllActions bool
	ActionIDs  []ActionID
}

// CustomValue is the value of a policy custom attribute: one or more literals. List tells a list of one from a scalar.
type CustomValue struct {
	Key    string
	Values []Literal
	List   bool
}

// BlockKind is the kind of a building block, spelled as in metadata.
type BlockKind string

// The six kinds.
const (
	KindDynamicGroup      BlockKind = "DynamicGroup"
	KindRuleset           BlockKind = "Ruleset"
	KindCondition         BlockKind = "Condition" // date and time
	KindConditionIP       BlockKind = "Condition IP"
	KindConditionIdentity BlockKind = "Condition Identity"
	KindConditionRequest  BlockKind = "Condition Request"
)

// IsCondition reports whether k is one of the four condition kinds.
func (k BlockKind) IsCondition() bool {
	switch k {
	case KindCondition, KindConditionIP, KindConditionIdentity, KindConditionRequest:
		return true
	}
	return false
}

// Block is a building block (policy-model.md 3.7, 3.8). What it holds depends on the kind: Branches for groups, rulesets,
// identity and request conditions; Ranges for Condition; IP for Condition IP.
type Block struct {
	ID          BlockID
	Kind        BlockKind
	WorkspaceID WorkspaceID // identity workspace of groups, authorization workspace of all others
	// Template is the identity template of groups and identity conditions, the asset type of rulesets, else empty.
	Template    TemplateID
	Name        string
	Description *string
	Predefined  bool
	Branches    []Branch
	Ranges      []TimeRange
	IP          *IPCondition
}

// Branch is a list of rules that all must hold. A branch without rules always holds. IdentityTemplate is set in
// branches of rulesets that are limited to identities of one template (E6); groups have it in Block.Template.
type Branch struct {
	IdentityTemplate TemplateID
	Rules            []Rule
}

// Side is where an attribute lives.
type Side uint8

// The three sides; the zero Side is none.
const (
	SideAsset Side = iota + 1
	SideIdentity
	SideRequest
)

// String gives the side's name in Structured Rego.
func (s Side) String() string { return [...]string{"", "asset", "identity", "requestParams"}[s] }

// Ref names an attribute of one side.
type Ref struct {
	Side      Side
	Attribute AttributeID
}

// Operator compares the values of an attribute with an operand (policy-model.md 4.2).
type Operator uint8

// The operators; the zero Operator is none.
const (
	OpEqual Operator = iota + 1
	OpNotEqual
	OpIn
	OpNotIn
	OpContains
	OpStartsWith
	OpEndsWith
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
)

// String gives the operator as Structured Rego spells it.
func (o Operator) String() string {
	return [...]string{"", "==", "!=", "in", "not in", "contains", "startswith", "endswith", "<", "<=", ">", ">="}[o]
}

// IsNegative reports whether the operator holds when no value matches (V4).
func (o Operator) IsNegative() bool { return o == OpNotEqual || o == OpNotIn }

// IsText reports whether the operator needs STRING values.
func (o Operator) IsText() bool { return o == OpContains || o == OpStartsWith || o == OpEndsWith }

// IsOrder reports whether the operator needs NUMERIC values.
func (o Operator) IsOrder() bool { return o >= OpLess }

// Literal is a value as it was written. Number tells a bare number from a quoted text; the text is kept either way.
type Literal struct {
	Text   string
	Number bool
}

// Rule is one line: left op right. The right side is another attribute when Ref is not the zero Ref, else the literals:
// exactly one unless the operator is OpIn or OpNotIn.
type Rule struct {
	Left     Ref
	Op       Operator
	Ref      Ref
	Literals []Literal
}

// RightIsRef reports whether the right side is an attribute.
func (r *Rule) RightIsRef() bool { return r.Ref.Side != 0 }

// Type is the type of the comparison (V8): that of the left attribute, which left gives for sides that declare types;
// for a request attribute NUMERIC when the operator orders or a literal is written as a number, else STRING.
func (r *Rule) Type(left AttributeType) AttributeType {
	if r.Left.Side != SideRequest {
		return left
	}
	if r.Op.IsOrder() {
		return Numeric
	}
	for _, l := range r.Literals {
		if l.Number {
			return Numeric
		}
	}
	return String
}

// ZoneRequest is the zone of a range that follows the request's own offset (E23).
const ZoneRequest = "request"

// TimeRange is one range of a date and time condition (policy-model.md 3.8, E22 to E26). Empty sets mean all.
type TimeRange struct {
	Zone   string         // IANA name, or ZoneRequest
	Days   []time.Weekday // Monday first, without repeats
	Months []time.Month   // ascending, without repeats
	// Start and End are seconds since midnight, inclusive; -1 = not set. Start > End means over midnight (E25).
	Start, End int
	// StartDate and EndDate are inclusive; the zero Date = not set.
	StartDate, EndDate Date
}

// Date is a calendar day.
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

// IsZero reports whether the date is not set.
func (d Date) IsZero() bool { return d == Date{} }

// Compare orders dates.
func (d Date) Compare(e Date) int {
	a := (d.Year*16+int(d.Month))*32 + d.Day
	b := (e.Year*16+int(e.Month))*32 + e.Day
	return a - b
}

// IPCondition holds when the source address lies in one of the blocks, or, with Restrict, in none (E27). Text keeps the
// blocks as imported; Prefixes are the same, masked, with IPv4-mapped ones as IPv4 (E28).
type IPCondition struct {
	Restrict bool
	Text     []string
	Prefixes []netip.Prefix
}
