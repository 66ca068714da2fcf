package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// testEventFilters compares Select with a plain filter over all events: MG-52, and that events that aged away, were
// rolled back or belong elsewhere are not counted.
func testEventFilters(t *testing.T, open Open) {
	s := openWith(t, open)
	var newestFirst []model.ChangeEvent
	begin := time.Date(2026, 7, 6, 7, 59, 59, 0, time.UTC)
	appendAll := func(env model.EnvironmentID, end error) func(tx *store.Tx) error {
		return func(tx *store.Tx) error {
			var errs []error
			for i := range 400 {
				errs = append(errs, tx.Events.Append(model.ChangeEvent{
					ID: fmt.Sprint(i), EnvironmentID: env, Time: begin.Add(time.Duration(i/3) * 7 * time.Minute),
					Action:       []string{model.EventCreate, model.EventUpdate, model.EventDelete}[i%3],
					ResourceType: []string{"ROLE", "SCOPE"}[i%2], ResourceID: fmt.Sprint(i % 7),
					ParentType: []string{"", "AUTHORIZATION_WORKSPACE"}[i/5%2], ClientID: model.ClientID(fmt.Sprint("C", i%4)),
				}))
			}
			return errors.Join(append(errs, end)...)
		}
	}
	update(t, s, envA, appendAll(envA, nil))
	update(t, s, envB, appendAll(envB, nil))
	_, err := s.Update(t.Context(), write(envA), appendAll(envA, errWanted))
	wantError(t, "failed update", err, errWanted)
	aged := write(envA)
	aged.Time = begin.Add(400*24*time.Hour + 70*time.Minute) // the first 30 are gone
	if _, err := s.Update(t.Context(), aged, func(tx *store.Tx) error {
		return tx.Events.Append(model.ChangeEvent{ID: "last", EnvironmentID: envA, Time: aged.Time, Action: model.EventLogin})
	}); err != nil {
		t.Fatal(err)
	}
	view(t, s, envA, func(tx *store.Tx) (err error) {
		newestFirst, err = all(tx.Events.Find(time.Time{}, aged.Time.Add(time.Hour)))
		return err
	})
	equal(t, "events that are left", len(newestFirst), 371)
	for name, q := range eventQueries(begin, aged.Time) {
		view(t, s, envA, func(tx *store.Tx) error {
			want := slices.DeleteFunc(slices.Clone(newestFirst), func(e model.ChangeEvent) bool { return !fits(&q, &e) })
			got, total, err := tx.Events.Select(q)
			equal(t, name+": total", total, len(want))
			want = want[min(q.Offset, len(want)):min(q.Offset+q.Limit, len(want))]
			equal(t, name+": number", len(got), len(want))
			for i := range min(len(got), len(want)) {
				equal(t, fmt.Sprintf("%s: event %d", name, i), got[i], want[i])
			}
			return err
		})
	}
}

func fits(q *store.EventQuery, e *model.ChangeEvent) bool {
	kind := store.EventKind{Action: e.Action, ResourceType: e.ResourceType, ParentType: e.ParentType, ClientID: e.ClientID}
	return !e.Time.Before(q.From) && (q.To.IsZero() || e.Time.Before(q.To)) && (q.Kind == nil || q.Kind(kind)) &&
		(q.ResourceID == nil || *q.ResourceID == e.ResourceID) && (q.NotResourceID == nil || *q.NotResourceID != e.ResourceID)
}

func eventQueries(begin, end time.Time) map[string]store.EventQuery {
	role := func(k store.EventKind) bool { return k.ResourceType == "ROLE" }
	narrow := func(k store.EventKind) bool {
		return k.Action != model.EventUpdate && k.ParentType == "" && k.ClientID == "C2"
	}
	out := map[string]store.EventQuery{
		"all":               {},
		"an instant":        {From: begin.Add(70 * time.Minute), To: begin.Add(70*time.Minute + 1000)},
		"within an hour":    {From: begin.Add(130 * time.Minute), To: begin.Add(150 * time.Minute)},
		"several hours":     {From: begin.Add(71 * time.Minute), To: begin.Add(500 * time.Minute)},
		"whole hours":       {From: begin.Add(121*time.Minute + time.Second - time.Minute), To: begin.Add(301*time.Minute + time.Second - time.Minute)},
		"nothing":           {From: end, To: begin},
		"after all":         {From: end.Add(time.Hour)},
		"before 1970":       {From: time.Unix(-10_000, 0), To: time.Unix(10, 0)},
		"a kind":            {Kind: role},
		"a narrow kind":     {Kind: narrow, From: begin.Add(3 * time.Hour)},
		"no kind":           {Kind: func(store.EventKind) bool { return false }},
		"a resource":        {ResourceID: ptr("3"), Kind: role},
		"not a resource":    {NotResourceID: ptr("3"), Kind: narrow},
		"no such resource":  {ResourceID: ptr("x")},
		"one, not another":  {ResourceID: ptr("3"), NotResourceID: ptr("4")},
		"one and not it":    {ResourceID: ptr("3"), NotResourceID: ptr("3")},
		"not that, in time": {NotResourceID: ptr("3"), From: begin.Add(71 * time.Minute), To: begin.Add(500 * time.Minute)},
	}
	for name, q := range out {
		q.Limit = 1000
		out[name] = q
		q.Offset, q.Limit = 3, 5
		out[name+", page"] = q
	}
	return out
}

// testEventOffsets checks pages far from the newest event, for MG-52: among thousands in one hour, in one second and at one
// instant, and before 1970.
func testEventOffsets(t *testing.T, open Open) {
	s := openWith(t, open)
	begin := time.Date(2026, 7, 6, 7, 40, 0, 0, time.UTC)
	steps := []time.Duration{0, time.Microsecond, 300 * time.Microsecond, 700 * time.Millisecond, 50 * time.Second}
	var newestFirst []model.ChangeEvent
	at, n := time.Unix(-5000, 0).UTC(), 0
	early := store.Write{Environment: envA, Time: at} // a later one would take the events of 1970 away
	_, err := s.Update(t.Context(), early, func(tx *store.Tx) error {
		var errs []error
		for _, step := range append([]time.Duration{time.Second}, steps...) {
			for range 1500 {
				e := model.ChangeEvent{
					ID: fmt.Sprint(n), EnvironmentID: envA, Time: at, Action: []string{model.EventCreate, model.EventUpdate, model.EventDelete}[n%3],
					ResourceType: "ROLE", ResourceID: fmt.Sprint(n * n % 7 % 4), ClientID: model.ClientID(fmt.Sprint("C", n%2)),
				}
				n++
				at = at.Add(step)
				newestFirst = append(newestFirst, e)
				errs = append(errs, tx.Events.Append(e))
			}
			at = begin.Add(time.Duration(n) * time.Second)
		}
		return errors.Join(errs...)
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(newestFirst, func(a, b model.ChangeEvent) int { return a.Time.Compare(b.Time) })
	slices.Reverse(newestFirst)
	kind := func(k store.EventKind) bool { return k.Action != model.EventUpdate }
	for name, q := range map[string]store.EventQuery{
		"all": {From: time.Unix(-10_000, 0)}, "kind": {Kind: kind}, "resource": {ResourceID: ptr("1")}, "not a resource": {NotResourceID: ptr("1"), Kind: kind},
		"until": {From: begin.Add(5 * time.Second), To: newestFirst[1234].Time},
		"hours": {To: newestFirst[0].Time.Truncate(time.Hour), From: begin.Truncate(time.Hour)},
		"one":   {From: newestFirst[1400].Time, To: newestFirst[100].Time},
	} {
		want := slices.DeleteFunc(slices.Clone(newestFirst), func(e model.ChangeEvent) bool { return !fits(&q, &e) })
		view(t, s, envA, func(tx *store.Tx) error {
			for offset := range len(want) + 2 {
				if offset%97 != 0 && offset < len(want)-1 {
					continue
				}
				q.Offset, q.Limit = offset, 3
				got, total, err := tx.Events.Select(q)
				if err != nil {
					return err
				}
				equal(t, name+": total", total, len(want))
				equal(t, fmt.Sprintf("%s from %d on", name, offset), got, append([]model.ChangeEvent(nil), want[min(offset, len(want)):min(offset+3, len(want))]...))
			}
			return nil
		})
	}
}
