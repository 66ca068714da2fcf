package decide

import (
	"context"
	"errors"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// runtime-api.md 8.7: keys of the store reach every node by the change feed, also in a revision that does not compile, and stay
// in their environment.
func TestSigningKeysAreFollowed(t *testing.T) {
	db := open(t)
	for n := 1; n <= 2; n++ {
		update(t, db, "", func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: env(n), Enabled: true})
			return err
		})
		update(t, db, env(n), fill)
	}
	nodes := []*Directory{directory(t, db), directory(t, db)}
	want := func(step, sealed string, published int) {
		t.Helper()
		for _, d := range append(nodes, directory(t, db)) {
			check(t, d.CatchUp(context.Background()))
			got := ""
			_, st, _ := d.find(model.ClientID("client-" + env(1)))
			if k := st.signingKey("quay"); k != nil {
				got = string(k.Sealed)
			}
			if got != sealed || len(d.SigningKeys()) != published {
				t.Errorf("%s: %q signs, %d are published, want %q and %d", step, got, len(d.SigningKeys()), sealed, published)
			}
			if _, other, _ := d.find(model.ClientID("client-" + env(2))); other.signingKey("quay") != nil {
				t.Errorf("%s: another environment has the key", step)
			}
		}
	}
	put := func(keys ...model.SigningKey) func(*store.Tx) error {
		return func(tx *store.Tx) error {
			for _, k := range keys {
				if _, err := tx.SigningKeys.Put(k); err != nil {
					return err
				}
			}
			return nil
		}
	}
	want("none", "", 0)
	update(t, db, env(1), put(model.SigningKey{Name: "quay", Sealed: []byte("1")}))
	want("made", "1", 1)
	update(t, db, env(1), func(tx *store.Tx) error {
		p := policyOn("A")
		p.DynamicGroups = []model.BlockID{"no such block"}
		_, err := tx.Policies.Put(p)
		return errors.Join(err, put(model.SigningKey{Name: "quay", Sealed: []byte("2")}, model.SigningKey{Name: "quay", Retired: "1"})(tx))
	})
	want("replaced", "2", 2)
	update(t, db, env(1), func(tx *store.Tx) error { _, err := tx.SigningKeys.Delete(store.Key{Owner: "quay"}); return err })
	want("deleted", "", 1)
	update(t, db, "", func(tx *store.Tx) error { _, err := tx.Environments.Delete(env(1)); return err })
	for _, d := range nodes {
		check(t, d.CatchUp(context.Background()))
		if len(d.SigningKeys()) != 0 {
			t.Error("the keys outlive their environment")
		}
	}
}
