package sqltext_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

var dialects = []sqltext.Dialect{sqltext.PostgreSQL, sqltext.MySQL, sqltext.SQLite, sqltext.SQLServer}

func filter(branches ...[]engine.Leaf) *engine.Filter { return &engine.Filter{Branches: branches} }

func text(op model.Operator, values ...string) engine.Leaf {
	return engine.Leaf{Attribute: "c", Op: op, Values: values}
}

func numeric(op model.Operator, values ...string) engine.Leaf {
	return engine.Leaf{Attribute: "n", Numeric: true, Op: op, Values: values}
}

// RT-94, RT-95: every operator in every dialect.
func TestTexts(t *testing.T) {
	values := func(v ...string) []sqltext.Parameter {
		var out []sqltext.Parameter
		for _, v := range v {
			out = append(out, sqltext.Parameter{Value: v})
		}
		return out
	}
	numbers := func(v ...string) []sqltext.Parameter {
		out := values(v...)
		for i := range out {
			out[i].Numeric = true
		}
		return out
	}
	const (
		pg       = `CAST("c" AS TEXT) COLLATE "C"`
		pgFinite = `"n" > CAST('-Infinity' AS NUMERIC) AND "n" < CAST('Infinity' AS NUMERIC)`
		my       = "CAST(CONVERT(`c` USING utf8mb4) AS BINARY)"
		myValue  = "CAST(CONVERT(? USING utf8mb4) AS BINARY)"
		myNumber = "CONVERT(`n` USING utf8mb4) REGEXP '^-{0,1}[0-9]+([.][0-9]+){0,1}$'"
		lite     = "typeof(`c`) = 'text' AND "
		liteReal = "typeof(`n`) IN ('integer', 'real') AND `n` BETWEEN -1.7976931348623157e308 AND 1.7976931348623157e308"
		ms       = "([c] IS NOT NULL AND CAST([c] AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2 + N'.'"
	)
	msValue := func(n int) string { return fmt.Sprintf("CAST(@p%d AS NVARCHAR(MAX)) + N'.'", n) }
	cases := []struct {
		name       string
		filter     *engine.Filter
		texts      [4]string // of PostgreSQL, MySQL, SQLite, SQL Server
		parameters [4][]sqltext.Parameter
	}{
		{name: "==", filter: filter([]engine.Leaf{text(model.OpEqual, "o'x")}), texts: [4]string{
			pg + " = $1", "(" + my + " = " + myValue + ")", "(" + lite + "`c` COLLATE BINARY = ?)", ms + " = " + msValue(1) + ")",
		}, parameters: [4][]sqltext.Parameter{values("o'x"), values("o'x"), values("o'x"), values("o'x")}},
		{name: "!=", filter: filter([]engine.Leaf{text(model.OpNotEqual, "x")}), texts: [4]string{
			pg + " <> $1", "(" + my + " <> " + myValue + ")", "(" + lite + "`c` COLLATE BINARY <> ?)", ms + " <> " + msValue(1) + ")",
		}, parameters: [4][]sqltext.Parameter{values("x"), values("x"), values("x"), values("x")}},
		{name: "in", filter: filter([]engine.Leaf{text(model.OpIn, "x", "y")}), texts: [4]string{
			pg + " IN ($1, $2)", "(" + my + " IN (" + myValue + ", " + myValue + "))", "(" + lite + "`c` COLLATE BINARY IN (?, ?))", ms + " IN (" + msValue(1) + ", " + msValue(2) + "))",
		}, parameters: [4][]sqltext.Parameter{values("x", "y"), values("x", "y"), values("x", "y"), values("x", "y")}},
		{name: "not in", filter: filter([]engine.Leaf{text(model.OpNotIn, "x", "y")}), texts: [4]string{
			pg + " NOT IN ($1, $2)", "(" + my + " NOT IN (" + myValue + ", " + myValue + "))", "(" + lite + "`c` COLLATE BINARY NOT IN (?, ?))", ms + " NOT IN (" + msValue(1) + ", " + msValue(2) + "))",
		}, parameters: [4][]sqltext.Parameter{values("x", "y"), values("x", "y"), values("x", "y"), values("x", "y")}},
		{name: "contains", filter: filter([]engine.Leaf{text(model.OpContains, "5%[_!")}), texts: [4]string{
			pg + " LIKE $1 ESCAPE '!'", "(" + my + " LIKE " + myValue + " ESCAPE '!')", "(" + lite + "instr(`c`, ?) > 0)", ms + " LIKE " + msValue(1) + " ESCAPE '!')",
		}, parameters: [4][]sqltext.Parameter{values("%5!%![!_!!%"), values("%5!%![!_!!%"), values("5%[_!"), values("%5!%![!_!!%")}},
		{name: "startswith", filter: filter([]engine.Leaf{text(model.OpStartsWith, "x")}), texts: [4]string{
			pg + " LIKE $1 ESCAPE '!'", "(" + my + " LIKE " + myValue + " ESCAPE '!')", "(" + lite + "instr(`c`, ?) = 1)", ms + " LIKE " + msValue(1) + " ESCAPE '!')",
		}, parameters: [4][]sqltext.Parameter{values("x%"), values("x%"), values("x"), values("x%")}},
		{name: "endswith", filter: filter([]engine.Leaf{text(model.OpEndsWith, "x")}), texts: [4]string{
			pg + " LIKE $1 ESCAPE '!'", "(" + my + " LIKE " + myValue + " ESCAPE '!')",
			"(" + lite + "substr(CAST(`c` AS BLOB), -length(CAST(? AS BLOB))) = CAST(? AS BLOB))", ms + " LIKE " + msValue(1) + " ESCAPE '!')",
		}, parameters: [4][]sqltext.Parameter{values("%x"), values("%x"), values("x", "x"), values("%x")}},
		{name: "the empty text", filter: filter([]engine.Leaf{text(model.OpContains, "")}), texts: [4]string{
			`"c" IS NOT NULL`, "(`c` IS NOT NULL)", "typeof(`c`) = 'text'", "[c] IS NOT NULL",
		}},
		{name: "number ==", filter: filter([]engine.Leaf{numeric(model.OpEqual, "1.5")}), texts: [4]string{
			`"n" = CAST($1 AS NUMERIC)`, "(" + myNumber + " AND `n` = CAST(? AS DECIMAL(65,30)))",
			"(" + liteReal + " AND `n` = CAST(? AS NUMERIC))", "[n] = CAST(@p1 AS DECIMAL(38, 19))",
		}, parameters: [4][]sqltext.Parameter{numbers("1.5"), numbers("1.5"), numbers("1.5"), numbers("1.5")}},
		{name: "number not in", filter: filter([]engine.Leaf{numeric(model.OpNotIn, "1", "2")}), texts: [4]string{
			"(" + pgFinite + ` AND "n" NOT IN (CAST($1 AS NUMERIC), CAST($2 AS NUMERIC)))`,
			"(" + myNumber + " AND `n` NOT IN (CAST(? AS DECIMAL(65,30)), CAST(? AS DECIMAL(65,30))))",
			"(" + liteReal + " AND `n` NOT IN (CAST(? AS NUMERIC), CAST(? AS NUMERIC)))", "[n] NOT IN (CAST(@p1 AS DECIMAL(38, 19)), CAST(@p2 AS DECIMAL(38, 19)))",
		}, parameters: [4][]sqltext.Parameter{numbers("1", "2"), numbers("1", "2"), numbers("1", "2"), numbers("1", "2")}},
		{name: "number <=", filter: filter([]engine.Leaf{numeric(model.OpLessEqual, "-3")}), texts: [4]string{
			"(" + pgFinite + ` AND "n" <= CAST($1 AS NUMERIC))`, "(" + myNumber + " AND `n` <= CAST(? AS DECIMAL(65,30)))",
			"(" + liteReal + " AND `n` <= CAST(? AS NUMERIC))", "[n] <= CAST(@p1 AS DECIMAL(38, 19))",
		}, parameters: [4][]sqltext.Parameter{numbers("-3"), numbers("-3"), numbers("-3"), numbers("-3")}},
		{name: "branches", filter: filter([]engine.Leaf{text(model.OpEqual, "x"), numeric(model.OpEqual, "1")}, []engine.Leaf{text(model.OpEqual, "y")}), texts: [4]string{
			"((" + pg + ` = $1 AND "n" = CAST($2 AS NUMERIC)) OR ` + pg + " = $3)",
			"((" + my + " = " + myValue + " AND (" + myNumber + " AND `n` = CAST(? AS DECIMAL(65,30)))) OR " + my + " = " + myValue + ")",
			"(((" + lite + "`c` COLLATE BINARY = ?) AND (" + liteReal + " AND `n` = CAST(? AS NUMERIC))) OR (" + lite + "`c` COLLATE BINARY = ?))",
			"((" + ms + " = " + msValue(1) + ") AND [n] = CAST(@p2 AS DECIMAL(38, 19))) OR " + ms + " = " + msValue(3) + "))",
		}, parameters: func() (out [4][]sqltext.Parameter) {
			for i := range out {
				out[i] = []sqltext.Parameter{{Value: "x"}, {Value: "1", Numeric: true}, {Value: "y"}}
			}
			return out
		}()},
		{name: "everything", filter: &engine.Filter{}, texts: [4]string{"1 = 1", "1 = 1", "1 = 1", "1 = 1"}},
		{name: "nothing", filter: &engine.Filter{Branches: [][]engine.Leaf{}}, texts: [4]string{"1 = 0", "(1 = 0)", "1 = 0", "1 = 0"}},
	}
	for _, c := range cases {
		for i, d := range dialects {
			t.Run(c.name+" "+d.String(), func(t *testing.T) {
				room := 10_000
				got, err := sqltext.Print(d, c.filter, own, &room)
				if err != nil {
					t.Fatal(err)
				}
				if n := strings.Count(got.Text, "?"); (d == sqltext.MySQL || d == sqltext.SQLite) && n != len(got.Parameters) {
					t.Errorf("%d values for %d question marks, which clients replace also inside quotes: %s", len(got.Parameters), n, got.Text)
				}
				if diff := cmp.Diff(sqltext.Condition{Text: c.texts[i], Parameters: c.parameters[i]}, got); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// Names are quoted by each dialect's rule; SQLite would read one in double quotes that is no column as a text.
func TestNames(t *testing.T) {
	const column = "a\"b`c[d]e"
	for i, want := range []string{`"a""b` + "`c[d]e\"", "`a\"b``c[d]e`", "`a\"b``c[d]e`", "[a\"b`c[d]]e]"} {
		room := 1000
		got, err := sqltext.Print(dialects[i], filter([]engine.Leaf{numeric(model.OpEqual, "1")}), func(model.AttributeID) (string, error) { return column, nil }, &room)
		if err != nil || !strings.Contains(got.Text, want+" = ") {
			t.Errorf("%v: %s %v, want the name %s", dialects[i], got.Text, err, want)
		}
	}
}

// What a dialect cannot say exactly is refused: a number is not rounded, a name not cut, a value not left out.
func TestRefusals(t *testing.T) {
	digits := func(n int) string { return strings.Repeat("7", n) }
	many := func(n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprint(i)
		}
		return out
	}
	leaves := func(l ...engine.Leaf) *engine.Filter { return filter(l) }
	named := func(name string) func(model.AttributeID) (string, error) {
		return func(model.AttributeID) (string, error) { return name, nil }
	}
	cases := []struct {
		name    string
		dialect sqltext.Dialect
		good    *engine.Filter
		bad     *engine.Filter
		column  string // of the bad one; "" = as the attribute
		says    string
	}{
		{"PostgreSQL numbers", sqltext.PostgreSQL, leaves(numeric(model.OpEqual, "0."+digits(16383))), leaves(numeric(model.OpEqual, "0."+digits(16384))), "", "attribute n: a number is not one that postgresql compares exactly"},
		{"MySQL numbers", sqltext.MySQL, leaves(numeric(model.OpLess, digits(35)+"."+digits(30))), leaves(numeric(model.OpLess, digits(36))), "", "35 digits before the point"},
		{"MySQL fractions", sqltext.MySQL, leaves(numeric(model.OpLess, "0."+digits(30))), leaves(numeric(model.OpLess, "0."+digits(31))), "", "30 after it"},
		{"SQLite whole numbers", sqltext.SQLite, leaves(numeric(model.OpEqual, "9223372036854775807")), leaves(numeric(model.OpEqual, "9223372036854775808")), "", "64 bit"},
		{"SQLite fractions", sqltext.SQLite, leaves(numeric(model.OpEqual, "0.30000000000004")), leaves(numeric(model.OpEqual, "0.30000000000000004")), "", "15 digits"},
		{"SQL Server numbers", sqltext.SQLServer, leaves(numeric(model.OpEqual, digits(19)+"."+digits(19))), leaves(numeric(model.OpEqual, digits(20))), "", "19 digits"},
		{"no number", sqltext.PostgreSQL, leaves(numeric(model.OpEqual, "-1")), leaves(numeric(model.OpEqual, "1e5")), "", "a number"},
		{"NUL", sqltext.SQLite, leaves(text(model.OpEqual, "a")), leaves(text(model.OpEqual, "a\x00")), "", "attribute c: a text holds a character"},
		{"no UTF-8", sqltext.PostgreSQL, leaves(text(model.OpEqual, "\ufffd")), leaves(text(model.OpEqual, "\xff")), "", "a text holds a character"},
		{"PostgreSQL parameters", sqltext.PostgreSQL, leaves(text(model.OpIn, many(65535)...)), leaves(text(model.OpIn, many(65536)...)), "", "65535 parameters"},
		{"MySQL parameters", sqltext.MySQL, leaves(text(model.OpIn, many(65535)...)), leaves(text(model.OpIn, many(65536)...)), "", "65535 parameters"},
		{"SQLite parameters", sqltext.SQLite, leaves(text(model.OpIn, many(32766)...)), leaves(text(model.OpIn, many(32767)...)), "", "32766 parameters"},
		{"SQL Server parameters", sqltext.SQLServer, leaves(text(model.OpIn, many(2098)...)), leaves(text(model.OpIn, many(2098)...), text(model.OpEqual, "x")), "", "2098 parameters"},
		{"SQL Server patterns", sqltext.SQLServer, leaves(text(model.OpContains, digits(1900))), leaves(text(model.OpContains, digits(1901))), "", "1900 characters"},
		{"PostgreSQL names", sqltext.PostgreSQL, nil, leaves(text(model.OpEqual, "a")), strings.Repeat("é", 32), "longer than 63"},
		{"NUL in a name", sqltext.SQLite, nil, leaves(text(model.OpEqual, "a")), "a\x00b", "no column that can be named"},
		{"a placeholder in a name", sqltext.MySQL, nil, leaves(text(model.OpEqual, "a")), "paid?", "attribute c: the name of its column holds a ?"},
		{"no values", sqltext.SQLite, nil, leaves(text(model.OpNotIn)), "", "0 values"},
		{"two values", sqltext.SQLite, nil, leaves(text(model.OpNotEqual, "a", "b")), "", "2 values"},
		{"order of texts", sqltext.SQLite, nil, leaves(text(model.OpLess, "a")), "", "no such comparison"},
		{"search in numbers", sqltext.SQLite, nil, leaves(numeric(model.OpContains, "1")), "", "no such comparison"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			room := 64 << 20
			if c.good != nil {
				if _, err := sqltext.Print(c.dialect, c.good, own, &room); err != nil {
					t.Error(err)
				}
			}
			column := own
			if c.column != "" {
				column = named(c.column)
			}
			got, err := sqltext.Print(c.dialect, c.bad, column, &room)
			if err == nil || !strings.Contains(err.Error(), c.says) || got.Text != "" {
				t.Errorf("%+v, %v; want an error with %q", got, err, c.says)
			}
		})
	}
}

// A request may bring very many values. Those that no statement takes are refused before anything is made of them.
func TestManyValuesAreNotPrinted(t *testing.T) {
	values := make([]string, 100_000)
	for i := range values {
		values[i] = "x"
	}
	f := filter([]engine.Leaf{text(model.OpIn, values...)})
	for _, d := range dialects {
		n := testing.AllocsPerRun(1, func() {
			room := 64 << 20
			if got, err := sqltext.Print(d, f, own, &room); err == nil || got.Text != "" {
				t.Errorf("%v: %d bytes, %v", d, len(got.Text), err)
			}
		})
		if n > 1000 {
			t.Errorf("%v: %v allocations", d, n)
		}
	}
}

// The room of an answer is shared by its conditions.
func TestRoom(t *testing.T) {
	f := filter([]engine.Leaf{text(model.OpEqual, strings.Repeat("x", 1000))})
	room := 2500
	for i, want := range []error{nil, nil, sqltext.ErrTooLong} {
		if _, err := sqltext.Print(sqltext.PostgreSQL, f, own, &room); !errors.Is(err, want) {
			t.Errorf("condition %d: %v, want %v", i+1, err, want)
		}
	}
}

func TestParseDialect(t *testing.T) {
	for i, name := range sqltext.Dialects() {
		if d, ok := sqltext.ParseDialect(name); !ok || d != dialects[i] || d.String() != name {
			t.Errorf("%s is %v", name, d)
		}
	}
	if d, ok := sqltext.ParseDialect("oracle"); ok || d != 0 {
		t.Errorf("oracle is %v", d)
	}
}
