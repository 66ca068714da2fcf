package engine

import (
	"time"

	"github.com/ambit-authz/ambit/internal/model"
)

// Until is the first instant after the question's at which a date-and-time condition that was judged for it may turn: before
// it, every answer of the residual stays as it is at this revision (E22 to E26). It may come too early, as at every local
// midnight, and never too late. ok is false when time has no part in the answers. It does not speak of Concerns, which
// shows conditions that nothing depends on.
func (r *Residual) Until() (until time.Time, ok bool) {
	w := watch{question: r.question}
	for i := range r.permutations {
		for c := range r.permutations[i].when {
			w.see(c)
		}
	}
	return w.first, w.turns
}

// Timed reports whether a date-and-time condition was judged for the residual, be it one that never turns again. Only
// without one are the answers at this revision the same at all times, those past included.
func (r *Residual) Timed() bool {
	for i := range r.permutations {
		for c := range r.permutations[i].when {
			if c.src.Kind == model.KindCondition && len(c.ranges) > 0 {
				return true
			}
		}
	}
	return false
}

// Until is like Residual.Until. It takes every policy on the asset's type into account, whomever it speaks of.
func (u *Users) Until() (until time.Time, ok bool) { return u.until, u.turns }

// watching finds when a condition of some policies may turn.
func watching(q *Question, policies []*policy) (until time.Time, turns bool) {
	w := watch{question: q}
	for _, p := range policies {
		if p.src.Inactive {
			continue
		}
		for _, c := range p.conditions {
			w.see(c)
		}
	}
	return w.first, w.turns
}

// watch finds when the first of some conditions may turn.
type watch struct {
	question *Question
	known    map[*block]bool
	first    time.Time
	turns    bool
}

func (w *watch) see(c *block) {
	if c.src.Kind != model.KindCondition || w.known[c] {
		return
	}
	if w.known == nil {
		w.known = map[*block]bool{}
	}
	w.known[c] = true
	for i := range c.ranges {
		turn, ok := c.ranges[i].turn(w.question.Instant, w.question.ZoneOffset)
		if ok && (!w.turns || turn.Before(w.first)) {
			w.first, w.turns = turn, true
		}
	}
}

// turn is an instant after the given one before which met says the same; ok is false when it always will.
func (r *timeRange) turn(instant time.Time, requestOffset time.Duration) (turn time.Time, ok bool) {
	local := instant.In(r.location(requestOffset))
	// no clock is ever set back by two days, so that no date before this one comes again
	settled := dateOf(local.Add(-48 * time.Hour))
	begun := settled.Compare(r.StartDate) >= 0
	if begun && r.Start < 0 && r.End < 0 && len(r.Days)+len(r.Months) == 0 && r.EndDate.IsZero() ||
		!r.EndDate.IsZero() && settled.Compare(r.EndDate) > 0 {
		return turn, false
	}
	// up to the next change of the zone's offset the local clock runs evenly, and up to midnight the day is the same
	clock, next := clockOf(local), 24*3600
	for _, at := range [...]int{r.Start, r.End + 1} {
		if at > clock && at < next {
			next = at
		}
	}
	turn = local.Add(time.Duration(next-clock)*time.Second - time.Duration(local.Nanosecond()))
	if _, change := local.ZoneBounds(); !change.IsZero() && change.Before(turn) {
		// on the last day of a leap year after 2037 ZoneBounds may tell the beginning of that day
		turn = latest(change, local.Truncate(time.Second).Add(time.Second))
	}
	return turn.UTC(), true
}

func (r *timeRange) location(requestOffset time.Duration) *time.Location {
	if r.zone != nil {
		return r.zone
	}
	return time.FixedZone("request", int(requestOffset/time.Second))
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func dateOf(t time.Time) model.Date {
	return model.Date{Year: t.Year(), Month: t.Month(), Day: t.Day()}
}

func clockOf(t time.Time) int { return t.Hour()*3600 + t.Minute()*60 + t.Second() }
