package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testRevisions checks that each environment and the tenant count without gaps and that one sequence runs over all
// (policy-model.md 3.12 rule 1, management-api.md 1.6).
func testRevisions(t *testing.T, open Open) {
	s := openWith(t, open)
	revisions := map[model.EnvironmentID]model.Revision{envA: 1, envB: 1, "": 0}
	sequence := store.Sequence(2)
	for i, env := range []model.EnvironmentID{envA, envA, envB, "", envA, "", envB, envB} {
		n := 0
		commit := update(t, s, env, func(tx *store.Tx) error {
			n++
			equal(t, "revision before", tx.Revision, revisions[env])
			equal(t, "sequence before", tx.Sequence, sequence)
			_, err := tx.Credentials.Put(model.Credential{ClientID: model.ClientID(fmt.Sprint(i))})
			return err
		})
		revisions[env]++
		sequence++
		equal(t, "calls of the function", n, 1)
		equal(t, "commit", commit, store.Commit{
			Sequence: sequence, Environment: env, Revision: revisions[env],
			Time: start(), Changed: true,
			Changes: []store.Change{{Collection: store.Credentials, Key: fmt.Sprint(i)}},
		})

		nothing := update(t, s, env, func(tx *store.Tx) error {
			_, err := tx.Credentials.Delete("nobody")
			return err
		})
		if nothing.Changed || nothing.Revision != revisions[env] || len(nothing.Changes) != 0 {
			t.Errorf("commit of nothing: %+v", nothing)
		}
	}
}

// testDryRun covers management-api.md 1.5 (MG): everything runs, nothing stays.
func testDryRun(t *testing.T, open Open) {
	s := openWith(t, open)
	before := dump(t, s, envA)
	w := write(envA)
	w.DryRun = true
	for range 2 {
		commit, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
			if err := fill(tx, "x"); err != nil {
				return err
			}
			p, err := tx.Policies.Find("p")
			equal(t, "seen inside", p, fullPolicy("p"))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if !commit.Changed || len(commit.Changes) != 21 || commit.Revision != 1 {
			t.Errorf("dry run: %+v", commit)
		}
		equal(t, "contents", dump(t, s, envA), before)
	}
	commits, err := s.Feed(t.Context(), 0, 10)
	if err != nil || len(commits) != 2 {
		t.Errorf("feed: %v, %v", commits, err)
	}
}

// testRollback checks that an error and a panic of the function leave nothing, and that the store goes on.
func testRollback(t *testing.T, open Open) {
	s := openWith(t, open)
	before := dump(t, s, envA)
	_, err := s.Update(t.Context(), write(envA), func(tx *store.Tx) error {
		return errors.Join(fill(tx, "x"), errWanted)
	})
	wantError(t, "update", err, errWanted)
	equal(t, "after an error", dump(t, s, envA), before)
	func() {
		defer func() { equal(t, "recovered", recover(), any("boom")) }()
		_, _ = s.Update(t.Context(), write(envA), func(tx *store.Tx) error {
			if err := fill(tx, "x"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	func() {
		defer func() { equal(t, "recovered", recover(), any("boom")) }()
		_ = s.View(t.Context(), envA, func(*store.Tx) error { panic("boom") })
	}()
	wantError(t, "view", s.View(t.Context(), envA, func(*store.Tx) error { return errWanted }), errWanted)
	equal(t, "after a panic", dump(t, s, envA), before)
	commit := update(t, s, envA, func(tx *store.Tx) error { return fill(tx, "x") })
	equal(t, "revision", commit.Revision, 2)
	equal(t, "sequence", commit.Sequence, 3)
}

func testReadOnly(t *testing.T, open Open) {
	s := openWith(t, open)
	update(t, s, envA, func(tx *store.Tx) error { return fill(tx, "x") })
	before := dump(t, s, envA)
	view(t, s, envA, func(tx *store.Tx) error {
		_, err := tx.Policies.Put(fullPolicy("q"))
		wantError(t, "put", err, store.ErrReadOnly)
		_, err = tx.Environments.Put(fullEnvironment(envA))
		wantError(t, "put environment", err, store.ErrReadOnly)
		_, err = tx.Environments.Delete(envA)
		wantError(t, "delete environment", err, store.ErrReadOnly)
		_, err = tx.Policies.Delete("p")
		wantError(t, "delete", err, store.ErrReadOnly)
		_, err = tx.Assets("t").Put(model.Asset{Path: "/new"})
		wantError(t, "put asset", err, store.ErrReadOnly)
		_, err = tx.Assets("t").Delete("/a")
		wantError(t, "delete asset", err, store.ErrReadOnly)
		_, err = tx.Identities("User").Clear()
		wantError(t, "clear", err, store.ErrReadOnly)
		wantError(t, "append", tx.Events.Append(fullEvent("1")), store.ErrReadOnly)
		return nil
	})
	equal(t, "contents", dump(t, s, envA), before)
}

// testEnded checks that a transaction that is used after its function returned fails instead of reading or writing
// something else.
func testEnded(t *testing.T, open Open) {
	s := openWith(t, open)
	for _, run := range []func(func(*store.Tx) error) error{
		func(fn func(*store.Tx) error) error { return s.View(t.Context(), envA, fn) },
		func(fn func(*store.Tx) error) error {
			_, err := s.Update(t.Context(), write(envA), fn)
			return err
		},
	} {
		var kept *store.Tx
		if err := run(func(tx *store.Tx) error { kept = tx; return nil }); err != nil {
			t.Fatal(err)
		}
		_, err1 := kept.Environments.Find(envA)
		_, err2 := kept.Policies.Put(model.Policy{ID: "late"})
		_, err3 := kept.Assets("t").Count()
		_, err4 := all(kept.Environments.FindAll())
		for i, err := range []error{err1, err2, err3, err4, kept.Events.Append(fullEvent("late"))} {
			if err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("call %d after the end: %v", i+1, err)
			}
		}
	}
}

// testIsolation checks that a view shows one state while commits happen beside it, and does not hold them up.
func testIsolation(t *testing.T, open Open) {
	s := openWith(t, open)
	update(t, s, envA, func(tx *store.Tx) error { return fill(tx, "x") })
	view(t, s, envA, func(old *store.Tx) error {
		_, err := old.Policies.Find("p")
		if err != nil {
			return err
		}
		update(t, s, envA, func(tx *store.Tx) error {
			_, err1 := tx.Policies.Delete("p")
			_, err2 := tx.Assets("t").Clear()
			_, err3 := tx.Assets("t").Put(model.Asset{Path: "/new"})
			return errors.Join(err1, err2, err3)
		})
		view(t, s, envA, func(fresh *store.Tx) error {
			_, err := fresh.Policies.Find("p")
			wantError(t, "new view", err, store.ErrNotFound)
			equal(t, "new revision", fresh.Revision, old.Revision+1)
			equal(t, "new sequence", fresh.Sequence, old.Sequence+1)
			return nil
		})
		p, err := old.Policies.Find("p")
		if err != nil {
			return err
		}
		equal(t, "old policy", p, fullPolicy("p"))
		assets, err := all(old.Assets("t").After(0))
		if len(assets) != 1 || assets[0].Record.Path != "/a" {
			t.Errorf("old assets: %v", assets)
		}
		return err
	})
	// Inside an update, a view shows the state before it.
	update(t, s, envA, func(tx *store.Tx) error {
		if _, err := tx.Policies.Put(model.Policy{ID: "uncommitted"}); err != nil {
			return err
		}
		return s.View(t.Context(), envA, func(v *store.Tx) error {
			_, err := v.Policies.Find("uncommitted")
			wantError(t, "view of an uncommitted write", err, store.ErrNotFound)
			return nil
		})
	})
}

// testSerialUpdates lets many goroutines read, add one and write back: no addition is lost, no revision given twice.
func testSerialUpdates(t *testing.T, open Open) {
	s := openWith(t, open)
	const writers, rounds = 8, 5
	var wg sync.WaitGroup
	revisions := make(chan model.Revision, writers*rounds)
	for range writers {
		wg.Go(func() {
			for range rounds {
				commit, err := s.Update(t.Context(), write(envA), func(tx *store.Tx) error {
					e, err := tx.Environments.Find(envA)
					if err != nil {
						return err
					}
					e.Name += "+"
					_, err = tx.Environments.Put(e)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				revisions <- commit.Revision
			}
		})
	}
	wg.Wait()
	close(revisions)
	seen := map[model.Revision]bool{}
	for r := range revisions {
		seen[r] = true
	}
	for r := model.Revision(2); r <= writers*rounds+1; r++ {
		if !seen[r] {
			t.Errorf("no commit got revision %d", r)
		}
	}
	view(t, s, envA, func(tx *store.Tx) error {
		e, err := tx.Environments.Find(envA)
		equal(t, "additions", len(e.Name), len(envA)+writers*rounds)
		return err
	})
}

// testCancel checks that an ended context ends waiting, reading and writing, and that nothing of the write stays.
func testCancel(t *testing.T, open Open) {
	s := openWith(t, open)
	before := dump(t, s, envA)
	nothing := func(*store.Tx) error { return nil }
	_, err := s.Update(canceled(t), write(envA), nothing)
	wantError(t, "update", err, context.Canceled)
	wantError(t, "view", s.View(canceled(t), envA, nothing), context.Canceled)

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err = s.Update(ctx, write(envA), func(tx *store.Tx) error {
		if err := fill(tx, "x"); err != nil {
			return err
		}
		cancel()
		return nil
	})
	wantError(t, "update canceled before its commit", err, context.Canceled)
	equal(t, "contents", dump(t, s, envA), before)

	update(t, s, envA, func(*store.Tx) error { // a writer that waits for another one gives up
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		_, err := s.Update(ctx, write(envA), nothing)
		wantError(t, "waiting update", err, context.DeadlineExceeded)
		return nil
	})
	commit := update(t, s, envA, func(tx *store.Tx) error { return fill(tx, "x") })
	equal(t, "revision", commit.Revision, 2)
}

func testClose(t *testing.T, open Open) {
	s := openWith(t, open)
	inside, goOn, closed := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		_, err := s.Update(t.Context(), write(envA), func(tx *store.Tx) error {
			close(inside)
			<-goOn
			_, err := tx.Policies.Put(model.Policy{ID: "p"})
			return err
		})
		if err != nil {
			t.Errorf("update while the store closes: %v", err)
		}
	}()
	<-inside
	go func() { closed <- s.Close() }()
	select {
	case err := <-closed:
		t.Errorf("closed under a running transaction: %v", err)
	case <-time.After(20 * time.Millisecond):
		close(goOn)
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
	}
	wantError(t, "view", s.View(t.Context(), envA, func(*store.Tx) error { return nil }), store.ErrClosed)
	_, err := s.Update(t.Context(), write(envA), func(*store.Tx) error { return nil })
	wantError(t, "update", err, store.ErrClosed)
	_, err = s.Feed(t.Context(), 0, 1)
	wantError(t, "feed", err, store.ErrClosed)
}
