package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testFeed checks that the feed repeats exactly what Update returned, in order, from any place.
func testFeed(t *testing.T, open Open) {
	s := open(t)
	commits, err := s.Feed(t.Context(), 0, 10)
	if err != nil || len(commits) != 0 {
		t.Errorf("feed of an empty store: %v, %v", commits, err)
	}
	var want []store.Commit
	for i := range 12 {
		env := []model.EnvironmentID{envA, envB, ""}[i%3]
		w := write(env)
		w.Time = start().Add(time.Duration(i) * time.Minute)
		commit, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
			for _, e := range []model.EnvironmentID{envA, envB} {
				if _, err := tx.Environments.Put(model.Environment{ID: e, Name: fmt.Sprint(i)}); err != nil {
					return err
				}
			}
			_, err := tx.Environments.Delete("nothing")
			return errors.Join(err, tx.Events.Append(fullEvent("e"))) // not in the feed
		})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "changes", commit.Changes, []store.Change{
			{Collection: store.Environments, Key: string(envA)},
			{Collection: store.Environments, Key: string(envB)},
		})
		want = append(want, commit)
	}
	for after := range len(want) + 1 {
		for _, limit := range []int{0, 1, 3, 100} {
			got, err := s.Feed(t.Context(), store.Sequence(after), limit)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, fmt.Sprintf("after %d limit %d", after, limit), append([]store.Commit{}, got...),
				append([]store.Commit{}, want[after:min(after+limit, len(want))]...))
		}
	}
	// What is changed back and forth is named once, as it ended.
	commit := update(t, s, envA, func(tx *store.Tx) error {
		_, err1 := tx.Policies.Put(model.Policy{ID: "p"})
		_, err2 := tx.Policies.Put(model.Policy{ID: "q"})
		_, err3 := tx.Policies.Delete("p")
		_, err4 := tx.Policies.Delete("q")
		_, err5 := tx.Policies.Put(model.Policy{ID: "q", Name: "again"})
		return errors.Join(err1, err2, err3, err4, err5)
	})
	equal(t, "changes", commit.Changes, []store.Change{
		{Collection: store.Policies, Key: "p", Deleted: true},
		{Collection: store.Policies, Key: "q"},
	})
}

// testFeedOfRecords checks what the feed tells of records that come, change and go in one transaction.
func testFeedOfRecords(t *testing.T, open Open) {
	s := openWith(t, open)
	change := func(fn func(store.Records[model.Asset]) error) store.Change {
		t.Helper()
		commit := update(t, s, envA, func(tx *store.Tx) error { return fn(tx.Assets("t")) })
		if len(commit.Changes) != 1 {
			t.Fatalf("changes: %+v", commit.Changes)
		}
		commits, err := s.Feed(t.Context(), commit.Sequence-1, 1)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "feed", commits, []store.Commit{commit})
		c := commit.Changes[0]
		equal(t, "change", []any{c.Collection, c.Template, c.Key, c.Deleted}, []any{store.Assets, model.TemplateID("t"), "", false})
		return c
	}
	put := func(r store.Records[model.Asset], path, owner string) error {
		_, err := r.Put(asset(path, owner))
		return err
	}
	first := change(func(r store.Records[model.Asset]) error {
		return errors.Join(put(r, "a", "1"), put(r, "b", "1"), put(r, "c", "1"), put(r, "a", "2"))
	})
	equal(t, "put", len(first.Positions), 3)
	second := change(func(r store.Records[model.Asset]) error { // c then a: ascending anyway; b comes and goes
		_, err := r.Delete("b")
		return errors.Join(put(r, "c", "3"), put(r, "a", "3"), put(r, "a", "4"), err)
	})
	equal(t, "changed", second, store.Change{
		Collection: store.Assets, Template: "t",
		Positions: []int64{first.Positions[0], first.Positions[2]}, Removed: []string{"b"},
	})
	third := change(func(r store.Records[model.Asset]) error { // put and deleted: no position is left
		err := errors.Join(put(r, "d", "1"), put(r, "a", "5"))
		_, err1 := r.Delete("d")
		_, err2 := r.Delete("a")
		return errors.Join(err, err1, err2)
	})
	equal(t, "gone", third, store.Change{Collection: store.Assets, Template: "t", Removed: []string{"a", "d"}})
	fourth := change(func(r store.Records[model.Asset]) error {
		_, err := r.Clear()
		return err
	})
	equal(t, "cleared", fourth, store.Change{Collection: store.Assets, Template: "t", Cleared: true})
	fifth := change(func(r store.Records[model.Asset]) error { // what happened before a clear is not told
		err := errors.Join(put(r, "e", "1"), put(r, "f", "1"))
		_, err1 := r.Delete("f")
		_, err2 := r.Clear()
		return errors.Join(err, err1, err2, put(r, "g", "1"))
	})
	equal(t, "put after a clear", len(fifth.Positions), 1)
	equal(t, "cleared in between", fifth, store.Change{
		Collection: store.Assets, Template: "t", Cleared: true,
		Positions: fifth.Positions,
	})
}

func testWatch(t *testing.T, open Open) {
	s := openWith(t, open)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	channel, other := s.Watch(ctx), s.Watch(t.Context())
	touch := func(dry bool, name string) {
		w := write(envA)
		w.DryRun = dry
		if _, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: envA, Name: name})
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	received := func(c <-chan struct{}, wait time.Duration) bool {
		select {
		case _, open := <-c:
			return open
		case <-time.After(wait):
			return false
		}
	}
	touch(true, "dry")
	touch(false, string(envA)) // as it is
	if received(channel, 30*time.Millisecond) {
		t.Error("told of no commit")
	}
	for _, name := range []string{"1", "2", "3"} {
		touch(false, name)
	}
	if !received(channel, 5*time.Second) || !received(other, 5*time.Second) {
		t.Error("not told of commits")
	}
	touch(false, "4")
	if !received(channel, 5*time.Second) {
		t.Error("not told of a commit after others")
	}
	cancel()
	touch(false, "5")
	if !received(other, 5*time.Second) {
		t.Error("not told after another watcher left")
	}
}

// RunTrimming checks the end of the feed on a store that keeps as many commits as it is told.
func RunTrimming(t *testing.T, open func(t testing.TB, keep int) store.Store) {
	const keep, commits = 10, 25
	s := open(t, keep)
	for i := range commits {
		update(t, s, "", func(tx *store.Tx) error {
			_, err := tx.Environments.Put(model.Environment{ID: envA, Name: fmt.Sprint(i)})
			return err
		})
	}
	for after := range store.Sequence(commits + 1) {
		got, err := s.Feed(t.Context(), after, 1)
		switch {
		case after >= commits-keep && err != nil:
			t.Errorf("after %d: %v", after, err)
		case errors.Is(err, store.ErrTrimmed):
		case err != nil:
			t.Errorf("after %d: %v", after, err)
		case after < commits && (len(got) != 1 || got[0].Sequence != after+1):
			t.Errorf("after %d: a gap, %+v", after, got)
		}
	}
	_, err := s.Feed(t.Context(), 0, 1)
	wantError(t, "after 0", err, store.ErrTrimmed)
}
