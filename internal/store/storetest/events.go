package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testEvents checks that events share the fate of their transaction, belong to an environment, and are no change.
func testEvents(t *testing.T, open Open) {
	s := openWith(t, open)
	if missing := unset(reflect.ValueOf(fullEvent("e")), ""); missing != nil {
		t.Fatalf("the sample leaves fields unset: %v", missing)
	}
	appendEvent := func(w store.Write, e model.ChangeEvent, end error) (store.Commit, error) {
		return s.Update(t.Context(), w, func(tx *store.Tx) error { return errors.Join(tx.Events.Append(e), end) })
	}
	find := func(env model.EnvironmentID) (out []model.ChangeEvent) {
		t.Helper()
		view(t, s, env, func(tx *store.Tx) (err error) {
			out, err = all(tx.Events.Find(start().Add(-time.Hour), start().Add(time.Hour)))
			return err
		})
		return out
	}
	commit, err := appendEvent(write(envA), fullEvent("1"), nil)
	if err != nil || commit.Changed || commit.Revision != 1 {
		t.Errorf("an event alone uses a revision: %+v, %v", commit, err)
	}
	equal(t, "events", find(envA), []model.ChangeEvent{fullEvent("1")})
	equal(t, "events of another environment", len(find(envB)), 0)
	equal(t, "events of the tenant", len(find("")), 0)

	_, err = appendEvent(write(envA), fullEvent("2"), errWanted)
	wantError(t, "failed update", err, errWanted)
	w := write(envA)
	w.DryRun = true
	if _, err := appendEvent(w, fullEvent("3"), nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "events", len(find(envA)), 1)
	if _, err := appendEvent(write(""), model.ChangeEvent{ID: "4", Time: start()}, nil); err != nil {
		t.Fatal(err)
	}
	equal(t, "events of the tenant", find(""), []model.ChangeEvent{{ID: "4", Time: start()}})
	equal(t, "events", len(find(envA)), 1)
}

// testEventPages checks order, range and completeness over many events, some of them at the same instant.
func testEventPages(t *testing.T, open Open) {
	s := openWith(t, open)
	const count = 700
	at := func(i int) time.Time { return start().Add(time.Duration(i/5) * time.Second) }
	var newestFirst []model.ChangeEvent
	update(t, s, envA, func(tx *store.Tx) error {
		for i := range count {
			e := model.ChangeEvent{ID: fmt.Sprint(i), Time: at(i), EnvironmentID: envA}
			newestFirst = append(newestFirst, e)
			if err := tx.Events.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	slices.Reverse(newestFirst)
	view(t, s, envA, func(tx *store.Tx) error {
		for _, bounds := range [][2]int{{0, count + 5}, {0, count - 1}, {100, 200}, {100, 100}, {200, 100}, {3, 699}} {
			from, to := at(bounds[0]), at(bounds[1])
			var want []model.ChangeEvent
			for _, e := range newestFirst {
				if !e.Time.Before(from) && e.Time.Before(to) {
					want = append(want, e)
				}
			}
			got, err := all(tx.Events.Find(from, to))
			if err != nil {
				return err
			}
			equal(t, fmt.Sprintf("events %v", bounds), got, want)
		}
		for e, err := range tx.Events.Find(start(), at(count)) {
			equal(t, "the newest", e.ID, fmt.Sprint(count-1))
			if err != nil {
				return err
			}
			break
		}
		return nil
	})
}

// testEventAge covers management-api.md 14.1: events are kept 400 days.
func testEventAge(t *testing.T, open Open) {
	s := openWith(t, open)
	const day = 24 * time.Hour
	for _, days := range []time.Duration{0, 1, 399, 400, 401} {
		w := write(envA)
		w.Time = start().Add(days * day)
		_, err := s.Update(t.Context(), w, func(tx *store.Tx) error {
			return tx.Events.Append(model.ChangeEvent{ID: fmt.Sprint(int(days)), Time: w.Time, EnvironmentID: envA})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	view(t, s, envA, func(tx *store.Tx) error {
		events, err := all(tx.Events.Find(start(), start().Add(500*day)))
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		equal(t, "events of the last 400 days", ids, []string{"401", "400", "399", "1"})
		return err
	})
}
