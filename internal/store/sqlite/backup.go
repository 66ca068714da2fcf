package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
)

// Backup implements store.Store. The copy is a database of its own that Open opens; it is written beside path under
// another name, synced and then renamed. A file at path is an error and is left as it is.
func (s *Store) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return &model.Error{Kind: model.KindConflict, Op: "sqlite.backup", Message: fmt.Sprintf("%s exists already", path)}
	}
	directory, name := filepath.Split(path)
	if directory == "" {
		directory = "."
	}
	temporary, err := os.CreateTemp(directory, "."+name+".*") // mode 0600; VACUUM INTO accepts an empty file
	if err != nil {
		return &model.Error{Kind: model.KindUnavailable, Op: "sqlite.backup", Err: err}
	}
	err = errors.Join(temporary.Close(), s.copyTo(ctx, temporary.Name()))
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	err = errors.Join(syncFile(temporary.Name()), os.Rename(temporary.Name(), path))
	if err != nil {
		return &model.Error{
			Kind: model.KindUnavailable, Op: "sqlite.backup",
			Err: errors.Join(err, os.Remove(temporary.Name())),
		}
	}
	if err := syncDirectory(directory); err != nil {
		return &model.Error{Kind: model.KindUnavailable, Op: "sqlite.backup", Err: err}
	}
	return nil
}

func (s *Store) copyTo(ctx context.Context, path string) error {
	conn, err := s.take(ctx, s.readers)
	if err != nil {
		return err
	}
	defer s.release(s.readers, conn)
	// To query_only the copy is a write; to this database it is none.
	if err := configure(conn, "query_only = off"); err != nil {
		return translate(ctx, "backup", err)
	}
	err = sqlitex.Execute(conn, "VACUUM INTO ?", &sqlitex.ExecOptions{Args: []any{path}})
	conn.SetInterrupt(nil)
	return translate(ctx, "backup", errors.Join(err, configure(conn, "query_only = on")))
}
