package sqltext_test

import (
	"strings"
	"testing"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
)

// FuzzPrint: whatever names and values are, SQLite can prepare the text and counts the placeholders that it has values
// for, the text holds no value, and one with two branches is one operand.
func FuzzPrint(f *testing.F) {
	f.Add("country", "o'Brien", uint8(1), uint8(2), false)
	f.Add("a`b", "?", uint8(5), uint8(1), false)
	f.Add("n", "-1.5", uint8(9), uint8(3), true)
	f.Add("$1", "@p1", uint8(7), uint8(60), false)
	f.Fuzz(func(t *testing.T, name, value string, op, branches uint8, isNumber bool) {
		l := engine.Leaf{Attribute: model.AttributeID(name), Op: model.Operator(op%12 + 1), Numeric: isNumber, Values: []string{value}}
		if l.Op > model.OpGreaterEqual {
			return
		}
		other := l
		if other.Values = []string{"x"}; isNumber {
			other.Values = []string{"1"}
		}
		for _, d := range dialects {
			c, err := repeated(d, l, int(branches))
			if err != nil {
				continue
			}
			if same, err := repeated(d, other, int(branches)); value != "" && (err != nil || same.Text != c.Text) {
				t.Errorf("%v: the value shows in %s, not in %s %v", d, c.Text, same.Text, err)
			}
			if n := strings.Count(c.Text, "?"); (d == sqltext.MySQL || d == sqltext.SQLite) && n != len(c.Parameters) {
				t.Errorf("%v: %d values for %d question marks in %s", d, len(c.Parameters), n, c.Text)
			}
			if d == sqltext.SQLite && branches > 0 {
				prepare(t, name, c)
			}
		}
	})
}

// repeated prints a filter of many branches, each twice the same leaf.
func repeated(d sqltext.Dialect, l engine.Leaf, branches int) (sqltext.Condition, error) {
	f := &engine.Filter{}
	for range branches {
		f.Branches = append(f.Branches, []engine.Leaf{l, l})
	}
	room := 1 << 20
	return sqltext.Print(d, f, own, &room)
}

func prepare(t *testing.T, name string, c sqltext.Condition) {
	db, err := sqlite.OpenConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, text := range []string{"CREATE TABLE t (`" + strings.ReplaceAll(name, "`", "``") + "`)", "SELECT * FROM t WHERE 1 = 0 AND " + c.Text} {
		if name == "" {
			text = strings.Replace(text, "(``)", "(x)", 1)
		}
		s, rest, err := db.PrepareTransient(text)
		if err != nil || rest != 0 {
			t.Fatalf("%s: %v", text, err)
		}
		if strings.HasPrefix(text, "SELECT") && s.BindParamCount() != len(c.Parameters) {
			t.Errorf("%s\nhas %d placeholders, %d values", text, s.BindParamCount(), len(c.Parameters))
		}
		if _, err := s.Step(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if err := s.Finalize(); err != nil {
			t.Fatal(err)
		}
	}
}
