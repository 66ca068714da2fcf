package model_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
)

// papers is an asset type with one calculated attribute.
func papers(function string, t model.AttributeType) (model.AssetTemplate, *model.AssetAttribute) {
	out := model.AssetTemplate{ID: "Papers", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{
		{ID: "class", Type: model.String},
		{ID: "code name", Type: model.String},
		{ID: "pages", Type: model.Numeric},
		{ID: "other", Type: model.String, IsCalculated: true, CalculationFunction: &function},
		{ID: "calc", Type: t, IsCalculated: true, CalculationFunction: &function},
	}}
	return out, &out.Attributes[4]
}

// TestCalculations: policy-model.md 3.5: every function on no, one and several values; numbers by value, texts that are no
// numbers left out (V7).
func TestCalculations(t *testing.T) {
	for _, tt := range []struct {
		function string
		of       []string
		want     []string
	}{
		{`HASVALUE(class)`, nil, []string{"false"}},
		{`HASVALUE(class)`, []string{""}, []string{"true"}},
		{`HASVALUE(pages)`, []string{"many"}, []string{"false"}},
		{`HASVALUE(pages)`, []string{"many", "3"}, []string{"true"}},
		{`HASVALUE(path)`, []string{"x"}, []string{"true"}},
		{`COUNT(class)`, nil, []string{"0"}},
		{`COUNT(class)`, []string{"a", "b", "a"}, []string{"2"}},
		{`COUNT(pages)`, []string{"1", "1.0", "many", "2"}, []string{"2"}},
		{`MIN(pages)`, nil, nil},
		{`MIN(pages)`, []string{"many"}, nil},
		{`MIN(pages)`, []string{"10", "9", "9.0", "1e1"}, []string{"9"}},
		{`MAX(pages)`, []string{"9", "1e1", "10"}, []string{"1e1"}},
		{`MAX(pages)`, []string{"-3", "-2.5"}, []string{"-2.5"}},
		{`UPPER(class)`, nil, nil},
		{`UPPER(class)`, []string{"é", "Strasse", "straße", "É"}, []string{"É", "STRASSE", "STRAßE"}},
		{`LOWER(class)`, []string{"ÀB", ""}, []string{"àb", ""}},
		{" LOWER\t( class\n) ", []string{"A"}, []string{"a"}},
		{`CONCAT("eu-", class)`, []string{"a", ""}, []string{"eu-a", "eu-"}},
		{`CONCAT("a\"", "\\", code name, "é", ",)(")`, []string{"x"}, []string{`a"\xé,)(`}},
		{`CONCAT("", class)`, nil, nil},
	} {
		typ := model.String
		if strings.HasPrefix(tt.function, "COUNT") || strings.HasPrefix(tt.function, "M") {
			typ = model.Numeric
		}
		template, a := papers(tt.function, typ)
		c, err := template.Calculation(a)
		if err != nil {
			t.Errorf("%s: %v", tt.function, err)
			continue
		}
		before := slices.Clone(tt.of)
		if d := cmp.Diff(tt.want, c.Values(tt.of)); d != "" {
			t.Errorf("%s of %q (-want +got):\n%s", tt.function, tt.of, d)
		}
		if !slices.Equal(before, tt.of) {
			t.Errorf("%s changed its argument %q to %q", tt.function, before, tt.of)
		}
	}
}

// TestCalculationsNotOffered: policy-model.md 3.5: an error says what is wrong and where.
func TestCalculationsNotOffered(t *testing.T) {
	for _, tt := range []struct {
		function string
		t        model.AttributeType
		want     string
	}{
		{`f()`, model.String, `character 1: function "f" is not offered`},
		{`  Hasvalue(class)`, model.String, `character 3: function "Hasvalue" is not offered`},
		{``, model.String, `character 1: not of the form FUNCTION(attribute)`},
		{`class + 1`, model.String, `character 1: not of the form FUNCTION(attribute)`},
		{`(class)`, model.String, `character 1: not of the form FUNCTION(attribute)`},
		{`HASVALUE class`, model.String, `character 1: not of the form FUNCTION(attribute)`},
		{`HASVALUE()`, model.String, `character 10: not the id of an attribute`},
		{`HASVALUE(class`, model.String, `character 15: expected a comma or a closing bracket`},
		{`HASVALUE(class))`, model.String, `character 16: unexpected text after the function`},
		{`HASVALUE(nothing)`, model.String, `character 10: there is no attribute "nothing"`},
		{`HASVALUE(Class)`, model.String, `character 10: there is no attribute "Class"`},
		{`HASVALUE(other)`, model.String, `character 10: attribute "other" is calculated itself`},
		{`HASVALUE(calc)`, model.String, `character 10: attribute "calc" is calculated itself`},
		{`HASVALUE(class, pages)`, model.String, `character 17: HASVALUE takes one attribute`},
		{`HASVALUE("class")`, model.String, `character 1: HASVALUE takes one attribute`},
		{`HASVALUE(class, "x")`, model.String, `character 1: HASVALUE takes no literal`},
		{`HASVALUE(class)`, model.Numeric, `HASVALUE gives STRING, the attribute is NUMERIC`},
		{`COUNT(class)`, model.String, `COUNT gives NUMERIC, the attribute is STRING`},
		{`MAX(class)`, model.Numeric, `character 5: MAX takes a NUMERIC attribute, "class" is STRING`},
		{`UPPER(pages)`, model.String, `character 7: UPPER takes a STRING attribute, "pages" is NUMERIC`},
		{`UPPER(LOWER(class))`, model.String, `character 7: a function inside a function is not offered`},
		{`CONCAT(class)`, model.String, `character 1: CONCAT takes one attribute and literals`},
		{`CONCAT("é", "ä)`, model.String, `character 13: the literal has no end`},
		{`CONCAT(class, "\n")`, model.String, `character 16: a backslash stands only before " and \`},
		{"CONCAT(class, \"\t\")", model.String, `character 16: a control character`},
		{`CONCAT(class "x")`, model.String, `character 14: expected a comma or a closing bracket`},
		{`CONCAT(class, "` + strings.Repeat("é", 65) + `")`, model.String, `character 1: the literals have more than 64 characters`},
		{`UPPER(` + strings.Repeat(" ", 1000) + `class)`, model.String, `has more than 1000 characters`},
	} {
		template, a := papers(tt.function, tt.t)
		if c, err := template.Calculation(a); c != nil || err == nil || !strings.HasSuffix(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v; want %s", tt.function, c, err, tt.want)
		}
	}
	template, a := papers("", model.String)
	a.CalculationFunction = nil
	if c, err := template.Calculation(a); c != nil || err == nil {
		t.Errorf("without a function: %v, %v", c, err)
	}
}

// TestBuiltInIsNeverCalculated: V9: neither path nor uid can be calculated, whatever a definition says.
func TestBuiltInIsNeverCalculated(t *testing.T) {
	text := "UPPER(class)"
	at := model.AssetTemplate{ID: "T", Source: model.SourcePlainID, Attributes: []model.AssetAttribute{
		{ID: model.AttributePath, Type: model.String, IsCalculated: true, CalculationFunction: &text, DefaultValue: []string{"none"}, IsRequired: true},
	}}
	if c, err := at.Calculation(&at.Attributes[0]); c != nil || err != nil {
		t.Errorf("path: %v, %v", c, err)
	}
	at.Normalize()
	if a := at.Attributes[0]; a.IsCalculated || !a.IsRequired {
		t.Errorf("path in normal form: %+v", a)
	}
	it := model.IdentityTemplate{ID: "I", Attributes: []model.IdentityAttribute{{ID: model.AttributeUID, Type: model.String, IsCalculated: true, CalculationFunction: &text}}}
	if c, err := it.Calculation(&it.Attributes[0]); c != nil || err != nil {
		t.Errorf("uid: %v, %v", c, err)
	}
	it.Normalize()
	if it.Attributes[0].IsCalculated {
		t.Errorf("uid in normal form: %+v", it.Attributes[0])
	}
}

// FuzzCalculation: any text is a calculation that gives values, or an error; a calculation is total and gives no text twice.
func FuzzCalculation(f *testing.F) {
	for _, text := range []string{
		"HASVALUE(class)", "f()", `CONCAT("a\"", code name, "é")`, "MAX(pages)", "COUNT( path )", `UPPER(LOWER(class))`, "", "\x00(", `CONCAT("`,
	} {
		f.Add(text, "a", "1.0")
	}
	f.Fuzz(func(t *testing.T, text, one, two string) {
		if !utf8.ValidString(text) || !utf8.ValidString(one) || !utf8.ValidString(two) {
			return // no reader of ours lets such texts in
		}
		for _, typ := range []model.AttributeType{model.String, model.Numeric} {
			template, a := papers(text, typ)
			c, err := template.Calculation(a)
			if (c == nil) == (err == nil) {
				t.Fatalf("%q: %v, %v", text, c, err)
			}
			if c == nil {
				continue
			}
			if b, ok := template.Attribute(c.Argument); !ok || b.IsCalculated {
				t.Fatalf("%q takes %q", text, c.Argument)
			}
			for _, of := range [][]string{nil, {one}, model.Distinct([]string{one, two})} {
				got := c.Values(of)
				if len(got) > max(len(of), 1) || !slices.Equal(got, model.Distinct(slices.Clone(got))) {
					t.Fatalf("%q of %q gives %q", text, of, got)
				}
			}
		}
	})
}
