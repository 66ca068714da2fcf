package sqltext_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/pgtest"
)

// RT-94, RT-95, RT-98 in SQLite: the rows that the text selects are those that the filter fits, though a column ignores
// case, another has no type, and rows hold texts, blobs and infinities for numbers.
func TestRunOnSQLite(t *testing.T) {
	c, err := sqlite.OpenConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	traps := map[string][]any{
		number: {"abc", "", "1,000", "Infinity", math.Inf(1), math.Inf(-1), []byte("7")},
		loose:  {"abc", "7", "7x", "", math.Inf(1), []byte("7")},
		folded: {[]byte("a"), []byte{}},
		exact:  {int64(7), 7.0, []byte("ab")},
	}
	d := &database{dialect: sqltext.SQLite, numbers: shortNumbers, rows: table(shortNumbers, traps)}
	exec := func(text string, args ...any) {
		if err := sqlitex.Execute(c, text, &sqlitex.ExecOptions{Args: args}); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	exec(fmt.Sprintf("CREATE TABLE assets (id INTEGER PRIMARY KEY, `%s`, folded TEXT COLLATE NOCASE, number NUMERIC, loose)", strings.ReplaceAll(exact, "`", "``")))
	for i, r := range d.rows {
		exec("INSERT INTO assets VALUES (?, ?, ?, ?, CASE WHEN ? THEN ? ELSE CAST(? AS NUMERIC) END)",
			i, r.get(exact), r.get(folded), r.get(number), r.broken[loose] != nil, r.get(loose), r.get(loose))
	}
	d.ask = func(cond sqltext.Condition) (got []int, err error) {
		err = sqlitex.Execute(c, "SELECT id FROM assets WHERE "+cond.Text+" ORDER BY id", &sqlitex.ExecOptions{
			Args: arguments(cond),
			ResultFunc: func(s *sqlite.Stmt) error {
				got = append(got, s.ColumnInt(0))
				return nil
			},
		})
		return got, err
	}
	d.compare(t)
}

// RT-94, RT-95, RT-98 in PostgreSQL, with a column whose collation takes cases and accents for equal, and NaN and infinities among
// the numbers. Numbers may be as long as those of policies.
func TestRunOnPostgreSQL(t *testing.T) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(ctx)
	numbers := slices.Concat(shortNumbers, longNumbers, hugeNumbers())
	traps := map[string][]any{number: {"NaN", "Infinity", "-Infinity"}, loose: {"NaN", "Infinity", "-Infinity"}}
	d := &database{dialect: sqltext.PostgreSQL, numbers: numbers, rows: table(numbers, traps)}
	for _, text := range []string{
		"CREATE COLLATION blind (provider = icu, locale = 'und-u-ks-level1', deterministic = false)",
		"CREATE TABLE assets (id int PRIMARY KEY, " + pgx.Identifier{exact}.Sanitize() + " varchar(100), folded text COLLATE blind, number numeric, loose numeric)",
	} {
		if _, err := c.Exec(ctx, text); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range d.rows {
		_, err := c.Exec(ctx, "INSERT INTO assets VALUES ($1, $2, $3, $4, $5)", i, r.get(exact), r.get(folded), r.get(number), r.get(loose))
		if err != nil {
			t.Fatal(err)
		}
	}
	d.ask = func(cond sqltext.Condition) ([]int, error) {
		rows, err := c.Query(ctx, "SELECT id FROM assets WHERE "+cond.Text+" ORDER BY id", arguments(cond)...)
		if err != nil {
			return nil, err
		}
		return pgx.CollectRows(rows, pgx.RowTo[int])
	}
	d.compare(t)
}
