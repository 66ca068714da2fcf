package engine_test

import (
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ambit-authz/ambit/internal/model"
)

// Calculated attributes (policy-model.md 3.5) of the random worlds, and the reference's own reading of their functions.

var (
	textFunctions = []string{
		"HASVALUE(s)", "HASVALUE(n)", "UPPER(s)", "LOWER(s)", `CONCAT("a", s)`, `CONCAT(s,"b")`, `CONCAT("a",s,"","b")`,
	}
	numberFunctions  = []string{"COUNT(s)", "COUNT(n)", "MIN(n)", "MAX(n)"}
	calculatedValues = []string{"true", "false", "A", "a", "ab", "aa", "É"}
)

const (
	calculatedText   model.AttributeID = "cs"
	calculatedNumber model.AttributeID = "cn"
)

func isCalculated(id model.AttributeID) bool { return id == calculatedText || id == calculatedNumber }

// functions draws what the calculated attributes of a template are calculated of; own are functions of its built-in
// attribute.
func (m *maker) functions(own ...string) (text, number *string) {
	a, b := pick(m, append(own, textFunctions...)), pick(m, numberFunctions)
	return &a, &b
}

func (m *maker) calculatedAssetAttributes() []model.AssetAttribute {
	text, number := m.functions("HASVALUE(path)")
	return []model.AssetAttribute{
		{ID: calculatedText, Type: model.String, IsCalculated: true, CalculationFunction: text},
		{ID: calculatedNumber, Type: model.Numeric, IsCalculated: true, CalculationFunction: number, IsMultiValue: true},
	}
}

func (m *maker) calculatedIdentityAttributes() []model.IdentityAttribute {
	text, number := m.functions("UPPER(uid)", `CONCAT(uid,"1")`)
	return []model.IdentityAttribute{
		{ID: calculatedText, Type: model.String, IsCalculated: true, CalculationFunction: text},
		{ID: calculatedNumber, Type: model.Numeric, IsCalculated: true, CalculationFunction: number},
	}
}

// calculate puts the values of a calculated attribute in the place of whatever else is said of it.
func calculate(v values, id model.AttributeID, function *string, numeric func(model.AttributeID) bool) {
	delete(v, id)
	name, inside, _ := strings.Cut(strings.TrimSuffix(*function, ")"), "(")
	var before, after string
	var argument model.AttributeID
	for _, part := range strings.Split(inside, ",") {
		part = strings.TrimSpace(part)
		switch {
		case !strings.HasPrefix(part, `"`):
			argument = model.AttributeID(part)
		case argument == "":
			before += strings.Trim(part, `"`)
		default:
			after += strings.Trim(part, `"`)
		}
	}
	of := v[argument]
	if numeric(argument) {
		of = slices.DeleteFunc(slices.Clone(of), func(text string) bool { return len(numbers([]string{text})) == 0 })
	}
	switch name {
	case "HASVALUE":
		v[id] = []string{map[bool]string{true: "true", false: "false"}[len(of) > 0]}
	case "COUNT":
		v[id] = []string{strconv.Itoa(countDifferent(of, numeric(argument)))}
	case "MIN", "MAX":
		if best := ends(of, name == "MAX"); best != "" {
			v[id] = []string{best}
		}
	default:
		for _, text := range of {
			v[id] = append(v[id], map[string]string{
				"UPPER": strings.ToUpper(text), "LOWER": strings.ToLower(text), "CONCAT": before + text + after,
			}[name])
		}
		v[id] = distinct(v[id])
	}
}

func countDifferent(of []string, numeric bool) int {
	if !numeric {
		return len(distinct(of))
	}
	var seen []*big.Rat
	for _, n := range numbers(of) {
		if !slices.ContainsFunc(seen, func(m *big.Rat) bool { return m.Cmp(n) == 0 }) {
			seen = append(seen, n)
		}
	}
	return len(seen)
}

// ends is the first of the texts, all of them numbers, that none is beyond.
func ends(of []string, greatest bool) string {
	for i, n := range numbers(of) {
		if !slices.ContainsFunc(numbers(of), func(m *big.Rat) bool { return m.Cmp(n) != 0 && (m.Cmp(n) > 0) == greatest }) {
			return of[i]
		}
	}
	return ""
}

func (w *world) calculateAsset(t model.AssetTemplate, v values) {
	for _, a := range t.Attributes {
		if a.IsCalculated {
			calculate(v, a.ID, a.CalculationFunction, func(id model.AttributeID) bool {
				b, _ := t.Attribute(id)
				return b.Type == model.Numeric
			})
		}
	}
}

func (w *world) calculateIdentity(id model.TemplateID, v values) {
	t := w.identityTemplates[id]
	for _, a := range t.Attributes {
		if a.IsCalculated {
			calculate(v, a.ID, a.CalculationFunction, func(id model.AttributeID) bool {
				b, _ := t.Attribute(id)
				return b.Type == model.Numeric
			})
		}
	}
}
