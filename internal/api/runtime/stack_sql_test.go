package runtime

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/examples/bank"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/pgtest"
)

const ledgerRows model.TemplateID = "LedgerRows"

// TestSQLSelectsTheList: RT-94 to RT-98: for people of the sample bank, the SQL of Policy Resolution, run on a real SQLite and a
// real PostgreSQL table of the ledger rows, selects exactly the rows that the User Access Token lists.
func TestSQLSelectsTheList(t *testing.T) {
	s := newBank(t, 2000, 1200)
	var rows []model.Asset
	all, err := bank.Assets(ledgerRows, bank.Seed, 2000)
	check(t, err)
	for a := range all {
		rows = append(rows, a)
	}
	people, err := bank.Identities("Staff", bank.Seed, 1200)
	check(t, err)
	tables := map[string]func(string, []any) []string{"sqlite": ledgerInSQLite(t, rows), "postgresql": ledgerInPostgreSQL(t, rows)}
	compared, selected, multi := 0, 0, 0
	for p := range people {
		if department := p.Attributes["department"]; !slices.Contains([]string{"Group Finance", "Treasury", "Group Risk", "Internal Audit"}, department[0]) {
			continue // nobody else sees the ledger
		}
		who := map[string]any{"entityId": p.EntityID, "entityTypeId": "Staff", "resourceTypes": []string{string(ledgerRows)}}
		listed := map[string][]string{}
		for _, e := range s.entries(first2(s.ask(who))) {
			for _, a := range e.Actions {
				listed[a.Action] = append(listed[a.Action], e.Path)
			}
		}
		for dialect, run := range tables {
			who["sqlDialect"] = dialect
			status, text, _ := s.askAt(resolutionPath, who)
			if status == 400 && strings.Contains(text, "attribute auditCases is multi-valued") {
				multi++
				continue
			}
			var answer struct {
				Response []struct {
					Privileges struct {
						Allowed []struct {
							Actions []struct {
								Action, SQL string
								Parameters  []any
							}
						}
					}
				}
			}
			if err := json.Unmarshal([]byte(text), &answer); err != nil || status != 200 {
				t.Fatalf("%d %s %v", status, text, err)
			}
			got := map[string][]string{}
			for _, entry := range answer.Response[0].Privileges.Allowed {
				for _, a := range entry.Actions {
					if paths := run(a.SQL, a.Parameters); len(paths) > 0 {
						got[a.Action] = paths
					}
				}
			}
			for _, action := range slices.Concat(keysOf(got), keysOf(listed)) {
				slices.Sort(got[action])
				slices.Sort(listed[action])
				if !slices.Equal(got[action], listed[action]) {
					t.Fatalf("%s: %s %s: SQL selects %d rows, the list has %d\n%s", p.EntityID, dialect, action, len(got[action]), len(listed[action]), text)
				}
				compared, selected = compared+1, selected+len(got[action])
			}
		}
	}
	t.Logf("%d comparisons, %d rows, %d refused", compared, selected, multi)
	if compared < 20 || selected < 20*compared || multi == 0 {
		t.Error("the comparison says little")
	}
}

func first2(status int, answer, _ string) (int, string) { return status, answer }

func keysOf(m map[string][]string) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	return out
}

// ledgerColumns are the columns of the table, the number last.
var ledgerColumns = []model.AttributeID{"ledger", "costCentre", "currency", "period", "postingText", "amount"}

func ledgerRow(a model.Asset) []any {
	row := []any{a.Path}
	for _, id := range ledgerColumns {
		if vs := a.Attributes[id]; len(vs) > 0 {
			row = append(row, vs[0])
		} else {
			row = append(row, nil)
		}
	}
	return row
}

const createLedger = `CREATE TABLE postings (path text, ledger text, "costCentre" text, currency text, period text, "postingText" text, amount numeric)`

func ledgerInSQLite(t *testing.T, rows []model.Asset) func(string, []any) []string {
	c, err := sqlite.OpenConn(":memory:")
	check(t, err)
	t.Cleanup(func() { c.Close() })
	check(t, sqlitex.ExecuteTransient(c, createLedger, nil))
	for _, a := range rows {
		check(t, sqlitex.Execute(c, "INSERT INTO postings VALUES (?, ?, ?, ?, ?, ?, ?)", &sqlitex.ExecOptions{Args: ledgerRow(a)}))
	}
	return func(condition string, parameters []any) (paths []string) {
		check(t, sqlitex.Execute(c, "SELECT path FROM postings WHERE "+condition, &sqlitex.ExecOptions{
			Args: parameters,
			ResultFunc: func(s *sqlite.Stmt) error {
				paths = append(paths, s.ColumnText(0))
				return nil
			},
		}))
		return paths
	}
}

func ledgerInPostgreSQL(t *testing.T, rows []model.Asset) func(string, []any) []string {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, pgtest.Database(t))
	check(t, err)
	t.Cleanup(func() { c.Close(ctx) })
	_, err = c.Exec(ctx, createLedger)
	check(t, err)
	var batch pgx.Batch
	for _, a := range rows {
		batch.Queue("INSERT INTO postings VALUES ($1, $2, $3, $4, $5, $6, $7)", ledgerRow(a)...)
	}
	check(t, c.SendBatch(ctx, &batch).Close())
	return func(condition string, parameters []any) []string {
		found, err := c.Query(ctx, "SELECT path FROM postings WHERE "+condition, parameters...)
		check(t, err)
		paths, err := pgx.CollectRows(found, pgx.RowTo[string])
		if err != nil {
			t.Fatal(fmt.Errorf("%s: %w", condition, err))
		}
		return paths
	}
}
