package sqlite

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// limit lets the database grow by so many pages more, as if the disk ended there.
func limit(t *testing.T, s *Store, more int) {
	t.Helper()
	conn := <-s.writer
	defer func() { s.writer <- conn }()
	pages := 0
	count := &sqlitex.ExecOptions{ResultFunc: func(row *sqlite.Stmt) error { pages = row.ColumnInt(0); return nil }}
	if err := sqlitex.ExecuteTransient(conn, "PRAGMA page_count", count); err != nil {
		t.Fatal(err)
	}
	if err := sqlitex.ExecuteTransient(conn, fmt.Sprintf("PRAGMA max_page_count = %d", pages+more), count); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFull covers reliability.md 4 "disk full": the write fails whole and says so, reads go on, and the store recovers
// by itself when there is space again.
func TestDiskFull(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
			t.Error(err)
		}
	}()
	w := store.Write{Environment: benchEnvironment, Time: time.Unix(1783324800, 0)}
	put := func(from, to int) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			for i := from; i < to; i++ {
				if _, err := tx.Assets("t").Put(benchAsset(i)); err != nil {
					return err
				}
			}
			return nil
		}
	}
	commit, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
		_, err := tx.Environments.Put(model.Environment{ID: w.Environment})
		return errors.Join(err, put(0, 100)(tx))
	})
	if err != nil {
		t.Fatal(err)
	}
	revision := commit.Revision
	limit(t, s, 2)
	for name, fn := range map[string]func(*store.Tx) error{
		"error returned": put(100, 5_000),
		"error ignored": func(tx *store.Tx) error {
			for i := 100; i < 5_000; i++ {
				_, _ = tx.Assets("t").Put(benchAsset(i))
			}
			return nil
		},
		"large object": func(tx *store.Tx) error {
			_, err := tx.Policies.Put(model.Policy{ID: "p", Name: strings.Repeat("x", 1<<20)})
			return err
		},
	} {
		_, err := s.Update(t.Context(), w, fn)
		if !errors.Is(err, store.ErrFull) || model.KindOf(err) != model.KindUnavailable {
			t.Errorf("%s: %v", name, err)
		}
		assets(t, s, revision, 100)
	}
	if _, err := s.Update(t.Context(), w, func(tx *store.Tx) error { // what fits is stored
		_, err := tx.Assets("t").Delete(benchAsset(0).Path)
		return err
	}); err != nil {
		t.Errorf("a small write: %v", err)
	}
	assets(t, s, revision+1, 99)
	limit(t, s, 1<<20)
	if _, err := s.Update(t.Context(), w, put(100, 5_000)); err != nil {
		t.Errorf("after space was made: %v", err)
	}
	assets(t, s, revision+2, 4_999)
}

func assets(t *testing.T, s *Store, revision model.Revision, want int64) {
	t.Helper()
	err := s.View(t.Context(), benchEnvironment, func(tx *store.Tx) error {
		counted, err := tx.Assets("t").Count()
		read := int64(0)
		for _, err := range tx.Assets("t").After(0) {
			if err != nil {
				return err
			}
			read++
		}
		if tx.Revision != revision || counted != want || read != want {
			t.Errorf("revision %d, want %d; %d assets counted, %d read, want %d", tx.Revision, revision, counted, read, want)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestFeedAhead checks that a follower of another history is told to read everything anew.
func TestFeedAhead(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Feed(t.Context(), 1, 10); !errors.Is(err, store.ErrTrimmed) {
		t.Errorf("feed after a commit that never was: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestSettings checks what a power loss would show: that commits are synced, readers cannot write.
func TestSettings(t *testing.T) {
	s, err := Open(t.Context(), filepath.Join(t.TempDir(), "ambit.db"), Options{Readers: 2})
	if err != nil {
		t.Fatal(err)
	}
	for setting, conns := range map[string]chan *sqlite.Conn{
		"journal_mode = wal": s.writer, "synchronous = 2": s.writer,
		"foreign_keys = 1": s.writer, "query_only = 1": s.readers,
	} {
		name, want, _ := strings.Cut(setting, " = ")
		for range cap(conns) {
			conn := <-conns
			got := ""
			err := sqlitex.ExecuteTransient(conn, "PRAGMA "+name, &sqlitex.ExecOptions{
				ResultFunc: func(row *sqlite.Stmt) error { got = row.ColumnText(0); return nil },
			})
			if err != nil || got != want {
				t.Errorf("%s is %s, want %s, %v", name, got, want, err)
			}
			conns <- conn
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
