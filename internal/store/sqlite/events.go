package sqlite

import (
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/go-json-experiment/json"
	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
)

// eventAge is how long events are kept (management-api.md 14.1). Older ones go when others are appended.
const eventAge = 400 * 24 * time.Hour

// eventPage is how many events are in memory at once.
const eventPage = 256

// events implements store.Events.
type events struct{ t *transaction }

// Append implements store.Events. The event belongs to the environment that it names, "" being the tenant. An event alone is
// no change: it uses no revision. Its time is kept in microseconds and UTC.
func (e events) Append(event model.ChangeEvent) error {
	if err := e.t.ready(); err != nil {
		return err
	}
	event.Time = fromMicro(toMicro(event.Time))
	body, err := encode(&event)
	if err != nil {
		return &model.Error{Op: "sqlite.append", Err: fmt.Errorf("event: %w", err)}
	}
	e.t.events = true
	err = e.t.exec("append", `INSERT INTO event_kind (environment, action, resource_type, parent_type, client)
		VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`, nil,
		event.EnvironmentID, event.Action, event.ResourceType, event.ParentType, event.ClientID)
	if err != nil {
		return err
	}
	return e.t.exec("append", `INSERT INTO event (environment, time, body, resource, kind) VALUES (?, ?, ?, ?,
		(SELECT id FROM event_kind WHERE environment = ? AND action = ? AND resource_type = ? AND parent_type = ? AND client = ?))`, nil,
		event.EnvironmentID, toMicro(event.Time), body, event.ResourceID,
		event.EnvironmentID, event.Action, event.ResourceType, event.ParentType, event.ClientID)
}

// Find implements store.Events.
func (e events) Find(from, to time.Time) iter.Seq2[model.ChangeEvent, error] {
	return func(yield func(model.ChangeEvent, error) bool) {
		before := eventPosition{microAfter(to), math.MinInt64} // all events of an instant have larger ids: none of to's
		for {
			page, next, err := e.page(microAfter(from), before)
			if err != nil {
				yield(model.ChangeEvent{}, err)
				return
			}
			for _, event := range page {
				if !yield(event, nil) {
					return
				}
			}
			if len(page) < eventPage {
				return
			}
			before = next
		}
	}
}

// eventPosition orders events: by time, then as they were appended.
type eventPosition struct{ time, id int64 }

// page reads the newest events that are not older than from and lie before a position.
func (e events) page(from int64, before eventPosition) (out []model.ChangeEvent, next eventPosition, err error) {
	if err := e.t.readable(); err != nil {
		return nil, next, err
	}
	err = e.t.exec("find", `SELECT time, id, body FROM event WHERE environment = ? AND time >= ? AND (time, id) < (?, ?)
		ORDER BY time DESC, id DESC LIMIT ?`,
		func(row *sqlite.Stmt) error {
			next = eventPosition{row.ColumnInt64(0), row.ColumnInt64(1)}
			var event model.ChangeEvent
			if err := json.Unmarshal(columnBytes(row, 2), &event, json.RejectUnknownMembers(true)); err != nil {
				return fmt.Errorf("stored event %d: %w", next.id, err)
			}
			out = append(out, event)
			return nil
		}, e.t.write.Environment, from, before.time, before.id, eventPage)
	return out, next, err
}
