package bank

import (
	"archive/zip"
	"bytes"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/manage/archive"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store/sqlite"
	"github.com/ambit-authz/ambit/internal/token"
)

// service is the management plane on a store of its own.
func service(t *testing.T) *manage.Service {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, "ambit.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	key, err := token.ReadOrMakeSigningKey(filepath.Join(dir, "token.key"))
	if err != nil {
		t.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 8, 24, 10, 0, 0, 0, time.UTC) }
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: "https://ambit.example.org", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	s := manage.New(manage.Options{Store: store, Secrets: secrets, Tokens: tokens, Now: now, Log: slog.New(slog.DiscardHandler)})
	t.Cleanup(func() {
		s.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func packed(t *testing.T) *archive.Reader {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	if err := z.AddFS(Files()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := archive.Open(bytes.NewReader(b.Bytes()), int64(b.Len()), archive.Zip, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// TestDirectoryApplies: the directory is taken whole, without errors, warnings or ignored files, as one revision; the
// second time nothing changes (management-api.md 21.2).
func TestDirectoryApplies(t *testing.T) {
	s := service(t)
	call := manage.Call{Caller: manage.Caller{ClientID: "TESTER", Permission: model.PermissionAdmin}, ClientIP: "192.0.2.1", RequestID: "r1"}
	if _, err := s.CreateEnvironment(t.Context(), call, manage.NewEnvironment{ID: EnvironmentID, Name: EnvironmentName, Bare: true}); err != nil {
		t.Fatal(err)
	}
	policies, err := fs.Glob(Files(), "authorization-workspaces/*/policies/*.rego")
	if err != nil {
		t.Fatal(err)
	}
	apply := func() manage.ApplyReport {
		report, err := s.Apply(t.Context(), call, EnvironmentID, packed(t), manage.ApplyOptions{})
		if err != nil || len(report.Errors) > 0 || len(report.Notes) > 0 {
			t.Fatalf("error %v, errors %v, notes %v", err, report.Errors, report.Notes)
		}
		for _, item := range report.Items {
			if len(item.Warnings) > 0 {
				t.Errorf("%s: %v", item.File, item.Warnings)
			}
		}
		return report
	}
	first, second := apply(), apply()
	if n := first.Summary["policies"].Created; int(n) != len(policies) {
		t.Errorf("%d of %d policies were created", n, len(policies))
	}
	if second.Revision != first.Revision || int(second.Summary["policies"].Unchanged) != len(policies) {
		t.Errorf("the second time: revision %d after %d, %+v", second.Revision, first.Revision, second.Summary)
	}
}
