package model

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Calculation is how a calculated attribute gets its values: one function of the values of one other attribute of the same
// template (policy-model.md 3.5). It is total: every set of values has exactly one result. Equal calculations are ==.
type Calculation struct {
	Argument AttributeID
	function string
	numeric  bool // the argument is NUMERIC
	before   string
	after    string // literals of CONCAT
}

// The functions that are offered. Values of a NUMERIC argument that are no numbers count for none of them (V7).
const (
	hasValue = "HASVALUE" // "true" when the argument has a value, else "false"
	count    = "COUNT"    // how many different values there are; equal numbers are one value
	least    = "MIN"      // the least number
	greatest = "MAX"      // the greatest number
	upper    = "UPPER"    // every value in upper case, code point by code point
	lower    = "LOWER"    // every value in lower case, code point by code point
	concat   = "CONCAT"   // every value with literals before and after it
)

// Limits on the text of a calculation, in code points. The second one bounds what a request's many values can grow to.
const (
	maxCalculationLength = 1_000
	maxCalculationAdds   = 64
)

// functionTypes are the types of a function's argument ("" = either) and result; ok is false for one that is not offered.
func functionTypes(function string) (argument, result AttributeType, ok bool) {
	switch function {
	case hasValue:
		return "", String, true
	case count:
		return "", Numeric, true
	case least, greatest:
		return Numeric, Numeric, true
	case upper, lower, concat:
		return String, String, true
	}
	return "", "", false
}

// Calculation is how a gets its values; nil when a is not calculated, or is path. An error, of kind KindInvalid, says
// why the attribute has none: its function is not offered or does not fit the type's attributes.
func (t *AssetTemplate) Calculation(a *AssetAttribute) (*Calculation, error) {
	if !a.IsCalculated || a.ID == AttributePath {
		return nil, nil
	}
	return calculation(a.CalculationFunction, a.Type, func(id AttributeID) (AttributeType, bool, bool) {
		b, ok := t.Attribute(id)
		return b.Type, b.IsCalculated && id != AttributePath, ok
	})
}

// Calculation is how a gets its values; nil when a is not calculated, or is uid. An error, of kind KindInvalid, says
// why the attribute has none: its function is not offered or does not fit the template's attributes.
func (t *IdentityTemplate) Calculation(a *IdentityAttribute) (*Calculation, error) {
	if !a.IsCalculated || a.ID == AttributeUID {
		return nil, nil
	}
	return calculation(a.CalculationFunction, a.Type, func(id AttributeID) (AttributeType, bool, bool) {
		b, ok := t.Attribute(id)
		return b.Type, b.IsCalculated && id != AttributeUID, ok
	})
}

// CalculationWarnings warns of every calculated attribute that can never have a value, with the reason, and of functions of
// attributes that are not calculated. Functions are stored and exported as they are (policy-model.md 3.5).
func (t *AssetTemplate) CalculationWarnings() Errors {
	var out Errors
	for i := range t.Attributes {
		a := &t.Attributes[i]
		_, err := t.Calculation(a)
		out.warnCalculation(i, string(a.ID), err, !a.IsCalculated && hasText(a.CalculationFunction))
	}
	return out
}

// CalculationWarnings is that of the attributes of identities.
func (t *IdentityTemplate) CalculationWarnings() Errors {
	var out Errors
	for i := range t.Attributes {
		a := &t.Attributes[i]
		_, err := t.Calculation(a)
		out.warnCalculation(i, string(a.ID), err, !a.IsCalculated && hasText(a.CalculationFunction))
	}
	return out
}

// hasText reports whether there is a function at all: other tools write an empty one where there is none.
func hasText(function *string) bool { return function != nil && strings.TrimSpace(*function) != "" }

func (es *Errors) warnCalculation(i int, attribute string, never error, unused bool) {
	field := fmt.Sprintf("/attributes/%d/calculationFunction", i)
	var code, name string
	switch {
	case never != nil:
		code, name = "MW-01", "CalculatedAttributeWarning"
		es.Add(field, "attribute %q can never have a value: %v", attribute, never)
	case unused:
		code, name = "MW-02", "CalculationUnusedWarning"
		es.Add(field, "attribute %q has the values that it is given, not this function's: its isCalculated is not true", attribute)
	default:
		return
	}
	last := (*es)[len(*es)-1]
	last.Code, last.Name = code, name
}

// calculation reads the function of an attribute of a type among the attributes that find finds.
func calculation(text *string, t AttributeType, find func(AttributeID) (t AttributeType, calculated, ok bool)) (*Calculation, error) {
	if text == nil {
		return nil, Invalidf("there is no calculationFunction")
	}
	r := calculationReader{text: *text}
	c, err := r.call()
	if err != nil {
		return nil, err
	}
	takes, gives, _ := functionTypes(c.function)
	of, calculated, ok := find(c.Argument)
	switch {
	case !ok:
		return nil, r.errorAt(r.argument, "there is no attribute %q", c.Argument)
	case calculated:
		return nil, r.errorAt(r.argument, "attribute %q is calculated itself", c.Argument)
	case takes != "" && of != takes:
		return nil, r.errorAt(r.argument, "%s takes a %s attribute, %q is %s", c.function, takes, c.Argument, of)
	case gives != t:
		return nil, Invalidf("%s gives %s, the attribute is %s", c.function, gives, t)
	}
	c.numeric = of == Numeric
	return &c, nil
}

// calculationReader reads FUNCTION(argument, …): an argument is an attribute id as it is, without any of ,()" and with no
// blank at its ends, or a literal in double quotes, in which \" and \\ stand for themselves.
type calculationReader struct {
	text     string
	at       int // byte offset
	argument int // offset of the attribute
}

const calculationBlanks = " \t\r\n"

// errorAt is an error with its place in the function, counted in code points from 1.
func (r *calculationReader) errorAt(offset int, format string, args ...any) error {
	place := utf8.RuneCountInString(r.text[:offset]) + 1
	return Invalidf("calculationFunction, character %d: "+format, append([]any{place}, args...)...)
}

func (r *calculationReader) skip() {
	r.at = len(r.text) - len(strings.TrimLeft(r.text[r.at:], calculationBlanks))
}

// take reads one of some bytes, or nothing.
func (r *calculationReader) take(bytes string) byte {
	if r.skip(); r.at < len(r.text) && strings.IndexByte(bytes, r.text[r.at]) >= 0 {
		r.at++
		return r.text[r.at-1]
	}
	return 0
}

func (r *calculationReader) call() (c Calculation, err error) {
	if utf8.RuneCountInString(r.text) > maxCalculationLength {
		return c, Invalidf("calculationFunction has more than %d characters", maxCalculationLength)
	}
	r.skip()
	start := r.at
	name := r.until("(,)\"" + calculationBlanks)
	if r.take("(") == 0 || name == "" {
		return c, r.errorAt(start, "not of the form FUNCTION(attribute)")
	}
	c.function = name
	if _, _, ok := functionTypes(c.function); !ok {
		return c, r.errorAt(start, "function %q is not offered", c.function)
	}
	if err := r.arguments(&c, start); err != nil {
		return c, err
	}
	if r.skip(); r.at < len(r.text) {
		return c, r.errorAt(r.at, "unexpected text after the function")
	}
	return c, nil
}

// until reads up to one of some bytes.
func (r *calculationReader) until(bytes string) string {
	rest := r.text[r.at:]
	if end := strings.IndexAny(rest, bytes); end >= 0 {
		rest = rest[:end]
	}
	r.at += len(rest)
	return rest
}

func (r *calculationReader) arguments(c *Calculation, start int) error {
	literals := 0
	for next := byte(','); next == ','; {
		r.skip()
		begin := r.at
		if r.at < len(r.text) && r.text[r.at] == '"' {
			text, err := r.literal()
			if err != nil {
				return err
			}
			literals++
			if c.Argument == "" {
				c.before += text
			} else {
				c.after += text
			}
		} else {
			id := AttributeID(strings.TrimRight(r.until(`,()"`), calculationBlanks))
			switch {
			case r.at < len(r.text) && r.text[r.at] == '(':
				return r.errorAt(begin, "a function inside a function is not offered")
			case CheckExternalID(string(id)) != "":
				return r.errorAt(begin, "not the id of an attribute")
			case c.Argument != "":
				return r.errorAt(begin, "%s takes one attribute", c.function)
			}
			c.Argument, r.argument = id, begin
		}
		if next = r.take(",)"); next == 0 {
			return r.errorAt(r.at, "expected a comma or a closing bracket")
		}
	}
	switch {
	case c.Argument == "":
		return r.errorAt(start, "%s takes one attribute", c.function)
	case literals > 0 && c.function != concat:
		return r.errorAt(start, "%s takes no literal", c.function)
	case literals == 0 && c.function == concat:
		return r.errorAt(start, "%s takes one attribute and literals", c.function)
	case utf8.RuneCountInString(c.before+c.after) > maxCalculationAdds:
		return r.errorAt(start, "the literals have more than %d characters", maxCalculationAdds)
	}
	return nil
}

// literal reads a text in double quotes.
func (r *calculationReader) literal() (string, error) {
	start := r.at
	var out strings.Builder
	for r.at++; r.at < len(r.text); r.at++ {
		switch b := r.text[r.at]; {
		case b == '"':
			r.at++
			return out.String(), nil
		case b < ' ' || b == 0x7f:
			return "", r.errorAt(r.at, "a control character")
		case b != '\\':
			out.WriteByte(b)
			continue
		}
		if r.at++; r.at == len(r.text) || r.text[r.at] != '"' && r.text[r.at] != '\\' {
			return "", r.errorAt(r.at-1, `a backslash stands only before " and \`)
		}
		out.WriteByte(r.text[r.at])
	}
	return "", r.errorAt(start, "the literal has no end")
}

// Values are those of the calculated attribute when its argument has the values of, which stay as they are.
func (c *Calculation) Values(of []string) []string {
	switch c.function {
	case hasValue:
		return []string{strconv.FormatBool(c.has(of))}
	case count:
		return []string{strconv.Itoa(c.count(of))}
	case least:
		return extreme(of, -1)
	case greatest:
		return extreme(of, 1)
	}
	var out []string
	for _, v := range of {
		switch c.function {
		case upper:
			out = append(out, strings.ToUpper(v))
		case lower:
			out = append(out, strings.ToLower(v))
		case concat:
			out = append(out, c.before+v+c.after)
		}
	}
	return Distinct(out)
}

func (c *Calculation) has(of []string) bool {
	if !c.numeric {
		return len(of) > 0
	}
	return slices.ContainsFunc(of, func(v string) bool { _, ok := ParseNumber(v); return ok })
}

func (c *Calculation) count(of []string) int {
	if !c.numeric {
		return len(Distinct(of))
	}
	seen := map[Number]bool{}
	for _, v := range of {
		if n, ok := ParseNumber(v); ok {
			seen[n] = true
		}
	}
	return len(seen)
}

// extreme is the text of the least (sign -1) or greatest (sign 1) number, the first one of equal numbers.
func extreme(of []string, sign int) []string {
	var best Number
	var out []string
	for _, v := range of {
		if n, ok := ParseNumber(v); ok && (out == nil || n.Compare(best) == sign) {
			best, out = n, []string{v}
		}
	}
	return out
}
