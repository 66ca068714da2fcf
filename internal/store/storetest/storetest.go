// Package storetest is the suite that every store.Store passes: what the contract says, as tests. An implementation's
// own tests call Run, and RunTrimming and RunBackup with what only it can provide, and add what is particular to it.
//
// Start at Run. The suite uses a real store, made by the function it is given, and promises to leave nothing behind; it
// never looks at anything but the contract.
//
// It covers the store's part of policy-model.md 1.2 and 3.12 and of management-api.md 1.5, 1.6 and 14.1.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Open makes an empty store that is closed when the test ends, unless the test has closed it.
type Open func(t testing.TB) store.Store

// Run runs the suite.
func Run(t *testing.T, open Open) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"Collections", testCollections},
		{"Order", testOrder},
		{"Values", testValues},
		{"Taken", testTaken},
		{"Environments", testEnvironments},
		{"DeleteEnvironment", testDeleteEnvironment},
		{"Revisions", testRevisions},
		{"DryRun", testDryRun},
		{"Rollback", testRollback},
		{"ReadOnly", testReadOnly},
		{"Ended", testEnded},
		{"Isolation", testIsolation},
		{"Hold", testHold},
		{"HoldEnds", testHoldEnds},
		{"SerialUpdates", testSerialUpdates},
		{"Cancel", testCancel},
		{"Close", testClose},
		{"Records", testRecords},
		{"RecordValues", testRecordValues},
		{"RecordPages", testRecordPages},
		{"MoveRecords", testMoveRecords},
		{"WriteWhileReading", testWriteWhileReading},
		{"Feed", testFeed},
		{"FeedOfRecords", testFeedOfRecords},
		{"Watch", testWatch},
		{"Events", testEvents},
		{"EventPages", testEventPages},
		{"EventAge", testEventAge},
		{"EventFilters", testEventFilters},
		{"EventOffsets", testEventOffsets},
		{"Random", testRandom},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open) })
	}
}

// Environments of the tests. Any uuid will do.
const (
	envA model.EnvironmentID = "5b0c0000-0000-4000-8000-00000000000a"
	envB model.EnvironmentID = "5b0c0000-0000-4000-8000-00000000000b"
)

// start is the time of the first write; each later one states its own.
func start() time.Time { return time.Date(2026, 7, 6, 8, 0, 0, 123_456_000, time.UTC) }

// openWith opens a store that holds envA and envB, each at revision 1.
func openWith(t testing.TB, open Open) store.Store {
	t.Helper()
	s := open(t)
	for _, env := range []model.EnvironmentID{envA, envB} {
		update(t, s, env, func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: env, Name: string(env)})
			return err
		})
	}
	return s
}

func write(env model.EnvironmentID) store.Write { return store.Write{Environment: env, Time: start()} }

// update commits what fn writes; an error ends the test.
func update(t testing.TB, s store.Store, env model.EnvironmentID, fn func(*store.Tx) error) store.Commit {
	t.Helper()
	commit, err := s.Update(t.Context(), write(env), fn)
	if err != nil {
		t.Fatalf("update: %v", err)
	}
	return commit
}

func view(t testing.TB, s store.Store, env model.EnvironmentID, fn func(*store.Tx) error) {
	t.Helper()
	if err := s.View(t.Context(), env, fn); err != nil {
		t.Fatalf("view: %v", err)
	}
}

// equal compares values; nil and empty lists differ.
func equal[V any](t testing.TB, what string, got, want V) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: error %v, want %v", what, got, want)
	}
}

// result is a check of a write inside a transaction: its error, or one that tells the results differ.
func result(what string, want store.Result) func(store.Result, error) error {
	return func(got store.Result, err error) error {
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if got != want {
			return fmt.Errorf("%s: %v, want %v", what, got, want)
		}
		return nil
	}
}

// all collects a sequence.
func all[V any](seq func(func(V, error) bool)) ([]V, error) {
	var out []V
	for v, err := range seq {
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}

// errWanted is an error that tests let their functions return.
var errWanted = errors.New("wanted by the test")

func canceled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
