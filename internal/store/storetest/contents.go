package storetest

import (
	"path/filepath"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// Contents is everything that a view of one environment shows, but for its events.
type Contents struct {
	Revision   model.Revision
	Tenant     map[string]any // environments and credentials
	Objects    map[string]any // by collection and key
	Blocks     []model.BlockID
	Assets     map[model.TemplateID][]store.Positioned[model.Asset]
	Identities map[model.TemplateID][]store.Positioned[model.Identity]
}

// recordTemplates are the templates whose records dump reads: a store does not list them.
func recordTemplates() []model.TemplateID { return []model.TemplateID{"t", "u", "User"} }

func dump(t testing.TB, s store.Store, env model.EnvironmentID) Contents {
	t.Helper()
	c := Contents{
		Tenant: map[string]any{}, Objects: map[string]any{},
		Assets:     map[model.TemplateID][]store.Positioned[model.Asset]{},
		Identities: map[model.TemplateID][]store.Positioned[model.Identity]{},
	}
	view(t, s, env, func(tx *store.Tx) error {
		c.Revision = tx.Revision
		collect(t, c.Tenant, store.Environments, tx.Environments)
		collect(t, c.Tenant, store.Credentials, tx.Credentials)
		collect(t, c.Tenant, store.Revocations, tx.Revocations)
		collect(t, c.Objects, store.Reports, tx.Reports)
		collect(t, c.Objects, store.PAAGroups, tx.PAAGroups)
		collect(t, c.Objects, store.PAASources, tx.PAASources)
		collect(t, c.Objects, store.PAAViews, tx.PAAViews)
		collect(t, c.Objects, store.SigningKeys, tx.SigningKeys)
		collect(t, c.Objects, store.AuthorizationWorkspaces, tx.AuthorizationWorkspaces)
		collect(t, c.Objects, store.IdentityWorkspaces, tx.IdentityWorkspaces)
		collect(t, c.Objects, store.IdentityTemplates, tx.IdentityTemplates)
		collect(t, c.Objects, store.IdentitySources, tx.IdentitySources)
		collect(t, c.Objects, store.MapperSets, tx.MapperSets)
		collect(t, c.Objects, store.AssetTemplates, tx.AssetTemplates)
		collect(t, c.Objects, store.Applications, tx.Applications)
		collect(t, c.Objects, store.RequestAttributes, tx.RequestAttributes)
		collect(t, c.Objects, store.APIMapperSets, tx.APIMapperSets)
		collect(t, c.Objects, store.CustomAttributes, tx.CustomAttributes)
		collect(t, c.Objects, store.Policies, tx.Policies)
		collect(t, c.Objects, store.Scopes, tx.Scopes)
		for _, block := range collect(t, c.Objects, store.Blocks, tx.Blocks) {
			c.Blocks = append(c.Blocks, block.ID)
		}
		for _, template := range recordTemplates() {
			if records := collectRecords(t, tx.Assets(template)); records != nil {
				c.Assets[template] = records
			}
			if records := collectRecords(t, tx.Identities(template)); records != nil {
				c.Identities[template] = records
			}
		}
		return nil
	})
	return c
}

func collect[K comparable, V any](t testing.TB, into map[string]any, name store.CollectionName, c store.Collection[K, V]) []V {
	t.Helper()
	objects, err := all(c.FindAll())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for _, v := range objects {
		into[string(name)+" "+keyOf(v)] = v
	}
	return objects
}

func collectRecords[R any](t testing.TB, r store.Records[R]) []store.Positioned[R] {
	t.Helper()
	records, err := all(r.After(0))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.Count(); err != nil || n != int64(len(records)) {
		t.Errorf("count: %d of %d, %v", n, len(records), err)
	}
	return records
}

// keyOf is the key of an object as Change.Key has it.
func keyOf(v any) string {
	if key, ok := pairOf(v); ok {
		return key.String()
	}
	switch v := v.(type) {
	case model.Environment:
		return string(v.ID)
	case model.Credential:
		return string(v.ClientID)
	case model.Revocation:
		return v.TokenID
	case model.Report:
		return v.ID
	case model.PAAGroup:
		return v.ID
	case model.PAAViews:
		return v.GroupID
	case model.AuthorizationWorkspace:
		return string(v.ID)
	case model.IdentityWorkspace:
		return string(v.ID)
	case model.IdentityTemplate:
		return string(v.ID)
	case model.AssetTemplate:
		return string(v.ID)
	case model.Application:
		return string(v.ID)
	case model.APIMapperSet:
		return string(v.ID)
	case model.CustomAttribute:
		return v.Key
	case model.Block:
		return string(v.ID)
	case model.Policy:
		return string(v.ID)
	case model.Scope:
		return string(v.ClientID)
	case model.Asset:
		return v.Path
	case model.Identity:
		return v.EntityID
	}
	panic("not an object of a store")
}

// pairOf is the key of an object whose key has two parts.
func pairOf(v any) (key store.Key, ok bool) {
	switch v := v.(type) {
	case model.IdentitySource:
		return store.Key{Owner: string(v.TemplateID), ID: v.ID}, true
	case model.MapperSet:
		return store.Key{Owner: string(v.TemplateID), ID: v.ID}, true
	case model.RequestAttribute:
		return store.Key{Owner: string(v.WorkspaceID), ID: string(v.ID)}, true
	case model.PAASource:
		return store.Key{Owner: v.GroupID, ID: v.ID}, true
	case model.SigningKey:
		return store.Key{Owner: v.Name, ID: v.Retired}, true
	}
	return key, false
}

// RunBackup checks Backup: a copy made under load is one consistent state, opens with restore and goes on where the
// original was; a backup that fails leaves no file.
func RunBackup(t *testing.T, open Open, restore func(t testing.TB, path string) store.Store) {
	s := openWith(t, open)
	update(t, s, envA, func(tx *store.Tx) error { return fill(tx, "x") })
	update(t, s, envA, func(tx *store.Tx) error { // positions with gaps
		if _, err := tx.Assets("t").Delete("/a"); err != nil {
			return err
		}
		_, err := tx.Assets("t").Put(model.Asset{Path: "/b"})
		return err
	})
	before := dump(t, s, envA)
	commits, err := s.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	path := filepath.Join(directory, "copy")
	if err := s.Backup(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), path); err == nil {
		t.Error("a backup has replaced a file")
	}
	if err := s.Backup(canceled(t), filepath.Join(directory, "canceled")); err == nil {
		t.Error("a canceled backup has succeeded")
	}
	if files, err := filepath.Glob(filepath.Join(directory, "*")); err != nil || len(files) != 1 {
		t.Errorf("files after the backups: %v, %v", files, err)
	}
	update(t, s, envA, func(tx *store.Tx) error { // is not in the copy
		_, err := tx.Policies.Put(model.Policy{ID: "later"})
		return err
	})
	r := restore(t, path)
	equal(t, "contents", dump(t, r, envA), before)
	restored, err := r.Feed(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "feed", restored, commits)
	view(t, r, envA, func(tx *store.Tx) error {
		events, err := all(tx.Events.Find(start(), start().Add(1)))
		equal(t, "events", len(events), 1)
		return err
	})
	commit := update(t, r, envA, func(tx *store.Tx) error {
		_, err := tx.Assets("t").Put(model.Asset{Path: "/c"})
		return err
	})
	equal(t, "next revision", commit.Revision, before.Revision+1)
	equal(t, "next sequence", commit.Sequence, commits[len(commits)-1].Sequence+1)
	if commit.Changes[0].Positions[0] <= before.Assets["t"][0].Position {
		t.Errorf("positions start again: %v", commit.Changes)
	}
}
