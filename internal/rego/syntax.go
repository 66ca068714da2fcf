package rego

import (
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// kindAction is the old block that only names actions; it never becomes a stored block.
const kindAction model.BlockKind = "Action"

// shape is what policy-model.md 6.4 says of a kind: its function, the function's arguments, the own argument (left side
// of its rules) and the lines it may have.
type shape struct {
	kind      model.BlockKind
	base      string
	arguments []string
	own       model.Side
	lines     []lineKind
}

// shapes is never written to. Longer base names come first, so that condition_ip is not read as condition.
var shapes = []shape{
	{model.KindDynamicGroup, "dynamic_group", []string{"identity"}, model.SideIdentity, []lineKind{lineIdentity, lineRule}},
	{
		model.KindRuleset, "ruleset",
		[]string{"asset", "identity", "requestParams", "action"},
		model.SideAsset,
		[]lineKind{lineAsset, lineIdentity, lineRule, lineAction},
	},
	{kindAction, "action", []string{"asset"}, 0, []lineKind{lineAsset, lineOldAction}},
	{model.KindConditionIdentity, "condition_identity", []string{"identity"}, model.SideIdentity, []lineKind{lineIdentity, lineRule}},
	{model.KindConditionRequest, "condition_request", []string{"requestParams"}, model.SideRequest, []lineKind{lineRule}},
	{model.KindConditionIP, "condition_ip", []string{"env"}, 0, []lineKind{lineIP}},
	{model.KindCondition, "condition", []string{"env"}, 0, []lineKind{lineTime}},
}

// shapeOf finds the shape of a function name: a base name, with or without a number or underscore and number behind it.
func shapeOf(function string) *shape {
	base := strings.TrimRight(function, "0123456789")
	if base != function {
		base = strings.TrimSuffix(base, "_")
	}
	return findShape(func(s *shape) bool { return s.base == base })
}

func shapeOfKind(kind model.BlockKind) *shape {
	return findShape(func(s *shape) bool { return s.kind == kind })
}

func findShape(fits func(*shape) bool) *shape {
	for i := range shapes {
		if fits(&shapes[i]) {
			return &shapes[i]
		}
	}
	return nil
}

// lineKind is one of the lines of the grammar.
type lineKind uint8

const (
	lineAsset lineKind = iota + 1
	lineIdentity
	lineRule
	lineAction
	lineOldAction
	lineIP
	lineTime
)

// String names the lines as RG-202 and RG-001 do.
func (k lineKind) String() string {
	return [...]string{
		"", "asset.template line", "identity.template line", "rule", "action line", "asset.action line",
		"net.cidr_contains line", "time line",
	}[k]
}

// timeForm is one of the six time lines; each stands at most once in a branch.
type timeForm uint8

const (
	timeWeekday timeForm = iota + 1
	timeFrom
	timeUntil
	timeMonth
	timeStartDate
	timeEndDate
)

// String names the forms as RG-202 does.
func (f timeForm) String() string {
	return [...]string{
		"", "time.weekday line", "time.clock >= line", "time.clock <= line", "month line",
		"time.date >= line", "time.date <= line",
	}[f]
}

// literal is a string or number as written.
type literal struct {
	position
	text   string
	number bool
}

// reference is argument["attribute"] or argument.attribute.
type reference struct {
	position
	argument  string
	attribute literal
	dotted    bool
}

func (r *reference) side() model.Side {
	switch r.argument {
	case "asset":
		return model.SideAsset
	case "identity":
		return model.SideIdentity
	case "requestParams":
		return model.SideRequest
	}
	return 0
}

// line is one line of a body; which fields are set follows from kind.
type line struct {
	position
	kind    lineKind
	not     position // of "not"; zero = none
	left    reference
	op      model.Operator
	opAt    position
	right   reference // argument "" = values
	values  []literal // literals, template, action ids, weekdays, months, parts of a time or date, address block
	valueAt position  // "[" or the only value
	time    timeForm
	zone    literal // of a time line; text is model.ZoneRequest for env.timeZone
}

// function is one function of the module. broken says that some of its lines could not be read: what is missing then is
// not reported.
type function struct {
	position
	name      string
	shape     *shape // nil when the name is not known
	arguments []string
	lines     []*line
	metadata  *comments // nil = none
	broken    bool
}

func (f *function) has(argument string) bool {
	for _, a := range f.arguments {
		if a == argument {
			return true
		}
	}
	return false
}

// syntax is a whole module as read.
type syntax struct {
	packageAt position // of the word package; zero = there is none
	metadata  *comments
	functions []*function
	broken    bool // something outside of functions could not be read
}
