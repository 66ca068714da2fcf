package storetest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testTaken checks that client ids are unique in the tenant, among scopes and credentials together.
func testTaken(t *testing.T, open Open) {
	s := openWith(t, open)
	update(t, s, envA, func(tx *store.Tx) error {
		if _, err := tx.Scopes.Put(model.Scope{ClientID: "S", EnvironmentID: envA}); err != nil {
			return err
		}
		_, err := tx.Credentials.Put(model.Credential{ClientID: "C", EnvironmentID: envA})
		return err
	})
	for name, put := range map[string]func(*store.Tx) (store.Result, error){
		"scope of another environment": func(tx *store.Tx) (store.Result, error) {
			return tx.Scopes.Put(model.Scope{ClientID: "S", EnvironmentID: envB})
		},
		"credential of another environment": func(tx *store.Tx) (store.Result, error) {
			return tx.Credentials.Put(model.Credential{ClientID: "C", EnvironmentID: envB})
		},
		"scope with a credential's id": func(tx *store.Tx) (store.Result, error) {
			return tx.Scopes.Put(model.Scope{ClientID: "C", EnvironmentID: envB})
		},
		"credential with a scope's id": func(tx *store.Tx) (store.Result, error) {
			return tx.Credentials.Put(model.Credential{ClientID: "S", EnvironmentID: envB})
		},
	} {
		commit := update(t, s, envB, func(tx *store.Tx) error {
			_, err := put(tx)
			wantError(t, name, err, store.ErrTaken)
			return result("put after a refusal", store.Created)(tx.Policies.Put(model.Policy{ID: model.PolicyID(name)}))
		})
		equal(t, name+": changes", commit.Changes, []store.Change{{Collection: store.Policies, Key: name}})
	}
	view(t, s, envB, func(tx *store.Tx) error {
		_, err := tx.Scopes.Find("S")
		wantError(t, "the other environment's scope", err, store.ErrNotFound)
		c, err := tx.Credentials.Find("C")
		equal(t, "credential", c.EnvironmentID, envA)
		return err
	})
}

// testEnvironments checks that environments do not see each other and that nothing is stored outside one.
func testEnvironments(t *testing.T, open Open) {
	s := openWith(t, open)
	for i, env := range []model.EnvironmentID{envA, envB} {
		update(t, s, env, func(tx *store.Tx) error {
			if err := result("policy", store.Created)(tx.Policies.Put(model.Policy{ID: "p", Name: string(env)})); err != nil {
				return err
			}
			for n := range i + 1 {
				err := result("asset", store.Created)(tx.Assets("t").Put(model.Asset{Path: fmt.Sprint(n), Name: string(env)}))
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i, env := range []model.EnvironmentID{envA, envB} {
		view(t, s, env, func(tx *store.Tx) error {
			equal(t, "environment", tx.Environment, env)
			policies, err := all(tx.Policies.FindAll())
			equal(t, "policies", policies, []model.Policy{{ID: "p", Name: string(env)}})
			assets, err2 := all(tx.Assets("t").After(0))
			if len(assets) != i+1 || assets[0].Record.Name != string(env) {
				t.Errorf("assets of %s: %v", env, assets)
			}
			environments, err3 := all(tx.Environments.FindAll())
			equal(t, "environments seen", len(environments), 2)
			return errors.Join(err, err2, err3)
		})
	}
	for _, env := range []model.EnvironmentID{"", "5b0c0000-0000-4000-8000-0000000000ff"} {
		commit, err := s.Update(t.Context(), write(env), func(tx *store.Tx) error {
			_, err1 := tx.Policies.Put(model.Policy{ID: "p"})
			_, err2 := tx.Assets("t").Put(model.Asset{Path: "a"})
			if err1 == nil || err2 == nil {
				t.Errorf("environment %q: stored outside an environment", env)
			}
			return nil
		})
		if err != nil || commit.Changed {
			t.Errorf("environment %q: %+v, %v", env, commit, err)
		}
		view(t, s, env, func(tx *store.Tx) error {
			policies, err := all(tx.Policies.FindAll())
			equal(t, "policies", policies, []model.Policy(nil))
			return err
		})
	}
}

// testDeleteEnvironment covers the first row of policy-model.md 3.12 rule 5.
func testDeleteEnvironment(t *testing.T, open Open) {
	s := openWith(t, open)
	for _, env := range []model.EnvironmentID{envA, envB} {
		update(t, s, env, func(tx *store.Tx) error { return fill(tx, string(env)) })
	}
	update(t, s, "", func(tx *store.Tx) error {
		_, err := tx.Credentials.Put(model.Credential{ClientID: "tenant's"})
		return err
	})
	kept := dump(t, s, envB)
	commit := update(t, s, "", func(tx *store.Tx) error {
		return result("delete", store.Deleted)(tx.Environments.Delete(envA))
	})
	equal(t, "changes", commit.Changes, []store.Change{{Collection: store.Environments, Key: string(envA), Deleted: true}})
	now := dump(t, s, envB)
	now.Tenant = kept.Tenant
	equal(t, "the other environment", now, kept)
	view(t, s, envA, func(tx *store.Tx) error {
		credentials, err := all(tx.Credentials.FindAll())
		var ids []model.ClientID
		for _, c := range credentials {
			ids = append(ids, c.ClientID)
		}
		equal(t, "credentials", ids, []model.ClientID{model.ClientID("c" + envB), "tenant's"})
		return err
	})
	// Made again it is empty and its revisions go on, and its ids are free. Its events stayed.
	commit = update(t, s, envA, func(tx *store.Tx) error {
		if _, err := tx.Environments.Put(model.Environment{ID: envA}); err != nil {
			return err
		}
		events, err := all(tx.Events.Find(start(), start().Add(1)))
		equal(t, "events", len(events), 1)
		return err
	})
	equal(t, "revision", commit.Revision, 3)
	again := dump(t, s, envA)
	equal(t, "objects", again.Objects, map[string]any{})
	equal(t, "assets", again.Assets, map[model.TemplateID][]store.Positioned[model.Asset]{})
	update(t, s, envA, func(tx *store.Tx) error { return fill(tx, string(envA)) })
	testMakeEnvironmentAgain(t, s)
}

// testMakeEnvironmentAgain deletes and fills an environment in one transaction.
func testMakeEnvironmentAgain(t *testing.T, s store.Store) {
	commit := update(t, s, envA, func(tx *store.Tx) error {
		if err := result("asset", store.Created)(tx.Assets("t").Put(model.Asset{Path: "/before"})); err != nil {
			return err
		}
		if _, err := tx.Environments.Delete(envA); err != nil {
			return err
		}
		n, err := tx.Assets("t").Count()
		equal(t, "count after delete", n, 0)
		if err != nil {
			return err
		}
		_, err = tx.Assets("t").Put(model.Asset{Path: "/lost"})
		wantError(t, "put after delete", err, store.ErrNotFound)
		if _, err := tx.Environments.Put(model.Environment{ID: envA}); err != nil {
			return err
		}
		return result("asset", store.Created)(tx.Assets("t").Put(model.Asset{Path: "/a"}))
	})
	assets := dump(t, s, envA).Assets["t"]
	equal(t, "assets", len(assets), 1)
	equal(t, "changes", commit.Changes, []store.Change{
		{Collection: store.Environments, Key: string(envA), Cleared: true},
		{Collection: store.Assets, Template: "t", Cleared: true, Positions: []int64{assets[0].Position}},
	})
	commits, err := s.Feed(t.Context(), commit.Sequence-1, 1)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "feed", commits, []store.Commit{commit})
	// What it was at the end of the transaction is what counts.
	for _, again := range []bool{true, false} {
		commit = update(t, s, envA, func(tx *store.Tx) error {
			_, err1 := tx.Environments.Delete(envA)
			_, err2 := tx.Environments.Put(model.Environment{ID: envA})
			_, err3 := tx.Environments.Put(model.Environment{ID: envA, Name: "again"})
			if !again {
				_, err4 := tx.Environments.Delete(envA)
				return errors.Join(err1, err2, err3, err4)
			}
			return errors.Join(err1, err2, err3)
		})
		equal(t, "changes", commit.Changes, []store.Change{{Collection: store.Environments, Key: string(envA), Deleted: !again, Cleared: again}})
	}
}

// fill puts one of most things into a transaction's environment; tag keeps tenant-wide ids apart.
func fill(tx *store.Tx, tag string) error {
	created := result("fill", store.Created)
	return errors.Join(
		created(tx.AuthorizationWorkspaces.Put(fullAuthorizationWorkspace("w"))),
		created(tx.IdentityWorkspaces.Put(fullIdentityWorkspace("w"))),
		created(tx.IdentityTemplates.Put(fullIdentityTemplate("User"))),
		created(tx.IdentitySources.Put(fullIdentitySource("User", "s"))),
		created(tx.MapperSets.Put(fullMapperSet("User", "m"))),
		created(tx.AssetTemplates.Put(fullAssetTemplate("t"))),
		created(tx.Applications.Put(fullApplication("app"))),
		created(tx.RequestAttributes.Put(fullRequestAttribute("w", "r"))),
		created(tx.APIMapperSets.Put(fullAPIMapperSet("app"))),
		created(tx.CustomAttributes.Put(fullCustomAttribute("k"))),
		created(tx.PAAGroups.Put(fullPAAGroup("g"))),
		created(tx.PAASources.Put(fullPAASource(store.Key{Owner: "g", ID: "s"}))),
		created(tx.PAAViews.Put(fullPAAViews("g"))),
		created(tx.SigningKeys.Put(fullSigningKey(store.Key{Owner: "k"}))),
		created(tx.Blocks.Put(fullBlock("b"))),
		created(tx.Policies.Put(fullPolicy("p"))),
		created(tx.Scopes.Put(model.Scope{ClientID: model.ClientID("s" + tag), EnvironmentID: tx.Environment})),
		created(tx.Credentials.Put(model.Credential{ClientID: model.ClientID("c" + tag), EnvironmentID: tx.Environment})),
		created(tx.Assets("t").Put(model.Asset{Path: "/a", Attributes: model.Attributes{"owner": {"o"}}})),
		created(tx.Assets("u").Put(model.Asset{Path: "/a"})),
		created(tx.Identities("User").Put(model.Identity{EntityID: "alice"})),
		tx.Events.Append(model.ChangeEvent{ID: "e" + tag, Time: start(), EnvironmentID: tx.Environment}),
	)
}
