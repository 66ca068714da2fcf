//go:build mariadb

package sqltext_test

import (
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/go-sql-driver/mysql"

	"github.com/ambit-authz/ambit/internal/engine/sqltext"
)

// startMariaDB runs a server in a directory of its own for the test and gives its socket.
func startMariaDB(t *testing.T) string {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/usr/libexec")
	for _, program := range []string{"mariadbd", "mariadb-install-db"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("there is no MariaDB on this machine, which the test needs: run scripts/databases.sh: %v", err)
		}
	}
	dir, err := os.MkdirTemp("", "ambit-my-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket := filepath.Join(dir, "data"), filepath.Join(dir, "s")
	common := []string{"--no-defaults", "--datadir=" + data}
	if os.Geteuid() == 0 {
		common = append(common, "--user=root")
	}
	if out, err := exec.Command("mariadb-install-db", append(common, "--auth-root-authentication-method=normal", "--skip-test-db")...).CombinedOutput(); err != nil {
		t.Fatalf("mariadb-install-db: %v\n%s", err, out)
	}
	server := exec.Command("mariadbd", append(common, "--socket="+socket, "--skip-networking", "--pid-file="+filepath.Join(dir, "pid"), "--innodb-flush-log-at-trx-commit=0")...)
	var log strings.Builder
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	for started := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			return socket
		}
		if time.Since(started) > 2*time.Minute {
			t.Fatalf("the server did not start\n%s", &log)
		}
	}
}

// RT-94, RT-95, RT-98 in the MySQL dialect, on MariaDB: columns in another character set and with a collation that takes
// cases, accents and blanks at the end for equal, and a text column for numbers.
func TestRunOnMariaDB(t *testing.T) {
	c, err := sql.Open("mysql", "root@unix("+startMariaDB(t)+")/?charset=utf8mb4")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetMaxOpenConns(1)
	numbers := slices.Concat(shortNumbers, longNumbers)
	traps := map[string][]any{loose: {"abc", "", "1,000", "Infinity", "7x", "1e2", " "}}
	d := &database{dialect: sqltext.MySQL, numbers: numbers, rows: table(numbers, traps)}
	for _, text := range []string{
		"CREATE DATABASE test CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci", "USE test", "SET sql_mode = CONCAT(@@sql_mode, ',HIGH_NOT_PRECEDENCE')",
		fmt.Sprintf("CREATE TABLE assets (id int PRIMARY KEY, `%s` varchar(100) CHARACTER SET utf16, folded text, number decimal(65,30), loose decimal(65,30), trap varchar(100))", strings.ReplaceAll(exact, "`", "``")),
	} {
		if _, err := c.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range d.rows {
		loosely := r.get(loose)
		if r.broken[loose] != nil {
			loosely = nil
		}
		if _, err := c.Exec("INSERT INTO assets VALUES (?, ?, ?, ?, ?, ?)", i, r.get(exact), r.get(folded), r.get(number), loosely, r.broken[loose]); err != nil {
			t.Fatal(err)
		}
	}
	d.ask = func(cond sqltext.Condition) (got []int, err error) {
		// loose is a text where it holds no number
		rows, err := c.Query("SELECT id FROM (SELECT id, `"+strings.ReplaceAll(exact, "`", "``")+"`, folded, number, loose FROM assets WHERE trap IS NULL) AS t WHERE "+cond.Text+
			" UNION SELECT id FROM (SELECT id, `"+strings.ReplaceAll(exact, "`", "``")+"`, folded, number, trap AS loose FROM assets WHERE trap IS NOT NULL) AS t WHERE "+cond.Text+" ORDER BY id",
			append(arguments(cond), arguments(cond)...)...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var id int
			if err := rows.Scan(&id); err != nil {
				return nil, err
			}
			got = append(got, id)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
		return got, negated(c, cond)
	}
	d.compare(t)
}

// negated: NOT before a text means the whole text, also where NOT binds closer than comparisons.
func negated(c *sql.DB, cond sqltext.Condition) error {
	count := "SELECT count(*) FROM assets WHERE trap IS NULL AND "
	var bare, closed int
	if err := c.QueryRow(count+"NOT "+cond.Text, arguments(cond)...).Scan(&bare); err != nil {
		return err
	}
	if err := c.QueryRow(count+"NOT ("+cond.Text+")", arguments(cond)...).Scan(&closed); err != nil {
		return err
	}
	if bare != closed {
		return fmt.Errorf("NOT before it selects %d rows, before it in parentheses %d", bare, closed)
	}
	return nil
}
