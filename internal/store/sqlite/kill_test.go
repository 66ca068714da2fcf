package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
)

const (
	envKillLoops = "AMBIT_KILL_LOOPS"        // how often TestKill kills; 30 when not set
	envChild     = "AMBIT_SQLITE_TEST_CHILD" // path of the database: this process is a child of a test
	envChildTask = "AMBIT_SQLITE_TEST_TASK"

	killEnvironment model.EnvironmentID = "5b0c0000-0000-4000-8000-000000000001"
)

// TestMain lets the test binary play the other process.
func TestMain(m *testing.M) {
	path := os.Getenv(envChild)
	if path == "" {
		os.Exit(m.Run())
	}
	task := writeForever
	if os.Getenv(envChildTask) == "open" {
		task = openOnce
	}
	if err := task(path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func child(t *testing.T, path, task string) *exec.Cmd {
	t.Helper()
	command := exec.Command(os.Args[0]) //nolint:gosec // this test binary
	command.Env = append(os.Environ(), envChild+"="+path, envChildTask+"="+task)
	return command
}

func openOnce(path string) error {
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	return s.Close()
}

// writeForever commits one state after another and prints the revision of each that Update acknowledged.
func writeForever(path string) error {
	s, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	for {
		w := store.Write{Environment: killEnvironment, Time: time.Unix(1783324800, 0)}
		commit, err := s.Update(context.Background(), w, func(tx *store.Tx) error { return writeState(tx, tx.Revision+1) })
		if err != nil {
			return err
		}
		if _, err := fmt.Println(commit.Revision); err != nil {
			return err
		}
	}
}

// batch is how many assets revision r adds: mostly few, sometimes so many that a kill is likely to fall inside.
func batch(r model.Revision) int {
	if r%16 == 0 {
		return 3_000
	}
	return int(r % 7)
}

// writeState makes the state of revision r of that before: all parts of it tell r.
func writeState(tx *store.Tx, r model.Revision) error {
	name := strconv.FormatInt(int64(r), 10)
	_, err1 := tx.Environments.Put(model.Environment{ID: killEnvironment, Name: name})
	_, err2 := tx.Policies.Put(model.Policy{ID: "p", Name: name})
	_, err3 := tx.Identities("User").Clear()
	_, err4 := tx.Identities("User").Put(model.Identity{EntityID: name})
	for i := range batch(r) {
		_, err := tx.Assets("t").Put(model.Asset{Path: fmt.Sprintf("%d/%d", r, i), Name: name})
		if err != nil {
			return err
		}
	}
	err5 := tx.Events.Append(model.ChangeEvent{
		ID: name, Time: time.Unix(1783324800, 0), EnvironmentID: killEnvironment,
		Revision: r,
	})
	return errors.Join(err1, err2, err3, err4, err5)
}

// TestKill kills a writing process at random moments (reliability.md 4): every acknowledged write is there, no write is
// there by half, the database is sound and ready again at once.
func TestKill(t *testing.T) {
	loops := 30
	if text := os.Getenv(envKillLoops); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		loops = n
	}
	path := filepath.Join(t.TempDir(), "ambit.db")
	var last model.Revision
	var slowest time.Duration
	for range loops {
		acknowledged := killWriter(t, path, last)
		started := time.Now()
		s, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		if err != nil {
			t.Fatal(err)
		}
		slowest = max(slowest, time.Since(started))
		if last = checkState(t, s); last < acknowledged || last > acknowledged+1 {
			t.Fatalf("revision %d is there, %d was acknowledged", last, acknowledged)
		}
		if err := errors.Join(s.Check(t.Context()), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d revisions, slowest opening %v", loops, last, slowest)
	if slowest > 30*time.Second { // milliseconds on a machine of one's own; the bound is for what never ends
		t.Errorf("ready again after %v", slowest)
	}
}

// killWriter starts a writer, kills it after a random time and returns the last revision that it acknowledged.
func killWriter(t *testing.T, path string, before model.Revision) model.Revision {
	t.Helper()
	writer := child(t, path, "write")
	writer.Stderr = os.Stderr
	pipe, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := before
	lines := bufio.NewScanner(pipe)
	for first := true; lines.Scan(); first = false {
		if first {
			time.AfterFunc(time.Duration(rand.IntN(120_000))*time.Microsecond, func() { _ = writer.Process.Kill() })
		}
		n, err := strconv.ParseInt(lines.Text(), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		acknowledged = model.Revision(n)
	}
	var exit *exec.ExitError
	if err := writer.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 {
		t.Fatalf("the writer ended by itself: %v", err)
	}
	return acknowledged
}

// checkState checks that everything tells one revision, and returns it.
func checkState(t *testing.T, s *sqlite.Store) (revision model.Revision) {
	t.Helper()
	err := s.View(t.Context(), killEnvironment, func(tx *store.Tx) error {
		revision = tx.Revision
		name := strconv.FormatInt(int64(revision), 10)
		environment, err1 := tx.Environments.Find(killEnvironment)
		policy, err2 := tx.Policies.Find("p")
		_, err3 := tx.Identities("User").Find(name)
		identities, err4 := tx.Identities("User").Count()
		if environment.Name != name || policy.Name != name || identities != 1 || model.Revision(tx.Sequence) != revision {
			t.Errorf("revision %s holds %v, %v, %d identities, sequence %d", name, environment, policy, identities, tx.Sequence)
		}
		want := int64(0)
		for r := model.Revision(1); r <= revision; r++ {
			want += int64(batch(r))
		}
		got := int64(0)
		for _, err := range tx.Assets("t").After(0) {
			if err != nil {
				return err
			}
			got++
		}
		if count, err := tx.Assets("t").Count(); err != nil || got != want || count != want {
			t.Errorf("revision %s holds %d assets, counts %d, want %d, %v", name, got, count, want, err)
		}
		events := model.Revision(0)
		for _, err := range tx.Events.Find(time.Unix(0, 0), time.Unix(1<<32, 0)) {
			if err != nil {
				return err
			}
			events++
		}
		if events != revision {
			t.Errorf("revision %s has %d events", name, events)
		}
		return errors.Join(err1, err2, err3, err4)
	})
	if err != nil {
		t.Fatal(err)
	}
	return revision
}
