package sqlite

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"zombiezen.com/go/sqlite/sqlitemigration"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// TestEventsOfTheFirstSchema: events that were stored before there were filters are found and counted by them.
func TestEventsOfTheFirstSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ambit.db")
	if err := create(path); err != nil {
		t.Fatal(err)
	}
	conn, err := connect(path)
	if err != nil {
		t.Fatal(err)
	}
	old, err := schema()
	if err != nil {
		t.Fatal(err)
	}
	old.Migrations = old.Migrations[:1]
	if err := sqlitemigration.Migrate(t.Context(), conn, old); err != nil {
		t.Fatal(err)
	}
	tr := &transaction{conn: conn, ctx: t.Context()}
	const at = 1_783_324_800_000_000
	for i := range 5 {
		e := model.ChangeEvent{
			ID: fmt.Sprint(i), Time: fromMicro(at), Action: model.EventCreate, ResourceType: "ROLE",
			ResourceID: fmt.Sprint(i % 2), EnvironmentID: benchEnvironment, ClientID: "C",
		}
		if i == 4 {
			e = model.ChangeEvent{ID: "4", Time: fromMicro(at), EnvironmentID: benchEnvironment}
		}
		body, err := encode(&e)
		if err != nil {
			t.Fatal(err)
		}
		if err := tr.exec("put", "INSERT INTO event (environment, time, body) VALUES (?, ?, ?)", nil, benchEnvironment, at, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // nothing was written
	role := func(k store.EventKind) bool { return k.ResourceType == "ROLE" && k.ClientID == "C" }
	one := "1"
	err = s.View(t.Context(), benchEnvironment, func(tx *store.Tx) error {
		for want, q := range map[int]store.EventQuery{5: {}, 4: {Kind: role}, 2: {Kind: role, ResourceID: &one}} {
			q.Limit = 10
			page, total, err := tx.Events.Select(q)
			if err != nil || total != want || len(page) != want {
				t.Errorf("%d of %d events, want %d, error %v", len(page), total, want, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// BenchmarkEventFilters finds pages among a million events of a week (management-api.md 14.1).
func BenchmarkEventFilters(b *testing.B) {
	const count = 1_000_000
	s, err := Open(b.Context(), filepath.Join(b.TempDir(), "ambit.db"), Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // the numbers are known
	from := time.Unix(1783324800, 0)
	at := func(i int) time.Time { return from.Add(time.Duration(i) * 600 * time.Millisecond) }
	w := store.Write{Environment: benchEnvironment, Time: at(count)}
	_, err = s.Update(b.Context(), w, func(tx *store.Tx) error {
		for i := range count {
			e := model.ChangeEvent{
				ID: fmt.Sprint(i), Time: at(i), EnvironmentID: w.Environment, ClientID: model.ClientID(fmt.Sprint("C", i%20)),
				Action: []string{model.EventCreate, model.EventUpdate, model.EventLogin}[i%3], ResourceType: []string{"ROLE", "SCOPE", "RULESET"}[i%3],
				ResourceID: fmt.Sprint("r", i%50_000), ParentType: "AUTHORIZATION_WORKSPACE", After: `{"policyId":"quay_days"}`,
			}
			if i == 7 {
				e.Action = model.EventDelete
			}
			if err := tx.Events.Append(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	id := "r4711"
	for name, q := range map[string]store.EventQuery{
		"All":         {},
		"Rare":        {Kind: func(k store.EventKind) bool { return k.Action == model.EventDelete }},
		"Kind":        {Kind: func(k store.EventKind) bool { return k.ResourceType == "ROLE" }, From: at(12_345)},
		"Resource":    {ResourceID: &id},
		"NotResource": {NotResourceID: &id},
		"Deep":        {Offset: 500_000},
		"DeepKind":    {Offset: 300_000, Kind: func(k store.EventKind) bool { return k.ResourceType == "ROLE" }},
		"DeepNot":     {Offset: 900_000, NotResourceID: &id},
	} {
		q.Limit = 50
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := s.View(b.Context(), w.Environment, func(tx *store.Tx) error {
					_, _, err := tx.Events.Select(q)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
