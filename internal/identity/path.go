package identity

import (
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Path is a compiled path of the JSONPath subset of runtime-api.md 5.2. The zero Path reads the whole document.
type Path struct{ steps []model.PathStep }

// ParsePath compiles text.
func ParsePath(text string) (Path, *model.Error) {
	steps, err := model.ParsePath(text)
	return Path{steps}, err
}

// header splits a path that begins with $.headers and a name: such a path reads the request's headers.
func (p Path) header() (name string, rest Path, ok bool) {
	if len(p.steps) < 2 || p.steps[0] != (model.PathStep{Name: "headers"}) || p.steps[1].Kind != model.StepName {
		return "", Path{}, false
	}
	return strings.ToLower(p.steps[1].Name), Path{p.steps[2:]}, true
}

// list applies the rest of a path to a list of texts: all of them, or one.
func (p Path) list(values []string) []string {
	switch {
	case len(p.steps) == 0, len(p.steps) == 1 && p.steps[0].Kind == model.StepAll:
		return values
	case len(p.steps) == 1 && p.steps[0].Kind == model.StepIndex && p.steps[0].Index < len(values):
		i := p.steps[0].Index
		return values[i : i+1]
	}
	return nil
}
