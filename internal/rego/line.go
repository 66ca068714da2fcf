package rego

import (
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// line reads one line into l, whose position is set.
func (p *parser) line(f *function, l *line) bool {
	if t := p.peek(); p.isWord("not") {
		l.not = t.position
		p.take()
	}
	ok := p.lineCore(f, l)
	if !ok || l.not == (position{}) {
		return ok
	}
	if l.kind == lineIP || l.kind == lineRule && (l.op == model.OpIn || l.op == model.OpNotIn) {
		if l.op == model.OpIn {
			l.op = model.OpNotIn
		}
		return true
	}
	allowed := "in"
	if f.shape.kind == model.KindConditionIP {
		allowed = "net.cidr_contains"
	}
	p.fault("RG-207", l.not, allowed)
	f.broken = true
	return true
}

func (p *parser) lineCore(f *function, l *line) bool {
	t := p.peek()
	if t.kind != tokenName {
		p.unexpected("a line")
		return false
	}
	call := p.text(p.tokens[p.next+1]) == "("
	switch name := p.text(t); {
	case name == "asset" || name == "identity" || name == "requestParams":
		return p.attributeLine(f, l)
	case name == "action" && !call:
		return p.actionLine(f, l)
	case (name == "contains" || name == "startswith" || name == "endswith") && call:
		return p.textLine(f, l)
	case name == "time" || name == "net":
		return p.functionLine(f, l)
	}
	p.unknownName(f)
	return false
}

// unknownName reports the name at the next token: a function or a document of Rego that is not offered, or a name
// that is none of the arguments.
func (p *parser) unknownName(f *function) {
	t := p.peek()
	if construct(p.text(t)) != "" {
		p.unexpected()
		return
	}
	name := p.path()
	switch first := p.text(t); {
	case p.isMark("("):
		p.fault("RG-004", t.position, "function "+strconv.Quote(name))
	case first == "data" || first == "input":
		p.fault("RG-004", t.position, strconv.Quote(first))
	case first == "true" || first == "false" || first == "null":
		p.fault("RG-001", t.position, strconv.Quote(first), "a string, a number or an attribute")
	case p.isMark(":=") || p.isMark("="):
		p.unexpected()
	default:
		p.fault("RG-205", t.position, first, f.name)
	}
}

// scope reports a name that is not an argument; the line is read on all the same.
func (p *parser) scope(f *function, name string, at position) {
	if !f.has(name) {
		p.fault("RG-205", at, name, f.name)
		f.broken = true
	}
}

// reference reads argument["attribute"] or argument.attribute.
func (p *parser) reference(f *function) (r reference, ok bool) {
	t := p.take()
	r = reference{position: t.position, argument: p.text(t)}
	p.scope(f, r.argument, t.position)
	switch {
	case p.isMark("."):
		p.take()
		name := p.peek()
		if name.kind != tokenName {
			p.unexpected("the name of an attribute")
			return r, false
		}
		p.take()
		r.attribute, r.dotted = literal{position: name.position, text: p.text(name)}, true
		return r, true
	case p.isMark("["):
		p.open("[")
		if r.attribute, ok = p.stringLiteral(); !ok {
			return r, false
		}
		return r, p.close("]")
	}
	p.unexpected(`"."`, `"["`)
	return r, false
}

// attributeLine reads a line that begins with an attribute: a template line, an old action line or a rule.
func (p *parser) attributeLine(f *function, l *line) (ok bool) {
	if l.left, ok = p.reference(f); !ok {
		return false
	}
	left := &l.left
	switch {
	case left.dotted && left.attribute.text == "template" && left.argument != "requestParams":
		return p.templateLine(l)
	case f.shape.kind == kindAction && left.argument == "asset" && left.attribute.text == "action":
		l.kind = lineOldAction
		return p.names(l)
	}
	l.kind = lineRule
	p.ownSide(f, left)
	t := p.peek()
	switch op := operator(p.text(t)); {
	case op == 0 || t.kind == tokenString:
		p.unexpected("an operator")
		return false
	case op == model.OpIn:
		l.op, l.opAt = op, t.position
		p.take()
		return p.listOperand(f, l)
	default:
		l.op, l.opAt = op, t.position
		p.take()
		return p.operand(f, l)
	}
}

// ownSide checks that a rule's left side belongs to the function's own argument.
func (p *parser) ownSide(f *function, left *reference) {
	if f.has(left.argument) && f.shape.own != 0 && left.side() != f.shape.own {
		p.fault("RG-204", left.position, f.shape.own.String())
		f.broken = true
	}
}

func operator(text string) model.Operator {
	for _, op := range []model.Operator{
		model.OpEqual, model.OpNotEqual, model.OpIn, model.OpLess, model.OpLessEqual,
		model.OpGreater, model.OpGreaterEqual,
	} {
		if op.String() == text {
			return op
		}
	}
	return 0
}

func (p *parser) templateLine(l *line) bool {
	l.kind = lineAsset
	if l.left.argument == "identity" {
		l.kind = lineIdentity
	}
	if !p.mark("==") {
		return false
	}
	value, ok := p.stringLiteral()
	l.values, l.valueAt = []literal{value}, value.position
	return ok
}

// actionLine reads action.id == "…" or action.id in […].
func (p *parser) actionLine(f *function, l *line) bool {
	t := p.take()
	l.kind = lineAction
	p.scope(f, "action", t.position)
	return p.mark(".") && p.word("id") && p.names(l)
}

// names reads == string or in strings.
func (p *parser) names(l *line) (ok bool) {
	t := p.peek()
	if p.isWord("in") {
		p.take()
		l.op, l.opAt = model.OpIn, t.position
		return p.list(l, p.stringLiteral)
	}
	if !p.isMark("==") {
		p.unexpected(`"=="`, `"in"`)
		return false
	}
	p.take()
	l.op, l.opAt = model.OpEqual, t.position
	value, ok := p.stringLiteral()
	l.values, l.valueAt = []literal{value}, value.position
	return ok
}

// textLine reads contains(a, v), startswith(a, v) or endswith(a, v).
func (p *parser) textLine(f *function, l *line) (ok bool) {
	t := p.take()
	l.kind, l.opAt = lineRule, t.position
	switch p.text(t) {
	case "contains":
		l.op = model.OpContains
	case "startswith":
		l.op = model.OpStartsWith
	default:
		l.op = model.OpEndsWith
	}
	p.open("(")
	if !p.atReference() {
		p.notAReference(f, "an attribute")
		return false
	}
	if l.left, ok = p.reference(f); !ok {
		return false
	}
	p.ownSide(f, &l.left)
	return p.mark(",") && p.operand(f, l) && p.close(")")
}

func (p *parser) atReference() bool {
	return p.isWord("asset") || p.isWord("identity") || p.isWord("requestParams")
}

func (p *parser) notAReference(f *function, expected ...string) {
	if p.peek().kind == tokenName {
		p.unknownName(f)
		return
	}
	p.unexpected(expected...)
}

// operand reads a string, a number or an attribute.
func (p *parser) operand(f *function, l *line) (ok bool) {
	t := p.peek()
	switch {
	case t.kind == tokenString || t.kind == tokenNumber:
		value, _ := p.value()
		l.values, l.valueAt = []literal{value}, value.position
		return true
	case p.atReference():
		return p.rightSide(f, l)
	case p.isMark("{"):
		p.fault("RG-004", t.position, "a set or object")
		return false
	}
	p.notAReference(f, "a string", "a number", "an attribute")
	return false
}

func (p *parser) listOperand(f *function, l *line) (ok bool) {
	switch {
	case p.isMark("["):
		return p.list(l, p.value)
	case p.atReference():
		return p.rightSide(f, l)
	case p.isMark("{"):
		p.fault("RG-004", p.peek().position, "a set or object")
		return false
	}
	p.notAReference(f, "a list", "an attribute")
	return false
}

func (p *parser) rightSide(f *function, l *line) (ok bool) {
	if l.right, ok = p.reference(f); !ok {
		return false
	}
	if l.right.argument == "asset" && f.has("asset") {
		p.fault("RG-004", l.right.position, "an asset attribute on the right side")
		f.broken = true
	}
	return true
}

// list reads [item, …] with a comma behind the last allowed. An empty list is reported, yet it is a list.
func (p *parser) list(l *line, item func() (literal, bool)) bool {
	l.valueAt = p.peek().position
	if !p.open("[") {
		return false
	}
	for !p.isMark("]") {
		value, ok := item()
		if !ok {
			return false
		}
		if len(l.values) == p.opt.Limits.Values {
			p.tooMany(value.position, len(l.values)+1, "values in a list", p.opt.Limits.Values)
		}
		l.values = append(l.values, value)
		if !p.isMark(",") {
			break
		}
		p.take()
	}
	if p.isMark("]") && len(l.values) == 0 {
		p.fault("RG-208", l.valueAt)
	}
	if !p.isMark("]") {
		p.unexpected(`","`, `"]"`)
		return false
	}
	return p.close("]")
}

func (p *parser) value() (literal, bool) {
	t := p.peek()
	switch t.kind {
	case tokenString:
		return p.stringLiteral()
	case tokenNumber:
		return p.numberLiteral()
	}
	p.unexpected("a string", "a number")
	return literal{}, false
}

func (p *parser) stringLiteral() (literal, bool) {
	t := p.peek()
	if t.kind != tokenString {
		p.unexpected("a string")
		return literal{}, false
	}
	p.take()
	text, _ := unquote(p.text(t))
	return literal{position: t.position, text: text}, true
}

func (p *parser) numberLiteral() (literal, bool) {
	t := p.peek()
	if t.kind != tokenNumber {
		p.unexpected("a number")
		return literal{}, false
	}
	p.take()
	return literal{position: t.position, text: p.text(t), number: true}, true
}
