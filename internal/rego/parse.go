package rego

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ambit-authz/ambit/internal/model"
)

// Parse reads one module. It returns the warnings always, and either the module or the errors (model.Errors), at most
// 100, both in order of position. Without a Catalog nothing is checked against stored objects.
func Parse(src []byte, opt Options) (m *Module, warnings model.Errors, err error) {
	opt.Limits = opt.Limits.withDefaults()
	if opt.Package == "" {
		opt.Package = PackagePolicy
	}
	r := &report{file: opt.File}
	if tree := read(src, opt, r); tree != nil {
		m = build(tree, opt, r)
	}
	errs, warnings := r.result()
	if len(errs) > 0 {
		return nil, warnings, errs
	}
	return m, warnings, nil
}

// read makes the syntax tree; nil when the text is not worth reading.
func read(src []byte, opt Options, r *report) *syntax {
	start := position{1, 1}
	if len(src) > opt.Limits.Bytes {
		r.fault("RG-003", start, strconv.Itoa(len(src)), strconv.Itoa(opt.Limits.Bytes))
		return nil
	}
	text := strings.TrimPrefix(string(src), "\ufeff")
	if !utf8.ValidString(text) {
		r.fault("RG-002", firstBadByte(text))
		return nil
	}
	tokens, metadata := scan(text)
	p := &parser{report: r, src: text, tokens: tokens, metadata: metadata, opt: opt, zones: map[string]bool{}}
	return p.module()
}

func firstBadByte(text string) position {
	at := position{1, 1}
	for i, c := range text {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				break
			}
		}
		at.column++
		if c == '\n' {
			at = position{at.line + 1, 1}
		}
	}
	return at
}

// parser reads the tokens by recursive descent. Methods that return ok have reported the problem when ok is false.
type parser struct {
	*report
	src      string
	tokens   []token
	next     int // index of the next token
	depth    int // open brackets: newlines inside them are blanks
	metadata []comments
	opt      Options
	tree     syntax
	ifNeeded bool // rego.v1 style
	zones    map[string]bool
}

func (p *parser) module() *syntax {
	p.skipNewlines()
	p.packageClause()
	for p.isWord("import") {
		p.importClause()
		p.skipNewlines()
	}
	for p.peek().kind != tokenEnd {
		p.statement()
		p.skipNewlines()
	}
	p.dropMetadata(p.peek().position)
	return &p.tree
}

func (p *parser) packageClause() {
	t := p.peek()
	if !p.word("package") {
		p.tree.broken = true
		return
	}
	p.tree.packageAt = t.position
	p.tree.metadata = p.takeMetadata(t.position)
	name := p.peek()
	if name.kind != tokenName {
		p.unexpected(strconv.Quote(p.opt.Package))
		p.skipLine()
		return
	}
	path := p.path()
	if path != p.opt.Package {
		p.fault("RG-005", name.position, p.opt.Package, path)
	}
	p.endOfLine()
}

func (p *parser) importClause() {
	at := p.take().position
	p.dropMetadata(at)
	name := p.peek()
	if name.kind != tokenName {
		p.unexpected("rego.v1", "future.keywords")
		p.skipLine()
		return
	}
	path := p.path()
	keyword, future := strings.CutPrefix(path, "future.keywords")
	switch {
	case path == "rego.v1":
		p.ifNeeded = true
	case future && slices.Contains([]string{"", ".in", ".if", ".contains", ".every"}, keyword):
	case path == "data" || strings.HasPrefix(path, "data."):
		p.fault("RG-004", at, "import "+path)
	default:
		p.fault("RG-006", name.position, path)
	}
	p.endOfLine()
}

// path reads a dotted name without blanks in it.
func (p *parser) path() string {
	first := p.take()
	end := first.end
	for p.text(p.peek()) == "." && p.peek().start == end && p.tokens[p.next+1].kind == tokenName &&
		p.tokens[p.next+1].start == end+1 {
		p.take()
		end = p.take().end
	}
	return p.src[first.start:end]
}

// statement reads a function. Whatever else stands at the top is reported, and reading goes on at the next function.
func (p *parser) statement() {
	t := p.peek()
	if t.kind != tokenName || p.text(p.tokens[p.next+1]) != "(" {
		if t.kind == tokenName && !p.isWord("import") && construct(p.text(t)) == "" {
			p.take()
			p.unexpected(`"("`)
		} else {
			p.unexpected("a function")
		}
		p.tree.broken = true
		p.skipToFunction()
		return
	}
	f := &function{position: t.position, name: p.text(t), metadata: p.takeMetadata(t.position)}
	f.shape = shapeOf(f.name)
	p.tree.functions = append(p.tree.functions, f)
	p.take()
	if f.shape == nil {
		f.broken = true
		p.skipToFunction()
		return
	}
	if p.head(f) && p.body(f) {
		p.dropMetadata(p.tokens[p.next-1].position)
		return
	}
	f.broken = true
	p.skipToFunction()
}

// head reads the arguments and everything up to the opening brace.
func (p *parser) head(f *function) bool {
	p.open("(")
	for i, want := range f.shape.arguments {
		if i > 0 {
			if p.isMark(")") && f.shape.kind == model.KindRuleset {
				break
			}
			if !p.mark(",") {
				return false
			}
		}
		if !p.word(want) {
			return false
		}
		f.arguments = append(f.arguments, want)
	}
	if !p.close(")") {
		return false
	}
	hasIf := p.isWord("if")
	if hasIf {
		p.take()
	}
	p.skipNewlines()
	brace := p.peek()
	if !p.isMark("{") {
		if hasIf {
			p.unexpected(`"{"`)
		} else {
			p.unexpected(`"if"`, `"{"`)
		}
		return false
	}
	p.take()
	if !hasIf && p.ifNeeded {
		p.fault("RG-007", brace.position)
	}
	return true
}

// body reads the lines up to the closing brace. A line that cannot be read is passed over.
func (p *parser) body(f *function) bool {
	for {
		p.skipSeparators()
		switch t := p.peek(); {
		case p.isMark("}"):
			p.take()
			return true
		case t.kind == tokenEnd || p.atFunction():
			p.unexpected(`"}"`)
			return false
		}
		l, first := &line{position: p.peek().position}, p.next
		if p.line(f, l) && p.lineEnd() {
			p.admit(f, l)
			continue
		}
		f.broken = true
		p.skipBrokenLine(first)
	}
}

// admit keeps a line when its function may have it.
func (p *parser) admit(f *function, l *line) {
	if slices.Contains(f.shape.lines, l.kind) {
		f.lines = append(f.lines, l)
		return
	}
	if !f.broken {
		names := make([]string, len(f.shape.lines))
		for i, k := range f.shape.lines {
			names[i] = article(k.String())
		}
		p.fault("RG-001", l.position, article(l.kind.String()), list(names))
	}
	f.broken = true
}

func (p *parser) lineEnd() bool {
	t := p.peek()
	if t.kind == tokenNewline || p.isMark(";") || p.isMark("}") {
		return true
	}
	p.unexpected("end of line", `";"`, `"}"`)
	return false
}

// takeMetadata gives the last METADATA block above at; earlier ones describe nothing.
func (p *parser) takeMetadata(at position) *comments {
	var found *comments
	for len(p.metadata) > 0 && p.metadata[0].before(at) {
		if found != nil {
			p.warn("RW-05", found.position, "this METADATA block")
		}
		found = &p.metadata[0]
		p.metadata = p.metadata[1:]
	}
	return found
}

// dropMetadata warns of the METADATA blocks above at: they do not describe anything.
func (p *parser) dropMetadata(at position) {
	for len(p.metadata) > 0 && p.metadata[0].before(at) {
		p.warn("RW-05", p.metadata[0].position, "this METADATA block")
		p.metadata = p.metadata[1:]
	}
}
