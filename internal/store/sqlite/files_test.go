package sqlite_test

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
)

func policies(t *testing.T, s store.Store, n int) {
	t.Helper()
	w := store.Write{Environment: killEnvironment, Time: time.Unix(1783324800, 0)}
	_, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
		if _, err := tx.Environments.Put(model.Environment{ID: killEnvironment}); err != nil {
			return err
		}
		for i := range n {
			id := model.PolicyID(strings.Repeat("x", 1+i%100) + time.Duration(i).String())
			if _, err := tx.Policies.Put(model.Policy{ID: id}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestPermissions checks that only the owner can read what the store writes.
func TestPermissions(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "made", "here")
	s := openAt(t, filepath.Join(directory, "ambit.db"), sqlite.Options{})
	policies(t, s, 1)
	if err := s.Backup(t.Context(), filepath.Join(directory, "copy.db")); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err := filepath.WalkDir(filepath.Dir(directory), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		seen++
		info, err := entry.Info()
		if err != nil {
			return err
		}
		want := fs.FileMode(0o600)
		if entry.IsDir() {
			want = 0o700
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return nil
	})
	if err != nil || seen < 7 { // 2 directories, database, log, its index, lock, copy
		t.Errorf("%d files, %v", seen, err)
	}
}

// TestSecondProcess checks that a database is open once, in one process, and free again afterwards.
func TestSecondProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ambit.db")
	s := openAt(t, path, sqlite.Options{})
	for range 2 {
		_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err == nil || !strings.Contains(err.Error(), "in use") || model.KindOf(err) != model.KindUnavailable {
			t.Fatalf("second opening in this process: %v", err)
		}
		if out, err := child(t, path, "open").CombinedOutput(); err == nil || !strings.Contains(string(out), "in use") {
			t.Fatalf("opening in another process: %v, %s", err, out)
		}
	}
	policies(t, s, 10) // undisturbed
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := child(t, path, "open").CombinedOutput(); err != nil {
		t.Fatalf("opening in another process after close: %v, %s", err, out)
	}
	openAt(t, path, sqlite.Options{})
}

// TestForeignFiles checks that what is not an Ambit database is refused with a reason and left as it is.
func TestForeignFiles(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		reason  string
	}{
		"text":               {[]byte(strings.Repeat("not a database\n", 500)), "not a database"},
		"another program's":  {database(t, "CREATE TABLE t (x); INSERT INTO t VALUES (1)"), "another program"},
		"another's, empty":   {database(t, "PRAGMA application_id = 7"), "another program"},
		"of a newer program": {database(t, "PRAGMA application_id = 1097687668; PRAGMA user_version = 999"), "newer"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.db")
			if err := os.WriteFile(path, c.content, 0o600); err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time shows that the first left no lock
				_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
				if err == nil || !strings.Contains(err.Error(), c.reason) || !strings.Contains(err.Error(), path) {
					t.Errorf("error %v, want one that tells %q", err, c.reason)
				}
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, c.content) {
				t.Errorf("the file was changed, %v", err)
			}
		})
	}
	if _, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{}); err == nil {
		t.Error("a directory was opened")
	}
}

// database is the file of a database that another program has made.
func database(t *testing.T, script string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "other.db")
	conn, err := zombiezen.OpenConn(path, zombiezen.OpenReadWrite|zombiezen.OpenCreate)
	if err != nil {
		t.Fatal(err)
	}
	for statement := range strings.SplitSeq(script, ";") {
		if err := sqlitex.ExecuteTransient(conn, statement, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestDamage destroys parts of a database: Open or Check tells, and nothing panics.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ambit.db")
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	policies(t, s, 2_000)
	if err := s.Check(t.Context()); err != nil {
		t.Errorf("check of a sound database: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 10 {
		content := bytes.Clone(sound)
		page := 1 + rng.IntN(len(content)/4096-1)
		for i := range 2048 {
			content[page*4096+i] = byte(rng.Uint32())
		}
		checkDamaged(t, content)
	}
	checkDamaged(t, sound[:len(sound)/2/4096*4096])
}

func checkDamaged(t *testing.T, content []byte) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err != nil {
		return
	}
	if err := s.Check(t.Context()); err == nil {
		t.Error("the damage was not found")
	}
	_ = s.View(t.Context(), killEnvironment, func(tx *store.Tx) error {
		for _, err := range tx.Policies.FindAll() {
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := s.Close(); err != nil {
		t.Logf("close: %v", err)
	}
}
