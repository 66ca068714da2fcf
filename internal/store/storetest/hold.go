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

// testHold checks that a held state stays what it was, for everything in it, whatever is written meanwhile: MG-65.
func testHold(t *testing.T, open Open) {
	s := openWith(t, open)
	put := func(n int) {
		update(t, s, envA, func(tx *store.Tx) error {
			_, err := tx.Policies.Put(model.Policy{ID: model.PolicyID(fmt.Sprint("p", n)), Name: fmt.Sprint(n)})
			return errors.Join(err, fillRecords(tx, n))
		})
	}
	var states []store.Held
	var wants []any
	for n := range 3 {
		put(n)
		h, err := s.Hold(t.Context(), envA)
		if err != nil {
			t.Fatal(err)
		}
		states, wants = append(states, h), append(wants, dump(t, s, envA))
	}
	update(t, s, envA, func(tx *store.Tx) error {
		_, err := tx.Assets("t").Clear()
		return err
	})
	update(t, s, "", func(tx *store.Tx) error {
		_, err := tx.Environments.Delete(envA)
		return err
	})
	var group sync.WaitGroup
	for n, h := range states {
		for range 3 {
			group.Go(func() {
				got := dump(t, heldStore{s, h}, envA)
				equal(t, fmt.Sprintf("state %d", n), any(got), wants[n])
			})
		}
	}
	group.Wait()
	err := states[0].View(t.Context(), func(tx *store.Tx) error {
		equal(t, "revision", tx.Revision, model.Revision(2))
		_, err := tx.Policies.Delete("p0")
		return err
	})
	wantError(t, "write in a held state", err, store.ErrReadOnly)
	wantError(t, "the function's error", states[0].View(t.Context(), func(*store.Tx) error { return errWanted }), errWanted)
	wantError(t, "canceled", states[0].View(canceled(t), func(*store.Tx) error { return nil }), context.Canceled)
	_, err = s.Hold(canceled(t), envA)
	wantError(t, "hold, canceled", err, context.Canceled)
	for _, h := range states {
		if err := errors.Join(h.Close(), h.Close()); err != nil {
			t.Errorf("close: %v", err)
		}
		wantError(t, "view of a closed state", h.View(t.Context(), func(*store.Tx) error { return nil }), store.ErrReleased)
	}
}

// heldStore shows a held state where a store is wanted.
type heldStore struct {
	store.Store
	held store.Held
}

// View implements store.Store.
func (h heldStore) View(ctx context.Context, _ model.EnvironmentID, fn func(*store.Tx) error) error {
	return h.held.View(ctx, fn)
}

func fillRecords(tx *store.Tx, n int) error {
	var errs []error
	for i := range 600 {
		_, err := tx.Assets("t").Put(model.Asset{Path: fmt.Sprint(i + n*100), Name: fmt.Sprint("N", n)})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// testHoldEnds checks that closing a state, or the store, ends those who read it: no reader holds anything up.
func testHoldEnds(t *testing.T, open Open) {
	s := openWith(t, open)
	update(t, s, envA, func(tx *store.Tx) error { return fillRecords(tx, 0) })
	for _, c := range []struct {
		name string
		end  func(store.Held) error
	}{{"state", store.Held.Close}, {"store", func(store.Held) error { return s.Close() }}} {
		h, err := s.Hold(t.Context(), envA)
		if err != nil {
			t.Fatal(err)
		}
		inside, ended := make(chan struct{}), make(chan error)
		go func() {
			ended <- h.View(t.Context(), func(tx *store.Tx) error {
				close(inside)
				for {
					if _, err := all(tx.Assets("t").After(0)); err != nil {
						return err
					}
				}
			})
		}()
		<-inside
		if err := c.end(h); err != nil {
			t.Errorf("%s: close: %v", c.name, err)
		}
		select {
		case err := <-ended:
			wantError(t, c.name+": running view", err, store.ErrReleased)
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: the view goes on", c.name)
		}
	}
	_, err := s.Hold(t.Context(), envA)
	wantError(t, "hold", err, store.ErrClosed)
}
