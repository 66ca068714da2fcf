package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

func asset(path, owner string) model.Asset {
	return model.Asset{Path: path, Attributes: model.Attributes{"owner": {owner}}}
}

// testRecords takes records through their life: results, positions, order, count.
func testRecords(t *testing.T, open Open) {
	s := openWith(t, open)
	var first []store.Positioned[model.Asset]
	update(t, s, envA, func(tx *store.Tx) (err error) {
		assets := tx.Assets("t")
		for _, path := range []string{"c", "a", "b"} {
			if err := result("put", store.Created)(assets.Put(asset(path, "o"))); err != nil {
				return err
			}
		}
		first, err = all(assets.After(0))
		return err
	})
	equal(t, "insertion order", paths(first), []string{"c", "a", "b"})
	commit := update(t, s, envA, func(tx *store.Tx) error {
		assets := tx.Assets("t")
		return errors.Join(
			result("same", store.Unchanged)(assets.Put(asset("a", "o"))),
			result("changed", store.Updated)(assets.Put(asset("a", "p"))),
			result("changed", store.Updated)(assets.Put(asset("c", "p"))),
			result("gone", store.Deleted)(assets.Delete("b")),
			result("unknown", store.Unchanged)(assets.Delete("b")),
			result("again", store.Created)(assets.Put(asset("b", "q"))),
		)
	})
	view(t, s, envA, func(tx *store.Tx) error {
		assets := tx.Assets("t")
		now, err := all(assets.After(0))
		if err != nil {
			return err
		}
		equal(t, "order", paths(now), []string{"c", "a", "b"})
		equal(t, "positions kept", []int64{now[0].Position, now[1].Position}, []int64{first[0].Position, first[1].Position})
		if now[2].Position <= first[2].Position {
			t.Errorf("position %d is given again", now[2].Position)
		}
		equal(t, "changes", commit.Changes, []store.Change{{
			Collection: store.Assets, Template: "t",
			Positions: []int64{now[0].Position, now[1].Position, now[2].Position}, Removed: []string{"b"},
		}})
		found, err := assets.Find("a")
		equal(t, "found", found, asset("a", "p"))
		_, missing := assets.Find("A")
		wantError(t, "find", missing, store.ErrNotFound)
		_, missing = tx.Assets("T").Find("a")
		wantError(t, "find in another template", missing, store.ErrNotFound)
		_, missing = tx.Identities("t").Find("a")
		wantError(t, "find among identities", missing, store.ErrNotFound)
		return err
	})
	checkAt(t, s)
	checkClear(t, s)
}

func paths(records []store.Positioned[model.Asset]) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.Record.Path)
	}
	return out
}

func checkAt(t *testing.T, s store.Store) {
	t.Helper()
	view(t, s, envA, func(tx *store.Tx) error {
		assets := tx.Assets("t")
		now, err := all(assets.After(0))
		if err != nil {
			return err
		}
		some, err := all(assets.At([]int64{-1, 0, now[0].Position, now[2].Position - 1, now[2].Position, now[2].Position + 9}))
		equal(t, "at", some, []store.Positioned[model.Asset]{now[0], now[2]})
		none, err2 := all(assets.At(nil))
		equal(t, "at nothing", len(none), 0)
		after, err3 := all(assets.After(now[0].Position))
		equal(t, "after the first", after, now[1:])
		after, err4 := all(assets.After(now[2].Position))
		equal(t, "after the last", len(after), 0)
		for r, err := range assets.After(0) {
			equal(t, "before a break", r, now[0])
			if err != nil {
				return err
			}
			break
		}
		return errors.Join(err, err2, err3, err4)
	})
}

func checkClear(t *testing.T, s store.Store) {
	t.Helper()
	commit := update(t, s, envA, func(tx *store.Tx) error {
		assets := tx.Assets("t")
		before, err := all(assets.After(0))
		if err != nil {
			return err
		}
		if _, err := assets.Delete("a"); err != nil {
			return err
		}
		n, err := assets.Clear()
		equal(t, "cleared", n, 2)
		if err != nil {
			return err
		}
		n, err = assets.Count()
		equal(t, "count", n, 0)
		if err != nil {
			return err
		}
		if err := result("put", store.Created)(assets.Put(asset("a", "o"))); err != nil {
			return err
		}
		now, err := all(assets.After(0))
		if len(now) != 1 || now[0].Position <= before[2].Position {
			t.Errorf("after clear: %v", now)
		}
		return err
	})
	if len(commit.Changes) != 1 || !commit.Changes[0].Cleared || len(commit.Changes[0].Positions) != 1 {
		t.Errorf("changes: %+v", commit.Changes)
	}
	empty := update(t, s, envA, func(tx *store.Tx) error {
		n, err := tx.Assets("unknown").Clear()
		equal(t, "cleared", n, 0)
		return err
	})
	equal(t, "clearing nothing changes something", empty.Changed, false)
}

// testRecordValues checks that records come back exactly: nil and empty, order of values, long and odd texts.
func testRecordValues(t *testing.T, open Open) {
	s := openWith(t, open)
	long := strings.Repeat("é", 9_999)
	attributes := []model.Attributes{
		nil,
		{},
		{"a": nil},
		{"a": {}},
		{"a": {""}},
		{"a": {"b", "a"}},
		{"a": {"a", "b"}},
		{"": {"x"}, "b": {long, "1.0", "1"}, "é": {"\u2028", "e\u0301"}},
		manyAttributes(),
	}
	names := []string{"", "n", " n ", long}
	update(t, s, envA, func(tx *store.Tx) error {
		for i, a := range attributes {
			for j, name := range names {
				r := model.Asset{Path: fmt.Sprintf("%d/%d/%s", i, j, long[:200]), Name: name, Attributes: a}
				if err := result("put", store.Created)(tx.Assets("t").Put(r)); err != nil {
					return err
				}
				if err := result("put", store.Unchanged)(tx.Assets("t").Put(r)); err != nil {
					return err
				}
				got, err := tx.Assets("t").Find(r.Path)
				if err != nil {
					return err
				}
				equal(t, "asset", got, r)
			}
		}
		for i, r := range identities(attributes) {
			r.EntityID = fmt.Sprint(i)
			if err := result("put", store.Created)(tx.Identities("t").Put(r)); err != nil {
				return err
			}
			got, err := tx.Identities("t").Find(r.EntityID)
			if err != nil {
				return err
			}
			equal(t, "identity", got, r)
		}
		return nil
	})
	// Values that are alike but not equal are changes.
	for i := range attributes[1:] {
		update(t, s, envA, func(tx *store.Tx) error {
			r := model.Asset{Path: "x", Attributes: attributes[i]}
			if _, err := tx.Assets("t").Put(r); err != nil {
				return err
			}
			r.Attributes = attributes[i+1]
			return result("put", store.Updated)(tx.Assets("t").Put(r))
		})
	}
}

func manyAttributes() model.Attributes {
	out := model.Attributes{}
	for i := range 300 {
		for j := range i % 5 {
			id := model.AttributeID(fmt.Sprintf("attribute %d", i))
			out[id] = append(out[id], fmt.Sprint(j, i))
		}
	}
	return out
}

func identities(attributes []model.Attributes) []model.Identity {
	out := []model.Identity{{Rows: []model.Attributes{}}, {Inactive: true}, {Rows: []model.Attributes{nil, {}, {"a": {"x"}}}}}
	for _, a := range attributes {
		out = append(out, model.Identity{Attributes: a}, model.Identity{
			Inactive: true, Attributes: a,
			Rows: []model.Attributes{a, {"r": {"1"}}},
		})
	}
	return slices.Clip(out)
}

// testRecordPages checks reading at the sizes where an implementation may divide its work, and random selections.
func testRecordPages(t *testing.T, open Open) {
	s := openWith(t, open)
	rng := rand.New(rand.NewPCG(1, 2))
	const most = 4_100
	for _, size := range []int{0, 1, 511, 512, 513, 1024, most} {
		template := model.TemplateID(fmt.Sprint(size))
		update(t, s, envA, func(tx *store.Tx) error {
			for i := range size {
				if _, err := tx.Assets(template).Put(asset(fmt.Sprint(i), "o")); err != nil {
					return err
				}
			}
			return nil
		})
		view(t, s, envA, func(tx *store.Tx) error {
			n, err := tx.Assets(template).Count()
			equal(t, "count", n, int64(size))
			if err != nil {
				return err
			}
			everything, err := all(tx.Assets(template).After(0))
			if err != nil {
				return err
			}
			for i, r := range everything {
				if r.Record.Path != fmt.Sprint(i) {
					t.Fatalf("size %d: record %d is %s", size, i, r.Record.Path)
				}
			}
			equal(t, "records", len(everything), size)
			for _, share := range []int{1, 2, 3, 10, 700} {
				var want []store.Positioned[model.Asset]
				var positions []int64
				for _, r := range everything {
					if rng.IntN(share) == 0 {
						want, positions = append(want, r), append(positions, r.Position)
					}
				}
				got, err := all(tx.Assets(template).At(positions))
				if err != nil {
					return err
				}
				equal(t, "selection", got, want)
			}
			return nil
		})
	}
}

// testWriteWhileReading checks that a transaction may write, and read again, while it goes through a list.
func testWriteWhileReading(t *testing.T, open Open) {
	s := openWith(t, open)
	const size = 1_300
	update(t, s, envA, func(tx *store.Tx) error {
		for i := range size {
			if _, err := tx.Assets("t").Put(asset(fmt.Sprint(i), "o")); err != nil {
				return err
			}
			if i%10 == 0 {
				if _, err := tx.Policies.Put(model.Policy{ID: model.PolicyID(fmt.Sprint(i))}); err != nil {
					return err
				}
			}
		}
		return nil
	})
	update(t, s, envA, func(tx *store.Tx) error {
		seen := 0
		for r, err := range tx.Assets("t").After(0) {
			if err != nil {
				return err
			}
			seen++
			if _, err := tx.Assets("t").Find("7"); err != nil {
				return err
			}
			change := asset(r.Record.Path, "p")
			if err := result("put", store.Updated)(tx.Assets("t").Put(change)); err != nil {
				return err
			}
		}
		equal(t, "assets seen", seen, size)
		seen = 0
		for p, err := range tx.Policies.FindAll() {
			if err != nil {
				return err
			}
			seen++
			inner, err := all(tx.Policies.FindAll())
			equal(t, "policies left", len(inner), size/10-seen+1)
			if err != nil {
				return err
			}
			if err := result("delete", store.Deleted)(tx.Policies.Delete(p.ID)); err != nil {
				return err
			}
		}
		equal(t, "policies seen", seen, size/10)
		return nil
	})
}
