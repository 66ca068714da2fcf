package manage_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ambit-authz/ambit/internal/manage"
	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
	"github.com/ambit-authz/ambit/internal/token"
)

// MG-79, PM-4: the first start makes one tenant admin credential and the environment Default with its objects, once.
func TestBootstrap(t *testing.T) {
	w := newWorld(t)
	made, err := w.Bootstrap(t.Context(), manage.BootstrapOptions{})
	w.must(err)
	if len(made.ClientID) != 20 || made.Secret == "" || made.EnvironmentID == "" {
		t.Fatalf("made %+v", made)
	}
	grant, err := w.Login(t.Context(), manage.Login{ClientID: made.ClientID, Secrets: []string{made.Secret}})
	w.must(err)
	caller, err := w.Authenticate(t.Context(), grant.AccessToken)
	w.must(err)
	if !caller.May(manage.RightTenant, "") || grant.Scope != "tenant:admin" || grant.ExpiresIn != 24*time.Hour {
		t.Errorf("caller %+v, grant %+v", caller, grant)
	}
	again, err := w.Bootstrap(t.Context(), manage.BootstrapOptions{})
	w.must(err)
	if again != (manage.Bootstrapped{}) {
		t.Errorf("the second start made %+v", again)
	}
	w.must(w.store.View(t.Context(), made.EnvironmentID, func(tx *store.Tx) error {
		if ws := all(t, tx.AuthorizationWorkspaces); len(ws) != 1 || ws[0].Name != "Default" {
			t.Errorf("authorization workspaces %+v", ws)
		}
		if ws := all(t, tx.IdentityWorkspaces); len(ws) != 1 || ws[0].Name != "User" || ws[0].TemplateID != "User" {
			t.Errorf("identity workspaces %+v", ws)
		}
		if apps := all(t, tx.Applications); len(apps) != 1 || apps[0].ID != "claims" || apps[0].AssetTemplateIDs[0] != "Claims" {
			t.Errorf("applications %+v", apps)
		}
		if sets := all(t, tx.MapperSets); len(sets) != 1 || sets[0].ID != "User_MapperSet" {
			t.Errorf("mapper sets %+v", sets)
		}
		names := []string{}
		for _, b := range all(t, tx.Blocks) {
			if !b.Predefined {
				t.Errorf("block %q is not predefined", b.Name)
			}
			names = append(names, b.Name)
		}
		if strings.Join(names, ",") != "All,User All Users" {
			t.Errorf("PM-13: predefined blocks %q", names)
		}
		return nil
	}))
	for _, env := range []model.EnvironmentID{"", made.EnvironmentID} {
		for _, e := range w.events(env) {
			if strings.Contains(e.Before+e.After, made.Secret) {
				t.Errorf("MG-28: the secret is in the audit event %+v", e)
			}
		}
	}
}

// MG-79: the first credential can be taken from the configuration.
func TestBootstrapGiven(t *testing.T) {
	w := newWorld(t)
	for _, o := range []manage.BootstrapOptions{{AdminID: "x"}, {AdminSecret: "12345678"}, {AdminID: "x", AdminSecret: "short"}, {AdminID: " x", AdminSecret: "12345678"}} {
		if _, err := w.Bootstrap(t.Context(), o); model.KindOf(err) != model.KindInvalid {
			t.Errorf("%+v: %v", o, err)
		}
	}
	made, err := w.Bootstrap(t.Context(), manage.BootstrapOptions{AdminID: "ops", AdminSecret: "correct horse"})
	w.must(err)
	if made.ClientID != "ops" || made.Secret != "" {
		t.Errorf("made %+v", made)
	}
	if _, err := w.Login(t.Context(), manage.Login{ClientID: "ops", Secrets: []string{"correct horse"}}); err != nil {
		t.Error(err)
	}
}

// credential stores an API credential and returns its secret.
func (w *world) credential(id model.ClientID, env model.EnvironmentID, p model.Permission) string {
	w.t.Helper()
	c := model.Credential{ClientID: id, EnvironmentID: env, Name: string(id), Permission: p, TokenDuration: time.Hour, Generation: 1, CreatedAt: w.clock}
	secret := "secret of " + string(id)
	hash, err := w.Hash(secret)
	w.must(err)
	c.Secret = hash
	_, err = w.store.Update(w.t.Context(), store.Write{Time: w.clock}, func(tx *store.Tx) error {
		_, err := tx.Credentials.Put(c)
		return err
	})
	w.must(err)
	return secret
}

func (w *world) login(id model.ClientID, secret string) string {
	w.t.Helper()
	grant, err := w.Login(w.t.Context(), manage.Login{ClientID: id, Secrets: []string{secret}})
	w.must(err)
	return grant.AccessToken
}

// MG-26: a token ends with its credential, its secret (generation) and its permission.
func TestTokenEnds(t *testing.T) {
	for name, change := range map[string]func(*store.Tx, model.Credential) error{
		"deleted": func(tx *store.Tx, c model.Credential) error { _, err := tx.Credentials.Delete(c.ClientID); return err },
		"new secret": func(tx *store.Tx, c model.Credential) error {
			c.Generation++
			_, err := tx.Credentials.Put(c)
			return err
		},
		"permission": func(tx *store.Tx, c model.Credential) error {
			c.Permission = model.PermissionViewer
			_, err := tx.Credentials.Put(c)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t).bare()
			bearer := w.login("A", w.credential("A", envID, model.PermissionAdmin))
			if _, err := w.Authenticate(t.Context(), bearer); err != nil {
				t.Fatal(err)
			}
			_, err := w.store.Update(t.Context(), store.Write{Time: w.clock}, func(tx *store.Tx) error {
				c, err := tx.Credentials.Find("A")
				if err != nil {
					return err
				}
				return change(tx, c)
			})
			w.must(err)
			_, err = w.Authenticate(t.Context(), bearer)
			wantError(t, err, model.KindUnauthorized, "MGT-004")
		})
	}
}

// MG-27, MG-13: the role table for the three roles, in the own, another and an unknown environment.
func TestRoles(t *testing.T) {
	const own, other = model.EnvironmentID(envID), model.EnvironmentID("aaaaaaaa-0f5e-4a77-9c1e-3d0a6f2b8e41")
	callers := map[string]manage.Caller{
		"tenant": {Permission: model.PermissionAdmin}, "tenant viewer": {Permission: model.PermissionViewer},
		"admin":  {EnvironmentID: own, Permission: model.PermissionAdmin},
		"viewer": {EnvironmentID: own, Permission: model.PermissionViewer},
		"none":   {EnvironmentID: own, Permission: "OTHER"},
	}
	tests := []struct {
		caller string
		right  manage.Right
		env    model.EnvironmentID
		want   bool
	}{
		{"tenant", manage.RightTenant, "", true},
		{"tenant", manage.RightWrite, other, true},
		{"tenant", manage.RightRead, own, true},
		{"tenant viewer", manage.RightTenant, "", true},
		{"tenant viewer", manage.RightWrite, own, true},
		{"admin", manage.RightTenant, "", false},
		{"admin", manage.RightWrite, own, true},
		{"admin", manage.RightRead, own, true},
		{"admin", manage.RightWrite, other, false},
		{"admin", manage.RightRead, other, false},
		{"admin", manage.RightRead, "", false},
		{"viewer", manage.RightTenant, "", false},
		{"viewer", manage.RightWrite, own, false},
		{"viewer", manage.RightRead, own, true},
		{"viewer", manage.RightRead, other, false},
		{"none", manage.RightRead, own, false},
		{"none", manage.RightWrite, own, false},
		{"admin", 0, own, false},
		{"tenant", 0, own, false},
	}
	for _, tt := range tests {
		c := callers[tt.caller]
		if got := c.May(tt.right, tt.env); got != tt.want {
			t.Errorf("%s, right %d in %q: %v", tt.caller, tt.right, tt.env, got)
		}
		if err := c.Authorize(tt.right, tt.env, "GET", "Scope"); (err == nil) != tt.want {
			t.Errorf("%s: %v", tt.caller, err)
		} else if err != nil {
			wantError(t, err, model.KindForbidden, "MGT-005",
				"Operation GET for resource Scope is not permitted due to the current user's lack of permissions.")
		}
	}
}

// MG-24: guesses that are sent at once get no more answers than guesses in a row.
func TestLoginFailuresAtOnce(t *testing.T) {
	w := newWorld(t).bare()
	secret := w.credential("A", envID, model.PermissionAdmin)
	var wrong, many atomic.Int32
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() {
			_, err := w.Login(t.Context(), manage.Login{ClientID: "A", Secrets: []string{"no secret of ours"}, ClientIP: "192.0.2.9"})
			switch model.KindOf(err) {
			case model.KindUnauthorized:
				wrong.Add(1)
			case model.KindTooMany:
				many.Add(1)
			}
		})
	}
	all.Wait()
	if wrong.Load() != 10 || many.Load() != 30 {
		t.Errorf("%d guesses answered, %d refused", wrong.Load(), many.Load())
	}
	_, err := w.Login(t.Context(), manage.Login{ClientID: "A", Secrets: []string{secret}, ClientIP: "192.0.2.9"})
	wantError(t, err, model.KindTooMany, "MGT-014")
}

// MG-24, management-api.md 2.3: failures look alike; after ten in a minute for one id and address the next is refused.
func TestLoginFailures(t *testing.T) {
	w := newWorld(t).bare()
	secret := w.credential("A", envID, model.PermissionAdmin)
	_, unknown := w.Login(t.Context(), manage.Login{ClientID: "B", Secrets: []string{secret}, ClientIP: "192.0.2.9"})
	_, wrong := w.Login(t.Context(), manage.Login{ClientID: "A", Secrets: []string{secret + "x"}, ClientIP: "192.0.2.9"})
	if unknown == nil || wrong == nil || unknown.Error() != wrong.Error() {
		t.Errorf("unknown: %v, wrong: %v", unknown, wrong)
	}
	for i := range 9 {
		_, err := w.Login(t.Context(), manage.Login{ClientID: "A", Secrets: []string{""}, ClientIP: "192.0.2.9"})
		wantError(t, err, model.KindUnauthorized, "MGT-004")
		_ = i
	}
	good := manage.Login{ClientID: "A", Secrets: []string{secret}, ClientIP: "192.0.2.9"}
	_, err := w.Login(t.Context(), good)
	wantError(t, err, model.KindTooMany, "MGT-014")
	good.ClientIP = "192.0.2.10"
	if _, err := w.Login(t.Context(), good); err != nil {
		t.Errorf("another address: %v", err)
	}
	w.clock = w.clock.Add(time.Minute)
	good.ClientIP = "192.0.2.9"
	if _, err := w.Login(t.Context(), good); err != nil {
		t.Errorf("a minute later: %v", err)
	}
	counts := map[string]int{}
	for _, env := range []model.EnvironmentID{"", envID} {
		for _, e := range w.events(env) {
			counts[e.Action+" "+string(e.EnvironmentID)+" "+e.ResourceID] += failuresIn(t, &e)
		}
	}
	for key, want := range map[string]int{"LOGIN_FAILED  ": 1, "LOGIN_FAILED " + envID + " A": 10, "LOGIN " + envID + " A": 2} {
		if counts[key] != want {
			t.Errorf("%d events %q, want %d (all: %v)", counts[key], key, want, counts)
		}
	}
	if w.revision() != 1 {
		t.Errorf("logins used revisions: %d", w.revision())
	}
}

// failuresIn is how many logins an event stands for.
func failuresIn(t *testing.T, e *model.ChangeEvent) int {
	t.Helper()
	if e.After == "" || e.Action != model.EventLoginFailed {
		return 1
	}
	n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(e.After, `{"failures":`), "}"))
	if err != nil || n < 1 {
		t.Errorf("event %+v", e)
	}
	return n
}

// MG-24, management-api.md 14.1: failed logins with ever new client ids and addresses write a bounded number of events, and
// every failure is counted in one.
func TestFailedLoginsAreBounded(t *testing.T) {
	w := newWorld(t).bare()
	secrets, err := token.NewSecrets(make([]byte, token.KeySize))
	w.must(err)
	own, _ := secrets.New(w.clock) // of another server: refused at once, without argon2id
	fail := func(client, address string) {
		_, err := w.Login(t.Context(), manage.Login{ClientID: model.ClientID(client), Secrets: []string{own}, ClientIP: address, RequestID: "r" + client})
		wantError(t, err, model.KindUnauthorized, "MGT-004")
	}
	for i := range 300 {
		fail(fmt.Sprint("v4-", i), "192.0.2.1")
		fail(fmt.Sprint("v6-", i), fmt.Sprintf("2001:db8::%x", i))
	}
	w.clock = w.clock.Add(59 * time.Second)
	fail("late", "192.0.2.1")
	w.clock = w.clock.Add(time.Second)
	fail("next", "192.0.2.1")
	byAddress := map[string][]int{}
	for _, e := range w.events("") {
		if e.ResourceID != "" || e.ClientID != "" {
			t.Errorf("an unknown id is recorded: %+v", e)
		}
		if e.Action == model.EventLoginFailed {
			byAddress[e.ClientIP] = append(byAddress[e.ClientIP], failuresIn(t, &e))
		}
	}
	slices.Sort(byAddress["192.0.2.1"])
	want := map[string][]int{"192.0.2.1": {1, 1, 300}, "2001:db8::0": {1}, "2001:db8::/64": {299}}
	if diff := cmp.Diff(want, byAddress); diff != "" {
		t.Errorf("failures by address (-want +got):\n%s", diff)
	}

	w.clock = w.clock.Add(time.Minute)
	for i := range 3000 {
		fail("x", fmt.Sprintf("198.51.%d.%d", i/250, i%250))
	}
	events, failures, others := 0, 0, 0
	for _, e := range w.events("") {
		if strings.HasPrefix(e.ClientIP, "198.51.") || e.ClientIP == "other addresses" {
			events, failures = events+1, failures+failuresIn(t, &e)
		}
		if e.ClientIP == "other addresses" {
			others += failuresIn(t, &e)
		}
	}
	if events != 1002 || failures != 3000 || others != 2000 {
		t.Errorf("%d events of %d failures, %d from other addresses", events, failures, others)
	}
}
