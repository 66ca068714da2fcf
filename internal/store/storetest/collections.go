package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// collectionCase is one collection with keys in ascending order and objects to store under them.
type collectionCase[K comparable, V any] struct {
	name store.CollectionName
	of   func(*store.Tx) store.Collection[K, V]
	keys [3]K
	full func(K) V      // every field set
	bare func(K) V      // only the key set
	text func(K) string // of Change.Key
}

func text[K ~string](k K) string { return string(k) }

// testCollections takes an object of every collection through its life.
func testCollections(t *testing.T, open Open) {
	s := openWith(t, open)
	checkTenant(t, s)
	checkCollection(t, s, collectionCase[string, model.Report]{
		name: store.Reports,
		of:   func(tx *store.Tx) store.Collection[string, model.Report] { return tx.Reports },
		keys: [3]string{"1", "2", "3"}, full: fullReport, text: text[string],
		bare: func(k string) model.Report { return model.Report{ID: k} },
	})
	checkPAA(t, s)
	checkWorkspaces(t, s)
	checkTemplates(t, s)
	checkCollection(t, s, collectionCase[model.ApplicationID, model.Application]{
		name: store.Applications,
		of:   func(tx *store.Tx) store.Collection[model.ApplicationID, model.Application] { return tx.Applications },
		keys: [3]model.ApplicationID{"A b", "Z", "a"}, full: fullApplication, text: text[model.ApplicationID],
		bare: func(k model.ApplicationID) model.Application { return model.Application{ID: k} },
	})
	checkCollection(t, s, collectionCase[store.Key, model.RequestAttribute]{
		name: store.RequestAttributes,
		of:   func(tx *store.Tx) store.Collection[store.Key, model.RequestAttribute] { return tx.RequestAttributes },
		keys: pairs(), text: store.Key.String,
		full: func(k store.Key) model.RequestAttribute {
			return fullRequestAttribute(model.WorkspaceID(k.Owner), model.AttributeID(k.ID))
		},
		bare: func(k store.Key) model.RequestAttribute {
			return model.RequestAttribute{WorkspaceID: model.WorkspaceID(k.Owner), ID: model.AttributeID(k.ID)}
		},
	})
	checkCollection(t, s, collectionCase[model.ApplicationID, model.APIMapperSet]{
		name: store.APIMapperSets,
		of:   func(tx *store.Tx) store.Collection[model.ApplicationID, model.APIMapperSet] { return tx.APIMapperSets },
		keys: [3]model.ApplicationID{"A b", "Z", "a"}, full: fullAPIMapperSet, text: text[model.ApplicationID],
		bare: func(k model.ApplicationID) model.APIMapperSet { return model.APIMapperSet{ID: k} },
	})
	checkCollection(t, s, collectionCase[string, model.CustomAttribute]{
		name: store.CustomAttributes,
		of:   func(tx *store.Tx) store.Collection[string, model.CustomAttribute] { return tx.CustomAttributes },
		keys: [3]string{"a", "é", "𝄞"}, full: fullCustomAttribute, text: text[string],
		bare: func(k string) model.CustomAttribute { return model.CustomAttribute{Key: k} },
	})
	checkCollection(t, s, collectionCase[model.BlockID, model.Block]{
		name: store.Blocks,
		of:   func(tx *store.Tx) store.Collection[model.BlockID, model.Block] { return tx.Blocks },
		keys: [3]model.BlockID{"1", "2", "3"}, full: fullBlock, text: text[model.BlockID],
		bare: func(k model.BlockID) model.Block { return model.Block{ID: k} },
	})
	checkCollection(t, s, collectionCase[model.PolicyID, model.Policy]{
		name: store.Policies,
		of:   func(tx *store.Tx) store.Collection[model.PolicyID, model.Policy] { return tx.Policies },
		keys: [3]model.PolicyID{"P", "p", "p "}, full: fullPolicy, text: text[model.PolicyID],
		bare: func(k model.PolicyID) model.Policy { return model.Policy{ID: k} },
	})
	checkCollection(t, s, collectionCase[model.ClientID, model.Scope]{
		name: store.Scopes,
		of:   func(tx *store.Tx) store.Collection[model.ClientID, model.Scope] { return tx.Scopes },
		keys: [3]model.ClientID{"SCOPE1", "SCOPE2", "SCOPE3"}, full: fullScope, text: text[model.ClientID],
		bare: func(k model.ClientID) model.Scope { return model.Scope{ClientID: k, EnvironmentID: envA} },
	})
}

func checkPAA(t *testing.T, s store.Store) {
	checkCollection(t, s, collectionCase[string, model.PAAGroup]{
		name: store.PAAGroups,
		of:   func(tx *store.Tx) store.Collection[string, model.PAAGroup] { return tx.PAAGroups },
		keys: [3]string{"1", "2", "3"}, full: fullPAAGroup, text: text[string],
		bare: func(k string) model.PAAGroup { return model.PAAGroup{ID: k} },
	})
	checkCollection(t, s, collectionCase[store.Key, model.PAASource]{
		name: store.PAASources,
		of:   func(tx *store.Tx) store.Collection[store.Key, model.PAASource] { return tx.PAASources },
		keys: pairs(), full: fullPAASource, text: store.Key.String,
		bare: func(k store.Key) model.PAASource { return model.PAASource{GroupID: k.Owner, ID: k.ID} },
	})
	checkCollection(t, s, collectionCase[string, model.PAAViews]{
		name: store.PAAViews,
		of:   func(tx *store.Tx) store.Collection[string, model.PAAViews] { return tx.PAAViews },
		keys: [3]string{"1", "2", "3"}, full: fullPAAViews, text: text[string],
		bare: func(k string) model.PAAViews { return model.PAAViews{GroupID: k} },
	})
	checkCollection(t, s, collectionCase[store.Key, model.SigningKey]{
		name: store.SigningKeys,
		of:   func(tx *store.Tx) store.Collection[store.Key, model.SigningKey] { return tx.SigningKeys },
		keys: pairs(), full: fullSigningKey, text: store.Key.String,
		bare: func(k store.Key) model.SigningKey { return model.SigningKey{Name: k.Owner, Retired: k.ID} },
	})
}

// checkTenant is about the collections that belong to no environment.
func checkTenant(t *testing.T, s store.Store) {
	checkCollection(t, s, collectionCase[model.EnvironmentID, model.Environment]{
		name: store.Environments,
		of:   func(tx *store.Tx) store.Collection[model.EnvironmentID, model.Environment] { return tx.Environments },
		keys: [3]model.EnvironmentID{"c1", "c2", "c3"}, full: fullEnvironment, text: text[model.EnvironmentID],
		bare: func(k model.EnvironmentID) model.Environment { return model.Environment{ID: k} },
	})
	checkCollection(t, s, collectionCase[model.ClientID, model.Credential]{
		name: store.Credentials,
		of:   func(tx *store.Tx) store.Collection[model.ClientID, model.Credential] { return tx.Credentials },
		keys: [3]model.ClientID{"CRED1", "CRED2", "CRED3"}, full: fullCredential, text: text[model.ClientID],
		bare: func(k model.ClientID) model.Credential { return model.Credential{ClientID: k, EnvironmentID: envA} },
	})
	checkCollection(t, s, collectionCase[string, model.Revocation]{
		name: store.Revocations,
		of:   func(tx *store.Tx) store.Collection[string, model.Revocation] { return tx.Revocations },
		keys: [3]string{"0", "a", "b"}, full: fullRevocation, text: text[string],
		bare: func(k string) model.Revocation { return model.Revocation{TokenID: k} },
	})
}

func pairs() [3]store.Key {
	return [3]store.Key{{Owner: "User", ID: "b"}, {Owner: "User2", ID: "a"}, {Owner: "User2", ID: "b"}}
}

func checkWorkspaces(t *testing.T, s store.Store) {
	checkCollection(t, s, collectionCase[model.WorkspaceID, model.AuthorizationWorkspace]{
		name: store.AuthorizationWorkspaces,
		of: func(tx *store.Tx) store.Collection[model.WorkspaceID, model.AuthorizationWorkspace] {
			return tx.AuthorizationWorkspaces
		},
		keys: [3]model.WorkspaceID{"1", "2", "3"}, full: fullAuthorizationWorkspace, text: text[model.WorkspaceID],
		bare: func(k model.WorkspaceID) model.AuthorizationWorkspace { return model.AuthorizationWorkspace{ID: k} },
	})
	checkCollection(t, s, collectionCase[model.WorkspaceID, model.IdentityWorkspace]{
		name: store.IdentityWorkspaces,
		of: func(tx *store.Tx) store.Collection[model.WorkspaceID, model.IdentityWorkspace] {
			return tx.IdentityWorkspaces
		},
		keys: [3]model.WorkspaceID{"1", "2", "3"}, full: fullIdentityWorkspace, text: text[model.WorkspaceID],
		bare: func(k model.WorkspaceID) model.IdentityWorkspace { return model.IdentityWorkspace{ID: k} },
	})
}

func checkTemplates(t *testing.T, s store.Store) {
	checkCollection(t, s, collectionCase[model.TemplateID, model.IdentityTemplate]{
		name: store.IdentityTemplates,
		of: func(tx *store.Tx) store.Collection[model.TemplateID, model.IdentityTemplate] {
			return tx.IdentityTemplates
		},
		keys: [3]model.TemplateID{"User", "user", "user-2"}, full: fullIdentityTemplate, text: text[model.TemplateID],
		bare: func(k model.TemplateID) model.IdentityTemplate { return model.IdentityTemplate{ID: k} },
	})
	checkCollection(t, s, collectionCase[store.Key, model.IdentitySource]{
		name: store.IdentitySources,
		of:   func(tx *store.Tx) store.Collection[store.Key, model.IdentitySource] { return tx.IdentitySources },
		keys: pairs(), text: store.Key.String,
		full: func(k store.Key) model.IdentitySource { return fullIdentitySource(model.TemplateID(k.Owner), k.ID) },
		bare: func(k store.Key) model.IdentitySource {
			return model.IdentitySource{TemplateID: model.TemplateID(k.Owner), ID: k.ID}
		},
	})
	checkCollection(t, s, collectionCase[store.Key, model.MapperSet]{
		name: store.MapperSets,
		of:   func(tx *store.Tx) store.Collection[store.Key, model.MapperSet] { return tx.MapperSets },
		keys: pairs(), text: store.Key.String,
		full: func(k store.Key) model.MapperSet { return fullMapperSet(model.TemplateID(k.Owner), k.ID) },
		bare: func(k store.Key) model.MapperSet {
			return model.MapperSet{TemplateID: model.TemplateID(k.Owner), ID: k.ID}
		},
	})
	checkCollection(t, s, collectionCase[model.TemplateID, model.AssetTemplate]{
		name: store.AssetTemplates,
		of:   func(tx *store.Tx) store.Collection[model.TemplateID, model.AssetTemplate] { return tx.AssetTemplates },
		keys: [3]model.TemplateID{"Account", "Account 2", "account"}, full: fullAssetTemplate, text: text[model.TemplateID],
		bare: func(k model.TemplateID) model.AssetTemplate { return model.AssetTemplate{ID: k} },
	})
}

func checkCollection[K comparable, V any](t *testing.T, s store.Store, c collectionCase[K, V]) {
	t.Helper()
	t.Run(string(c.name), func(t *testing.T) {
		if missing := unset(reflect.ValueOf(c.full(c.keys[0])), ""); missing != nil {
			t.Fatalf("the sample leaves fields unset: %v", missing)
		}
		key := c.keys[0]
		checkAbsent(t, s, c)
		put := func(v V, want store.Result) func(*store.Tx) error {
			return func(tx *store.Tx) error { return result("put", want)(c.of(tx).Put(v)) }
		}
		created, err := s.Update(t.Context(), write(envA), put(c.bare(key), store.Created))
		if err != nil {
			t.Fatal(err)
		}
		checkStored(t, s, c, c.bare(key), store.Stamp{CreatedAt: start(), UpdatedAt: start(), Revision: created.Revision})
		equal(t, "changes", created.Changes, []store.Change{{Collection: c.name, Key: c.text(key)}})

		later := start().Add(time.Hour)
		w := write(envA)
		w.Time = later
		updated, err := s.Update(t.Context(), w, put(c.full(key), store.Updated))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "revision", updated.Revision, created.Revision+1)
		stamp := store.Stamp{CreatedAt: start(), UpdatedAt: later, Revision: updated.Revision}
		checkStored(t, s, c, c.full(key), stamp)

		w.Time = later.Add(time.Hour)
		same, err := s.Update(t.Context(), w, put(c.full(key), store.Unchanged)) // MG: unchanged uses no revision
		if err != nil || same.Changed || same.Revision != updated.Revision {
			t.Errorf("unchanged put: %+v, %v", same, err)
		}
		checkStored(t, s, c, c.full(key), stamp)
		checkListed(t, s, c)

		deleted := update(t, s, envA, func(tx *store.Tx) error {
			return result("delete", store.Deleted)(c.of(tx).Delete(key))
		})
		equal(t, "changes", deleted.Changes, []store.Change{{Collection: c.name, Key: c.text(key), Deleted: true}})
		checkAbsent(t, s, c)
	})
}

func checkAbsent[K comparable, V any](t *testing.T, s store.Store, c collectionCase[K, V]) {
	t.Helper()
	view(t, s, envA, func(tx *store.Tx) error {
		_, err := c.of(tx).Find(c.keys[0])
		wantError(t, "find", err, store.ErrNotFound)
		_, err = c.of(tx).Stamp(c.keys[0])
		wantError(t, "stamp", err, store.ErrNotFound)
		return nil
	})
	update(t, s, envA, func(tx *store.Tx) error {
		return result("delete what is not there", store.Unchanged)(c.of(tx).Delete(c.keys[0]))
	})
}

func checkStored[K comparable, V any](t *testing.T, s store.Store, c collectionCase[K, V], want V, stamp store.Stamp) {
	t.Helper()
	view(t, s, envA, func(tx *store.Tx) error {
		got, err := c.of(tx).Find(c.keys[0])
		if err != nil {
			return err
		}
		equal(t, "found", got, want)
		gotStamp, err := c.of(tx).Stamp(c.keys[0])
		equal(t, "stamp", gotStamp, stamp)
		return err
	})
}

// checkListed adds the other keys, largest first, lists all, and takes them away again.
func checkListed[K comparable, V any](t *testing.T, s store.Store, c collectionCase[K, V]) {
	t.Helper()
	var before []V
	view(t, s, envA, func(tx *store.Tx) (err error) {
		before, err = all(c.of(tx).FindAll())
		return err
	})
	update(t, s, envA, func(tx *store.Tx) error {
		for _, i := range []int{2, 1} {
			if err := result("put", store.Created)(c.of(tx).Put(c.bare(c.keys[i]))); err != nil {
				return err
			}
		}
		got, err := all(c.of(tx).FindAll())
		if err != nil {
			return err
		}
		want := append(slices.Clip(before), c.bare(c.keys[1]), c.bare(c.keys[2]))
		if c.name == store.Blocks {
			want = append(slices.Clip(before), c.bare(c.keys[2]), c.bare(c.keys[1]))
		}
		equal(t, "listed", got, want)
		for _, i := range []int{1, 2} {
			if err := result("delete", store.Deleted)(c.of(tx).Delete(c.keys[i])); err != nil {
				return err
			}
		}
		return nil
	})
}

// unset lists the fields of a sample that are zero, so that a field that is added to the model cannot be left out here.
// In lists it looks at the first element.
func unset(v reflect.Value, path string) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return []string{path}
		}
		if v.Elem().Kind() == reflect.Struct {
			return unset(v.Elem(), path)
		}
		return nil
	case reflect.Struct:
		if v.Type().PkgPath() != reflect.TypeFor[model.Policy]().PkgPath() {
			break
		}
		var out []string
		for i := range v.NumField() {
			out = append(out, unset(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return out
	case reflect.Slice:
		if v.Len() > 0 {
			return unset(v.Index(0), path+"[0]")
		}
	}
	if v.IsZero() && path[len(path)-1] != ']' {
		return []string{path}
	}
	return nil
}

// testOrder checks the two orders of FindAll over keys that locale-aware or case-folding comparison would order otherwise.
func testOrder(t *testing.T, open Open) {
	s := openWith(t, open)
	ids := []string{"b", "a", "B", "a b", "a-b", "a_b", "ab", "é", "e", "z", "Z", "10", "9", "\uffff", "𝄞", "ß", "ss"}
	update(t, s, envA, func(tx *store.Tx) error {
		for _, id := range ids {
			if _, err := tx.Policies.Put(model.Policy{ID: model.PolicyID(id)}); err != nil {
				return err
			}
			if _, err := tx.Blocks.Put(model.Block{ID: model.BlockID(id)}); err != nil {
				return err
			}
		}
		return nil
	})
	update(t, s, envA, func(tx *store.Tx) error { // an update keeps a block's place, a new insertion does not
		if _, err := tx.Blocks.Put(model.Block{ID: "a", Name: "changed"}); err != nil {
			return err
		}
		if _, err := tx.Blocks.Delete("B"); err != nil {
			return err
		}
		_, err := tx.Blocks.Put(model.Block{ID: "B"})
		return err
	})
	view(t, s, envA, func(tx *store.Tx) error {
		policies, err := all(tx.Policies.FindAll())
		if err != nil {
			return err
		}
		var got []string
		for _, p := range policies {
			got = append(got, string(p.ID))
		}
		equal(t, "policies by code point", got, slices.Sorted(slices.Values(ids)))
		blocks, err := all(tx.Blocks.FindAll())
		if err != nil {
			return err
		}
		got = nil
		for _, b := range blocks {
			got = append(got, string(b.ID))
		}
		want := append(slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "B" }), "B")
		equal(t, "blocks by insertion", got, want)
		return nil
	})
}

// testValues checks that values which look alike stay apart (policy-model.md 1.2 rules 1 and 5).
func testValues(t *testing.T, open Open) {
	s := openWith(t, open)
	variants := []model.Policy{
		{ID: "p"},
		{ID: "p", Description: ptr("")},
		{ID: "p", DynamicGroups: []model.BlockID{}},
		{ID: "p", Rulesets: []model.RulesetUse{{}}},
		{ID: "p", Rulesets: []model.RulesetUse{{ActionIDs: []model.ActionID{}}}},
		{ID: "p", Name: "e\u0301"},
		{ID: "p", Name: "é"},
		{ID: "p", Name: "a  b"},
		{ID: "p", Name: "a b"},
	}
	for i, v := range variants {
		want := store.Updated
		if i == 0 {
			want = store.Created
		}
		update(t, s, envA, func(tx *store.Tx) error { return result("put", want)(tx.Policies.Put(v)) })
		update(t, s, envA, func(tx *store.Tx) error { return result("put", store.Unchanged)(tx.Policies.Put(v)) })
		view(t, s, envA, func(tx *store.Tx) error {
			got, err := tx.Policies.Find("p")
			equal(t, "policy", got, v)
			return err
		})
	}
}
