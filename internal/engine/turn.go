package engine

import (
	"slices"

	"github.com/ambit-authz/ambit/internal/model"
)

// turn makes of "values op operands", where the values were taken for operands, the same predicate on the operands. It
// reports whether there is one of reasonable size.
func (p *predicate) turn() bool {
	switch p.op {
	case model.OpLess:
		p.op = model.OpGreater
	case model.OpLessEqual:
		p.op = model.OpGreaterEqual
	case model.OpGreater:
		p.op = model.OpLess
	case model.OpGreaterEqual:
		p.op = model.OpLessEqual
	case model.OpContains, model.OpStartsWith, model.OpEndsWith:
		var parts []string
		for _, text := range p.texts {
			if parts = appendParts(parts, text, p.op); len(parts) > mostParts {
				return false
			}
		}
		p.op, p.texts = model.OpIn, parts
	}
	return true
}

// mostParts is how many parts of texts are looked up: one text of 50 characters has more than 1,000.
const mostParts = 4096

// appendParts appends the texts that text contains, starts with or ends with, little more than mostParts in all. Characters
// are never cut, so that every one is a text.
func appendParts(out []string, text string, op model.Operator) []string {
	out = slices.Grow(out, min(len(text), mostParts)+1)
	switch op {
	case model.OpStartsWith:
		for to := range text {
			out = append(out, text[:to])
		}
		return append(out, text)
	case model.OpEndsWith:
		for from := range text {
			out = append(out, text[from:])
		}
		return append(out, "")
	}
	for from := range text {
		for to := range text[from:] {
			if len(out) > mostParts {
				return out
			}
			out = append(out, text[from:from+to])
		}
		out = append(out, text[from:])
	}
	return append(out, "")
}
