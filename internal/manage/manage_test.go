package manage_test

import (
	"bytes"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

const envID = "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"

// world is a service on a real store with an environment of its own.
type world struct {
	*manage.Service
	t     testing.TB
	store *sqlite.Store
	log   *bytes.Buffer
	clock time.Time
	call  manage.Call
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := sqlite.Open(t.Context(), filepath.Join(dir, "ambit.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, log: &bytes.Buffer{}, clock: time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC)}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.ReadOrMakeSigningKey(filepath.Join(dir, "token.key"))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return w.clock }
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: "https://ambit.example.org", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	w.Service = manage.New(manage.Options{
		Store: st, Secrets: secrets, Tokens: tokens, Now: now,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	})
	w.call = manage.Call{Caller: manage.Caller{ClientID: "TESTER", Permission: model.PermissionAdmin}, ClientIP: "192.0.2.1", RequestID: "r1"}
	t.Cleanup(func() {
		w.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// bare makes the environment of the tests without default objects.
func (w *world) bare() *world {
	w.t.Helper()
	_, err := w.CreateEnvironment(w.t.Context(), w.call, manage.NewEnvironment{ID: envID, Name: "Test", Bare: true})
	w.must(err)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) dry() manage.Call {
	call := w.call
	call.DryRun = true
	return call
}

func (w *world) view(fn func(*store.Tx)) {
	w.t.Helper()
	w.must(w.store.View(w.t.Context(), envID, func(tx *store.Tx) error { fn(tx); return nil }))
}

func (w *world) revision() model.Revision {
	w.t.Helper()
	r, err := w.Revision(w.t.Context(), envID)
	w.must(err)
	return r
}

// write stores objects without the service, where it has no call for them yet.
func (w *world) write(fn func(*store.Tx) error) {
	w.t.Helper()
	_, err := w.store.Update(w.t.Context(), store.Write{Environment: envID, Time: w.clock}, fn)
	w.must(err)
}

func (w *world) events(env model.EnvironmentID) []model.ChangeEvent {
	w.t.Helper()
	w.Close() // logins are recorded behind their answers
	var out []model.ChangeEvent
	w.must(w.store.View(w.t.Context(), env, func(tx *store.Tx) error {
		for e, err := range tx.Events.Find(w.clock.Add(-time.Hour), w.clock.Add(time.Hour)) {
			if err != nil {
				return err
			}
			out = append(out, e)
		}
		return nil
	}))
	return out
}

func all[K comparable, V any](t testing.TB, c store.Collection[K, V]) []V {
	t.Helper()
	var out []V
	for v, err := range c.FindAll() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// wantError checks kind and code of the first error and that the whole text has every part.
func wantError(t testing.TB, err error, kind model.Kind, code string, parts ...string) {
	t.Helper()
	e, ok := errors.AsType[*model.Error](err)
	if !ok {
		t.Fatalf("error %v, want kind %d", err, kind)
	}
	if e.Kind != kind || e.Code != code {
		t.Errorf("error %v has kind %d and code %q, want %d and %q", err, e.Kind, e.Code, kind, code)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %v lacks %q", err, part)
		}
	}
}
