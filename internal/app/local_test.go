package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/api/problem"
	"github.com/ambit-authz/ambit/internal/config"
	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// started is a data directory after the first start of a server.
func started(t *testing.T) (dir string, first *Admin) {
	t.Helper()
	c := config.Default()
	c.Listen, c.Data = "127.0.0.1:0", t.TempDir()
	a := opened(t, c)
	first = a.FirstAdmin()
	if err := a.close(); err != nil {
		t.Fatal(err)
	}
	return c.Data, first
}

func opened(t *testing.T, c config.Config) *App {
	t.Helper()
	a, err := Open(t.Context(), Options{Config: c, Log: quiet(), Version: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func login(id, secret string) manage.Login {
	return manage.Login{ClientID: model.ClientID(id), Secrets: []string{secret}, ClientIP: "192.0.2.1"}
}

// TestFirstStart is MG-79: the first start makes one tenant admin, the second none, and a given one is taken.
func TestFirstStart(t *testing.T) {
	dir, first := started(t)
	if first == nil || first.ID == "" || first.Secret == "" {
		t.Fatalf("the first start made %v", first)
	}
	c := config.Default()
	c.Listen, c.Data = "127.0.0.1:0", dir
	again := opened(t, c)
	if again.FirstAdmin() != nil {
		t.Error("the second start made a credential")
	}
	if err := again.close(); err != nil {
		t.Fatal(err)
	}
	c.Data, c.Admin = t.TempDir(), config.Admin{ID: "given", Secret: "a-given-secret"}
	given := opened(t, c)
	defer func() { _ = given.close() }()
	if given.FirstAdmin() != nil {
		t.Error("a given credential is printed")
	}
	if _, err := given.service.Login(t.Context(), login("given", "a-given-secret")); err != nil {
		t.Error(err)
	}
}

// TestOpenFails closes everything again: the directory can be opened afterwards, and the secret of a first start that
// never served is not lost, since none was made.
func TestOpenFails(t *testing.T) {
	c := config.Default()
	c.Data, c.Listen = t.TempDir(), "127.0.0.1:1:2"
	if _, err := Open(t.Context(), Options{Config: c, Log: quiet()}); err == nil {
		t.Fatal("an impossible address is accepted")
	}
	c.Listen = "127.0.0.1:0"
	a := opened(t, c)
	defer func() { _ = a.close() }()
	if a.FirstAdmin() == nil {
		t.Error("the credential was made by the start that failed")
	}
}

func TestResetAdmin(t *testing.T) {
	dir, first := started(t)
	if _, err := ResetAdmin(t.Context(), dir, "nobody"); err == nil {
		t.Error("an unknown credential is reset")
	}
	reset, err := ResetAdmin(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	if reset.ID != first.ID || reset.Secret == first.Secret {
		t.Errorf("reset %s, made %s", reset.ID, first.ID)
	}
	c := config.Default()
	c.Listen, c.Data = "127.0.0.1:0", dir
	a := opened(t, c)
	defer func() { _ = a.close() }()
	if _, err := a.service.Login(t.Context(), login(first.ID, first.Secret)); model.KindOf(err) != model.KindUnauthorized {
		t.Errorf("the old secret: %v", err)
	}
	if _, err := a.service.Login(t.Context(), login(reset.ID, reset.Secret)); err != nil {
		t.Errorf("the new secret: %v", err)
	}
	events := 0
	err = a.data.store.View(t.Context(), "", func(tx *store.Tx) error {
		for e, err := range tx.Events.Find(time.Now().Add(-time.Hour), time.Now().Add(time.Hour)) {
			if err != nil {
				return err
			}
			if e.ClientID == "local" && e.ResourceID == first.ID {
				events++
			}
		}
		return nil
	})
	if err != nil || events != 1 {
		t.Errorf("%d events of the reset, %v", events, err)
	}
	if _, err := ResetAdmin(t.Context(), dir, ""); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("with the server running: %v", err)
	}
}

func TestCredentials(t *testing.T) {
	dir, first := started(t)
	all, err := Credentials(t.Context(), dir)
	if err != nil || len(all) != 1 || string(all[0].ClientID) != first.ID {
		t.Errorf("%v %v", all, err)
	}
	empty := t.TempDir()
	if _, err := Credentials(t.Context(), empty); err == nil {
		t.Error("an empty directory is taken for a data directory")
	}
	if left, _ := os.ReadDir(empty); len(left) != 0 {
		t.Errorf("files were made: %v", left)
	}
}

// TestBackup copies the store with and without a server; a copy is a whole store.
func TestBackup(t *testing.T) {
	dir, first := started(t)
	copied := func(name string) {
		t.Helper()
		restored := filepath.Join(t.TempDir(), "restored")
		if err := os.MkdirAll(restored, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := Backup(t.Context(), dir, filepath.Join(restored, storeFile)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		key, err := os.ReadFile(filepath.Join(dir, secretsFile))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(restored, secretsFile), key, 0o600); err != nil {
			t.Fatal(err)
		}
		all, err := Credentials(t.Context(), restored)
		if err != nil || len(all) != 1 || string(all[0].ClientID) != first.ID {
			t.Errorf("%s: %v %v", name, all, err)
		}
	}
	copied("stopped")
	c := config.Default()
	c.Listen, c.Data = "127.0.0.1:0", dir
	a := opened(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	copied("running")
	existing := filepath.Join(dir, secretsFile)
	if err := Backup(t.Context(), dir, existing); err == nil {
		t.Error("a file that exists is overwritten")
	}
	if err := Backup(t.Context(), dir, filepath.Join(dir, "no", "such", "directory")); err == nil {
		t.Error("a backup that cannot be written is reported as written")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFamilies(t *testing.T) {
	cases := []struct {
		path       string
		management bool
		form       problem.Form
	}{
		{"/api/runtime/token/v3", false, problem.Text},
		{"/runtime/token/v3", false, problem.Text},
		{"/api/runtime/5.0/decisions", false, problem.Runtime},
		{"/api/runtime_health_check", false, problem.Text},
		{"/nowhere", false, problem.Text},
		{"/api/1.0/api-key/token", true, problem.Envelope},
		{"/api/2.0/policies/x", true, problem.Envelope},
		{"/ambit/1.0/whoami", true, problem.Envelope},
		{"/env-mgmt/1.0/api-key/clients", true, problem.Flat},
		{"/policy-mgmt/1.0/applications/x", true, problem.Flat},
		{"/api/1.0/runtime/caches/identity/x/invalidate", true, problem.Envelope},
		{"/oauth2/token", true, problem.Envelope},
		{"/.well-known/jwks.json", true, problem.Envelope},
	}
	for _, c := range cases {
		if got := isManagement(c.path); got != c.management {
			t.Errorf("%s: management %v", c.path, got)
		}
		if got := form(c.path); got != c.form {
			t.Errorf("%s: form %v, want %v", c.path, got, c.form)
		}
	}
	answered := ""
	mark := func(name string) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { answered = name })
	}
	both := split(mark("decisions"), mark("management"))
	for path, want := range map[string]string{"/api/runtime/token/v3": "decisions", "/ambit/1.0/whoami": "management"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		both.ServeHTTP(nil, r)
		if answered != want {
			t.Errorf("%s went to %s", path, answered)
		}
	}
}

func TestIssuer(t *testing.T) {
	c := config.Default()
	for _, step := range []struct {
		change func()
		want   string
	}{
		{func() {}, "http://localhost:8010"},
		{func() { c.Listen = "10.0.0.1:80" }, "http://10.0.0.1:80"},
		{func() { c.TLS.Cert = "x" }, "https://10.0.0.1:80"},
		{func() { c.PublicURL = "https://ambit.example.org" }, "https://ambit.example.org"},
	} {
		if step.change(); issuer(&c) != step.want {
			t.Errorf("got %s, want %s", issuer(&c), step.want)
		}
	}
}
