package identity

import (
	"encoding/json"
	"strconv"
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

// Values are the scalars that a path finds in a JSON document as encoding/json reads it, numbers as json.Number with their
// literal text: of an array its scalar elements, of an object nothing (runtime-api.md 5.3).
func (p Path) Values(document any) []string {
	at := []any{document}
	for _, step := range p.steps {
		var next []any
		for _, v := range at {
			next = append(next, follow(v, step)...)
		}
		at = next
	}
	var out []string
	for _, v := range at {
		if list, ok := v.([]any); ok {
			for _, element := range list {
				out = appendScalar(out, element)
			}
		} else {
			out = appendScalar(out, v)
		}
	}
	return out
}

func follow(v any, step model.PathStep) []any {
	switch v := v.(type) {
	case map[string]any:
		if member, ok := v[step.Name]; ok && step.Kind == model.StepName {
			return []any{member}
		}
	case []any:
		switch {
		case step.Kind == model.StepAll:
			return v
		case step.Kind == model.StepIndex && step.Index < len(v):
			return v[step.Index : step.Index+1]
		}
	}
	return nil
}

func appendScalar(out []string, v any) []string {
	switch v := v.(type) {
	case string:
		return append(out, v)
	case json.Number:
		return append(out, v.String())
	case bool:
		return append(out, strconv.FormatBool(v))
	}
	return out
}
