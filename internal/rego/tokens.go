package rego

import (
	"strconv"
	"strings"
)

// peek gives the next token without taking it. Inside brackets newlines are passed over.
func (p *parser) peek() token {
	for p.depth > 0 && p.tokens[p.next].kind == tokenNewline {
		p.next++
	}
	return p.tokens[p.next]
}

// take gives the next token and moves behind it; the end is never passed.
func (p *parser) take() token {
	t := p.peek()
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

func (p *parser) text(t token) string { return p.src[t.start:t.end] }

func (p *parser) isMark(text string) bool {
	t := p.peek()
	return t.kind == tokenMark && p.text(t) == text
}

func (p *parser) isWord(text string) bool {
	t := p.peek()
	return t.kind == tokenName && p.text(t) == text
}

// mark takes the operator or punctuation text.
func (p *parser) mark(text string) bool {
	if !p.isMark(text) {
		p.unexpected(strconv.Quote(text))
		return false
	}
	p.take()
	return true
}

func (p *parser) word(text string) bool {
	if !p.isWord(text) {
		p.unexpected(strconv.Quote(text))
		return false
	}
	p.take()
	return true
}

// open takes a bracket; up to its close newlines are blanks.
func (p *parser) open(bracket string) bool {
	if !p.mark(bracket) {
		return false
	}
	p.depth++
	return true
}

func (p *parser) close(bracket string) bool {
	if !p.mark(bracket) {
		return false
	}
	p.depth--
	return true
}

func (p *parser) skipNewlines() {
	for p.peek().kind == tokenNewline {
		p.take()
	}
}

func (p *parser) skipSeparators() {
	for p.peek().kind == tokenNewline || p.isMark(";") {
		p.take()
	}
}

func (p *parser) endOfLine() {
	if k := p.peek().kind; k != tokenNewline && k != tokenEnd {
		p.unexpected("end of line")
		p.skipLine()
		return
	}
	p.skipNewlines()
}

func (p *parser) skipLine() {
	p.tree.broken = true
	p.depth = 0
	for k := p.peek().kind; k != tokenNewline && k != tokenEnd; k = p.peek().kind {
		p.take()
	}
	p.skipNewlines()
}

// skipBrokenLine moves to the end of a line that could not be read: a separator outside of brackets or the closing
// brace. An unclosed bracket must not swallow the lines below, so that a newline before something that begins a line
// ends it as well. first is the token the line began with: at least that one is passed.
func (p *parser) skipBrokenLine(first int) {
	p.depth = 0
	if p.next == first {
		p.take()
	} else if p.tokens[p.next-1].kind == tokenNewline && p.beginsLine(p.tokens[p.next]) {
		return
	}
	for open := 0; ; p.take() {
		t := p.peek()
		switch {
		case t.kind == tokenEnd, t.kind == tokenNewline && (open <= 0 || p.beginsLine(p.tokens[p.next+1])):
			return
		case t.kind != tokenMark:
			continue
		}
		switch text := p.text(t); text {
		case "(", "[", "{":
			open++
		case ")", "]", "}", ";":
			if open <= 0 && (text == "}" || text == ";") {
				return
			}
			if text != ";" {
				open--
			}
		}
	}
}

func (p *parser) beginsLine(t token) bool {
	switch p.text(t) {
	case "asset", "identity", "requestParams", "action", "not", "contains", "startswith", "endswith", "time", "net", "}":
		return true
	}
	return p.isBase(t)
}

// isBase reports whether t names a kind's function.
func (p *parser) isBase(t token) bool { return t.kind == tokenName && shapeOf(p.text(t)) != nil }

// atFunction reports whether a function begins here: then the body before it was not closed.
func (p *parser) atFunction() bool {
	return p.isBase(p.peek()) && p.text(p.tokens[p.next+1]) == "("
}

// skipToFunction moves to the next line that begins with a function outside of braces, or with the name of a known
// one anywhere.
func (p *parser) skipToFunction() {
	p.depth = 0
	fresh := p.next > 0 && p.tokens[p.next-1].kind == tokenNewline
	for braces := 0; ; p.take() {
		t := p.peek()
		switch {
		case t.kind == tokenEnd || fresh && p.atFunction():
			return
		case fresh && braces <= 0 && t.kind == tokenName && p.text(p.tokens[p.next+1]) == "(":
			return
		case p.isMark("{"):
			braces++
		case p.isMark("}"):
			braces--
		}
		fresh = t.kind == tokenNewline || p.isMark("}")
	}
}

// unexpected reports the next token: as a construct that Structured Rego does not have (RG-004) or as a syntax error.
func (p *parser) unexpected(expected ...string) {
	t := p.peek()
	if c := construct(p.text(t)); c != "" && t.kind != tokenString {
		p.fault("RG-004", t.position, c)
		return
	}
	p.fault("RG-001", t.position, p.describe(t), list(expected))
}

// construct names the part of Rego that a token begins and that is not offered, or "".
func construct(text string) string {
	switch text {
	case "some", "every", "with", "else", "default":
		return strconv.Quote(text)
	case ":=", "=":
		return "assignment"
	case "+", "-", "*", "/", "%", "|", "&":
		return "the operator " + strconv.Quote(text)
	}
	return ""
}

func (p *parser) describe(t token) string {
	const longest = 40
	text := p.text(t)
	if runes := []rune(text[:min(len(text), 4*longest+4)]); len(runes) > longest {
		text = string(runes[:longest]) + "…"
	}
	switch t.kind {
	case tokenEnd:
		return "end of text"
	case tokenNewline:
		return "end of line"
	case tokenString:
		return "string " + text
	case tokenNumber:
		return "number " + text
	case tokenBad:
		return "malformed " + strconv.Quote(text)
	}
	return strconv.Quote(text)
}

// list joins what was expected: a, b or c.
func list(items []string) string {
	if len(items) == 1 {
		return items[0]
	}
	last := len(items) - 1
	return strings.Join(items[:last], ", ") + " or " + items[last]
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}
