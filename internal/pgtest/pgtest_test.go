package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/ambit-authz/ambit/internal/pgtest"
)

// Two databases of one cluster know nothing of each other.
func TestDatabase(t *testing.T) {
	ctx := context.Background()
	open := func() *pgx.Conn {
		c, err := pgx.Connect(ctx, pgtest.Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(ctx) })
		return c
	}
	one, two := open(), open()
	if _, err := one.Exec(ctx, "CREATE TABLE t (n int)"); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := one.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n); err != nil || n != 0 {
		t.Errorf("the table of the first: %d rows, %v", n, err)
	}
	if err := two.QueryRow(ctx, "SELECT count(*) FROM t").Scan(&n); err == nil {
		t.Error("the second database has the table of the first")
	}
}
