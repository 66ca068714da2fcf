// Package pgtest gives tests a real PostgreSQL: one throw-away cluster for each test binary, on a private socket, and a
// fresh database for each test that asks. Start at Database.
//
// Nothing survives the test binary, however it ends: the cluster hangs on a pipe that the kernel closes. A machine
// without PostgreSQL fails the test, it never skips it. For tests only.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// patience is how long a cluster may take to start on a loaded machine.
const patience = 2 * time.Minute

// cluster starts the cluster of this binary, once.
var cluster = sync.OnceValues(start)

// server is a cluster that runs. leash must be kept: the server ends when it closes.
type server struct {
	dir   string // of the socket
	leash io.Closer
}

// Database makes an empty database and gives its connection string, for the role that owns the cluster. It is dropped when the
// test ends. It is safe for concurrent use.
func Database(t testing.TB) string {
	t.Helper()
	s, err := cluster()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := "test_" + strings.ToLower(rand.Text())
	administer(t, s.dir, "CREATE DATABASE "+name)
	t.Cleanup(func() { administer(t, s.dir, "DROP DATABASE "+name+" WITH (FORCE)") })
	return address(s.dir, name)
}

func administer(t testing.TB, dir, statement string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := pgx.Connect(ctx, address(dir, "postgres"))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	_, err = c.Exec(ctx, statement)
	if err := errors.Join(err, c.Close(ctx)); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
}

func address(dir, database string) string {
	return fmt.Sprintf("host=%s user=postgres dbname=%s sslmode=disable", dir, database)
}

// watch runs the server until the pipe of the test binary closes.
const watch = `"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off >"$2/log" 2>&1 &
server=$!
read -r _
kill -QUIT $server
wait $server
rm -rf "$2"`

func start() (*server, error) {
	bin, err := programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "ambit-pg-")
	if err != nil {
		return nil, err
	}
	owner, err := account(dir)
	if err != nil {
		return nil, err
	}
	//nolint:gosec // G204: the directories are those of packages, or ours
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", filepath.Join(dir, "data"), "-U", "postgres", //nolint:gosec,noctx // the program that this machine has
		"-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, owner
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	//nolint:gosec // G204: as above
	shell := exec.Command("sh", "-c", watch, "sh", bin, dir) //nolint:gosec,noctx // the script is above; the server lives as long as the test binary
	shell.Dir, shell.SysProcAttr = dir, owner
	leash, err := shell.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := shell.Start(); err != nil {
		return nil, err
	}
	return &server{dir: dir, leash: leash}, await(dir)
}

// await returns when the server answers.
func await(dir string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c, err := pgx.Connect(ctx, address(dir, "postgres"))
		if err == nil {
			return c.Close(ctx)
		}
		text, _ := os.ReadFile(filepath.Join(dir, "log"))
		if bytes.Contains(text, []byte("FATAL")) && !bytes.Contains(text, []byte("starting up")) || ctx.Err() != nil {
			return fmt.Errorf("the server did not start: %w\n%s", err, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// account gives the directory to who runs the server: PostgreSQL refuses to be run by root.
func account(dir string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	who, err := user.Lookup("postgres")
	if err != nil {
		if who, err = user.Lookup("nobody"); err != nil {
			return nil, err
		}
	}
	uid, err := strconv.ParseUint(who.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(who.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(dir, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// programs finds the directory of the newest PostgreSQL, where packages put it, or else on the path.
func programs() (string, error) {
	var found []string
	for _, place := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
	} {
		dirs, err := filepath.Glob(place)
		if err != nil {
			return "", err
		}
		found = append(found, dirs...)
	}
	slices.SortStableFunc(found, func(a, b string) int { return version(b) - version(a) })
	if path, err := exec.LookPath("initdb"); err == nil {
		found = append(found, filepath.Dir(path))
	}
	for _, dir := range found {
		if _, err := exec.LookPath(filepath.Join(dir, "initdb")); err == nil {
			return dir, nil
		}
	}
	return "", errors.New("there is no PostgreSQL on this machine, which the tests need: run scripts/databases.sh")
}

// version is the number in the name of a directory; 0 when there is none.
func version(dir string) int {
	digits := strings.FieldsFunc(dir, func(r rune) bool { return r < '0' || r > '9' })
	if len(digits) == 0 {
		return 0
	}
	n, err := strconv.Atoi(digits[0])
	if err != nil {
		return 0
	}
	return n
}
