package model

import (
	"strconv"
	"strings"
)

// PathStep is one step of a path into a JSON document.
type PathStep struct {
	Name  string // of StepName
	Index int    // of StepIndex
	Kind  PathStepKind
}

// PathStepKind tells what a step chooses.
type PathStepKind uint8

// The kinds of steps.
const (
	StepName  PathStepKind = iota // one member of an object
	StepIndex                     // one element of a list
	StepAll                       // every element of a list
)

// ParsePath reads the JSONPath subset $, .name, ['name'], [n], [*]. A leading "$." may be missing. No steps stand for
// the whole document (runtime-api.md 5.2).
func ParsePath(text string) ([]PathStep, *Error) {
	rest, rooted := strings.CutPrefix(text, "$")
	if text == "" {
		return nil, Invalidf("the path is empty")
	}
	if !rooted && rest[0] != '[' {
		rest = "." + rest
	}
	var steps []PathStep
	for rest != "" {
		s, after, ok := cutStep(rest)
		if !ok {
			return nil, Invalidf("not a path of the supported form: %q", text)
		}
		steps = append(steps, s)
		rest = after
	}
	return steps, nil
}

func cutStep(s string) (PathStep, string, bool) {
	if s[0] == '.' {
		end := strings.IndexAny(s[1:], ".[") + 1
		if end == 0 {
			end = len(s)
		}
		name := s[1:end]
		return PathStep{Name: name}, s[end:], name != "" && !strings.ContainsAny(name, `]'"*`)
	}
	if s[0] != '[' || len(s) < 3 {
		return PathStep{}, "", false
	}
	if quote := s[1]; quote == '\'' || quote == '"' {
		end := strings.IndexByte(s[2:], quote) + 2
		if end < 2 || end+1 >= len(s) || s[end+1] != ']' {
			return PathStep{}, "", false
		}
		return PathStep{Name: s[2:end]}, s[end+2:], true
	}
	inner, after, ok := strings.Cut(s[1:], "]")
	if !ok {
		return PathStep{}, "", false
	}
	if inner == "*" {
		return PathStep{Kind: StepAll}, after, true
	}
	n, err := strconv.ParseUint(inner, 10, 31)
	return PathStep{Kind: StepIndex, Index: int(n)}, after, err == nil
}
