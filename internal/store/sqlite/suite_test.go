package sqlite_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/store/storetest"
)

func TestSuite(t *testing.T) { storetest.Run(t, open) }

func TestTrimming(t *testing.T) {
	storetest.RunTrimming(t, func(t testing.TB, keep int) store.Store {
		return openAt(t, filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{KeepCommits: keep})
	})
}

func TestBackup(t *testing.T) {
	storetest.RunBackup(t, open, func(t testing.TB, path string) store.Store {
		return openAt(t, path, sqlite.Options{})
	})
}

func open(t testing.TB) store.Store {
	return openAt(t, filepath.Join(t.TempDir(), "ambit.db"), sqlite.Options{})
}

func openAt(t testing.TB, path string, o sqlite.Options) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t's own context has ended by now
		if err := s.Check(context.Background()); err != nil && !errors.Is(err, store.ErrClosed) {
			t.Errorf("check: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}
