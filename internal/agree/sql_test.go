package agree

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/pgtest"
)

// everyPostgreSQL is how many filters are selected with by SQLite for each that PostgreSQL selects with: it is slower.
const everyPostgreSQL = 8

// databases hold the assets of the rows type in a table of a real database each.
type databases struct {
	sqlite     *sqlite.Conn
	postgresql *pgx.Conn
}

const rowsTable = "CREATE TABLE rows (path TEXT, s TEXT, n NUMERIC)"

func newDatabases(t *testing.T) *databases {
	t.Helper()
	d := &databases{}
	var err error
	d.sqlite, err = sqlite.OpenConn(":memory:")
	check(t, err)
	t.Cleanup(func() { check(t, d.sqlite.Close()) })
	check(t, sqlitex.ExecuteTransient(d.sqlite, rowsTable, nil))
	ctx := context.Background()
	d.postgresql, err = pgx.Connect(ctx, pgtest.Database(t))
	check(t, err)
	t.Cleanup(func() { _ = d.postgresql.Close(ctx) })
	_, err = d.postgresql.Exec(ctx, rowsTable)
	check(t, err)
	return d
}

// cells are an asset as a row of the table; what a numeric column cannot hold is NULL.
func cells(a model.Asset) []any {
	out := []any{a.Path, nil, nil}
	if values := a.Attributes["s"]; len(values) > 0 {
		out[1] = values[0]
	}
	if values := a.Attributes["n"]; len(values) > 0 {
		if _, ok := model.ParseNumber(values[0]); ok {
			out[2] = values[0]
		}
	}
	return out
}

// condition is a filter as SQL.
type condition struct {
	text       string
	parameters []any
}

// inSQLite gives for each condition the paths of the assets that it selects.
func (d *databases) inSQLite(assets []model.Asset, conditions []condition) (out [][]string, err error) {
	if err := sqlitex.Execute(d.sqlite, "DELETE FROM rows", nil); err != nil {
		return nil, err
	}
	for _, a := range assets {
		if err := sqlitex.Execute(d.sqlite, "INSERT INTO rows VALUES (?, ?, ?)", &sqlitex.ExecOptions{Args: cells(a)}); err != nil {
			return nil, err
		}
	}
	for _, c := range conditions {
		var paths []string
		err := sqlitex.ExecuteTransient(d.sqlite, "SELECT path FROM rows WHERE "+c.text, &sqlitex.ExecOptions{
			Args: c.parameters,
			ResultFunc: func(row *sqlite.Stmt) error {
				paths = append(paths, row.ColumnText(0))
				return nil
			},
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.text, err)
		}
		out = append(out, paths)
	}
	return out, nil
}

// inPostgreSQL does the same in one round trip.
func (d *databases) inPostgreSQL(assets []model.Asset, conditions []condition) (out [][]string, err error) {
	batch := &pgx.Batch{}
	batch.Queue("DELETE FROM rows")
	for _, a := range assets {
		batch.Queue("INSERT INTO rows VALUES ($1, $2, $3)", cells(a)...)
	}
	for _, c := range conditions {
		batch.Queue("SELECT path FROM rows WHERE "+c.text, c.parameters...).Query(func(found pgx.Rows) error {
			paths, err := pgx.CollectRows(found, pgx.RowTo[string])
			out = append(out, paths)
			return err
		})
	}
	return out, d.postgresql.SendBatch(context.Background(), batch).Close()
}

// queried wants the SQL of the rows type's filters, run on a table of its assets, to select for each action what the focus is
// allowed: exactly, or where the filter cannot say what is taken away no more.
func (q *question) queried() {
	q.t.Helper()
	t := q.typeOf(string(rows))
	if t.Attributes[0].IsMultiValue {
		return // no column holds it
	}
	q.count.sql++
	dialect, in := "sqlite", q.inSQLite
	if q.count.sql%everyPostgreSQL == 0 {
		dialect, in = "postgresql", q.inPostgreSQL
	}
	body := `{` + q.asker(q.focus) + q.circumstances() + `,"sqlDialect":"` + dialect + `","resourceTypes":["Rows"]}`
	b := q.post(resolutionPath, body)
	type resolvedSQL struct {
		Actions []struct {
			Action     string   `json:"action"`
			SQL        string   `json:"sql"`
			Parameters []string `json:"parameters"`
		} `json:"actions"`
	}
	answer := read[struct {
		Response []struct {
			Privileges struct {
				Allowed []resolvedSQL `json:"allowed"`
			} `json:"privileges"`
		} `json:"response"`
	}](q, b)
	conditions, got := []condition{}, map[string][]string{}
	var actions []string
	for _, e := range answer.Response[0].Privileges.Allowed {
		for _, a := range e.Actions {
			c := condition{text: a.SQL}
			for _, p := range a.Parameters {
				c.parameters = append(c.parameters, p)
			}
			conditions, actions = append(conditions, c), append(actions, a.Action)
		}
	}
	found, err := in(q.assets[rows], conditions)
	if err != nil {
		q.fail("%s: %v: %s", dialect, err, b)
	}
	for i, action := range actions {
		got[action] = found[i]
	}
	exact := q.saysAll(t)
	for _, a := range t.Actions {
		var want []string
		for _, asset := range q.assets[rows] {
			p := pair{string(rows), asset.Path, a.Value}
			if q.permitted[q.focus.key()][p].allowed && (exact || slices.Contains(got[a.Value], asset.Path)) {
				want = append(want, asset.Path)
			}
		}
		if slices.Sort(got[a.Value]); !slices.Equal(got[a.Value], slices.Sorted(slices.Values(want))) {
			q.fail("%s selects %q for %s, allowed are %q: %s", dialect, got[a.Value], a.Value, want, b)
		}
	}
}
