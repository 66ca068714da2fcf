package engine

import "github.com/ambit-authz/ambit/internal/model"

// shared are long operands that the lines of a residual have in common: what it holds grows with the request, not with the
// request times the lines on an attribute. It is for one goroutine; nil shares nothing.
type shared struct {
	calculated map[calculatedOf][]string
	numeric    map[sameList]numbers
}

// sameList is the identity of a list of texts. Those of a question do not change.
type sameList struct {
	first *string
	n     int
}

type calculatedOf struct {
	sameList
	calculation *model.Calculation
}

type numbers struct {
	values []model.Number
	keys   []string
}

// fewOperands are made anew for each line: most lists are short.
const fewOperands = 64

// values are calculated of a list.
func (s *shared) values(c *model.Calculation, of []string) []string {
	if s == nil || len(of) <= fewOperands {
		return c.Values(of)
	}
	key := calculatedOf{sameList{&of[0], len(of)}, c}
	out, ok := s.calculated[key]
	if !ok {
		if out = c.Values(of); s.calculated == nil {
			s.calculated = map[calculatedOf][]string{}
		}
		s.calculated[key] = out
	}
	return out
}

// numbers are those of a list with their keys for the index.
func (s *shared) numbers(of []string) ([]model.Number, []string) {
	if s == nil || len(of) <= fewOperands {
		return parseNumbers(of)
	}
	key := sameList{&of[0], len(of)}
	out, ok := s.numeric[key]
	if !ok {
		if out.values, out.keys = parseNumbers(of); s.numeric == nil {
			s.numeric = map[sameList]numbers{}
		}
		s.numeric[key] = out
	}
	return out.values, out.keys
}

func parseNumbers(of []string) (values []model.Number, keys []string) {
	for _, v := range of {
		if n, ok := model.ParseNumber(v); ok {
			values = append(values, n)
			keys = append(keys, n.Key())
		}
	}
	return values, keys
}
