package sqltext_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// Tables and filters full of what databases read otherwise than the model, and a reader of filters to compare with.

// Columns of the tables: two texts, of which folded ignores case as far as the database can, and two numbers, of which
// loose is a text wherever the database would compare it with a number all the same.
const (
	exact  = "text `of\" the] row"
	folded = "folded"
	number = "number"
	loose  = "loose"
)

var (
	columns = []string{exact, folded, number, loose}
	texts   = []string{
		"", " ", "a", "A", "a ", " a", "a  ", "ab", "AB", "aB", "b", "b ", "ab ", "ß", "ss", "é", "e\u0301", "É", "日本", "日本語", "本", "😀", "😀a",
		"%", "_", "a%", "a_", "a%b", "!", "!%", "\\", "\\%", "a\\", "[a]", "[", "]", "*", "?", "a*", "'", "''", "a'b", `"`, "`", "--", "$1", "@p1",
		"1", "1.0", "01", "7", "7.0", "1e2", "null", "NULL", "true", "\t", "a\n", "a.", ".", "a .", "ı", "I", "i", "İ", "\u00ad", "a\u200b", "\ufeff",
	}
	// numbers that each type holds exactly
	shortNumbers = []string{"0", "1", "-1", "2", "10", "100", "0.5", "-0.5", "0.3", "7", "7.25", "9007199254740992", "9007199254740993", "-9007199254740993", "9223372036854775807", "-9223372036854775808", "0.000001", "123456.789012345"}
	longNumbers  = []string{"0.30000000000000004", "0.1", "12345678901234567890.12345678901234567", "99999999999999999999999999999999999", "0.000000000000000000000000000001"}
)

// hugeNumbers are too long for any type but the numeric of PostgreSQL.
func hugeNumbers() []string {
	return []string{"1" + strings.Repeat("0", 400), "-1" + strings.Repeat("0", 400), "0." + strings.Repeat("0", 399) + "1", "1" + strings.Repeat("0", 399) + "1"}
}

// row is a row of the table; a column that it lacks is NULL or, in broken, holds what is no value of the model.
type row struct {
	values map[string]string
	broken map[string]any
}

// table makes rows of which each text and number meets NULL and others. traps go into number and loose.
func table(numbers []string, traps map[string][]any) []row {
	var rows []row
	for i, v := range texts {
		r := row{values: map[string]string{exact: v, folded: texts[(i*7+3)%len(texts)]}}
		if i%5 != 0 {
			r.values[number] = numbers[i%len(numbers)]
			r.values[loose] = numbers[(i*3+1)%len(numbers)]
		}
		if i%11 == 0 {
			delete(r.values, folded)
		}
		rows = append(rows, r)
	}
	for i, v := range numbers {
		rows = append(rows, row{values: map[string]string{number: v, loose: v, folded: texts[i%len(texts)]}})
	}
	for column, values := range traps {
		for i, v := range values {
			r := row{values: map[string]string{exact: texts[i%len(texts)], number: "1"}, broken: map[string]any{column: v}}
			delete(r.values, column)
			rows = append(rows, r)
		}
	}
	return append(rows, row{})
}

func (r row) get(column string) any {
	if v, ok := r.broken[column]; ok {
		return v
	}
	if v, ok := r.values[column]; ok {
		return v
	}
	return nil
}

// fits reads a filter by the rules of policy-model.md 4.1.
func (r row) fits(f *engine.Filter) bool {
	return f.Branches == nil || slices.ContainsFunc(f.Branches, func(leaves []engine.Leaf) bool {
		return !slices.ContainsFunc(leaves, func(l engine.Leaf) bool { return !r.holds(l) })
	})
}

func (r row) holds(l engine.Leaf) bool {
	v, present := r.values[string(l.Attribute)]
	if !present {
		return false
	}
	hit := slices.ContainsFunc(l.Values, func(w string) bool {
		switch l.Op {
		case model.OpContains:
			return strings.Contains(v, w)
		case model.OpStartsWith:
			return strings.HasPrefix(v, w)
		case model.OpEndsWith:
			return strings.HasSuffix(v, w)
		}
		if !l.Numeric {
			return v == w
		}
		x, _ := new(big.Rat).SetString(v)
		y, _ := new(big.Rat).SetString(w)
		switch order := x.Cmp(y); l.Op {
		case model.OpLess:
			return order < 0
		case model.OpLessEqual:
			return order <= 0
		case model.OpGreater:
			return order > 0
		case model.OpGreaterEqual:
			return order >= 0
		default:
			return order == 0
		}
	})
	return hit != l.Op.IsNegative()
}

// drawFilter draws a filter over the columns.
func drawFilter(t *rapid.T, numbers []string) *engine.Filter {
	leaf := rapid.Custom(func(t *rapid.T) engine.Leaf {
		column := rapid.SampledFrom(columns).Draw(t, "column")
		l := engine.Leaf{Attribute: model.AttributeID(column), Numeric: column == number || column == loose}
		from, operators := texts, []model.Operator{model.OpEqual, model.OpNotEqual, model.OpIn, model.OpNotIn, model.OpContains, model.OpStartsWith, model.OpEndsWith}
		if l.Numeric {
			from = numbers
			operators = append(operators[:4:4], model.OpLess, model.OpLessEqual, model.OpGreater, model.OpGreaterEqual)
		}
		l.Op = rapid.SampledFrom(operators).Draw(t, "operator")
		most := 1
		if l.Op == model.OpIn || l.Op == model.OpNotIn {
			most = 4
		}
		l.Values = rapid.SliceOfNDistinct(rapid.SampledFrom(from), 1, most, rapid.ID).Draw(t, "values")
		return l
	})
	branch := rapid.SliceOfN(leaf, 1, 3)
	return &engine.Filter{Branches: rapid.SliceOfN(branch, 1, 3).Draw(t, "branches")}
}

// own names the column of an attribute like the attribute.
func own(id model.AttributeID) (string, error) { return string(id), nil }

// database is a real table. Its ask gives the numbers of the rows that a condition selects.
type database struct {
	dialect sqltext.Dialect
	numbers []string
	rows    []row
	ask     func(sqltext.Condition) ([]int, error)
}

// compare holds a database against the reader: first every operator with every value, then random filters.
func (d *database) compare(t *testing.T) {
	selected, asked := 0, 0
	check := func(fatalf func(string, ...any), f *engine.Filter) {
		room := 1 << 20
		c, err := sqltext.Print(d.dialect, f, own, &room)
		if err != nil {
			fatalf("%+v: %v", f.Branches, err)
		}
		got, err := d.ask(c)
		if err != nil {
			fatalf("%s\n%v\n%v", c.Text, c.Parameters, err)
		}
		var want []int
		for i, r := range d.rows {
			if r.fits(f) {
				want = append(want, i)
			}
		}
		selected, asked = selected+len(want), asked+1
		if !slices.Equal(got, want) {
			fatalf("%s\n%q\nselects %s, want %s", c.Text, c.Parameters, d.show(got), d.show(want))
		}
	}
	for op := model.OpEqual; op <= model.OpGreaterEqual; op++ {
		for _, column := range columns {
			numeric := column == number || column == loose
			if numeric && op.IsText() || !numeric && op.IsOrder() {
				continue
			}
			from := texts
			if numeric {
				from = d.numbers
			}
			for _, v := range from {
				check(t.Fatalf, &engine.Filter{Branches: [][]engine.Leaf{{{Attribute: model.AttributeID(column), Numeric: numeric, Op: op, Values: []string{v}}}}})
			}
		}
	}
	rapid.Check(t, func(rt *rapid.T) { check(rt.Fatalf, drawFilter(rt, d.numbers)) })
	if selected < 5*asked {
		t.Errorf("%d rows of %d questions: the comparison says little", selected, asked)
	}
}

func (d *database) show(rows []int) string {
	var b strings.Builder
	for _, i := range rows {
		fmt.Fprintf(&b, "\n  %d %q %v", i, d.rows[i].values, d.rows[i].broken)
	}
	return b.String()
}

// arguments are the values as drivers take them.
func arguments(c sqltext.Condition) []any {
	var out []any
	for _, p := range c.Parameters {
		out = append(out, p.Value)
	}
	return out
}
