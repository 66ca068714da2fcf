package sqlite

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitemigration"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
)

// applicationID marks a database file as Ambit's ("Ambt").
const applicationID = 0x416d6274

// busyTimeout bounds the waiting for SQLite's own short locks, such as recovery and checkpoints.
const busyTimeout = 10 * time.Second

//go:embed migrations/*.sql
var migrations embed.FS

// Open opens the database file at path, making it (mode 0600) and its directory (0700) when they do not exist, and
// brings its schema up to date. It refuses a file that is open in another process, is not a database, belongs to
// another program or was written by a newer Ambit, and leaves such a file as it is.
func Open(ctx context.Context, path string, o Options) (*Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Readers <= 0 {
		o.Readers = defaultReaders
	}
	if o.KeepCommits <= 0 {
		o.KeepCommits = defaultKeepCommits
	}
	s := &Store{
		path:        path,
		keepCommits: o.KeepCommits,
		writer:      make(chan *sqlite.Conn, 1),
		readers:     make(chan *sqlite.Conn, o.Readers),
		closed:      make(chan struct{}),
		watchers:    watchers{channels: map[chan struct{}]struct{}{}},
		holds:       holds{all: map[*held]struct{}{}},
	}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.abandon())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return &model.Error{Kind: model.KindUnavailable, Op: "sqlite.open", Err: err}
	}
	lock, err := acquire(s.path)
	if err != nil {
		return err
	}
	s.lock = lock
	if err := s.openWriter(ctx); err != nil {
		return err
	}
	if err := syncDirectory(filepath.Dir(s.path)); err != nil {
		return &model.Error{Op: "sqlite.open", Err: err}
	}
	for range cap(s.readers) {
		conn, err := connect(s.path)
		if err != nil {
			return translate(ctx, "open", err)
		}
		s.readers <- conn
		if err := configure(conn, readerSettings); err != nil {
			return translate(ctx, "open", err)
		}
	}
	return nil
}

func (s *Store) openWriter(ctx context.Context) error {
	if err := create(s.path); err != nil {
		return err
	}
	conn, err := connect(s.path)
	if err != nil {
		return unusable(ctx, s.path, err)
	}
	s.writer <- conn
	schema, err := schema()
	if err != nil {
		return err
	}
	if err := identify(conn, len(schema.Migrations)); err != nil {
		return unusable(ctx, s.path, err)
	}
	if err := configure(conn, writerSettings); err != nil {
		return unusable(ctx, s.path, err)
	}
	return unusable(ctx, s.path, sqlitemigration.Migrate(ctx, conn, schema))
}

// abandon closes what a failed Open has opened.
func (s *Store) abandon() error {
	var errs []error
	for _, conns := range []chan *sqlite.Conn{s.readers, s.writer} {
		for len(conns) > 0 {
			errs = append(errs, (<-conns).Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// acquire takes the lock that keeps a second process away: an exclusive transaction on a database file of its own,
// which ends with the process however that ends, and which SQLite makes work on every system.
func acquire(path string) (*sqlite.Conn, error) {
	path += ".lock"
	if err := create(path); err != nil {
		return nil, err
	}
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, &model.Error{Kind: model.KindUnavailable, Op: "sqlite.lock", Err: err}
	}
	conn.SetBusyTimeout(0)
	if err := sqlitex.Execute(conn, "BEGIN EXCLUSIVE", nil); err != nil {
		return nil, &model.Error{
			Kind: model.KindUnavailable, Op: "sqlite.lock",
			Message: fmt.Sprintf("the database is in use by another process (%s)", path),
			Err:     errors.Join(err, conn.Close()),
		}
	}
	return conn, nil
}

// create makes an empty file that only its owner can read, unless there is a file; SQLite gives its log the same mode.
func create(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the file
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return &model.Error{Kind: model.KindUnavailable, Op: "sqlite.open", Err: err}
	}
	return f.Close()
}

func connect(path string) (*sqlite.Conn, error) {
	conn, err := sqlite.OpenConn(path, sqlite.OpenReadWrite)
	if err != nil {
		return nil, err
	}
	conn.SetBusyTimeout(busyTimeout)
	return conn, nil
}

// identify checks that the file is empty or Ambit's and not newer than this program, before anything is written to it.
func identify(conn *sqlite.Conn, newest int) error {
	var numbers [3]int
	for i, query := range []string{"PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_schema"} {
		err := sqlitex.ExecuteTransient(conn, query, &sqlitex.ExecOptions{ResultFunc: func(stmt *sqlite.Stmt) error {
			numbers[i] = stmt.ColumnInt(0)
			return nil
		}})
		if err != nil {
			return err
		}
	}
	id, version, tables := numbers[0], numbers[1], numbers[2]
	empty := id == 0 && version == 0 && tables == 0
	switch {
	case id != applicationID && !empty:
		return errors.New("it is the database of another program")
	case version > newest:
		return fmt.Errorf("its schema has version %d, this program knows up to %d: start a newer one", version, newest)
	}
	return nil
}

const (
	// The cache (KiB) keeps the indexes of a large import in memory.
	writerSettings = "journal_mode = wal; synchronous = full; foreign_keys = on; cache_size = -65536; " +
		"journal_size_limit = 67108864"
	readerSettings = "query_only = on; cache_size = -8192"
)

func configure(conn *sqlite.Conn, settings string) error {
	for setting := range strings.SplitSeq(settings, ";") {
		if err := sqlitex.ExecuteTransient(conn, "PRAGMA "+setting, nil); err != nil {
			return err
		}
	}
	return nil
}

// schema lists the migrations by file name; a file that was released is never changed again.
func schema() (sqlitemigration.Schema, error) {
	out := sqlitemigration.Schema{AppID: applicationID}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return out, err
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			return out, err
		}
		out.Migrations = append(out.Migrations, string(text))
	}
	return out, nil
}

// unusable says which file could not be opened and why.
func unusable(ctx context.Context, path string, err error) error {
	if err == nil {
		return nil
	}
	switch sqlite.ErrCode(err).ToPrimary() {
	case sqlite.ResultInterrupt, sqlite.ResultFull:
		return translate(ctx, "open", err)
	}
	return &model.Error{
		Kind: model.KindUnavailable, Op: "sqlite.open",
		Message: fmt.Sprintf("%s cannot be used as Ambit's database", path), Err: err,
	}
}

func syncDirectory(path string) error {
	d, err := os.Open(path) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // the operator names the file
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
