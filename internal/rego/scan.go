package rego

import (
	"strings"
	"unicode/utf8"
)

// position is a place in the text: line and column from 1, columns in code points. The zero position is no place.
type position struct{ line, column int32 }

func (p position) before(q position) bool {
	return p.line < q.line || p.line == q.line && p.column < q.column
}

type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenNewline
	tokenName
	tokenString
	tokenNumber
	tokenMark // operator or punctuation
	tokenBad  // something that is no token of Rego
)

// token is a piece of the text; start and end are byte offsets. It is small because a text can have millions.
type token struct {
	position
	start, end int32
	kind       tokenKind
}

// comments is a METADATA block: position is that of the word METADATA.
type comments struct {
	position
	lines []comment
}

// comment is the text after "#" of one line; column is that of its first character.
type comment struct {
	position
	text string
}

type scanner struct {
	src      string
	at       int
	here     position
	tokens   []token
	metadata []comments
	fresh    bool // only blanks so far in this line
	openLine int32
}

// scan cuts src into tokens, the last of which is tokenEnd, and collects its METADATA blocks. src is valid UTF-8 without
// byte order mark.
func scan(src string) ([]token, []comments) {
	s := &scanner{src: src, here: position{1, 1}, fresh: true}
	for s.at < len(s.src) {
		s.step()
	}
	s.emit(tokenEnd, s.at)
	return s.tokens, s.metadata
}

func (s *scanner) step() {
	switch c := s.src[s.at]; {
	case c == ' ' || c == '\t':
		s.advance(s.at + 1)
		return
	case c == '\n' || c == '\r' && strings.HasPrefix(s.src[s.at:], "\r\n"):
		s.emit(tokenNewline, s.at+1+strings.IndexByte(s.src[s.at:], '\n'))
		s.fresh = true
		return
	case c == '#':
		s.comment()
	case isLetter(c):
		s.emit(tokenName, s.span(s.at, func(c byte) bool { return isLetter(c) || isDigit(c) }))
	case c == '"':
		s.quoted()
	case c == '`':
		s.raw()
	case isDigit(c) || c == '-' && s.at+1 < len(s.src) && isDigit(s.src[s.at+1]):
		s.number()
	default:
		s.mark()
	}
	s.fresh = false
}

// emit adds the token that ends at end and moves behind it.
func (s *scanner) emit(kind tokenKind, end int) {
	s.tokens = append(s.tokens, token{position: s.here, start: int32(s.at), end: int32(end), kind: kind})
	s.advance(end)
}

func (s *scanner) advance(end int) {
	passed := s.src[s.at:end]
	if lines := strings.Count(passed, "\n"); lines > 0 {
		s.here.line += int32(lines)
		s.here.column = 1
		passed = passed[strings.LastIndexByte(passed, '\n')+1:]
	}
	s.here.column += int32(utf8.RuneCountInString(passed))
	s.at = end
}

func (s *scanner) span(from int, in func(byte) bool) int {
	for from < len(s.src) && in(s.src[from]) {
		from++
	}
	return from
}

// comment reads to the end of the line. A comment line METADATA opens a block, comment lines directly below belong to it.
func (s *scanner) comment() {
	end := len(s.src)
	if i := strings.IndexByte(s.src[s.at:], '\n'); i >= 0 {
		end = s.at + i
	}
	text := strings.TrimSuffix(s.src[s.at+1:end], "\r")
	if strings.ContainsAny(text, "\x00\ufeff") {
		// refused by Rego itself, even in comments
		s.emit(tokenBad, end)
		return
	}
	line := s.here.line
	if s.fresh {
		start := position{line, s.here.column + 1}
		switch {
		case strings.Trim(text, " \t") == "METADATA":
			start.column += int32(strings.IndexByte(text, 'M'))
			s.metadata = append(s.metadata, comments{position: start})
			s.openLine = line
		case len(s.metadata) > 0 && s.openLine == line-1:
			last := &s.metadata[len(s.metadata)-1]
			last.lines = append(last.lines, comment{start, text})
			s.openLine = line
		}
	}
	s.advance(end)
}

func (s *scanner) quoted() {
	for i := s.at + 1; i < len(s.src); i++ {
		switch s.src[i] {
		case '\\':
			i++
		case '\n':
			s.emit(tokenBad, i)
			return
		case '"':
			kind := tokenString
			if _, ok := unquote(s.src[s.at : i+1]); !ok {
				kind = tokenBad
			}
			s.emit(kind, i+1)
			return
		}
		if i < len(s.src) && s.src[i] == '\n' {
			s.emit(tokenBad, i)
			return
		}
	}
	s.emit(tokenBad, len(s.src))
}

func (s *scanner) raw() {
	i := strings.IndexByte(s.src[s.at+1:], '`')
	if i < 0 {
		s.emit(tokenBad, len(s.src))
		return
	}
	end := s.at + i + 2
	kind := tokenString
	if strings.ContainsAny(s.src[s.at:end], "\x00\ufeff") {
		kind = tokenBad
	}
	s.emit(kind, end)
}

// number takes everything that a reader would see as one number, then asks whether it is one.
func (s *scanner) number() {
	end := s.at + 1
	for end < len(s.src) {
		c := s.src[end]
		sign := (c == '+' || c == '-') && (s.src[end-1] == 'e' || s.src[end-1] == 'E')
		if !isLetter(c) && !isDigit(c) && c != '.' && !sign {
			break
		}
		end++
	}
	kind := tokenNumber
	if !isJSONNumber(s.src[s.at:end]) {
		kind = tokenBad
	}
	s.emit(kind, end)
}

func (s *scanner) mark() {
	rest := s.src[s.at:]
	for _, two := range []string{"==", "!=", "<=", ">=", ":="} {
		if strings.HasPrefix(rest, two) {
			s.emit(tokenMark, s.at+2)
			return
		}
	}
	if strings.IndexByte("(){}[],;.<>=+-*/%|&:", rest[0]) >= 0 {
		s.emit(tokenMark, s.at+1)
		return
	}
	_, size := utf8.DecodeRuneInString(rest)
	s.emit(tokenBad, s.at+size)
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isJSONNumber reports whether s is a number in JSON syntax.
func isJSONNumber(s string) bool {
	s = strings.TrimPrefix(s, "-")
	digits := func() bool {
		n := 0
		for n < len(s) && isDigit(s[n]) {
			n++
		}
		s = s[n:]
		return n > 0
	}
	leadingZero := strings.HasPrefix(s, "0")
	before := len(s)
	if !digits() || leadingZero && before-len(s) > 1 {
		return false
	}
	if rest, ok := strings.CutPrefix(s, "."); ok {
		s = rest
		if !digits() {
			return false
		}
	}
	if s != "" && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if s != "" && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if !digits() {
			return false
		}
	}
	return s == ""
}
