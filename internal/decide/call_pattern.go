package decide

import (
	"errors"
	"regexp"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// pattern is the compiled matchPattern of an API mapper (runtime-api.md 13.3).
type pattern struct {
	expression *regexp.Regexp // nil = segments
	prefix     string         // that every path has which expression matches
	segments   []glob
	tail       bool // any number of segments may follow
}

// glob is one segment of a pattern: the texts between its wildcards, percent-decoded. One text alone is the segment.
type glob []string

// compilePattern compiles the pattern of m; ok is false for a type of match that is only kept and fits nothing.
func compilePattern(m *model.APIMapper) (p pattern, ok bool, err error) {
	if m.IsExpression() {
		if p.expression, err = m.Expression(); err != nil {
			return p, false, err
		}
		alone, err := regexp.Compile(m.MatchPattern)
		if err != nil {
			return p, false, err
		}
		p.prefix, _ = alone.LiteralPrefix()
		return p, true, nil
	}
	wild := m.IsWildcard()
	if !wild && m.MatchType != model.MatchExact {
		return p, false, nil
	}
	path := CallPath{full: m.MatchPattern}
	if !strings.HasPrefix(path.full, "/") {
		return p, false, errors.New("does not begin with /")
	}
	for _, s := range path.split() {
		if p.tail {
			return p, false, errors.New("has ** before its end")
		}
		if p.tail = wild && s == "**"; p.tail {
			continue
		}
		g := glob{s}
		if wild {
			g = strings.Split(s, "*")
		}
		for i := range g {
			g[i] = unescaped(g[i])
		}
		p.segments = append(p.segments, g)
	}
	return p, true, nil
}

// first is the segment that every path which fits begins with, "" for the root; ok is false when there are several.
func (p *pattern) first() (segment string, ok bool) {
	switch {
	case p.expression != nil:
		return "", false
	case len(p.segments) > 0:
		return p.segments[0][0], len(p.segments[0]) == 1
	}
	return "", !p.tail
}

// fits reports whether a path fits; segments are its own.
func (p *pattern) fits(path string, segments []string) bool {
	if p.expression != nil {
		return strings.HasPrefix(path, p.prefix) && p.expression.MatchString(path)
	}
	if len(segments) < len(p.segments) || len(segments) > len(p.segments) && !p.tail {
		return false
	}
	for i, g := range p.segments {
		if !g.fits(segments[i]) {
			return false
		}
	}
	return true
}

func (g glob) fits(segment string) bool {
	last := len(g) - 1
	if last == 0 {
		return segment == g[0]
	}
	rest, ok := strings.CutPrefix(segment, g[0])
	for _, text := range g[1:last] {
		if ok {
			_, rest, ok = strings.Cut(rest, text)
		}
	}
	return ok && strings.HasSuffix(rest, g[last])
}
