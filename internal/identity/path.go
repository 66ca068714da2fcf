package identity

import (
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Path is a compiled path of the JSONPath subset: $, .name, ['name'], [n], [*]. A leading "$." may be missing
// (runtime-api.md 5.2). The zero Path reads the whole document.
type Path struct{ steps []step }

type step struct {
	name  string
	index int // of stepIndex
	kind  stepKind
}

type stepKind uint8

const (
	stepName stepKind = iota
	stepIndex
	stepAll
)

// ParsePath compiles text.
func ParsePath(text string) (Path, *model.Error) {
	rest, rooted := strings.CutPrefix(text, "$")
	if text == "" {
		return Path{}, model.Invalidf("the path is empty")
	}
	if !rooted && rest[0] != '[' {
		rest = "." + rest
	}
	var p Path
	for rest != "" {
		s, after, ok := cutStep(rest)
		if !ok {
			return Path{}, model.Invalidf("not a path of the supported form: %q", text)
		}
		p.steps = append(p.steps, s)
		rest = after
	}
	return p, nil
}

func cutStep(s string) (step, string, bool) {
	if s[0] == '.' {
		end := strings.IndexAny(s[1:], ".[") + 1
		if end == 0 {
			end = len(s)
		}
		name := s[1:end]
		return step{name: name}, s[end:], name != "" && !strings.ContainsAny(name, `]'"*`)
	}
	if s[0] != '[' || len(s) < 3 {
		return step{}, "", false
	}
	if quote := s[1]; quote == '\'' || quote == '"' {
		end := strings.IndexByte(s[2:], quote) + 2
		if end < 2 || end+1 >= len(s) || s[end+1] != ']' {
			return step{}, "", false
		}
		return step{name: s[2:end]}, s[end+2:], true
	}
	inner, after, ok := strings.Cut(s[1:], "]")
	if !ok {
		return step{}, "", false
	}
	if inner == "*" {
		return step{kind: stepAll}, after, true
	}
	n, err := strconv.ParseUint(inner, 10, 31)
	return step{kind: stepIndex, index: int(n)}, after, err == nil
}

// header splits a path that begins with $.headers and a name: such a path reads the request's headers.
func (p Path) header() (name string, rest Path, ok bool) {
	if len(p.steps) < 2 || p.steps[0] != (step{name: "headers"}) || p.steps[1].kind != stepName {
		return "", Path{}, false
	}
	return strings.ToLower(p.steps[1].name), Path{p.steps[2:]}, true
}

// list applies the rest of a path to a list of texts: all of them, or one.
func (p Path) list(values []string) []string {
	switch {
	case len(p.steps) == 0, len(p.steps) == 1 && p.steps[0].kind == stepAll:
		return values
	case len(p.steps) == 1 && p.steps[0].kind == stepIndex && p.steps[0].index < len(values):
		i := p.steps[0].index
		return values[i : i+1]
	}
	return nil
}
