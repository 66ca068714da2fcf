package model

import "slices"

// Attributes are the values of a record: attribute id to its set of texts. A key without values means "no value". Lists
// hold no text twice (V1: a finite set) and keep the order in which they were given, which is the order of answers.
type Attributes map[AttributeID][]string

// Clone copies the map and shares the value lists.
func (a Attributes) Clone() Attributes {
	if a == nil {
		return nil
	}
	out := make(Attributes, len(a))
	for k, v := range a {
		out[k] = v
	}
	return out
}

// Asset is one stored thing of a PLAINID asset type (policy-model.md 3.3). The order of the catalogue is the order of
// first insertion; a store returns assets in that order.
type Asset struct {
	Path       string // 1 to 2,048 code points, unique in the type
	Name       string // "" = the path
	Attributes Attributes
}

// Identity is a directory entry (policy-model.md 3.6). An attribute is either in Attributes or in Rows, never in both.
type Identity struct {
	EntityID   string // 1 to 512 code points, unique in the template
	Inactive   bool
	Attributes Attributes
	Rows       []Attributes // values that belong together, at most 1,000
}

// Pooled is the identity's attributes with, for every attribute of the rows, the union of its values in row order
// (E19).
func (i *Identity) Pooled() Attributes {
	if len(i.Rows) == 0 {
		return i.Attributes
	}
	out := i.Attributes.Clone()
	if out == nil {
		out = Attributes{}
	}
	for _, row := range i.Rows {
		for k, vs := range row {
			out[k] = Union(out[k], vs)
		}
	}
	return out
}

// Union appends the texts of b that a lacks; a has no text twice. The result never shares memory that a caller could see
// changed.
func Union(a, b []string) []string {
	out := a[:len(a):len(a)]
	if len(a)+len(b) > fewTexts {
		seen := make(map[string]bool, len(a)+len(b))
		for _, v := range a {
			seen[v] = true
		}
		for _, v := range b {
			if !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
		return out
	}
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

// fewTexts is the length up to which comparing each with each is cheaper than hashing.
const fewTexts = 32

// Distinct removes repeated texts, keeping the first of each.
func Distinct(vs []string) []string {
	if len(vs) > fewTexts {
		return Union(nil, vs)
	}
	for i := range vs {
		if slices.Contains(vs[:i], vs[i]) {
			return Union(vs[:i:i], vs[i:])
		}
	}
	return vs
}
