package runtime

import (
	"net/http"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// MG-62, MG-58, MG-61: changes of a scope and of its environment hold from the revision on that they returned.
func TestScopeChanges(t *testing.T) {
	s := newBank(t, 40, 10)
	body := map[string]any{"entityId": "mreyes", "entityTypeId": "Staff"}
	want := func(what string, status int) {
		t.Helper()
		if got, answer, _ := s.ask(body); got != status {
			t.Errorf("%s: %d %.200s", what, got, answer)
		}
	}
	id, first := s.scope.ClientID, s.secret
	patch := func(text string) {
		t.Helper()
		s.manage(func(service *manage.Service, call manage.Call) {
			_, _, err := service.PatchScope(t.Context(), call, stackEnvironment, id, []byte(text))
			check(t, err)
		})
	}
	environment := func(text string) {
		t.Helper()
		s.manage(func(service *manage.Service, call manage.Call) {
			_, _, err := service.PatchEnvironment(t.Context(), call, stackEnvironment, []byte(text))
			check(t, err)
		})
	}
	want("at first", http.StatusOK)
	patch(`{"enabled":false}`)
	want("disabled", http.StatusUnauthorized)
	patch(`{"enabled":true,"authMethods":["REQUEST_SECRET"]}`)
	want("another method", http.StatusUnauthorized)
	patch(`{"authMethods":["SECRET_HEADER"]}`)
	want("its method", http.StatusOK)

	var second string
	var view manage.SecretView
	s.manage(func(service *manage.Service, call manage.Call) {
		var err error
		second, view, _, err = service.MakeScopeSecret(t.Context(), call, stackEnvironment, id, time.Minute)
		check(t, err)
	})
	want("the old secret goes on", http.StatusOK)
	s.secret = second
	want("beside the new one", http.StatusOK)
	later := noon.Add(time.Minute)
	s.now.Store(&later)
	want("the new one lives", http.StatusOK)
	s.secret = first
	want("the old one has ended", http.StatusUnauthorized)
	s.secret = second

	environment(`{"settings":{"enabled":false}}`)
	want("a disabled environment", http.StatusUnauthorized)
	environment(`{"settings":{"enabled":true}}`)
	want("enabled again", http.StatusOK)

	s.manage(func(service *manage.Service, call manage.Call) {
		_, err := service.DeleteScopeSecret(t.Context(), call, stackEnvironment, id, view.ID)
		check(t, err)
	})
	want("a secret that was ended", http.StatusUnauthorized)

	s.manage(func(service *manage.Service, call manage.Call) {
		var err error
		s.secret, _, _, err = service.MakeScopeSecret(t.Context(), call, stackEnvironment, id, 0)
		check(t, err)
	})
	want("a fresh one", http.StatusOK)
	s.manage(func(service *manage.Service, call manage.Call) {
		_, err := service.DeleteEnvironment(t.Context(), call, stackEnvironment, "Stack")
		check(t, err)
	})
	want("a deleted environment", http.StatusUnauthorized)
	if s.snapshot() != nil {
		t.Error("the snapshot of a deleted environment stays")
	}
	s.write("", func(tx *store.Tx) error {
		return put(tx.Environments, model.Environment{ID: stackEnvironment, Name: "Stack", Enabled: true})
	})
	want("an environment with the same id", http.StatusUnauthorized)
}
