package sqlite

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/model"
	"github.com/ambit-authz/ambit/internal/store"
)

// hour is the width of the counters of events, in microseconds.
const hour = int64(time.Hour / time.Microsecond)

// kinds of this environment's events, as rows of event_kind.
type eventKinds struct {
	ids []int64
	all bool // no kind is left out
}

// span is the time asked for, in microseconds: [from, to).
type span struct{ from, to int64 }

// Select implements store.Events.
func (e events) Select(q store.EventQuery) (page []model.ChangeEvent, total int, err error) {
	if err := e.t.readable(); err != nil {
		return nil, 0, err
	}
	kinds, err := e.kinds(q.Kind)
	if err != nil {
		return nil, 0, err
	}
	s := span{microAfter(q.From), math.MaxInt64}
	if !q.To.IsZero() {
		s.to = microAfter(q.To)
	}
	if len(kinds.ids) == 0 || s.from >= s.to {
		return nil, 0, nil
	}
	if total, err = e.total(&q, kinds, s); err != nil || q.Offset >= total {
		return nil, total, err
	}
	at, rest, err := e.skip(&q, kinds, s)
	if err != nil {
		return nil, 0, err
	}
	q.Offset = rest
	positions, err := e.positions(&q, kinds, at)
	if err != nil {
		return nil, 0, err
	}
	for _, p := range positions {
		event, err := e.at(p.id)
		if err != nil {
			return nil, 0, err
		}
		page = append(page, event)
	}
	return page, total, nil
}

func (e events) kinds(fits func(store.EventKind) bool) (out eventKinds, err error) {
	out.all = true
	err = e.t.exec("find", "SELECT id, action, resource_type, parent_type, client FROM event_kind WHERE environment = ?",
		func(row *sqlite.Stmt) error {
			kind := store.EventKind{
				Action: row.ColumnText(1), ResourceType: row.ColumnText(2), ParentType: row.ColumnText(3),
				ClientID: model.ClientID(row.ColumnText(4)),
			}
			if fits == nil || fits(kind) {
				out.ids = append(out.ids, row.ColumnInt64(0))
			} else {
				out.all = false
			}
			return nil
		}, e.t.write.Environment)
	return out, err
}

// total counts the events that fit.
func (e events) total(q *store.EventQuery, kinds eventKinds, s span) (int, error) {
	if q.ResourceID != nil {
		if q.NotResourceID != nil && *q.NotResourceID == *q.ResourceID {
			return 0, nil
		}
		return e.countResource(*q.ResourceID, kinds, s)
	}
	total := 0
	for _, kind := range kinds.ids {
		n, err := e.countKind(kind, s)
		if err != nil {
			return 0, err
		}
		total += n
	}
	if q.NotResourceID != nil {
		n, err := e.countResource(*q.NotResourceID, kinds, s)
		return total - n, err
	}
	return total, nil
}

func (e events) countResource(id string, kinds eventKinds, s span) (int, error) {
	return e.number(`SELECT count(*) FROM event INDEXED BY event_resource WHERE environment = ? AND resource = ?
		AND kind IN (`+list(kinds.ids)+`) AND time >= ? AND time < ?`, e.t.write.Environment, id, s.from, s.to)
}

// countKind adds up whole hours and visits only the events of the hours in which the span begins and ends. Division
// rounds towards zero here as in the database; events before 1970 are few and are visited.
func (e events) countKind(kind int64, s span) (int, error) {
	const visit = "SELECT count(*) FROM event INDEXED BY event_kind_time WHERE kind = ? AND time >= ? AND time < ?"
	first := max(s.from, 0)
	first = first/hour + min(1, first%hour) // the first whole hour
	last := s.to / hour                     // the first hour that is not whole
	if s.to == math.MaxInt64 {
		last = math.MaxInt64
	}
	if last <= first {
		return e.number(visit, kind, s.from, s.to)
	}
	before, err := e.number(visit, kind, s.from, first*hour)
	if err != nil {
		return 0, err
	}
	whole, err := e.number("SELECT coalesce(sum(count), 0) FROM event_count WHERE kind = ? AND hour >= ? AND hour < ?",
		kind, max(first, 1), last)
	if err != nil {
		return 0, err
	}
	if first == 0 { // hour 0 of the counters holds the last one before 1970 too
		n, err := e.number(visit, kind, 0, min(hour, s.to))
		if err != nil {
			return 0, err
		}
		whole += n
	}
	if last == math.MaxInt64 {
		return before + whole, nil
	}
	after, err := e.number(visit, kind, max(last*hour, s.from), s.to)
	return before + whole + after, err
}

func (e events) number(query string, args ...any) (n int, err error) {
	err = e.t.exec("find", query, func(row *sqlite.Stmt) error {
		n = row.ColumnInt(0)
		return nil
	}, args...)
	return n, err
}

// positions are those of the page, newest first.
func (e events) positions(q *store.EventQuery, kinds eventKinds, s span) (out []eventPosition, err error) {
	where, args := "time >= ? AND time < ?", []any{s.from, s.to}
	if q.NotResourceID != nil {
		where, args = where+" AND resource <> ?", append(args, *q.NotResourceID)
	}
	read := func(query string, limit int, args ...any) error {
		return e.t.exec("find", "SELECT time, id FROM event "+query+" ORDER BY time DESC, id DESC LIMIT ?",
			func(row *sqlite.Stmt) error {
				out = append(out, eventPosition{row.ColumnInt64(0), row.ColumnInt64(1)})
				return nil
			}, append(args, limit)...)
	}
	need := q.Offset + q.Limit
	switch {
	case q.ResourceID != nil:
		err = read("INDEXED BY event_resource WHERE environment = ? AND resource = ? AND kind IN ("+list(kinds.ids)+") AND "+where,
			need, append([]any{e.t.write.Environment, *q.ResourceID}, args...)...)
	case kinds.all:
		err = read("INDEXED BY event_environment WHERE environment = ? AND "+where, need, append([]any{e.t.write.Environment}, args...)...)
	default:
		for _, kind := range kinds.ids {
			if err == nil {
				err = read("INDEXED BY event_kind_time WHERE kind = ? AND "+where, need, append([]any{kind}, args...)...)
			}
		}
		slices.SortFunc(out, func(a, b eventPosition) int { return cmp.Or(cmp.Compare(b.time, a.time), cmp.Compare(b.id, a.id)) })
	}
	return out[min(q.Offset, len(out)):min(need, len(out))], err
}

func (e events) at(id int64) (event model.ChangeEvent, err error) {
	err = e.t.exec("find", "SELECT body FROM event WHERE id = ?", func(row *sqlite.Stmt) error {
		if err := json.Unmarshal(columnBytes(row, 0), &event, json.RejectUnknownMembers(true)); err != nil {
			return fmt.Errorf("stored event %d: %w", id, err)
		}
		return nil
	}, id)
	return event, err
}

// list writes numbers as SQL has them: there may be more than a statement can have parameters.
func list(ids []int64) string {
	var b strings.Builder
	for i, id := range ids {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, id)
	}
	return b.String()
}
