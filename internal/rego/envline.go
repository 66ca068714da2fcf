package rego

import (
	"strconv"

	"github.com/ambit-authz/ambit/internal/model"
)

// functionLine reads a line that begins with net.… or time.…: an address line or a time line.
func (p *parser) functionLine(f *function, l *line) bool {
	t := p.peek()
	name := p.path()
	switch {
	case !p.isMark("("):
		p.fault("RG-205", t.position, p.text(t), f.name)
		return false
	case name == "net.cidr_contains":
		return p.addressLine(f, l)
	case name == "time.weekday":
		l.time = timeWeekday
		return p.when(f, l) && p.names(l)
	case name == "time.clock":
		return p.when(f, l) && p.bound(l, timeFrom, timeUntil)
	case name == "time.date":
		return p.when(f, l) && p.date(l)
	}
	p.fault("RG-004", t.position, "function "+strconv.Quote(name))
	return false
}

func (p *parser) addressLine(f *function, l *line) bool {
	l.kind = lineIP
	p.open("(")
	value, ok := p.stringLiteral()
	l.values, l.valueAt = []literal{value}, value.position
	return ok && p.mark(",") && p.env(f) && p.word("sourceIp") && p.close(")")
}

// env reads env and the dot behind it.
func (p *parser) env(f *function) bool {
	t := p.peek()
	if !p.word("env") {
		return false
	}
	p.scope(f, "env", t.position)
	return p.mark(".")
}

// when reads ([env.time, zone]).
func (p *parser) when(f *function, l *line) bool {
	l.kind = lineTime
	if !p.open("(") || !p.open("[") || !p.env(f) || !p.word("time") || !p.mark(",") {
		return false
	}
	if t := p.peek(); t.kind == tokenString {
		l.zone, _ = p.stringLiteral()
		if !p.isZone(l.zone.text) {
			p.fault("RG-215", t.position, l.zone.text)
			f.broken = true
		}
	} else {
		if !p.isWord("env") {
			p.unexpected("a string", "env.timeZone")
			return false
		}
		l.zone = literal{position: t.position, text: model.ZoneRequest}
		if !p.env(f) || !p.word("timeZone") {
			return false
		}
	}
	return p.close("]") && p.close(")")
}

// isZone remembers its answers: looking for a zone reads a file.
func (p *parser) isZone(name string) bool {
	known, seen := p.zones[name]
	if !seen {
		_, err := loadZone(name)
		known = err == nil
		p.zones[name] = known
	}
	return known
}

// date reads what follows time.date(…): a month line or a bound.
func (p *parser) date(l *line) bool {
	if !p.isMark("[") {
		return p.bound(l, timeStartDate, timeEndDate)
	}
	p.open("[")
	if t := p.peek(); p.text(t) != "1" {
		p.unexpected(`"1"`)
		return false
	}
	p.take()
	if !p.close("]") {
		return false
	}
	l.time = timeMonth
	t := p.peek()
	l.opAt = t.position
	switch {
	case p.isWord("in"):
		p.take()
		l.op = model.OpIn
		return p.list(l, p.numberLiteral)
	case p.isMark("=="):
		p.take()
		l.op = model.OpEqual
		value, ok := p.numberLiteral()
		l.values, l.valueAt = []literal{value}, value.position
		return ok
	}
	p.unexpected(`"=="`, `"in"`)
	return false
}

// bound reads >= or <= and three integers.
func (p *parser) bound(l *line, low, high timeForm) bool {
	switch {
	case p.isMark(">="):
		l.time = low
	case p.isMark("<="):
		l.time = high
	default:
		p.unexpected(`">="`, `"<="`)
		return false
	}
	l.opAt = p.take().position
	l.valueAt = p.peek().position
	if !p.open("[") {
		return false
	}
	for i := range 3 {
		if i > 0 && !p.mark(",") {
			return false
		}
		value, ok := p.numberLiteral()
		if !ok {
			return false
		}
		l.values = append(l.values, value)
	}
	return p.close("]")
}
