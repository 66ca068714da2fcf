package manage

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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

const (
	envID   = "5b0c9d52-0f5e-4a77-9c1e-3d0a6f2b8e41"
	otherID = "aaaaaaaa-0f5e-4a77-9c1e-3d0a6f2b8e41"
	goneID  = "bbbbbbbb-0f5e-4a77-9c1e-3d0a6f2b8e41"
	env     = "/ambit/1.0/environments/" + envID
)

// world is the API on a real service and store, with two environments and one credential of each role.
type world struct {
	options manage.Options // of service
	t       testing.TB
	handler http.Handler
	service *manage.Service
	store   *sqlite.Store
	log     bytes.Buffer
	clock   time.Time
	secrets map[string]string // by client id
	tokens  map[string]string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dir := t.TempDir()
	st, err := sqlite.Open(t.Context(), filepath.Join(dir, "ambit.db"), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: st, clock: time.Date(2026, 7, 6, 8, 0, 0, 0, time.UTC), secrets: map[string]string{}, tokens: map[string]string{}}
	secrets, err := token.NewSecrets(bytes.Repeat([]byte{7}, token.KeySize))
	w.must(err)
	key, err := token.ReadOrMakeSigningKey(filepath.Join(dir, "token.key"))
	w.must(err)
	now := func() time.Time { return w.clock }
	tokens, err := token.NewTokens(token.TokenOptions{Key: key, Issuer: "https://ambit.example.org", Now: now})
	w.must(err)
	log := slog.New(slog.NewTextHandler(&w.log, nil))
	w.options = manage.Options{Store: st, Secrets: secrets, Tokens: tokens, Now: now, Log: log}
	w.service = manage.New(w.options)
	w.handler = Handler(Options{Service: w.service, Log: log, TempDir: dir})
	t.Cleanup(func() {
		w.service.Close()
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	for id, name := range map[string]string{envID: "Test", otherID: "Other"} {
		_, err := w.service.CreateEnvironment(t.Context(), manage.Call{}, manage.NewEnvironment{ID: id, Name: name})
		w.must(err)
	}
	for id, c := range map[string]model.Credential{
		"tenant": {Permission: model.PermissionAdmin},
		"admin":  {EnvironmentID: envID, Permission: model.PermissionAdmin}, "viewer": {EnvironmentID: envID, Permission: model.PermissionViewer},
		"a+b %:é": {EnvironmentID: envID, Permission: model.PermissionViewer},
	} {
		c.ClientID, c.Name, c.TokenDuration, c.Generation = model.ClientID(id), id, 90*time.Minute, 1
		w.secrets[id], c.Secret = secrets.New(now())
		if id == "a+b %:é" {
			w.secrets[id] = "sécret%41+ :x"
			c.Secret, err = secrets.Hash(w.secrets[id], now())
			w.must(err)
		}
		_, err := st.Update(t.Context(), store.Write{Time: now()}, func(tx *store.Tx) error { _, err := tx.Credentials.Put(c); return err })
		w.must(err)
	}
	for _, id := range []string{"tenant", "admin", "viewer"} {
		grant, err := w.service.Login(t.Context(), manage.Login{ClientID: model.ClientID(id), Secrets: []string{w.secrets[id]}})
		w.must(err)
		w.tokens[id] = grant.AccessToken
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// answer is a response with its body read.
type answer struct {
	*http.Response
	body string
}

// do sends a request as the caller of that id ("" = without a token) and holds the answer against the description; headers
// are "Name: value".
func (w *world) do(as, method, target string, body string, headers ...string) answer {
	w.t.Helper()
	r, a := w.ask(as, method, target, body, headers...)
	w.check(r, a)
	return a
}

// ask is do for answers that need no look at the description, because other tests had it.
func (w *world) ask(as, method, target string, body string, headers ...string) (*http.Request, answer) {
	w.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	if as != "" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[as])
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	res := rec.Result()
	text, err := io.ReadAll(res.Body)
	w.must(err)
	return r, answer{res, string(text)}
}

func (a answer) want(t testing.TB, status int, parts ...string) answer {
	t.Helper()
	if a.StatusCode != status {
		t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
	}
	for _, part := range parts {
		if !strings.Contains(a.body, part) {
			t.Errorf("body lacks %s: %s", part, a.body)
		}
	}
	return a
}
