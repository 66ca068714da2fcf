package agree

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

type (
	leaf struct {
		Attribute model.AttributeID `json:"attribute"`
		Type      string            `json:"type"`
		Operator  string            `json:"operator"`
		Values    []string          `json:"values"`
	}
	filter struct {
		Or []struct {
			And []leaf `json:"AND"`
		} `json:"OR"`
	}
	resolvedEntry struct {
		Path         *string `json:"path"`
		ResourceType string  `json:"resourceType"`
		Actions      []struct {
			Action string  `json:"action"`
			Filter *filter `json:"asset-attributes-filter"`
		} `json:"actions"`
	}
	resolutionAnswer struct {
		Response []struct {
			Privileges struct {
				Allowed []resolvedEntry `json:"allowed"`
			} `json:"privileges"`
		} `json:"response"`
	}
)

// filtered wants Policy Resolution to name the assets of types in asset form that are listed, and the filters of the other
// stored types, read as an application would, to select those that are listed: exactly, or where the tree cannot say what a
// Restrict policy takes away (runtime-api.md 10.4 rule 5) no others.
func (q *question) filtered(head string, listed map[pair]bool) {
	q.t.Helper()
	var wanted []string
	for _, t := range q.types {
		wanted = append(wanted, text(t.ID))
	}
	b := q.post(resolutionPath, head+`,"resourceTypes":[`+strings.Join(wanted, ",")+`]}`)
	answer := read[resolutionAnswer](q, b)
	if len(answer.Response) != 1 {
		q.fail("no privileges: %s", b)
	}
	got := map[pair]bool{}
	for _, e := range answer.Response[0].Privileges.Allowed {
		if e.Path != nil {
			for _, a := range e.Actions {
				got[pair{e.ResourceType, *e.Path, a.Action}] = true
			}
			if len(e.Actions) == 0 {
				got[pair{e.ResourceType, *e.Path, ""}] = true
			}
			continue
		}
		for _, a := range e.Actions {
			for _, asset := range q.assets[model.TemplateID(e.ResourceType)] {
				if a.Filter == nil || a.Filter.selects(asset) {
					got[pair{e.ResourceType, asset.Path, a.Action}] = true
				}
			}
		}
	}
	for p := range got {
		if !listed[p] {
			q.fail("%+v is resolved but not listed: %s", p, b)
		}
	}
	exact := map[string]bool{}
	for _, t := range q.types {
		exact[string(t.ID)] = !t.IsUsedForFiltering || q.saysAll(&t)
	}
	for p := range listed {
		if q.typeOf(p.template).IsUsedForFiltering {
			q.count.filters++
			if exact[p.template] {
				q.count.exact++
			}
			if got[p] {
				q.count.fitting++
			}
		}
		if !got[p] && exact[p.template] {
			q.fail("%+v is listed but not resolved: %s", p, b)
		}
	}
}

// saysAll reports whether a filter can say all that policies say of a type: no line is on a calculated attribute, each line
// of a Restrict policy has a negation, and every asset has values for it.
func (q *question) saysAll(t *model.AssetTemplate) bool {
	for _, p := range q.world.policies {
		if p.Inactive {
			continue
		}
		for _, use := range p.Rulesets {
			for _, b := range q.blocks {
				if b.ID == use.BlockID && b.Template == t.ID && (onCalculated(&b) || p.Access == model.Restrict && !q.negatable(t, &b)) {
					return false
				}
			}
		}
	}
	return true
}

func onCalculated(b *model.Block) bool {
	return slices.ContainsFunc(b.Branches, func(branch model.Branch) bool {
		return slices.ContainsFunc(branch.Rules, func(r model.Rule) bool { return r.Left.Attribute == calculated })
	})
}

func (q *question) negatable(t *model.AssetTemplate, b *model.Block) bool {
	for _, branch := range b.Branches {
		for _, r := range branch.Rules {
			a, _ := t.Attribute(r.Left.Attribute)
			if r.Op.IsText() || r.Op.IsOrder() && a.IsMultiValue {
				return false
			}
			for _, asset := range q.assets[t.ID] {
				if len(leaf{Attribute: a.ID, Type: string(a.Type)}.of(asset)) == 0 {
					return false
				}
			}
		}
	}
	return true
}

func (f *filter) selects(a model.Asset) bool {
	for _, branch := range f.Or {
		fits := true
		for _, l := range branch.And {
			fits = fits && l.fits(a)
		}
		if fits {
			return true
		}
	}
	return false
}

// of are the values of an asset that a leaf is about.
func (l leaf) of(a model.Asset) []string {
	if l.Attribute == model.AttributePath {
		return []string{a.Path}
	}
	if l.Type == string(model.String) {
		return a.Attributes[l.Attribute]
	}
	var out []string
	for _, v := range a.Attributes[l.Attribute] {
		if _, ok := model.ParseNumber(v); ok {
			out = append(out, v)
		}
	}
	return out
}

func (l leaf) fits(a model.Asset) bool {
	values, hit := l.of(a), false
	for _, v := range values {
		for _, w := range l.Values {
			hit = hit || l.holds(v, w)
		}
	}
	return len(values) > 0 && hit != (l.Operator == "NOTEQUALS" || l.Operator == "NOT_IN")
}

// holds compares one value with one operand; the two negative operators compare as their opposites do.
func (l leaf) holds(v, w string) bool {
	x, _ := model.ParseNumber(v)
	y, _ := model.ParseNumber(w)
	switch l.Operator {
	case "EQUALS", "IN", "NOTEQUALS", "NOT_IN":
		return l.Type == "INTEGER" && x.Compare(y) == 0 || l.Type == "STRING" && v == w
	case "LESS":
		return x.Compare(y) < 0
	case "LESS_EQUALS":
		return x.Compare(y) <= 0
	case "GREATE":
		return x.Compare(y) > 0
	case "GREAT_EQUALS":
		return x.Compare(y) >= 0
	case "CONTAINS":
		return strings.Contains(v, w)
	case "STARTWITH":
		return strings.HasPrefix(v, w)
	case "ENDWITH":
		return strings.HasSuffix(v, w)
	}
	panic(fmt.Sprintf("operator %q", l.Operator))
}
