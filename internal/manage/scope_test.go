package manage_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// scopeSecrets reads what is stored of a scope's secrets.
func (w *world) scopeSecrets(id model.ClientID) []model.SecretHash {
	w.t.Helper()
	var out []model.SecretHash
	w.view(func(tx *store.Tx) {
		scope, err := tx.Scopes.Find(id)
		w.must(err)
		out = scope.Secrets
	})
	return out
}

// PM-6, MG-61: secrets are shown once, stored as hashes, at most two live, rotation is timed.
func TestScopeSecrets(t *testing.T) {
	w := newWorld(t).bare()
	ctx := t.Context()
	v, first, err := w.CreateScope(ctx, w.call, envID, []byte(`{"name":"portal"}`))
	w.must(err)
	id := v.Scope.ClientID
	if len(id) != 20 || !token.IsOwn(first) || !v.Incomplete() || v.Seen.Revision != 2 {
		t.Errorf("scope %+v, secret %q", v, first)
	}
	if got := w.scopeSecrets(id); len(got) != 1 || got[0].Form != token.FormHMAC || strings.Contains(string(got[0].Hash), first) {
		t.Errorf("stored %+v", got)
	}
	second, view, done, err := w.MakeScopeSecret(ctx, w.call, envID, id, time.Hour)
	w.must(err)
	if second == first || view.ID == "" || done.Revision != 3 {
		t.Errorf("second secret: %+v %+v", view, done)
	}
	list, _, err := w.FindScopeSecrets(ctx, envID, id)
	w.must(err)
	if len(list) != 2 || !list[0].ExpiresAt.Equal(w.clock.Add(time.Hour)) || !list[1].ExpiresAt.IsZero() {
		t.Errorf("secrets %+v", list)
	}
	_, _, _, err = w.MakeScopeSecret(ctx, w.call, envID, id, time.Hour)
	wantError(t, err, model.KindConflict, "MGT-009")
	w.clock = w.clock.Add(2 * time.Hour)
	if _, _, _, err = w.MakeScopeSecret(ctx, w.call, envID, id, time.Hour); err != nil {
		t.Errorf("after the first one's end: %v", err)
	}
	if _, _, _, err = w.MakeScopeSecret(ctx, w.call, envID, id, 0); err != nil {
		t.Errorf("ending the older ones at once: %v", err)
	}
	list, _, err = w.FindScopeSecrets(ctx, envID, id)
	w.must(err)
	if len(list) != 1 {
		t.Errorf("secrets %+v", list)
	}
	_, err = w.DeleteScopeSecret(ctx, w.call, envID, id, "other")
	wantError(t, err, model.KindNotFound, "MGT-006")
	_, err = w.DeleteScopeSecret(ctx, w.call, envID, id, list[0].ID)
	w.must(err)
	if got := w.scopeSecrets(id); len(got) != 0 {
		t.Errorf("stored %+v", got)
	}
	for _, e := range w.events(envID) {
		for _, secret := range []string{first, second} {
			if strings.Contains(e.Before+e.After, secret) {
				t.Errorf("MG-28: a secret is in %+v", e)
			}
		}
	}
}

// management-api.md 18: given ids and secrets are kept; a put never touches secrets; a patch changes what it names.
func TestScopeLife(t *testing.T) {
	w := newWorld(t).bare()
	ctx := t.Context()
	w.write(func(tx *store.Tx) error {
		if _, err := tx.AuthorizationWorkspaces.Put(model.AuthorizationWorkspace{ID: "7d1e0000-0000-4000-8000-000000000001", Name: "Quays"}); err != nil {
			return err
		}
		_, err := tx.Applications.Put(model.Application{ID: "harbour-app", WorkspaceID: "7d1e0000-0000-4000-8000-000000000001", DisplayName: "Harbour", ColorIndication: "#808080"})
		return err
	})
	_, secret, err := w.CreateScope(ctx, w.call, envID, []byte(`{"data":{"clientId":"my client","name":"portal","secret":"kept as it was","applicationIds":["harbour-app"]}}`))
	w.must(err)
	if secret != "kept as it was" {
		t.Errorf("secret %q", secret)
	}
	stored := w.scopeSecrets("my client")
	_, _, err = w.CreateScope(ctx, w.call, envID, []byte(`{"clientId":"my client","name":"other"}`))
	wantError(t, err, model.KindConflict, "MGT-008")
	_, _, err = w.CreateScope(ctx, w.call, envID, []byte(`{"clientId":"c2","name":"portal","applicationIds":["nope"]}`))
	wantError(t, err, model.KindNotFound, "MGT-006", "Application: [nope] not found", "Scope: [portal] already exists")

	v, done, err := w.PutScope(ctx, w.call, envID, "my client", []byte(`{"name":"portal","authMethods":["SECRET_HEADER"],"cacheSeconds":5,"trustedProxies":["10.0.0.0/8"]}`))
	w.must(err)
	if done.Result != manage.Updated || v.Scope.CacheSeconds != 5 || len(v.Scope.ApplicationIDs) != 0 {
		t.Errorf("put: %+v %+v", done, v.Scope)
	}
	revision := w.revision()
	_, done, err = w.PatchScope(ctx, w.call, envID, "my client", []byte(`{"enabled":false,"trustedProxies":null}`))
	w.must(err)
	got, err := w.FindScope(ctx, envID, "my client")
	w.must(err)
	if got.Scope.Enabled || got.Scope.TrustedProxies != nil || got.Scope.CacheSeconds != 5 || done.Revision != revision+1 {
		t.Errorf("patched: %+v", got.Scope)
	}
	_, done, err = w.PatchScope(ctx, w.call, envID, "my client", []byte(`{"enabled":false}`))
	w.must(err)
	if done.Result != manage.Unchanged || done.Revision != revision+1 {
		t.Errorf("MG-15: %+v", done)
	}
	if diff := cmp.Diff(stored, w.scopeSecrets("my client")); diff != "" {
		t.Errorf("a write touched the secrets:\n%s", diff)
	}
	for range 2 {
		if _, err := w.LinkApplication(ctx, w.call, envID, "my client", "harbour-app", true); err != nil {
			t.Error(err)
		}
	}
	views, _, err := w.FindScopes(ctx, envID, "", "harbour-app")
	w.must(err)
	if len(views) != 1 || w.revision() != revision+2 {
		t.Errorf("linked: %+v at %d", views, w.revision())
	}
	_, err = w.DeleteScope(ctx, w.call, envID, "my client")
	w.must(err)
	_, err = w.FindScope(ctx, envID, "my client")
	wantError(t, err, model.KindNotFound, "MGT-006", "Scope: [my client] not found")
}

// MG-14: a dry run stores nothing, uses no revision, writes no event and makes no secret.
func TestScopeDryRun(t *testing.T) {
	w := newWorld(t).bare()
	_, secret, err := w.CreateScope(t.Context(), w.dry(), envID, []byte(`{"name":"portal"}`))
	w.must(err)
	views, _, err := w.FindScopes(t.Context(), envID, "", "")
	w.must(err)
	if secret != "" || len(views) != 0 || w.revision() != 1 || len(w.events(envID)) != 1 {
		t.Errorf("secret %q, scopes %+v, revision %d", secret, views, w.revision())
	}
}

// MG-17, MG-18: preconditions.
func TestScopePreconditions(t *testing.T) {
	w := newWorld(t).bare()
	ctx := t.Context()
	_, _, err := w.CreateScope(ctx, w.call, envID, []byte(`{"clientId":"c1","name":"portal"}`))
	w.must(err)
	v, err := w.FindScope(ctx, envID, "c1")
	w.must(err)
	call := w.call
	call.IfMatch = []string{v.Seen.Version}
	if _, _, err := w.PatchScope(ctx, call, envID, "c1", []byte(`{"cacheSeconds":1}`)); err != nil {
		t.Error(err)
	}
	_, _, err = w.PatchScope(ctx, call, envID, "c1", []byte(`{"cacheSeconds":2}`))
	wantError(t, err, model.KindPrecondition, "MGT-011")
	call = w.call
	call.IfNoneMatch = []string{"*"}
	_, _, err = w.PutScope(ctx, call, envID, "c1", []byte(`{"name":"portal"}`))
	wantError(t, err, model.KindPrecondition, "MGT-011")
	if _, _, err = w.PutScope(ctx, call, envID, "c2", []byte(`{"name":"second"}`)); err != nil {
		t.Error(err)
	}
}

// authzen.md 15: the settings for AuthZEN are shown with their defaults, kept as they are put, and a default that is said
// changes nothing.
func TestScopeAuthZEN(t *testing.T) {
	w := newWorld(t).bare()
	ctx := t.Context()
	put := func(body string) (manage.ScopeView, manage.Done) {
		t.Helper()
		v, done, err := w.PutScope(ctx, w.call, envID, "c1", []byte(body))
		w.must(err)
		return v, done
	}
	shows := func(v manage.ScopeView, want string) {
		t.Helper()
		f := v.Form()
		if got := strings.TrimSpace(fmt.Sprintln(*f.Enabled, *f.AuthZEN.Enabled, *f.SearchEnabled, *f.Context, *f.ContextMax, *f.TokenLifetime)); got != want {
			t.Errorf("shows %s, want %s", got, want)
		}
	}
	v, _ := put(`{"name":"portal"}`)
	shows(v, "true true true none reasons 3600")
	const said = `{"name":"portal","authzenEnabled":true,"authzenSearchEnabled":true,"authzenContext":"none","authzenContextMax":"reasons","authzenTokenLifetime":3600}`
	if _, done := put(said); done.Result != manage.Unchanged {
		t.Errorf("saying the defaults: %v", done.Result)
	}
	v, done := put(`{"name":"portal","authzenEnabled":false,"authzenSearchEnabled":false,"authzenContext":"reasons","authzenContextMax":"policies","authzenTokenLifetime":600}`)
	shows(v, "true false false reasons policies 600")
	if done.Result != manage.Updated {
		t.Errorf("result %v", done.Result)
	}
	v, _, err := w.PatchScope(ctx, w.call, envID, "c1", []byte(`{"authzenEnabled":true,"authzenContext":null}`))
	w.must(err)
	shows(v, "true true false none policies 600")
}

// PM-55, 1.3: bad scopes are refused with every error at once.
func TestScopeErrors(t *testing.T) {
	w := newWorld(t).bare()
	for body, parts := range map[string][]string{
		`{"name":"","authMethods":["X","X"],"identityMatchingType":"Y","cacheSeconds":-1,"tokenValidity":90000}`: {
			"/name: is empty", `/authMethods/0: "X"`, "/authMethods/1", "/identityMatchingType", "/cacheSeconds", "/tokenValidity",
		},
		`{"name":"a","authzenContext":"all","authzenContextMax":"","authzenTokenLifetime":59}`: {
			`/authzenContext: "all" is not none, reasons or policies`, "/authzenContextMax: is empty", "/authzenTokenLifetime: is not between 60 and 604800",
		},
		`{"name":"a","authzenTokenLifetime":0}`:                               {"/authzenTokenLifetime: is not above 0"},
		`{"name":"a","trustedProxies":["x"]}`:                                 {"/trustedProxies/0"},
		`{"name":"a","jwtSettings":{"jwksUrls":["http://keys.example.org"]}}`: {"/jwtSettings/jwksUrls/0", "/jwtSettings/issuers", "/jwtSettings/audiences"},
		`{"name":"a","name":"b"}`:                                             {"duplicate"},
		`{"name":1}`:                                                          {"1:9: /name: a number cannot stand here, wanted is a text"},
		`{"name":"a"} x`:                                                      {"1:14"},
		strings.Repeat(`{"a":`, 70) + "1" + strings.Repeat("}", 70):           {"nested deeper than 64"},
		`{"name":"a","secret":"short"}`:                                       {"8 to 256"},
		"":                                                                    {"1:1"},
	} {
		_, _, err := w.CreateScope(t.Context(), w.call, envID, []byte(body))
		if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", body, err)
			continue
		}
		for _, part := range parts {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v lacks %q", body, err, part)
			}
		}
	}
	_, _, err := w.CreateScope(t.Context(), w.call, "aaaaaaaa-0f5e-4a77-9c1e-3d0a6f2b8e41", []byte(`{"name":"a"}`))
	wantError(t, err, model.KindNotFound, "MGT-006", "Environment")
}
