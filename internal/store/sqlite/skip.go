package sqlite

import (
	"math"
	"slices"
	"time"

	"zombiezen.com/go/sqlite"

	"github.com/ambit-authz/ambit/internal/store"
)

// skipFrom is the offset from which on events are passed over by their counts and not one by one.
const skipFrom = 1_000

const second = int64(time.Second / time.Microsecond)

// skip shortens a span at its end by as much as the offset passes over: whole hours by the counters, and then, within
// one hour, whole seconds. rest is the offset in what is left.
func (e events) skip(q *store.EventQuery, kinds eventKinds, s span) (at span, rest int, err error) {
	if q.Offset < skipFrom {
		return s, q.Offset, nil
	}
	rest = q.Offset
	if s.to < math.MaxInt64 { // the counter of the hour in which the span ends counts more than the span
		top := span{max(s.to/hour*hour, s.from), s.to}
		n, err := e.total(q, kinds, top)
		if err != nil || n > rest {
			return e.skipSeconds(q, kinds, s, top, rest, err)
		}
		s.to, rest = top.from, rest-n
	}
	counts, err := e.hours(q, kinds, s)
	if err != nil {
		return s, rest, err
	}
	for _, c := range counts {
		if c.unit <= max(s.from/hour, 0) { // the first hour is not whole, and hour 0 is two
			break
		}
		whole := span{c.unit * hour, (c.unit + 1) * hour}
		if c.n > rest {
			s.to = min(s.to, whole.to)
			return e.skipSeconds(q, kinds, s, whole, rest, nil)
		}
		s.to, rest = whole.from, rest-c.n
	}
	return s, rest, nil
}

// skipSeconds shortens s, which ends with the given hour, by whole seconds of that hour.
func (e events) skipSeconds(q *store.EventQuery, kinds eventKinds, s, last span, rest int, err error) (span, int, error) {
	if err != nil || rest < skipFrom {
		return s, rest, err
	}
	counts, err := e.grouped(q, kinds, last, second)
	for _, c := range counts {
		if c.n > rest || c.unit <= 0 {
			break
		}
		s.to, rest = max(c.unit*second, s.from), rest-c.n
	}
	return s, rest, err
}

// counted is how many events fit in one hour or second since 1970.
type counted struct {
	unit int64
	n    int
}

// hours counts the events that fit by hours, the latest first.
func (e events) hours(q *store.EventQuery, kinds eventKinds, s span) ([]counted, error) {
	if q.ResourceID != nil {
		return e.grouped(q, kinds, s, hour)
	}
	out, err := e.counts("SELECT hour, sum(count) FROM event_count WHERE kind IN ("+list(kinds.ids)+") AND hour >= ? AND hour < ? GROUP BY hour",
		s.from/hour, s.to/hour)
	if err != nil || q.NotResourceID == nil {
		return out, err
	}
	without, err := e.grouped(&store.EventQuery{ResourceID: q.NotResourceID}, kinds, s, hour)
	return minus(out, without), err
}

// grouped counts the events that fit by units of that many microseconds, the latest first, visiting each of them in an
// index.
func (e events) grouped(q *store.EventQuery, kinds eventKinds, s span, unit int64) ([]counted, error) {
	if q.ResourceID != nil {
		return e.counts("SELECT time / ?, count(*) FROM event INDEXED BY event_resource WHERE environment = ? AND resource = ? AND kind IN ("+
			list(kinds.ids)+") AND time >= ? AND time < ? GROUP BY 1", unit, e.t.write.Environment, *q.ResourceID, s.from, s.to)
	}
	out, err := e.counts("SELECT time / ?, count(*) FROM event INDEXED BY event_kind_time WHERE kind IN ("+
		list(kinds.ids)+") AND time >= ? AND time < ? GROUP BY 1", unit, s.from, s.to)
	if err != nil || q.NotResourceID == nil {
		return out, err
	}
	without, err := e.grouped(&store.EventQuery{ResourceID: q.NotResourceID}, kinds, s, unit)
	return minus(out, without), err
}

// counts reads rows of a unit and a number, the latest unit first.
func (e events) counts(query string, args ...any) (out []counted, err error) {
	err = e.t.exec("find", query+" ORDER BY 1 DESC", func(row *sqlite.Stmt) error {
		out = append(out, counted{row.ColumnInt64(0), row.ColumnInt(1)})
		return nil
	}, args...)
	return out, err
}

// minus takes the numbers of one list away from those of another. Both have the latest first.
func minus(from, less []counted) []counted {
	for _, l := range less {
		at, found := slices.BinarySearchFunc(from, l.unit, func(c counted, unit int64) int { return int(min(1, max(-1, unit-c.unit))) })
		if found {
			from[at].n -= l.n
		}
	}
	return from
}
