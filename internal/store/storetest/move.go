package storetest

import (
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testMoveRecords checks that the records of a template become those of another (MG-43): content, positions, order and
// what the feed tells of both.
func testMoveRecords(t *testing.T, open Open) {
	s := openWith(t, open)
	var before []store.Positioned[model.Asset]
	update(t, s, envA, func(tx *store.Tx) error {
		for _, path := range []string{"c", "gone", "a", "b"} {
			if err := result("put", store.Created)(tx.Assets("t").Put(asset(path, "o"))); err != nil {
				return err
			}
		}
		if err := result("delete", store.Deleted)(tx.Assets("t").Delete("gone")); err != nil {
			return err
		}
		// what shares the name but not the kind or the environment stays where it is
		if err := result("put", store.Created)(tx.Identities("t").Put(model.Identity{EntityID: "i"})); err != nil {
			return err
		}
		var err error
		before, err = all(tx.Assets("t").After(0))
		return err
	})
	update(t, s, envB, func(tx *store.Tx) error {
		return result("put", store.Created)(tx.Assets("t").Put(asset("x", "o")))
	})
	commit := update(t, s, envA, func(tx *store.Tx) error { return move(t, tx, store.Assets, "t", "u", 3) })
	positions := []int64{before[0].Position, before[1].Position, before[2].Position}
	equal(t, "changes", commit.Changes, []store.Change{
		{Collection: store.Assets, Template: "t", Cleared: true},
		{Collection: store.Assets, Template: "u", Cleared: true, Positions: positions},
	})
	commits, err := s.Feed(t.Context(), commit.Sequence-1, 1)
	equal(t, "feed", commits, []store.Commit{commit})
	wantError(t, "feed", err, nil)
	view(t, s, envA, func(tx *store.Tx) error {
		moved, err := all(tx.Assets("u").After(0))
		equal(t, "moved", moved, before)
		count(t, tx.Assets("u"), 3)
		count(t, tx.Assets("t"), 0)
		count(t, tx.Identities("t"), 1)
		_, missing := tx.Assets("t").Find("a")
		wantError(t, "find under the old name", missing, store.ErrNotFound)
		_, mistake := tx.MoveRecords(store.Assets, "u", "t")
		wantError(t, "move in a view", mistake, store.ErrReadOnly)
		return err
	})
	view(t, s, envB, func(tx *store.Tx) error { count(t, tx.Assets("t"), 1); return nil })
	people := update(t, s, envA, func(tx *store.Tx) error { return move(t, tx, store.Identities, "t", "u", 1) })
	view(t, s, envA, func(tx *store.Tx) error {
		moved, err := all(tx.Identities("u").After(0))
		if len(moved) != 1 || moved[0].Record.EntityID != "i" {
			t.Fatalf("moved %+v", moved)
		}
		equal(t, "changes", people.Changes, []store.Change{
			{Collection: store.Identities, Template: "t", Cleared: true},
			{Collection: store.Identities, Template: "u", Cleared: true, Positions: []int64{moved[0].Position}},
		})
		return err
	})
	checkMoveBack(t, s, before)
}

func move(t *testing.T, tx *store.Tx, kind store.CollectionName, from, to model.TemplateID, want int64) error {
	t.Helper()
	n, err := tx.MoveRecords(kind, from, to)
	equal(t, "moved", n, want)
	return err
}

func count[R any](t *testing.T, records store.Records[R], want int64) {
	t.Helper()
	n, err := records.Count()
	wantError(t, "count", err, nil)
	equal(t, "count", n, want)
}

// checkMoveBack: no position is given twice under either name, a name with records is taken, and in one transaction the
// feed tells how it ended.
func checkMoveBack(t *testing.T, s store.Store, before []store.Positioned[model.Asset]) {
	t.Helper()
	last := before[len(before)-1].Position
	update(t, s, envA, func(tx *store.Tx) error {
		for _, template := range []model.TemplateID{"t", "u"} {
			if err := result("put", store.Created)(tx.Assets(template).Put(asset("new", "o"))); err != nil {
				return err
			}
			for r, err := range tx.Assets(template).After(last) {
				if err != nil {
					return err
				}
				equal(t, "new record", r.Record, asset("new", "o"))
				last = max(last, r.Position)
			}
		}
		_, err := tx.MoveRecords(store.Assets, "u", "t")
		wantError(t, "to a template with records", err, store.ErrTaken)
		_, err = tx.MoveRecords(store.Policies, "u", "t")
		if err == nil {
			t.Error("policies were moved as records")
		}
		count(t, tx.Assets("t"), 1)
		return nil
	})
	nothing := update(t, s, envA, func(tx *store.Tx) error {
		if err := move(t, tx, store.Assets, "u", "u", 0); err != nil {
			return err
		}
		return move(t, tx, store.Assets, "unknown", "v", 0)
	})
	equal(t, "moving nothing changes something", nothing.Changed, false)
	commit := update(t, s, envA, func(tx *store.Tx) error {
		if _, err := tx.Assets("t").Clear(); err != nil {
			return err
		}
		if err := result("delete", store.Deleted)(tx.Assets("u").Delete("c")); err != nil {
			return err
		}
		if err := move(t, tx, store.Assets, "u", "t", 3); err != nil {
			return err
		}
		if err := result("put", store.Updated)(tx.Assets("t").Put(asset("a", "changed"))); err != nil {
			return err
		}
		return result("put", store.Created)(tx.Assets("u").Put(asset("c", "o")))
	})
	var paths []string
	for _, change := range commit.Changes {
		view(t, s, envA, func(tx *store.Tx) error {
			named, err := all(tx.Assets(change.Template).At(change.Positions))
			for _, r := range named {
				paths = append(paths, string(change.Template)+" "+r.Record.Path)
			}
			equal(t, "cleared", change.Cleared, true)
			return err
		})
	}
	equal(t, "records that the feed names", paths, []string{"t a", "t b", "t new", "u c"})
}
