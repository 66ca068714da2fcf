package engine_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/engine"
	"github.com/ambit-authz/ambit/internal/engine/sqltext"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/pgtest"
)

// TestSQLAgreesWithChecks: RT-94 to RT-98: the rows that the SQL of a filter selects of a table of the assets, in a real SQLite and a
// real PostgreSQL, are those that the filter fits, which are never any that a check denies.
func TestSQLAgreesWithChecks(t *testing.T) {
	checks(t, "AMBIT_SQL_CHECKS", 60)
	databases := []*sqlDatabase{newSQLite(t), newPostgreSQL(t)}
	selected, asked, refused := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &maker{T: rt}
		m.world()
		for _, id := range m.assetTypes() {
			m.singleValued(id)
		}
		s := build(rt, m.w, 2)
		for _, id := range m.assetTypes() {
			for _, d := range databases {
				d.fill(rt, m.w.assetTemplates[id], m.w.assets[id])
			}
			for range 3 {
				q := m.question()
				room := engine.FilterRoom{Branches: 2000, Bytes: 1 << 20}
				filters, err := bind(rt, s, q).Filters(engine.TemplateSelection{Template: id}, false, &room)
				if errors.Is(err, engine.ErrTooManyBranches) {
					continue
				}
				if err != nil {
					rt.Fatal(err)
				}
				for i := range filters {
					for _, d := range databases {
						asked++
						paths, ok := d.selects(rt, &filters[i])
						if !ok {
							refused++
							continue
						}
						selected += len(paths)
						for _, a := range m.w.assets[id] {
							a = d.stored(a, m.w.assetTemplates[id])
							got := slices.Contains(paths, a.Path)
							if got != filterFits(filters[i], a) {
								rt.Fatalf("%s\n%v: the SQL of %+v selects %+v: %v", scene{m.w, q}, d.dialect, filters[i], a, got)
							}
							if verdict := m.w.decide(q, engine.Asset{Template: id, Path: a.Path}, filters[i].Action.Value); got && !verdict.allowed {
								rt.Fatalf("%s\n%v: the SQL of %+v selects %+v, which is denied", scene{m.w, q}, d.dialect, filters[i], a)
							}
						}
					}
				}
			}
		}
	})
	t.Logf("%d rows of %d conditions, %d refused", selected, asked, refused)
	if selected < asked/2 || refused*5 > asked {
		t.Error("the comparison says little")
	}
}

// singleValued gives every attribute of a type one value at most, of those that a table can hold.
func (m *maker) singleValued(id model.TemplateID) {
	t := m.w.assetTemplates[id]
	t.Attributes = slices.Clone(t.Attributes)
	for i := range t.Attributes {
		a := &t.Attributes[i]
		a.IsMultiValue = false
		for n, asset := range m.w.assets[id] {
			if vs := asset.Attributes[a.ID]; len(vs) > 0 {
				asset.Attributes = asset.Attributes.Clone()
				asset.Attributes[a.ID] = vs[:1]
				m.w.assets[id][n] = asset
			}
		}
	}
	m.w.assetTemplates[id] = t
}

// sqlDatabase is a real database with one table, assets.
type sqlDatabase struct {
	dialect sqltext.Dialect
	numbers string // type of their columns
	holds   func(model.Number) bool
	exec    func(statement string, args ...any) error
	paths   func(statement string, args ...any) ([]string, error)
}

// stored is an asset as the table holds it: without numbers that it would round, which no decision may go by.
func (d *sqlDatabase) stored(a model.Asset, t model.AssetTemplate) model.Asset {
	a.Attributes = a.Attributes.Clone()
	for _, at := range t.Attributes {
		vs := a.Attributes[at.ID]
		if at.Type != model.Numeric || len(vs) == 0 {
			continue
		}
		if n, ok := model.ParseNumber(vs[0]); !ok || !d.holds(n) {
			delete(a.Attributes, at.ID)
		} else {
			a.Attributes[at.ID] = []string{n.String()}
		}
	}
	return a
}

func (d *sqlDatabase) fill(rt *rapid.T, t model.AssetTemplate, assets []model.Asset) {
	columns := []string{"id text PRIMARY KEY"}
	marks := []string{"$1"}
	var ids []model.AttributeID
	if !slices.ContainsFunc(t.Attributes, func(a model.AssetAttribute) bool { return a.ID == model.AttributePath }) {
		t.Attributes = append(slices.Clip(t.Attributes), model.AssetAttribute{ID: model.AttributePath, Type: model.String})
	}
	for _, a := range t.Attributes {
		typ := "text"
		if a.Type == model.Numeric {
			typ = d.numbers
		}
		columns = append(columns, fmt.Sprintf(`"%s" %s`, a.ID, typ))
		ids = append(ids, a.ID)
		marks = append(marks, "$"+strconv.Itoa(len(columns)))
	}
	for _, statement := range []string{"DROP TABLE IF EXISTS assets", "CREATE TABLE assets (" + strings.Join(columns, ", ") + ")"} {
		if err := d.exec(statement); err != nil {
			rt.Fatal(err)
		}
	}
	for _, a := range assets {
		a = d.stored(a, t)
		row := []any{a.Path}
		for _, id := range ids {
			switch vs := a.Attributes[id]; {
			case id == model.AttributePath:
				row = append(row, d.path(t, a.Path))
			case len(vs) > 0:
				row = append(row, vs[0])
			default:
				row = append(row, nil)
			}
		}
		if err := d.exec("INSERT INTO assets VALUES ("+strings.Join(marks, ", ")+")", row...); err != nil {
			rt.Fatal(err)
		}
	}
}

// path is the path in its column, which may be numeric.
func (d *sqlDatabase) path(t model.AssetTemplate, path string) any {
	if a, _ := t.Attribute(model.AttributePath); a.Type != model.Numeric {
		return path
	}
	n, ok := model.ParseNumber(path)
	if !ok || !d.holds(n) {
		return nil
	}
	return n.String()
}

func (d *sqlDatabase) selects(rt *rapid.T, f *engine.Filter) (paths []string, ok bool) {
	room := 8 << 20
	c, err := sqltext.Print(d.dialect, f, func(id model.AttributeID) (string, error) { return string(id), nil }, &room)
	if err != nil {
		if !strings.Contains(err.Error(), "a number is not one") {
			rt.Fatal(err)
		}
		return nil, false
	}
	var args []any
	for _, p := range c.Parameters {
		args = append(args, p.Value)
	}
	if paths, err = d.paths("SELECT id FROM assets WHERE "+c.Text, args...); err != nil {
		rt.Fatalf("%s: %v", c.Text, err)
	}
	return paths, true
}

func newSQLite(t *testing.T) *sqlDatabase {
	c, err := sqlite.OpenConn(":memory:")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &sqlDatabase{
		dialect: sqltext.SQLite, numbers: "numeric",
		holds: func(n model.Number) bool {
			_, err := strconv.ParseInt(n.String(), 10, 64)
			return err == nil || len(strings.Trim(n.String(), "-")) <= 16 && strings.Contains(n.String(), ".")
		},
		exec: func(statement string, args ...any) error {
			return sqlitex.Execute(c, statement, &sqlitex.ExecOptions{Args: args})
		},
		paths: func(statement string, args ...any) (out []string, err error) {
			err = sqlitex.Execute(c, statement, &sqlitex.ExecOptions{Args: args, ResultFunc: func(s *sqlite.Stmt) error {
				out = append(out, s.ColumnText(0))
				return nil
			}})
			return out, err
		},
	}
}

func newPostgreSQL(t *testing.T) *sqlDatabase {
	ctx := context.Background()
	config, err := pgx.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // tables come and go
	c, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(ctx) })
	return &sqlDatabase{
		dialect: sqltext.PostgreSQL, numbers: "numeric",
		holds: func(model.Number) bool { return true },
		exec: func(statement string, args ...any) error {
			_, err := c.Exec(ctx, statement, args...)
			return err
		},
		paths: func(statement string, args ...any) ([]string, error) {
			rows, err := c.Query(ctx, statement, args...)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, pgx.RowTo[string])
		},
	}
}
